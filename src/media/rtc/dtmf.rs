//! DTMF digits as telephone events in RTP (RFC 4733). Pure: packets in, digits
//! out, and the other way round.
//!
//! All packets of one key press carry the RTP time of its begin, so one packet of
//! it is enough to know the digit, whichever are lost; a growing duration and an
//! end bit tell how long it lasts.

use std::collections::VecDeque;
use std::time::Duration;

use crate::call::{Digit, Digits};

/// How often a packet of a tone is sent (RFC 4733, section 2.5.1.2, leaves 20 ms
/// as the usual choice for sound of 20 ms packets).
pub(crate) const PACKET: Duration = Duration::from_millis(20);
/// Packets of a tone: 100 ms.
const TONE: u16 = 5;
/// How often the last packet is sent in all (RFC 4733, section 2.5.1.4).
const END_PACKETS: u16 = 3;
/// From the begin of one tone to the next: 100 ms of tone and 60 ms of gap, the
/// whole packets in which 50 ms fit.
const PERIOD: u16 = TONE + 3;
/// -10 dBm0, within what RFC 4733, section 2.5.2.3 (after Q.24), wants accepted.
const VOLUME: u8 = 10;

/// The events of RFC 4733, section 3.2, in their order.
const KEYS: &[u8; 16] = b"0123456789*#ABCD";
const END: u8 = 0x80;

/// A duration from which on a tone goes on under a new time stamp (RFC 4733,
/// section 2.5.1.3): the last full packets before the field of 16 bits is full.
const LONG: u32 = 0xf000;

/// The payload type of telephone events, and the clock that it counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventFormat {
    /// RTP payload type.
    pub(crate) payload_type: u8,
    /// Hz: 48,000, or 8,000 of a peer that has no other.
    pub(crate) clock: u32,
}

/// What a packet tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A key was pressed.
    Pressed(Digit),
    /// It was let go after this long.
    Released(Duration),
}

/// Reads one far end's events.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    latest: Option<Tone>,
}

#[derive(Debug)]
struct Tone {
    digit: Digit,
    /// RTP time of the begin, or of the latest part of a long tone.
    timestamp: u32,
    /// RTP time of the parts before it.
    before: u64,
    ended: bool,
}

impl Decoder {
    /// Takes one packet that counts in `clock`; late and repeated ones tell
    /// nothing new.
    pub(crate) fn take(
        &mut self,
        clock: u32,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) -> Option<Heard> {
        let &[event, flags, high, low, ..] = payload else {
            return None;
        };
        let digit = Digit::new(char::from(*KEYS.get(usize::from(event))?))?;
        let duration = u64::from(u16::from_be_bytes([high, low]));
        let ends = flags & END != 0;
        let Some(latest) = &mut self.latest else {
            return Some(self.press(digit, timestamp, ends));
        };
        let since = timestamp.wrapping_sub(latest.timestamp);
        let long = (LONG..=0x1_0000).contains(&since);
        if since > u32::MAX / 2 {
            // From before the latest.
            return None;
        }
        let goes_on = long && !marker && !latest.ended && latest.digit == digit;
        if since != 0 && !goes_on {
            return Some(self.press(digit, timestamp, ends));
        }
        latest.before += u64::from(since);
        latest.timestamp = timestamp;
        let released = ends && !latest.ended;
        latest.ended |= ends;
        let ticks = latest.before + duration;
        released.then(|| Heard::Released(Duration::from_secs(ticks) / clock.max(1)))
    }

    fn press(&mut self, digit: Digit, timestamp: u32, ended: bool) -> Heard {
        self.latest = Some(Tone {
            digit,
            timestamp,
            before: 0,
            ended,
        });
        Heard::Pressed(digit)
    }
}

/// One packet to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// RTP time of the tone's begin.
    pub(crate) timestamp: u32,
    /// The first packet of a tone.
    pub(crate) marker: bool,
    /// Event, flags and volume, duration.
    pub(crate) payload: [u8; 4],
}

/// Digits being sent.
#[derive(Debug, Default)]
pub(crate) struct Tones {
    waiting: VecDeque<Digit>,
    playing: Option<Playing>,
}

#[derive(Debug)]
struct Playing {
    /// Its place in [`KEYS`].
    event: u8,
    timestamp: u32,
    /// Packets and pauses since its begin.
    step: u16,
}

impl Tones {
    /// Sends `digits` after those that wait.
    pub(crate) fn push(&mut self, digits: &Digits) {
        self.waiting.extend(digits.iter());
    }

    /// Nothing is left to be sent.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.playing.is_none()
    }

    /// A tone takes the place of the microphone.
    pub(crate) fn is_sounding(&self) -> bool {
        let playing = self.playing.as_ref();
        playing.is_some_and(|playing| playing.step < TONE + END_PACKETS - 1)
    }

    /// The next packet; to be called each [`PACKET`] with the RTP time of now, in
    /// `clock`. `None` is a pause.
    pub(crate) fn next(&mut self, now: u32, clock: u32) -> Option<Packet> {
        if self.playing.as_ref().is_none_or(|p| p.step == PERIOD) {
            self.playing = None;
            let digit = self.waiting.pop_front()?;
            let key = |key: &u8| char::from(*key) == digit.as_char();
            let event = KEYS.iter().position(key)?;
            self.playing = Some(Playing {
                event: event as u8,
                timestamp: now,
                step: 0,
            });
        }
        let playing = self.playing.as_mut()?;
        let step = playing.step;
        playing.step += 1;
        if step >= TONE + END_PACKETS - 1 {
            return None;
        }
        let packet_ticks = (clock / 50) as u16;
        let duration = packet_ticks.saturating_mul((step + 1).min(TONE));
        let [high, low] = duration.to_be_bytes();
        let end = if step + 1 >= TONE { END } else { 0 };
        Some(Packet {
            timestamp: playing.timestamp,
            marker: step == 0,
            payload: [playing.event, end | VOLUME, high, low],
        })
    }
}

#[cfg(test)]
#[path = "dtmf_tests.rs"]
mod tests;
