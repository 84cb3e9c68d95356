//! When to renew a subscription (protocol section 3.2).
//!
//! The first attempt after half its life, attempt `n` after a failure another
//! `expires / 2^n` later, each a little earlier by chance.

use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;

use super::Ticket;
use crate::secret::Secret;

/// Renewals are never closer than this (protocol section 3.2; read in the SDK).
const GAP: Duration = Duration::from_secs(30);
/// While the socket is down too, its attempts are enough to find the server back
/// (our choice).
const GAP_OFFLINE: Duration = Duration::from_secs(300);
/// A subscription is believed to last at least this long, so that a server that
/// grants a second does not have us log in every second (our choice).
const SHORTEST: Duration = Duration::from_secs(60);
/// And at most this long (our choice; also keeps clock arithmetic safe).
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What the server granted (protocol section 3.1).
#[derive(Clone, Debug)]
pub(in super::super) struct Granted {
    /// Path for renewal and end.
    pub(in super::super) path: String,
    /// Path of the notification socket; whoever knows it may open it.
    pub(in super::super) channel: Secret,
    /// How long it lasts.
    pub(in super::super) expires: Duration,
}

/// A granted subscription and its times.
#[derive(Debug)]
pub(super) struct Subscription {
    /// By the server.
    pub(super) granted: Granted,
    /// Number of the next renewal attempt since the latest success, from 1.
    pub(super) attempt: u32,
    /// A socket of it stayed open long enough to be a success.
    pub(super) proven: bool,
    /// When to renew.
    pub(super) renew: Instant,
    /// The renewal under way, and when it was sent.
    pub(super) renewing: Option<(Ticket, Instant)>,
    /// When the server forgets it.
    pub(super) lapse: Instant,
}

impl Subscription {
    /// Just granted, on a request `sent` then.
    pub(super) fn new(granted: Granted, sent: Instant, now: Instant, rng: &mut StdRng) -> Self {
        let expires = granted.expires;
        let mut subscription = Self {
            granted,
            attempt: 1,
            proven: false,
            renew: now,
            renewing: None,
            lapse: now,
        };
        subscription.extend(expires, sent, now, rng);
        subscription
    }

    /// Granted again.
    pub(super) fn extend(
        &mut self,
        expires: Duration,
        sent: Instant,
        now: Instant,
        rng: &mut StdRng,
    ) {
        let expires = expires.clamp(SHORTEST, LONGEST);
        self.granted.expires = expires;
        self.attempt = 1;
        // Counted from the request: the server may have begun to count then.
        self.lapse = sent + expires;
        self.renew = now + self.delay(rng).max(GAP);
    }

    /// After a failure; `online`: the socket is open all the same.
    pub(super) fn try_again(&mut self, online: bool, now: Instant, rng: &mut StdRng) {
        let gap = if online { GAP } else { GAP_OFFLINE };
        self.attempt = self.attempt.saturating_add(1);
        self.renew = now + self.delay(rng).max(gap);
    }

    /// The server is back: a renewal that failed meanwhile waits no longer.
    pub(super) fn catch_up(&mut self, now: Instant) {
        if self.attempt > 1 {
            self.renew = now;
        }
    }

    /// When there is something to do: a renewal, or its end to be noticed.
    pub(super) fn deadline(&self) -> Instant {
        if self.renewing.is_some() {
            self.lapse
        } else {
            self.lapse.min(self.renew)
        }
    }

    /// `expires / 2^attempt`, a little earlier by chance.
    fn delay(&self, rng: &mut StdRng) -> Duration {
        let divisor = 1_u32.checked_shl(self.attempt).unwrap_or(u32::MAX);
        let delay = self.granted.expires / divisor;
        delay.mul_f64(rng.random_range(0.9..=1.0))
    }
}
