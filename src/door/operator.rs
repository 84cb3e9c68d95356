//! Opens the door by hand: a client of the relay guardian for one pulse.
//!
//! It waits for the guardian on the thread it is called on, and beats meanwhile.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::message::{Lines, Message, Refusal, Reply};
use crate::clock;

/// Where the guardian listens unless it is told otherwise.
pub const SOCKET: &str = "/run/doorstation-relay/socket";
/// The group whose members may open by hand, as `systemd/` sets it up.
pub const GROUP: &str = "doorstation-door";

/// How often it says that it lives: four times within the guardian's patience.
const BEAT: Duration = Duration::from_millis(500);
/// A guardian that says nothing of the order for so long is hung.
const PATIENCE: Duration = Duration::from_secs(3);
const ORDER: u32 = 1;

/// Why the door was not opened, or how it went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel or the guardian does not let us.
    #[error(
        "this user may not open the door: it takes the group '{GROUP}' (sudo adduser NAME {GROUP}, then log in again)"
    )]
    Forbidden,
    /// Nobody listens.
    #[error("the relay guardian does not run: nothing listens on {}", .0.display())]
    NotThere(PathBuf),
    /// The guardian does not open.
    #[error("the door stays shut: {}", .0.sentence())]
    Refused(Refusal),
    /// It fell silent or spoke nonsense. It shuts the door itself.
    #[error("the relay guardian does not answer as it should; it shuts the door itself")]
    Lost,
    /// The socket.
    #[error("cannot speak to the relay guardian")]
    Socket(#[from] io::Error),
}

/// Orders one pulse and waits until it is over; `opened` is called when the line is
/// on. Gives how long it was.
///
/// # Errors
/// The door was not opened, or the guardian was lost on the way.
pub fn open(socket: &Path, length: Duration, opened: impl FnOnce()) -> Result<Duration, Error> {
    let mut stream = UnixStream::connect(socket).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => Error::Forbidden,
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            Error::NotThere(socket.to_owned())
        }
        _ => Error::Socket(error),
    })?;
    stream.set_read_timeout(Some(BEAT))?;
    let mut opened = Some(opened);
    let mut on_since: Option<Instant> = None;
    let mut known = false;
    let mut limit = clock::now() + PATIENCE;
    let mut lines = Lines::default();
    let mut beat = clock::now();
    say(&mut stream, &Message::Beat { tampered: false })?;
    let number = ORDER;
    say(&mut stream, &Message::Pulse { number, length })?;
    loop {
        let replies = hear(&mut stream, &mut lines)?;
        let Some(replies) = replies else {
            // Whoever may not open is hung up on without a word.
            return Err(if known { Error::Lost } else { Error::Forbidden });
        };
        for reply in replies {
            known = true;
            match reply {
                Reply::Opened { number: ORDER } => {
                    on_since = Some(clock::now());
                    limit = clock::now() + length + PATIENCE;
                    if let Some(opened) = opened.take() {
                        opened();
                    }
                }
                Reply::Refused { number: ORDER, why } => return Err(Error::Refused(why)),
                Reply::State { open: false, .. } => {
                    if let Some(since) = on_since {
                        return Ok(clock::now() - since);
                    }
                }
                Reply::State { .. } | Reply::Opened { .. } | Reply::Refused { .. } => {}
            }
        }
        if clock::now() >= limit {
            return Err(Error::Lost);
        }
        // Each beat has its reply: one beat for every reply would never end.
        if clock::now() >= beat + BEAT {
            beat = clock::now();
            say(&mut stream, &Message::Beat { tampered: false })?;
        }
    }
}

fn say(stream: &mut UnixStream, message: &Message) -> Result<(), Error> {
    match stream.write_all(format!("{message}\n").as_bytes()) {
        // It has hung up: what it said before, or that it said nothing, is read next.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// What came within a beat; `None` if the guardian has hung up.
fn hear(stream: &mut UnixStream, lines: &mut Lines) -> Result<Option<Vec<Reply>>, Error> {
    let mut buffer = [0; 256];
    match stream.read(&mut buffer) {
        Ok(0) => Ok(None),
        Ok(length) => {
            let replies = lines.take(&buffer[..length]);
            replies.map(Some).map_err(|_| Error::Lost)
        }
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {
                Ok(Some(Vec::new()))
            }
            io::ErrorKind::ConnectionReset => Ok(None),
            _ => Err(error.into()),
        },
    }
}
