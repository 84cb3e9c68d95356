//! A session's socket that keeps what the far end sends a moment too early.
//!
//! A far end that answers knows both descriptions before we do, and checks the way at
//! once (RFC 8445, section 7.3, calls that very likely). rtc 0.21.1 drops three kinds of
//! such datagrams, and the far end repeats each after some 50 ms:
//!
//! * A check before the far end's description is known: kept until it is.
//! * A check before the answer to our own: the controlling side would choose the pair
//!   with it at once instead of at its next tick, and the controlled side forgets the
//!   nomination in it. It is told once more, right behind that answer.
//! * The first message of the DTLS handshake before a pair is chosen: kept until one is.
//!
//! And it drops media that come in one go with the last message of the handshake, for the
//! driver takes what there is to read before it takes over the keys: the next datagram
//! waits for its next turn.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

/// Datagrams of a kind that are kept; of more the oldest goes. A far end has a few
/// addresses, and its first handshake message is one to three datagrams.
const KEPT: usize = 8;

/// A longer datagram than any network carries whole is not kept.
const LARGEST: usize = 1_500;

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The far end's description is not known.
    Offered,
    /// Both are; no pair of candidates is chosen.
    Described,
    /// One is; the handshake is under way.
    Chosen,
    /// Media can pass: nothing is too early any more.
    Connected,
}

/// What a session tells its sockets.
#[derive(Debug, Default)]
pub(crate) struct Early {
    stage: AtomicU8,
    sockets: Mutex<Vec<Arc<AtomicWaker>>>,
}

impl Early {
    /// Both descriptions are known.
    pub(crate) fn described(&self) {
        self.reach(Stage::Described);
    }

    /// A pair of candidates is chosen.
    pub(crate) fn chosen(&self) {
        self.reach(Stage::Chosen);
    }

    /// The handshake is over.
    pub(crate) fn connected(&self) {
        self.reach(Stage::Connected);
    }

    fn reach(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::AcqRel);
        let sockets = lock(&self.sockets);
        sockets.iter().for_each(|waker| waker.wake());
    }

    fn stage(&self) -> Stage {
        let stage = self.stage.load(Ordering::Acquire);
        let stages = [Stage::Offered, Stage::Described, Stage::Chosen];
        let known = stages.into_iter().find(|known| *known as u8 == stage);
        known.unwrap_or(Stage::Connected)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a datagram is, by its first bytes (RFC 8489, section 5; RFC 7983).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A Binding request.
    Check,
    /// The answer to a Binding request.
    Answer,
    /// DTLS.
    Handshake,
    Other,
}

impl Kind {
    fn of(datagram: &[u8]) -> Self {
        match datagram {
            [0, 1, ..] => Self::Check,
            [1, 1, ..] => Self::Answer,
            [20..=63, ..] => Self::Handshake,
            _ => Self::Other,
        }
    }
}

#[derive(Clone, Debug)]
struct Datagram {
    bytes: Vec<u8>,
    meta: RecvMeta,
}

/// What waits, and what is to be read before anything else.
#[derive(Debug, Default)]
struct Desk {
    due: VecDeque<Datagram>,
    /// The latest check of each address that was not told twice.
    checks: VecDeque<Datagram>,
    /// The checks came before the far end's description, and were not told.
    untold: bool,
    handshake: VecDeque<Datagram>,
    /// The latest that was read belongs to the handshake.
    shaking: bool,
}

/// Adds one; a full queue loses its oldest.
fn keep(queue: &mut VecDeque<Datagram>, datagram: Datagram) {
    if queue.len() == KEPT {
        queue.pop_front();
    }
    queue.push_back(datagram);
}

impl Desk {
    /// The session is at `stage`: what is no longer too early is due.
    fn reach(&mut self, stage: Stage) {
        if stage >= Stage::Described && std::mem::take(&mut self.untold) {
            self.due.extend(self.checks.iter().cloned());
        }
        if stage >= Stage::Chosen {
            self.checks.clear();
            self.due.append(&mut self.handshake);
        }
    }

    /// Takes what arrived at `stage`.
    fn take(&mut self, stage: Stage, datagram: Datagram) {
        match Kind::of(&datagram.bytes) {
            _ if stage >= Stage::Chosen => self.due.push_back(datagram),
            Kind::Check => {
                let from = datagram.meta.addr;
                self.checks.retain(|kept| kept.meta.addr != from);
                if stage == Stage::Offered {
                    self.untold = true;
                } else {
                    self.due.push_back(datagram.clone());
                }
                keep(&mut self.checks, datagram);
            }
            Kind::Answer if stage >= Stage::Described => {
                let from = datagram.meta.addr;
                self.due.push_back(datagram);
                let checks = std::mem::take(&mut self.checks).into_iter();
                let (mut again, others) = checks.partition(|check| check.meta.addr == from);
                self.due.append(&mut again);
                self.checks = others;
            }
            Kind::Handshake => keep(&mut self.handshake, datagram),
            Kind::Answer | Kind::Other => self.due.push_back(datagram),
        }
    }
}

/// The socket around a socket.
#[derive(Debug)]
pub(crate) struct EarlySocket {
    socket: Arc<dyn AsyncUdpSocket>,
    early: Arc<Early>,
    waker: Arc<AtomicWaker>,
    desk: Mutex<Desk>,
    /// Nothing is kept, and nothing will be.
    over: AtomicBool,
}

impl EarlySocket {
    pub(crate) fn new(socket: Arc<dyn AsyncUdpSocket>, early: Arc<Early>) -> Self {
        let waker = Arc::new(AtomicWaker::new());
        let mut sockets = lock(&early.sockets);
        // Those of sockets that are gone have no other owner.
        sockets.retain(|waker| Arc::strong_count(waker) > 1);
        sockets.push(Arc::clone(&waker));
        drop(sockets);
        Self {
            socket,
            early,
            waker,
            desk: Mutex::default(),
            over: AtomicBool::new(false),
        }
    }

    /// The next datagram while something may be too early.
    fn poll_early(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buffer), Some(first)) = (bufs.first_mut(), meta.first_mut()) else {
            return Poll::Ready(Ok(0));
        };
        // Before the stage is looked at, so that no change of it is missed.
        self.waker.register(cx.waker());
        let mut desk = lock(&self.desk);
        if std::mem::take(&mut desk.shaking) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            let stage = self.early.stage();
            desk.reach(stage);
            if let Some(datagram) = desk.due.pop_front() {
                desk.shaking = Kind::of(&datagram.bytes) == Kind::Handshake;
                let length = datagram.bytes.len().min(buffer.len());
                buffer[..length].copy_from_slice(&datagram.bytes[..length]);
                *first = datagram.meta;
                (first.len, first.stride) = (length, length.max(1));
                return Poll::Ready(Ok(1));
            }
            if stage == Stage::Connected {
                self.over.store(true, Ordering::Release);
                return self.socket.poll_recv(cx, bufs, meta);
            }
            let mut room = [IoSliceMut::new(buffer)];
            match self
                .socket
                .poll_recv(cx, &mut room, std::slice::from_mut(first))
            {
                Poll::Ready(Ok(1)) => {}
                other => return other,
            }
            // The kernel may have joined several of one sender.
            let arrived = &buffer[..first.len.min(buffer.len())];
            for bytes in arrived.chunks(first.stride.max(1)) {
                if bytes.len() <= LARGEST {
                    let (bytes, meta) = (bytes.to_vec(), *first);
                    desk.take(stage, Datagram { bytes, meta });
                }
            }
        }
    }
}

impl AsyncUdpSocket for EarlySocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        self.socket.poll_send(cx, transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if self.over.load(Ordering::Acquire) {
            self.socket.poll_recv(cx, bufs, meta)
        } else {
            self.poll_early(cx, bufs, meta)
        }
    }

    fn max_gso_segments(&self) -> usize {
        self.socket.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.socket.max_gro_segments()
    }
}

#[cfg(test)]
#[path = "early_tests.rs"]
mod tests;
