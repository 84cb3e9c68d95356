//! Whether a stream of pictures freezes, as a person would see it.

use std::time::{Duration, Instant};

/// Over how many pictures the usual distance is taken.
const MEMORY: u32 = 30;

/// How much longer than usual a freeze is at least.
const NOTICED: Duration = Duration::from_millis(150);

/// The pace of one unbroken run of pictures.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    latest: Option<Instant>,
    /// Running mean of the distances.
    usual: Option<Duration>,
}

impl Pace {
    /// A picture at `now`. Whether the one before it had frozen: it stood for three
    /// times the usual distance and 150 ms more than that distance (as
    /// `freezeCount` of the W3C's WebRTC statistics counts).
    pub(crate) fn picture(&mut self, now: Instant) -> bool {
        let Some(latest) = self.latest.replace(now) else {
            return false;
        };
        let distance = now.saturating_duration_since(latest);
        let Some(usual) = self.usual else {
            self.usual = Some(distance);
            return false;
        };
        self.usual = Some((usual * (MEMORY - 1) + distance) / MEMORY);
        distance > (3 * usual).max(usual + NOTICED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn freezes(distances_ms: &[u64]) -> usize {
        let mut pace = Pace::default();
        let mut now = clock::now();
        pace.picture(now);
        let mut count = 0;
        for distance in distances_ms {
            now += Duration::from_millis(*distance);
            count += usize::from(pace.picture(now));
        }
        count
    }

    #[test]
    fn a_picture_that_stands_is_a_freeze_and_a_late_one_is_none() {
        assert_eq!(freezes(&[33; 60]), 0);
        assert_eq!(freezes(&[33, 33, 170, 33]), 0);
        assert_eq!(freezes(&[33, 33, 200, 33, 33, 900, 33]), 2);
    }

    #[test]
    fn a_slow_picture_is_not_a_frozen_one() {
        // Five a second: 0.5 s is late, 0.7 s is frozen.
        assert_eq!(freezes(&[200, 200, 200, 500, 200]), 0);
        assert_eq!(freezes(&[200, 200, 200, 700, 200]), 1);
    }
}
