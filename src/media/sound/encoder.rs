//! How the microphone is encoded.

/// Bits a second: transparent for speech at 48 kHz mono.
const BITRATE: i32 = 32_000;
/// Of 10: above 5 it costs more than can be heard.
const COMPLEXITY: i32 = 5;
/// Per cent of loss that the in-band correction is made for.
const EXPECTED_LOSS: i32 = 5;

/// An encoder for speech, with in-band forward error correction and without
/// discontinuous transmission.
///
/// # Errors
///
/// When libopus gives none.
pub(super) fn new() -> Result<opus::Encoder, opus::Error> {
    let mut encoder =
        opus::Encoder::new(super::RATE, opus::Channels::Mono, opus::Application::Voip)?;
    encoder.set_bitrate(opus::Bitrate::Bits(BITRATE))?;
    encoder.set_complexity(COMPLEXITY)?;
    encoder.set_inband_fec(true)?;
    encoder.set_packet_loss_perc(EXPECTED_LOSS)?;
    encoder.set_dtx(false)?;
    encoder.set_signal(opus::Signal::Voice)?;
    Ok(encoder)
}
