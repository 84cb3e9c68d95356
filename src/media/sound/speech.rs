//! PCMU (G.711 mu-law) at 8 kHz, for far ends that have nothing better: to and from
//! the samples of 48 kHz that everything here works with. Pure.
//!
//! What is lost is made up of the latest pitch period, softer and softer.

use super::resample::Resampler;
use super::{BLOCK, RATE};

/// Samples a second of PCMU.
const NARROW: u32 = 8_000;
/// Our samples for one of PCMU.
pub(super) const RATIO: usize = (RATE / NARROW) as usize;
/// Our samples of a packet that we send: 20 ms.
pub(super) const PACKET: usize = 2 * BLOCK;
/// Bytes, and samples, of a packet that we send.
pub(super) const BYTES: usize = PACKET / RATIO;
/// Bytes of the longest packet that we take: 120 ms, as of Opus.
pub(super) const LONGEST: usize = NARROW as usize / 1000 * 120;
/// G.711's bias and largest magnitude in 16 bits (table 2a, times four).
const BIAS: i32 = 0x84;
const LARGEST: i32 = 32_635;
/// Pitch periods that are looked for: 200 to 66 Hz, as samples of 8 kHz (G.711,
/// appendix I).
const PITCH: std::ops::RangeInclusive<usize> = 40..=120;
/// Samples that are kept for making sound up: two of the longest periods.
const KEPT: usize = 240;
/// What each made-up sample is softer by: to a third in 30 ms.
const DECAY: f32 = 0.995_5;
/// Samples over which made-up sound goes over to what comes next: 5 ms.
const BLEND: usize = 40;

/// One byte of PCMU for a sample.
pub(super) fn compress(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(LARGEST) + BIAS;
    // The place of the highest bit, 7 to 14.
    let exponent = (magnitude.ilog2() - 7) as u8;
    let mantissa = ((magnitude >> (exponent + 3)) & 0x0f) as u8;
    !(sign | exponent << 4 | mantissa)
}

/// The sample of one byte of PCMU.
pub(super) fn expand(byte: u8) -> i16 {
    let byte = !byte;
    let mantissa = i32::from(byte & 0x0f);
    let exponent = byte >> 4 & 7;
    let magnitude = (((mantissa << 3) + BIAS) << exponent) - BIAS;
    // At most 32,124.
    let magnitude = magnitude as i16;
    if byte & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// From the microphone's samples to packets of 20 ms.
#[derive(Debug)]
pub(super) struct PcmuEncoder {
    resampler: Resampler,
    bytes: [u8; BYTES],
    held: usize,
}

impl PcmuEncoder {
    pub(super) fn new() -> Self {
        Self {
            resampler: Resampler::new(RATE, NARROW),
            bytes: [0xff; BYTES],
            held: 0,
        }
    }

    /// Forgets what was said.
    pub(super) fn reset(&mut self) {
        self.resampler.reset();
        self.held = 0;
    }

    /// Takes 10 ms; gives each second time a packet.
    pub(super) fn take(&mut self, block: &[f32; BLOCK]) -> Option<&[u8; BYTES]> {
        let mut narrow = [0.0; BLOCK / RATIO];
        let (_, made) = self.resampler.process(block, &mut narrow);
        for (byte, sample) in self.bytes[self.held..].iter_mut().zip(&narrow[..made]) {
            // Out of range becomes the nearest.
            *byte = compress((sample * 32_768.0) as i16);
        }
        self.held += made;
        if self.held < BYTES {
            return None;
        }
        self.held = 0;
        Some(&self.bytes)
    }
}

/// From packets of any length to samples of 48 kHz.
#[derive(Debug)]
pub(super) struct PcmuDecoder {
    resampler: Resampler,
    /// The latest samples of 8 kHz, oldest first.
    past: [f32; KEPT],
    /// The pitch period that made-up sound repeats; its first `length` count.
    period: [f32; *PITCH.end()],
    length: usize,
    /// Made-up samples since the latest packet.
    made_up: usize,
    level: f32,
}

impl PcmuDecoder {
    pub(super) fn new() -> Self {
        Self {
            resampler: Resampler::new(NARROW, RATE),
            past: [0.0; KEPT],
            period: [0.0; *PITCH.end()],
            length: *PITCH.end(),
            made_up: 0,
            level: 1.0,
        }
    }

    /// Forgets what was said.
    pub(super) fn reset(&mut self) {
        self.resampler.reset();
        self.past = [0.0; KEPT];
        (self.made_up, self.level) = (0, 1.0);
    }

    /// Decodes a packet of at most [`LONGEST`] bytes; gives the number of samples in
    /// `room`.
    pub(super) fn decode(&mut self, payload: &[u8], room: &mut [f32]) -> usize {
        let blend = if self.made_up > 0 { BLEND } else { 0 };
        let mut filled = 0;
        for (index, byte) in payload.iter().enumerate() {
            let mut sample = f32::from(expand(*byte)) / 32_768.0;
            if index < blend {
                let weight = index as f32 / BLEND as f32;
                sample = weight * sample + (1.0 - weight) * self.make_up();
            }
            self.past.copy_within(1.., 0);
            self.past[KEPT - 1] = sample;
            filled += self.widen(sample, &mut room[filled..]);
        }
        (self.made_up, self.level) = (0, 1.0);
        filled
    }

    /// Makes up so many samples; gives how many are in `room`.
    pub(super) fn conceal(&mut self, samples: usize, room: &mut [f32]) -> usize {
        if self.made_up == 0 {
            self.length = pitch(&self.past);
            self.period[..self.length].copy_from_slice(&self.past[KEPT - self.length..]);
        }
        let mut filled = 0;
        for _ in 0..samples / RATIO {
            let sample = self.make_up();
            filled += self.widen(sample, &mut room[filled..]);
        }
        filled
    }

    fn make_up(&mut self) -> f32 {
        let sample = self.period[self.made_up % self.length] * self.level;
        self.made_up += 1;
        self.level *= DECAY;
        sample
    }

    /// One sample of 8 kHz becomes six.
    fn widen(&mut self, sample: f32, room: &mut [f32]) -> usize {
        let length = room.len().min(RATIO);
        self.resampler.process(&[sample], &mut room[..length]).1
    }
}

/// The period after which the latest 15 ms are most like what was before them.
fn pitch(past: &[f32; KEPT]) -> usize {
    let latest = &past[KEPT - *PITCH.end()..];
    let likeness = |lag: usize| {
        let before = &past[KEPT - *PITCH.end() - lag..];
        let (mut product, mut power) = (0.0_f32, 1e-9_f32);
        for (now, then) in latest.iter().zip(before) {
            product += now * then;
            power += then * then;
        }
        product / power.sqrt()
    };
    let best = PITCH.max_by(|a, b| likeness(*a).total_cmp(&likeness(*b)));
    best.unwrap_or(*PITCH.end())
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;

    fn tone(hertz: f32, rate: f32, count: usize) -> Vec<f32> {
        let sample = |index: usize| 0.5 * (TAU * (hertz * index as f32 / rate).fract()).sin();
        (0..count).map(sample).collect()
    }

    /// The amplitude of one frequency in whole turns of it.
    fn amplitude(samples: &[f32], hertz: f32) -> f32 {
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (index, sample) in samples.iter().enumerate() {
            let turn = TAU * (hertz * index as f32 / RATE as f32).fract();
            sine += sample * turn.sin();
            cosine += sample * turn.cos();
        }
        2.0 * (sine * sine + cosine * cosine).sqrt() / samples.len() as f32
    }

    fn packets(samples: &[f32]) -> Vec<[u8; BYTES]> {
        let mut encoder = PcmuEncoder::new();
        let (blocks, _) = samples.as_chunks::<BLOCK>();
        blocks
            .iter()
            .filter_map(|block| encoder.take(block).copied())
            .collect()
    }

    #[test]
    fn the_decision_values_of_g_711_are_met() {
        // G.711, tables 2a and 2b: character signal and decoder output value, of 14
        // bits, here times four.
        for (byte, value) in [
            (0x80, 8031),
            (0x8f, 4191),
            (0x9f, 2079),
            (0xaf, 1023),
            (0xbf, 495),
            (0xcf, 231),
            (0xdf, 99),
            (0xef, 33),
            (0xfe, 2),
            (0xff, 0),
        ] {
            assert_eq!(expand(byte), 4 * value, "{byte:#x}");
            assert_eq!(expand(byte & 0x7f), -4 * value, "{byte:#x}");
        }
        let ends = [(0, 0xff), (-1, 0x7f), (i16::MAX, 0x80), (i16::MIN, 0x00)];
        for (sample, byte) in ends {
            assert_eq!(compress(sample), byte, "{sample}");
        }
        for byte in (0..=u8::MAX).filter(|byte| *byte != 0x7f) {
            assert_eq!(compress(expand(byte)), byte);
        }
    }

    #[test]
    fn a_tone_comes_through_as_loud_as_it_was_and_packets_have_20_ms() {
        let packets = packets(&tone(1000.0, RATE as f32, RATE as usize));
        assert_eq!(packets.len(), 50);
        let mut decoder = PcmuDecoder::new();
        let mut heard = Vec::new();
        for packet in &packets {
            let mut room = [0.0; PACKET + 20];
            assert_eq!(decoder.decode(packet, &mut room), PACKET);
            heard.extend_from_slice(&room[..PACKET]);
        }
        let middle = &heard[4800..4800 + RATE as usize / 2];
        let level = amplitude(middle, 1000.0);
        assert!((level - 0.5).abs() < 0.01, "{level}");
        let power = middle.iter().map(|x| x * x).sum::<f32>() / middle.len() as f32;
        let noise = (power - level * level / 2.0).max(0.0) / power;
        // G.711 promises 33 dB or more for a loud tone.
        assert!(noise < 1e-3, "{noise}");
    }

    #[test]
    fn what_8_khz_cannot_carry_is_taken_out_before() {
        let packets = packets(&tone(5500.0, RATE as f32, RATE as usize / 2));
        let loudest = packets[2..].iter().flatten().map(|byte| expand(*byte));
        let loudest = loudest.map(i16::unsigned_abs).max();
        assert!(loudest < Some(40), "{loudest:?}");
    }

    #[test]
    fn a_lost_packet_is_filled_with_the_pitch_and_a_long_gap_with_silence() {
        let packets = packets(&tone(200.0, RATE as f32, RATE as usize));
        let mut decoder = PcmuDecoder::new();
        let mut heard = Vec::new();
        for (index, packet) in packets.iter().enumerate() {
            let mut room = [0.0; PACKET];
            let made = match index {
                20 | 30..36 => decoder.conceal(PACKET, &mut room),
                _ => decoder.decode(packet, &mut room),
            };
            assert_eq!(made, PACKET);
            heard.extend_from_slice(&room);
        }
        let level = |packet: usize| amplitude(&heard[packet * PACKET..][..PACKET], 200.0);
        assert!(level(20) > 0.25, "{}", level(20));
        assert!(level(35) < 0.02, "{}", level(35));
        assert!(level(40) > 0.48, "{}", level(40));
        // No click: a tone of 200 Hz and 0.5 rises by 0.013 a sample.
        let step = heard.windows(2).map(|x| (x[1] - x[0]).abs());
        let step = step.fold(0.0, f32::max);
        assert!(step < 0.06, "{step}");
    }
}
