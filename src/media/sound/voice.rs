//! One far end at the speaker: packets in on the network's side, samples out on
//! the speaker's thread, a bounded queue between.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;
use tracing::debug;

use super::drift::Drift;
use super::jitter::{Advice, JitterBuffer, Next, Pushed};
use super::meters::Meters;
use super::resample::Resampler;
use super::speech::{self, PcmuDecoder};
use super::{BLOCK, RATE};
use crate::clock;
use crate::media::feed::{SoundCodec, Voice};

/// Packets between the network's task and the speaker's thread: 640 ms of 10 ms
/// packets. The thread empties it each 10 ms; when it is full the thread hangs and
/// the newest packet is dropped.
const QUEUE: usize = 64;
/// The longest packet that Opus has: 120 ms.
const LONGEST: usize = RATE as usize / 1000 * 120;
/// The largest payload that is looked at, bytes: what fits into one datagram.
const LARGEST: usize = 1500;
/// A frame below this is quiet whatever came before: -50 dBFS.
const QUIET: f32 = 0.003;

/// How long a block lasts, seconds.
const BLOCK_S: f64 = BLOCK as f64 / RATE as f64;

/// A packet on its way.
#[derive(Debug)]
struct Arrival {
    codec: SoundCodec,
    sequence: u16,
    /// In the codec's clock.
    timestamp: u32,
    payload: Bytes,
    arrived: Instant,
}

/// The network's end of a voice.
#[derive(Debug)]
pub(super) struct VoiceEnd {
    queue: Option<SyncSender<Arrival>>,
    audible: Arc<AtomicBool>,
    heard: watch::Receiver<bool>,
    meters: Arc<Meters>,
}

/// The speaker's end of a voice.
#[derive(Debug)]
pub(super) struct Player {
    queue: Receiver<Arrival>,
    audible: Arc<AtomicBool>,
    heard: watch::Sender<bool>,
    meters: Arc<Meters>,
    began: Instant,
    jitter: JitterBuffer,
    /// Of the packets in the jitter buffer.
    codec: SoundCodec,
    decoder: opus::Decoder,
    narrow: PcmuDecoder,
    /// Decoded and not yet played.
    decoded: [f32; 2 * LONGEST],
    held: usize,
    /// Plays what was decoded at the card's pace.
    resampler: Resampler,
    drift: Drift,
    /// Mean loudness of the frames, for finding quiet ones.
    loudness: f32,
    /// The block that is being mixed holds a decoded packet.
    fresh: bool,
}

/// Makes both ends of a voice.
///
/// # Errors
///
/// When libopus gives no decoder.
pub(super) fn pair(meters: &Arc<Meters>) -> Result<(VoiceEnd, Box<Player>), opus::Error> {
    let (sender, receiver) = sync_channel(QUEUE);
    let audible = Arc::new(AtomicBool::new(false));
    let (heard, hear) = watch::channel(false);
    let player = Box::new(Player {
        queue: receiver,
        audible: audible.clone(),
        heard,
        meters: meters.clone(),
        began: clock::now(),
        jitter: JitterBuffer::new(),
        codec: SoundCodec::Opus,
        decoder: opus::Decoder::new(RATE, opus::Channels::Mono)?,
        narrow: PcmuDecoder::new(),
        decoded: [0.0; 2 * LONGEST],
        held: 0,
        resampler: Resampler::new(RATE, RATE),
        drift: Drift::default(),
        loudness: 0.0,
        fresh: false,
    });
    let end = VoiceEnd {
        queue: Some(sender),
        audible,
        heard: hear,
        meters: meters.clone(),
    };
    Ok((end, player))
}

impl Arrival {
    /// How many samples of 48 kHz it holds; `None` if it is no packet.
    fn samples(&self) -> Option<usize> {
        let bytes = self.payload.len();
        match self.codec {
            SoundCodec::Opus => {
                let samples = opus::packet::get_nb_samples(&self.payload, RATE).ok()?;
                (bytes <= LARGEST && samples <= LONGEST).then_some(samples)
            }
            SoundCodec::Pcmu => (1..=speech::LONGEST)
                .contains(&bytes)
                .then_some(bytes * speech::RATIO),
        }
    }

    /// Its RTP time at 48 kHz. Modulo 2^32 the differences are right, also where the
    /// slower clock runs over.
    fn time(&self) -> u32 {
        self.timestamp.wrapping_mul(RATE / self.codec.clock())
    }
}

impl VoiceEnd {
    /// A voice that is never heard, where no decoder was to be had.
    pub(super) fn mute(meters: &Arc<Meters>) -> Self {
        Self {
            queue: None,
            audible: Arc::default(),
            heard: watch::channel(false).1,
            meters: meters.clone(),
        }
    }
}

impl Voice for VoiceEnd {
    fn push(&mut self, codec: SoundCodec, sequence: u16, timestamp: u32, payload: Bytes) {
        let Some(queue) = &self.queue else { return };
        let arrival = Arrival {
            codec,
            sequence,
            timestamp,
            payload,
            arrived: clock::now(),
        };
        match queue.try_send(arrival) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => Meters::one(&self.meters.voice_overflow),
            // The station is going down.
            Err(TrySendError::Disconnected(_)) => self.queue = None,
        }
    }

    fn set_audible(&mut self, on: bool) {
        self.audible.store(on, Relaxed);
    }

    fn heard(&self) -> watch::Receiver<bool> {
        self.heard.clone()
    }
}

impl Player {
    /// Takes what arrived; `false` once the network's end was dropped.
    pub(super) fn receive(&mut self) -> bool {
        loop {
            match self.queue.try_recv() {
                Ok(arrival) => self.take(arrival),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Adds the next block of this voice.
    pub(super) fn add_to(&mut self, block: &mut [f32; BLOCK]) {
        self.fresh = false;
        if !self.audible.load(Relaxed) {
            self.forget();
            return;
        }
        let now = clock::now().saturating_duration_since(self.began);
        self.add_at(now, block);
    }

    /// Adds the block that is played at `now`, since the begin of this voice.
    fn add_at(&mut self, now: Duration, block: &mut [f32; BLOCK]) {
        let mut played = [0.0; BLOCK];
        let mut made = 0;
        while made < BLOCK {
            let (taken, more) = self
                .resampler
                .process(&self.decoded[..self.held], &mut played[made..]);
            self.decoded.copy_within(taken..self.held, 0);
            self.held -= taken;
            made += more;
            let time = Duration::from_micros(made as u64 * 1_000_000 / u64::from(RATE));
            if made < BLOCK && !self.decode_next(now + time) {
                break;
            }
        }
        for (sample, voice) in block.iter_mut().zip(&played[..made]) {
            *sample += voice;
        }
        let trim = self.drift.trim(self.jitter.surplus_ms(), BLOCK_S);
        self.resampler.set_trim(trim);
        self.meters.drift(self.drift.clocks_ppm());
        self.meters
            .depth(self.jitter.depth_ms(), self.jitter.target_ms());
    }

    /// The latest block went to the card.
    pub(super) fn written(&self) {
        if self.fresh {
            self.heard
                .send_if_modified(|heard| !std::mem::replace(heard, true));
        }
    }

    fn take(&mut self, arrival: Arrival) {
        if !self.audible.load(Relaxed) {
            return;
        }
        let Some(samples) = arrival.samples() else {
            let (codec, bytes) = (arrival.codec, arrival.payload.len());
            debug!(?codec, bytes, "not a packet of this codec: dropped");
            return Meters::one(&self.meters.voice_bad);
        };
        if std::mem::replace(&mut self.codec, arrival.codec) != arrival.codec {
            self.jitter.reset();
            self.narrow.reset();
        }
        let pushed = self.jitter.push(
            arrival.arrived.saturating_duration_since(self.began),
            arrival.sequence,
            arrival.time(),
            samples as u32,
            arrival.payload,
        );
        Meters::one(match pushed {
            Pushed::Taken => &self.meters.voice_packets,
            Pushed::Late => &self.meters.voice_late,
            Pushed::Doubled => &self.meters.voice_doubled,
            Pushed::Strange => &self.meters.voice_bad,
            Pushed::NewStream => {
                debug!("voice begins anew: another stream");
                &self.meters.voice_packets
            }
        });
    }

    /// What was said while nobody was to hear it is not played later.
    fn forget(&mut self) {
        if !self.jitter.is_new() {
            self.jitter.reset();
        }
        self.held = 0;
        self.narrow.reset();
        self.resampler.reset();
    }

    /// Decodes or makes up the next piece; `false` if there is only silence.
    fn decode_next(&mut self, now: Duration) -> bool {
        let room = &mut self.decoded[self.held..];
        let narrow = self.codec == SoundCodec::Pcmu;
        let decoded = match self.jitter.next(now) {
            Next::Silence => return false,
            Next::Packet(payload) => {
                self.fresh = true;
                if narrow {
                    Ok(self.narrow.decode(&payload, room))
                } else {
                    self.decoder.decode_float(&payload, room, false)
                }
            }
            // PCMU carries no correction.
            Next::Correct(_, samples) | Next::Conceal(samples) if narrow => {
                Meters::add(&self.meters.voice_concealed, samples);
                Ok(self.narrow.conceal(samples, &mut room[..samples]))
            }
            Next::Correct(payload, samples) => {
                Meters::add(&self.meters.voice_corrected, samples);
                self.decoder
                    .decode_float(&payload, &mut room[..samples], true)
            }
            Next::Conceal(samples) => {
                Meters::add(&self.meters.voice_concealed, samples);
                self.decoder.decode_float(&[], &mut room[..samples], false)
            }
        };
        match decoded {
            Ok(samples) => {
                self.adjust(samples);
                true
            }
            Err(error) => {
                debug!(%error, "packet cannot be decoded");
                Meters::one(&self.meters.voice_bad);
                false
            }
        }
    }

    /// Takes `samples` new ones in, more or less of them as the jitter buffer
    /// advises.
    fn adjust(&mut self, samples: usize) {
        let start = self.held;
        self.held += samples;
        let frame = &self.decoded[start..self.held];
        let power = frame.iter().map(|sample| sample * sample).sum::<f32>();
        let loudness = (power / samples.max(1) as f32).sqrt();
        let quiet = loudness < QUIET.max(self.loudness / 4.0);
        self.loudness += (loudness - self.loudness) / 50.0;
        if samples != 2 * BLOCK {
            return;
        }
        match self.jitter.advice() {
            Advice::ShortenNow => self.shorten(start),
            Advice::Shorten if quiet => self.shorten(start),
            Advice::LengthenNow => self.lengthen(start),
            Advice::Lengthen if quiet => self.lengthen(start),
            _ => {}
        }
    }

    /// Folds the two halves of the frame at `start` into one, without a step.
    fn shorten(&mut self, start: usize) {
        let (first, second) = self.decoded[start..self.held].split_at_mut(BLOCK);
        cross_fade(first, second);
        self.held -= BLOCK;
        self.jitter.adjusted(BLOCK as i64);
        Meters::add(&self.meters.voice_shortened, BLOCK);
    }

    /// Plays the frame at `start` with its first half once more in the middle.
    fn lengthen(&mut self, start: usize) {
        if self.held + BLOCK > self.decoded.len() {
            return;
        }
        let mut middle = [0.0; BLOCK];
        middle.copy_from_slice(&self.decoded[start + BLOCK..self.held]);
        cross_fade(&mut middle, &self.decoded[start..start + BLOCK]);
        self.decoded
            .copy_within(start + BLOCK..self.held, start + 2 * BLOCK);
        self.decoded[start + BLOCK..start + 2 * BLOCK].copy_from_slice(&middle);
        self.held += BLOCK;
        self.jitter.adjusted(-(BLOCK as i64));
        Meters::add(&self.meters.voice_lengthened, BLOCK);
    }
}

/// Turns `from` into a passage that begins as it did and ends as `to` ends.
fn cross_fade(from: &mut [f32], to: &[f32]) {
    let length = from.len() as f32;
    for (index, (from, to)) in from.iter_mut().zip(to).enumerate() {
        let weight = index as f32 / length;
        *from += (to - *from) * weight;
    }
}

#[cfg(test)]
#[path = "voice_tests.rs"]
mod tests;
