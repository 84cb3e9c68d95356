//! Reads the reports (RFC 3550, section 6.4) that pass in both directions:
//! loss, jitter and round trip. webrtc-rs 0.21.1 measures no round trip, and
//! overlooks the report blocks of far ends that send media themselves.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc::interceptor::{Packet, Slot, TaggedPacket};
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;

use super::figures::Counters;
use super::tap::Look;

/// Sender reports leave once a second; the far end answers the latest it has.
const REMEMBERED: usize = 8;

/// The reader of one session's reports.
pub(crate) struct Reports {
    counters: Arc<Counters>,
    /// Our latest sender reports: the middle of their NTP time, and when they left.
    left: VecDeque<(u32, Instant)>,
}

impl Reports {
    /// Next to the wire: it sees what every other interceptor makes.
    pub(crate) const SLOT: Slot = Slot::Custom(500);

    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self {
            counters,
            left: VecDeque::with_capacity(REMEMBERED),
        }
    }

    /// What the far end says of our stream.
    fn of_ours(&self, report: &ReceptionReport, now: Instant) {
        self.counters.lost_by_peer(report.total_lost);
        self.counters.peer_loses(report.fraction_lost);
        let left = self
            .left
            .iter()
            .find(|(time, _)| report.last_sender_report != 0 && *time == report.last_sender_report);
        if let Some((_, left)) = left {
            let held = Duration::from_secs_f64(f64::from(report.delay) / 65_536.0);
            let passed = now.saturating_duration_since(*left);
            self.counters.round_trip(passed.saturating_sub(held));
        }
    }
}

impl Look for Reports {
    fn incoming(&mut self, packet: &mut TaggedPacket) -> bool {
        if let Packet::Rtcp(parts) = &packet.message.packet {
            for part in parts {
                let part = part.as_any();
                let reports = part
                    .downcast_ref::<ReceiverReport>()
                    .map(|r| &r.reports)
                    .or_else(|| part.downcast_ref::<SenderReport>().map(|r| &r.reports));
                for report in reports.into_iter().flatten() {
                    self.of_ours(report, packet.now);
                }
            }
        }
        true
    }

    fn outgoing(&mut self, packet: &TaggedPacket) -> bool {
        if let Packet::Rtcp(parts) = &packet.message.packet {
            for part in parts {
                let part = part.as_any();
                if let Some(sent) = part.downcast_ref::<SenderReport>() {
                    self.left.truncate(REMEMBERED - 1);
                    let middle = (sent.ntp_time >> 16) as u32;
                    self.left.push_front((middle, packet.now));
                }
                // What we say of the far end's stream.
                for report in part
                    .downcast_ref::<ReceiverReport>()
                    .iter()
                    .flat_map(|r| &r.reports)
                {
                    self.counters.lost(report.total_lost, report.jitter);
                }
            }
        }
        true
    }
}
