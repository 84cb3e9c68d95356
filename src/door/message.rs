//! What a client and the relay guardian say to each other, over a Unix stream
//! socket: lines of ASCII, at most [`LONGEST`] bytes each with their end.
//!
//! ```text
//!   client                           guardian
//!   beat 0                           state 0 0        line off, not locked
//!   beat 1    (tampered)             state 0 1800     locked for 1800 s
//!   pulse 7 5000    (ms)             opened 7    or    refused 7 locked
//! ```
//!
//! Two messages, and no third: a client says that it lives (and whether somebody
//! tampers with the panel, which can only close the door), or orders one pulse.
//! `state` comes on connecting, after each beat and at each change. Whoever writes
//! anything else is disconnected.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The longest line with its line feed: `refused 4294967295 too-often\n` has 29.
pub const LONGEST: usize = 48;

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// It lives.
    Beat {
        /// Somebody tampers with the panel.
        tampered: bool,
    },
    /// Open the door once.
    Pulse {
        /// Chosen by the client; the answer carries it.
        number: u32,
        /// How long, in whole milliseconds.
        length: Duration,
    },
}

/// What the guardian says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// How things stand.
    State {
        /// The line is on.
        open: bool,
        /// Every pulse is refused for so many seconds more.
        locked_s: u32,
    },
    /// The line is on now.
    Opened {
        /// The order's.
        number: u32,
    },
    /// The line stays as it is.
    Refused {
        /// The order's.
        number: u32,
        /// Why.
        why: Refusal,
    },
}

/// Why the guardian does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// It is open already; a pulse is not prolonged.
    Open,
    /// The last pulse has only just ended.
    TooSoon,
    /// Too many pulses in the last minute.
    TooOften,
    /// Somebody tampered with the panel.
    Locked,
    /// The pulse is longer or shorter than is allowed.
    Length,
    /// The guardian is ending, or not watched.
    Stopping,
}

impl Refusal {
    const ALL: [Self; 6] = [
        Self::Open,
        Self::TooSoon,
        Self::TooOften,
        Self::Locked,
        Self::Length,
        Self::Stopping,
    ];

    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::TooSoon => "too-soon",
            Self::TooOften => "too-often",
            Self::Locked => "locked",
            Self::Length => "length",
            Self::Stopping => "stopping",
        }
    }

    /// For people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Open => "the door is open already",
            Self::TooSoon => "the door was closed a moment ago: try again in a second",
            Self::TooOften => "the door was opened too often in the last minute",
            Self::Locked => "somebody tampered with the panel: locked for up to 30 minutes",
            Self::Length => "the pulse is longer than the relay guardian allows",
            Self::Stopping => "the relay guardian is not ready",
        }
    }
}

/// A line that is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a message of the relay guardian")]
pub struct NotUnderstood;

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beat { tampered } => write!(f, "beat {}", u8::from(*tampered)),
            Self::Pulse { number, length } => write!(f, "pulse {number} {}", length.as_millis()),
        }
    }
}

impl FromStr for Message {
    type Err = NotUnderstood;

    fn from_str(line: &str) -> Result<Self, NotUnderstood> {
        let mut words = line.split(' ');
        let message = match (words.next(), words.next(), words.next()) {
            (Some("beat"), Some(tampered), None) => Self::Beat {
                tampered: flag(tampered)?,
            },
            (Some("pulse"), Some(number), Some(ms)) => Self::Pulse {
                number: whole(number)?,
                length: Duration::from_millis(whole(ms)?.into()),
            },
            _ => return Err(NotUnderstood),
        };
        words
            .next()
            .is_none()
            .then_some(message)
            .ok_or(NotUnderstood)
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State { open, locked_s } => write!(f, "state {} {locked_s}", u8::from(*open)),
            Self::Opened { number } => write!(f, "opened {number}"),
            Self::Refused { number, why } => write!(f, "refused {number} {}", why.word()),
        }
    }
}

impl FromStr for Reply {
    type Err = NotUnderstood;

    fn from_str(line: &str) -> Result<Self, NotUnderstood> {
        let mut words = line.split(' ');
        let reply = match (words.next(), words.next(), words.next()) {
            (Some("state"), Some(open), Some(locked)) => Self::State {
                open: flag(open)?,
                locked_s: whole(locked)?,
            },
            (Some("opened"), Some(number), None) => Self::Opened {
                number: whole(number)?,
            },
            (Some("refused"), Some(number), Some(word)) => {
                let why = Refusal::ALL.into_iter().find(|why| why.word() == word);
                Self::Refused {
                    number: whole(number)?,
                    why: why.ok_or(NotUnderstood)?,
                }
            }
            _ => return Err(NotUnderstood),
        };
        words.next().is_none().then_some(reply).ok_or(NotUnderstood)
    }
}

/// Makes lines of bytes as they come.
#[derive(Debug, Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// Takes `bytes` and gives every line that is whole now.
    ///
    /// # Errors
    /// A line is too long, is no text, or means nothing.
    pub fn take<T: FromStr<Err = NotUnderstood>>(
        &mut self,
        bytes: &[u8],
    ) -> Result<Vec<T>, NotUnderstood> {
        let mut taken = Vec::new();
        for byte in bytes {
            if *byte == b'\n' {
                let line = std::str::from_utf8(&self.0).map_err(|_| NotUnderstood)?;
                taken.push(line.parse()?);
                self.0.clear();
            } else if self.0.len() + 1 < LONGEST {
                self.0.push(*byte);
            } else {
                return Err(NotUnderstood);
            }
        }
        Ok(taken)
    }
}

fn flag(word: &str) -> Result<bool, NotUnderstood> {
    match word {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(NotUnderstood),
    }
}

/// A number in digits only: `parse` alone would take `+1`.
fn whole(word: &str) -> Result<u32, NotUnderstood> {
    if !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotUnderstood);
    }
    word.parse().map_err(|_| NotUnderstood)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_fits_a_line() {
        for message in [
            Message::Beat { tampered: false },
            Message::Beat { tampered: true },
            Message::Pulse {
                number: u32::MAX,
                length: Duration::from_millis(u32::MAX.into()),
            },
        ] {
            let line = message.to_string();
            assert!(line.len() < LONGEST, "{line}");
            assert_eq!(line.parse(), Ok(message));
        }
        let refused = Refusal::ALL.map(|why| Reply::Refused {
            number: u32::MAX,
            why,
        });
        let replies = [
            Reply::State {
                open: true,
                locked_s: 1800,
            },
            Reply::Opened { number: 0 },
        ];
        for reply in replies.into_iter().chain(refused) {
            let line = reply.to_string();
            assert!(line.len() < LONGEST, "{line}");
            assert_eq!(line.parse(), Ok(reply));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for line in [
            "",
            "beat",
            "beat 2",
            "beat 0 0",
            "beat  0",
            " beat 0",
            "BEAT 0",
            "pulse",
            "pulse 1",
            "pulse 1 -5",
            "pulse +1 5",
            "pulse 1 5 5",
            "pulse 1 4294967296",
            "pulse 1 1e3",
            "pulse \u{661} 5",
            "open",
            "on",
            "beat 0\r",
        ] {
            assert_eq!(line.parse::<Message>(), Err(NotUnderstood), "{line:?}");
        }
    }

    #[test]
    fn a_line_without_end_does_not_grow() {
        let mut lines = Lines::default();
        assert_eq!(lines.take::<Message>(&[b'x'; 47]), Ok(vec![]));
        assert_eq!(lines.take::<Message>(b"x"), Err(NotUnderstood));
        assert!(lines.0.len() < LONGEST);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Lines::default().take::<Message>(&bytes);
            let _ = Lines::default().take::<Reply>(&bytes);
        }

        #[test]
        fn lines_come_whole_however_they_are_cut(cut in 0..21usize) {
            let text = b"beat 0\npulse 3 5000\n\xff";
            let mut lines = Lines::default();
            let mut taken: Vec<Message> = lines.take(&text[..cut]).expect("lines");
            taken.extend(lines.take::<Message>(&text[cut..]).expect("lines"));
            let length = Duration::from_secs(5);
            prop_assert_eq!(taken, [
                Message::Beat { tampered: false },
                Message::Pulse { number: 3, length },
            ]);
        }
    }
}
