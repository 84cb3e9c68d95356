//! Made-up voices and rooms, the same ones each time.

use super::super::RATE;

/// Random numbers that are not.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// 0 to 1.
    pub(super) fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }

    fn between(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * self.next()
    }

    fn noise(&mut self) -> f32 {
        self.between(-1.0, 1.0)
    }
}

/// A resonance of a mouth.
#[derive(Clone, Copy, Debug, Default)]
struct Formant {
    a: f32,
    b: f32,
    one: f32,
    two: f32,
}

impl Formant {
    fn tune(&mut self, hertz: f32, width: f32) {
        let radius = (-std::f32::consts::PI * width / RATE as f32).exp();
        self.a = 2.0 * radius * (std::f32::consts::TAU * hertz / RATE as f32).cos();
        self.b = -radius * radius;
    }

    fn step(&mut self, input: f32) -> f32 {
        let output = input + self.a * self.one + self.b * self.two;
        (self.two, self.one) = (self.one, output);
        output
    }
}

/// `seconds` of something like speech: syllables of a buzz or a hiss through three
/// moving resonances, of changing length, with pauses; -20 dBFS where it sounds.
pub(in crate::media::sound) fn speech(seed: u64, pitch: f32, seconds: usize) -> Vec<f32> {
    let mut dice = Dice::new(seed);
    let mut mouth = [Formant::default(); 3];
    let mut samples = Vec::with_capacity(seconds * RATE as usize);
    let mut phase = 0.0;
    let mut syllable = 0;
    while samples.len() < seconds * RATE as usize {
        syllable += 1;
        mouth[0].tune(dice.between(280.0, 750.0), 80.0);
        mouth[1].tune(dice.between(900.0, 2200.0), 120.0);
        mouth[2].tune(dice.between(2400.0, 3200.0), 200.0);
        let hertz = pitch * dice.between(0.8, 1.3);
        let hiss = (dice.between(0.0, 0.06) * RATE as f32) as usize;
        let length = (dice.between(0.12, 0.3) * RATE as f32) as usize;
        for index in 0..length {
            phase += hertz / RATE as f32;
            let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
            phase = f32::fract(phase);
            let breath = 0.03 * dice.noise();
            let source = if index < hiss {
                0.3 * dice.noise()
            } else {
                pulse + breath
            };
            let along = index as f32 / length as f32;
            let envelope = (along * std::f32::consts::PI).sin().sqrt();
            let voiced: f32 = mouth.iter_mut().map(|formant| formant.step(source)).sum();
            samples.push(envelope * (voiced + source));
        }
        let pause = if syllable % 7 == 0 { 0.35 } else { 0.03 };
        let pause = (dice.between(0.5, 1.5) * pause * RATE as f32) as usize;
        samples.extend(std::iter::repeat_n(0.0, pause));
    }
    samples.truncate(seconds * RATE as usize);
    let sounding = samples.iter().filter(|sample| **sample != 0.0).count();
    let power = samples.iter().map(|sample| sample * sample).sum::<f32>() / sounding as f32;
    let gain = 0.1 / power.sqrt();
    for sample in &mut samples {
        *sample = (*sample * gain).clamp(-1.0, 1.0);
    }
    samples
}

/// The way from the speaker to the microphone.
#[derive(Clone, Debug)]
pub(super) struct Room {
    /// Samples and gains of the direct sound and the reflections.
    taps: Vec<(usize, f32)>,
}

impl Room {
    /// A room in which the echo comes after `delay_ms` with `level_db` relative to
    /// the speaker: direct sound and sixty reflections that die away within 60 ms.
    pub(super) fn new(seed: u64, delay_ms: usize, level_db: f32) -> Self {
        let mut dice = Dice::new(seed);
        let delay = delay_ms * RATE as usize / 1000;
        let mut taps = vec![(delay, 1.0)];
        for _ in 0..60 {
            let after = dice.between(0.5, 60.0);
            let gain = 0.5 * dice.noise() * (-after / 15.0).exp();
            taps.push((delay + (after * 48.0) as usize, gain));
        }
        let power: f32 = taps.iter().map(|(_, gain)| gain * gain).sum();
        let scale = 10_f32.powf(level_db / 20.0) / power.sqrt();
        for (_, gain) in &mut taps {
            *gain *= scale;
        }
        Self { taps }
    }

    /// What the microphone hears of `played` at `index`.
    pub(super) fn hear(&self, played: &[f32], index: usize) -> f32 {
        self.taps
            .iter()
            .filter_map(|(delay, gain)| Some(played[index.checked_sub(*delay)?] * gain))
            .sum()
    }
}
