//! The thread `sound-capture`: microphone to packets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::broadcast;
use tracing::{info, warn};

use super::echo::EchoControl;
use super::echo::reference::Reference;
use super::encoder::{Encoder, Loss, OpusSettings};
use super::meters::Meters;
use super::packets::{LARGEST, Packets};
use super::pcm::Capture;
use super::speech::{self, PcmuEncoder};
use super::{BLOCK, FIRST_PAUSE, LONGEST_PAUSE, RATE, Watched};
use crate::clock;
use crate::media::feed::SoundPacket;
use crate::media::worker::Stop;

/// Samples of the longest packet: 20 ms.
const PACKET: usize = 2 * BLOCK;
/// A packet of this length says that nobody speaks (RFC 6716, DTX): not sent.
const NOTHING: usize = 2;
/// How long a wait for the card lasts before the thread looks at its end.
const PATIENCE: Duration = Duration::from_millis(100);
/// A PCM that runs ahead of the clock by more than this is no card, or one no
/// longer: a file at its end gives silence as fast as it is read.
const AHEAD: Duration = Duration::from_millis(500);
/// How long the pace is measured before it is measured anew, so that the drift of
/// a real card never adds up to [`AHEAD`].
const PACE_WINDOW: Duration = Duration::from_secs(30);

/// Everything that the thread works with.
pub(super) struct Microphone {
    pub(super) name: String,
    pub(super) packets: broadcast::Sender<Arc<SoundPacket>>,
    pub(super) memory: Packets,
    pub(super) encoder: Encoder,
    pub(super) narrow: Narrow,
    pub(super) opus: OpusSettings,
    /// What the far ends lose.
    pub(super) loss: Arc<Loss>,
    pub(super) echo: EchoControl,
    /// What the speaker played.
    pub(super) reference: Arc<Reference>,
    pub(super) meters: Arc<Meters>,
    pub(super) watched: Watched,
}

/// The microphone for far ends without Opus.
pub(super) struct Narrow {
    pub(super) packets: broadcast::Sender<Arc<SoundPacket>>,
    pub(super) memory: Packets,
    pub(super) encoder: PcmuEncoder,
    /// RTP time of the next block, 8 kHz.
    pub(super) timestamp: u32,
    /// The latest block was encoded, not skipped.
    pub(super) encoding: bool,
}

impl Narrow {
    /// Samples of 8 kHz in a block.
    const STEP: u32 = (BLOCK / speech::RATIO) as u32;

    /// Encodes a block if anybody listens; its time passes anyway.
    fn take(&mut self, block: &[f32; BLOCK], meters: &Meters) {
        self.timestamp = self.timestamp.wrapping_add(Self::STEP);
        if self.packets.receiver_count() == 0 {
            self.encoding = false;
            return;
        }
        if !std::mem::replace(&mut self.encoding, true) {
            self.encoder.reset();
        }
        let began = clock::now();
        if let Some(data) = self.encoder.take(block) {
            let encoded = clock::now();
            let took = encoded.saturating_duration_since(began).as_nanos();
            Meters::add(&meters.encoding, took as usize);
            Meters::one(&meters.microphone_packets);
            let timestamp = self.timestamp.wrapping_sub(speech::BYTES as u32);
            // The last listener may just have left: no matter.
            let _ = self
                .packets
                .send(self.memory.make(data, timestamp, encoded));
        }
    }

    /// The card was away for so many blocks.
    fn skip(&mut self, blocks: u32) {
        self.timestamp = self.timestamp.wrapping_add(blocks.wrapping_mul(Self::STEP));
        self.encoding = false;
    }
}

/// Runs until `stop`.
pub(super) fn run(mut microphone: Microphone, stop: &Stop) {
    let mut pause = FIRST_PAUSE;
    let mut line = Line::new();
    loop {
        microphone.watched.enter();
        match Capture::open(&microphone.name) {
            Ok(card) => {
                info!(pcm = microphone.name, "microphone opened");
                let before = microphone.blocks();
                let reason = follow(&mut microphone, card, &mut line, stop);
                if microphone.blocks() > before {
                    pause = FIRST_PAUSE;
                }
                let Err(reason) = reason else { return };
                microphone.failed(&reason);
            }
            Err(reason) => microphone.failed(&reason),
        }
        microphone.watched.leave();
        if stop.wait(pause) {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The samples on their way into packets, and the packets' time.
struct Line {
    /// A block as the card gives it.
    block: [f32; BLOCK],
    /// Samples of it that are there.
    filled: usize,
    samples: [f32; PACKET],
    held: usize,
    timestamp: u32,
    /// When the latest sample came.
    latest: Option<Instant>,
    /// The latest packet was encoded, not skipped.
    encoding: bool,
    encoded: [u8; LARGEST],
}

impl Line {
    fn new() -> Self {
        Self {
            block: [0.0; BLOCK],
            filled: 0,
            samples: [0.0; PACKET],
            held: 0,
            timestamp: rand::random(),
            latest: None,
            encoding: false,
            encoded: [0; LARGEST],
        }
    }

    /// The card was away: the packets' time goes on by whole blocks. Gives how many.
    fn resume(&mut self) -> u32 {
        (self.filled, self.held) = (0, 0);
        let mut blocks = 0;
        if let Some(latest) = self.latest {
            let away = clock::now().saturating_duration_since(latest);
            // Modulo 2^32, as RTP time goes.
            blocks = (away.as_millis() / 10) as u32;
            let samples = blocks.wrapping_mul(BLOCK as u32);
            self.timestamp = self.timestamp.wrapping_add(samples);
        }
        blocks
    }
}

/// Reads one opened card until it fails or the thread shall end.
fn follow(
    microphone: &mut Microphone,
    mut card: Capture,
    line: &mut Line,
    stop: &Stop,
) -> Result<(), String> {
    let mut pace = Pace::new();
    let mut xruns = 0;
    microphone.narrow.skip(line.resume());
    while !stop.is_set() {
        let frames = card.read(&mut line.block[line.filled..], PATIENCE)?;
        if card.xruns() > xruns {
            xruns = card.xruns();
            Meters::one(&microphone.meters.microphone_xruns);
        }
        if frames == 0 {
            // A file at its end says so at once, again and again.
            stop.wait(Duration::from_millis(5));
            continue;
        }
        microphone.watched.moved();
        let now = clock::now();
        line.latest = Some(now);
        line.filled += frames;
        if line.filled == BLOCK {
            microphone.take(line);
        }
        pace.check(frames, now)?;
    }
    Ok(())
}

impl Microphone {
    fn blocks(&self) -> u64 {
        use std::sync::atomic::Ordering::Relaxed;
        self.meters.microphone_blocks.load(Relaxed)
    }

    fn failed(&self, reason: &str) {
        let name = &self.name;
        self.watched
            .failed(&format!("the microphone {name} does not work: {reason}"));
    }

    /// A whole block is there: cleaned, it becomes a packet or half of one.
    fn take(&mut self, line: &mut Line) {
        line.filled = 0;
        Meters::one(&self.meters.microphone_blocks);
        let began = clock::now();
        let mut played = [0.0; BLOCK];
        while self.reference.pop(&mut played) {
            self.echo.played(&played);
        }
        let heard = self.packets.receiver_count() + self.narrow.packets.receiver_count() > 0;
        if self.echo.is_on() && (heard || self.echo.is_awake()) {
            self.echo.captured(&mut line.block);
            let took = clock::now().saturating_duration_since(began);
            self.meters.echo(&self.echo.report(), took);
        }
        self.narrow.take(&line.block, &self.meters);
        line.samples[line.held..line.held + BLOCK].copy_from_slice(&line.block);
        line.held += BLOCK;
        if line.held >= self.encoder.packet() {
            self.send(line);
        }
    }

    /// Encodes the full packet if anybody listens; its time passes anyway.
    fn send(&mut self, line: &mut Line) {
        let timestamp = line.timestamp;
        line.timestamp = timestamp.wrapping_add(line.held as u32);
        let samples = &line.samples[..std::mem::take(&mut line.held)];
        if self.packets.receiver_count() == 0 {
            line.encoding = false;
            return;
        }
        let began = clock::now();
        if !line.encoding {
            // What was said long ago must not colour the first packet.
            line.encoding = self.encoder.reset();
        }
        match self.encoder.encode(samples, &self.loss, &mut line.encoded) {
            Ok(length) if self.opus.dtx && length <= NOTHING => {}
            Ok(length) => {
                let encoded = clock::now();
                let took = encoded.saturating_duration_since(began).as_nanos();
                Meters::add(&self.meters.encoding, took as usize);
                Meters::one(&self.meters.microphone_packets);
                self.meters.correction(self.encoder.expected_loss());
                let data = &line.encoded[..length];
                let packet = self.memory.make(data, timestamp, encoded);
                // The last listener may just have left: no matter.
                let _ = self.packets.send(packet);
            }
            Err(error) => warn!(%error, "microphone cannot be encoded"),
        }
    }
}

/// Finds out a PCM that has no clock.
struct Pace {
    began: Instant,
    frames: u64,
}

impl Pace {
    fn new() -> Self {
        Self {
            began: clock::now(),
            frames: 0,
        }
    }

    /// `frames` more came by `now`.
    fn check(&mut self, frames: usize, now: Instant) -> Result<(), String> {
        self.frames += frames as u64;
        let passed = now.saturating_duration_since(self.began);
        let given = Duration::from_micros(self.frames * 1_000_000 / u64::from(RATE));
        if given > passed + AHEAD {
            return Err("it gives sound faster than time passes, as no card does".to_owned());
        }
        if given < passed || passed > PACE_WINDOW {
            *self = Self {
                began: now,
                frames: 0,
            };
        }
        Ok(())
    }
}
