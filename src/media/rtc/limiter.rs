//! Holds re-sent packets to a share of the line, and re-sends them twice where much is
//! lost.
//!
//! The NACK responder of rtc 0.21.1 answers every request, again and again: on a
//! full line it keeps the line full. This interceptor sits between the responder
//! and the wire and lets re-sent packets pass only as far as a token bucket
//! goes. What it drops is asked for again, or mended by a key frame.
//!
//! Chromium asks again after a round trip, which it takes for 100 ms until it has
//! measured one, and that takes it some seconds (version 156). Where a fifth is lost,
//! request and answer fail in 36 of a hundred such rounds, and the picture stands for more
//! than half a second now and then; with two answers they fail in 23.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc::interceptor::{Attribute, Packet, Slot, TaggedPacket};
use tokio::sync::watch;

use super::figures::Counters;
use super::path::Path;
use super::tap::Look;

/// What may be saved up, bytes: 100 ms of it would hold only three packets, so
/// this is one lost burst of a key frame (30 packets of 1,200 bytes).
const DEPTH: f64 = 36_000.0;

/// The share of lost packets from which on two answer a request.
const HEAVY: f64 = 0.1;

/// The bucket: bytes that may leave now.
struct Bucket {
    bytes: f64,
    filled: Option<Instant>,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            bytes: DEPTH,
            filled: None,
        }
    }
}

impl Bucket {
    /// Takes so many bytes out, if they are in; `rate` is in bytes a second.
    fn take(&mut self, bytes: usize, rate: f64, now: Instant) -> bool {
        let since = self
            .filled
            .replace(now)
            .map_or(Duration::ZERO, |then| now.saturating_duration_since(then));
        self.bytes = (self.bytes + since.as_secs_f64() * rate).min(DEPTH);
        let enough = self.bytes >= bytes as f64;
        if enough {
            self.bytes -= bytes as f64;
        }
        enough
    }
}

/// Lets re-sent packets pass as far as the bucket goes.
pub(crate) struct RetransmissionLimiter {
    bucket: Bucket,
    counters: Arc<Counters>,
    path: watch::Receiver<Path>,
}

impl RetransmissionLimiter {
    /// On the way out right behind the NACK responder (4,000).
    pub(crate) const SLOT: Slot = Slot::Custom(3_500);

    pub(crate) fn new(counters: Arc<Counters>, path: watch::Receiver<Path>) -> Self {
        Self {
            bucket: Bucket::default(),
            counters,
            path,
        }
    }
}

impl Look for RetransmissionLimiter {
    fn incoming(&mut self, _: &mut TaggedPacket) -> bool {
        true
    }

    fn outgoing(&mut self, packet: &mut TaggedPacket) -> usize {
        let Packet::Rtp(rtp) = &packet.message.packet else {
            return 1;
        };
        if !packet.message.has(&Attribute::Retransmission) {
            return 1;
        }
        let path = *self.path.borrow();
        let wanted = if path.loss >= HEAVY { 2 } else { 1 };
        let (bytes, rate) = (rtp.payload.len(), path.for_repairs() / 8.0);
        let granted = (0..wanted).take_while(|_| self.bucket.take(bytes, rate, packet.now));
        let times = granted.count();
        for _ in 0..times {
            self.counters.resent();
        }
        times
    }
}

#[cfg(test)]
mod tests {
    use rtc::interceptor::AttributedPacket;
    use rtc::shared::TransportContext;

    use super::*;

    /// A fifth of 1.5 Mb/s, in bytes.
    const RATE: f64 = 37_500.0;

    /// How often each of so many re-sent packets leaves where so much is lost.
    fn resent(loss: f64, packets: usize) -> Vec<usize> {
        let path = Path {
            loss,
            ..Path::default()
        };
        let mut limiter =
            RetransmissionLimiter::new(Arc::default(), watch::Sender::new(path).subscribe());
        let now = crate::clock::now();
        let mut leaves = |again: bool| {
            let rtp = rtc::rtp::Packet {
                payload: bytes::Bytes::from_static(&[0; 1_200]),
                ..Default::default()
            };
            let mut message = AttributedPacket::new(Packet::Rtp(rtp));
            if again {
                message.add(Attribute::Retransmission);
            }
            limiter.outgoing(&mut TaggedPacket {
                now,
                transport: TransportContext::default(),
                message,
            })
        };
        assert_eq!(leaves(false), 1, "not a re-sent one");
        (0..packets).map(|_| leaves(true)).collect()
    }

    #[test]
    fn what_is_lost_leaves_twice_where_much_is_lost_and_there_is_room() {
        assert_eq!(resent(0.05, 3), [1, 1, 1]);
        assert_eq!(resent(0.2, 3), [2, 2, 2]);
        // 30 packets fit.
        assert_eq!(resent(0.2, 17)[13..], [2, 2, 0, 0]);
    }

    #[test]
    fn a_burst_passes_and_a_storm_is_held_to_the_rate() {
        let start = crate::clock::now();
        let mut bucket = Bucket::default();
        let burst = (0..100).filter(|_| bucket.take(1200, RATE, start)).count();
        assert_eq!(burst, 30);

        // 10 s of a storm: 100 requests each 10 ms.
        let mut passed = 0;
        for step in 1..=1000u32 {
            let now = start + Duration::from_millis(10) * step;
            passed += (0..100).filter(|_| bucket.take(1200, RATE, now)).count();
        }
        let bytes_a_second = passed as f64 * 1200.0 / 10.0;
        assert!(
            (0.95..=1.0).contains(&(bytes_a_second / RATE)),
            "{bytes_a_second} bytes a second"
        );
    }
}
