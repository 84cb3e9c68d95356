//! WAV files as the virtual card's microphone and speaker.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use super::RATE;

/// The longest file that is read: ten minutes, 58 MB in memory.
const LONGEST_S: u32 = 600;
/// Rates that are converted, hertz.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;

/// Why a WAV file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// It cannot be read or written.
    #[error("cannot use the sound file {}: {reason}", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// What happened.
        reason: String,
    },
    /// It is a WAV file of a kind that is not converted.
    #[error(
        "the sound file {} has {found}; what goes is WAV with 8 to 32 bits or float, \
         8 to 192 kHz, one or more channels, up to ten minutes and not empty",
        path.display()
    )]
    Unsuited {
        /// Which file.
        path: PathBuf,
        /// What it has.
        found: String,
    },
}

/// Reads a file as 48 kHz mono S16.
///
/// # Errors
///
/// Names the file and what would go.
pub(super) fn load(path: &Path) -> Result<Vec<i16>, WavError> {
    let broken = |error: hound::Error| WavError::Broken {
        path: path.to_owned(),
        reason: reason(error),
    };
    let unsuited = |found: String| WavError::Unsuited {
        path: path.to_owned(),
        found,
    };
    let mut reader = WavReader::open(path).map_err(broken)?;
    let spec = reader.spec();
    if !RATES.contains(&spec.sample_rate) {
        return Err(unsuited(format!("{} Hz", spec.sample_rate)));
    }
    if spec.channels == 0 {
        return Err(unsuited("no channel".to_owned()));
    }
    let frames = reader.duration();
    if frames == 0 {
        return Err(unsuited("no sound in it".to_owned()));
    }
    if frames / spec.sample_rate >= LONGEST_S {
        return Err(unsuited(format!("{} s", frames / spec.sample_rate)));
    }
    let samples: Vec<f32> = match (spec.sample_format, spec.bits_per_sample) {
        (SampleFormat::Float, 32) => reader.samples().collect::<Result<_, _>>(),
        (SampleFormat::Int, bits @ 8..=32) => {
            let scale = 2_f32.powi(1 - i32::from(bits));
            reader
                .samples::<i32>()
                .map(|sample| sample.map(|sample| sample as f32 * scale))
                .collect()
        }
        (format, bits) => return Err(unsuited(format!("{bits} bits of {format:?}"))),
    }
    .map_err(broken)?;
    let channels = usize::from(spec.channels);
    let mono: Vec<f32> = samples
        .chunks_exact(channels)
        .map(|frame| frame.iter().sum::<f32>() / channels as f32)
        .collect();
    Ok(convert(&mono, spec.sample_rate))
}

/// To our rate, by straight lines between the samples: good enough for a test
/// voice.
fn convert(mono: &[f32], rate: u32) -> Vec<i16> {
    let step = f64::from(rate) / f64::from(RATE);
    let count = (mono.len() as f64 / step) as usize;
    (0..count.max(1))
        .map(|index| {
            let at = index as f64 * step;
            let place = at as usize;
            let here = mono.get(place).copied().unwrap_or(0.0);
            let next = mono.get(place + 1).copied().unwrap_or(here);
            let value = here + (next - here) * at.fract() as f32;
            (value.clamp(-1.0, 1.0) * 32_767.0).round() as i16
        })
        .collect()
}

/// Begins a 48 kHz mono S16 file.
///
/// # Errors
///
/// Names the file.
pub(super) fn create(path: &Path) -> Result<WavWriter<BufWriter<File>>, WavError> {
    let spec = WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    WavWriter::create(path, spec).map_err(|error| WavError::Broken {
        path: path.to_owned(),
        reason: reason(error),
    })
}

fn reason(error: hound::Error) -> String {
    match error {
        // The operating system's own; without its number hound invented it.
        hound::Error::IoError(error) if error.raw_os_error().is_some() => error.to_string(),
        hound::Error::IoError(_) | hound::Error::FormatError(_) => {
            "it is not a WAV file, or not a whole one".to_owned()
        }
        hound::Error::TooWide
        | hound::Error::UnfinishedSample
        | hound::Error::Unsupported
        | hound::Error::InvalidSampleFormat => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, spec: WavSpec, seconds: f32) {
        let mut writer = WavWriter::create(path, spec).expect("a file");
        for frame in 0..(spec.sample_rate as f32 * seconds) as usize {
            let phase = frame as f32 / spec.sample_rate as f32 * 440.0 * std::f32::consts::TAU;
            for _ in 0..spec.channels {
                match spec.sample_format {
                    SampleFormat::Float => writer.write_sample(phase.sin() / 2.0),
                    SampleFormat::Int => {
                        let full = 2_f32.powi(i32::from(spec.bits_per_sample) - 1);
                        writer.write_sample((phase.sin() / 2.0 * full) as i32)
                    }
                }
                .expect("a sample");
            }
        }
        writer.finalize().expect("a whole file");
    }

    #[test]
    fn every_usual_format_becomes_48_khz_mono() {
        let directory = tempfile::tempdir().expect("a directory");
        for (channels, sample_rate, bits_per_sample, sample_format) in [
            (1, 48_000, 16, SampleFormat::Int),
            (2, 44_100, 16, SampleFormat::Int),
            (1, 8_000, 8, SampleFormat::Int),
            (6, 96_000, 24, SampleFormat::Int),
            (2, 22_050, 32, SampleFormat::Float),
        ] {
            let path = directory.path().join("in.wav");
            let spec = WavSpec {
                channels,
                sample_rate,
                bits_per_sample,
                sample_format,
            };
            write(&path, spec, 0.5);
            let sound = load(&path).expect("it loads");
            assert!(
                sound.len().abs_diff(24_000) < 10,
                "{spec:?}: {}",
                sound.len()
            );
            let peak = sound.iter().map(|sample| sample.unsigned_abs()).max();
            assert!(
                peak.expect("samples").abs_diff(16_384) < 1000,
                "{spec:?}: {peak:?}"
            );
            let crossings = sound
                .windows(2)
                .filter(|pair| (pair[0] < 0) != (pair[1] < 0));
            assert!(crossings.count().abs_diff(440) <= 4, "{spec:?}");
        }
    }

    #[test]
    fn what_does_not_go_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("door.wav");
        let says = |error: WavError| error.to_string();
        assert!(says(load(&path).expect_err("nothing there")).contains("door.wav"));
        std::fs::write(&path, "not a sound").expect("a file");
        let no_wav = says(load(&path).expect_err("no WAV"));
        assert!(no_wav.ends_with("door.wav: it is not a WAV file, or not a whole one"));
        std::fs::write(&path, "").expect("a file");
        assert_eq!(says(load(&path).expect_err("empty")), no_wav);
        let spec = WavSpec {
            channels: 1,
            sample_rate: 4_000,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        write(&path, spec, 0.1);
        let refused = says(load(&path).expect_err("4 kHz"));
        assert!(
            refused.contains("4000 Hz") && refused.contains("192 kHz"),
            "{refused}"
        );
        write(
            &path,
            WavSpec {
                sample_rate: 48_000,
                ..spec
            },
            0.0,
        );
        assert!(says(load(&path).expect_err("empty")).contains("no sound"));
    }
}
