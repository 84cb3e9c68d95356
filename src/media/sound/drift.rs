//! How much faster or slower a voice must be played so that its delay stays: the far
//! end's clock and our card's are never quite the same. Pure.
//!
//! A proportional and an integral part (critically damped): the first takes an error
//! away within some 15 s, the second learns the difference of the clocks, so that nothing
//! is left of it. The trim changes a pitch by a sixtieth of a semitone
//! at most, and slowly: it cannot be heard.

use super::resample::MOST_PPM;

/// Time constant of an error, seconds. Slow enough that jitter of some milliseconds
/// is no vibrato, fast enough that 200 ppm cost less than 3 ms before they are known.
const SETTLES_S: f64 = 15.0;
/// Parts per million for a millisecond of error: so that it is gone after
/// [`SETTLES_S`].
const PER_MS: f64 = 1000.0 / SETTLES_S;
/// An error that is larger, ms, is no drift and teaches nothing about the clocks.
const DRIFT_MS: f64 = 15.0;
/// The difference of two clocks that is believed, ppm: crystals are within 100.
const CLOCKS_PPM: f64 = 500.0;

/// See the [module](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct Drift {
    /// What was learned of the clocks, ppm.
    clocks: f64,
}

impl Drift {
    /// The trim in ppm for the next `seconds`, when `surplus_ms` more is buffered
    /// than wanted.
    pub fn trim(&mut self, surplus_ms: f64, seconds: f64) -> f64 {
        if surplus_ms.abs() < DRIFT_MS {
            let learned = surplus_ms * PER_MS / (4.0 * SETTLES_S) * seconds;
            self.clocks = (self.clocks + learned).clamp(-CLOCKS_PPM, CLOCKS_PPM);
        }
        (self.clocks + surplus_ms * PER_MS).clamp(-MOST_PPM, MOST_PPM)
    }

    /// The difference of the clocks as learned, ppm; positive when the far end's is
    /// faster.
    pub fn clocks_ppm(&self) -> f64 {
        self.clocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_are_learned_and_nothing_is_left_of_the_error() {
        for ppm in [-200.0, -50.0, 0.0, 120.0, 200.0] {
            let mut drift = Drift::default();
            let mut surplus_ms = 0.0;
            let mut worst = 0.0_f64;
            for _ in 0..60_000 {
                let trim = drift.trim(surplus_ms, 0.02);
                surplus_ms += (ppm - trim) * 1e-3 * 0.02;
                worst = worst.max(surplus_ms.abs());
            }
            assert!(worst < 3.0, "{ppm}: {worst} ms");
            assert!(surplus_ms.abs() < 0.1, "{ppm}: {surplus_ms} ms");
            assert!((drift.clocks_ppm() - ppm).abs() < 2.0, "{ppm}");
        }
    }

    #[test]
    fn a_large_error_is_worked_off_and_teaches_nothing() {
        let mut drift = Drift::default();
        assert_eq!(drift.trim(200.0, 0.02), MOST_PPM);
        assert_eq!(drift.trim(-200.0, 0.02), -MOST_PPM);
        assert_eq!(drift.clocks_ppm(), 0.0);
    }
}
