//! What the station remembers of its calls: the latest ones, and how many there were
//! of each kind since the start. For `status` and for the metrics.
//!
//! The station's events are written into it as they come; it reads no clock and keeps
//! nothing on a disk. Names of people are in the latest calls and nowhere else.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::call::{
    AccountId, Address, CallId, Connection, Device, Direction, DoorNews, Event, Summary, Way,
};

/// Calls that are remembered one by one: as many as a screen shows. The oldest goes.
pub const LATEST: usize = 10;

/// A clonable handle of one ledger.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    /// The call that was heard of last, and when first.
    begun: Option<(CallId, SystemTime)>,
    latest: VecDeque<Entry>,
    counts: Counts,
}

/// A call that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its id.
    pub call: CallId,
    /// When it began.
    pub began: SystemTime,
    /// Who began it.
    pub direction: Direction,
    /// The other end.
    pub peer: Address,
    /// What became of it.
    pub result: CallResult,
    /// How long people could talk; `None` if they never could.
    pub talked: Option<Duration>,
    /// SIP or 99xx code of its end.
    pub code: String,
    /// A sentence.
    pub reason: String,
    /// How long its steps took; empty until its media have told their figures.
    pub moments: BTreeMap<&'static str, Duration>,
}

/// What became of a call, in few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallResult {
    /// People talked.
    Answered,
    /// Nobody answered.
    Missed,
    /// Somebody said no.
    Rejected,
    /// The other end was in a call.
    Busy,
    /// Taken back before anybody answered.
    Cancelled,
    /// It could not be set up.
    Failed,
}

impl CallResult {
    /// Every one.
    pub const ALL: [CallResult; 6] = [
        CallResult::Answered,
        CallResult::Missed,
        CallResult::Rejected,
        CallResult::Busy,
        CallResult::Cancelled,
        CallResult::Failed,
    ];

    /// The word in labels and JSON.
    pub fn name(self) -> &'static str {
        match self {
            CallResult::Answered => "answered",
            CallResult::Missed => "missed",
            CallResult::Rejected => "rejected",
            CallResult::Busy => "busy",
            CallResult::Cancelled => "cancelled",
            CallResult::Failed => "failed",
        }
    }

    fn of(talked: Option<Duration>, code: &str) -> Self {
        if talked.is_some() {
            return CallResult::Answered;
        }
        match code {
            "408" | "480" => CallResult::Missed,
            "603" | "9902" | "9903" => CallResult::Rejected,
            "486" => CallResult::Busy,
            "200" | "487" | "9901" | "9904" => CallResult::Cancelled,
            _ => CallResult::Failed,
        }
    }
}

/// How many of each since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Calls that are over.
    pub calls: BTreeMap<(&'static str, CallResult), u64>,
    /// How long steps of calls took, by the name of the step.
    pub steps: BTreeMap<&'static str, Histogram>,
    /// Wishes to open the door, and whether it was opened.
    pub openings: BTreeMap<(Way, bool), u64>,
    /// Devices that failed.
    pub faults: BTreeMap<Device, u64>,
    /// Connections that were lost.
    pub losses: BTreeMap<AccountId, u64>,
    /// Presses and requests that could not be carried out.
    pub denied: u64,
    /// Echo return loss of the latest call that people talked in, dB, median.
    pub echo_loss_db: Option<f64>,
}

/// The steps of a call that are counted by how long they took.
pub const STEPS: [&str; 3] = [
    "press_to_ringing",
    "answer_to_first_picture_sent",
    "answer_to_first_sound",
];

/// Durations sorted into buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    counts: [u64; Self::BOUNDS_MS.len()],
    count: u64,
    sum: Duration,
}

impl Histogram {
    /// Upper ends of the buckets, milliseconds: around what is aimed at (300 ms to ring,
    /// 250 ms to picture and sound), and up to what nobody waits for.
    pub const BOUNDS_MS: [u64; 10] = [25, 50, 100, 200, 300, 500, 1000, 2000, 5000, 10_000];

    /// Adds one.
    pub fn add(&mut self, took: Duration) {
        self.count += 1;
        self.sum += took;
        for (count, bound) in self.counts.iter_mut().zip(Self::BOUNDS_MS) {
            if took <= Duration::from_millis(bound) {
                *count += 1;
            }
        }
    }

    /// Each bound, and how many took no longer.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let bounds = Self::BOUNDS_MS.into_iter().map(Duration::from_millis);
        bounds.zip(self.counts)
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        self.sum
    }
}

impl Ledger {
    /// Writes an event down that came at `wall`.
    pub fn write(&self, event: &Event, wall: SystemTime) {
        self.book().write(event, wall);
    }

    /// The latest calls that are over, the newest first.
    pub fn latest(&self) -> Vec<Entry> {
        self.book().latest.iter().rev().cloned().collect()
    }

    /// The counts.
    pub fn counts(&self) -> Counts {
        self.book().counts.clone()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn write(&mut self, event: &Event, wall: SystemTime) {
        if let Some(call) = call_of(event)
            && self.begun.as_ref().is_none_or(|(begun, _)| begun != call)
        {
            self.begun = Some((call.clone(), wall));
        }
        match event {
            Event::Moment { name, took, .. } => {
                if let Some(name) = STEPS.iter().find(|step| *step == name) {
                    self.counts.steps.entry(name).or_default().add(*took);
                }
            }
            Event::Over { .. } => self.over(event, wall),
            Event::Summary { call, summary } => self.sum_up(call, summary),
            Event::Door(DoorNews::Opened(attempt)) => self.opening(attempt.way, true),
            Event::Door(DoorNews::Refused(attempt, _)) => self.opening(attempt.way, false),
            Event::Door(_) => {}
            Event::MediaError { device, .. } => {
                *self.counts.faults.entry(*device).or_default() += 1;
            }
            Event::Connection(account, Connection::Lost(_) | Connection::Refused(_)) => {
                *self.counts.losses.entry(account.clone()).or_default() += 1;
            }
            Event::Denied(_) => self.counts.denied += 1,
            Event::Start(_)
            | Event::Receive { .. }
            | Event::StateChange { .. }
            | Event::CallError { .. }
            | Event::Digit { .. }
            | Event::MediaRestored(_)
            | Event::Connection(_, Connection::Connecting | Connection::Connected)
            | Event::Figures { .. } => {}
        }
    }

    fn over(&mut self, event: &Event, wall: SystemTime) {
        let Event::Over {
            call,
            direction,
            peer,
            talked,
            code,
            reason,
        } = event
        else {
            return;
        };
        let result = CallResult::of(*talked, code);
        let calls = &mut self.counts.calls;
        *calls.entry((direction.name(), result)).or_default() += 1;
        if self.latest.len() == LATEST {
            self.latest.pop_front();
        }
        let begun = self.begun.as_ref().filter(|(begun, _)| begun == call);
        self.latest.push_back(Entry {
            call: call.clone(),
            began: begun.map_or(wall, |(_, began)| *began),
            direction: *direction,
            peer: peer.clone(),
            result,
            talked: *talked,
            code: code.clone(),
            reason: reason.clone(),
            moments: BTreeMap::new(),
        });
    }

    fn sum_up(&mut self, call: &CallId, summary: &Summary) {
        if let Some(loss) = summary.figure("echo_loss_db_p50") {
            self.counts.echo_loss_db = Some(loss);
        }
        if let Some(entry) = self.latest.iter_mut().find(|entry| entry.call == *call) {
            entry.moments = summary.moments.clone();
        }
    }

    fn opening(&mut self, way: Way, opened: bool) {
        *self.counts.openings.entry((way, opened)).or_default() += 1;
    }
}

/// The call that an event begins or goes on with; what comes after its end does not
/// count.
fn call_of(event: &Event) -> Option<&CallId> {
    match event {
        Event::Start(call)
        | Event::Receive { call, .. }
        | Event::StateChange { call, .. }
        | Event::CallError { call, .. }
        | Event::Moment { call, .. } => Some(call),
        Event::Digit { .. }
        | Event::MediaError { .. }
        | Event::MediaRestored(_)
        | Event::Connection(..)
        | Event::Door(_)
        | Event::Denied(_)
        | Event::Figures { .. }
        | Event::Over { .. }
        | Event::Summary { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Figures;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn call(n: u64) -> CallId {
        CallId::new(format!("c{n}"))
    }

    fn over(n: u64, talked: Option<u64>, code: &str) -> Event {
        Event::Over {
            call: call(n),
            direction: Direction::Outgoing,
            peer: Address::new("alice@home.local"),
            talked: talked.map(Duration::from_secs),
            code: code.to_owned(),
            reason: "over".to_owned(),
        }
    }

    fn moment(n: u64, name: &'static str, ms: u64) -> Event {
        Event::Moment {
            call: call(n),
            name,
            took: Duration::from_millis(ms),
        }
    }

    #[test]
    fn a_call_is_remembered_with_its_beginning_and_what_its_summary_tells() {
        let ledger = Ledger::default();
        ledger.write(&Event::Start(call(1)), at(100));
        ledger.write(&moment(1, "press_to_ringing", 64), at(101));
        ledger.write(&over(1, Some(60), "200"), at(170));
        let summary = Summary {
            direction: Direction::Outgoing,
            talked: Some(Duration::from_secs(60)),
            code: "200".into(),
            moments: [("press_to_ringing", Duration::from_millis(64))].into(),
            figures: Figures([("echo_loss_db_p50", 40.0)].into()),
        };
        let call = call(1);
        ledger.write(&Event::Summary { call, summary }, at(171));
        let [entry] = &ledger.latest()[..] else {
            panic!("{ledger:?}");
        };
        assert_eq!(entry.began, at(100));
        assert_eq!(entry.result, CallResult::Answered);
        assert_eq!(entry.moments["press_to_ringing"], Duration::from_millis(64));
        let counts = ledger.counts();
        assert_eq!(counts.echo_loss_db, Some(40.0));
        assert_eq!(counts.calls[&("outgoing", CallResult::Answered)], 1);
        assert_eq!(counts.steps["press_to_ringing"].count(), 1);
    }

    #[test]
    fn the_latest_ten_are_kept_and_all_are_counted() {
        let ledger = Ledger::default();
        for n in 0..25 {
            ledger.write(&over(n, None, "480"), at(n));
        }
        let calls: Vec<_> = ledger.latest().into_iter().map(|e| e.call).collect();
        assert_eq!(calls.len(), LATEST);
        assert_eq!((&calls[0], &calls[9]), (&call(24), &call(15)));
        let counts = ledger.counts().calls;
        assert_eq!(counts[&("outgoing", CallResult::Missed)], 25);
    }

    #[test]
    fn a_step_that_is_no_figure_of_ours_is_not_counted() {
        let ledger = Ledger::default();
        ledger.write(&moment(1, "press_to_offer", 3), at(1));
        assert!(ledger.counts().steps.is_empty());
    }

    #[test]
    fn buckets_hold_what_took_no_longer() {
        let mut histogram = Histogram::default();
        for ms in [25, 26, 250, 60_000] {
            histogram.add(Duration::from_millis(ms));
        }
        let counts: Vec<_> = histogram.buckets().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 2, 2, 2, 3, 3, 3, 3, 3, 3]);
        assert_eq!(histogram.count(), 4);
        assert_eq!(histogram.sum(), Duration::from_millis(60_301));
    }
}
