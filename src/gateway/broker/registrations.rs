//! The subscriptions of all users, and the queues of what they must be told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::outbox::{Due, Outbox};
use super::{Ids, SocketId, SubscriptionName};
use crate::wire::Notification;

/// A notification must not overtake the reply to the request that caused it: Kandy.js
/// 3.x then has to queue it. 10 to 20 ms are enough (section 5.1); only the
/// user who asked waits them.
const REPLY_FIRST: Duration = Duration::from_millis(20);

/// One client of a user.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) user: String,
    pub(super) correlator: Option<String>,
    pub(super) service: Vec<String>,
    pub(super) made: u64,
    pub(super) expires_at: Instant,
    pub(super) outbox: Outbox,
    /// The reply to a `callStart` of its user is on the way until then: a callee's
    /// client says "ringing" within milliseconds, of a call that the caller does
    /// not know yet.
    quiet_until: Instant,
}

pub(super) struct Registrations {
    pub(super) ids: Box<dyn Ids>,
    /// By id. The order of forking follows [`Subscription::made`].
    subscriptions: BTreeMap<String, Subscription>,
    made: u64,
    /// Whose request is being carried out.
    pub(super) requester: Option<String>,
    /// Subscriptions that could not take a notification any more.
    overflowed: Vec<String>,
}

impl Registrations {
    pub(super) fn new(ids: Box<dyn Ids>) -> Self {
        Self {
            ids,
            subscriptions: BTreeMap::new(),
            made: 0,
            requester: None,
            overflowed: Vec::new(),
        }
    }

    /// Adds a subscription and returns its id.
    pub(super) fn add(
        &mut self,
        user: &str,
        correlator: Option<String>,
        service: Vec<String>,
        expires: Duration,
        now: Instant,
    ) -> String {
        let id = self.ids.channel();
        self.made += 1;
        let subscription = Subscription {
            user: user.to_owned(),
            correlator,
            service,
            made: self.made,
            expires_at: now + expires,
            outbox: Outbox::default(),
            quiet_until: now,
        };
        self.subscriptions.insert(id.clone(), subscription);
        id
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Subscription> {
        self.subscriptions.remove(id)
    }

    /// The id of the subscription that `user` means by `name`.
    pub(super) fn find(&self, user: &str, name: &SubscriptionName) -> Option<String> {
        self.subscriptions
            .iter()
            .find(|(id, subscription)| {
                subscription.user == user
                    && match name {
                        SubscriptionName::Id(wanted) => *id == wanted,
                        SubscriptionName::Correlator(wanted) => {
                            subscription.correlator.as_ref() == Some(wanted)
                        }
                    }
            })
            .map(|(id, _)| id.clone())
    }

    pub(super) fn by_id(&mut self, id: &str) -> Option<&mut Subscription> {
        self.subscriptions.get_mut(id)
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.subscriptions.contains_key(id)
    }

    pub(super) fn by_socket(&mut self, socket: SocketId) -> Option<&mut Subscription> {
        self.subscriptions
            .values_mut()
            .find(|subscription| subscription.outbox.socket() == Some(socket))
    }

    /// The ids of `user`'s subscriptions, oldest first.
    pub(super) fn of_user(&self, user: &str) -> Vec<String> {
        let mut mine: Vec<_> = self
            .subscriptions
            .iter()
            .filter(|(_, subscription)| subscription.user == user)
            .map(|(id, subscription)| (subscription.made, id.clone()))
            .collect();
        mine.sort_unstable();
        mine.into_iter().map(|(_, id)| id).collect()
    }

    /// The oldest subscription of `user` that has no socket: most likely a page that
    /// was closed without saying so.
    pub(super) fn oldest_abandoned(&self, user: &str) -> Option<String> {
        self.of_user(user).into_iter().find(|id| {
            self.subscriptions
                .get(id)
                .is_some_and(|subscription| subscription.outbox.socket().is_none())
        })
    }

    pub(super) fn expired(&self, now: Instant) -> Vec<String> {
        self.subscriptions
            .iter()
            .filter(|(_, subscription)| subscription.expires_at <= now)
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// `user` makes a call: the reply that names it goes before all that concerns it.
    pub(super) fn reply_first(&mut self, user: &str, now: Instant) {
        let mine = self.subscriptions.values_mut();
        for subscription in mine.filter(|subscription| subscription.user == user) {
            subscription.quiet_until = now + REPLY_FIRST;
        }
    }

    /// Queues `notification` for every client of `user`.
    pub(super) fn tell_user(&mut self, user: &str, notification: &Notification, now: Instant) {
        for id in self.of_user(user) {
            self.tell(&id, notification.clone(), now);
        }
    }

    /// Queues `notification` for the subscription `id`, if it still exists.
    pub(super) fn tell(&mut self, id: &str, mut notification: Notification, now: Instant) {
        let Some(subscription) = self.subscriptions.get_mut(id) else {
            return;
        };
        notification.event_id = self.ids.event();
        let asked = self.requester.as_deref() == Some(subscription.user.as_str());
        let quiet_until = match asked {
            true => now + REPLY_FIRST,
            false => subscription.quiet_until,
        };
        let not_before = Some(quiet_until).filter(|until| *until > now);
        if subscription.outbox.push(notification, not_before).is_err() {
            self.overflowed.push(id.to_owned());
        }
    }

    pub(super) fn take_overflowed(&mut self) -> Option<String> {
        self.overflowed.pop()
    }

    /// The next notification of any subscription that may leave at `now`.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Due> {
        self.subscriptions
            .values_mut()
            .find_map(|subscription| subscription.outbox.pop_due(now))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.subscriptions
            .values()
            .flat_map(|subscription| {
                [
                    Some(subscription.expires_at),
                    subscription.outbox.deadline(),
                ]
            })
            .flatten()
            .min()
    }
}
