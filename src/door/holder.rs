//! The process that holds the relay's line: carries out what the guardian decides.
//!
//! One thread, one loop. It beats towards the watcher from the very loop that ends
//! pulses, so a loop that hangs is silent; and it ends the pulse when the watcher is
//! silent. A panic aborts: the kernel takes the line away.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, io, os::unix::fs::PermissionsExt};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use super::converse::{converse, until};
use super::guardian::{Client, Guardian, Input, Limits, Output};
use super::line::{self, Line, Place};
use super::lock::LockFile;
use super::message::{Message, Reply};
use super::watcher::BEAT;
use crate::clock;
use crate::peer::Allowed;
use crate::tasks::Tasks;
use crate::telemetry::kind;

/// The station, an operator's command, and room for each to come back before the
/// kernel has told that it went.
const CLIENTS: usize = 4;
/// Messages that may wait for the loop; full, the connection waits.
const WAITING: usize = 16;
/// Replies that may wait for a client; one that does not read them is dropped.
const REPLIES: usize = 16;

/// What a holder is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The socket's path.
    pub socket: PathBuf,
    /// The relay's line.
    pub line: Place,
    /// Where the lock after tampering is kept.
    pub lock: PathBuf,
    /// The limits.
    pub limits: Limits,
    /// Who may order pulses.
    pub allowed: Allowed,
}

/// Why the holder ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The line.
    #[error(transparent)]
    Line(#[from] line::Error),
    /// The socket.
    #[error("cannot listen on {}", path.display())]
    Listen {
        /// Its path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Signals, pipes.
    #[error("cannot {0}")]
    Setup(&'static str, #[source] io::Error),
}

/// Holds the line until SIGTERM or until the watcher has gone. Standard input and
/// output are the pipes from and to the watcher.
///
/// # Errors
/// The line or the socket is not to be had, or the line cannot be driven.
pub async fn run(settings: Settings) -> Result<(), Error> {
    // The line first: it is driven off before anything else is looked at.
    let line = Line::open(&settings.line)?;
    let mut pipes =
        Pipes::open().map_err(|error| Error::Setup("use the watcher's pipes", error))?;
    let signals = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    );
    let (mut terminate, mut interrupt) = match signals {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        (Err(error), _) | (_, Err(error)) => return Err(Error::Setup("wait for signals", error)),
    };
    let listener = listen(&settings.socket).map_err(|source| Error::Listen {
        path: settings.socket.clone(),
        source,
    })?;
    let file = LockFile::new(settings.lock);
    let (heard, mut said) = mpsc::channel(WAITING);
    let tasks = Tasks::new();
    let mut holder = Holder {
        guardian: Guardian::new(settings.limits, file.read(), clock::now()),
        line,
        clients: BTreeMap::new(),
        next: 0,
        allowed: settings.allowed,
        heard,
        kept: keeper(file, &tasks),
        tasks,
    };
    info!(line = ?settings.line, "holding the relay's line; it is off");
    let mut beat = tokio::time::interval(BEAT);
    let result = loop {
        // In this order: whoever floods us with messages cannot hold up an end.
        let done = tokio::select! {
            biased;
            _ = terminate.recv() => break Ok(()),
            _ = interrupt.recv() => break Ok(()),
            _ = beat.tick() => match pipes.beat() {
                true => Ok(()),
                false => break Ok(()),
            },
            () = until(holder.guardian.deadline()) => holder.feed(Input::Tick),
            alive = pipes.watched() => match alive {
                true => holder.feed(Input::Watched),
                false => break Ok(()),
            },
            Some((client, message)) = said.recv() => match message {
                Some(message) => holder.feed(Input::Said(client, message)),
                None => holder.gone(client),
            },
            connected = listener.accept() => match connected {
                Ok((stream, _)) => holder.joined(stream),
                Err(error) => {
                    warn!(%error, "a connection cannot be taken");
                    tokio::time::sleep(BEAT).await;
                    Ok(())
                }
            },
        };
        if let Err(error) = done {
            break Err(error);
        }
    };
    let stopped = holder.feed(Input::Stop);
    holder.tasks.stop().await;
    info!("the relay's line is off; ending");
    result.and(stopped).map_err(Error::from)
}

/// A client, and who it is by the kernel's word.
struct Connected {
    to: mpsc::Sender<Reply>,
    uid: u32,
    /// Unknown if it belongs to another namespace.
    pid: Option<i32>,
}

impl Connected {
    /// What became of an order: every one, in one line, with who gave it.
    fn audit(&self, reply: &Reply) {
        let (uid, pid) = (self.uid, self.pid);
        match reply {
            Reply::State { .. } => {}
            Reply::Opened { number } => info!(uid, pid, number, "order: opened"),
            Reply::Refused { number, why } => {
                let why = why.word();
                warn!(uid, pid, number, why, "order: refused");
            }
        }
    }
}

struct Holder {
    guardian: Guardian,
    line: Line,
    clients: BTreeMap<Client, Connected>,
    next: u64,
    allowed: Allowed,
    heard: mpsc::Sender<(Client, Option<Message>)>,
    kept: watch::Sender<Option<Duration>>,
    tasks: Tasks,
}

impl Holder {
    /// Feeds the guardian and does what it says.
    fn feed(&mut self, input: Input) -> Result<(), line::Error> {
        for output in self.guardian.handle(input, clock::now()) {
            match output {
                Output::Line(on) => {
                    self.line.drive(on)?;
                    info!(on, "the relay");
                }
                Output::Tell(client, reply) => {
                    let Some(connected) = self.clients.get(&client) else {
                        continue;
                    };
                    connected.audit(&reply);
                    if connected.to.try_send(reply).is_err() {
                        // Its task ends, and tells us that it has gone.
                        self.clients.remove(&client);
                    }
                }
                Output::Drop(client) => {
                    warn!(client = client.0, "a client is silent; dropped");
                    self.clients.remove(&client);
                }
                Output::Keep(left) => {
                    warn!(
                        message_id = kind::RELAY_LOCKED,
                        left_s = left.as_secs(),
                        "locked after tampering"
                    );
                    self.kept.send_replace(Some(left));
                }
            }
        }
        Ok(())
    }

    fn joined(&mut self, stream: UnixStream) -> Result<(), line::Error> {
        let peer = match stream.peer_cred() {
            Ok(peer) => peer,
            Err(error) => {
                warn!(%error, "the kernel does not say who connects; refused");
                return Ok(());
            }
        };
        let (uid, pid) = (peer.uid(), peer.pid());
        if !self.allowed.permits(peer) {
            warn!(
                uid,
                pid, "somebody who may not open the door connected; refused"
            );
            return Ok(());
        }
        if self.clients.len() >= CLIENTS {
            warn!(uid, pid, "too many clients; refused");
            return Ok(());
        }
        let client = Client(self.next);
        self.next += 1;
        info!(client = client.0, uid, pid, "a client connected");
        let (to, replies) = mpsc::channel(REPLIES);
        self.clients.insert(client, Connected { to, uid, pid });
        let heard = self.heard.clone();
        self.tasks.spawn("client", async move {
            converse(stream, client, &heard, replies).await;
            // The loop outlives every client.
            let _ = heard.send((client, None)).await;
        });
        self.feed(Input::Joined(client))
    }

    fn gone(&mut self, client: Client) -> Result<(), line::Error> {
        self.clients.remove(&client);
        self.feed(Input::Left(client))
    }
}

/// Keeps the lock away from the loop: a memory card may take seconds for it.
fn keeper(file: LockFile, tasks: &Tasks) -> watch::Sender<Option<Duration>> {
    let (kept, mut left) = watch::channel(None);
    let stop = tasks.cancelled().clone();
    tasks.spawn_draining("keeper", async move {
        loop {
            let more = stop.run_until_cancelled(left.changed()).await;
            let newest = *left.borrow_and_update();
            if let Some(newest) = newest {
                let file = file.clone();
                let written = tokio::task::spawn_blocking(move || file.write(newest)).await;
                if let Err(error) = written {
                    error!(%error, "the lock could not be kept");
                }
            }
            if !matches!(more, Some(Ok(()))) {
                return;
            }
        }
    });
    kept
}

/// A socket in place of whatever a dead predecessor left there; its own user and
/// group may connect.
fn listen(path: &std::path::Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// The pipes from and to the watcher.
struct Pipes {
    from: pipe::Receiver,
    to: pipe::Sender,
}

impl Pipes {
    fn open() -> io::Result<Self> {
        let from = io::stdin().as_fd().try_clone_to_owned()?;
        let to = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self {
            from: pipe::Receiver::from_owned_fd(from)?,
            to: pipe::Sender::from_owned_fd(to)?,
        })
    }

    /// Says that we live; `false` if nobody is there.
    fn beat(&self) -> bool {
        match self.to.try_write(b".") {
            Ok(_) => true,
            // It does not read: that it is silent is found out elsewhere.
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// Waits for the watcher's beat; `false` if it has gone.
    async fn watched(&mut self) -> bool {
        let mut beats = [0; 64];
        matches!(self.from.read(&mut beats).await, Ok(1..))
    }
}
