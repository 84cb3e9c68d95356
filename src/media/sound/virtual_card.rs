//! A sound card made of files: hardware for a station without any.
//!
//! It stands *under* the real ALSA path. A directory gets a configuration for
//! alsa-lib with two PCMs, [`MICROPHONE`] and [`SPEAKER`], each a FIFO; a named
//! thread is the card's clock: every 10 ms it puts 480 frames into the one and takes
//! what the other holds into a WAV file, whose time line is real time.
//!
//! alsa-lib reads the variable of [`VirtualCard::environment`] when it is first
//! used, and a program cannot safely change its own environment: whoever wants this
//! card starts the program (itself, again) with the variable set.

use std::f32::consts::TAU;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use hound::WavWriter;
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use rustix::io::ioctl_fionread;
use rustix::pipe::fcntl_setpipe_size;
use tracing::{error, warn};

use super::wav::{self, WavError};
use super::{BLOCK, BLOCK_TIME, RATE, SoundSettings};
use crate::clock;

/// The ALSA name of the virtual microphone.
pub const MICROPHONE: &str = "doorstation_mic";
/// The ALSA name of the virtual speaker.
pub const SPEAKER: &str = "doorstation_spk";

/// Bytes of a block in S16 mono, which is what the FIFOs carry.
const BLOCK_BYTES: usize = 2 * BLOCK;
/// Room of a FIFO, bytes: four pages, because a pipe takes and gives whole pages
/// and one alone would make it stutter.
const PIPE: usize = 16_384;
/// What may wait in the microphone's FIFO, bytes: 40 ms, then frames are lost, as
/// in a card that nobody reads.
const BACKLOG: u64 = 4 * BLOCK_BYTES as u64;
/// Blocks between two updates of the WAV file's header: a second. A station that is
/// killed leaves a file that can be read.
const HEADER_EVERY: u64 = 100;
/// Later than this the card has been asleep (a suspended machine): it goes on from
/// now instead of hurrying through the time that was lost.
const ASLEEP: Duration = Duration::from_secs(10);

/// What the virtual microphone hears.
#[derive(Clone, Debug, PartialEq)]
pub enum MicSource {
    /// This file, over and over.
    Wav(PathBuf),
    /// A made-up voice: syllables of a buzzing tone, with pauses.
    Voice,
    /// A tone of so many hertz, at -12 dBFS.
    Tone(f32),
    /// What the speaker plays, later and softer: a small room. Nobody is in it.
    Room {
        /// How much later, ms, up to 1000; the FIFOs add to that.
        delay_ms: u16,
        /// Of the speaker's amplitude, 0 to 1.
        gain: f32,
    },
    /// Nothing.
    Silence,
}

/// Why there is no virtual card.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory or something in it cannot be made.
    #[error("cannot make the virtual sound card in {}", path.display())]
    Directory {
        /// What could not be made.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The directory's name cannot be written into alsa-lib's configuration.
    #[error("the name of the directory {} has characters that ALSA cannot take", .0.display())]
    Name(PathBuf),
    /// A sound file.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// A tone outside of 20 Hz to 20 kHz.
    #[error("a tone of {0} Hz cannot be heard; 20 to 20000 can")]
    Tone(f32),
}

/// The card; it is unplugged when this is dropped.
#[derive(Debug)]
pub struct VirtualCard {
    directory: PathBuf,
    /// Dropped to end the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl VirtualCard {
    /// The variable that must be in the environment of the process that uses the
    /// card in `directory`.
    pub fn environment(directory: &Path) -> (&'static str, PathBuf) {
        ("ALSA_CONFIG_PATH", directory.join("asound.conf"))
    }

    /// The PCMs of a virtual card.
    pub fn settings() -> SoundSettings {
        SoundSettings {
            capture: Some(MICROPHONE.to_owned()),
            playback: Some(SPEAKER.to_owned()),
            ..SoundSettings::default()
        }
    }

    /// Makes the card in `directory` (made if needed) and plugs it in, before
    /// anything in this process uses ALSA. What the speaker plays goes to
    /// `speaker_wav`.
    ///
    /// # Errors
    ///
    /// See [`Error`]; a sound file that does not go is named with what would.
    pub fn prepare(
        directory: &Path,
        microphone: MicSource,
        speaker_wav: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let room = Room::new(&microphone);
        let sound = load(microphone)?;
        let recording = speaker_wav.as_deref().map(wav::create).transpose()?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| Error::Directory { path, source }
        };
        std::fs::create_dir_all(directory).map_err(failed(directory))?;
        let directory = directory.canonicalize().map_err(failed(directory))?;
        let text = configuration(&directory)?;
        let microphone = fifo(&directory.join("mic.fifo"))?;
        let speaker = fifo(&directory.join("spk.fifo"))?;
        let (_, path) = Self::environment(&directory);
        std::fs::write(&path, text).map_err(failed(&path))?;
        let (stop, stopped) = channel();
        let clockwork = Clockwork {
            microphone,
            speaker,
            sound,
            place: 0,
            room,
            pending: Vec::with_capacity(2 * PIPE),
            recording,
            blocks: 0,
        };
        let thread = std::thread::Builder::new()
            .name("virtual-card".to_owned())
            .spawn(move || clockwork.run(&stopped))
            .map_err(failed(&directory))?;
        Ok(Self {
            directory,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for VirtualCard {
    fn drop(&mut self) {
        // The configuration goes first: from then on nobody opens the FIFOs, and
        // whoever waits in one is let go when the thread closes them.
        let (_, configuration) = Self::environment(&self.directory);
        let fifos = ["mic.fifo", "spk.fifo"].map(|name| self.directory.join(name));
        for path in std::iter::once(configuration).chain(fifos) {
            // Gone already is as good.
            let _ = std::fs::remove_file(path);
        }
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the virtual sound card's thread panicked");
        }
    }
}

/// Two PCMs over FIFOs. Nothing of the system's configuration is included: its
/// hooks would put other cards over these.
fn configuration(directory: &Path) -> Result<String, Error> {
    let place = directory
        .to_str()
        .filter(|place| !place.contains(['"', '\\', '\n']))
        .ok_or_else(|| Error::Name(directory.to_owned()))?;
    Ok(format!(
        "pcm.doorstation_null {{ type null }}\n\
         pcm.{MICROPHONE} {{\n  type file\n  slave.pcm \"doorstation_null\"\n  \
         file \"/dev/null\"\n  infile \"{place}/mic.fifo\"\n  format \"raw\"\n}}\n\
         pcm.{SPEAKER} {{\n  type file\n  slave.pcm \"doorstation_null\"\n  \
         file \"{place}/spk.fifo\"\n  format \"raw\"\n}}\n"
    ))
}

/// A fresh FIFO that only we may use, open at both ends, so that nobody waits for
/// the other end to appear.
fn fifo(path: &Path) -> Result<File, Error> {
    let failed = |source: std::io::Error| Error::Directory {
        path: path.to_owned(),
        source,
    };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).map_err(|error| failed(error.into()))?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(path)
        .map_err(failed)?;
    fcntl_setpipe_size(&file, PIPE).map_err(|error| failed(error.into()))?;
    Ok(file)
}

fn load(source: MicSource) -> Result<Vec<i16>, Error> {
    match source {
        MicSource::Wav(path) => Ok(wav::load(&path)?),
        MicSource::Voice => Ok(made_up_voice()),
        MicSource::Silence | MicSource::Room { .. } => Ok(vec![0; BLOCK]),
        MicSource::Tone(hertz) if (20.0..=20_000.0).contains(&hertz) => {
            // Whole turns, near enough, so that the loop's seam is not heard.
            let turns = (f64::from(hertz) * 10.0).round();
            let step = turns / (10.0 * f64::from(RATE));
            let sample = |index| {
                let turn = (f64::from(index) * step).fract() as f32;
                ((turn * TAU).sin() * 0.251 * 32_767.0) as i16
            };
            Ok((0..10 * RATE).map(sample).collect())
        }
        MicSource::Tone(hertz) => Err(Error::Tone(hertz)),
    }
}

/// Six seconds: words of four syllables at changing pitch, a pause after each.
fn made_up_voice() -> Vec<i16> {
    const PITCHES: [f32; 6] = [118.0, 132.0, 124.0, 110.0, 140.0, 121.0];
    let mut turn = 0.0_f32;
    (0..6 * RATE)
        .map(|index| {
            let second = (index / RATE) as usize;
            let within = (index % RATE) as f32 / RATE as f32;
            turn = (turn + PITCHES[second] / RATE as f32).fract();
            if within > 0.8 {
                return 0;
            }
            let syllable = (within * 5.0).fract();
            let envelope = (syllable * std::f32::consts::PI).sin();
            // A buzz whose overtones fall off around two moving resonances.
            let vowel = 500.0 + 300.0 * (within * 7.0).sin();
            let sum: f32 = (1..=20)
                .map(|overtone| {
                    let hertz = overtone as f32 * PITCHES[second];
                    let near = |centre: f32| 1.0 / (1.0 + ((hertz - centre) / 150.0).powi(2));
                    let level = near(vowel) + 0.5 * near(3.0 * vowel);
                    level * (TAU * turn * overtone as f32).sin()
                })
                .sum();
            (sum * envelope * 0.1 * 32_767.0).clamp(-32_767.0, 32_767.0) as i16
        })
        .collect()
}

/// The way from the virtual speaker to the virtual microphone.
struct Room {
    /// What was played, a ring as long as the delay.
    air: Vec<i16>,
    place: usize,
    gain: f32,
}

impl Room {
    fn new(microphone: &MicSource) -> Option<Self> {
        let MicSource::Room { delay_ms, gain } = microphone else {
            return None;
        };
        let delay = usize::from((*delay_ms).clamp(1, 1000)) * RATE as usize / 1000;
        Some(Self {
            air: vec![0; delay],
            place: 0,
            gain: gain.clamp(0.0, 1.0),
        })
    }

    /// A sample enters the air, and one comes out.
    fn pass(&mut self, sample: i16) -> i16 {
        let out = std::mem::replace(&mut self.air[self.place], sample);
        self.place = (self.place + 1) % self.air.len();
        (f32::from(out) * self.gain) as i16
    }
}

/// The card's clock and memory.
struct Clockwork {
    microphone: File,
    speaker: File,
    sound: Vec<i16>,
    /// Where the microphone is in `sound`.
    place: usize,
    room: Option<Room>,
    /// Bytes that came out of the speaker's FIFO.
    pending: Vec<u8>,
    recording: Option<WavWriter<BufWriter<File>>>,
    blocks: u64,
}

impl Clockwork {
    fn run(mut self, stopped: &Receiver<()>) {
        let mut next = clock::now();
        loop {
            next += BLOCK_TIME;
            let now = clock::now();
            if now.saturating_duration_since(next) > ASLEEP {
                next = now;
            }
            match stopped.recv_timeout(next.saturating_duration_since(now)) {
                Err(RecvTimeoutError::Timeout) => self.tick(),
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Some(recording) = self.recording.take()
            && let Err(error) = recording.finalize()
        {
            warn!(%error, "the speaker's file is not complete");
        }
    }

    fn tick(&mut self) {
        let played = self.listen_to_speaker();
        self.speak_into_microphone(&played);
        self.record(&played);
    }

    fn speak_into_microphone(&mut self, played: &[i16; BLOCK]) {
        let mut bytes = [0; BLOCK_BYTES];
        for (pair, played) in bytes.as_chunks_mut().0.iter_mut().zip(played) {
            let echo = self.room.as_mut().map_or(0, |room| room.pass(*played));
            *pair = self.sound[self.place].saturating_add(echo).to_le_bytes();
            self.place = (self.place + 1) % self.sound.len();
        }
        if ioctl_fionread(&self.microphone).is_ok_and(|waiting| waiting < BACKLOG) {
            // Less than a page goes whole or not at all; what does not go is lost,
            // as in a card.
            let _ = self.microphone.write(&bytes);
        }
    }

    fn listen_to_speaker(&mut self) -> [i16; BLOCK] {
        let mut bytes = [0; BLOCK_BYTES];
        while self.pending.len() < BLOCK_BYTES {
            let wanted = BLOCK_BYTES - self.pending.len();
            match self.speaker.read(&mut bytes[..wanted]) {
                Ok(count) if count > 0 => self.pending.extend_from_slice(&bytes[..count]),
                _ => break,
            }
        }
        let whole = self.pending.len() / 2 * 2;
        let mut block = [0_i16; BLOCK];
        let (pairs, _) = self.pending[..whole].as_chunks();
        for (sample, pair) in block.iter_mut().zip(pairs) {
            *sample = i16::from_le_bytes(*pair);
        }
        self.pending.drain(..whole);
        block
    }

    fn record(&mut self, block: &[i16; BLOCK]) {
        let Some(recording) = &mut self.recording else {
            return;
        };
        self.blocks += 1;
        let mut written = block
            .iter()
            .try_for_each(|sample| recording.write_sample(*sample));
        if self.blocks.is_multiple_of(HEADER_EVERY) {
            written = written.and_then(|()| recording.flush());
        }
        if let Err(error) = written {
            warn!(%error, "the speaker's file cannot be written: it ends here");
            self.recording = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_made_up_voice_is_loud_and_never_clipped() {
        let voice = made_up_voice();
        let peak = voice.iter().map(|sample| sample.unsigned_abs()).max();
        assert!(
            (3_000..32_000).contains(&peak.expect("samples")),
            "{peak:?}"
        );
    }

    #[test]
    fn a_tone_repeats_without_a_seam() {
        let tone = load(MicSource::Tone(441.3)).expect("a tone");
        let step = tone[0].abs_diff(tone[tone.len() - 1]);
        assert!(step < 800, "{step}");
        assert!(load(MicSource::Tone(0.0)).is_err());
        assert!(load(MicSource::Tone(f32::NAN)).is_err());
    }

    #[test]
    fn a_directory_that_alsa_cannot_name_is_refused() {
        assert!(configuration(Path::new("/tmp/a\"b")).is_err());
        assert!(configuration(Path::new("/tmp/ab")).is_ok());
    }
}
