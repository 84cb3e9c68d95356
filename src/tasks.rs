//! Spawning, watched: the only way to start a task or a thread.
//!
//! Every task has a name, runs in a span of that name, and is told to stop by
//! one [`CancellationToken`]. The `supervisor` owns the tracker and waits for it.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::pulse::{Pulse, Pulses};

/// How often a loop beats that waits for whatever comes.
pub const BEAT: Duration = Duration::from_secs(1);

/// A cloneable right to spawn tasks that the supervisor waits for.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    cancel: CancellationToken,
    pulses: Pulses,
}

impl Tasks {
    /// A new, empty set of tasks with its own cancellation.
    pub fn new() -> Self {
        Self::default()
    }

    /// The token that tells every task of this set to stop.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancel
    }

    /// A right to spawn into the same set, with a narrower cancellation: for
    /// what must end with a call rather than with the process.
    pub fn child(&self) -> Self {
        Self {
            tracker: self.tracker.clone(),
            cancel: self.cancel.child_token(),
            pulses: self.pulses.clone(),
        }
    }

    /// Spawns `future` as the task `name`. It is dropped when the set is
    /// cancelled; a task with work to finish watches [`Tasks::cancelled`] through
    /// [`Tasks::spawn_draining`] instead.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        let cancel = self.cancel.clone();
        self.spawn_draining(name, async move {
            cancel.run_until_cancelled(future).await;
        });
    }

    /// Spawns `future` as the task `name`; it must itself end soon after the
    /// set is cancelled.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one rightful place: every other spawn comes through here"
    )]
    pub fn spawn_draining(
        &self,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        let mut span = tracing::debug_span!("task", name);
        if span.is_disabled() {
            // What it says is still said in the call that it was started for.
            span = tracing::Span::current();
        }
        tokio::spawn(self.tracker.track_future(future).instrument(span));
    }

    /// A pulse for a loop of this set: whoever holds it beats at each turn, and is
    /// taken for stuck when it ceases.
    pub fn pulse(&self, name: &'static str) -> Pulse {
        self.pulses.add(name)
    }

    /// The pulses of this set (children included).
    pub fn pulses(&self) -> &Pulses {
        &self.pulses
    }

    /// How many tasks of this set (children included) are alive.
    pub fn alive(&self) -> usize {
        self.tracker.len()
    }

    /// Cancels and waits until every task has ended.
    pub async fn stop(&self) {
        self.cancel.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
