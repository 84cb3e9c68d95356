//! What the far end hears: the door's microphone, and digits in its place.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::{Gate, Negotiated, Out, Writer};
use crate::call::Digits;
use crate::clock;
use crate::media::feed::{SoundCodec, SoundPacket, Voices};
use crate::media::rtc::dtmf::{self, Tones};
use crate::media::rtc::figures::Counters;

type Microphone = broadcast::Receiver<Arc<SoundPacket>>;

/// Sends until the session is over.
pub(super) async fn send(out: Out, voices: Arc<dyn Voices>) {
    let mut stream = Stream {
        writer: Writer::new(&out),
        counters: Arc::clone(&out.counters),
        digits: out.digits,
        tones: Tones::default(),
        latest: (rand::random(), clock::now()),
        clock: SoundCodec::Opus.clock(),
    };
    let mut gate = Gate {
        negotiated: out.negotiated,
        transport: out.transport,
        flow: out.flow,
        // Digits may leave while the microphone may not.
        allows: |_| true,
    };
    loop {
        let Some(negotiated) = gate.open() else {
            stream.tones = Tones::default();
            if gate.changed().await {
                continue;
            }
            return;
        };
        let codec = negotiated.sound_to_send();
        if std::mem::replace(&mut stream.clock, codec.clock()) != codec.clock() {
            stream.latest = (rand::random(), clock::now());
        }
        let talks = gate.flow().microphone;
        let microphone = talks.then(|| voices.microphone(codec));
        if !stream
            .run(&*voices, microphone, negotiated, &mut gate)
            .await
        {
            return;
        }
    }
}

struct Stream {
    writer: Writer,
    counters: Arc<Counters>,
    digits: mpsc::Receiver<Digits>,
    tones: Tones,
    /// RTP time of the latest packet of the microphone, and when it came.
    latest: (u32, Instant),
    /// RTP clock of what is sent, Hz.
    clock: u32,
}

impl Stream {
    /// Sends until something changes (`true`) or the session ends (`false`).
    async fn run(
        &mut self,
        voices: &dyn Voices,
        mut microphone: Option<Microphone>,
        negotiated: Negotiated,
        gate: &mut Gate,
    ) -> bool {
        let talks = microphone.is_some();
        // Marks the first packet after a silence (RFC 3551, section 4.1).
        let mut begins = true;
        let mut packets = tokio::time::interval(dtmf::PACKET);
        packets.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                packet = hear(&mut microphone) => match packet {
                    Ok(packet) => {
                        self.latest = (packet.timestamp, clock::now());
                        begins |= self.tones.is_sounding();
                        voices.lost(self.counters.peer_loss());
                        if !self.speak(&packet, negotiated.payload_type, &mut begins).await {
                            return false;
                        }
                    }
                    // The time stamps show the gap; the far end conceals it.
                    Err(RecvError::Lagged(_)) => {}
                    // The sound card is gone and will not come back.
                    Err(RecvError::Closed) => microphone = None,
                },
                Some(digits) = self.digits.recv() => self.tones.push(&digits),
                _ = packets.tick(), if !self.tones.is_idle() => {
                    if !self.dial(negotiated).await {
                        return false;
                    }
                }
                changed = gate.changed() => {
                    if !changed {
                        return false;
                    }
                    if gate.open() != Some(negotiated) || gate.flow().microphone != talks {
                        return true;
                    }
                }
            }
        }
    }

    /// A packet of the microphone, unless a tone has its place.
    async fn speak(&mut self, packet: &SoundPacket, payload_type: u8, begins: &mut bool) -> bool {
        if self.tones.is_sounding() {
            return true;
        }
        let begins = std::mem::take(begins);
        let SoundPacket {
            data, timestamp, ..
        } = packet;
        self.writer
            .write(payload_type, *timestamp, begins, data.clone())
            .await
    }

    /// The next packet of a tone, or a pause.
    async fn dial(&mut self, negotiated: Negotiated) -> bool {
        let Some(format) = negotiated.event_to_send() else {
            self.tones = Tones::default();
            return true;
        };
        let Some(packet) = self.tones.next(self.now(), self.clock) else {
            return true;
        };
        let payload = Bytes::copy_from_slice(&packet.payload);
        self.writer
            .write(
                format.payload_type,
                packet.timestamp,
                packet.marker,
                payload,
            )
            .await
    }

    /// RTP time of this moment, in the microphone's time.
    fn now(&self) -> u32 {
        let (timestamp, at) = self.latest;
        let since = clock::now().saturating_duration_since(at);
        let ticks = since.as_micros() * u128::from(self.clock) / 1_000_000;
        // Modulo 2^32, as RTP time goes.
        timestamp.wrapping_add(ticks as u32)
    }
}

/// The next packet; never without a microphone.
async fn hear(microphone: &mut Option<Microphone>) -> Result<Arc<SoundPacket>, RecvError> {
    match microphone {
        Some(microphone) => microphone.recv().await,
        None => std::future::pending().await,
    }
}
