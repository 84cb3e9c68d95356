//! A relay guardian for a station without a relay: the same decisions behind the same
//! kind of socket, with a line that is a value to look at.
//!
//! It has no watcher, and keeps no lock: both are for a process that holds a real line.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tracing::{debug, info};

use super::converse::{converse, until};
use super::guardian::{Client, Guardian, Input, Limits, Output};
use super::message::{Message, Reply};
use crate::clock;
use crate::tasks::Tasks;

/// Messages that may wait for the loop, and replies for a client; as for a real one.
const WAITING: usize = 16;
/// Stands for the watcher.
const WATCH: Duration = Duration::from_millis(500);

/// The simulated line: whether it is on, and how often it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// On now.
    pub on: bool,
    /// Pulses since the start.
    pub pulses: u32,
}

/// Starts a guardian at `socket`; it ends with `tasks`.
///
/// # Errors
/// The socket cannot be made.
pub fn start(socket: &Path, tasks: &Tasks) -> io::Result<watch::Receiver<Line>> {
    let listener = UnixListener::bind(socket)?;
    let (line, seen) = watch::channel(Line::default());
    let (heard, said) = mpsc::channel(WAITING);
    let relay = Relay {
        guardian: Guardian::new(Limits::default(), Duration::ZERO, clock::now()),
        line,
        clients: BTreeMap::new(),
        next: 0,
        heard,
        tasks: tasks.clone(),
    };
    tasks.spawn("simulated-relay", relay.run(listener, said));
    Ok(seen)
}

struct Relay {
    guardian: Guardian,
    line: watch::Sender<Line>,
    clients: BTreeMap<Client, mpsc::Sender<Reply>>,
    next: u64,
    heard: mpsc::Sender<(Client, Option<Message>)>,
    tasks: Tasks,
}

impl Relay {
    async fn run(
        mut self,
        listener: UnixListener,
        mut said: mpsc::Receiver<(Client, Option<Message>)>,
    ) {
        let mut watch = tokio::time::interval(WATCH);
        loop {
            let deadline = self.guardian.deadline();
            tokio::select! {
                biased;
                _ = watch.tick() => self.feed(Input::Watched),
                () = until(deadline) => self.feed(Input::Tick),
                Some((client, message)) = said.recv() => match message {
                    Some(message) => self.feed(Input::Said(client, message)),
                    None => {
                        self.clients.remove(&client);
                        self.feed(Input::Left(client));
                    }
                },
                connected = listener.accept() => match connected {
                    Ok((stream, _)) => self.joined(stream),
                    Err(error) => debug!(%error, "a connection cannot be taken"),
                },
            }
        }
    }

    fn joined(&mut self, stream: UnixStream) {
        let client = Client(self.next);
        self.next += 1;
        let (tell, replies) = mpsc::channel(WAITING);
        self.clients.insert(client, tell);
        let heard = self.heard.clone();
        self.tasks.spawn("simulated-relay-client", async move {
            converse(stream, client, &heard, replies).await;
            // The loop ends with all of us.
            let _ = heard.send((client, None)).await;
        });
        self.feed(Input::Joined(client));
    }

    fn feed(&mut self, input: Input) {
        for output in self.guardian.handle(input, clock::now()) {
            match output {
                Output::Line(on) => {
                    info!(on, "the simulated relay");
                    self.line.send_modify(|line| {
                        line.on = on;
                        line.pulses += u32::from(on);
                    });
                }
                Output::Tell(client, reply) => {
                    let to = self.clients.get(&client);
                    if to.is_some_and(|to| to.try_send(reply).is_err()) {
                        self.clients.remove(&client);
                    }
                }
                Output::Drop(client) => {
                    self.clients.remove(&client);
                }
                Output::Keep(left) => {
                    info!(left_s = left.as_secs(), "the simulated relay is locked");
                }
            }
        }
    }
}
