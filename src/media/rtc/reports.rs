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
    /// RTP time of the latest packet, and when it left.
    latest: Option<(u32, Instant)>,
}

impl Reports {
    /// Next to the wire: it sees what every other interceptor makes.
    pub(crate) const SLOT: Slot = Slot::Custom(500);

    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self {
            counters,
            left: VecDeque::with_capacity(REMEMBERED),
            latest: None,
        }
    }

    /// The RTP time at `now`, where the sound counts in another clock than the one
    /// for which webrtc-rs makes its reports: it takes that of the first codec that
    /// is offered, whichever is sent.
    fn time_in_other_clock(&self, now: Instant) -> Option<u32> {
        let clock = self.counters.other_clock()?;
        let (time, left) = self.latest?;
        let since = now.saturating_duration_since(left);
        let ticks = since.as_micros() * u128::from(clock) / 1_000_000;
        // Modulo 2^32, as RTP time goes.
        Some(time.wrapping_add(ticks as u32))
    }

    /// What we say of the far end's stream.
    fn of_far_end(&self, part: &dyn rtc::rtcp::Packet) {
        let part = part.as_any().downcast_ref::<ReceiverReport>();
        for report in part.iter().flat_map(|r| &r.reports) {
            self.counters.lost(report.total_lost, report.jitter);
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

    fn outgoing(&mut self, packet: &mut TaggedPacket) -> usize {
        let now = packet.now;
        match &mut packet.message.packet {
            Packet::Rtp(sent) => {
                let time = sent.header.timestamp;
                // All packets of one time count from the first.
                if self.latest.is_none_or(|(latest, _)| latest != time) {
                    self.latest = Some((time, now));
                }
            }
            Packet::Rtcp(parts) => {
                for part in parts {
                    self.of_far_end(part.as_ref());
                    let sent = part.as_any().downcast_ref::<SenderReport>().cloned();
                    let Some(mut sent) = sent else { continue };
                    self.left.truncate(REMEMBERED - 1);
                    let middle = (sent.ntp_time >> 16) as u32;
                    self.left.push_front((middle, now));
                    if let Some(time) = self.time_in_other_clock(now) {
                        sent.rtp_time = time;
                        *part = Box::new(sent);
                    }
                }
            }
            _ => {}
        }
        1
    }
}

#[cfg(test)]
mod tests {
    use rtc::rtp;

    use super::*;

    fn tagged(packet: Packet, now: Instant) -> TaggedPacket {
        TaggedPacket {
            now,
            transport: Default::default(),
            message: packet.into(),
        }
    }

    /// The RTP time of a report that leaves 15 ms after a packet of time 1,000, if
    /// webrtc-rs wrote 7 there.
    fn reported(clock: u32) -> u32 {
        let counters = Arc::new(Counters::default());
        counters.clock(clock);
        let mut reports = Reports::new(counters);
        let start = crate::clock::now();
        for (sequence_number, late) in [(1, 0), (2, 10)] {
            let header = rtp::header::Header {
                sequence_number,
                timestamp: 1_000,
                ..Default::default()
            };
            let packet = rtp::Packet {
                header,
                ..Default::default()
            };
            let now = start + Duration::from_millis(late);
            assert_eq!(reports.outgoing(&mut tagged(Packet::Rtp(packet), now)), 1);
        }
        let report = SenderReport {
            rtp_time: 7,
            ..Default::default()
        };
        let now = start + Duration::from_millis(15);
        let mut packet = tagged(Packet::Rtcp(vec![Box::new(report)]), now);
        assert_eq!(reports.outgoing(&mut packet), 1);
        let Packet::Rtcp(parts) = packet.message.packet else {
            panic!("it stays a report");
        };
        let report = parts[0].as_any().downcast_ref::<SenderReport>();
        report.expect("of ours").rtp_time
    }

    #[test]
    fn the_time_of_a_report_counts_in_the_clock_of_what_is_sent() {
        assert_eq!(reported(8_000), 1_120);
        assert_eq!(reported(48_000), 7);
    }
}
