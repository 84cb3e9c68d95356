//! The named timers of one call.

use std::collections::BTreeMap;
use std::time::Instant;

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Our offer or answer is being made, or `callStart` is under way.
    Setup,
    /// Nobody answers us.
    NoAnswer,
    /// Nobody here answers, and the caller's server says nothing either.
    Alerting,
    /// The call was answered; the transports are not up yet.
    MediaUp,
    /// The longest call that is allowed.
    MaxCall,
    /// A change of the media (hold) is not answered.
    Update,
    /// Two changes crossed; ours is sent again.
    Retry,
    /// The far end's transport is closed; its hang-up may still come by
    /// signalling, with a reason.
    FarEndClosed,
    /// The call that opened the door has had its time.
    HangUp,
    /// The door stands open.
    OpenTooLong,
}

/// When each running timer fires.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers(BTreeMap<Timer, Instant>);

impl Timers {
    pub(super) fn start(&mut self, timer: Timer, at: Instant) {
        self.0.insert(timer, at);
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.0.remove(&timer);
    }

    pub(super) fn stop_all(&mut self) {
        self.0.clear();
    }

    /// The earliest timer.
    pub(super) fn next(&self) -> Option<(Instant, Timer)> {
        self.0.iter().map(|(timer, at)| (*at, *timer)).min()
    }

    /// Takes the earliest timer that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = self.next()?;
        if at > now {
            return None;
        }
        self.0.remove(&timer);
        Some(timer)
    }
}
