//! The estimator on a made-up line, in virtual time.

use super::*;

/// A line with a rate, a queue that drops at its end, a delay, and random loss.
/// Sends a picture each 33 ms, as large as the estimator allows (or `content`),
/// and reports each 100 ms, as browsers do.
struct Line {
    estimator: Estimator,
    start: Instant,
    at: Duration,
    /// Bits a second.
    rate: f64,
    /// The longest wait in the queue.
    depth: Duration,
    delay: Duration,
    loss: f64,
    cut: bool,
    /// Bits a second that the pictures have, if they are below the target.
    content: f64,
    free_at: Duration,
    on_the_way: VecDeque<(Duration, Told)>,
    reported: Duration,
    seed: u64,
    /// The longest wait of a packet in the latest run.
    waited: Duration,
}

impl Line {
    fn new(rate: f64) -> Self {
        Self {
            estimator: Estimator::default(),
            start: crate::clock::now(),
            at: Duration::ZERO,
            rate,
            depth: Duration::from_millis(400),
            delay: Duration::from_millis(20),
            loss: 0.0,
            cut: false,
            content: f64::INFINITY,
            free_at: Duration::ZERO,
            on_the_way: VecDeque::new(),
            reported: Duration::ZERO,
            seed: 7,
            waited: Duration::ZERO,
        }
    }

    /// 0 to 1, the same in every run.
    fn random(&mut self) -> f64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.seed >> 33) as f64 / (1u64 << 31) as f64
    }

    fn send(&mut self, size: usize) {
        let begins = self.free_at.max(self.at);
        let waits = begins - self.at;
        let lost = self.cut || self.random() < self.loss || waits > self.depth;
        let mut arrived = None;
        if !lost {
            self.free_at = begins + Duration::from_secs_f64(size as f64 * 8.0 / self.rate);
            self.waited = self.waited.max(waits);
            // Their clock is 1,000 s ahead of ours.
            arrived = Some(self.free_at + self.delay + Duration::from_secs(1_000));
        }
        let told = Told {
            size,
            left: self.start + self.at,
            arrived,
        };
        let known = arrived.map_or(self.at + self.delay, |a| a - Duration::from_secs(1_000));
        self.on_the_way.push_back((known, told));
    }

    fn run(&mut self, time: Duration) -> f64 {
        self.waited = Duration::ZERO;
        let end = self.at + time;
        while self.at < end {
            self.at += Duration::from_millis(33);
            let bits = self.estimator.target().min(self.content);
            let mut bytes = (bits / 30.0 / 8.0) as usize;
            while bytes > 0 {
                self.send(bytes.min(1_200));
                bytes = bytes.saturating_sub(1_200);
            }
            if self.at >= self.reported + Duration::from_millis(100) {
                self.reported = self.at;
                self.report();
            }
        }
        self.estimator.target()
    }

    /// Everything up to the latest packet that arrived.
    fn report(&mut self) {
        let at = self.at;
        let arrived = |&(known, told): &(Duration, Told)| known <= at && told.arrived.is_some();
        let Some(last) = self.on_the_way.iter().rposition(arrived) else {
            return;
        };
        let told: Vec<Told> = self
            .on_the_way
            .drain(..=last)
            .map(|(_, told)| told)
            .collect();
        self.estimator.take(self.start + at, told);
    }
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_free_line_is_used_up_to_the_most() {
    let target = Line::new(10e6).run(s(4));
    assert_eq!(target, MOST);
}

#[test]
fn a_line_that_drops_to_500_kb_is_followed_within_five_seconds_and_back() {
    let mut line = Line::new(3e6);
    line.run(s(5));
    line.rate = 500e3;
    line.run(s(5));
    // From here on: below the line's rate, and no queue that hurts the voice.
    let mut lowest = f64::INFINITY;
    for _ in 0..20 {
        let target = line.run(s(1));
        lowest = lowest.min(target);
        assert!(target < 560e3, "{target}");
        assert!(
            line.waited < Duration::from_millis(200),
            "{:?}",
            line.waited
        );
    }
    assert!(lowest > 200e3, "{lowest}");
    line.rate = 3e6;
    let target = line.run(s(8));
    assert!(target > 1.5e6, "{target}");
}

#[test]
fn a_line_that_is_narrow_from_the_start_is_found() {
    let mut line = Line::new(400e3);
    line.run(s(4));
    let target = line.run(s(10));
    assert!((200e3..440e3).contains(&target), "{target}");
    assert!(
        line.waited < Duration::from_millis(200),
        "{:?}",
        line.waited
    );
}

#[test]
fn noise_of_the_air_does_not_lower_the_target() {
    for loss in [0.05, 0.2] {
        let mut line = Line::new(10e6);
        line.loss = loss;
        let target = line.run(s(20));
        assert!(target >= START, "{target} at {loss}");
        let seen = line.estimator.loss();
        assert!((loss / 3.0..loss * 2.0).contains(&seen), "{seen}");
    }
}

#[test]
fn a_line_that_drops_instead_of_queueing_is_followed() {
    let mut line = Line::new(400e3);
    line.depth = Duration::from_millis(30);
    let target = line.run(s(10));
    assert!(target < 600e3, "{target}");
}

#[test]
fn what_a_far_end_misses_at_the_start_is_no_full_line() {
    let mut line = Line::new(10e6);
    line.content = 300e3;
    line.cut = true;
    line.run(Duration::from_millis(200));
    line.cut = false;
    for _ in 0..20 {
        let target = line.run(Duration::from_millis(100));
        assert!(target >= START, "{target}");
    }
}

#[test]
fn an_outage_counts_as_none_of_its_own_and_is_over_within_a_second() {
    let mut line = Line::new(3e6);
    let before = line.run(s(5));
    line.cut = true;
    line.run(s(8));
    assert_eq!(line.estimator.returns(), 0);
    line.cut = false;
    let at_once = line.run(Duration::from_millis(200));
    assert_eq!(line.estimator.returns(), 1);
    assert!(at_once >= before / 2.1, "{at_once}");
    assert!(line.estimator.loss() < 0.1, "{}", line.estimator.loss());
    let target = line.run(s(3));
    assert!(target > 0.8 * before, "{target} of {before}");
}

#[test]
fn a_quiet_picture_does_not_claim_the_whole_line() {
    let mut line = Line::new(10e6);
    line.content = 140e3;
    let target = line.run(s(2));
    assert!(target < 1.5 * START, "{target}");
}

#[test]
fn a_far_end_whose_clock_jumps_is_no_full_line() {
    let mut line = Line::new(10e6);
    let before = line.run(s(2));
    // As if their 24 bits of 64 ms had wrapped.
    let told = Told {
        size: 1_200,
        left: line.start + line.at,
        arrived: Some(Duration::from_millis(5)),
    };
    line.estimator
        .delays
        .queue(told.left, Duration::from_secs(1_000_000));
    line.estimator.take(line.start + line.at, [told]);
    assert_eq!(
        line.estimator
            .delays
            .queue(told.left, Duration::from_millis(5)),
        Duration::ZERO
    );
    assert!(line.estimator.target() >= before);
}
