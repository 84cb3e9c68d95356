//! What a session knows of its way to the far end, and who tells it.

use std::time::Instant;

use rtc::interceptor::{BandwidthEstimator, PacketReport};
use tokio::sync::watch;

use super::estimator::{Estimator, START, Told};

/// The state of the way to the far end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Path {
    /// Bits a second that may leave in all.
    pub(crate) target: f64,
    /// Share of packets lost in the last second, 0 to 1.
    pub(crate) loss: f64,
    /// How often it was cut and came back.
    pub(crate) returns: u32,
}

impl Default for Path {
    fn default() -> Self {
        Self {
            target: START,
            loss: 0.0,
            returns: 0,
        }
    }
}

/// The most of the target that is kept for packets that must leave twice.
const MOST_REPAIR: f64 = 0.3;

impl Path {
    /// Bits a second for new pictures: what gets lost has to leave again.
    pub(crate) fn for_pictures(&self) -> u32 {
        (self.target * (1.0 - self.loss.min(MOST_REPAIR))) as u32
    }

    /// Bits a second for packets that leave again: a fifth, and what is lost. A
    /// lost packet's copy can be lost as well.
    pub(crate) fn for_repairs(&self) -> f64 {
        self.target * (0.2 + self.loss.min(MOST_REPAIR))
    }
}

/// Our estimator in the place that rtc has for one.
pub(crate) struct Guide {
    estimator: Estimator,
    path: watch::Sender<Path>,
}

impl Guide {
    pub(crate) fn new(path: watch::Sender<Path>) -> Self {
        Self {
            estimator: Estimator::default(),
            path,
        }
    }
}

impl BandwidthEstimator for Guide {
    fn on_reports(&mut self, now: Instant, reports: &[PacketReport]) {
        let told = reports.iter().map(|report| Told {
            size: report.size,
            left: report.departure,
            arrived: report.arrival.filter(|_| report.arrived),
        });
        self.estimator.take(now, told);
        let path = Path {
            target: self.estimator.target(),
            loss: self.estimator.loss(),
            returns: self.estimator.returns(),
        };
        self.path.send_if_modified(|known| {
            let changed = *known != path;
            *known = path;
            changed
        });
    }

    fn target_bitrate(&self) -> f64 {
        self.estimator.target()
    }
}
