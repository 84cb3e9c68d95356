//! Connections: accept, read a line, answer it; all of it bounded.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{debug, info, warn};

use super::Desk;
use super::message::{LONGEST, Reply, Request, Told};
use crate::peer::Allowed;
use crate::report::json::Json;
use crate::report::{self, Format, terminal};
use crate::tasks::Tasks;

/// Connections at one time: operators and their scripts. One more is told so and hung
/// up on.
pub(super) const CONNECTIONS: usize = 16;
/// Of these, those that watch for long: there is always a place for a question.
const WATCHERS: usize = 8;
/// How long a client may take to say a line, or be silent between two.
const READ_TIME: Duration = Duration::from_secs(5);
/// A client that takes nothing for this long is cut off.
const WRITE_TIME: Duration = Duration::from_secs(5);
/// Between two requests of a connection: the station has better things to do than to
/// answer as fast as somebody can ask.
const PACE: Duration = Duration::from_millis(20);
/// After a failed accept (no file descriptors left): time for some to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `tasks` are cancelled.
pub(super) async fn serve(
    listener: &UnixListener,
    allowed: Allowed,
    desk: &Arc<Desk>,
    tasks: &Tasks,
) {
    let stopped = tasks.cancelled();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let watchers = Arc::new(Semaphore::new(WATCHERS));
    while let Some(accepted) = stopped.run_until_cancelled(listener.accept()).await {
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "cannot accept a connection at the control socket");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if !known(&stream, &allowed) {
            refuse(&stream, "not_allowed", "this user may not ask the station");
            continue;
        }
        let Ok(place) = places.clone().try_acquire_owned() else {
            refuse(&stream, "busy", "too many ask at the same time; try again");
            continue;
        };
        let connection = Connection {
            stream,
            heard: Vec::new(),
            desk: desk.clone(),
            watchers: watchers.clone(),
            tasks: tasks.clone(),
        };
        tasks.spawn("control-connection", async move {
            if let Err(error) = connection.serve().await {
                debug!(%error, "a connection of the control socket ended");
            }
            drop(place);
        });
    }
}

/// Whether the kernel says that the other end may ask.
fn known(stream: &UnixStream, allowed: &Allowed) -> bool {
    match stream.peer_cred() {
        Ok(peer) if allowed.permits(peer) => true,
        Ok(peer) => {
            info!(
                uid = peer.uid(),
                "a user who may not was at the control socket"
            );
            false
        }
        Err(error) => {
            debug!(%error, "the kernel does not say who is at the control socket");
            false
        }
    }
}

/// The new connection's buffer is empty: this takes no time.
fn refuse(stream: &UnixStream, code: &str, message: &str) {
    if let Ok(line) = line(&Reply::no(code, message)) {
        // Whoever it is may have gone.
        let _ = stream.try_write(&line);
    }
}

struct Connection {
    stream: UnixStream,
    /// Read, and not yet a whole line.
    heard: Vec<u8>,
    desk: Arc<Desk>,
    watchers: Arc<Semaphore>,
    /// For what a request leaves to be done later.
    tasks: Tasks,
}

/// What came of waiting for a line.
enum Heard {
    Line(Vec<u8>),
    TooLong,
    TooSlow,
    /// The client has hung up.
    End,
}

impl Connection {
    async fn serve(mut self) -> io::Result<()> {
        loop {
            let request = match self.hear().await? {
                Heard::Line(line) => serde_json::from_slice(&line),
                Heard::TooLong => {
                    let message = format!("a line has at most {LONGEST} bytes");
                    return self.say(&Reply::no("too_long", message)).await;
                }
                Heard::TooSlow => {
                    let message = "nothing was asked for 5 s";
                    return self.say(&Reply::no("too_slow", message)).await;
                }
                Heard::End => return Ok(()),
            };
            match request {
                Ok(Request::Watch { words }) => match self.watchers.clone().try_acquire_owned() {
                    Ok(place) => return self.watch(words, place).await,
                    Err(_) => {
                        let reply = Reply::no("busy", "too many watch at the same time");
                        self.say(&reply).await?;
                    }
                },
                Ok(request) => {
                    let reply = self.desk.answer(&request, &self.tasks).await;
                    self.say(&reply).await?;
                }
                Err(error) => {
                    let message = format!("not a request of this version: {error}");
                    self.say(&Reply::no("not_understood", message)).await?;
                }
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Waits for a line, without its end.
    async fn hear(&mut self) -> io::Result<Heard> {
        let line = async {
            loop {
                if let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                    let rest = self.heard.split_off(end + 1);
                    let mut line = std::mem::replace(&mut self.heard, rest);
                    line.truncate(end);
                    return Ok(Heard::Line(line));
                }
                if self.heard.len() > LONGEST {
                    return Ok(Heard::TooLong);
                }
                let mut buffer = [0; 1024];
                match self.stream.read(&mut buffer).await? {
                    0 => return Ok(Heard::End),
                    length => self.heard.extend_from_slice(&buffer[..length]),
                }
            }
        };
        let line = tokio::time::timeout(READ_TIME, line).await;
        line.unwrap_or(Ok(Heard::TooSlow))
    }

    async fn say(&mut self, message: &impl Serialize) -> io::Result<()> {
        self.write(&line(message)?).await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        tokio::time::timeout(WRITE_TIME, self.stream.write_all(bytes)).await?
    }

    /// Tells news until either side hangs up.
    async fn watch(mut self, words: bool, _place: OwnedSemaphorePermit) -> io::Result<()> {
        // Before the reply: what happens after it is heard.
        let mut news = self.desk.report.listen();
        self.say(&Reply::yes()).await?;
        let mut said = [0; 64];
        loop {
            let line = tokio::select! {
                line = next(&mut news, words) => line?,
                // Who watches has nothing more to say: it is the end, or a mistake.
                read = self.stream.read(&mut said) => return read.map(|_| ()),
            };
            let Some(line) = line else { return Ok(()) };
            self.write(&line).await?;
        }
    }
}

/// The next line of news; `None` after the last.
async fn next(news: &mut Receiver<report::Told>, words: bool) -> io::Result<Option<Vec<u8>>> {
    loop {
        let told = match news.recv().await {
            Ok(told) => told,
            Err(RecvError::Closed) => return Ok(None),
            Err(RecvError::Lagged(count)) => {
                return Ok(Some(match words {
                    true => line(&Told {
                        time_ms: crate::clock::wall_ms(),
                        words: vec![format!("{count} lines are lost: they came too fast")],
                    })?,
                    false => format!("{{\"event\":\"lost\",\"count\":{count}}}\n").into_bytes(),
                }));
            }
        };
        let mut bytes = Vec::new();
        match words {
            true => {
                let words = terminal::words(&told.news);
                if !words.is_empty() {
                    let time_ms = since_epoch_ms(told.wall);
                    bytes = line(&Told { time_ms, words })?;
                }
            }
            false => Json.write(&told, &mut bytes)?,
        }
        if !bytes.is_empty() {
            return Ok(Some(bytes));
        }
    }
}

fn since_epoch_ms(wall: std::time::SystemTime) -> u64 {
    let since = wall.duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

fn line(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}
