//! Session descriptions (RFC 8866) as text: read, split, joined.
//!
//! A leg runs one session per m-line, but speaks one description with the far
//! end. [`split`] makes a description of one m-line for each session, [`wire`]
//! puts the sessions' m-lines behind one session part again. Both work on lines
//! of text; nothing here knows transports, and of codecs only which sound goes with
//! which telephone events.
//!
//! ```text
//!  far end's SDP --Description::parse--> sections --split--> session 0, session 1
//!  our SDP <--wire::join-- sections <--wire::section_of-- session 0, session 1
//! ```

mod section;
pub(crate) mod split;
pub(crate) mod wire;

#[cfg(test)]
mod tests;

use std::fmt;

pub(crate) use section::Section;

/// The longest description that is read. The longest real one, of a page with
/// all codecs and both protocols' candidates, has 13 kB.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// The most m-lines that are read. Real calls have two, three at most.
pub(crate) const MAX_SECTIONS: usize = 8;

/// Why a description makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SdpError {
    /// Longer than [`MAX_BYTES`].
    #[error("description has {0} bytes, more than {MAX_BYTES}")]
    TooLong(usize),
    /// The first line is not `v=0`.
    #[error("description does not begin with v=0")]
    NoVersion,
    /// A line is not of the form `x=...`, or has control characters.
    #[error("line {0} of the description is not of the form x=value")]
    BadLine(usize),
    /// An m-line without medium, port, protocol or formats.
    #[error("line {0} of the description is not a media line")]
    BadMedia(usize),
    /// More than [`MAX_SECTIONS`].
    #[error("description has more than {MAX_SECTIONS} media lines")]
    TooManySections,
    /// No m-line at all.
    #[error("description has no media line")]
    NoMedia,
    /// An answer must have as many m-lines as the offer.
    #[error("answer has {answered} media lines for {offered} offered")]
    Mismatch {
        /// M-lines of the offer.
        offered: usize,
        /// M-lines of the answer.
        answered: usize,
    },
}

/// Which way media flows, seen from the writer of the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// `sendrecv`
    SendRecv,
    /// `sendonly`
    SendOnly,
    /// `recvonly`
    RecvOnly,
    /// `inactive`
    Inactive,
}

impl Direction {
    const ALL: [Self; 4] = [
        Self::SendRecv,
        Self::SendOnly,
        Self::RecvOnly,
        Self::Inactive,
    ];

    /// The direction of a side that sends and receives so.
    pub(crate) fn new(send: bool, receive: bool) -> Self {
        match (send, receive) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// The writer sends.
    pub(crate) fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// The writer receives.
    pub(crate) fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The attribute's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A description, taken apart at its m-lines.
#[derive(Clone)]
pub(crate) struct Description {
    /// The lines before the first m-line.
    session: Vec<String>,
    sections: Vec<Section>,
}

impl Description {
    /// Reads a description. Lines may end in CRLF or LF.
    ///
    /// # Errors
    ///
    /// An [`SdpError`] that names the line; what a line means is not judged
    /// beyond the m-line itself.
    pub(crate) fn parse(text: &str) -> Result<Self, SdpError> {
        if text.len() > MAX_BYTES {
            return Err(SdpError::TooLong(text.len()));
        }
        let mut description = Self {
            session: Vec::new(),
            sections: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            if !line.is_empty() {
                description.push(index + 1, line)?;
            }
        }
        if description.session.first().map(String::as_str) != Some("v=0") {
            return Err(SdpError::NoVersion);
        }
        if description.sections.is_empty() {
            return Err(SdpError::NoMedia);
        }
        for section in &mut description.sections {
            section.name_static_formats();
        }
        Ok(description)
    }

    fn push(&mut self, number: usize, line: &str) -> Result<(), SdpError> {
        let bytes = line.as_bytes();
        let well_formed = bytes.len() >= 2
            && bytes[0].is_ascii_lowercase()
            && bytes[1] == b'='
            && !line.chars().any(char::is_control);
        if !well_formed {
            return Err(SdpError::BadLine(number));
        }
        if bytes[0] == b'm' {
            if self.sections.len() == MAX_SECTIONS {
                return Err(SdpError::TooManySections);
            }
            let section = Section::new(line).ok_or(SdpError::BadMedia(number))?;
            self.sections.push(section);
        } else if let Some(section) = self.sections.last_mut() {
            section.push(line.to_owned());
        } else {
            self.session.push(line.to_owned());
        }
        Ok(())
    }

    /// The m-lines in order.
    pub(crate) fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The writer can put several m-lines on one transport. Kandy.js 3.x never
    /// says so (protocol section 7.1).
    pub(crate) fn bundles(&self) -> bool {
        self.session.iter().any(|l| l.starts_with("a=group:BUNDLE"))
    }

    /// The section has no transport of its own, because its writer insists on
    /// sharing that of the first one (`bundlePolicy: "max-bundle"`). Chromium 156
    /// writes such a section without candidates and with port 9.
    pub(crate) fn is_carried(&self, section: &Section) -> bool {
        let located = |s: &Section| s.attribute("candidate").is_some();
        self.bundles() && !located(section) && self.sections.iter().any(located)
    }

    /// The direction of a section: its own, else the description's, else
    /// `sendrecv`.
    pub(crate) fn direction(&self, section: &Section) -> Direction {
        section
            .direction()
            .or_else(|| {
                Direction::ALL.into_iter().find(|d| {
                    self.session
                        .iter()
                        .any(|l| l.strip_prefix("a=") == Some(d.name()))
                })
            })
            .unwrap_or(Direction::SendRecv)
    }

    /// The description puts its reader on hold (protocol section 7.5): its
    /// writer takes no media on any m-line in use.
    ///
    /// An m-line with the old `c=IN IP4 0.0.0.0` counts as held, unless its port
    /// is 9: that is how a description without candidates looks.
    pub(crate) fn holds(&self) -> bool {
        let mut in_use = self.sections.iter().filter(|s| s.port() != 0).peekable();
        in_use.peek().is_some()
            && in_use.all(|section| {
                let nowhere = section
                    .connection()
                    .or_else(|| self.session.iter().find_map(|l| l.strip_prefix("c=")))
                    == Some("IN IP4 0.0.0.0");
                !self.direction(section).receives() || (nowhere && section.port() != 9)
            })
    }
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(
                self.sections
                    .iter()
                    .map(|s| (s.media(), s.port(), self.direction(s))),
            )
            .finish()
    }
}
