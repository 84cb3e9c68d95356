//! What calls want of the connection, sooner than its own schedule has it.

use std::time::Instant;

use super::{Act, Link, Session};

impl Session {
    /// Cuts short the wait that spreads a crowd, once: what follows is the back-off's.
    pub(super) fn needed(&mut self, now: Instant) {
        if let Link::Resting { until, idle } = &mut self.link
            && std::mem::take(idle)
        {
            *until = (*until).min(now + self.backoff.hurry(&mut self.rng));
        }
    }

    /// Renews now, unless that is under way or cannot be.
    pub(super) fn stale(&mut self, now: Instant, acts: &mut Vec<Act>) {
        if matches!(self.link, Link::Open(_)) {
            self.renew(now, acts);
        }
    }

    pub(super) fn renew(&mut self, now: Instant, acts: &mut Vec<Act>) {
        let ticket = self.ticket();
        if let Some(subscription) = &mut self.subscription
            && subscription.renewing.is_none()
        {
            subscription.renewing = Some((ticket, now));
            acts.push(Act::Renew(ticket, subscription.granted.path.clone()));
        }
    }
}
