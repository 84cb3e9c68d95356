//! Counters of the sound path, written by its threads, read by anybody.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::RATE;
use super::echo::supervisor::Report;
use crate::media::feed::SoundGauge;

/// See the names in [`Meters::figures`].
#[derive(Debug, Default)]
pub(super) struct Meters {
    pub(super) microphone_blocks: AtomicU64,
    pub(super) microphone_xruns: AtomicU64,
    pub(super) microphone_packets: AtomicU64,
    /// Per cent of loss that the encoder prepares for.
    correction: AtomicU64,
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
    /// Bits of an `f64`, parts per million.
    drift: AtomicU64,
    /// Blocks that went through the echo control.
    echo_blocks: AtomicU64,
    /// Sum, ns.
    echo_time: AtomicU64,
    /// Bits of an `f64`, dB.
    echo_loss: AtomicU64,
    /// Milliseconds.
    echo_delay: AtomicU64,
    echo_jumps: AtomicU64,
    /// 0 or 1.
    echo_half_duplex: AtomicU64,
    /// Bits of an `f64`, dBFS.
    microphone_level: AtomicU64,
    /// Bits of an `f64`, dBFS.
    speaker_level: AtomicU64,
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

    /// How much faster the latest voice's clock is than our card's, ppm.
    pub(super) fn drift(&self, ppm: f64) {
        self.drift.store(ppm.to_bits(), Relaxed);
    }

    /// So many per cent of loss are prepared for.
    pub(super) fn correction(&self, per_cent: i32) {
        let per_cent = u64::from(per_cent.unsigned_abs());
        self.correction.store(per_cent, Relaxed);
    }

    /// What the echo control knows after a block that took it so long.
    pub(super) fn echo(&self, report: &Report, took: Duration) {
        let level = |value: f32| f64::from(value).to_bits();
        Self::one(&self.echo_blocks);
        Self::add(&self.echo_time, took.as_nanos() as usize);
        self.echo_loss.store(level(report.loss_db), Relaxed);
        let delay = report.delay_ms.unwrap_or(0).max(0);
        self.echo_delay.store(delay.unsigned_abs(), Relaxed);
        self.echo_jumps.store(report.delay_jumps, Relaxed);
        self.echo_half_duplex
            .store(u64::from(report.half_duplex), Relaxed);
        self.microphone_level
            .store(level(report.microphone_dbfs), Relaxed);
        self.speaker_level
            .store(level(report.speaker_dbfs), Relaxed);
    }

    /// What the summary of a call wants to know now.
    pub(super) fn gauge(&self) -> SoundGauge {
        let count = |counter: &AtomicU64| counter.load(Relaxed) as f64;
        let some = |counter: &AtomicU64| counter.load(Relaxed) > 0;
        let loss = f64::from_bits(self.echo_loss.load(Relaxed));
        SoundGauge {
            depth_ms: some(&self.voice_packets).then(|| count(&self.depth) / 1000.0),
            echo_loss_db: some(&self.echo_blocks).then_some(loss),
        }
    }

    /// Everything by name; names end in their unit, plain ones are counts.
    pub(super) fn figures(&self) -> BTreeMap<&'static str, f64> {
        let count = |counter: &AtomicU64| counter.load(Relaxed) as f64;
        let ms = |samples: &AtomicU64| count(samples) * 1000.0 / f64::from(RATE);
        let level = |bits: &AtomicU64| f64::from_bits(bits.load(Relaxed));
        let packets = count(&self.microphone_packets);
        let echo_blocks = count(&self.echo_blocks);
        BTreeMap::from([
            ("microphone_blocks", count(&self.microphone_blocks)),
            ("microphone_xruns", count(&self.microphone_xruns)),
            ("microphone_packets", packets),
            (
                "microphone_encode_ms",
                count(&self.encoding) / 1e6 / packets.max(1.0),
            ),
            ("microphone_correction_percent", count(&self.correction)),
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
            ("voice_drift_ppm", level(&self.drift)),
            ("echo_blocks", echo_blocks),
            (
                "echo_block_ms",
                count(&self.echo_time) / 1e6 / echo_blocks.max(1.0),
            ),
            ("echo_loss_db", level(&self.echo_loss)),
            ("echo_delay_ms", count(&self.echo_delay)),
            ("echo_delay_jumps", count(&self.echo_jumps)),
            ("echo_half_duplex", count(&self.echo_half_duplex)),
            ("microphone_dbfs", level(&self.microphone_level)),
            ("speaker_dbfs", level(&self.speaker_level)),
        ])
    }
}
