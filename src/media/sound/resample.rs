//! Another rate for a stream of samples, one that may change while it runs. Pure.
//!
//! Three uses: a card whose clock is not the network's (parts per million, see
//! [`crate::media::sound::drift`]), a card that does not do 48 kHz at all,
//! and far ends that speak at 8 kHz (see `speech`).
//!
//! Each output sample is a weighted sum of the [`TAPS`] input samples around its
//! place; the weights are a windowed sinc, kept for 128 places between two
//! samples and interpolated between those. The delay is half of the taps: 0.3 ms at
//! 48 kHz.

use std::f64::consts::PI;

/// Input samples of an output sample, when the rate is not lowered.
pub const TAPS: usize = 32;
/// The most taps: for 48 to 8 kHz.
const MOST_TAPS: usize = 6 * TAPS;
/// Places between two samples.
const PHASES: usize = 128;
/// Of half the lower rate: what is kept. Above it begins the filter's slope.
const PASS: f64 = 0.91;
/// How far a rate may be trimmed, parts per million.
pub const MOST_PPM: f64 = 1000.0;

/// See the [module](self).
#[derive(Debug)]
pub struct Resampler {
    /// Weights: [`PHASES`] + 1 rows of `taps`.
    weights: Box<[f32]>,
    taps: usize,
    /// The latest input, oldest first, twice in a row so that it never wraps.
    history: [f32; 2 * MOST_TAPS],
    newest: usize,
    /// Input samples from one output sample to the next, untrimmed.
    step: f64,
    trim: f64,
    /// Place of the next output sample between the two middle input samples; 1 and
    /// more means that input is missing.
    place: f64,
}

impl Resampler {
    /// From one rate to another, hertz.
    pub fn new(from: u32, to: u32) -> Self {
        let step = f64::from(from) / f64::from(to);
        let taps = ((TAPS as f64 * step.max(1.0)).ceil() as usize).next_multiple_of(2);
        let taps = taps.clamp(TAPS, MOST_TAPS);
        Self {
            weights: weights(taps, PASS / step.max(1.0)),
            taps,
            history: [0.0; 2 * MOST_TAPS],
            newest: 0,
            step,
            trim: 1.0,
            place: 1.0,
        }
    }

    /// Plays so many parts per million faster (takes more input for the same
    /// output), at most [`MOST_PPM`] either way.
    pub fn set_trim(&mut self, ppm: f64) {
        self.trim = 1.0 + ppm.clamp(-MOST_PPM, MOST_PPM) * 1e-6;
    }

    /// Forgets what came before.
    pub fn reset(&mut self) {
        self.history = [0.0; 2 * MOST_TAPS];
        self.newest = 0;
        self.place = 1.0;
    }

    /// Fills `output` from `input` as far as both go; gives what was taken and what
    /// was made.
    pub fn process(&mut self, input: &[f32], output: &mut [f32]) -> (usize, usize) {
        let step = self.step * self.trim;
        let (mut taken, mut made) = (0, 0);
        while made < output.len() {
            while self.place >= 1.0 {
                let Some(sample) = input.get(taken) else {
                    return (taken, made);
                };
                taken += 1;
                self.place -= 1.0;
                self.push(*sample);
            }
            output[made] = self.at_place();
            made += 1;
            self.place += step;
        }
        (taken, made)
    }

    fn push(&mut self, sample: f32) {
        self.history[self.newest] = sample;
        self.history[self.newest + self.taps] = sample;
        self.newest = (self.newest + 1) % self.taps;
    }

    fn at_place(&self) -> f32 {
        let exact = self.place * PHASES as f64;
        let phase = (exact as usize).min(PHASES - 1);
        let part = (exact - phase as f64) as f32;
        let rows = &self.weights[phase * self.taps..(phase + 2) * self.taps];
        let (first, second) = rows.split_at(self.taps);
        let history = &self.history[self.newest..self.newest + self.taps];
        let (mut one, mut two) = (0.0_f32, 0.0_f32);
        for ((sample, first), second) in history.iter().zip(first).zip(second) {
            one += sample * first;
            two += sample * second;
        }
        one + (two - one) * part
    }
}

/// A sinc with its edge at `pass` of half the input's rate, under a Blackman window;
/// each row sums up to 1.
fn weights(taps: usize, pass: f64) -> Box<[f32]> {
    let half = taps as f64 / 2.0;
    let mut all = Vec::with_capacity((PHASES + 1) * taps);
    for phase in 0..=PHASES {
        let place = phase as f64 / PHASES as f64;
        let row = (0..taps).map(|tap| {
            let x = tap as f64 - (half - 1.0) - place;
            let sinc = if x.abs() < 1e-9 {
                1.0
            } else {
                (PI * pass * x).sin() / (PI * pass * x)
            };
            let turn = PI * x / half;
            let window = 0.42 + 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos();
            sinc * window.max(0.0)
        });
        let row: Vec<f64> = row.collect();
        let sum: f64 = row.iter().sum();
        all.extend(row.iter().map(|weight| (weight / sum) as f32));
    }
    all.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f64, rate: u32, count: usize) -> Vec<f32> {
        (0..count)
            .map(|index| {
                let turn = hertz * index as f64 / f64::from(rate);
                (0.5 * (2.0 * PI * turn.fract()).sin()) as f32
            })
            .collect()
    }

    fn all(resampler: &mut Resampler, input: &[f32]) -> Vec<f32> {
        let mut made = Vec::new();
        let mut block = [0.0; 441];
        let mut rest = input;
        loop {
            let (taken, count) = resampler.process(rest, &mut block);
            made.extend_from_slice(&block[..count]);
            rest = &rest[taken..];
            if count < block.len() {
                return made;
            }
        }
    }

    /// The part of `samples`, whole turns of it, that is not a sine of `hertz`: dB
    /// below it.
    fn purity(samples: &[f32], hertz: f64, rate: f64) -> f64 {
        let (mut sine, mut cosine) = (0.0, 0.0);
        let turn = |index: usize| 2.0 * PI * (hertz * index as f64 / rate).fract();
        for (index, sample) in samples.iter().enumerate() {
            sine += f64::from(*sample) * turn(index).sin();
            cosine += f64::from(*sample) * turn(index).cos();
        }
        let count = samples.len() as f64;
        let (sine, cosine) = (2.0 * sine / count, 2.0 * cosine / count);
        let rest: f64 = samples
            .iter()
            .enumerate()
            .map(|(index, sample)| {
                let pure = sine * turn(index).sin() + cosine * turn(index).cos();
                (f64::from(*sample) - pure).powi(2)
            })
            .sum();
        10.0 * ((sine * sine + cosine * cosine) / 2.0 / (rest / count).max(1e-14)).log10()
    }

    #[test]
    fn every_rate_of_a_card_keeps_a_tone_pure_and_its_length() {
        for rate in [16_000, 32_000, 44_100, 48_000] {
            for (from, to) in [(48_000, rate), (rate, 48_000)] {
                for hertz in [200.0, 1000.0, 5000.0] {
                    let mut resampler = Resampler::new(from, to);
                    let made = all(&mut resampler, &tone(hertz, from, from as usize / 2));
                    let wanted = to as usize / 2;
                    assert!(
                        made.len().abs_diff(wanted) <= 3,
                        "{from} {to}: {}",
                        made.len()
                    );
                    let pure = purity(&made[500..500 + to as usize / 5], hertz, f64::from(to));
                    assert!(pure > 65.0, "{from} to {to}, {hertz} Hz: {pure:.0} dB");
                }
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_is_taken_out() {
        let mut resampler = Resampler::new(48_000, 16_000);
        let made = all(&mut resampler, &tone(11_000.0, 48_000, 24_000));
        let loudest = made[200..]
            .iter()
            .fold(0.0_f32, |most, x| most.max(x.abs()));
        assert!(loudest < 0.001, "{loudest}");
    }

    #[test]
    fn a_trim_that_changes_bends_the_pitch_and_makes_no_step() {
        let mut resampler = Resampler::new(48_000, 48_000);
        let input = tone(440.0, 48_000, 48_000);
        let mut made = Vec::new();
        let mut block = [0.0; 480];
        let mut rest = &input[..];
        let mut number = 0;
        loop {
            // From one end to the other each 10 ms, which no controller does.
            let sign = if number % 2 == 0 { 1.0 } else { -1.0 };
            resampler.set_trim(sign * 5.0 * MOST_PPM);
            let (taken, count) = resampler.process(rest, &mut block);
            made.extend_from_slice(&block[..count]);
            rest = &rest[taken..];
            number += 1;
            if count < block.len() {
                break;
            }
        }
        // A sine of 440 Hz and 0.5 bends by 0.5 (2 pi 440 / 48000)^2 at most.
        let bend = made[100..].windows(3).fold(0.0_f32, |most, x| {
            most.max((x[0] - 2.0 * x[1] + x[2]).abs())
        });
        assert!(bend < 0.0018, "{bend}");
    }

    #[test]
    fn a_trim_takes_so_much_more() {
        let mut resampler = Resampler::new(48_000, 48_000);
        resampler.set_trim(500.0);
        let input = vec![0.25; 48_000];
        let made = all(&mut resampler, &input);
        assert!(made.len().abs_diff(47_976) <= 1, "{}", made.len());
        assert!(
            made[100..]
                .iter()
                .all(|sample| (sample - 0.25).abs() < 1e-5)
        );
    }
}
