//! How much the way to the far end carries, from what it says of our packets.
//!
//! Pure: packets and times in, bits a second out. It is our own because the one
//! of rtc 0.21.1 falls to its minimum behind a full queue and stays there
//! (measured, 22 November 2026).
//!
//! ```text
//!            queue grows                    queue is empty, or 1.5 s
//!  Growing ---------------> Draining(0.5 x) ------------------------> Growing(0.85 x)
//! ```
//!
//! * A packet's delay above the least of the last 10 to 20 s is what it waited in
//!   queues; the least of a tenth of a second is free of jitter and of the bursts
//!   of one picture. A queue that stays means that the line is full: what arrived
//!   meanwhile is what it carries.
//! * Loss with a queue is a full line too. Loss without one is noise of the air,
//!   and sending less would not mend it; only beyond 30 % of a second it is believed
//!   to be a line that drops instead of queueing.
//! * A stream that does not fill its target teaches nothing about more: then the
//!   target only creeps up.
//!
//! It deliberately does not pace and knows no codec.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bits a second that a picture needs at least, and can use at most.
pub(crate) const LEAST: f64 = 150_000.0;
pub(crate) const MOST: f64 = 2_500_000.0;
/// Where a call begins: a home's uplink carries it, and growing to the most
/// takes two seconds.
pub(crate) const START: f64 = 1_200_000.0;

/// How often it decides: the far end reports each 50 to 100 ms.
const STEP: Duration = Duration::from_millis(100);
/// What arrived in this time is what the line carries.
const RATE_WINDOW: Duration = Duration::from_millis(300);
/// Loss is counted over this time.
const LOSS_WINDOW: Duration = Duration::from_secs(1);
/// Half of the time over which the least delay is remembered: long enough to see
/// an empty queue, short enough for a way that changed.
const BASE_WINDOW: Duration = Duration::from_secs(10);

/// A queue of this length in two steps on end is a full line, and one of twice
/// and a half the length at once. Wi-Fi alone stays below in the least of a step.
const QUEUE: Duration = Duration::from_millis(40);
const LONG_QUEUE: Duration = Duration::from_millis(100);
/// A queue that counts as empty.
const SHORT_QUEUE: Duration = Duration::from_millis(20);
/// Draining ends at the latest after this time.
const DRAIN: Duration = Duration::from_millis(1_500);
/// After a decrease its effect is waited for.
const PATIENCE: Duration = Duration::from_millis(300);

/// Losses beyond which a short queue counts as a long one, and beyond which no
/// queue is needed to believe in a full line.
const LOSS: f64 = 0.10;
const HEAVY_LOSS: f64 = 0.30;
/// What left in less time than this is too little to be sure of heavy loss: a far end may
/// miss the first packets of a call while it makes its keys.
const SURE: Duration = Duration::from_millis(800);

/// No report for so long: the way was cut.
const CUT: Duration = Duration::from_millis(600);

/// What becomes of the target: per step when growing freely, near the rate that
/// was too much, and when the stream does not fill it.
const GROWTH: f64 = 1.04;
const NEAR_GROWTH: f64 = 1.008;
const CREEP: f64 = 1.02;

/// One packet of which the far end has told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// Bytes with the RTP header.
    pub(crate) size: usize,
    /// When it left, by our clock.
    pub(crate) left: Instant,
    /// When it arrived, by the far end's clock; `None`: it did not.
    pub(crate) arrived: Option<Duration>,
}

/// The estimate of one session.
#[derive(Debug)]
pub(crate) struct Estimator {
    target: f64,
    /// What was too much the last time.
    ceiling: Option<f64>,
    draining: Option<Drain>,
    delays: Delays,
    arrived: VecDeque<(Duration, usize)>,
    sent: VecDeque<Told>,
    /// The least queue of the step under way, and of the one before.
    queue: Option<Duration>,
    queue_before: Duration,
    decided: Option<Instant>,
    decreased: Option<Instant>,
    heard: Option<Instant>,
    /// Packets that left before are not counted as lost: the way was cut.
    whole_since: Option<Instant>,
    returns: u32,
}

#[derive(Clone, Copy, Debug)]
struct Drain {
    since: Instant,
    then: f64,
}

impl Default for Estimator {
    fn default() -> Self {
        Self {
            target: START,
            ceiling: None,
            draining: None,
            delays: Delays::default(),
            arrived: VecDeque::new(),
            sent: VecDeque::new(),
            queue: None,
            queue_before: Duration::ZERO,
            decided: None,
            decreased: None,
            heard: None,
            whole_since: None,
            returns: 0,
        }
    }
}

impl Estimator {
    /// Bits a second that may leave, re-sent packets included.
    pub(crate) fn target(&self) -> f64 {
        self.target
    }

    /// The share of packets that got lost in the last second, 0 to 1.
    pub(crate) fn loss(&self) -> f64 {
        let lost = self.sent.iter().filter(|told| told.arrived.is_none());
        // A single lost packet of a few says nothing.
        lost.count() as f64 / self.sent.len().max(20) as f64
    }

    /// How often the way was cut and came back.
    pub(crate) fn returns(&self) -> u32 {
        self.returns
    }

    /// Takes what the far end told at `now`, in the order of sending.
    pub(crate) fn take(&mut self, now: Instant, packets: impl IntoIterator<Item = Told>) {
        let mut news = false;
        for told in packets {
            if !news {
                news = true;
                self.note_cut(now);
            }
            self.count(told);
        }
        if !news {
            return;
        }
        self.forget();
        let due = self.decided.is_none_or(|then| now >= then + STEP);
        if due && let Some(queue) = self.queue.take() {
            self.decided = Some(now);
            self.decide(now, queue);
            self.queue_before = queue;
        }
    }

    /// A way that was cut is begun anew: slowly, and without a grudge.
    fn note_cut(&mut self, now: Instant) {
        let cut = self.heard.is_some_and(|then| now > then + CUT);
        self.heard = Some(now);
        if cut {
            self.returns += 1;
            self.whole_since = Some(now);
            self.target = (self.target / 2.0).max(2.0 * LEAST).min(self.target);
            tracing::debug!(target = self.target, "the line is back");
            self.sent.clear();
            self.arrived.clear();
            self.draining = None;
            self.queue = None;
            self.queue_before = Duration::ZERO;
        }
    }

    fn count(&mut self, told: Told) {
        if let Some(arrived) = told.arrived {
            let queue = self.delays.queue(told.left, arrived);
            self.queue = Some(self.queue.map_or(queue, |least| least.min(queue)));
            self.arrived.push_back((arrived, told.size));
        } else if self.whole_since.is_some_and(|since| told.left < since) {
            return;
        }
        self.sent.push_back(told);
    }

    fn forget(&mut self) {
        if let Some(&(latest, _)) = self.arrived.back() {
            while let Some(&(first, _)) = self.arrived.front() {
                // A clock that was set back counts as old, too.
                if first + RATE_WINDOW >= latest && first <= latest + RATE_WINDOW {
                    break;
                }
                self.arrived.pop_front();
            }
        }
        if let Some(latest) = self.sent.back().map(|told| told.left) {
            while self
                .sent
                .front()
                .is_some_and(|told| told.left + LOSS_WINDOW < latest)
            {
                self.sent.pop_front();
            }
        }
    }

    /// Bits a second that arrived in the last [`RATE_WINDOW`].
    fn received(&self) -> f64 {
        let bytes: usize = self.arrived.iter().map(|(_, size)| size).sum();
        bytes as f64 * 8.0 / RATE_WINDOW.as_secs_f64()
    }

    /// Bits a second that left in the last [`LOSS_WINDOW`].
    fn sending(&self) -> f64 {
        let bytes: usize = self.sent.iter().map(|told| told.size).sum();
        bytes as f64 * 8.0 / LOSS_WINDOW.as_secs_f64()
    }

    /// The time in which the packets left that are counted for the loss.
    fn sent_for(&self) -> Duration {
        match (self.sent.front(), self.sent.back()) {
            (Some(first), Some(latest)) => latest.left.saturating_duration_since(first.left),
            _ => Duration::ZERO,
        }
    }

    fn decide(&mut self, now: Instant, queue: Duration) {
        if let Some(drain) = self.draining {
            if queue > SHORT_QUEUE && now < drain.since + DRAIN {
                return;
            }
            self.draining = None;
            self.target = drain.then;
            return;
        }
        let loss = self.loss();
        let stays = queue > QUEUE && self.queue_before > QUEUE;
        let full = stays || queue > LONG_QUEUE || (loss > LOSS && queue > SHORT_QUEUE);
        let waits = self.decreased.is_some_and(|then| now < then + PATIENCE);
        if full || (loss > HEAVY_LOSS && self.sent_for() >= SURE) {
            if !waits {
                self.decrease(now, queue);
            }
        } else if !waits && queue <= SHORT_QUEUE {
            self.grow(loss);
        }
    }

    fn decrease(&mut self, now: Instant, queue: Duration) {
        let carried = self.received().min(self.target);
        self.decreased = Some(now);
        self.ceiling = Some(carried);
        let then = (0.85 * carried).max(LEAST);
        if queue > SHORT_QUEUE {
            self.draining = Some(Drain { since: now, then });
            self.target = (0.5 * carried).max(LEAST);
        } else {
            self.target = then;
        }
        tracing::debug!(
            queue_ms = queue.as_millis(),
            queue_before_ms = self.queue_before.as_millis(),
            loss = self.loss(),
            carried,
            sending = self.sending(),
            target = self.target,
            "the line is full"
        );
    }

    fn grow(&mut self, loss: f64) {
        let near = |ceiling: f64| (0.8 * ceiling..1.1 * ceiling).contains(&self.target);
        let growth = if self.sending() < 0.7 * self.target || loss > LOSS {
            CREEP
        } else if self.ceiling.is_some_and(near) {
            NEAR_GROWTH
        } else {
            GROWTH
        };
        self.target = (self.target * growth).clamp(LEAST, MOST);
        if self
            .ceiling
            .is_some_and(|ceiling| self.target > 1.1 * ceiling)
        {
            // The line carries more than it did.
            self.ceiling = None;
        }
    }
}

/// The least delay of late: what the way takes without queues. The two clocks
/// differ by anything, so only differences count.
#[derive(Debug, Default)]
struct Delays {
    /// The first packet: our clock and theirs begin here.
    origin: Option<(Instant, Duration)>,
    /// The least of this window and of the one before, seconds, and when it began.
    least: f64,
    before: f64,
    began: Option<Instant>,
}

impl Delays {
    /// How long a packet waited in queues.
    fn queue(&mut self, left: Instant, arrived: Duration) -> Duration {
        let Some((left_0, arrived_0)) = self.origin else {
            self.restart(left, arrived);
            return Duration::ZERO;
        };
        let travelled = left.saturating_duration_since(left_0).as_secs_f64();
        let delay = (arrived.as_secs_f64() - arrived_0.as_secs_f64()) - travelled;
        if delay.abs() > 3600.0 {
            // Their clock has wrapped or was set.
            self.restart(left, arrived);
            return Duration::ZERO;
        }
        if self.began.is_none_or(|began| left > began + BASE_WINDOW) {
            (self.before, self.least, self.began) = (self.least, delay, Some(left));
        }
        self.least = self.least.min(delay);
        Duration::from_secs_f64((delay - self.least.min(self.before)).max(0.0))
    }

    fn restart(&mut self, left: Instant, arrived: Duration) {
        self.origin = Some((left, arrived));
        (self.least, self.before, self.began) = (0.0, 0.0, Some(left));
    }
}

#[cfg(test)]
#[path = "estimator_tests.rs"]
mod tests;
