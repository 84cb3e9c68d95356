//! Subscribe, renew, unsubscribe, and the end of a subscription (section 3).

use std::time::{Duration, Instant};

use super::notice::{self, Ending};
use super::{Broker, Granted, Output, Refusal, Reply, SubscriptionName, Wishes};
use crate::wire::EventType;

/// The client closes its socket itself after unsubscribing and after `gone`; one
/// that does not is closed after this time.
const CLOSE_AFTER: Duration = Duration::from_secs(1);
/// Names in `service`, and the length of a name or correlator: more is an error of
/// the client.
const MAX_SERVICES: usize = 16;
const MAX_NAME: usize = 128;

/// What a client hears at the end of its subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// It asked for the end itself.
    Reply,
    /// `gone`: it ran out, was logged out or cannot be told everything.
    Gone,
}

impl Broker {
    pub(super) fn subscribe(
        &mut self,
        user: &str,
        wishes: Wishes,
        now: Instant,
    ) -> Result<Reply, Refusal> {
        check(&wishes)?;
        if let Some(correlator) = wishes.correlator.clone() {
            let name = SubscriptionName::Correlator(correlator);
            if let Some(old) = self.registrations.find(user, &name) {
                self.drop_subscription(&old, Farewell::Reply, now);
            }
        }
        if wishes.force_log_out {
            for old in self.registrations.of_user(user) {
                self.drop_subscription(&old, Farewell::Gone, now);
            }
        }
        if self.registrations.of_user(user).len() >= self.rules.max_subscriptions {
            let abandoned = self.registrations.oldest_abandoned(user);
            let abandoned = abandoned.ok_or(Refusal::TooManyClients)?;
            self.drop_subscription(&abandoned, Farewell::Gone, now);
        }
        let expires = self.granted(wishes.expires);
        let service = wishes.service.clone();
        let id = self
            .registrations
            .add(user, wishes.correlator, service, expires, now);
        Ok(Reply::Subscribed(Granted {
            id,
            user: user.to_owned(),
            expires,
            service: wishes.service,
            renewed: false,
        }))
    }

    pub(super) fn renew(
        &mut self,
        user: &str,
        name: &SubscriptionName,
        wishes: Wishes,
        now: Instant,
    ) -> Result<Reply, Refusal> {
        check(&wishes)?;
        let expires = self.granted(wishes.expires);
        let id = self.registrations.find(user, name);
        let id = id.ok_or(Refusal::NoSubscription)?;
        let subscription = self.registrations.by_id(&id);
        let subscription = subscription.ok_or(Refusal::NoSubscription)?;
        subscription.expires_at = now + expires;
        subscription.service = wishes.service;
        Ok(Reply::Subscribed(Granted {
            service: subscription.service.clone(),
            id,
            user: user.to_owned(),
            expires,
            renewed: true,
        }))
    }

    pub(super) fn unsubscribe(
        &mut self,
        user: &str,
        name: &SubscriptionName,
        now: Instant,
    ) -> Result<Reply, Refusal> {
        let id = self.registrations.find(user, name);
        let id = id.ok_or(Refusal::NoSubscription)?;
        self.drop_subscription(&id, Farewell::Reply, now);
        Ok(Reply::Done)
    }

    /// Ends the subscription `id` and the calls that it carries.
    pub(super) fn drop_subscription(&mut self, id: &str, farewell: Farewell, now: Instant) {
        self.leave_calls(id, now);
        let Some(mut subscription) = self.registrations.remove(id) else {
            return;
        };
        let Some(socket) = subscription.outbox.socket() else {
            return;
        };
        self.closing.insert(socket, now + CLOSE_AFTER);
        if farewell == Farewell::Reply {
            return;
        }
        subscription.outbox.hurry();
        let mut last = std::iter::from_fn(|| subscription.outbox.pop_due(now)).collect::<Vec<_>>();
        let mut gone = notice::bare(EventType::Gone);
        gone.event_id = self.registrations.ids.event();
        // The queue has just been emptied: there is room.
        if subscription.outbox.push(gone, None).is_ok() {
            last.extend(subscription.outbox.pop_due(now));
        }
        for due in last {
            self.outputs.push(Output::Notify {
                socket: due.socket,
                sequence: due.sequence,
                notification: Box::new(due.notification),
            });
        }
    }

    /// Ends or shortens every call that needs the subscription `id`.
    fn leave_calls(&mut self, id: &str, now: Instant) {
        let Some(user) = self.registrations.by_id(id).map(|s| s.user.clone()) else {
            return;
        };
        for (call, up) in self.calls.drop_forks_of(id) {
            let ending = if up {
                Ending::hung_up(None)
            } else {
                Ending::unavailable()
            };
            self.finish(call, &ending, now);
        }
        if self.registrations.of_user(&user).len() > 1 {
            return;
        }
        for (call, up) in self.calls.made_by(&user) {
            let ending = if up {
                Ending::hung_up(None)
            } else {
                Ending::cancelled()
            };
            self.finish(call, &ending, now);
        }
    }

    fn granted(&self, wish: Duration) -> Duration {
        wish.clamp(
            *self.rules.grant_expires.start(),
            *self.rules.grant_expires.end(),
        )
    }
}

fn check(wishes: &Wishes) -> Result<(), Refusal> {
    let names = wishes.service.iter().chain(&wishes.correlator);
    let fits =
        wishes.service.len() <= MAX_SERVICES && names.clone().all(|name| name.len() <= MAX_NAME);
    if fits { Ok(()) } else { Err(Refusal::TooLarge) }
}
