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

use super::frames::{Samples, Shape, pack, unpack};
use super::rate::{self, FromCard, RATES, ToCard};
use super::{BLOCK, busy};
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

impl Card {
    fn open(name: &str, direction: Direction, periods: Frames) -> Result<Self, String> {
        let pcm = listened(|| PCM::new(name, direction, true))
            .map_err(|error| refusal(&error, name, direction))?;
        let shape = listened(|| negotiate(&pcm, periods)).map_err(|error| {
            let offer = listened(|| offer(&pcm)).unwrap_or_else(|_| words(&error));
            format!(
                "it does not do {} Hz in S16_LE, S32_LE or FLOAT_LE with one or two \
                 channels ({offer}); `plughw:` in place of `hw:`, or `plug:` in front of \
                 another name, converts",
                RATES.map(|rate| rate.to_string()).join(", ")
            )
        })?;
        tracing::debug!(pcm = name, ?direction, ?shape, "shape of the card's sound");
        if direction == Direction::Playback {
            thresholds(&pcm, rate::block(shape.rate) as Frames).map_err(|error| words(&error))?;
        }
        Ok(Self {
            raw: vec![0; rate::most(shape.rate) * shape.frame_bytes()],
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

    /// Reads up to `into.len()` frames, at most a block; 0 when none came within
    /// `patience`.
    fn read(&mut self, into: &mut [f32], patience: Duration) -> Result<usize, String> {
        if !self.wait(patience)? {
            return Ok(0);
        }
        let wanted = into.len().min(rate::block(self.shape.rate)) * self.shape.frame_bytes();
        let read = self.pcm.io_bytes().readi(&mut self.raw[..wanted]);
        match read {
            Ok(0) => {
                self.check_stall()?;
                Ok(0)
            }
            Ok(frames) => {
                self.moved();
                unpack(&self.raw, self.shape, &mut into[..frames]);
                Ok(frames)
            }
            Err(error) => {
                self.recover(error)?;
                Ok(0)
            }
        }
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
    let shapes = RATES.iter().flat_map(|rate| {
        FORMATS.iter().flat_map(move |(format, samples)| {
            [1, 2].map(|channels| (*format, *samples, channels, *rate))
        })
    });
    for (format, samples, channels, rate) in shapes {
        let shape = Shape {
            samples,
            channels,
            rate,
        };
        match try_shape(pcm, format, shape, periods) {
            Ok(()) => return Ok(shape),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or_else(|| alsa::Error::unsupported("snd_pcm_hw_params")))
}

fn try_shape(pcm: &PCM, format: Format, shape: Shape, periods: Frames) -> alsa::Result<()> {
    let block = rate::block(shape.rate) as Frames;
    let params = HwParams::any(pcm)?;
    params.set_rate_resample(false)?;
    params.set_access(Access::RWInterleaved)?;
    params.set_format(format)?;
    params.set_channels(shape.channels as u32)?;
    params.set_rate(shape.rate, ValueOr::Nearest)?;
    params.set_period_size_near(block, ValueOr::Nearest)?;
    params.set_buffer_size_near(block * periods)?;
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
fn thresholds(pcm: &PCM, block: Frames) -> alsa::Result<()> {
    let buffer = pcm.hw_params_current()?.get_buffer_size()?;
    let params = pcm.sw_params_current()?;
    params.set_start_threshold((block * PLAYBACK_FILL).min(buffer))?;
    params.set_avail_min((buffer - block * PLAYBACK_FILL).max(block.min(buffer)))?;
    pcm.sw_params(&params)
}

/// The microphone.
pub(super) struct Capture {
    card: Card,
    /// Where it does not do our rate.
    other: Option<FromCard>,
}

impl Capture {
    /// Opens and starts the PCM `name`.
    ///
    /// # Errors
    ///
    /// Why it cannot be used, and what to do.
    pub(super) fn open(name: &str) -> Result<Self, String> {
        let card = Card::open(name, Direction::Capture, CAPTURE_PERIODS)?;
        card.pcm.start().map_err(|error| words(&error))?;
        let other = FromCard::new(card.shape.rate);
        Ok(Self { card, other })
    }

    /// Reads up to `into.len()` samples of 48 kHz, at most a block, mixed down to mono;
    /// 0 when none came within `patience`.
    ///
    /// # Errors
    ///
    /// A sentence, when the card is gone or hung.
    pub(super) fn read(&mut self, into: &mut [f32], patience: Duration) -> Result<usize, String> {
        let Some(other) = &mut self.other else {
            return self.card.read(into, patience);
        };
        loop {
            let given = other.give(into);
            if given > 0 {
                return Ok(given);
            }
            let frames = self.card.read(other.room(), patience)?;
            other.came(frames);
            if frames == 0 {
                return Ok(0);
            }
        }
    }

    /// Overruns since it was opened.
    pub(super) fn xruns(&self) -> u64 {
        self.card.xruns
    }
}

/// The speaker.
pub(super) struct Playback {
    card: Card,
    /// Where it does not do our rate.
    other: Option<ToCard>,
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
        let block = rate::block(card.shape.rate) * card.shape.frame_bytes();
        let _ = card.pcm.io_bytes().writei(&card.raw[..block]);
        let clocked = card.pcm.delay().is_ok_and(|delay| delay > 0);
        if !clocked {
            drop(card);
            card = Card::open(name, Direction::Playback, 1)?;
        }
        let other = ToCard::new(card.shape.rate);
        Ok(Self {
            card,
            other,
            clocked,
        })
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
        let samples = match &mut self.other {
            Some(other) => other.convert(block),
            None => block,
        };
        let raw = &mut card.raw[..samples.len() * card.shape.frame_bytes()];
        pack(samples, card.shape, raw);
        let written = card.pcm.io_bytes().writei(raw);
        match written {
            Ok(0) => {
                card.check_stall()?;
                Ok(false)
            }
            Ok(frames) => {
                card.moved();
                Ok(frames == samples.len())
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

#[cfg(test)]
mod tests {
    use super::*;

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
