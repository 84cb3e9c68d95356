//! Between the broker and the sockets: one lock, one timer.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::{Notify, mpsc};

use super::broker::{Broker, Close, Event, Ids, Output, Reply, Request, SocketId};
use crate::clock;
use crate::tasks::BEAT;
use crate::wire::{Envelope, Notification};

/// Frames on their way to one socket's task. The broker lets out at most a queue of
/// 64 and the socket's task only writes, so a full channel means that the client has
/// stopped reading: its socket is given up, and what it missed waits for the next.
const FRAMES: usize = 128;

/// What a socket's task shall write.
#[derive(Debug)]
pub(super) enum Frame {
    /// A text frame, and a WebSocket ping with the number behind it.
    Notify { sequence: u64, text: String },
    /// A close frame; then the task ends.
    Close(Close),
}

/// The broker, shared by all handlers.
pub(super) struct Hub {
    inner: Mutex<Inner>,
    /// The broker's deadline may have moved.
    moved: Notify,
}

struct Inner {
    broker: Broker,
    sockets: BTreeMap<SocketId, mpsc::Sender<Frame>>,
    next_socket: u64,
}

impl Hub {
    pub(super) fn new(broker: Broker) -> Self {
        let inner = Inner {
            broker,
            sockets: BTreeMap::new(),
            next_socket: 0,
        };
        Self {
            inner: Mutex::new(inner),
            moved: Notify::new(),
        }
    }

    pub(super) fn request(&self, user: &str, request: Request) -> Reply {
        let mut inner = self.lock();
        let (reply, outputs) = inner.broker.request(user, request, clock::now());
        inner.carry_out(outputs);
        self.moved.notify_one();
        reply
    }

    /// Whether a socket may be opened on `channel`.
    pub(super) fn knows(&self, channel: &str) -> bool {
        self.lock().broker.knows(channel)
    }

    /// A socket on `channel` is open; its frames come from the receiver. `None`: the
    /// channel has gone.
    pub(super) fn open(&self, channel: &str) -> Option<(SocketId, mpsc::Receiver<Frame>)> {
        let mut inner = self.lock();
        let socket = SocketId(inner.next_socket);
        inner.next_socket += 1;
        let (sender, receiver) = mpsc::channel(FRAMES);
        inner.sockets.insert(socket, sender);
        let Some(outputs) = inner.broker.open(channel, socket, clock::now()) else {
            inner.sockets.remove(&socket);
            return None;
        };
        inner.carry_out(outputs);
        self.moved.notify_one();
        Some((socket, receiver))
    }

    pub(super) fn event(&self, event: Event) {
        let mut inner = self.lock();
        if let Event::Lost(socket) = event {
            inner.sockets.remove(&socket);
        }
        let outputs = inner.broker.event(event, clock::now());
        inner.carry_out(outputs);
        self.moved.notify_one();
    }

    /// Wakes the broker when it is due; runs until it is dropped. Once a second it takes
    /// the lock that every request takes, and says so with `beat`.
    pub(super) async fn run_timer(&self, beat: impl Fn()) {
        let mut tick = tokio::time::interval(BEAT);
        loop {
            let deadline = self.lock().broker.deadline();
            let due = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.event(Event::Timeout),
                () = self.moved.notified() => {}
                _ = tick.tick() => {
                    drop(self.lock());
                    beat();
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic in a handler leaves the broker between two steps at worst; going
        // on beats a door that rings nobody until the restart.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn carry_out(&mut self, outputs: Vec<Output>) {
        let mut outputs = std::collections::VecDeque::from(outputs);
        while let Some(output) = outputs.pop_front() {
            let (socket, frame) = match output {
                Output::Notify {
                    socket,
                    sequence,
                    notification,
                } => {
                    let text = serialise(*notification);
                    (socket, Frame::Notify { sequence, text })
                }
                Output::Close(socket, why) => (socket, Frame::Close(why)),
            };
            let Some(sender) = self.sockets.get(&socket) else {
                continue;
            };
            if sender.try_send(frame).is_err() {
                tracing::debug!(
                    socket = socket.0,
                    "client does not read; giving its socket up"
                );
                self.sockets.remove(&socket);
                outputs.extend(self.broker.event(Event::Lost(socket), clock::now()));
            }
        }
    }
}

fn serialise(mut notification: Notification) -> String {
    notification.time = clock::wall_ms().to_string();
    let envelope = Envelope {
        notification_message: notification,
    };
    serde_json::to_string(&envelope).expect("a notification has only text keys and plain values")
}

/// Ids from the system's random numbers.
#[derive(Debug, Default)]
pub(super) struct RandomIds;

impl RandomIds {
    fn token() -> String {
        URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())
    }
}

impl Ids for RandomIds {
    fn leg(&mut self) -> String {
        Self::token()
    }

    fn channel(&mut self) -> String {
        Self::token()
    }

    fn event(&mut self) -> String {
        uuid::Uuid::new_v4().to_string()
    }
}
