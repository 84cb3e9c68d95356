//! Counters of the sound path, written by its threads, read by anybody.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::RATE;

/// See the names in [`Meters::figures`].
#[derive(Debug, Default)]
pub(super) struct Meters {
    pub(super) microphone_blocks: AtomicU64,
    pub(super) microphone_xruns: AtomicU64,
    pub(super) microphone_packets: AtomicU64,
    /// Sum, ns.
    pub(super) encoding: AtomicU64,
    pub(super) speaker_blocks: AtomicU64,
    pub(super) speaker_xruns: AtomicU64,
    pub(super) voice_packets: AtomicU64,
    pub(super) voice_late: AtomicU64,
    pub(super) voice_doubled: AtomicU64,
    pub(super) voice_bad: AtomicU64,
    pub(super) voice_overflow: AtomicU64,
    /// Samples.
    pub(super) voice_corrected: AtomicU64,
    /// Samples.
    pub(super) voice_concealed: AtomicU64,
    /// Samples.
    pub(super) voice_shortened: AtomicU64,
    /// Samples.
    pub(super) voice_lengthened: AtomicU64,
    /// Microseconds.
    depth: AtomicU64,
    /// Microseconds.
    target: AtomicU64,
}

impl Meters {
    pub(super) fn one(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn add(counter: &AtomicU64, amount: usize) {
        counter.fetch_add(amount as u64, Relaxed);
    }

    /// The depth of the latest voice's jitter buffer and its target, ms.
    pub(super) fn depth(&self, depth: f64, target: f64) {
        self.depth.store((depth * 1000.0) as u64, Relaxed);
        self.target.store((target * 1000.0) as u64, Relaxed);
    }

    /// Everything by name; names end in their unit, plain ones are counts.
    pub(super) fn figures(&self) -> BTreeMap<&'static str, f64> {
        let count = |counter: &AtomicU64| counter.load(Relaxed) as f64;
        let ms = |samples: &AtomicU64| count(samples) * 1000.0 / f64::from(RATE);
        let packets = count(&self.microphone_packets);
        BTreeMap::from([
            ("microphone_blocks", count(&self.microphone_blocks)),
            ("microphone_xruns", count(&self.microphone_xruns)),
            ("microphone_packets", packets),
            (
                "microphone_encode_ms",
                count(&self.encoding) / 1e6 / packets.max(1.0),
            ),
            ("speaker_blocks", count(&self.speaker_blocks)),
            ("speaker_xruns", count(&self.speaker_xruns)),
            ("voice_packets", count(&self.voice_packets)),
            ("voice_late", count(&self.voice_late)),
            ("voice_doubled", count(&self.voice_doubled)),
            ("voice_bad", count(&self.voice_bad)),
            ("voice_overflow", count(&self.voice_overflow)),
            ("voice_corrected_ms", ms(&self.voice_corrected)),
            ("voice_concealed_ms", ms(&self.voice_concealed)),
            ("voice_shortened_ms", ms(&self.voice_shortened)),
            ("voice_lengthened_ms", ms(&self.voice_lengthened)),
            ("voice_depth_ms", count(&self.depth) / 1000.0),
            ("voice_target_ms", count(&self.target) / 1000.0),
        ])
    }
}
