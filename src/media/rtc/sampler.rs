//! What is sampled once a second while a leg is connected: for the summary of the
//! call, and live for whoever asks.
//!
//! Pure: readings come from outside. Quantiles are over seconds, so a p95 is what
//! one second in twenty exceeds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::figures::Values;
use crate::media::feed::Encoded;
use crate::media::series::Series;

/// How things stand now. Counts grow from the leg's, or the process's, begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) at: Instant,
    /// Processor time of this process, all its threads.
    pub(crate) cpu: Duration,
    /// Pictures sent; `None` while none are to be sent.
    pub(crate) pictures: Option<f64>,
    /// Of the codec that this leg takes.
    pub(crate) encoded: Option<Encoded>,
    pub(crate) round_trip_ms: Option<f64>,
    /// Of our packets, at the far end: the worse of sound and picture.
    pub(crate) loss_percent: Option<f64>,
    pub(crate) jitter_buffer_ms: Option<f64>,
    pub(crate) echo_loss_db: Option<f64>,
}

/// A sampled quantity: its name, and the names of its median and its bad end.
struct Quantity {
    live: &'static str,
    median: &'static str,
    bad: &'static str,
    /// Which quantile the bad end is: 5 % where more is better.
    share: f64,
}

const QUANTITIES: [Quantity; 7] = [
    rising("frames_per_s", "frames_per_s_p50", "frames_per_s_p05"),
    falling("round_trip_ms", "round_trip_ms_p50", "round_trip_ms_p95"),
    falling("loss_percent", "loss_percent_p50", "loss_percent_p95"),
    falling(
        "jitter_buffer_ms",
        "jitter_buffer_ms_p50",
        "jitter_buffer_ms_p95",
    ),
    rising("echo_loss_db", "echo_loss_db_p50", "echo_loss_db_p05"),
    falling("encode_ms", "encode_ms_p50", "encode_ms_p95"),
    falling("cpu_percent", "cpu_percent_p50", "cpu_percent_p95"),
];

/// More is better.
const fn rising(live: &'static str, median: &'static str, bad: &'static str) -> Quantity {
    let share = 0.05;
    Quantity {
        live,
        median,
        bad,
        share,
    }
}

/// Less is better.
const fn falling(live: &'static str, median: &'static str, bad: &'static str) -> Quantity {
    let share = 0.95;
    Quantity {
        live,
        median,
        bad,
        share,
    }
}

/// The samples of one leg.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    series: BTreeMap<&'static str, Series>,
    before: Option<Reading>,
}

impl Sampler {
    /// Takes a reading and gives the latest value of each quantity; nothing at the
    /// first one, as rates need two.
    pub(crate) fn take(&mut self, now: Reading) -> Values {
        let Some(before) = self.before.replace(now) else {
            return Values::new();
        };
        let seconds = now.at.saturating_duration_since(before.at).as_secs_f64();
        if seconds <= 0.0 {
            return Values::new();
        }
        let cpu = now.cpu.saturating_sub(before.cpu).as_secs_f64();
        let values = [
            Some(before.pictures)
                .zip(Some(now.pictures))
                .and_then(|(before, now)| Some((now? - before?).max(0.0) / seconds)),
            now.round_trip_ms,
            now.loss_percent,
            now.jitter_buffer_ms,
            now.echo_loss_db,
            before
                .encoded
                .zip(now.encoded)
                .and_then(|(before, now)| now.mean_since(before)),
            Some(100.0 * cpu / seconds),
        ];
        let mut live = Values::new();
        for (quantity, value) in QUANTITIES.iter().zip(values) {
            if let Some(value) = value {
                self.series.entry(quantity.live).or_default().push(value);
                live.insert(quantity.live, value);
            }
        }
        live
    }

    /// Adds the quantiles of everything that was sampled to `values`.
    pub(crate) fn collect(&self, values: &mut Values) {
        for quantity in &QUANTITIES {
            let Some(series) = self.series.get(quantity.live) else {
                continue;
            };
            for (name, share) in [(quantity.median, 0.5), (quantity.bad, quantity.share)] {
                values.extend(series.quantile(share).map(|value| (name, value)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn reading(at: Instant) -> Reading {
        Reading {
            at,
            cpu: Duration::ZERO,
            pictures: None,
            encoded: None,
            round_trip_ms: None,
            loss_percent: None,
            jitter_buffer_ms: None,
            echo_loss_db: None,
        }
    }

    #[test]
    fn rates_are_of_the_time_that_passed_and_quantiles_of_the_seconds() {
        let began = clock::now();
        let mut sampler = Sampler::default();
        // Twenty readings, two seconds apart; in one pair 40 pictures fewer came.
        for step in 0..=20_u32 {
            let missed = if step > 10 { 40.0 } else { 0.0 };
            let live = sampler.take(Reading {
                cpu: Duration::from_millis(500) * step,
                pictures: Some(f64::from(step) * 60.0 - missed),
                encoded: Some(Encoded {
                    pictures: u64::from(step) * 60,
                    took: Duration::from_millis(240) * step,
                }),
                loss_percent: Some(f64::from(step)),
                ..reading(began + Duration::from_secs(2) * step)
            });
            assert_eq!(live.is_empty(), step == 0);
        }
        let mut values = Values::new();
        sampler.collect(&mut values);
        let near = |name, value: f64| (values[name] - value).abs() < 1e-9;
        assert!(near("frames_per_s_p50", 30.0), "{values:?}");
        assert!(near("frames_per_s_p05", 10.0), "{values:?}");
        assert!(near("encode_ms_p95", 4.0), "{values:?}");
        assert!(near("cpu_percent_p50", 25.0), "{values:?}");
        assert!(near("loss_percent_p50", 10.0), "{values:?}");
        assert!(near("loss_percent_p95", 19.0), "{values:?}");
        // What was never known is not in it.
        assert!(!values.contains_key("echo_loss_db_p50"), "{values:?}");
    }

    #[test]
    fn a_hold_is_no_low_rate() {
        let began = clock::now();
        let mut sampler = Sampler::default();
        let counts = [Some(0.0), Some(30.0), None, Some(31.0), Some(61.0)];
        for (second, pictures) in counts.into_iter().enumerate() {
            let at = began + Duration::from_secs(second as u64);
            sampler.take(Reading {
                pictures,
                ..reading(at)
            });
        }
        let mut values = Values::new();
        sampler.collect(&mut values);
        assert_eq!(values["frames_per_s_p05"], 30.0);
    }
}
