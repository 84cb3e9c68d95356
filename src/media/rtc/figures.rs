//! What a session counts, and what the far end reports of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use webrtc::peer_connection::{RTCStatsReportEntry, StatsSelector};

use super::codecs::Medium;
use super::session::Session;
use crate::clock;

/// Counters of one session. Each stands for itself, so their order does not
/// matter.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    packets_sent: AtomicU64,
    bytes_sent: AtomicU64,
    packets_received: AtomicU64,
    bytes_received: AtomicU64,
    pictures: AtomicU64,
    key_pictures: AtomicU64,
    requests: AtomicU64,
}

fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}

impl Counters {
    /// One packet left, with this many bytes of payload.
    pub(crate) fn sent(&self, bytes: usize) {
        add(&self.packets_sent, 1);
        add(&self.bytes_sent, bytes);
    }

    /// One packet came.
    pub(crate) fn received(&self, bytes: usize) {
        add(&self.packets_received, 1);
        add(&self.bytes_received, bytes);
    }

    /// One picture left.
    pub(crate) fn picture(&self, key: bool) {
        add(&self.pictures, 1);
        add(&self.key_pictures, usize::from(key));
    }

    /// The far end asked for a key frame.
    pub(crate) fn requested(&self, times: usize) {
        add(&self.requests, times);
    }
}

/// Figures by name, as [`crate::call::Figures`] holds them.
pub(crate) type Values = BTreeMap<&'static str, f64>;

/// Puts what one session measured into `values`. Bytes are of RTP payload.
pub(crate) async fn collect(session: &Session, values: &mut Values) {
    let counters = &session.counters;
    let names = match session.medium {
        Medium::Audio => &AUDIO,
        Medium::Video => &VIDEO,
    };
    values.insert(names.packets_sent, read(&counters.packets_sent));
    values.insert(names.bytes_sent, read(&counters.bytes_sent));
    values.insert(names.packets_received, read(&counters.packets_received));
    values.insert(names.bytes_received, read(&counters.bytes_received));
    if session.medium == Medium::Video {
        values.insert("video_frames_sent", read(&counters.pictures));
        values.insert("video_key_frames_sent", read(&counters.key_pictures));
        values.insert("video_key_frame_requests", read(&counters.requests));
    }
    let report = session
        .connection()
        .get_stats(clock::now(), StatsSelector::None)
        .await;
    for entry in report.iter() {
        match entry {
            RTCStatsReportEntry::InboundRtp(inbound) => {
                let received = &inbound.received_rtp_stream_stats;
                // Negative when packets were doubled on the way.
                *values.entry(names.lost_received).or_default() +=
                    received.packets_lost.max(0) as f64;
                values.insert(names.jitter_ms, received.jitter * 1000.0);
            }
            RTCStatsReportEntry::RemoteInboundRtp(remote) => {
                let received = &remote.received_rtp_stream_stats;
                *values.entry(names.lost_sent).or_default() += received.packets_lost.max(0) as f64;
                if remote.round_trip_time_measurements > 0 {
                    values.insert(names.round_trip_ms, remote.round_trip_time * 1000.0);
                }
            }
            RTCStatsReportEntry::OutboundRtp(outbound) => {
                values.insert(
                    names.packets_resent,
                    outbound.retransmitted_packets_sent as f64,
                );
            }
            _ => {}
        }
    }
}

/// The names of one medium's figures.
struct Names {
    packets_sent: &'static str,
    bytes_sent: &'static str,
    packets_received: &'static str,
    bytes_received: &'static str,
    packets_resent: &'static str,
    lost_sent: &'static str,
    lost_received: &'static str,
    jitter_ms: &'static str,
    round_trip_ms: &'static str,
}

const AUDIO: Names = Names {
    packets_sent: "audio_packets_sent",
    bytes_sent: "audio_bytes_sent",
    packets_received: "audio_packets_received",
    bytes_received: "audio_bytes_received",
    packets_resent: "audio_packets_resent",
    lost_sent: "audio_packets_lost_by_peer",
    lost_received: "audio_packets_lost",
    jitter_ms: "audio_jitter_ms",
    round_trip_ms: "audio_round_trip_ms",
};

const VIDEO: Names = Names {
    packets_sent: "video_packets_sent",
    bytes_sent: "video_bytes_sent",
    packets_received: "video_packets_received",
    bytes_received: "video_bytes_received",
    packets_resent: "video_packets_resent",
    lost_sent: "video_packets_lost_by_peer",
    lost_received: "video_packets_lost",
    jitter_ms: "video_jitter_ms",
    round_trip_ms: "video_round_trip_ms",
};
