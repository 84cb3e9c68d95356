//! The text format of Prometheus, version 0.0.4: families with their help and type,
//! and samples with labels.

use std::fmt::Write as _;
use std::time::Duration;

use crate::ledger::Histogram;

/// What `Content-Type` says of it.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page being written. Every name gets the prefix `doorstation_`.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

/// How the values of a family move.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Up only, until the process ends.
    Counter,
    /// Up and down.
    Gauge,
}

type Labels<'a> = &'a [(&'static str, &'a str)];

impl Exposition {
    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.head(name, kind, help);
        Family { page: self, name }
    }

    /// A whole family of one value without labels.
    pub(super) fn value(&mut self, name: &'static str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// A whole family of one histogram, in seconds.
    pub(super) fn histogram(&mut self, name: &'static str, help: &str, histogram: &Histogram) {
        self.head(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        for (bound, count) in histogram.buckets() {
            let bound = seconds(bound).to_string();
            self.sample(&bucket, &[("le", &bound)], count as f64);
        }
        let count = histogram.count() as f64;
        self.sample(&bucket, &[("le", "+Inf")], count);
        self.sample(&format!("{name}_sum"), &[], seconds(histogram.sum()));
        self.sample(&format!("{name}_count"), &[], count);
    }

    /// The page.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    // Writing to a String cannot fail.

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        let _ = writeln!(self.0, "# HELP doorstation_{name} {help}");
        let _ = writeln!(self.0, "# TYPE doorstation_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: f64) {
        let _ = write!(self.0, "doorstation_{name}");
        for (n, (label, text)) in labels.iter().enumerate() {
            let before = if n == 0 { '{' } else { ',' };
            let text = text
                .replace('\\', r"\\")
                .replace('"', "\\\"")
                .replace('\n', r"\n");
            let _ = write!(self.0, "{before}{label}=\"{text}\"");
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{after} {value}");
    }
}

/// A family whose samples are being written.
pub(super) struct Family<'p> {
    page: &'p mut Exposition,
    name: &'static str,
}

impl Family<'_> {
    /// One more.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: f64) {
        self.page.sample(self.name, labels, value);
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written_as_the_format_wants_them() {
        let mut page = Exposition::default();
        let mut family = page.family("x_total", Kind::Counter, "Of \\ and\nlines.");
        family.sample(&[("a", "1"), ("b", "\"\\\n")], 3.0);
        page.value("y", Kind::Gauge, "Of y.", 0.25);
        assert_eq!(
            page.into_text(),
            "# HELP doorstation_x_total Of \\\\ and\\nlines.\n\
             # TYPE doorstation_x_total counter\n\
             doorstation_x_total{a=\"1\",b=\"\\\"\\\\\\n\"} 3\n\
             # HELP doorstation_y Of y.\n\
             # TYPE doorstation_y gauge\n\
             doorstation_y 0.25\n"
        );
    }

    #[test]
    fn a_histogram_is_cumulative_and_ends_with_everything() {
        let mut histogram = Histogram::default();
        histogram.add(Duration::from_millis(250));
        histogram.add(Duration::from_secs(60));
        let mut page = Exposition::default();
        page.histogram("ring_seconds", "Of rings.", &histogram);
        let text = page.into_text();
        for line in [
            "# TYPE doorstation_ring_seconds histogram",
            "doorstation_ring_seconds_bucket{le=\"0.2\"} 0",
            "doorstation_ring_seconds_bucket{le=\"0.3\"} 1",
            "doorstation_ring_seconds_bucket{le=\"10\"} 1",
            "doorstation_ring_seconds_bucket{le=\"+Inf\"} 2",
            "doorstation_ring_seconds_sum 60.25",
            "doorstation_ring_seconds_count 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
