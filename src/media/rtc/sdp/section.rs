//! One m-line with what follows it.

use super::Direction;

/// One m-line with the lines up to the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    media: String,
    port: u16,
    protocol: String,
    formats: Vec<String>,
    /// The lines after the m-line, without their ends.
    lines: Vec<String>,
}

impl Section {
    /// Reads an m-line (`m=audio 9 UDP/TLS/RTP/SAVPF 111 110`).
    pub(crate) fn new(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("m=")?.split_ascii_whitespace();
        let media = words.next()?.to_owned();
        // `9/2` names two ports; no WebRTC peer does, the first one counts.
        let port = words.next()?.split('/').next()?.parse().ok()?;
        let protocol = words.next()?.to_owned();
        let formats: Vec<String> = words.map(str::to_owned).collect();
        (!formats.is_empty()).then_some(Self {
            media,
            port,
            protocol,
            formats,
            lines: Vec::new(),
        })
    }

    /// `audio`, `video`, `application`, ...
    pub(crate) fn media(&self) -> &str {
        &self.media
    }

    /// 0 means rejected or stopped.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn set_port(&mut self, port: u16) {
        self.port = port;
    }

    /// Removes payload types that are named twice, and the second line of those
    /// that describe them.
    pub(crate) fn remove_repeated_formats(&mut self) {
        let mut seen = Vec::new();
        self.formats.retain(|format| {
            let new = !seen.contains(format);
            if new {
                seen.push(format.clone());
            }
            new
        });
        let mut mapped = Vec::new();
        self.lines.retain(|line| {
            let Some(format) = line
                .strip_prefix("a=rtpmap:")
                .and_then(|l| l.split(' ').next())
            else {
                return true;
            };
            let new = !mapped.contains(&format.to_owned());
            if new {
                mapped.push(format.to_owned());
            }
            new
        });
    }

    /// Writes what PCMU's number means, where it is left out because the number is
    /// enough (RFC 3551, section 6).
    pub(crate) fn name_static_formats(&mut self) {
        let named = self.lines.iter().any(|l| l.starts_with("a=rtpmap:0 "));
        if self.media == "audio" && !named && self.formats.iter().any(|f| f == "0") {
            self.lines.push("a=rtpmap:0 PCMU/8000".to_owned());
        }
    }

    /// Removes payload types with all that describes them.
    pub(crate) fn remove_formats(&mut self, unwanted: &[u8]) {
        let is_unwanted = |number: &str| number.parse().is_ok_and(|n| unwanted.contains(&n));
        self.formats.retain(|format| !is_unwanted(format));
        self.lines.retain(|line| {
            let described = ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"]
                .iter()
                .find_map(|name| line.strip_prefix(name)?.split(' ').next());
            !described.is_some_and(is_unwanted)
        });
    }

    /// Adds a payload type, if its number is free.
    pub(crate) fn add_format(&mut self, number: u8, meaning: &str) {
        let text = number.to_string();
        if !self.formats.contains(&text) {
            self.formats.push(text);
            self.lines.push(format!("a=rtpmap:{number} {meaning}"));
        }
    }

    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    pub(crate) fn push(&mut self, line: String) {
        self.lines.push(line);
    }

    /// Puts a line before the one at `place`.
    pub(crate) fn insert(&mut self, place: usize, line: String) {
        self.lines.insert(place.min(self.lines.len()), line);
    }

    pub(crate) fn retain(&mut self, keep: impl FnMut(&String) -> bool) {
        self.lines.retain(keep);
    }

    /// The value of the first `a=name:value`.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.lines
            .iter()
            .find_map(|l| l.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':'))
    }

    /// There is an `a=name`.
    pub(crate) fn has_flag(&self, name: &str) -> bool {
        self.lines
            .iter()
            .any(|l| l.strip_prefix("a=") == Some(name))
    }

    /// Puts `a=name:value` in the place of the first `a=name:...`, or at the end.
    pub(crate) fn set_attribute(&mut self, name: &str, value: &str) {
        let prefix = format!("a={name}:");
        let line = format!("{prefix}{value}");
        match self.lines.iter_mut().find(|l| l.starts_with(&prefix)) {
            Some(old) => *old = line,
            None => self.lines.push(line),
        }
    }

    /// The value of `c=`.
    pub(crate) fn connection(&self) -> Option<&str> {
        self.lines.iter().find_map(|l| l.strip_prefix("c="))
    }

    /// Writes `c=`, which is the first line after the m-line (RFC 8866,
    /// section 5), or behind `i=`.
    pub(crate) fn set_connection(&mut self, value: &str) {
        self.lines.retain(|l| !l.starts_with("c="));
        let place = usize::from(self.lines.first().is_some_and(|l| l.starts_with("i=")));
        self.lines.insert(place, format!("c={value}"));
    }

    /// The section's own direction line.
    pub(crate) fn direction(&self) -> Option<Direction> {
        self.lines.iter().find_map(|line| {
            let name = line.strip_prefix("a=")?;
            Direction::ALL.into_iter().find(|d| d.name() == name)
        })
    }

    /// Writes the direction in the place of the old one, or at the end.
    pub(crate) fn set_direction(&mut self, direction: Direction) {
        let is_direction = |line: &String| {
            line.strip_prefix("a=")
                .is_some_and(|name| Direction::ALL.into_iter().any(|d| d.name() == name))
        };
        let line = format!("a={direction}");
        match self.lines.iter().position(is_direction) {
            Some(place) => {
                self.lines.retain(|l| !is_direction(l));
                self.lines.insert(place, line);
            }
            None => self.lines.push(line),
        }
    }

    /// The first payload type of this codec: 96 for `VP8` in
    /// `a=rtpmap:96 VP8/90000`.
    pub(crate) fn payload_type(&self, codec: &str) -> Option<u8> {
        self.lines.iter().find_map(|line| {
            let (number, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
            let name = name.split('/').next()?;
            let number = number.parse().ok().filter(|n| *n < 128)?;
            name.eq_ignore_ascii_case(codec).then_some(number)
        })
    }

    /// Every payload type of this codec with its clock rate.
    pub(crate) fn payload_types(&self, codec: &str) -> impl Iterator<Item = (u8, u32)> {
        self.lines.iter().filter_map(move |line| {
            let (number, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
            let (name, clock) = name.split_once('/')?;
            let clock = clock.split('/').next()?.parse().ok()?;
            let number = number.parse().ok().filter(|n| *n < 128)?;
            name.eq_ignore_ascii_case(codec).then_some((number, clock))
        })
    }

    /// The number of a header extension (RFC 8285), where one byte is enough for it.
    pub(crate) fn extension(&self, uri: &str) -> Option<u8> {
        self.lines.iter().find_map(|line| {
            let (number, rest) = line.strip_prefix("a=extmap:")?.split_once(' ')?;
            // A direction may stand behind the number, parameters behind the name.
            let number = number.split('/').next()?.parse().ok()?;
            let named = rest.split(' ').next() == Some(uri);
            (named && (1..=14).contains(&number)).then_some(number)
        })
    }

    /// Writes the section, each line ending in CRLF.
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str(&format!(
            "m={} {} {} {}\r\n",
            self.media,
            self.port,
            self.protocol,
            self.formats.join(" ")
        ));
        for line in &self.lines {
            out.push_str(line);
            out.push_str("\r\n");
        }
    }
}
