//! When to try again: a pure schedule, without clock and without I/O.
//!
//! Exponential with jitter, capped, never giving up. While the delay still climbs
//! it is drawn from the whole range ("full jitter"), so that a thousand stations
//! that lost one server at once come back spread out. At the cap it is drawn from
//! the last quarter: full jitter there would average half the cap, twice as many
//! attempts as the cap promises. What follows an open connection is drawn from
//! half a minute at once ([`SCATTER`]), and the next one from 30 to 60 s: all its
//! clients lose a server in one moment, and most of them are idle then.
//!
//! ```text
//!  failure  1       2       3       ...  7 and later
//!  delay    0..1 s  0..2 s  0..4 s       45..60 s      (BASE 1 s, CAP 60 s)
//! ```

use std::time::Duration;

use rand::{Rng, RngExt};

/// The ceiling of the first delay (our choice).
pub const BASE: Duration = Duration::from_secs(1);
/// The ceiling of every delay towards a server elsewhere (our choice).
pub const CAP: Duration = Duration::from_secs(60);
/// The least time between two logins that the server refuses: 12 an hour, slow
/// enough not to have the account locked (our choice).
pub const REFUSED: Duration = Duration::from_secs(300);
/// The longest `Retry-After` that we believe: a typing error in a server must not
/// silence a door for a day (our choice).
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);
/// Over how long the clients of a server that says goodbye or breaks come back, at
/// most: with a hundred of them about three a second (our choice).
pub const SCATTER: Duration = Duration::from_secs(30);

/// Failures that a drop counts as: the next delays are the longest below the cap, so
/// that those whose turn came too early do not meet those whose turn it is.
const SCATTERED: u32 = 5;

/// How the latest attempt failed, as far as the next delay depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Not reachable, or broken in some way that may pass.
    Trouble,
    /// The server named a delay (`Retry-After`, `retryAfter`).
    Told(Duration),
    /// The server refuses our login (401, 403).
    Refused,
    /// The server goes down and has told all its clients at this moment.
    Leaving,
    /// An open connection ended, and perhaps every other client's with it.
    Dropped,
}

/// The schedule of one thing that is tried again and again.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
    /// The failures before the drop that this climb began with: a crowd may be on it.
    crowd: Option<u32>,
}

impl Backoff {
    /// A schedule whose delays climb from `base` to `cap`.
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap,
            failures: 0,
            crowd: None,
        }
    }

    /// The time to wait after one more failure.
    pub fn failed(&mut self, cause: Cause, rng: &mut impl Rng) -> Duration {
        let before = self.failures;
        let climbing = self.climb(rng);
        match cause {
            Cause::Trouble => climbing,
            Cause::Told(delay) => delay.min(LONGEST_RETRY_AFTER).max(climbing) + spread(rng),
            Cause::Refused => REFUSED + spread(rng),
            Cause::Leaving => rng.random_range(Duration::ZERO..=SCATTER.min(self.cap)),
            // A server on this machine has no crowd of clients.
            Cause::Dropped if self.cap < SCATTER => climbing,
            Cause::Dropped => {
                self.crowd = Some(before);
                self.failures = self.failures.max(SCATTERED);
                rng.random_range(Duration::ZERO..=SCATTER).max(climbing)
            }
        }
    }

    /// The time to wait when somebody needs the connection now: a moment, for a crowd
    /// may have the same reason. If it fails, the climb goes on as if there were none.
    pub fn hurry(&mut self, rng: &mut impl Rng) -> Duration {
        if let Some(before) = self.crowd.take() {
            self.failures = before + 1;
        }
        rng.random_range(Duration::ZERO..=self.base)
    }

    /// It worked: the next failure begins anew.
    pub fn worked(&mut self) {
        self.failures = 0;
        self.crowd = None;
    }

    fn climb(&mut self, rng: &mut impl Rng) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let ceiling = self.base.saturating_mul(factor);
        let (least, ceiling) = match self.crowd {
            _ if ceiling >= self.cap => (self.cap * 3 / 4, self.cap),
            Some(_) => (SCATTER, (SCATTER * 2).min(self.cap)),
            None => (Duration::ZERO, ceiling),
        };
        if least >= ceiling {
            return ceiling;
        }
        rng.random_range(least..=ceiling)
    }
}

/// Up to a second, so that equal waits do not end together.
fn spread(rng: &mut impl Rng) -> Duration {
    rng.random_range(Duration::ZERO..=Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::{BASE, Backoff, CAP, Cause, LONGEST_RETRY_AFTER, REFUSED, SCATTER};

    const HOUR: Duration = Duration::from_secs(3600);

    proptest! {
        #[test]
        fn no_delay_exceeds_its_ceiling_and_none_at_the_cap_is_short(seed: u64) {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut backoff = Backoff::new(BASE, CAP);
            for n in 0..50_u32 {
                let delay = backoff.failed(Cause::Trouble, &mut rng);
                if n < 6 {
                    prop_assert!(delay <= BASE * 2_u32.pow(n), "failure {n}: {delay:?}");
                } else {
                    prop_assert!((CAP * 3 / 4..=CAP).contains(&delay), "failure {n}: {delay:?}");
                }
            }
        }

        #[test]
        fn an_hour_of_trouble_takes_at_most_90_attempts(seed: u64) {
            prop_assert!(attempts_an_hour(Cause::Trouble, seed) <= 90);
        }

        #[test]
        fn an_hour_of_refusals_takes_at_most_12_logins(seed: u64) {
            let logins = attempts_an_hour(Cause::Refused, seed);
            prop_assert!((11..=12).contains(&logins), "{logins}");
        }

        #[test]
        fn a_named_delay_is_kept_but_not_an_endless_one(seed: u64, named in 0..100_000_u64) {
            let mut rng = StdRng::seed_from_u64(seed);
            let named = Duration::from_secs(named);
            let delay = Backoff::new(BASE, CAP).failed(Cause::Told(named), &mut rng);
            prop_assert!(delay >= named.min(LONGEST_RETRY_AFTER));
            prop_assert!(delay <= LONGEST_RETRY_AFTER + Duration::from_secs(1));
        }
    }

    #[test]
    fn a_drop_scatters_a_crowd_but_holds_up_nobody_at_a_server_of_his_own() {
        let delays = |cap| {
            let delay = |seed| {
                let mut rng = StdRng::seed_from_u64(seed);
                Backoff::new(BASE, cap).failed(Cause::Dropped, &mut rng)
            };
            (0..100).map(delay).collect::<Vec<_>>()
        };
        let crowd = delays(CAP);
        assert!(crowd.iter().all(|delay| *delay <= SCATTER));
        assert!(crowd.iter().any(|delay| *delay >= SCATTER * 3 / 4));
        assert!(crowd.iter().any(|delay| *delay <= SCATTER / 4));
        let own = delays(Duration::from_secs(3));
        assert!(own.iter().all(|delay| *delay <= BASE));
    }

    #[test]
    fn a_server_that_drops_again_and_again_is_left_alone_for_longer() {
        let mut rng = StdRng::seed_from_u64(4);
        let mut backoff = Backoff::new(BASE, CAP);
        for _ in 0..10 {
            backoff.failed(Cause::Dropped, &mut rng);
        }
        assert!(backoff.failed(Cause::Dropped, &mut rng) >= CAP * 3 / 4);
    }

    #[test]
    fn after_success_the_climb_begins_anew() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::new(BASE, CAP);
        for _ in 0..10 {
            backoff.failed(Cause::Trouble, &mut rng);
        }
        assert!(backoff.failed(Cause::Trouble, &mut rng) >= CAP * 3 / 4);
        backoff.worked();
        assert!(backoff.failed(Cause::Trouble, &mut rng) <= BASE);
    }

    #[test]
    fn delays_of_two_stations_differ() {
        let delays = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut backoff = Backoff::new(BASE, CAP);
            std::array::from_fn::<_, 8, _>(|_| backoff.failed(Cause::Trouble, &mut rng))
        };
        assert_ne!(delays(1), delays(2));
        assert!(
            Backoff::new(BASE, CAP).failed(Cause::Refused, &mut StdRng::seed_from_u64(3)) > REFUSED
        );
    }

    fn attempts_an_hour(cause: Cause, seed: u64) -> u32 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut backoff = Backoff::new(BASE, CAP);
        let mut at = Duration::ZERO;
        let mut attempts = 0;
        while at < HOUR {
            attempts += 1;
            at += backoff.failed(cause, &mut rng);
        }
        attempts
    }
}
