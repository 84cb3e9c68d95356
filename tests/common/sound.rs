//! Marks in sound: short tones of one frequency, made here and found again.
//!
//! A mark is found by its frequency, not by loudness: the share of the energy of
//! 10 ms that lies at that frequency (Goertzel) must be large.

use std::f64::consts::TAU;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use tokio::task::JoinSet;

/// Samples a second of everything that is made here.
pub(crate) const RATE: u32 = 48_000;

/// The length of one mark.
pub(crate) const MARK_MS: f64 = 300.0;

/// The level of a mark, of full scale.
const MARK_LEVEL: f64 = 0.25;

/// The level of the hum that fills the time between the marks, so that the first
/// moment of sound is heard whenever it comes; far below a mark.
const HUM_LEVEL: f64 = 0.03;

/// From the beginning of one mark to the beginning of the next. Delays below half
/// of it can be told without knowing which mark is heard.
pub(crate) const PERIOD_MS: f64 = 1000.0;

/// Blocks in which a frequency is looked for: 10 ms, so 100 Hz are told apart.
const BLOCK: usize = RATE as usize / 100;

/// Below this root mean square (-50 dBFS) a block is silence.
const SILENCE: f64 = 0.003;

/// The share of a block's energy that makes it a block of the mark.
const SHARE: f64 = 0.6;

/// So many blocks without the mark must come before its onset: a gap of one lost
/// packet inside a mark is not a new one.
const GAP: usize = 10;

/// One voice: a mark at the beginning of each second, and a hum all the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice {
    /// The frequency of the marks.
    pub(crate) mark_hz: f64,
    /// The frequency of the hum.
    pub(crate) hum_hz: f64,
}

impl Voice {
    /// Writes one period, to be played in a loop: [`RATE`], mono, S16LE.
    pub(crate) fn write(self, file: &Path) -> Result<()> {
        let spec = WavSpec {
            channels: 1,
            sample_rate: RATE,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut writer = WavWriter::create(file, spec)
            .with_context(|| format!("cannot write {}", file.display()))?;
        for sample in self.samples(PERIOD_MS) {
            writer.write_sample((sample * f64::from(i16::MAX)) as i16)?;
        }
        writer.finalize()?;
        Ok(())
    }

    /// `ms` milliseconds of it.
    pub(crate) fn samples(self, ms: f64) -> impl Iterator<Item = f64> {
        // Against clicks at the ends of a mark.
        const FADE_MS: f64 = 2.0;
        let rate = f64::from(RATE);
        (0..(ms * rate / 1000.0) as usize).map(move |index| {
            let at_ms = (index as f64 * 1000.0 / rate) % PERIOD_MS;
            let fade = (at_ms.min(MARK_MS - at_ms) / FADE_MS).clamp(0.0, 1.0);
            let wave = |hz: f64| (TAU * hz * index as f64 / rate).sin();
            MARK_LEVEL * fade * wave(self.mark_hz) + HUM_LEVEL * wave(self.hum_hz)
        })
    }
}

/// A recording.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    samples: Vec<f64>,
}

impl Recording {
    /// Reads what `file` holds so far; it may still be growing.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let mut reader =
            WavReader::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        let spec = reader.spec();
        ensure!(
            spec.channels == 1 && spec.sample_rate == RATE && spec.bits_per_sample == 16,
            "{} is not 48 kHz mono S16LE but {spec:?}",
            file.display()
        );
        let samples = reader
            .samples::<i16>()
            // The last sample of a growing file may be cut.
            .map_while(Result::ok)
            .map(|sample| f64::from(sample) / f64::from(i16::MAX))
            .collect();
        Ok(Self { samples })
    }

    /// From samples between -1 and 1 at [`RATE`].
    pub(crate) fn new(samples: Vec<f64>) -> Self {
        Self { samples }
    }

    /// Its length in milliseconds.
    pub(crate) fn length_ms(&self) -> f64 {
        self.samples.len() as f64 * 1000.0 / f64::from(RATE)
    }

    /// Where tones of `hz` begin, in milliseconds from its beginning.
    pub(crate) fn onsets_ms(&self, hz: f64) -> Vec<f64> {
        let mut onsets = Vec::new();
        let mut absent = GAP;
        for (index, block) in self.samples.chunks_exact(BLOCK).enumerate() {
            if !is_mark(block, hz) {
                absent += 1;
                continue;
            }
            if absent >= GAP {
                let first = self.begin(index * BLOCK, hz);
                onsets.push(first as f64 * 1000.0 / f64::from(RATE));
            }
            absent = 0;
        }
        onsets
    }

    /// Where a mark begins that the block at `at` is the first to be full of: the first
    /// loud sample from which on a block's length is of the mark. Mostly it lies in the
    /// block before, which has too little of it to be known by it.
    fn begin(&self, at: usize, hz: f64) -> usize {
        let block = &self.samples[at..at + BLOCK];
        let peak = block.iter().fold(0.0_f64, |peak, s| peak.max(s.abs()));
        (at.saturating_sub(BLOCK)..at + BLOCK)
            .filter(|first| self.samples[*first].abs() > peak / 4.0)
            .find(|first| *first >= at || is_mark(&self.samples[*first..*first + BLOCK], hz))
            .unwrap_or(at)
    }

    /// When `voice` is heard for the first time at or after `from_ms`, whatever else
    /// sounds with it (the station's own tones do).
    pub(crate) fn first_sound_ms(&self, voice: Voice, from_ms: f64) -> Option<f64> {
        // Half of the quietest that is sent: codecs and volume control change levels.
        const LEAST: f64 = HUM_LEVEL / 3.0;
        let window = 2 * BLOCK;
        let hop = BLOCK / 4;
        let from = (from_ms.max(0.0) * f64::from(RATE) / 1000.0) as usize;
        let samples = self.samples.get(from..)?;
        let found = samples.windows(window).step_by(hop).position(|part| {
            // Hann's window keeps loud tones elsewhere out of these frequencies.
            let part: Vec<f64> = part
                .iter()
                .enumerate()
                .map(|(index, sample)| sample * (1.0 - (TAU * index as f64 / window as f64).cos()))
                .collect();
            [voice.mark_hz, voice.hum_hz]
                .iter()
                .any(|hz| 2.0 * power(&part, *hz).sqrt() / window as f64 > LEAST)
        })?;
        let middle = from + found * hop + window / 2;
        Some(middle as f64 * 1000.0 / f64::from(RATE))
    }

    /// How many milliseconds sound of `hz`, at least `from_ms` after its beginning.
    pub(crate) fn heard_ms(&self, hz: f64, from_ms: f64) -> f64 {
        let skip = (from_ms * f64::from(RATE) / 1000.0) as usize;
        let blocks = self.samples.get(skip..).unwrap_or_default();
        let heard = blocks
            .chunks_exact(BLOCK)
            .filter(|block| is_mark(block, hz))
            .count();
        heard as f64 * 10.0
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// How long marks take from where they are made to where they are `heard`, the median in
/// milliseconds: one is made each [`PERIOD_MS`], and one of them at `made_ms`.
pub(crate) fn passage_ms(heard: &[f64], made_ms: f64) -> Option<f64> {
    let since = heard.iter().map(|onset| onset - made_ms);
    median(since.map(|since| since.rem_euclid(PERIOD_MS)).collect())
}

/// When the simulated sound card began, as the growth of its recording shows.
///
/// The card writes in real time, so the time of a write less the length of what was
/// written is its beginning. A write can only be late: the least difference is nearest.
/// It is good to about one block of the card, 10 ms.
#[derive(Debug)]
pub(crate) struct CardClock {
    start_ms: Arc<Mutex<Option<f64>>>,
    _watching: JoinSet<()>,
}

impl CardClock {
    /// Begins to watch the recording `file`.
    pub(crate) fn follow(file: &Path) -> Self {
        let start_ms = Arc::new(Mutex::new(None));
        let (file, least) = (file.to_owned(), Arc::clone(&start_ms));
        let mut watching = JoinSet::new();
        watching.spawn(async move {
            loop {
                if let Some(seen) = Self::look(&file) {
                    let mut least = lock(&least);
                    *least = Some(least.map_or(seen, |least: f64| least.min(seen)));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self {
            start_ms,
            _watching: watching,
        }
    }

    /// The card's beginning in milliseconds since the Unix epoch.
    pub(crate) fn start_ms(&self) -> Option<f64> {
        *lock(&self.start_ms)
    }

    fn look(file: &Path) -> Option<f64> {
        /// The header of a plain WAV file.
        const HEADER: u64 = 44;
        let entry = std::fs::metadata(file).ok()?;
        let written = entry.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let samples = entry.len().checked_sub(HEADER)? / 2;
        // An empty file was made before the card began.
        (samples > 0)
            .then(|| written.as_secs_f64() * 1000.0 - samples as f64 * 1000.0 / f64::from(RATE))
    }
}

fn lock(start_ms: &Mutex<Option<f64>>) -> MutexGuard<'_, Option<f64>> {
    start_ms.lock().expect("nobody panics with the number")
}

fn is_mark(block: &[f64], hz: f64) -> bool {
    let energy: f64 = block.iter().map(|sample| sample * sample).sum();
    let loudness = (energy / block.len() as f64).sqrt();
    loudness > SILENCE && share(block, hz, energy) > SHARE
}

/// The share of `energy` that lies at `hz`, 0 to about 1.
fn share(block: &[f64], hz: f64, energy: f64) -> f64 {
    2.0 * power(block, hz) / (block.len() as f64 * energy)
}

/// The squared magnitude of the spectrum of `block` at `hz` (Goertzel).
fn power(block: &[f64], hz: f64) -> f64 {
    let omega = TAU * hz / f64::from(RATE);
    let coefficient = 2.0 * omega.cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in block {
        let next = sample + coefficient * last - before;
        before = last;
        last = next;
    }
    last * last + before * before - coefficient * last * before
}
