//! What a leg knows of its way to the far end, and who finds it out.
//!
//! The picture's packets carry transport-wide numbers, and the far end reports
//! when each arrived. Chromium sends these reports over whichever transport it
//! sends media on: with one transport per m-line that is mostly the sound's. So
//! the sessions of a leg share one [`Surveyor`], and rtc's own interceptor with
//! its `BandwidthEstimator`, which knows one session, cannot be used.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rtc::interceptor::{History, Packet, Slot, TaggedPacket, convert_twcc};
use rtc::rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc::shared::marshal::MarshalSize;
use tokio::sync::watch;

use super::estimator::{Estimator, START, Told};
use super::tap::Look;

/// The state of the way to the far end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Path {
    /// Bits a second that may leave in all.
    pub(crate) target: f64,
    /// Share of packets lost in the last second, 0 to 1.
    pub(crate) loss: f64,
    /// How often it was cut and came back.
    pub(crate) returns: u32,
}

impl Default for Path {
    fn default() -> Self {
        Self {
            target: START,
            loss: 0.0,
            returns: 0,
        }
    }
}

/// The most of the target that is kept for packets that must leave twice.
const MOST_REPAIR: f64 = 0.3;

impl Path {
    /// Bits a second for new pictures: what gets lost has to leave again.
    pub(crate) fn for_pictures(&self) -> u32 {
        (self.target * (1.0 - self.loss.min(MOST_REPAIR))) as u32
    }

    /// Bits a second for packets that leave again: a fifth, and what is lost. A
    /// lost packet's copy can be lost as well.
    pub(crate) fn for_repairs(&self) -> f64 {
        self.target * (0.2 + self.loss.min(MOST_REPAIR))
    }
}

/// How long a packet without a report is remembered.
const HORIZON: Duration = Duration::from_secs(2);

/// Joins what left with what the far end says of it; shared by a leg's sessions.
pub(crate) struct Surveyor {
    work: Mutex<Work>,
    path: watch::Sender<Path>,
}

struct Work {
    history: History,
    estimator: Estimator,
    pruned: Option<Instant>,
}

impl Default for Surveyor {
    fn default() -> Self {
        Self {
            work: Mutex::new(Work::new()),
            path: watch::Sender::default(),
        }
    }
}

impl Work {
    fn new() -> Self {
        Self {
            history: History::new(),
            estimator: Estimator::default(),
            pruned: None,
        }
    }
}

impl Surveyor {
    /// What is known.
    pub(crate) fn path(&self) -> watch::Receiver<Path> {
        self.path.subscribe()
    }

    /// A new session sends pictures: its packets are numbered from the start.
    pub(crate) fn begin(&self) {
        *self.work() = Work::new();
        self.path.send_replace(Path::default());
    }

    fn work(&self) -> std::sync::MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self, packet: &rtc::rtp::Packet, now: Instant) {
        // A session of ours writes one other extension, which has three bytes.
        let mut extensions = packet.header.extensions.iter();
        let number = extensions.find_map(|e| <[u8; 2]>::try_from(&e.payload[..]).ok());
        let Some(number) = number else {
            return;
        };
        let mut work = self.work();
        work.history.add_outgoing(
            packet.header.ssrc,
            packet.header.sequence_number,
            true,
            u16::from_be_bytes(number),
            packet.marshal_size(),
            now,
        );
        if work.pruned.is_none_or(|then| now > then + HORIZON / 2) {
            work.pruned = Some(now);
            if let Some(horizon) = now.checked_sub(HORIZON) {
                work.history.prune_before(horizon);
            }
        }
    }

    fn told(&self, feedback: &TransportLayerCc, now: Instant) {
        let mut work = self.work();
        for acknowledgement in convert_twcc(feedback) {
            work.history.on_twcc_feedback(now, acknowledgement);
        }
        // What it says nothing of was in a report that got lost; the history takes it for
        // lost packets.
        let told_of = |number: u16| {
            number.wrapping_sub(feedback.base_sequence_number) < feedback.packet_status_count
        };
        let reports = work.history.take_reports().into_iter();
        let reports =
            reports.filter(|report| report.arrived || told_of(report.twcc_sequence_number));
        let told = reports.map(|report| Told {
            size: report.size,
            left: report.departure,
            arrived: report.arrival.filter(|_| report.arrived),
        });
        work.estimator.take(now, told);
        let path = Path {
            target: work.estimator.target(),
            loss: work.estimator.loss(),
            returns: work.estimator.returns(),
        };
        self.path.send_if_modified(|known| {
            let changed = *known != path;
            *known = path;
            changed
        });
    }
}

/// A session's part of the survey.
pub(crate) struct Survey(pub(crate) Arc<Surveyor>);

impl Survey {
    /// On the way out behind the numbering (2,000): it sees what really leaves.
    pub(crate) const SLOT: Slot = Slot::CongestionControl;
}

impl Look for Survey {
    fn incoming(&mut self, packet: &mut TaggedPacket) -> bool {
        if let Packet::Rtcp(parts) = &packet.message.packet {
            for part in parts {
                if let Some(feedback) = part.as_any().downcast_ref::<TransportLayerCc>() {
                    self.0.told(feedback, packet.now);
                }
            }
        }
        true
    }

    fn outgoing(&mut self, packet: &mut TaggedPacket) -> usize {
        if let Packet::Rtp(rtp) = &packet.message.packet {
            self.0.left(rtp, packet.now);
        }
        1
    }
}

#[cfg(test)]
mod tests {
    use rtc::rtcp::transport_feedbacks::transport_layer_cc::{
        PacketStatusChunk, RecvDelta, StatusChunkTypeTcc, StatusVectorChunk, SymbolSizeTypeTcc,
        SymbolTypeTcc,
    };

    use super::*;

    /// A call's packets, one each 10 ms.
    struct Bench {
        surveyor: Surveyor,
        began: Instant,
        sent: u16,
    }

    impl Bench {
        fn new() -> Self {
            let surveyor = Surveyor::default();
            surveyor.begin();
            Self {
                surveyor,
                began: crate::clock::now(),
                // The numbers run over soon.
                sent: u16::MAX - 20,
            }
        }

        fn send(&mut self, count: u16) {
            for _ in 0..count {
                self.sent = self.sent.wrapping_add(1);
                let mut packet = rtc::rtp::Packet::default();
                let number = bytes::Bytes::copy_from_slice(&self.sent.to_be_bytes());
                packet.header.set_extension(1, number).expect("a number");
                self.surveyor.left(&packet, self.now());
            }
        }

        fn now(&self) -> Instant {
            let step = self.sent.wrapping_sub(u16::MAX - 20);
            self.began + Duration::from_millis(10) * u32::from(step)
        }

        /// The far end tells of its latest packets: whether each arrived.
        fn tell(&self, arrived: &[bool]) {
            let symbol = |arrived: &bool| match arrived {
                true => SymbolTypeTcc::PacketReceivedSmallDelta,
                false => SymbolTypeTcc::PacketNotReceived,
            };
            let count = arrived.len() as u16;
            let delta = RecvDelta {
                type_tcc_packet: SymbolTypeTcc::PacketReceivedSmallDelta,
                delta: 10_000,
            };
            let chunk = StatusVectorChunk {
                type_tcc: StatusChunkTypeTcc::StatusVectorChunk,
                symbol_size: SymbolSizeTypeTcc::TwoBit,
                symbol_list: arrived.iter().map(symbol).collect(),
            };
            let feedback = TransportLayerCc {
                base_sequence_number: self.sent.wrapping_sub(count - 1),
                packet_status_count: count,
                packet_chunks: vec![PacketStatusChunk::StatusVectorChunk(chunk)],
                recv_deltas: vec![delta; arrived.iter().filter(|arrived| **arrived).count()],
                ..Default::default()
            };
            self.surveyor.told(&feedback, self.now());
        }

        fn loss(&self) -> f64 {
            self.surveyor.path().borrow().loss
        }
    }

    #[test]
    fn packets_of_a_report_that_got_lost_are_not_lost() {
        let mut bench = Bench::new();
        for _ in 0..4 {
            bench.send(14);
            // The report of the first seven did not come.
            bench.tell(&[true; 7]);
            assert_eq!(bench.loss(), 0.0);
        }
    }

    #[test]
    fn packets_that_the_far_end_missed_are_lost() {
        let mut bench = Bench::new();
        for _ in 0..4 {
            bench.send(5);
            bench.tell(&[true, false, true, true, true]);
        }
        assert_eq!(bench.loss(), 0.2);
    }
}
