//! What one subscription still has to be told: in order, at most once as far as the
//! client's de-duplication reaches, also over the loss of its socket.
//!
//! A notification leaves when a socket is there and its time has come. It is kept
//! until the client's side confirmed it (the socket's task sends a WebSocket ping
//! behind it and reports the pong), because what was written into a dying socket is
//! lost; a new socket gets the unconfirmed ones again. Clients drop repeats by
//! `eventId` (section 6.1: the last 100).

use std::collections::VecDeque;
use std::time::Instant;

use super::SocketId;
use crate::wire::Notification;

/// Notifications that wait for a socket. A call makes two to six; a client that
/// missed more than this must start afresh.
const MAX_WAITING: usize = 64;
/// Bytes of SDP that wait for a socket: memory of the station, for each
/// subscription.
const MAX_WAITING_BYTES: usize = 1024 * 1024;
/// Written but not confirmed: below the 100 ids that clients remember, so that a
/// repeat is always recognised as one.
const MAX_UNCONFIRMED: usize = 32;

/// There is no more room: the client cannot be told everything.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// One notification on its way.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) socket: SocketId,
    pub(super) sequence: u64,
    pub(super) notification: Notification,
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<(Option<Instant>, Notification)>,
    waiting_bytes: usize,
    unconfirmed: VecDeque<(u64, Notification)>,
    next_sequence: u64,
    socket: Option<SocketId>,
}

impl Outbox {
    /// Queues `notification`, to leave not before `not_before`.
    pub(super) fn push(
        &mut self,
        notification: Notification,
        not_before: Option<Instant>,
    ) -> Result<(), Full> {
        let bytes = weight(&notification);
        let fits = self.waiting.len() < MAX_WAITING
            && self.waiting_bytes.saturating_add(bytes) <= MAX_WAITING_BYTES;
        if !fits {
            return Err(Full);
        }
        self.waiting_bytes += bytes;
        self.waiting.push_back((not_before, notification));
        Ok(())
    }

    /// The next notification that may leave at `now`. The first in the queue holds
    /// back those behind it.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Due> {
        let socket = self.socket?;
        let (not_before, _) = self.waiting.front()?;
        if not_before.is_some_and(|at| at > now) {
            return None;
        }
        let (_, notification) = self.waiting.pop_front()?;
        self.waiting_bytes -= weight(&notification);
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        if self.unconfirmed.len() == MAX_UNCONFIRMED {
            self.unconfirmed.pop_front();
        }
        self.unconfirmed.push_back((sequence, notification.clone()));
        Some(Due {
            socket,
            sequence,
            notification,
        })
    }

    /// When [`Outbox::pop_due`] will have something, if only time is missing.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.socket?;
        self.waiting.front()?.0
    }

    /// Lets everything leave at once.
    pub(super) fn hurry(&mut self) {
        for (not_before, _) in &mut self.waiting {
            *not_before = None;
        }
    }

    pub(super) fn socket(&self) -> Option<SocketId> {
        self.socket
    }

    /// `socket` is there: it gets what its predecessor may not have delivered, then
    /// the rest. Returns the predecessor if it was still there.
    pub(super) fn socket_opened(&mut self, socket: SocketId) -> Option<SocketId> {
        while let Some((_, notification)) = self.unconfirmed.pop_back() {
            self.waiting_bytes += weight(&notification);
            self.waiting.push_front((None, notification));
        }
        self.socket.replace(socket)
    }

    /// `socket` is gone.
    pub(super) fn socket_lost(&mut self, socket: SocketId) {
        if self.socket == Some(socket) {
            self.socket = None;
        }
    }

    /// The client has everything up to and including `sequence`.
    pub(super) fn confirmed(&mut self, sequence: u64) {
        while self
            .unconfirmed
            .front()
            .is_some_and(|(first, _)| *first <= sequence)
        {
            self.unconfirmed.pop_front();
        }
    }
}

/// Bytes that a notification keeps: its SDP and candidates; the rest is small.
fn weight(notification: &Notification) -> usize {
    const ENVELOPE: usize = 512;
    let session = notification.session_params.as_ref();
    let sdp = session.and_then(|s| s.sdp.as_ref()).map_or(0, String::len);
    let custom: usize = notification
        .custom_parameters
        .iter()
        .map(|p| p.name.len() + p.value.len())
        .sum();
    let candidates = session
        .and_then(|s| s.ice_candidates.as_ref())
        .map_or(0, |value| value.to_string().len());
    ENVELOPE + sdp + custom + candidates
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Full, Outbox};
    use crate::clock;
    use crate::gateway::broker::SocketId;
    use crate::wire::{EventType, Notification};

    fn notification(id: &str) -> Notification {
        Notification {
            event_type: EventType::Ringing,
            event_id: id.to_owned(),
            time: String::new(),
            call_notification_params: None,
            session_params: None,
            call_disposition_params: None,
            custom_parameters: Vec::new(),
            retry_after: None,
        }
    }

    fn drain(outbox: &mut Outbox, now: std::time::Instant) -> Vec<String> {
        std::iter::from_fn(|| outbox.pop_due(now))
            .map(|due| due.notification.event_id)
            .collect()
    }

    #[test]
    fn what_waits_for_its_time_holds_back_what_is_behind_it() {
        let now = clock::now();
        let later = now + Duration::from_millis(20);
        let mut outbox = Outbox::default();
        outbox.socket_opened(SocketId(1));
        outbox.push(notification("a"), Some(later)).unwrap();
        outbox.push(notification("b"), None).unwrap();
        assert!(drain(&mut outbox, now).is_empty());
        assert_eq!(outbox.deadline(), Some(later));
        assert_eq!(drain(&mut outbox, later), ["a", "b"]);
    }

    #[test]
    fn a_new_socket_gets_what_the_old_one_may_have_lost_and_then_the_rest() {
        let now = clock::now();
        let mut outbox = Outbox::default();
        outbox.socket_opened(SocketId(1));
        for id in ["a", "b", "c"] {
            outbox.push(notification(id), None).unwrap();
        }
        assert_eq!(drain(&mut outbox, now), ["a", "b", "c"]);
        outbox.confirmed(0);
        outbox.socket_lost(SocketId(1));
        outbox.push(notification("d"), None).unwrap();
        assert!(drain(&mut outbox, now).is_empty());
        outbox.socket_opened(SocketId(2));
        assert_eq!(drain(&mut outbox, now), ["b", "c", "d"]);
    }

    #[test]
    fn the_loss_of_a_replaced_socket_does_not_touch_its_successor() {
        let mut outbox = Outbox::default();
        outbox.socket_opened(SocketId(1));
        assert_eq!(outbox.socket_opened(SocketId(2)), Some(SocketId(1)));
        outbox.socket_lost(SocketId(1));
        assert_eq!(outbox.socket(), Some(SocketId(2)));
    }

    #[test]
    fn a_queue_is_bounded_by_count_and_by_bytes() {
        let mut outbox = Outbox::default();
        let accepted = (0..1000)
            .take_while(|_| outbox.push(notification("x"), None).is_ok())
            .count();
        assert_eq!(accepted, super::MAX_WAITING);

        let mut outbox = Outbox::default();
        let mut big = notification("x");
        big.session_params = Some(crate::wire::SessionParams {
            sdp: Some("x".repeat(64 * 1024)),
            ..Default::default()
        });
        let accepted = (0..1000)
            .take_while(|_| outbox.push(big.clone(), None) != Err(Full))
            .count();
        assert_eq!(accepted, 15);
    }
}
