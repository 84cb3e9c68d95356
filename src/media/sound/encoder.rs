//! How the microphone is encoded.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use super::{BLOCK, RATE};

/// Bits a second: transparent for speech at 48 kHz mono, with room for the correction
/// at the full width. With 32 kb/s and 5 % libopus 1.6.1 sends none (measured).
const BITRATE: i32 = 40_000;
/// Of 10: above 5 it costs more than can be heard.
const COMPLEXITY: i32 = 5;
/// Per cent of loss that the in-band correction is made for: never less than the
/// first, because the first loss comes before its report; never more than the last,
/// because what corrects is taken from what is heard.
const EXPECTED_LOSS: (i32, i32) = (10, 30);
/// Samples between two looks at the reported loss: 2 s, twice the time between two
/// reports of a far end.
const LOOK_EVERY: usize = 2 * RATE as usize;
/// Per cent of loss from which packets are long: half as many, each with twice the room
/// for the correction of the one before.
const LOSSY: u32 = 1;
/// Looks without such a loss until packets are short again: 10 s.
const CLEAN_LOOKS: u32 = 5;

/// How the microphone is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusSettings {
    /// Packets of 10 ms in place of 20 ms while no far end loses any: 10 ms less delay for
    /// twice the packets.
    pub short_packets: bool,
    /// Nothing is sent while nobody speaks. The far end then hears comfort noise
    /// instead of the street.
    pub dtx: bool,
}

impl Default for OpusSettings {
    fn default() -> Self {
        Self {
            short_packets: true,
            dtx: false,
        }
    }
}

/// The largest loss that far ends reported since the last look. Written by every
/// session, read by the microphone's thread.
#[derive(Debug, Default)]
pub(super) struct Loss(AtomicU32);

impl Loss {
    /// A far end loses this share, 0 to 1.
    pub(super) fn note(&self, share: f32) {
        // A negative share or none becomes 0.
        self.0.fetch_max((share * 100.0).ceil() as u32, Relaxed);
    }

    fn take(&self) -> u32 {
        self.0.swap(0, Relaxed)
    }
}

/// An encoder for speech with in-band forward error correction, as much of it as the
/// far ends' reports ask for.
#[derive(Debug)]
pub(super) struct Encoder {
    opus: opus::Encoder,
    short_packets: bool,
    expected: i32,
    samples: usize,
    /// Looks since the last loss, as far as they matter.
    clean: u32,
}

impl Encoder {
    /// # Errors
    ///
    /// When libopus gives none.
    pub(super) fn new(settings: OpusSettings) -> Result<Self, opus::Error> {
        let mut opus = opus::Encoder::new(RATE, opus::Channels::Mono, opus::Application::Voip)?;
        opus.set_bitrate(opus::Bitrate::Bits(BITRATE))?;
        opus.set_complexity(COMPLEXITY)?;
        opus.set_inband_fec(true)?;
        opus.set_packet_loss_perc(EXPECTED_LOSS.0)?;
        opus.set_dtx(settings.dtx)?;
        opus.set_signal(opus::Signal::Voice)?;
        Ok(Self {
            opus,
            short_packets: settings.short_packets,
            expected: EXPECTED_LOSS.0,
            samples: 0,
            clean: CLEAN_LOOKS,
        })
    }

    /// Samples of the next packet.
    pub(super) fn packet(&self) -> usize {
        let short = self.short_packets && self.clean >= CLEAN_LOOKS;
        if short { BLOCK } else { 2 * BLOCK }
    }

    /// Forgets what was said; tells whether it could.
    pub(super) fn reset(&mut self) -> bool {
        self.opus.reset_state().is_ok()
    }

    /// Encodes a packet's samples; gives its length in bytes.
    ///
    /// # Errors
    ///
    /// When libopus cannot.
    pub(super) fn encode(
        &mut self,
        samples: &[f32],
        loss: &Loss,
        into: &mut [u8],
    ) -> Result<usize, opus::Error> {
        self.samples += samples.len();
        if self.samples >= LOOK_EVERY {
            self.samples = 0;
            self.expect(loss.take())?;
        }
        self.opus.encode_float(samples, into)
    }

    /// Per cent of loss that is prepared for.
    pub(super) fn expected_loss(&self) -> i32 {
        self.expected
    }

    fn expect(&mut self, loss: u32) -> Result<(), opus::Error> {
        self.clean = if loss < LOSSY {
            CLEAN_LOOKS.min(self.clean + 1)
        } else {
            0
        };
        let loss = i32::try_from(loss).unwrap_or(EXPECTED_LOSS.1);
        let loss = loss.clamp(EXPECTED_LOSS.0, EXPECTED_LOSS.1);
        if loss != self.expected {
            tracing::debug!(per_cent = loss, "correction for another loss");
            self.opus.set_packet_loss_perc(loss)?;
            self.expected = loss;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::sound::echo::rooms::speech;

    #[test]
    fn the_correction_follows_the_reports_within_two_looks() {
        let mut encoder = Encoder::new(OpusSettings::default()).expect("an encoder");
        let loss = Loss::default();
        let mut into = [0; 1275];
        let mut expected = Vec::new();
        let voice = speech(20, 130.0, 1);
        let mut packets = voice.chunks_exact(960).cycle();
        for packet in 0..600 {
            // Two sessions; the one that loses more counts. Nonsense does not.
            if packet < 300 {
                loss.note(0.02);
                loss.note(0.117);
                loss.note(-1.0);
                loss.note(f32::NAN);
            }
            encoder
                .encode(packets.next().expect("sound"), &loss, &mut into)
                .expect("a packet");
            expected.push(encoder.expected_loss());
        }
        assert_eq!(expected[0], 10);
        assert_eq!(expected[299], 12);
        assert_eq!(expected[599], 10);
        loss.note(f32::INFINITY);
        for packet in packets.take(100) {
            encoder.encode(packet, &loss, &mut into).expect("a packet");
        }
        assert_eq!(encoder.expected_loss(), 30);
    }

    #[test]
    fn packets_are_short_while_nobody_loses_any() {
        let packets = |short_packets: bool, loss: &Loss, seconds: usize| {
            let settings = OpusSettings {
                short_packets,
                dtx: false,
            };
            let mut encoder = Encoder::new(settings).expect("an encoder");
            let mut lengths = Vec::new();
            let mut samples = 0;
            while samples < seconds * RATE as usize {
                // One report in the fifth second.
                if samples == 5 * RATE as usize {
                    loss.note(0.03);
                }
                let packet = vec![0.0; encoder.packet()];
                let encoded = encoder.encode(&packet, loss, &mut [0; 1275]);
                encoded.expect("a packet");
                samples += packet.len();
                lengths.push(packet.len());
            }
            lengths.dedup();
            lengths
        };
        let loss = Loss::default();
        assert_eq!(packets(true, &loss, 5), [480]);
        assert_eq!(packets(true, &loss, 12), [480, 960]);
        assert_eq!(packets(true, &loss, 20), [480, 960, 480]);
        assert_eq!(packets(false, &loss, 20), [960]);
    }

    #[test]
    fn a_lost_packet_is_heard_from_the_correction_in_the_next() {
        let mut encoder = Encoder::new(OpusSettings::default()).expect("an encoder");
        let loss = Loss::default();
        let voice = speech(21, 130.0, 1);
        let packets: Vec<Vec<u8>> = voice
            .chunks_exact(960)
            .map(|samples| {
                let mut into = [0; 1275];
                let length = encoder.encode(samples, &loss, &mut into).expect("a packet");
                into[..length].to_vec()
            })
            .collect();
        let decode = |corrected: bool| {
            let mut decoder = opus::Decoder::new(RATE, opus::Channels::Mono).expect("a decoder");
            let mut heard = vec![0.0; 50 * 960];
            for (index, room) in heard.chunks_exact_mut(960).enumerate() {
                let lost = index % 5 == 4;
                let (data, fec) = match packets.get(index + 1) {
                    Some(next) if lost && corrected => (&next[..], true),
                    _ if lost => (&[][..], false),
                    _ => (&packets[index][..], false),
                };
                decoder.decode_float(data, room, fec).expect("samples");
            }
            heard
        };
        let mut clean = vec![0.0; 50 * 960];
        let mut decoder = opus::Decoder::new(RATE, opus::Channels::Mono).expect("a decoder");
        for (packet, room) in packets.iter().zip(clean.chunks_exact_mut(960)) {
            decoder.decode_float(packet, room, false).expect("samples");
        }
        let error =
            |heard: &[f32]| -> f32 { heard.iter().zip(&clean).map(|(a, b)| (a - b).powi(2)).sum() };
        let (corrected, made_up) = (error(&decode(true)), error(&decode(false)));
        assert!(
            corrected < made_up / 2.0,
            "{corrected} with correction, {made_up} without"
        );
    }

    #[test]
    fn short_packets_and_silence_without_packets_are_a_choice() {
        let settings = OpusSettings {
            short_packets: true,
            dtx: true,
        };
        let mut into = [0; 1275];
        let mut bytes = |settings: OpusSettings| {
            let mut encoder = Encoder::new(settings).expect("an encoder");
            let silence = vec![0.0; encoder.packet()];
            (0..200)
                .map(|_| {
                    let length = encoder.encode(&silence, &Loss::default(), &mut into);
                    length.expect("a packet")
                })
                .filter(|length| *length > 2)
                .count()
        };
        assert!(bytes(settings) < 100);
        assert_eq!(bytes(OpusSettings::default()), 200);
    }
}
