//! The thread `sound-playback`: voices and tones, mixed, to the speaker.
//!
//! One block of 10 ms after the other: what is mixed here is exactly what goes to
//! the card. While there is no card the blocks go nowhere, at the clock's pace, so
//! that nothing piles up until one is there.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::echo::reference::Reference;
use super::meters::Meters;
use super::pcm::Playback;
use super::tones::TonePlayer;
use super::voice::Player;
use super::{BLOCK, BLOCK_TIME, FIRST_PAUSE, LONGEST_PAUSE, Watched};
use crate::clock;
use crate::media::Tone;
use crate::media::worker::Stop;

/// Voices at the same time: more than a door ever has.
const VOICES: usize = 16;
/// Orders between two blocks; when full the oldest is dropped, for only the latest
/// counts.
const ORDERS: usize = 8;
/// How long a wait for the card lasts before the thread looks at its end.
const PATIENCE: Duration = Duration::from_millis(100);
/// Blocks that a card without a clock is ahead: what its reader may be late.
const LEAD: u32 = 2;

/// Where handles leave what the thread shall do.
#[derive(Debug, Default)]
pub(super) struct Desk {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    tones: VecDeque<Option<Tone>>,
    voices: Vec<Box<Player>>,
}

impl Desk {
    /// Orders a tone, or silence.
    pub(super) fn order(&self, tone: Option<Tone>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.tones.len() == ORDERS {
            waiting.tones.pop_front();
        }
        waiting.tones.push_back(tone);
    }

    /// Adds a voice; one too many is silent.
    pub(super) fn add(&self, voice: Box<Player>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.voices.len() == VOICES {
            warn!("too many voices: one is not heard");
            return;
        }
        waiting.voices.push(voice);
    }
}

/// Everything that the thread works with.
pub(super) struct Speaker {
    pub(super) name: Option<String>,
    pub(super) desk: Arc<Desk>,
    /// Where the microphone's echo control learns what was played.
    pub(super) reference: Arc<Reference>,
    /// Of the tones, per cent.
    pub(super) tone_volume: u8,
    pub(super) meters: Arc<Meters>,
    pub(super) watched: Watched,
}

/// Runs until `stop`.
pub(super) fn run(speaker: &Speaker, stop: &Stop) {
    let mut mixer = Mixer::new(speaker.tone_volume);
    let Some(name) = &speaker.name else {
        while !stop.is_set() {
            mix_for(Duration::from_secs(60), speaker, &mut mixer, stop);
        }
        return;
    };
    let mut pause = FIRST_PAUSE;
    loop {
        speaker.watched.enter();
        let before = speaker.meters.speaker_blocks.load(Relaxed);
        let end = Playback::open(name).and_then(|card| {
            info!(pcm = name, clocked = card.is_clocked(), "speaker opened");
            feed(card, speaker, &mut mixer, stop)
        });
        let Err(reason) = end else { return };
        if speaker.meters.speaker_blocks.load(Relaxed) > before {
            pause = FIRST_PAUSE;
        }
        speaker
            .watched
            .failed(&format!("the speaker {name} does not work: {reason}"));
        speaker.watched.leave();
        mix_for(pause, speaker, &mut mixer, stop);
        if stop.is_set() {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Feeds one opened card until it fails or the thread shall end.
fn feed(
    mut card: Playback,
    speaker: &Speaker,
    mixer: &mut Mixer,
    stop: &Stop,
) -> Result<(), String> {
    let mut pace = Pace::new();
    let mut xruns = 0;
    while !stop.is_set() {
        let late = !card.is_clocked() && pace.wait(stop);
        if late || card.xruns() > xruns {
            xruns = card.xruns();
            Meters::one(&speaker.meters.speaker_xruns);
        }
        if !card.wait(PATIENCE)? {
            continue;
        }
        let block = mixer.mix(&speaker.desk);
        if card.write(block)? {
            Meters::one(&speaker.meters.speaker_blocks);
            speaker.watched.moved();
            speaker.reference.push(block);
            mixer.written();
        }
    }
    Ok(())
}

/// Mixes into nothing for a while.
fn mix_for(time: Duration, speaker: &Speaker, mixer: &mut Mixer, stop: &Stop) {
    let end = clock::now() + time;
    let mut pace = Pace::new();
    while clock::now() < end && !stop.is_set() {
        pace.wait(stop);
        mixer.mix(&speaker.desk);
    }
}

/// Sets the pace where no card does: a block each 10 ms, by absolute times.
struct Pace {
    next: Instant,
}

impl Pace {
    fn new() -> Self {
        Self {
            next: clock::now()
                .checked_sub(BLOCK_TIME * LEAD)
                .unwrap_or_else(clock::now),
        }
    }

    /// Waits for the next block's time; tells whether that was missed by so much
    /// that the card ran dry.
    fn wait(&mut self, stop: &Stop) -> bool {
        let now = clock::now();
        let late = now.saturating_duration_since(self.next) > BLOCK_TIME * (LEAD + 1);
        if late {
            *self = Self::new();
        } else if let Some(early) = self.next.checked_duration_since(now) {
            stop.wait(early);
        }
        self.next += BLOCK_TIME;
        late
    }
}

/// Adds up what is to be heard.
struct Mixer {
    voices: Vec<Box<Player>>,
    tones: TonePlayer,
    block: [f32; BLOCK],
}

impl Mixer {
    fn new(tone_volume: u8) -> Self {
        Self {
            voices: Vec::with_capacity(VOICES),
            tones: TonePlayer::new(tone_volume),
            block: [0.0; BLOCK],
        }
    }

    /// The next block.
    fn mix(&mut self, desk: &Desk) -> &[f32; BLOCK] {
        self.take_orders(desk);
        self.block.fill(0.0);
        self.voices.retain_mut(|voice| voice.receive());
        for voice in &mut self.voices {
            voice.add_to(&mut self.block);
        }
        self.tones.add_to(&mut self.block);
        &self.block
    }

    /// The latest block went to the card.
    fn written(&self) {
        for voice in &self.voices {
            voice.written();
        }
    }

    fn take_orders(&mut self, desk: &Desk) {
        let mut waiting = desk.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(tone) = waiting.tones.pop_front() {
            debug!(?tone, "tone");
            self.tones.order(tone);
        }
        for voice in waiting.voices.drain(..) {
            if self.voices.len() < VOICES {
                self.voices.push(voice);
            }
        }
    }
}
