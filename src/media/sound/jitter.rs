//! The jitter buffer: packets in as the network brings them, one after the other
//! out at the speaker's pace. Pure: time is an argument, nothing is decoded here.
//!
//! Everything is reckoned in samples of the RTP clock (48 kHz). A packet that is
//! due and not there is made up (with the help of the next one where that carries
//! forward error correction); while *nothing* is there the play-out point stands,
//! so that packets that are merely late are still played and the delay grows to
//! what the network needs. It shrinks again when the player follows
//! [`JitterBuffer::advice`]. What is finer than that, and lasts, is drift of the
//! clocks: see [`JitterBuffer::surplus_ms`].

use std::time::Duration;

use bytes::Bytes;

use super::delays::{Delays, JUDGE_EVERY};

/// Samples in a millisecond.
const MS: i64 = 48;
/// Bounds of the depth that is aimed at.
const TARGET: (i64, i64) = (MARGIN, 200 * MS);
/// What the depth is more than the network's jitter: with [`BELOW_DEPTH`] this leaves
/// 5 ms for what comes later than all but three packets in a hundred, and for a clock
/// that is not known yet.
const MARGIN: i64 = 20 * MS;
/// The depth before anything is known about the network: one packet, so that a call's
/// first sound is heard at once. A network that jitters deepens it with the first
/// packet that is late.
const TARGET_AT_START: i64 = 20 * MS;
/// Packets that are kept: 640 ms of 10 ms packets, more than three times the
/// largest depth. When full the oldest is dropped: old sound is worth least.
const LIMIT: usize = 64;
/// What is made up in one piece while nothing arrives: by as much grows the delay when
/// the next packet was late and not lost.
const MADE_UP: i64 = 10 * MS;
/// What is made up at most while nothing arrives; then silence.
const MADE_UP_AT_MOST: i64 = 100 * MS;
/// A gap that is longer is a pause of the sender, not a loss.
const GAP_AT_MOST: i64 = 200 * MS;
/// Jumps beyond these begin a new stream: another sender, or the same one anew.
const SEQUENCE_JUMP: i64 = 1000;
const BACKWARD_JUMP: i64 = 1000 * MS;
/// Opus conceals in steps of 2.5 ms.
const GRAIN: i64 = 5 * MS / 2;
/// A depth that is this far below the target is left alone.
const SLACK: i64 = 20 * MS;
/// A depth that is this far above the target is left alone: what is taken away at
/// once, and a little.
const SURPLUS: i64 = 12 * MS;

/// A loss from which on the depth leaves room for one packet more: the correction of a
/// lost packet travels in the next one, and is of use only if that is there in time.
/// One lost packet in the last minute is no reason to hear everything later.
const LOSSY: f64 = 0.02;
/// Packets over which loss is smoothed: a little more than a second.
const LOSS_MEMORY: f64 = 64.0;

/// Packets over which the wait is smoothed: two seconds.
const STEADY: f64 = 100.0;
/// A packet that is alone when it is taken waits for less than the depth that it is, by
/// this much. Of that wait 10 ms are gone already: the speaker looks each 10 ms, and
/// takes a packet up to 10 ms before it is played.
const BELOW_DEPTH: i64 = 5 * MS;

/// What became of a packet that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It waits for its turn.
    Taken,
    /// Its turn is over.
    Late,
    /// It is here already.
    Doubled,
    /// It fits to nothing; a second one like it begins a new stream.
    Strange,
    /// It was taken, and the buffer began anew with it.
    NewStream,
}

/// What to play next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Decode this.
    Packet(Bytes),
    /// Recover so many samples from the correction data in this packet, which
    /// itself comes next.
    Correct(Bytes, usize),
    /// Make up so many samples.
    Conceal(usize),
    /// Nothing is being said.
    Silence,
}

/// What would bring the depth to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing.
    Keep,
    /// Play 10 ms less where it is quiet.
    Shorten,
    /// Play 10 ms less wherever it is.
    ShortenNow,
    /// Play 10 ms more where it is quiet.
    Lengthen,
    /// Play 10 ms more wherever it is.
    LengthenNow,
}

#[derive(Debug)]
struct Packet {
    sequence: i64,
    timestamp: i64,
    samples: i64,
    arrived: Duration,
    payload: Bytes,
}

impl Packet {
    fn end(&self) -> i64 {
        self.timestamp + self.samples
    }
}

/// The newest packet of the stream, for making 16 and 32 bits into 64.
#[derive(Clone, Copy, Debug)]
struct Newest {
    sequence: i64,
    timestamp: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Play {
    /// Collecting until the target is reached.
    Waiting,
    Playing {
        /// The next sample to play.
        at: i64,
        /// Samples made up while nothing was there.
        made_up: i64,
    },
}

/// See the [module](self).
#[derive(Debug)]
pub struct JitterBuffer {
    /// In order of time stamps.
    packets: Vec<Packet>,
    newest: Option<Newest>,
    /// Sequence number that would confirm a new stream.
    expected: Option<u16>,
    play: Play,
    /// Length of the latest packet.
    frame: i64,
    delays: Delays,
    /// Share of packets that did not come in their turn, smoothed.
    loss: f64,
    target: i64,
    /// Depth when a packet is asked for, smoothed.
    depth: i64,
    /// How long packets wait here beyond the quickest one's way, samples, smoothed
    /// over [`STEADY`] packets; `None` before the first was played.
    wait: Option<f64>,
}

impl Default for JitterBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl JitterBuffer {
    /// A buffer that knows nothing of the network yet.
    pub fn new() -> Self {
        Self {
            packets: Vec::with_capacity(LIMIT),
            newest: None,
            expected: None,
            play: Play::Waiting,
            frame: 20 * MS,
            delays: Delays::new(),
            loss: 0.0,
            target: TARGET_AT_START,
            depth: TARGET_AT_START,
            wait: None,
        }
    }

    /// Forgets everything, the network's judgement too.
    pub fn reset(&mut self) {
        self.packets.clear();
        self.newest = None;
        self.expected = None;
        self.play = Play::Waiting;
        self.delays.clear();
        self.loss = 0.0;
        self.target = TARGET_AT_START;
        self.depth = TARGET_AT_START;
        self.wait = None;
    }

    /// Nothing was pushed since the start or the latest [`JitterBuffer::reset`].
    pub fn is_new(&self) -> bool {
        self.newest.is_none()
    }

    /// A packet of `samples` samples arrived.
    pub fn push(
        &mut self,
        arrived: Duration,
        sequence: u16,
        timestamp: u32,
        samples: u32,
        payload: Bytes,
    ) -> Pushed {
        let mut result = Pushed::Taken;
        let extended = match self.extend(sequence, timestamp) {
            Some(extended) => extended,
            None if self.newest.is_none() || self.expected == Some(sequence) => {
                if self.newest.is_some() {
                    self.reset();
                    result = Pushed::NewStream;
                }
                Newest {
                    sequence: i64::from(sequence),
                    timestamp: i64::from(timestamp),
                }
            }
            None => {
                self.expected = Some(sequence.wrapping_add(1));
                return Pushed::Strange;
            }
        };
        self.expected = None;
        self.frame = i64::from(samples);
        let before = self.newest.map_or(extended.sequence - 1, |n| n.sequence);
        if extended.sequence > before {
            self.newest = Some(extended);
            let step = (extended.sequence - before) as f64;
            let missed = (step - 1.0) / step;
            self.loss += (missed - self.loss) * (step / LOSS_MEMORY).min(1.0);
        }
        self.judge(arrived, extended.timestamp);
        let packet = Packet {
            sequence: extended.sequence,
            timestamp: extended.timestamp,
            samples: i64::from(samples),
            arrived,
            payload,
        };
        self.insert(packet).unwrap_or(result)
    }

    /// What to play at `now`.
    pub fn next(&mut self, now: Duration) -> Next {
        if self.play == Play::Waiting && !self.begin(now) {
            return Next::Silence;
        }
        let Play::Playing { at, made_up } = self.play else {
            return Next::Silence;
        };
        self.depth += (self.buffered(at) - self.depth) / 16;
        let Some(first) = self.packets.first() else {
            return self.nothing_there(at, made_up);
        };
        // What was made up while nothing was there stands for what is missing.
        let mut at = at;
        if first.timestamp > at {
            at += made_up.min(first.timestamp - at);
        }
        let gap = first.timestamp - at;
        if gap < GRAIN {
            self.measure(now);
            return self.take_first();
        }
        if gap > GAP_AT_MOST {
            self.play = Play::Waiting;
            return self.next(now);
        }
        let (next, length) = if gap == first.samples {
            (Next::Correct(first.payload.clone(), gap as usize), gap)
        } else {
            let length = self.frame.min(gap) / GRAIN * GRAIN;
            (Next::Conceal(length as usize), length)
        };
        self.play = Play::Playing {
            at: at + length,
            made_up: 0,
        };
        next
    }

    /// What the player should do about the depth.
    pub fn advice(&self) -> Advice {
        match self.depth - self.target {
            _ if self.play == Play::Waiting => Advice::Keep,
            over if over > 4 * SLACK => Advice::ShortenNow,
            over if over > SURPLUS => Advice::Shorten,
            over if over < -2 * SLACK => Advice::LengthenNow,
            over if over < -SLACK => Advice::Lengthen,
            _ => Advice::Keep,
        }
    }

    /// The player played so many samples less (or, negative, more) than it took.
    pub fn adjusted(&mut self, samples: i64) {
        self.depth -= samples;
        if let Some(wait) = &mut self.wait {
            *wait -= samples as f64;
        }
    }

    /// How much longer sound waits than it should, milliseconds, without the grain
    /// of whole packets: what a change of the playing speed has to take away.
    pub fn surplus_ms(&self) -> f64 {
        let wanted = (self.target - BELOW_DEPTH) as f64;
        self.wait.map_or(0.0, |wait| (wait - wanted) / MS as f64)
    }

    /// How much sound waits, smoothed, in milliseconds.
    pub fn depth_ms(&self) -> f64 {
        self.depth.max(0) as f64 / MS as f64
    }

    /// How much should wait, in milliseconds.
    pub fn target_ms(&self) -> f64 {
        self.target as f64 / MS as f64
    }

    /// The full sequence number and time stamp; `None` if they are not of this
    /// stream, or if there is none yet.
    fn extend(&self, sequence: u16, timestamp: u32) -> Option<Newest> {
        let newest = self.newest?;
        let step = i64::from(sequence.wrapping_sub(newest.sequence as u16) as i16);
        let time = i64::from(timestamp.wrapping_sub(newest.timestamp as u32) as i32);
        // A sender may pause for long, but time does not go back.
        if step.abs() > SEQUENCE_JUMP || time < -BACKWARD_JUMP || (step > 0 && time < 0) {
            return None;
        }
        Some(Newest {
            sequence: newest.sequence + step,
            timestamp: newest.timestamp + time,
        })
    }

    fn insert(&mut self, packet: Packet) -> Option<Pushed> {
        if let Play::Playing { at, .. } = self.play
            && packet.timestamp < at
        {
            return Some(Pushed::Late);
        }
        let place = self
            .packets
            .partition_point(|other| other.timestamp < packet.timestamp);
        let twin = self.packets.get(place);
        if twin.is_some_and(|twin| twin.timestamp == packet.timestamp)
            || self
                .packets
                .iter()
                .any(|other| other.sequence == packet.sequence)
        {
            return Some(Pushed::Doubled);
        }
        self.packets.insert(place, packet);
        if self.packets.len() == LIMIT {
            self.packets.remove(0);
            if let (Play::Playing { at, .. }, Some(first)) = (&mut self.play, self.packets.first())
            {
                *at = (*at).max(first.timestamp);
            }
        }
        None
    }

    /// Begins to play if enough is there, or has waited long enough.
    fn begin(&mut self, now: Duration) -> bool {
        let (Some(first), Some(last)) = (self.packets.first(), self.packets.last()) else {
            return false;
        };
        let waited = samples(now.saturating_sub(first.arrived));
        let buffered = last.end() - first.timestamp;
        if buffered < self.target && waited < self.target {
            return false;
        }
        self.depth = buffered;
        self.wait = None;
        self.play = Play::Playing {
            at: first.timestamp,
            made_up: 0,
        };
        true
    }

    fn nothing_there(&mut self, at: i64, made_up: i64) -> Next {
        if made_up >= MADE_UP_AT_MOST {
            self.play = Play::Waiting;
            return Next::Silence;
        }
        let length = self.frame.min(MADE_UP);
        self.play = Play::Playing {
            at,
            made_up: made_up + length,
        };
        Next::Conceal(length as usize)
    }

    /// The first packet is played at `now`: how long did it wait, had it come as
    /// quickly as the quickest?
    fn measure(&mut self, now: Duration) {
        let Some(first) = self.packets.first() else {
            return;
        };
        let quickest = self.delays.quickest();
        let waited = (samples(now) - first.timestamp - quickest) as f64;
        let wait = self.wait.get_or_insert(waited);
        *wait += (waited - *wait) / STEADY;
    }

    fn take_first(&mut self) -> Next {
        let packet = self.packets.remove(0);
        self.play = Play::Playing {
            at: packet.end(),
            made_up: 0,
        };
        Next::Packet(packet.payload)
    }

    fn buffered(&self, at: i64) -> i64 {
        self.packets
            .last()
            .map_or(0, |last| (last.end() - at).max(0))
    }

    /// Learns from one packet's delay what depth the network needs: up at once,
    /// slowly down.
    fn judge(&mut self, arrived: Duration, timestamp: i64) {
        self.delays.add(samples(arrived) - timestamp);
        if !self.delays.are_due() {
            return;
        }
        let mut wanted = self.delays.spread() + MARGIN;
        if !self.delays.are_warm() {
            wanted = wanted.max(TARGET_AT_START);
        }
        if self.loss > LOSSY {
            wanted += self.frame;
        }
        let wanted = wanted.clamp(TARGET.0, TARGET.1);
        self.target = wanted.max(self.target - JUDGE_EVERY as i64 * MS / 4);
    }
}

fn samples(time: Duration) -> i64 {
    (time.as_micros() as i64) * MS / 1000
}

#[cfg(test)]
#[path = "jitter_tests.rs"]
mod tests;
