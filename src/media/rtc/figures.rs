//! What a session counts, and what the reports say of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::codecs::{Medium, SOUND_CLOCK, VIDEO_CLOCK};

/// Figures by name, as [`crate::call::Figures`] holds them.
pub(crate) type Values = BTreeMap<&'static str, f64>;

/// Counters of one session. Each stands for itself, so their order does not
/// matter.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    packets_sent: AtomicU64,
    bytes_sent: AtomicU64,
    packets_received: AtomicU64,
    bytes_received: AtomicU64,
    packets_resent: AtomicU64,
    pictures: AtomicU64,
    key_pictures: AtomicU64,
    freezes: AtomicU64,
    requests: AtomicU64,
    /// Bits a second, the latest.
    target: AtomicU64,
    lost_by_peer: AtomicU64,
    /// Of the latest report, in 256ths of the packets.
    peer_loss: AtomicU64,
    lost: AtomicU64,
    /// Of the latest report, in RTP clock.
    jitter: AtomicU64,
    /// RTP clock of what comes and leaves, Hz; 0 is the medium's usual one.
    clock: AtomicU64,
    /// Of the latest report, microseconds; 0 is not known.
    round_trip_us: AtomicU64,
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

    /// One packet left again.
    pub(crate) fn resent(&self) {
        add(&self.packets_resent, 1);
    }

    /// One picture left.
    pub(crate) fn picture(&self, key: bool) {
        add(&self.pictures, 1);
        add(&self.key_pictures, usize::from(key));
    }

    /// The picture before stood still for too long.
    pub(crate) fn froze(&self) {
        add(&self.freezes, 1);
    }

    /// Pictures that left so far.
    pub(crate) fn pictures(&self) -> f64 {
        read(&self.pictures)
    }

    /// The far end asked for a key frame.
    pub(crate) fn requested(&self, times: usize) {
        add(&self.requests, times);
    }

    /// Pictures may have so many bits a second.
    pub(crate) fn target(&self, bits: u32) {
        self.target.store(u64::from(bits), Ordering::Relaxed);
    }

    /// So many of our packets did not reach the far end so far.
    pub(crate) fn lost_by_peer(&self, total: u32) {
        self.lost_by_peer.store(signed(total), Ordering::Relaxed);
    }

    /// So many 256ths of our packets did not reach the far end of late.
    pub(crate) fn peer_loses(&self, share: u8) {
        self.peer_loss.store(u64::from(share), Ordering::Relaxed);
    }

    /// The share of our packets that did not reach the far end of late, 0 to 1.
    pub(crate) fn peer_loss(&self) -> f32 {
        self.peer_loss.load(Ordering::Relaxed) as f32 / 256.0
    }

    /// So many of the far end's packets did not reach us so far.
    pub(crate) fn lost(&self, total: u32, jitter: u32) {
        self.lost.store(signed(total), Ordering::Relaxed);
        // Where the far end's time runs over, webrtc-rs counts a jump of 2^32, and needs
        // some seconds to forget it.
        let second = match self.clock.load(Ordering::Relaxed) {
            0 => u64::from(VIDEO_CLOCK),
            clock => clock,
        };
        if u64::from(jitter) < second {
            self.jitter.store(u64::from(jitter), Ordering::Relaxed);
        }
    }

    /// What comes and leaves counts in a clock of so many Hz.
    pub(crate) fn clock(&self, hertz: u32) {
        self.clock.store(u64::from(hertz), Ordering::Relaxed);
    }

    /// The clock of the sound, Hz, if it is not that of Opus.
    pub(crate) fn other_clock(&self) -> Option<u32> {
        let clock = u32::try_from(self.clock.load(Ordering::Relaxed)).ok()?;
        (clock != 0 && clock != SOUND_CLOCK).then_some(clock)
    }

    /// The way to the far end and back took so long.
    pub(crate) fn round_trip(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        self.round_trip_us.store(us, Ordering::Relaxed);
    }

    /// The latest round trip, ms; `None` before the first report.
    pub(crate) fn round_trip_ms(&self) -> Option<f64> {
        let us = read(&self.round_trip_us);
        (us > 0.0).then_some(us / 1000.0)
    }

    /// Adds what was counted to `values`. Bytes are of RTP payload.
    pub(crate) fn collect(&self, medium: Medium, values: &mut Values) {
        let names = match medium {
            Medium::Audio => &AUDIO,
            Medium::Video => &VIDEO,
        };
        values.insert(names.packets_sent, read(&self.packets_sent));
        values.insert(names.bytes_sent, read(&self.bytes_sent));
        values.insert(names.packets_received, read(&self.packets_received));
        values.insert(names.bytes_received, read(&self.bytes_received));
        values.insert(names.lost_by_peer, read(&self.lost_by_peer));
        values.insert(names.lost, read(&self.lost));
        let clock = match self.clock.load(Ordering::Relaxed) {
            0 => f64::from(medium.clock()),
            clock => clock as f64,
        };
        let jitter = read(&self.jitter) * 1000.0 / clock;
        values.insert(names.jitter_ms, jitter);
        values.extend(self.round_trip_ms().map(|ms| (names.round_trip_ms, ms)));
        if medium == Medium::Video {
            values.insert("video_packets_resent", read(&self.packets_resent));
            values.insert("video_frames_sent", read(&self.pictures));
            values.insert("video_key_frames_sent", read(&self.key_pictures));
            values.insert("freezes", read(&self.freezes));
            values.insert("video_key_frame_requests", read(&self.requests));
            values.insert("video_target_bits", read(&self.target));
        }
    }
}

/// A cumulative loss has 24 bits and a sign: below 0 are doubled packets.
fn signed(total: u32) -> u64 {
    const SIGN: u32 = 1 << 23;
    if total & SIGN == 0 {
        u64::from(total)
    } else {
        0
    }
}

/// The names of one medium's figures.
struct Names {
    packets_sent: &'static str,
    bytes_sent: &'static str,
    packets_received: &'static str,
    bytes_received: &'static str,
    lost_by_peer: &'static str,
    lost: &'static str,
    jitter_ms: &'static str,
    round_trip_ms: &'static str,
}

const AUDIO: Names = Names {
    packets_sent: "audio_packets_sent",
    bytes_sent: "audio_bytes_sent",
    packets_received: "audio_packets_received",
    bytes_received: "audio_bytes_received",
    lost_by_peer: "audio_packets_lost_by_peer",
    lost: "audio_packets_lost",
    jitter_ms: "audio_jitter_ms",
    round_trip_ms: "audio_round_trip_ms",
};

const VIDEO: Names = Names {
    packets_sent: "video_packets_sent",
    bytes_sent: "video_bytes_sent",
    packets_received: "video_packets_received",
    bytes_received: "video_bytes_received",
    lost_by_peer: "video_packets_lost_by_peer",
    lost: "video_packets_lost",
    jitter_ms: "video_jitter_ms",
    round_trip_ms: "video_round_trip_ms",
};
