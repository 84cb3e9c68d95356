//! How long packets take on their way: what the jitter buffer knows of the network. Pure.

/// Packets over which the network is judged: five seconds of 20 ms packets.
const WINDOW: usize = 256;
/// Packets before the network's judgement replaces the start value.
const WARM: usize = 50;
/// Packets between two judgements, once the window is full.
pub(super) const JUDGE_EVERY: usize = 8;
/// A change of the delay, samples of 48 kHz, that no network makes: 1 s.
const JUMP: i64 = 48_000;

/// How long packets took, relative to each other: a window of the latest.
#[derive(Debug)]
pub(super) struct Delays {
    values: [i64; WINDOW],
    count: usize,
    place: usize,
}

impl Delays {
    /// Of a network that nothing is known about.
    pub(super) fn new() -> Self {
        Self {
            values: [0; WINDOW],
            count: 0,
            place: 0,
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        (self.count, self.place) = (0, 0);
    }

    /// A packet took so many samples, against any fixed moment.
    pub(super) fn add(&mut self, delay: i64) {
        let before = self.count.checked_sub(1).map(|_| {
            let previous = (self.place + WINDOW - 1) % WINDOW;
            self.values[previous]
        });
        // A sender whose clock jumped against ours says nothing about the network.
        if before.is_some_and(|before| (before - delay).abs() > JUMP) {
            self.clear();
        }
        self.values[self.place] = delay;
        self.place = (self.place + 1) % WINDOW;
        self.count = (self.count + 1).min(WINDOW);
    }

    /// It is time to judge: at each packet until the window is full.
    pub(super) fn are_due(&self) -> bool {
        self.count < WINDOW || self.place.is_multiple_of(JUDGE_EVERY)
    }

    /// Enough packets came for a judgement.
    pub(super) fn are_warm(&self) -> bool {
        self.count >= WARM
    }

    /// The least delay of the window.
    pub(super) fn quickest(&self) -> i64 {
        let latest = self.values[..self.count].iter().min();
        latest.copied().unwrap_or_default()
    }

    /// From the quickest packet to the slowest but three in a hundred.
    pub(super) fn spread(&self) -> i64 {
        let mut sorted = self.values;
        let sorted = &mut sorted[..self.count];
        let Some(quickest) = sorted.iter().min().copied() else {
            return 0;
        };
        let place = (self.count * 97 / 100).min(self.count - 1);
        let (_, slow, _) = sorted.select_nth_unstable(place);
        *slow - quickest
    }
}
