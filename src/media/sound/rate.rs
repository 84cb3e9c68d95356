//! Cards that do not do our rate: their frames, as mono samples, to and from 48 kHz.
//! Pure; [`super::pcm`] reads and writes.

use super::resample::Resampler;
use super::{BLOCK, RATE};

/// The rates that we can do, best first, Hz: ours, then those that lose least of it. Each
/// has a whole number of frames in 10 ms.
pub(super) const RATES: [u32; 6] = [RATE, 96_000, 44_100, 32_000, 16_000, 8_000];

/// Frames of a card in 10 ms.
pub(super) fn block(rate: u32) -> usize {
    rate as usize / 100
}

/// What a microphone of another rate gives.
#[derive(Debug)]
pub(super) struct FromCard {
    resampler: Resampler,
    /// A block of the card's; of it, what came, and what of that was used.
    frames: Box<[f32]>,
    came: usize,
    used: usize,
}

impl FromCard {
    /// `None` for a card of our rate.
    pub(super) fn new(rate: u32) -> Option<Self> {
        (rate != RATE).then(|| Self {
            resampler: Resampler::new(rate, RATE),
            frames: vec![0.0; block(rate)].into(),
            came: 0,
            used: 0,
        })
    }

    /// Where the next frames go. What came before is used up when nothing was given.
    pub(super) fn room(&mut self) -> &mut [f32] {
        &mut self.frames
    }

    /// So many frames came into the room.
    pub(super) fn came(&mut self, frames: usize) {
        (self.came, self.used) = (frames, 0);
    }

    /// Fills `into` as far as the frames go; tells how far.
    pub(super) fn give(&mut self, into: &mut [f32]) -> usize {
        let (used, given) = self
            .resampler
            .process(&self.frames[self.used..self.came], into);
        self.used += used;
        given
    }
}

/// What a speaker of another rate takes.
#[derive(Debug)]
pub(super) struct ToCard {
    resampler: Resampler,
    frames: Box<[f32]>,
}

impl ToCard {
    /// `None` for a card of our rate.
    pub(super) fn new(rate: u32) -> Option<Self> {
        (rate != RATE).then(|| Self {
            resampler: Resampler::new(RATE, rate),
            frames: vec![0.0; most(rate)].into(),
        })
    }

    /// A block of ours as frames of the card, [`block`] of them, give or take one.
    pub(super) fn convert(&mut self, block: &[f32; BLOCK]) -> &[f32] {
        let (_, made) = self.resampler.process(block, &mut self.frames);
        &self.frames[..made]
    }
}

/// The most frames that a block of ours becomes.
pub(super) fn most(rate: u32) -> usize {
    block(rate) + 2
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;

    fn tone(hertz: f32, rate: u32, count: usize) -> Vec<f32> {
        let sample = |index| (TAU * hertz * index as f32 / rate as f32).sin();
        (0..count).map(sample).collect()
    }

    /// The share of `samples` that is not a tone of `hertz`, by least squares.
    fn beside(samples: &[f32], hertz: f32, rate: u32) -> f32 {
        let mut sums = [0.0_f32; 3];
        for (index, sample) in samples.iter().enumerate() {
            let turn = TAU * hertz * index as f32 / rate as f32;
            sums[0] += sample * turn.sin();
            sums[1] += sample * turn.cos();
            sums[2] += sample * sample;
        }
        let of_tone = 2.0 * (sums[0] * sums[0] + sums[1] * sums[1]) / samples.len() as f32;
        1.0 - of_tone / sums[2]
    }

    #[test]
    fn a_microphone_of_any_rate_is_heard_whole() {
        for rate in &RATES[1..] {
            let played = tone(1000.0, *rate, *rate as usize);
            let mut card = FromCard::new(*rate).expect("another rate");
            let mut heard = Vec::new();
            let mut into = [0.0; BLOCK];
            let mut filled = 0;
            // A card gives what it has: any number of frames.
            let mut rest = &played[..];
            let mut sizes = [1, 7, block(*rate), 3, block(*rate) / 2]
                .into_iter()
                .cycle();
            while !rest.is_empty() {
                let frames = sizes.next().expect("a size").min(rest.len());
                card.room()[..frames].copy_from_slice(&rest[..frames]);
                card.came(frames);
                rest = &rest[frames..];
                loop {
                    let given = card.give(&mut into[filled..]);
                    filled += given;
                    if filled == BLOCK {
                        heard.extend_from_slice(&into);
                        filled = 0;
                    } else {
                        break;
                    }
                }
            }
            assert!(heard.len() >= 99 * BLOCK, "{rate}: {}", heard.len());
            let noise = beside(&heard[BLOCK..97 * BLOCK], 1000.0, RATE);
            assert!(noise < 1e-4, "{rate} Hz: {noise}");
        }
    }

    #[test]
    fn a_speaker_of_any_rate_gets_a_block_for_each_block() {
        for rate in &RATES[1..] {
            let mut card = ToCard::new(*rate).expect("another rate");
            let mut played = Vec::new();
            for part in tone(1000.0, RATE, 100 * BLOCK).as_chunks().0 {
                let frames = card.convert(part);
                assert!(frames.len().abs_diff(block(*rate)) <= 1, "{}", frames.len());
                played.extend_from_slice(frames);
            }
            assert!(played.len().abs_diff(*rate as usize) <= 1);
            let (least, most) = (block(*rate), played.len() - block(*rate));
            let noise = beside(&played[least..most], 1000.0, *rate);
            assert!(noise < 1e-4, "{rate} Hz: {noise}");
        }
    }

    #[test]
    fn a_card_of_our_rate_is_left_alone() {
        assert!(FromCard::new(RATE).is_none());
        assert!(ToCard::new(RATE).is_none());
        assert!(RATES.iter().all(|rate| rate % 100 == 0));
    }
}
