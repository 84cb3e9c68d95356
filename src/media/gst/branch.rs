//! The state of one codec's branch: who follows it, and what its encoder was told.

use super::pipeline::Branch;
use super::quality::Chooser;
use super::{CameraSettings, Track};
use crate::clock;
use crate::media::budget::Budget;

/// One codec's branch, if a pipeline is up, who follows it, and with what.
#[derive(Debug, Default)]
pub(super) struct BranchState {
    pub(super) live: Option<Branch>,
    pub(super) budget: Budget,
    pub(super) chooser: Chooser,
    /// Bits a second, as the encoder was told last; `None`: as it started.
    pub(super) told: Option<u32>,
}

/// A change of less than a twentieth is not worth the encoder's trouble.
const WORTH: f64 = 0.05;

impl BranchState {
    /// Sets the encoder to what the followers can take.
    pub(super) fn follow_budget(&mut self, track: &Track, settings: &CameraSettings) {
        let (Some(branch), Some(bits)) = (&self.live, self.budget.bits()) else {
            return;
        };
        let told = f64::from(self.told.unwrap_or(settings.bitrate));
        let resized = self.chooser.follow(bits, settings, clock::now());
        if !resized && (f64::from(bits) - told).abs() < WORTH * told {
            return;
        }
        self.told = Some(bits);
        let quality = self.chooser.quality;
        if resized {
            tracing::debug!(codec = ?track.encoder.codec, bits, ?quality, "the picture changes");
            branch.shape(quality, settings, track.encoder.resizes());
        }
        branch.set_bitrate(track.encoder.element, bits, quality);
    }
}
