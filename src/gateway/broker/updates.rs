//! What the parties of an established call tell each other (5.7, 5.8, 5.11).

use std::time::Instant;

use super::calls::{CallKey, PendingOffer, Stage};
use super::notice::{self, Side};
use super::{Broker, Refusal, Reply};
use crate::wire::{EventType, Notification};

/// Bytes of trickle candidates in one request.
const MAX_CANDIDATES: usize = 16 * 1024;

impl Broker {
    /// 5.7. One offer at a time.
    pub(super) fn offer(
        &mut self,
        key: CallKey,
        side: Side,
        sdp: Option<String>,
        now: Instant,
    ) -> Result<Reply, Refusal> {
        self.check_sdp(sdp.as_deref())?;
        let call = self.calls.get_mut(key).ok_or(Refusal::NoSession)?;
        let Stage::Up { pending, .. } = &mut call.stage else {
            return Err(Refusal::WrongState);
        };
        if pending.is_some_and(|offer| offer.until > now) {
            return Err(Refusal::Glare);
        }
        *pending = Some(PendingOffer::new(side, sdp.is_none(), now));
        self.relay(key, side, EventType::StartCallUpdate, sdp, now);
        Ok(Reply::Done)
    }

    /// 5.8.
    pub(super) fn respond(
        &mut self,
        key: CallKey,
        side: Side,
        sdp: Option<String>,
        now: Instant,
    ) -> Result<Reply, Refusal> {
        self.check_sdp(sdp.as_deref())?;
        let call = self.calls.get_mut(key).ok_or(Refusal::NoSession)?;
        let Stage::Up { pending, .. } = &mut call.stage else {
            return Err(Refusal::WrongState);
        };
        let Some(offer) = pending.take_if(|offer| offer.by == side.other()) else {
            return Err(Refusal::WrongState);
        };
        if offer.slow {
            *pending = Some(PendingOffer::new(side, false, now));
        }
        self.relay(key, side, EventType::RespondCallUpdate, sdp, now);
        Ok(Reply::Done)
    }

    /// 5.11.
    pub(super) fn trickle(
        &mut self,
        key: CallKey,
        side: Side,
        candidates: serde_json::Value,
        now: Instant,
    ) -> Result<Reply, Refusal> {
        if candidates.to_string().len() > MAX_CANDIDATES {
            return Err(Refusal::TooLarge);
        }
        for (leg, to, mut notification) in self.opposite(key, side, EventType::IceCandidate) {
            if let Some(session) = &mut notification.session_params {
                session.ice_candidates = Some(candidates.clone());
            }
            tracing::trace!(leg, "relaying candidates");
            self.send(&to, notification, now);
        }
        Ok(Reply::Done)
    }

    /// Tells the other side of `side` about `event` with `sdp`.
    fn relay(
        &mut self,
        key: CallKey,
        side: Side,
        event: EventType,
        sdp: Option<String>,
        now: Instant,
    ) {
        for (_, to, notification) in self.opposite(key, side, event) {
            self.send(&to, notice::with_sdp(notification, sdp.clone()), now);
        }
    }

    /// Leg, recipient and notification of `event` for everybody opposite `side`.
    fn opposite(
        &mut self,
        key: CallKey,
        side: Side,
        event: EventType,
    ) -> Vec<(String, Recipient, Notification)> {
        let Some(call) = self.calls.get_mut(key) else {
            return Vec::new();
        };
        let of = |side, leg: &str| notice::notice(event.clone(), &call.parties, side, leg);
        match side {
            Side::Callee => {
                let leg = call.caller_leg.clone();
                let notification = of(Side::Caller, &leg);
                let to = Recipient::User(call.parties.caller.address.clone());
                vec![(leg, to, notification)]
            }
            Side::Caller => call
                .forks
                .iter()
                .map(|fork| {
                    let to = Recipient::Subscription(fork.subscription.clone());
                    (fork.leg.clone(), to, of(Side::Callee, &fork.leg))
                })
                .collect(),
        }
    }

    fn send(&mut self, to: &Recipient, notification: Notification, now: Instant) {
        match to {
            Recipient::User(user) => self.registrations.tell_user(user, &notification, now),
            Recipient::Subscription(id) => self.registrations.tell(id, notification, now),
        }
    }
}

enum Recipient {
    /// All clients of a user.
    User(String),
    /// One client.
    Subscription(String),
}
