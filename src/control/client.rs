//! The other end of the control socket, for the commands.
//!
//! It waits on the thread it is called on.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::GROUP;
use super::message::{Reply, Request, Status};

/// How long an answer may take: the station's loop does nothing that lasts.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest reply: ten calls, a dozen accounts, with room.
const LONGEST: u64 = 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens.
    #[error(
        "the station does not run: nothing listens on {}; \
         start it (sudo systemctl start doorstation), or name its socket with --socket", .0.display()
    )]
    NotRunning(PathBuf),
    /// The kernel or the station does not let us.
    #[error(
        "this user may not ask the station: it takes the group '{GROUP}' \
         (sudo adduser NAME {GROUP}, then log in again), or sudo"
    )]
    NotAllowed,
    /// It listens and says nothing.
    #[error(
        "the station does not answer within 5 s; its log may say why (journalctl -u doorstation)"
    )]
    Silent,
    /// Another program or another version listens.
    #[error("what listens on {} does not answer as a station of this version", .0.display())]
    NotUnderstood(PathBuf),
    /// The socket.
    #[error("cannot speak to the station")]
    Socket(#[from] io::Error),
    /// The station says no.
    #[error("{message}")]
    Refused {
        /// In a word, see [`Reply`].
        code: String,
        /// In a sentence.
        message: String,
    },
}

/// A connection to a running station.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

impl Client {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// Nobody listens there, or we may not.
    pub fn connect(path: &Path) -> Result<Self, Error> {
        let stream = UnixStream::connect(path).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => Error::NotAllowed,
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Error::NotRunning(path.to_owned())
            }
            _ => Error::Socket(error),
        })?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::new(stream),
            path: path.to_owned(),
        })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The station says no, or nothing that can be understood.
    pub fn ask(&mut self, request: &Request) -> Result<Reply, Error> {
        let mut line = serde_json::to_vec(request).map_err(io::Error::from)?;
        line.push(b'\n');
        match self.stream.get_mut().write_all(&line) {
            // It has hung up; what it said before is read next.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            result => result.map_err(slow)?,
        }
        let line = self.line()?.ok_or(Error::Silent)?;
        let reply: Reply =
            serde_json::from_str(&line).map_err(|_| Error::NotUnderstood(self.path.clone()))?;
        if reply.ok {
            return Ok(reply);
        }
        let code = reply.code.unwrap_or_default();
        Err(match code.as_str() {
            "not_allowed" => Error::NotAllowed,
            _ => Error::Refused {
                code,
                message: reply.message.unwrap_or_default(),
            },
        })
    }

    /// Asks where the station stands.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn status(&mut self) -> Result<Box<Status>, Error> {
        let reply = self.ask(&Request::Status {})?;
        reply
            .status
            .ok_or_else(|| Error::NotUnderstood(self.path.clone()))
    }

    /// The next line of those that follow `watch`, without its end; waits for as long
    /// as it takes. `None`: the station has hung up.
    ///
    /// # Errors
    /// The socket.
    pub fn next_line(&mut self) -> Result<Option<String>, Error> {
        self.stream.get_ref().set_read_timeout(None)?;
        self.line()
    }

    fn line(&mut self) -> Result<Option<String>, Error> {
        let mut line = String::new();
        let read = (&mut self.stream).take(LONGEST).read_line(&mut line);
        match read {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(line.trim_end_matches('\n').to_owned())),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(slow(error)),
        }
    }
}

fn slow(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Silent,
        _ => Error::Socket(error),
    }
}
