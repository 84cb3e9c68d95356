//! What remains of a call in figures: one line for the log, made once, after the
//! media of its last leg have told what they measured.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{CallId, Direction, Event, Figures, LegId};

/// A call from its first moment to its last.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Made or received.
    pub direction: Direction,
    /// How long people could talk; `None` if they never could.
    pub talked: Option<Duration>,
    /// SIP or 99xx code of its end.
    pub code: String,
    /// Every [`Event::Moment`] of the call, by name.
    pub moments: BTreeMap<&'static str, Duration>,
    /// What the media of the leg that talked measured; empty if nobody talked.
    pub figures: Figures,
}

/// The figures that a summary is made of: what people would notice, and what it
/// costs. `docs/json-events.md` says what each means.
const ESSENCE: [&str; 15] = [
    "frames_per_s_p50",
    "frames_per_s_p05",
    "freezes",
    "round_trip_ms_p50",
    "round_trip_ms_p95",
    "loss_percent_p50",
    "loss_percent_p95",
    "jitter_buffer_ms_p50",
    "jitter_buffer_ms_p95",
    "echo_loss_db_p50",
    "echo_loss_db_p05",
    "encode_ms_p50",
    "encode_ms_p95",
    "cpu_percent_p50",
    "cpu_percent_p95",
];

impl Summary {
    /// The figures that belong into one line; those that are not known are left out.
    pub fn essence(&self) -> impl Iterator<Item = (&'static str, f64)> {
        ESSENCE
            .iter()
            .filter_map(|name| Some((*name, self.figure(name)?)))
    }

    /// The figure of this name.
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.figures.0.get(name).copied()
    }

    /// How long the step of this name took, milliseconds.
    pub fn moment_ms(&self, name: &str) -> Option<f64> {
        let took = self.moments.get(name)?;
        Some(took.as_secs_f64() * 1e3)
    }
}

/// A summary that still waits for figures.
pub(super) struct Unsettled {
    pub(super) call: CallId,
    /// Whose figures count: those of legs that only rang say nothing.
    pub(super) talked_with: Option<LegId>,
    pub(super) summary: Summary,
}

impl Unsettled {
    /// Takes the figures of `leg`, if it is the one that talked.
    pub(super) fn take(&mut self, leg: &LegId, figures: &Figures) {
        if self.talked_with.as_ref() == Some(leg) {
            self.summary.figures = figures.clone();
        }
    }

    pub(super) fn into_event(self) -> Event {
        Event::Summary {
            call: self.call,
            summary: self.summary,
        }
    }
}
