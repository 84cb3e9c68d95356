//! Whether loops still turn: what the watchdog looks at.
//!
//! A loop beats at each turn. Nobody waits for a beat; whoever watches compares
//! counts, and takes a loop for stuck whose count has not moved for a while.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How often a future that waits is looked at, so that it can be seen to live.
const BEAT: Duration = Duration::from_secs(1);

/// The count of one loop's turns. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// One more turn.
    pub fn beat(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Runs `future` and beats once a second while it gives way. A future that
    /// blocks its thread lets no beat through.
    pub async fn through<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut tick = tokio::time::interval(BEAT);
        loop {
            tokio::select! {
                biased;
                done = &mut future => return done,
                _ = tick.tick() => self.beat(),
            }
        }
    }
}

/// The pulses of one part. Clones share them; a pulse that nobody holds any more is
/// forgotten.
#[derive(Clone, Debug, Default)]
pub struct Pulses(Arc<Mutex<Vec<Held>>>);

#[derive(Debug)]
struct Held {
    name: &'static str,
    count: Weak<AtomicU64>,
}

impl Pulses {
    /// A new pulse of this name.
    pub fn add(&self, name: &'static str) -> Pulse {
        let pulse = Pulse::default();
        let held = Held {
            name,
            count: Arc::downgrade(&pulse.0),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|held| held.count.strong_count() > 0);
        all.push(held);
        pulse
    }

    /// Every living pulse's name, and where its count stands. Of one name, there may
    /// be several.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let living = all.iter().filter_map(|held| {
            let count = held.count.upgrade()?;
            Some((held.name, count.load(Relaxed)))
        });
        living.collect()
    }
}

/// Who has not moved for how long. Pure.
#[derive(Debug, Default)]
pub struct Stillness(BTreeMap<(&'static str, usize), (u64, Instant)>);

impl Stillness {
    /// Takes counts, and names those that are the same as `limit` ago.
    pub fn stuck(
        &mut self,
        counts: impl IntoIterator<Item = (&'static str, u64)>,
        now: Instant,
        limit: Duration,
    ) -> Vec<&'static str> {
        let mut seen = BTreeMap::new();
        let mut stuck = Vec::new();
        for (name, count) in counts {
            let nth = seen.keys().filter(|(other, _)| *other == name).count();
            let since = match self.0.get(&(name, nth)) {
                Some((before, since)) if *before == count => *since,
                _ => now,
            };
            if now.saturating_duration_since(since) >= limit {
                stuck.push(name);
            }
            seen.insert((name, nth), (count, since));
        }
        self.0 = seen;
        stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const LIMIT: Duration = Duration::from_secs(5);

    #[test]
    fn a_count_that_stands_still_is_named_until_it_moves() {
        let mut stillness = Stillness::default();
        let start = clock::now();
        let mut at = |s: u64, a: u64, b: u64| {
            let counts = [("a", a), ("b", b), ("b", 100 + s)];
            stillness.stuck(counts, start + Duration::from_secs(s), LIMIT)
        };
        assert_eq!(at(0, 0, 0), [""; 0]);
        assert_eq!(at(4, 1, 0), [""; 0]);
        assert_eq!(at(5, 2, 0), ["b"]);
        assert_eq!(at(9, 2, 0), ["b"]);
        assert_eq!(at(10, 2, 1), ["a"]);
        assert_eq!(at(11, 3, 1), [""; 0]);
    }

    #[test]
    fn what_ended_is_not_stuck() {
        let pulses = Pulses::default();
        let (a, b) = (pulses.add("a"), pulses.add("b"));
        a.beat();
        drop(b);
        assert_eq!(pulses.counts(), [("a", 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_that_waits_lives() {
        let pulse = Pulse::default();
        let ten = tokio::time::sleep(Duration::from_secs(10));
        pulse.through(ten).await;
        assert!((9..=11).contains(&pulse.0.load(Relaxed)), "{pulse:?}");
    }
}
