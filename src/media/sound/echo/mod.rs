//! Echo control: what the speaker plays is taken out of what the microphone hears.
//!
//! ```text
//!  sound-playback: blocks that the card took --> Reference (bounded) --+
//!                                                                      v
//!  sound-capture:  block of the card --------------------------> EchoControl --> Opus
//! ```
//!
//! The work is done by `sonora`, WebRTC's audio processing (AEC3, noise suppression,
//! gain) in Rust; none of its types leaves this module. Beside it stands a
//! [`Supervisor`]: it measures levels, delay and echo return
//! loss, and tells when the canceller does not get hold of the echo. Then the
//! microphone is shut while the far end speaks, which is worse than a good canceller
//! and much better than a howling door.
//!
//! 48 kHz mono, blocks of 10 ms, no clock, no thread. Takes no memory after the start:
//! `sonora` is that of `third_party/sonora` (`tests/sound_allocations.rs` keeps watch).

pub mod reference;
pub mod supervisor;

use sonora::config::{
    AdaptiveDigital, EchoCanceller, FixedDigital, GainController2, MaxProcessingRate,
    NoiseSuppression, NoiseSuppressionLevel, Pipeline,
};
use sonora::{AudioProcessing, Config, StreamConfig};

use self::supervisor::{Supervisor, power};
use super::{BLOCK, RATE};

/// Which stages run; all by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoSettings {
    /// The echo canceller, and with it the supervision.
    pub echo_control: bool,
    /// Takes steady noise out.
    pub noise_suppression: bool,
    /// Brings speech to an even level.
    pub automatic_gain: bool,
}

impl Default for EchoSettings {
    fn default() -> Self {
        Self {
            echo_control: true,
            noise_suppression: true,
            automatic_gain: true,
        }
    }
}

impl EchoSettings {
    /// Nothing runs: the microphone is sent as it is.
    pub const OFF: Self = Self {
        echo_control: false,
        noise_suppression: false,
        automatic_gain: false,
    };
}

/// Gain at the begin, dB: a visitor stands at arm's length, not at a headset.
const FIRST_GAIN_DB: f32 = 6.0;
/// The most that is added, dB: more would bring up the street.
const MOST_GAIN_DB: f32 = 18.0;
/// A block that is louder than this, as mean square, is worth keeping the canceller
/// in step: -70 dBFS.
const AUDIBLE: f32 = 1e-7;
/// Blocks for which the canceller goes on after the speaker fell silent: 2 s, longer
/// than any room.
const AWAKE: u32 = 200;

/// See the [module](self).
#[derive(Debug)]
pub struct EchoControl {
    settings: EchoSettings,
    processing: Option<Box<AudioProcessing>>,
    supervisor: Supervisor,
    /// Louder of the blocks that were played since the last one was captured.
    played: f32,
    awake: u32,
    /// Room for what the library gives.
    out: [f32; BLOCK],
}

impl EchoControl {
    /// A canceller that knows nothing of the room yet.
    pub fn new(settings: EchoSettings) -> Self {
        let processing = (settings != EchoSettings::OFF).then(|| {
            let stream = StreamConfig::new(RATE, 1);
            let built = AudioProcessing::builder()
                .config(configuration(settings))
                .capture_config(stream)
                .render_config(stream)
                .build();
            Box::new(built)
        });
        Self {
            settings,
            processing,
            supervisor: Supervisor::new(),
            played: 0.0,
            awake: 0,
            out: [0.0; BLOCK],
        }
    }

    /// The speaker's card took this block.
    pub fn played(&mut self, block: &[f32; BLOCK]) {
        self.played = self.played.max(power(block));
        if self.settings.echo_control
            && let Some(processing) = &mut self.processing
        {
            // It refuses wrong formats only, and the format is fixed.
            let _ = processing.process_render_f32(&[block], &mut [&mut self.out]);
        }
    }

    /// Whether any stage runs.
    pub fn is_on(&self) -> bool {
        self.processing.is_some()
    }

    /// The speaker was audible a moment ago: the canceller must go on even if nobody
    /// listens to the microphone, or it will be late when somebody does.
    pub fn is_awake(&self) -> bool {
        self.settings.echo_control && (self.awake > 0 || self.played > AUDIBLE)
    }

    /// Takes the echo out of one block of the microphone. What was played meanwhile
    /// has been told before.
    pub fn captured(&mut self, block: &mut [f32; BLOCK]) {
        let played = std::mem::take(&mut self.played);
        self.awake = if played > AUDIBLE {
            AWAKE
        } else {
            self.awake.saturating_sub(1)
        };
        let Some(processing) = &mut self.processing else {
            return;
        };
        let before = power(block);
        if processing
            .process_capture_f32(&[block], &mut [&mut self.out])
            .is_ok()
        {
            block.copy_from_slice(&self.out);
        }
        if self.settings.echo_control {
            let delay = processing.statistics().delay_ms;
            self.supervisor
                .note(played, before, power(block), delay.map(i64::from));
            self.supervisor.apply(block);
        }
    }

    /// What was measured up to the latest block.
    pub fn report(&self) -> supervisor::Report {
        self.supervisor.report()
    }
}

fn configuration(settings: EchoSettings) -> Config {
    Config {
        pipeline: Pipeline {
            // Up to 16 kHz, which is all of a voice, at two thirds of the cost.
            maximum_internal_processing_rate: MaxProcessingRate::Rate32kHz,
            ..Pipeline::default()
        },
        echo_canceller: settings.echo_control.then(EchoCanceller::default),
        noise_suppression: settings.noise_suppression.then(|| NoiseSuppression {
            level: NoiseSuppressionLevel::Moderate,
            ..NoiseSuppression::default()
        }),
        gain_controller2: settings.automatic_gain.then(|| GainController2 {
            input_volume_controller: false,
            adaptive_digital: Some(AdaptiveDigital {
                initial_gain_db: FIRST_GAIN_DB,
                max_gain_db: MOST_GAIN_DB,
                ..AdaptiveDigital::default()
            }),
            fixed_digital: FixedDigital::default(),
        }),
        ..Config::default()
    }
}

#[cfg(test)]
pub(super) mod rooms;
#[cfg(test)]
mod tests;
