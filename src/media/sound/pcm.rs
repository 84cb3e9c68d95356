//! ALSA, and nothing else of sound: opening a PCM, finding a shape that it and we
//! can do, frames in and out.
//!
//! PCMs are opened non-blocking and waited for with a time limit, so that a thread
//! can always be told to end. Plug-ins of alsa-lib that wrap a file may still block;
//! the watch in [`super`] reports that.

use std::path::Path;
use std::time::{Duration, Instant};

use alsa::pcm::{Access, Format, Frames, HwParams, PCM, State};
use alsa::{Direction, ValueOr};

use super::{BLOCK, RATE, busy};
use crate::clock;

/// Periods of capture that the card may hold: 80 ms of our being late. They cost
/// no delay, because we read what is there at once.
const CAPTURE_PERIODS: Frames = 8;
/// Periods of playback. Of four, two are filled when the next is written: 20 to
/// 30 ms of delay, and as much of our being late.
const PLAYBACK_PERIODS: Frames = 4;
/// Periods that wait in the card when the next is written.
const PLAYBACK_FILL: Frames = 2;
/// Without a frame for this long a card counts as hung.
const STALL: Duration = Duration::from_secs(1);

/// The formats that we can do, best first.
const FORMATS: [(Format, Samples); 3] = [
    (Format::S16LE, Samples::Short),
    (Format::S32LE, Samples::Long),
    (Format::FloatLE, Samples::Float),
];

/// A PCM in a shape that we can do.
struct Card {
    pcm: PCM,
    direction: Direction,
    shape: Shape,
    /// One block as the card has it.
    raw: Vec<u8>,
    /// When frames last went through.
    progress: Instant,
    xruns: u64,
}

/// How frames lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    samples: Samples,
    channels: usize,
}

/// What a sample is, always little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Samples {
    /// 16 bits, signed.
    Short,
    /// 32 bits, signed.
    Long,
    /// 32 bits, floating point; 1.0 is full scale.
    Float,
}

impl Shape {
    fn frame_bytes(self) -> usize {
        self.channels
            * match self.samples {
                Samples::Short => 2,
                Samples::Long | Samples::Float => 4,
            }
    }
}

impl Card {
    fn open(name: &str, direction: Direction, periods: Frames) -> Result<Self, String> {
        let pcm = listened(|| PCM::new(name, direction, true))
            .map_err(|error| refusal(&error, name, direction))?;
        let shape = listened(|| negotiate(&pcm, periods)).map_err(|error| {
            let offer = listened(|| offer(&pcm)).unwrap_or_else(|_| words(&error));
            format!(
                "it does not do 48000 Hz in S16_LE, S32_LE or FLOAT_LE with one or two \
                 channels ({offer}); `plughw:` in place of `hw:`, or `plug:` in front of \
                 another name, converts"
            )
        })?;
        tracing::debug!(pcm = name, ?direction, ?shape, "shape of the card's sound");
        if direction == Direction::Playback {
            thresholds(&pcm).map_err(|error| words(&error))?;
        }
        Ok(Self {
            raw: vec![0; BLOCK * shape.frame_bytes()],
            shape,
            direction,
            pcm,
            progress: clock::now(),
            xruns: 0,
        })
    }

    /// Waits for the card; `false` when `patience` is over.
    ///
    /// # Errors
    ///
    /// A sentence, when the card is gone or hung.
    fn wait(&mut self, patience: Duration) -> Result<bool, String> {
        match self.pcm.wait(Some(patience.as_millis() as u32)) {
            Ok(ready) => {
                self.check_stall()?;
                Ok(ready)
            }
            Err(error) => {
                self.recover(error)?;
                Ok(false)
            }
        }
    }

    fn check_stall(&self) -> Result<(), String> {
        if clock::now().saturating_duration_since(self.progress) > STALL {
            return Err("no sound moves through it".to_owned());
        }
        Ok(())
    }

    fn moved(&mut self) {
        self.progress = clock::now();
    }

    /// Takes an xrun or a suspend back; other errors are final.
    fn recover(&mut self, error: alsa::Error) -> Result<(), String> {
        let again = rustix::io::Errno::AGAIN.raw_os_error();
        if error.errno() == again {
            return self.check_stall();
        }
        self.xruns += 1;
        self.check_stall()?;
        self.pcm
            .try_recover(error, true)
            .map_err(|error| words(&error))?;
        // Playback starts by itself once enough is written.
        if self.direction == Direction::Capture && self.pcm.state() == State::Prepared {
            self.pcm.start().map_err(|error| words(&error))?;
        }
        Ok(())
    }
}

/// Runs an operation of alsa-lib; what the library would print goes to the log.
fn listened<T>(operation: impl FnOnce() -> alsa::Result<T>) -> alsa::Result<T> {
    let said = alsa::Output::local_error_handler().ok();
    let result = operation();
    if let Some(said) = said {
        let said = said.borrow().to_string();
        if !said.is_empty() {
            tracing::debug!(said = said.trim_end(), "alsa-lib says");
        }
    }
    result
}

/// Why the PCM `name` cannot be opened.
fn refusal(error: &alsa::Error, name: &str, direction: Direction) -> String {
    if error.errno() == rustix::io::Errno::BUSY.raw_os_error() {
        return busy::reason(Path::new(busy::PROC), name, direction);
    }
    format!("it cannot be opened: {}", words(error))
}

/// What an error means, without the name of the function that had it.
fn words(error: &alsa::Error) -> String {
    std::io::Error::from_raw_os_error(error.errno()).to_string()
}

fn negotiate(pcm: &PCM, periods: Frames) -> alsa::Result<Shape> {
    let mut refused = None;
    for (format, samples) in FORMATS {
        for channels in [1, 2] {
            match try_shape(pcm, format, channels, periods) {
                Ok(()) => {
                    return Ok(Shape {
                        samples,
                        channels: channels as usize,
                    });
                }
                Err(error) => refused = Some(error),
            }
        }
    }
    Err(refused.unwrap_or_else(|| alsa::Error::unsupported("snd_pcm_hw_params")))
}

fn try_shape(pcm: &PCM, format: Format, channels: u32, periods: Frames) -> alsa::Result<()> {
    let params = HwParams::any(pcm)?;
    params.set_rate_resample(false)?;
    params.set_access(Access::RWInterleaved)?;
    params.set_format(format)?;
    params.set_channels(channels)?;
    params.set_rate(RATE, ValueOr::Nearest)?;
    params.set_period_size_near(BLOCK as Frames, ValueOr::Nearest)?;
    params.set_buffer_size_near(BLOCK as Frames * periods)?;
    pcm.hw_params(&params)
}

/// What a card can do that does nothing of ours, for whoever has to mend it.
fn offer(pcm: &PCM) -> alsa::Result<String> {
    let params = HwParams::any(pcm)?;
    params.set_rate_resample(false)?;
    let formats: Vec<String> = Format::all()
        .iter()
        .filter(|format| **format != Format::Unknown && params.test_format(**format).is_ok())
        .map(ToString::to_string)
        .collect();
    Ok(format!(
        "it offers {}; {} Hz; channels: {}",
        formats.join(", "),
        span(params.get_rate_min()?, params.get_rate_max()?),
        span(params.get_channels_min()?, params.get_channels_max()?),
    ))
}

fn span(least: u32, most: u32) -> String {
    if least == most {
        return least.to_string();
    }
    format!("{least} to {most}")
}

/// Playback starts with two blocks and asks for more when no more than two wait.
fn thresholds(pcm: &PCM) -> alsa::Result<()> {
    let buffer = pcm.hw_params_current()?.get_buffer_size()?;
    let block = BLOCK as Frames;
    let params = pcm.sw_params_current()?;
    params.set_start_threshold((block * PLAYBACK_FILL).min(buffer))?;
    params.set_avail_min((buffer - block * PLAYBACK_FILL).max(block.min(buffer)))?;
    pcm.sw_params(&params)
}

/// The microphone.
pub(super) struct Capture(Card);

impl Capture {
    /// Opens and starts the PCM `name`.
    ///
    /// # Errors
    ///
    /// Why it cannot be used, and what to do.
    pub(super) fn open(name: &str) -> Result<Self, String> {
        let card = Card::open(name, Direction::Capture, CAPTURE_PERIODS)?;
        card.pcm.start().map_err(|error| words(&error))?;
        Ok(Self(card))
    }

    /// Reads up to `into.len()` frames, at most a block, mixed down to mono;
    /// 0 when none came within `patience`.
    ///
    /// # Errors
    ///
    /// A sentence, when the card is gone or hung.
    pub(super) fn read(&mut self, into: &mut [f32], patience: Duration) -> Result<usize, String> {
        let card = &mut self.0;
        if !card.wait(patience)? {
            return Ok(0);
        }
        let wanted = into.len().min(BLOCK) * card.shape.frame_bytes();
        let read = card.pcm.io_bytes().readi(&mut card.raw[..wanted]);
        match read {
            Ok(0) => {
                card.check_stall()?;
                Ok(0)
            }
            Ok(frames) => {
                card.moved();
                unpack(&card.raw, card.shape, &mut into[..frames]);
                Ok(frames)
            }
            Err(error) => {
                card.recover(error)?;
                Ok(0)
            }
        }
    }

    /// Overruns since it was opened.
    pub(super) fn xruns(&self) -> u64 {
        self.0.xruns
    }
}

/// The speaker.
pub(super) struct Playback {
    card: Card,
    clocked: bool,
}

impl Playback {
    /// Opens the PCM `name`.
    ///
    /// # Errors
    ///
    /// Why it cannot be used, and what to do.
    pub(super) fn open(name: &str) -> Result<Self, String> {
        let mut card = Card::open(name, Direction::Playback, PLAYBACK_PERIODS)?;
        // A card that holds what was written has a clock; a file has none, and
        // what it holds back is mere delay: as little of that as can be.
        let _ = card.pcm.io_bytes().writei(&card.raw);
        let clocked = card.pcm.delay().is_ok_and(|delay| delay > 0);
        if !clocked {
            drop(card);
            card = Card::open(name, Direction::Playback, 1)?;
        }
        Ok(Self { card, clocked })
    }

    /// Whether the card sets the pace; otherwise the writer does.
    pub(super) fn is_clocked(&self) -> bool {
        self.clocked
    }

    /// Waits until a block is wanted; `false` when `patience` is over.
    ///
    /// # Errors
    ///
    /// A sentence, when the card is gone or hung.
    pub(super) fn wait(&mut self, patience: Duration) -> Result<bool, String> {
        self.card.wait(patience)
    }

    /// Writes one block; tells whether all of it was taken.
    ///
    /// # Errors
    ///
    /// A sentence, when the card is gone or hung.
    pub(super) fn write(&mut self, block: &[f32; BLOCK]) -> Result<bool, String> {
        let card = &mut self.card;
        pack(block, card.shape, &mut card.raw);
        let written = card.pcm.io_bytes().writei(&card.raw);
        match written {
            Ok(0) => {
                card.check_stall()?;
                Ok(false)
            }
            Ok(frames) => {
                card.moved();
                Ok(frames == BLOCK)
            }
            Err(error) => {
                card.recover(error)?;
                Ok(false)
            }
        }
    }

    /// Underruns since it was opened.
    pub(super) fn xruns(&self) -> u64 {
        self.card.xruns
    }
}

/// Raw frames to mono -1 to 1.
fn unpack(raw: &[u8], shape: Shape, into: &mut [f32]) {
    for (frame, sample) in raw.chunks_exact(shape.frame_bytes()).zip(into) {
        let sum: f32 = match shape.samples {
            Samples::Short => {
                let (values, _) = frame.as_chunks();
                let values = values.iter().map(|bytes| i16::from_le_bytes(*bytes));
                values.map(|value| f32::from(value) / 32_768.0).sum()
            }
            Samples::Long => {
                let (values, _) = frame.as_chunks();
                let values = values.iter().map(|bytes| i32::from_le_bytes(*bytes));
                values.map(|value| value as f32 / 2_147_483_648.0).sum()
            }
            Samples::Float => {
                let (values, _) = frame.as_chunks();
                let values = values.iter().map(|bytes| f32::from_le_bytes(*bytes));
                values.map(sane).sum()
            }
        };
        *sample = sum / shape.channels as f32;
    }
}

/// A card's own number: what is none would silence the echo control for good.
fn sane(value: f32) -> f32 {
    if value.is_finite() {
        value.clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

/// Mono -1 to 1 to raw frames; louder is cut.
fn pack(block: &[f32; BLOCK], shape: Shape, raw: &mut [u8]) {
    for (frame, sample) in raw.chunks_exact_mut(shape.frame_bytes()).zip(block) {
        let sample = sample.clamp(-1.0, 1.0);
        match shape.samples {
            Samples::Short => {
                let value = (sample * 32_767.0).round() as i16;
                frame.as_chunks_mut().0.fill(value.to_le_bytes());
            }
            Samples::Long => {
                let value = (f64::from(sample) * 2_147_483_647.0) as i32;
                frame.as_chunks_mut().0.fill(value.to_le_bytes());
            }
            Samples::Float => frame.as_chunks_mut().0.fill(sample.to_le_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_keeps_the_sound() {
        for samples in [Samples::Short, Samples::Long, Samples::Float] {
            for channels in [1, 2] {
                let shape = Shape { samples, channels };
                let mut block = [0.0; BLOCK];
                for (index, sample) in block.iter_mut().enumerate() {
                    *sample = (index as f32 / 100.0).sin() * 1.2;
                }
                let mut raw = vec![0; BLOCK * shape.frame_bytes()];
                pack(&block, shape, &mut raw);
                let mut back = [0.0; BLOCK];
                unpack(&raw, shape, &mut back);
                for (sent, got) in block.iter().zip(&back) {
                    assert!((sent.clamp(-1.0, 1.0) - got).abs() < 1e-4, "{shape:?}");
                }
            }
        }
    }

    #[test]
    fn a_number_of_the_card_that_is_none_is_silence() {
        let shape = Shape {
            samples: Samples::Float,
            channels: 1,
        };
        let raw: Vec<u8> = [f32::NAN, f32::INFINITY, -3.0, 0.25]
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let mut into = [9.0; 4];
        unpack(&raw, shape, &mut into);
        assert_eq!(into, [0.0, 0.0, -1.0, 0.25]);
    }

    #[test]
    fn a_card_in_use_is_told_from_one_that_is_gone() {
        let said = |errno: rustix::io::Errno| {
            let error = alsa::Error::new("snd_pcm_open", errno.raw_os_error());
            refusal(&error, "hw:7,0", Direction::Playback)
        };
        let busy = said(rustix::io::Errno::BUSY);
        assert!(busy.starts_with("it is in use by"), "{busy}");
        let gone = said(rustix::io::Errno::NODEV);
        assert!(gone.starts_with("it cannot be opened: "), "{gone}");
    }

    #[test]
    fn a_card_that_is_not_there_is_refused_with_a_reason() {
        let refused = Capture::open("hw:CARD=NotThere").err().expect("a refusal");
        assert!(refused.contains("opened"), "{refused}");
    }
}
