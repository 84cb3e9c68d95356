//! The door's own tones, synthesised block by block. Pure: no clock, no device.
//!
//! Levels and pitches are those of `docs/look.md`: -12 dBFS peak, 10 ms fades.
//! A tone that plays once ends before a looped one that was ordered after it
//! begins; [`Tone::Talk`], [`Tone::Fault`] and silence take effect at once.

use std::f32::consts::TAU;

use super::{BLOCK, RATE};
use crate::media::Tone;

/// -12 dBFS.
const PEAK: f32 = 0.251;
/// 10 ms.
const FADE: u32 = RATE / 100;

/// One stretch of a tone.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    /// Hertz; 0 is silence.
    pitch: f32,
    /// Samples.
    length: u32,
    /// Dies away by itself, like a struck bar.
    decays: bool,
}

const fn part(pitch: f32, ms: u32) -> Part {
    Part {
        pitch,
        length: ms * (RATE / 1000),
        decays: false,
    }
}

const fn struck(pitch: f32, ms: u32) -> Part {
    Part {
        pitch,
        length: ms * (RATE / 1000),
        decays: true,
    }
}

/// E5, then C5.
const CHIME: &[Part] = &[struck(659.26, 350), struck(523.25, 350)];
/// The European ring-back.
const RING_BACK: &[Part] = &[part(425.0, 1000), part(0.0, 4000)];
/// The European busy tone, three seconds of it.
const BUSY: &[Part] = &[
    part(425.0, 500),
    part(0.0, 500),
    part(425.0, 500),
    part(0.0, 500),
    part(425.0, 500),
    part(0.0, 500),
];
/// C5 and G5, rising.
const TALK: &[Part] = &[part(523.25, 90), part(783.99, 130)];
/// G5 and E5, falling, and a rest: heard twice in a release of 5 s or so.
const OPEN: &[Part] = &[struck(783.99, 300), struck(659.26, 500), part(0.0, 700)];
/// G3 and E3, low.
const FAULT: &[Part] = &[part(196.0, 250), part(164.81, 350)];
/// G4 and C4, falling: the answer to [`TALK`].
const ENDED: &[Part] = &[struck(392.0, 160), struck(261.63, 300)];

fn parts(tone: Tone) -> &'static [Part] {
    match tone {
        Tone::Chime => CHIME,
        Tone::RingBack => RING_BACK,
        Tone::Busy => BUSY,
        Tone::Talk => TALK,
        Tone::Open => OPEN,
        Tone::Fault => FAULT,
        Tone::Ended => ENDED,
    }
}

fn loops(tone: Tone) -> bool {
    matches!(tone, Tone::RingBack | Tone::Open)
}

/// What plays, and what plays after it.
#[derive(Debug)]
pub(super) struct TonePlayer {
    /// Of the peak: 0 to 1.
    volume: f32,
    playing: Option<Playing>,
    next: Option<Tone>,
    /// A looped tone that waits for `next`, which plays once.
    then: Option<Tone>,
}

#[derive(Debug)]
struct Playing {
    tone: Tone,
    part: usize,
    /// Samples into the part.
    at: u32,
    /// Of one turn, 0 to 1.
    phase: f32,
    /// Samples left of a fade to silence that was ordered.
    leaving: Option<u32>,
}

impl Playing {
    fn new(tone: Tone) -> Self {
        Self {
            tone,
            part: 0,
            at: 0,
            phase: 0.0,
            leaving: None,
        }
    }

    /// The next sample; `None` at the end.
    fn sample(&mut self) -> Option<f32> {
        let parts = parts(self.tone);
        let mut part = parts.get(self.part)?;
        if self.at == part.length {
            self.part += 1;
            if self.part == parts.len() && loops(self.tone) {
                self.part = 0;
            }
            part = parts.get(self.part)?;
            (self.at, self.phase) = (0, 0.0);
        }
        let mut gain = fade(self.at.min(part.length - self.at));
        if part.decays {
            // To a twentieth at the end of the part.
            gain *= (-3.0 * self.at as f32 / part.length as f32).exp();
        }
        if let Some(left) = &mut self.leaving {
            *left = left.checked_sub(1)?;
            gain *= fade(*left);
        }
        self.at += 1;
        if part.pitch == 0.0 {
            return Some(0.0);
        }
        self.phase = (self.phase + part.pitch / RATE as f32).fract();
        Some(PEAK * gain * (TAU * self.phase).sin())
    }
}

/// The gain at `distance` samples from an edge.
fn fade(distance: u32) -> f32 {
    distance.min(FADE) as f32 / FADE as f32
}

impl TonePlayer {
    /// A player whose tones reach `volume` per cent of the full level.
    pub(super) fn new(volume: u8) -> Self {
        Self {
            volume: f32::from(volume.min(100)) / 100.0,
            playing: None,
            next: None,
            then: None,
        }
    }

    /// Orders a tone, or silence.
    pub(super) fn order(&mut self, tone: Option<Tone>) {
        let looped = tone.is_some_and(loops);
        if looped && self.next.is_some_and(|next| !loops(next)) {
            self.then = tone;
            return;
        }
        (self.next, self.then) = (tone, None);
        let Some(playing) = &mut self.playing else {
            self.begin();
            return;
        };
        if looped && tone == Some(playing.tone) && playing.leaving.is_none() {
            self.next = None;
            return;
        }
        let waits = looped && !loops(playing.tone);
        if !waits {
            playing.leaving.get_or_insert(FADE);
        }
    }

    fn begin(&mut self) {
        self.playing = self.next.take().map(Playing::new);
        self.next = self.then.take();
    }

    /// Whether the next block can hold anything but silence.
    #[cfg(test)]
    fn is_playing(&self) -> bool {
        self.playing.is_some() || self.next.is_some()
    }

    /// Adds the next block.
    pub(super) fn add_to(&mut self, block: &mut [f32; BLOCK]) {
        for sample in block {
            if self.playing.is_none() {
                self.begin();
            }
            let Some(playing) = &mut self.playing else {
                return;
            };
            match playing.sample() {
                Some(value) => *sample += self.volume * value,
                None => self.playing = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `ms` and gives the samples.
    fn play(player: &mut TonePlayer, ms: usize) -> Vec<f32> {
        let mut samples = Vec::new();
        for _ in 0..ms / 10 {
            let mut block = [0.0; BLOCK];
            player.add_to(&mut block);
            samples.extend(block);
        }
        samples
    }

    fn ordered(tone: Tone) -> TonePlayer {
        let mut player = TonePlayer::new(100);
        player.order(Some(tone));
        player
    }

    fn peak(samples: &[f32]) -> f32 {
        samples
            .iter()
            .fold(0.0, |peak, sample| sample.abs().max(peak))
    }

    fn ms(from: usize, to: usize) -> std::ops::Range<usize> {
        from * 48..to * 48
    }

    #[test]
    fn ring_back_is_one_second_on_and_four_off_for_as_long_as_it_lasts() {
        let mut player = ordered(Tone::RingBack);
        let samples = play(&mut player, 11_000);
        for start in [0, 5000, 10_000] {
            let level = peak(&samples[ms(start + 100, start + 900)]);
            assert!((level - PEAK).abs() < 0.001, "{level}");
        }
        assert_eq!(peak(&samples[ms(1001, 4999)]), 0.0);
        assert!(player.is_playing());
    }

    #[test]
    fn the_chime_ends_before_the_ring_back_that_was_ordered_after_it() {
        let mut player = ordered(Tone::Chime);
        let first = play(&mut player, 100);
        assert!(peak(&first) > 0.15);
        player.order(Some(Tone::RingBack));
        let rest = play(&mut player, 1500);
        // The second note begins 250 ms from here, the ring-back 600 ms.
        assert!(peak(&rest[ms(260, 300)]) > 0.15);
        assert!(peak(&rest[ms(700, 1500)]) > 0.25);
    }

    #[test]
    fn a_chime_and_a_ring_back_ordered_together_are_both_heard() {
        let mut player = TonePlayer::new(100);
        for before in [0, 1000] {
            play(&mut player, before);
            player.order(Some(Tone::Chime));
            player.order(Some(Tone::RingBack));
            let samples = play(&mut player, 1500);
            // The chime dies away, the ring-back does not.
            assert!(peak(&samples[ms(320, 340)]) < 0.05);
            assert!(peak(&samples[ms(1000, 1500)]) > 0.25);
        }
    }

    #[test]
    fn silence_and_talk_cut_in_with_a_fade() {
        let mut player = ordered(Tone::RingBack);
        play(&mut player, 500);
        player.order(None);
        let samples = play(&mut player, 100);
        assert_eq!(peak(&samples[ms(10, 100)]), 0.0);
        assert!(!player.is_playing());

        player.order(Some(Tone::RingBack));
        play(&mut player, 500);
        player.order(Some(Tone::Talk));
        let samples = play(&mut player, 500);
        assert!(peak(&samples[ms(20, 200)]) > 0.2);
        assert_eq!(peak(&samples[ms(231, 500)]), 0.0);
    }

    #[test]
    fn what_plays_once_plays_once() {
        for (tone, length) in [
            (Tone::Chime, 700),
            (Tone::Busy, 3000),
            (Tone::Fault, 600),
            (Tone::Ended, 460),
        ] {
            let mut player = ordered(tone);
            let samples = play(&mut player, 8000);
            assert!(peak(&samples[..BLOCK * 5]) > 0.2, "{tone:?}");
            assert_eq!(peak(&samples[ms(length, 8000)]), 0.0, "{tone:?}");
            assert!(!player.is_playing());
        }
    }

    #[test]
    fn no_tone_is_louder_than_it_may_be_or_clicks() {
        for tone in [
            Tone::Chime,
            Tone::RingBack,
            Tone::Busy,
            Tone::Talk,
            Tone::Open,
            Tone::Fault,
            Tone::Ended,
        ] {
            let samples = play(&mut ordered(tone), 6000);
            assert!(peak(&samples) <= PEAK);
            // The steepest sine at 784 Hz moves by 0.026 a sample.
            let step = samples
                .windows(2)
                .fold(0.0_f32, |step, pair| step.max((pair[1] - pair[0]).abs()));
            assert!(step < 0.03, "{tone:?} jumps by {step}");
        }
    }

    #[test]
    fn an_opened_door_is_heard_until_it_is_closed() {
        let mut player = ordered(Tone::RingBack);
        play(&mut player, 500);
        player.order(Some(Tone::Open));
        let samples = play(&mut player, 10_000);
        // Ten milliseconds are for the fade of what was heard before.
        for start in (10..10_000).step_by(1500) {
            assert!(peak(&samples[ms(start + 20, start + 60)]) > 0.15, "{start}");
            assert!(
                peak(&samples[ms(start + 320, start + 360)]) > 0.15,
                "{start}"
            );
            let pause = start + 810..(start + 1480).min(10_000);
            assert_eq!(peak(&samples[ms(pause.start, pause.end)]), 0.0, "{start}");
        }
        player.order(None);
        let after = play(&mut player, 2000);
        assert_eq!(peak(&after[ms(10, 2000)]), 0.0);
    }

    #[test]
    fn the_volume_is_of_the_amplitude() {
        for (volume, level) in [(0, 0.0), (50, PEAK / 2.0), (100, PEAK)] {
            let mut player = TonePlayer::new(volume);
            player.order(Some(Tone::RingBack));
            let heard = peak(&play(&mut player, 500));
            assert!((heard - level).abs() < 0.001, "{volume}: {heard}");
        }
    }

    #[test]
    fn orders_one_after_the_other_leave_only_the_last() {
        let mut player = ordered(Tone::RingBack);
        play(&mut player, 200);
        player.order(None);
        player.order(Some(Tone::RingBack));
        let samples = play(&mut player, 500);
        assert!(peak(&samples[ms(100, 500)]) > 0.25);
    }
}
