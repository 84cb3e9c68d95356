//! What a picture looks like at a number of bits: its size and its rate.
//!
//! Below some 0.02 bits a pixel an encoder of a door's speed gives blocks instead
//! of a face; a smaller picture with the same bits shows more. The rate is halved
//! last: a face that moves is better than a sharp one that jumps.

use std::time::{Duration, Instant};

use super::CameraSettings;

/// Bits a second below which the picture of 1280 x 720 has two thirds of its width
/// and height, and below which it has half of them and half of its rate.
const MIDDLE: f64 = 650_000.0;
const SMALL: f64 = 280_000.0;
/// A better picture needs this much more than its limit, and this much time since
/// the latest change: each change costs a key frame.
const MARGIN: f64 = 1.25;
const PAUSE: Duration = Duration::from_secs(3);

/// How large and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Quality {
    Small,
    Middle,
    Full,
}

impl Quality {
    /// What `bits` a second are enough for.
    fn of(bits: f64, settings: &CameraSettings) -> Self {
        let pixels = f64::from(settings.width) * f64::from(settings.height);
        let scale = pixels / (1280.0 * 720.0);
        if bits < SMALL * scale {
            Self::Small
        } else if bits < MIDDLE * scale {
            Self::Middle
        } else {
            Self::Full
        }
    }

    /// Pixels, both even.
    pub(super) fn size(self, settings: &CameraSettings) -> (u32, u32) {
        let part = |side: u32| match self {
            Self::Full => side,
            Self::Middle => side * 2 / 3 / 4 * 4,
            Self::Small => side / 2 / 2 * 2,
        };
        (part(settings.width), part(settings.height))
    }

    /// One of so many pictures is encoded.
    pub(super) fn every(self) -> u64 {
        if self == Self::Small { 2 } else { 1 }
    }
}

/// Follows a budget with patience: down at once, up when it lasts.
#[derive(Debug)]
pub(super) struct Chooser {
    pub(super) quality: Quality,
    changed: Option<Instant>,
}

impl Default for Chooser {
    fn default() -> Self {
        Self {
            quality: Quality::Full,
            changed: None,
        }
    }
}

impl Chooser {
    /// Takes a new budget; tells whether the picture changes.
    pub(super) fn follow(&mut self, bits: u32, settings: &CameraSettings, now: Instant) -> bool {
        let bits = f64::from(bits);
        let worse = Quality::of(bits, settings);
        let better = Quality::of(bits / MARGIN, settings);
        let rested = self.changed.is_none_or(|then| now >= then + PAUSE);
        let quality = if worse < self.quality {
            worse
        } else if better > self.quality && rested {
            better
        } else {
            return false;
        };
        self.quality = quality;
        self.changed = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    #[test]
    fn it_falls_at_once_and_rises_with_patience() {
        let settings = CameraSettings::new(Source::Test);
        let start = crate::clock::now();
        let at = |s| start + Duration::from_secs(s);
        let mut chooser = Chooser::default();
        assert!(!chooser.follow(700_000, &settings, at(0)));
        assert!(chooser.follow(600_000, &settings, at(0)));
        assert_eq!(chooser.quality.size(&settings), (852, 480));
        assert!(chooser.follow(150_000, &settings, at(0)));
        assert_eq!(chooser.quality.size(&settings), (640, 360));
        assert_eq!(chooser.quality.every(), 2);
        assert!(!chooser.follow(2_000_000, &settings, at(2)), "too soon");
        assert!(!chooser.follow(300_000, &settings, at(4)), "too little");
        assert!(chooser.follow(2_000_000, &settings, at(4)));
        assert_eq!(chooser.quality, Quality::Full);
    }

    #[test]
    fn every_size_is_even() {
        let mut settings = CameraSettings::new(Source::Test);
        for (width, height) in [(160, 120), (642, 362), (1920, 1080)] {
            (settings.width, settings.height) = (width, height);
            for quality in [Quality::Small, Quality::Middle, Quality::Full] {
                let (width, height) = quality.size(&settings);
                assert!(width % 2 == 0 && height % 2 == 0, "{width}x{height}");
            }
        }
    }
}
