//! The command line of `doorstation demo`.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::BoolishValueParser;

use crate::call::Code;
use crate::secret::Secret;

/// The domain of names that are given without one.
pub const DOMAIN: &str = "demo.local";

/// A door station, its gateway and a simulated panel in one process: a whole
/// call without any hardware.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where the gateway and its page listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)))]
    pub listen: SocketAddr,

    /// HTTP and WebSocket without TLS; refused on any but a loopback address.
    #[arg(long)]
    pub plain_http: bool,

    /// A person indoors; repeatable. Without it two are made up and printed.
    #[arg(long = "user", value_name = "NAME:PASSWORD")]
    pub users: Vec<Login>,

    /// The door's own login. Without it one is made up.
    #[arg(long, value_name = "NAME:PASSWORD")]
    pub door: Option<Login>,

    /// Whom the bell rings; repeatable. Without it everybody indoors.
    #[arg(long = "ring", value_name = "NAME", value_parser = address)]
    pub ring: Vec<String>,

    /// What the door's microphone hears, over and over: a WAV file. Without it a
    /// synthesised signal.
    #[arg(long, value_name = "FILE")]
    pub mic_wav: Option<PathBuf>,

    /// Records what the door's speaker plays, in real time, as a WAV file.
    #[arg(long, value_name = "FILE")]
    pub speaker_wav: Option<PathBuf>,

    /// Real ALSA devices in place of the simulated sound card.
    #[arg(long, value_name = "CAPTURE,PLAYBACK", conflicts_with_all = ["mic_wav", "speaker_wav"])]
    pub alsa: Option<AlsaPair>,

    /// Echo control, noise suppression and gain on the microphone. Without it: on for
    /// ALSA devices, off for the simulated card, whose microphone is in no room.
    #[arg(long, value_name = "on|off", value_parser = BoolishValueParser::new())]
    pub clean_sound: Option<bool>,

    /// The picture: a moving test picture with a clock, a camera, or a file.
    #[arg(
        long,
        value_name = "test|v4l2:DEVICE|file:FILE",
        default_value = "test"
    )]
    pub video: Video,

    /// The picture's size.
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "1280x720")]
    pub size: Size,

    /// Read panel commands from standard input, a line each: press bell, answer,
    /// reject, end, hold, unhold, quit; and what sensors say: exit pressed, exit
    /// released, door opened, door closed, tamper, tamper over.
    #[arg(long, value_name = "stdin")]
    pub panel: Option<PanelInput>,

    /// The code that opens the door from a call, 4 to 16 keys. Without it only the
    /// page and the exit button open; with it keys of calls are not told.
    #[arg(long, value_name = "KEYS", value_parser = door_code)]
    pub door_code: Option<Code>,

    /// Where `doorstation status --socket PATH` and its like reach the demo. Without
    /// it nowhere.
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,

    /// Where metrics and health are told over HTTP, on a loopback address. Without it
    /// nowhere.
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics: Option<SocketAddr>,

    /// Print one JSON object a line instead of words.
    #[arg(long)]
    pub json: bool,

    /// Stop by itself after this many seconds.
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub seconds: Option<Duration>,

    /// How long the bell rings, in seconds.
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "60")]
    pub ring_time: Duration,

    /// Where the page's certificate and the simulated sound card live. Without it
    /// a temporary directory, so that the certificate is new each time.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

fn door_code(written: &str) -> Result<Code, String> {
    Code::parse(written).ok_or_else(|| "4 to 16 of the keys 0-9, *, # and A-D".to_owned())
}

impl Options {
    /// What no option by itself can tell.
    ///
    /// # Errors
    ///
    /// A sentence that names the options that do not go together.
    pub fn check(&self) -> Result<(), String> {
        if self.plain_http && !self.listen.ip().is_loopback() {
            return Err(format!(
                "--plain-http is refused on {}: passwords would cross the network in the clear; \
                 listen on 127.0.0.1 or leave --plain-http out",
                self.listen
            ));
        }
        if let Some(metrics) = self.metrics
            && !metrics.ip().is_loopback()
        {
            return Err(format!(
                "--metrics is refused on {metrics}: there is no log-in; listen on 127.0.0.1"
            ));
        }
        let mut names = BTreeSet::from([self.door_address().to_ascii_lowercase()]);
        for Login { address, .. } in &self.users {
            if !names.insert(address.to_ascii_lowercase()) {
                return Err(format!(
                    "'{address}' is named twice; every login needs its own name"
                ));
            }
        }
        let mine = self.domain();
        let mut others = self.users.iter().map(|user| domain(&user.address));
        if let Some(other) = others.find(|other| !other.eq_ignore_ascii_case(mine)) {
            return Err(format!(
                "all logins share one domain; here are '{mine}' and '{other}'"
            ));
        }
        Ok(())
    }

    /// What stands behind the `@` of every login.
    pub fn domain(&self) -> &str {
        let first = self.door.as_ref().or(self.users.first());
        first.map_or(DOMAIN, |login| domain(&login.address))
    }

    /// `door@demo.local`, unless the options name another.
    pub fn door_address(&self) -> String {
        match &self.door {
            Some(door) => door.address.clone(),
            None => format!("door@{}", self.domain()),
        }
    }
}

fn domain(address: &str) -> &str {
    address.split_once('@').map_or(DOMAIN, |(_, domain)| domain)
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds.into())),
        Ok(_) | Err(_) => Err("expected a whole number of seconds, at least 1".to_owned()),
    }
}

/// `NAME:PASSWORD`.
#[derive(Clone, Debug)]
pub struct Login {
    /// `alice@demo.local`.
    pub address: String,
    /// Shown to nobody.
    pub password: Secret,
}

impl FromStr for Login {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((name, password)) if !name.is_empty() && !password.is_empty() => Ok(Self {
                address: address(name)?,
                password: Secret::new(password),
            }),
            Some(_) | None => Err("expected NAME:PASSWORD, for example alice:secret".to_owned()),
        }
    }
}

/// The address of `name`, with the demo's domain if it has none.
///
/// # Errors
///
/// A sentence, for a name that no client could use.
pub fn address(name: &str) -> Result<String, String> {
    let (local, domain) = name.split_once('@').unwrap_or((name, DOMAIN));
    let fits = |part: &str, extra: &str| {
        !part.is_empty()
            && part.len() <= 64
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    if fits(local, "-._") && fits(domain, "-.") {
        Ok(format!("{local}@{domain}"))
    } else {
        Err(format!(
            "'{name}' is not a name: letters, digits and - . _ are, with or without @domain"
        ))
    }
}

/// A picture's size, pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

impl FromStr for Size {
    type Err = &'static str;

    /// What cameras cannot do, the camera says.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let wrong = "expected WIDTHxHEIGHT, for example 1280x720";
        let (width, height) = text.split_once('x').ok_or(wrong)?;
        Ok(Self {
            width: width.parse().map_err(|_| wrong)?,
            height: height.parse().map_err(|_| wrong)?,
        })
    }
}

/// Two ALSA device names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlsaPair {
    /// The microphone's.
    pub capture: String,
    /// The speaker's.
    pub playback: String,
}

impl FromStr for AlsaPair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Device names hold commas themselves (hw:0,0): the two names are the halves.
        let commas: Vec<usize> = text.match_indices(',').map(|(at, _)| at).collect();
        if commas.len().is_multiple_of(2) {
            return Err(
                "expected CAPTURE,PLAYBACK, for example plughw:1,0,plughw:1,0 or mic,spk"
                    .to_owned(),
            );
        }
        let (capture, playback) = text.split_at(commas[commas.len() / 2]);
        let playback = &playback[1..];
        if capture.is_empty() || playback.is_empty() {
            return Err("expected CAPTURE,PLAYBACK; one of them is empty".to_owned());
        }
        Ok(Self {
            capture: capture.to_owned(),
            playback: playback.to_owned(),
        })
    }
}

/// Where the picture comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Video {
    /// The moving test picture.
    Test,
    /// A V4L2 device.
    V4l2(PathBuf),
    /// A file, played over and over.
    File(PathBuf),
}

impl FromStr for Video {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "test" => Ok(Self::Test),
            Some(("v4l2", device)) if !device.is_empty() => Ok(Self::V4l2(device.into())),
            Some(("file", file)) if !file.is_empty() => Ok(Self::File(file.into())),
            Some(_) | None => Err("expected test, v4l2:/dev/video0 or file:PATH".to_owned()),
        }
    }
}

/// Where panel commands come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PanelInput {
    /// Lines on standard input.
    Stdin,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_may_hold_colons_in_its_password_only() {
        let login: Login = "alice:se:cret".parse().expect("a login");
        assert_eq!(login.address, "alice@demo.local");
        assert_eq!(login.password.expose(), "se:cret");
        let login: Login = "bob@x.org:p".parse().expect("a login");
        assert_eq!(login.address, "bob@x.org");
        for wrong in ["alice", "alice:", ":secret", "a b:c", "a/b:c"] {
            assert!(wrong.parse::<Login>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        for (options, sentence) in [
            ("--plain-http", None),
            (
                "--plain-http --listen 0.0.0.0:80",
                Some("--plain-http is refused on 0.0.0.0:80"),
            ),
            ("--listen 0.0.0.0:80", None),
            (
                "--user a:x --user A:y",
                Some("'A@demo.local' is named twice"),
            ),
            (
                "--user a:x --door a:y",
                Some("'a@demo.local' is named twice"),
            ),
            (
                "--user a@x.org:x --user b:y",
                Some("here are 'x.org' and 'demo.local'"),
            ),
            ("--user door:x", Some("'door@demo.local' is named twice")),
            ("--user a@x.org:x --door b@x.org:y", None),
            ("--door b@x.org:y", None),
        ] {
            let fault = parsed(options).check().err();
            assert_eq!(fault.is_some(), sentence.is_some(), "{options}: {fault:?}");
            let fault = fault.unwrap_or_default();
            assert!(fault.contains(sentence.unwrap_or_default()), "{fault}");
        }
    }

    fn parsed(options: &str) -> Options {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            options: Options,
        }
        let words = std::iter::once("demo").chain(options.split_whitespace());
        let line = <Line as clap::Parser>::try_parse_from(words).expect("each option is right");
        line.options
    }

    #[test]
    fn alsa_names_may_hold_commas() {
        for (text, capture, playback) in [
            ("mic,spk", "mic", "spk"),
            ("plughw:1,0,plughw:0,0", "plughw:1,0", "plughw:0,0"),
        ] {
            let pair: AlsaPair = text.parse().expect("a pair");
            assert_eq!(
                (pair.capture.as_str(), pair.playback.as_str()),
                (capture, playback)
            );
        }
        assert!("hw:0".parse::<AlsaPair>().is_err());
        assert!("a,b,c".parse::<AlsaPair>().is_err());
        assert!(",b".parse::<AlsaPair>().is_err());
    }

    #[test]
    fn pictures_are_named_by_kind() {
        assert_eq!("test".parse(), Ok(Video::Test));
        assert_eq!(
            "v4l2:/dev/video2".parse(),
            Ok(Video::V4l2("/dev/video2".into()))
        );
        assert!("file:".parse::<Video>().is_err());
        assert!("webcam".parse::<Video>().is_err());
    }
}
