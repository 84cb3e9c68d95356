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
        let reports = work.history.take_reports();
        let told = reports.iter().map(|report| Told {
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
