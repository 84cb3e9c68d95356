//! Frames as a card has them, and samples as we have them. Pure.

/// How frames lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) samples: Samples,
    pub(super) channels: usize,
    /// Frames a second.
    pub(super) rate: u32,
}

/// What a sample is, always little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Samples {
    /// 16 bits, signed.
    Short,
    /// 32 bits, signed.
    Long,
    /// 32 bits, floating point; 1.0 is full scale.
    Float,
}

impl Shape {
    pub(super) fn frame_bytes(self) -> usize {
        self.channels
            * match self.samples {
                Samples::Short => 2,
                Samples::Long | Samples::Float => 4,
            }
    }
}

/// Raw frames to mono -1 to 1.
pub(super) fn unpack(raw: &[u8], shape: Shape, into: &mut [f32]) {
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
pub(super) fn pack(block: &[f32], shape: Shape, raw: &mut [u8]) {
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
    use super::super::{BLOCK, RATE};
    use super::*;

    #[test]
    fn every_shape_keeps_the_sound() {
        for samples in [Samples::Short, Samples::Long, Samples::Float] {
            for channels in [1, 2] {
                let shape = Shape {
                    samples,
                    channels,
                    rate: RATE,
                };
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
            rate: RATE,
        };
        let raw: Vec<u8> = [f32::NAN, f32::INFINITY, -3.0, 0.25]
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let mut into = [9.0; 4];
        unpack(&raw, shape, &mut into);
        assert_eq!(into, [0.0, 0.0, -1.0, 0.25]);
    }
}
