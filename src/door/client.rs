//! The station's client of the relay guardian: keeps a connection, beats, carries
//! orders, and tells the core what comes of them.
//!
//! # Contract
//!
//! * Each order is answered once: by [`Relay::Opened`], [`Relay::Refused`], or by
//!   [`Relay::Lost`] for all that are not answered yet.
//! * An order goes over the connection that it names or over none: one that waited
//!   while a connection was lost opens nothing later.
//! * A guardian that does not answer an order within a second, or says nothing for two,
//!   is left: it ends its pulse when its client goes.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep_until};
use tracing::{info, warn};

use super::guardian::Limits;
use super::message::{Lines, Message, Refusal, Reply};
use crate::call::{DoorOrder, Input, Refused, Relay};
use crate::clock;
use crate::telemetry::kind;

/// Orders that may wait for the client. People give one at a time; full: the station
/// refuses.
pub const ORDERS: usize = 16;
/// Four beats fit into the guardian's patience.
const BEAT: Duration = Limits::SILENCE.checked_div(4).expect("four is not zero");
/// How long an answer may take: over a Unix socket, to a process that does nothing else.
const ANSWER: Duration = Duration::from_secs(1);
/// Between two attempts to connect: the first, doubled up to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The client; [`Client::run`] works.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    inbox: mpsc::Sender<Input>,
    orders: mpsc::Receiver<DoorOrder>,
    tampered: bool,
    link: u32,
}

/// Why a connection is left.
#[derive(Debug, thiserror::Error)]
enum Left {
    #[error("the connection: {0}")]
    Io(#[from] io::Error),
    #[error("it closed the connection")]
    Closed,
    #[error("it says what means nothing")]
    NotUnderstood,
    #[error("it does not answer")]
    Silent,
    /// The station is gone.
    #[error("the station is stopping")]
    Stopping,
}

impl Client {
    /// A client of the guardian at `socket`, and where to order.
    pub fn new(socket: PathBuf, inbox: mpsc::Sender<Input>) -> (Self, mpsc::Sender<DoorOrder>) {
        let (sender, orders) = mpsc::channel(ORDERS);
        let client = Self {
            socket,
            inbox,
            orders,
            tampered: false,
            link: 0,
        };
        (client, sender)
    }

    /// Runs until the station is gone; dropped at any moment it leaves no pulse behind.
    pub async fn run(mut self) {
        let mut told_lost = false;
        let mut pause = RETRY.0;
        loop {
            match UnixStream::connect(&self.socket).await {
                Ok(stream) => {
                    told_lost = false;
                    pause = RETRY.0;
                    let left = self.converse(stream).await;
                    if matches!(left, Left::Stopping) {
                        return;
                    }
                    warn!(message_id = kind::RELAY_LOST, reason = %left, "the relay guardian is gone; trying again");
                }
                Err(error) if !told_lost => {
                    let path = self.socket.display();
                    warn!(message_id = kind::RELAY_LOST, %path, reason = %error, "the relay guardian cannot be reached; trying again");
                }
                Err(_) => {}
            }
            if !std::mem::replace(&mut told_lost, true) && !self.tell(Relay::Lost).await {
                return;
            }
            if !self.wait(pause).await {
                return;
            }
            pause = (pause * 2).min(RETRY.1);
        }
    }

    /// Refuses what is ordered meanwhile; `false` if the station is gone.
    async fn wait(&mut self, pause: Duration) -> bool {
        let until = clock::now() + pause;
        loop {
            let order = tokio::select! {
                () = sleep_until(until.into()) => return true,
                order = self.orders.recv() => order,
            };
            let alive = match order {
                None => false,
                Some(order) => self.refuse(order).await,
            };
            if !alive {
                return false;
            }
        }
    }

    async fn refuse(&mut self, order: DoorOrder) -> bool {
        match order {
            DoorOrder::Tampered(tampered) => {
                self.tampered = tampered;
                true
            }
            DoorOrder::Pulse { number, .. } => {
                let refused = Refused::NoRelay;
                self.tell(Relay::Refused { number, refused }).await
            }
        }
    }

    async fn converse(&mut self, stream: UnixStream) -> Left {
        self.link = self.link.wrapping_add(1);
        let link = self.link;
        if !self.tell(Relay::Here { link }).await {
            return Left::Stopping;
        }
        info!(
            message_id = kind::RELAY_BACK,
            "connected to the relay guardian"
        );
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut talk = Talk {
            stream,
            lines: Lines::default(),
            due: BTreeMap::new(),
            heard: clock::now(),
        };
        loop {
            if let Err(left) = self.step(&mut talk, &mut beats).await {
                return left;
            }
        }
    }

    async fn step(&mut self, talk: &mut Talk, beats: &mut Interval) -> Result<(), Left> {
        let answer_by = talk.due.values().min().copied();
        tokio::select! {
            replies = talk.read() => {
                for reply in replies? {
                    if !self.tell(talk.heard(reply)).await {
                        return Err(Left::Stopping);
                    }
                }
            }
            order = self.orders.recv() => match order {
                None => return Err(Left::Stopping),
                Some(DoorOrder::Tampered(tampered)) => {
                    self.tampered = tampered;
                    talk.write(&Message::Beat { tampered })?;
                }
                Some(DoorOrder::Pulse { link, number, length }) if link == self.link => {
                    talk.due.insert(number, clock::now() + ANSWER);
                    talk.write(&Message::Pulse { number, length })?;
                }
                Some(stale @ DoorOrder::Pulse { .. }) => {
                    if !self.refuse(stale).await {
                        return Err(Left::Stopping);
                    }
                }
            },
            _ = beats.tick() => {
                let tampered = self.tampered;
                talk.write(&Message::Beat { tampered })?;
                if clock::now() >= talk.heard + Limits::SILENCE {
                    return Err(Left::Silent);
                }
            }
            () = due(answer_by) => return Err(Left::Silent),
        }
        Ok(())
    }

    async fn tell(&self, relay: Relay) -> bool {
        self.inbox.send(Input::Relay(relay)).await.is_ok()
    }
}

/// One connection.
struct Talk {
    stream: UnixStream,
    lines: Lines,
    /// When each order must be answered.
    due: BTreeMap<u32, Instant>,
    /// The latest sign of life.
    heard: Instant,
}

impl Talk {
    async fn read(&mut self) -> Result<Vec<Reply>, Left> {
        let mut buffer = [0; 256];
        let length = self.stream.read(&mut buffer).await?;
        if length == 0 {
            return Err(Left::Closed);
        }
        self.lines
            .take(&buffer[..length])
            .map_err(|_| Left::NotUnderstood)
    }

    /// The kernel takes hundreds of messages; a guardian that reads none of them is
    /// left.
    fn write(&mut self, message: &Message) -> Result<(), Left> {
        let line = format!("{message}\n");
        match self.stream.try_write(line.as_bytes()) {
            Ok(written) if written == line.len() => Ok(()),
            Ok(_) => Err(Left::Silent),
            Err(error) => Err(error.into()),
        }
    }

    fn heard(&mut self, reply: Reply) -> Relay {
        self.heard = clock::now();
        match reply {
            Reply::State { open, .. } => Relay::State { open },
            Reply::Opened { number } => {
                self.due.remove(&number);
                Relay::Opened { number }
            }
            Reply::Refused { number, why } => {
                self.due.remove(&number);
                let refused = by_guardian(why);
                Relay::Refused { number, refused }
            }
        }
    }
}

fn by_guardian(why: Refusal) -> Refused {
    Refused::Guardian {
        word: why.word(),
        sentence: why.sentence(),
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
