//! The table of calls: pure bookkeeping, no decisions about what to tell whom.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::notice::{Parties, Side};
use crate::wire::{EventType, Notification};

/// A callee's client that does not send `ringing` (Kandy.js 3.x by default) is taken
/// to ring this long after `call` was delivered (section 5.3).
const ANNOUNCE_AFTER: Duration = Duration::from_secs(1);
/// A leg of an established call without a request for this long is dead; clients
/// audit every 25 to 30 s (section 5.9).
const SILENCE: Duration = Duration::from_secs(180);
/// An offer that got no answer for this long no longer blocks the next one.
const OFFER_TIME: Duration = Duration::from_secs(30);
/// Legs that are over and may still be ended once more (section 5.6: reply 200).
const MAX_ENDED: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CallKey(u64);

#[derive(Debug)]
pub(super) struct Call {
    pub(super) parties: Parties,
    pub(super) caller_leg: String,
    /// While it rings: a leg for each client of the callee. Once it is up: the leg
    /// that answered.
    pub(super) forks: Vec<Fork>,
    pub(super) stage: Stage,
    /// The caller's offer, for a callee to whom the call is forwarded.
    pub(super) offer: Option<String>,
    /// How often the call was forwarded.
    pub(super) forwards: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fork {
    pub(super) leg: String,
    pub(super) subscription: String,
    pub(super) user: String,
}

#[derive(Debug)]
pub(super) enum Stage {
    Ringing {
        /// When the caller is told that nobody answers.
        until: Instant,
        announcement: Announcement,
    },
    Up {
        /// The offer that waits for its answer.
        pending: Option<PendingOffer>,
        /// When each side was last heard of.
        caller_heard: Instant,
        callee_heard: Instant,
    },
}

/// Whether the caller has been told that the callee rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announcement {
    /// No client of the callee has got `call` yet.
    Undelivered,
    /// One has; the caller is told now at the latest.
    DueAt(Instant),
    Made,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct PendingOffer {
    pub(super) by: Side,
    /// It had no SDP: the answer is the offer, and is itself answered.
    pub(super) slow: bool,
    pub(super) until: Instant,
}

impl PendingOffer {
    pub(super) fn new(by: Side, slow: bool, now: Instant) -> Self {
        Self {
            by,
            slow,
            until: now + OFFER_TIME,
        }
    }
}

impl Call {
    pub(super) fn is_up(&self) -> bool {
        match self.stage {
            Stage::Ringing { .. } => false,
            Stage::Up { .. } => true,
        }
    }

    fn involves(&self, user: &str) -> bool {
        self.parties.caller.address == user || self.forks.iter().any(|fork| fork.user == user)
    }

    fn deadline(&self) -> Instant {
        match self.stage {
            Stage::Ringing {
                until,
                announcement: Announcement::DueAt(at),
            } => until.min(at),
            Stage::Ringing { until, .. } => until,
            Stage::Up {
                caller_heard,
                callee_heard,
                ..
            } => caller_heard.min(callee_heard) + SILENCE,
        }
    }
}

/// Where a leg belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LegOwner {
    pub(super) call: CallKey,
    pub(super) side: Side,
    user: String,
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: BTreeMap<CallKey, Call>,
    legs: BTreeMap<String, LegOwner>,
    /// Leg and user.
    ended: VecDeque<(String, String)>,
    next: u64,
}

impl Calls {
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// How many calls `user` is part of.
    pub(super) fn of_user(&self, user: &str) -> usize {
        self.calls
            .values()
            .filter(|call| call.involves(user))
            .count()
    }

    pub(super) fn add(&mut self, call: Call) -> CallKey {
        let key = CallKey(self.next);
        self.next += 1;
        let owner = LegOwner {
            call: key,
            side: Side::Caller,
            user: call.parties.caller.address.clone(),
        };
        self.legs.insert(call.caller_leg.clone(), owner);
        self.own_forks(key, &call.forks);
        self.calls.insert(key, call);
        key
    }

    /// Makes `forks` the callee's legs of `call`; the old ones are over. Returns them.
    pub(super) fn replace_forks(&mut self, key: CallKey, forks: Vec<Fork>) -> Vec<Fork> {
        self.own_forks(key, &forks);
        let Some(call) = self.calls.get_mut(&key) else {
            return Vec::new();
        };
        let old = std::mem::replace(&mut call.forks, forks);
        let gone: Vec<_> = old
            .into_iter()
            .filter(|fork| !call.forks.contains(fork))
            .collect();
        for fork in &gone {
            self.bury(&fork.leg);
        }
        gone
    }

    fn own_forks(&mut self, call: CallKey, forks: &[Fork]) {
        for fork in forks {
            let owner = LegOwner {
                call,
                side: Side::Callee,
                user: fork.user.clone(),
            };
            self.legs.insert(fork.leg.clone(), owner);
        }
    }

    pub(super) fn remove(&mut self, key: CallKey) -> Option<Call> {
        let call = self.calls.remove(&key)?;
        self.bury(&call.caller_leg);
        for fork in &call.forks {
            self.bury(&fork.leg);
        }
        Some(call)
    }

    fn bury(&mut self, leg: &str) {
        if let Some(owner) = self.legs.remove(leg) {
            self.remember_ended(leg.to_owned(), owner.user);
        }
    }

    /// Remembers a leg that is over.
    pub(super) fn remember_ended(&mut self, leg: String, user: String) {
        if self.ended.len() == MAX_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back((leg, user));
    }

    /// Whether `user` had the leg `leg` not long ago.
    pub(super) fn was(&self, user: &str, leg: &str) -> bool {
        self.ended.iter().any(|(l, u)| l == leg && u == user)
    }

    /// The call that `user` has `leg` of.
    pub(super) fn find(&mut self, user: &str, leg: &str) -> Option<(LegOwner, &mut Call)> {
        let owner = self.legs.get(leg).filter(|owner| owner.user == user)?;
        let call = self.calls.get_mut(&owner.call)?;
        Some((owner.clone(), call))
    }

    pub(super) fn get_mut(&mut self, key: CallKey) -> Option<&mut Call> {
        self.calls.get_mut(&key)
    }

    /// Takes the forks of `subscription` out of every call; returns the calls that
    /// cannot go on without them, and whether they were up. Those keep their fork.
    pub(super) fn drop_forks_of(&mut self, subscription: &str) -> Vec<(CallKey, bool)> {
        let mut over = Vec::new();
        let mut buried = Vec::new();
        for (&key, call) in &mut self.calls {
            let is_mine = |fork: &Fork| fork.subscription == subscription;
            if call.forks.iter().all(is_mine) {
                over.push((key, call.is_up()));
            } else {
                buried.extend(call.forks.extract_if(.., |fork| is_mine(fork)));
            }
        }
        for fork in buried {
            self.bury(&fork.leg);
        }
        over
    }

    /// The calls that `user` made, and whether they are up.
    pub(super) fn made_by(&self, user: &str) -> Vec<(CallKey, bool)> {
        self.calls
            .iter()
            .filter(|(_, call)| call.parties.caller.address == user)
            .map(|(&key, call)| (key, call.is_up()))
            .collect()
    }

    /// `notification` has left: from a delivered `call` on, ringing is near.
    pub(super) fn delivered(&mut self, notification: &Notification, now: Instant) {
        let Some(session) = &notification.session_params else {
            return;
        };
        if notification.event_type != EventType::Call {
            return;
        }
        let call = self.legs.get(&session.session_data).map(|o| o.call);
        let call = call.and_then(|key| self.calls.get_mut(&key));
        if let Some(Stage::Ringing { announcement, .. }) = call.map(|call| &mut call.stage)
            && *announcement == Announcement::Undelivered
        {
            *announcement = Announcement::DueAt(now + ANNOUNCE_AFTER);
        }
    }

    pub(super) fn to_announce(&self, now: Instant) -> Vec<CallKey> {
        self.select(|stage| match stage {
            Stage::Ringing {
                announcement: Announcement::DueAt(at),
                ..
            } => *at <= now,
            Stage::Ringing { .. } | Stage::Up { .. } => false,
        })
    }

    pub(super) fn unanswered(&self, now: Instant) -> Vec<CallKey> {
        self.select(|stage| match stage {
            Stage::Ringing { until, .. } => *until <= now,
            Stage::Up { .. } => false,
        })
    }

    pub(super) fn silent(&self, now: Instant) -> Vec<CallKey> {
        self.select(|stage| match stage {
            Stage::Ringing { .. } => false,
            Stage::Up {
                caller_heard,
                callee_heard,
                ..
            } => *caller_heard.min(callee_heard) + SILENCE <= now,
        })
    }

    fn select(&self, wanted: impl Fn(&Stage) -> bool) -> Vec<CallKey> {
        self.calls
            .iter()
            .filter(|(_, call)| wanted(&call.stage))
            .map(|(&key, _)| key)
            .collect()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.calls.values().map(Call::deadline).min()
    }
}
