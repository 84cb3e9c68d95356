//! Watches an echo canceller from outside. Pure.
//!
//! It knows four numbers of each block: how loud the speaker was, the microphone
//! before and after the canceller, and the delay that the canceller believes in.
//! From these come the figures, and the judgement whether echo gets through: the
//! rhythm of the speaker is found again, at one and the same lag, in what should be
//! free of it, and little was taken away. That three times in a row is
//! half-duplex: the microphone is shut while the speaker is audible. It ends the same
//! way, for the judgement goes on with what is under the gate.

use super::super::BLOCK;

/// Blocks that a judgement looks at: 2 s.
const WINDOW: usize = 200;
/// Blocks between two judgements: 0.5 s.
const EVERY: usize = 50;
/// Blocks of the window in which the speaker must have been audible.
const ENOUGH: usize = 60;
/// The longest lag that is looked for, blocks: 500 ms.
const LAGS: usize = 50;
/// Likeness of two rhythms that is no chance: measured with two voices at once it
/// stays below 0.6.
const ALIKE: f32 = 0.75;
/// Less than this taken away, dB, is no echo control.
const LITTLE_DB: f32 = 12.0;
/// Judgements in a row that decide: 1.5 s.
const IN_A_ROW: u32 = 3;
/// What counts as audible, dBFS.
const AUDIBLE_DBFS: f32 = -50.0;
/// The quietest that is told apart, dBFS.
const FLOOR_DBFS: f32 = -80.0;
/// Blocks for which the gate stays shut after the speaker: its echo is on the way.
const HANG: u32 = 25;
/// The shut gate, -40 dB: the far end hears that the line is alive.
const SHUT: f32 = 0.01;
/// A delay that moved by more than this, ms, has jumped. The canceller's own estimate
/// has a grain of 4 ms.
const JUMP_MS: i64 = 16;
/// Blocks for which a new delay must hold: 1 s. At its start the canceller tries some.
const HOLDS: u32 = 100;

/// What is known of the echo.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// Echo return loss enhancement, dB: how much quieter the microphone became
    /// while the speaker was audible. A voice at the door lowers it.
    pub loss_db: f32,
    /// From the speaker to the microphone as the canceller sees it, ms.
    pub delay_ms: Option<i64>,
    /// How often that delay jumped.
    pub delay_jumps: u64,
    /// The microphone is shut while the speaker is audible.
    pub half_duplex: bool,
    /// The microphone before the canceller, dBFS, smoothed over a second; -120 is a
    /// microphone that is muted.
    pub microphone_dbfs: f32,
    /// The speaker, dBFS, smoothed over a second.
    pub speaker_dbfs: f32,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Supervisor {
    speaker: Ring,
    after: Ring,
    blocks: usize,
    /// Powers while the speaker is audible, smoothed.
    taken_from: f32,
    left: f32,
    microphone: f32,
    loudspeaker: f32,
    delay: Delay,
    /// Where the rhythm was found again, and how often in a row.
    leak: Option<(usize, u32)>,
    sound: u32,
    half_duplex: bool,
    /// Blocks since the speaker was audible.
    quiet: u32,
    gain: f32,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new()
    }
}

impl Supervisor {
    /// A supervisor of a canceller that begins.
    pub fn new() -> Self {
        Self {
            speaker: Ring::new(),
            after: Ring::new(),
            blocks: 0,
            taken_from: 0.0,
            left: 0.0,
            microphone: 0.0,
            loudspeaker: 0.0,
            delay: Delay::default(),
            leak: None,
            sound: 0,
            half_duplex: false,
            quiet: HANG,
            gain: 1.0,
        }
    }

    /// One block: mean squares of the speaker's, of the microphone's before and
    /// after the canceller, and the delay in ms.
    pub fn note(&mut self, speaker: f32, before: f32, after: f32, delay: Option<i64>) {
        self.microphone += (before - self.microphone) / 100.0;
        self.loudspeaker += (speaker - self.loudspeaker) / 100.0;
        let audible = dbfs(speaker) > AUDIBLE_DBFS;
        self.quiet = if audible {
            0
        } else {
            self.quiet.saturating_add(1)
        };
        if self.quiet < HANG {
            self.taken_from += (before - self.taken_from) / 100.0;
            self.left += (after - self.left) / 100.0;
        }
        self.delay.note(delay);
        self.speaker.push(dbfs(speaker));
        self.after.push(dbfs(after));
        self.blocks += 1;
        if self.blocks >= WINDOW && self.blocks.is_multiple_of(EVERY) {
            self.judge();
        }
    }

    /// Shuts the microphone where that is the only way.
    pub fn apply(&mut self, block: &mut [f32; BLOCK]) {
        let wanted = if self.half_duplex && self.quiet < HANG {
            SHUT
        } else {
            1.0
        };
        if self.gain == 1.0 && wanted == 1.0 {
            return;
        }
        let step = (wanted - self.gain) / BLOCK as f32;
        for sample in block {
            self.gain += step;
            *sample *= self.gain;
        }
        self.gain = wanted;
    }

    /// What is known now.
    pub fn report(&self) -> Report {
        Report {
            loss_db: self.loss_db(),
            delay_ms: self.delay.settled,
            delay_jumps: self.delay.jumps,
            half_duplex: self.half_duplex,
            microphone_dbfs: level(self.microphone),
            speaker_dbfs: level(self.loudspeaker),
        }
    }

    fn loss_db(&self) -> f32 {
        if self.taken_from == 0.0 {
            return 0.0;
        }
        dbfs(self.taken_from) - dbfs(self.left)
    }

    fn judge(&mut self) {
        let audible = |db: &f32| *db > AUDIBLE_DBFS;
        if self.speaker.values.iter().filter(|db| audible(db)).count() < ENOUGH {
            return;
        }
        let leak = (self.loss_db() < LITTLE_DB && dbfs(self.left) > AUDIBLE_DBFS)
            .then(|| self.likeness())
            .filter(|(_, likeness)| *likeness > ALIKE);
        let Some((lag, _)) = leak else {
            self.leak = None;
            self.sound += 1;
            if self.sound >= IN_A_ROW {
                self.half_duplex = false;
            }
            return;
        };
        self.sound = 0;
        let times = match self.leak {
            Some((before, times)) if before.abs_diff(lag) <= 2 => times + 1,
            _ => 1,
        };
        self.leak = Some((lag, times));
        if times >= IN_A_ROW {
            self.half_duplex = true;
        }
    }

    /// The lag at which the microphone follows the speaker best, and how well: -1 to
    /// 1 (Pearson, over levels in dB).
    fn likeness(&self) -> (usize, f32) {
        (0..LAGS)
            .map(|lag| (lag, self.likeness_at(lag)))
            .fold(
                (0, -1.0),
                |best, now| if now.1 > best.1 { now } else { best },
            )
    }

    fn likeness_at(&self, lag: usize) -> f32 {
        let count = (WINDOW - lag) as f32;
        let pairs = || (lag..WINDOW).map(|age| (self.speaker.at(age - lag), self.after.at(age)));
        let (sum_a, sum_b) = pairs().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
        let (mean_a, mean_b) = (sum_a / count, sum_b / count);
        let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
        for (x, y) in pairs() {
            let (x, y) = (x - mean_a, y - mean_b);
            ab += x * y;
            aa += x * x;
            bb += y * y;
        }
        ab / (aa * bb).sqrt().max(1e-6)
    }
}

/// The latest [`WINDOW`] levels, dBFS.
#[derive(Debug)]
struct Ring {
    values: [f32; WINDOW],
    place: usize,
}

impl Ring {
    fn new() -> Self {
        Self {
            values: [FLOOR_DBFS; WINDOW],
            place: 0,
        }
    }

    fn push(&mut self, value: f32) {
        self.values[self.place] = value;
        self.place = (self.place + 1) % WINDOW;
    }

    /// In order of time: 0 is the oldest.
    fn at(&self, index: usize) -> f32 {
        self.values[(self.place + index) % WINDOW]
    }
}

/// The delay as one settled value, and its jumps.
#[derive(Debug, Default)]
struct Delay {
    settled: Option<i64>,
    other: Option<i64>,
    holds: u32,
    jumps: u64,
}

impl Delay {
    fn note(&mut self, delay: Option<i64>) {
        let Some(delay) = delay else { return };
        if let Some(settled) = &mut self.settled
            && settled.abs_diff(delay) <= JUMP_MS.unsigned_abs()
        {
            // Drift is followed, and is no jump.
            *settled = delay;
            self.other = None;
            return;
        }
        match self.other {
            Some(other) if other.abs_diff(delay) <= JUMP_MS.unsigned_abs() => self.holds += 1,
            _ => (self.other, self.holds) = (Some(delay), 0),
        }
        if self.holds >= HOLDS {
            self.jumps += u64::from(self.settled.is_some());
            (self.settled, self.other) = (Some(delay), None);
        }
    }
}

/// The mean square of a block.
pub fn power(block: &[f32; BLOCK]) -> f32 {
    block.iter().map(|sample| sample * sample).sum::<f32>() / BLOCK as f32
}

/// A mean square as dBFS, not below the floor.
fn dbfs(power: f32) -> f32 {
    level(power).max(FLOOR_DBFS)
}

/// A mean square as dBFS; digital silence is -120.
fn level(power: f32) -> f32 {
    10.0 * power.max(1e-12).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rhythm that does not repeat: a level for each of 15 blocks.
    fn rhythm(seed: u32, block: usize) -> f32 {
        let mut state = seed ^ (block as u32 / 15).wrapping_mul(2_654_435_761);
        state ^= state >> 15;
        state = state.wrapping_mul(2_246_822_519);
        state ^= state >> 13;
        if state.is_multiple_of(3) {
            1e-9
        } else {
            0.01 * (1 + state % 7) as f32
        }
    }

    /// Seconds of a room whose echo comes after 12 blocks and loses `taken` dB.
    fn run(supervisor: &mut Supervisor, seconds: usize, taken: f32, near: f32) {
        let factor = 10_f32.powf(-taken / 10.0);
        for block in 12..seconds * 100 {
            let echo = 0.3 * rhythm(1, block - 12);
            let voice = near * rhythm(77, block);
            let (before, after) = (echo + voice, echo * factor + voice);
            supervisor.note(rhythm(1, block), before, after, Some(120));
        }
    }

    #[test]
    fn echo_that_gets_through_shuts_the_gate_and_its_end_opens_it() {
        let mut supervisor = Supervisor::new();
        run(&mut supervisor, 6, 3.0, 0.0);
        let report = supervisor.report();
        assert!(report.half_duplex);
        assert!((report.loss_db - 3.0).abs() < 0.1, "{report:?}");
        let mut block = [0.5; BLOCK];
        supervisor.note(0.01, 0.01, 0.01, Some(120));
        supervisor.apply(&mut block);
        assert!(block[BLOCK - 1] < 0.01);
        let steepest = block.windows(2).map(|pair| pair[0] - pair[1]);
        assert!(steepest.fold(0.0, f32::max) < 0.002, "it closes softly");
        for _ in 0..HANG {
            supervisor.note(0.0, 1e-6, 1e-6, Some(120));
            supervisor.apply(&mut block);
        }
        let mut voice = [0.5; BLOCK];
        supervisor.apply(&mut voice);
        assert_eq!(voice, [0.5; BLOCK], "open while the far end is silent");

        run(&mut supervisor, 6, 40.0, 0.0);
        assert!(!supervisor.report().half_duplex);
    }

    #[test]
    fn a_canceller_that_works_is_left_alone_also_in_double_talk() {
        let mut supervisor = Supervisor::new();
        for near in [0.0, 0.3, 1.0, 3.0] {
            run(&mut supervisor, 20, 40.0, near);
            assert!(!supervisor.report().half_duplex, "{near}");
        }
    }

    #[test]
    fn a_jump_of_the_delay_is_noticed_and_drift_is_not() {
        let mut delay = Delay::default();
        let mut hold = |delay_ms: i64, blocks: usize| {
            for _ in 0..blocks {
                delay.note(Some(delay_ms));
            }
            (delay.settled, delay.jumps)
        };
        assert_eq!(hold(48, 110), (Some(48), 0));
        for drift in 48..120 {
            assert_eq!(hold(drift, 10).1, 0);
        }
        // A moment's doubt is no jump.
        assert_eq!(hold(300, 90).1, 0);
        assert_eq!(hold(120, 50), (Some(120), 0));
        assert_eq!(hold(200, 110), (Some(200), 1));
    }
}
