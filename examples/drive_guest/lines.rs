//! What `board/guest/lines watch` saw of the panel's lines.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};

/// A line, in the order in which they are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Line {
    White,
    Amber,
    Green,
    Blue,
    Red,
    Relay,
}

const ALL: [Line; 6] = [
    Line::White,
    Line::Amber,
    Line::Green,
    Line::Blue,
    Line::Red,
    Line::Relay,
];

/// Each change: when, and which lines are high from then on.
#[derive(Clone, Debug)]
pub(crate) struct Lines(Vec<(Duration, BTreeSet<Line>)>);

impl Lines {
    /// Reads `text`, whose last line may still be growing.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let changes = whole.lines().map(|line| {
            change(line).with_context(|| format!("'{line}' tells nothing of the lines"))
        });
        changes.collect::<Result<_>>().map(Self)
    }

    /// Of all lines only `line` is high at the end.
    pub(crate) fn end_with_only(&self, line: Line) -> bool {
        self.0
            .last()
            .is_some_and(|(_, high)| high.iter().eq([&line]))
    }

    /// Whether `line` was ever high.
    pub(crate) fn had(&self, line: Line) -> bool {
        self.0.iter().any(|(_, high)| high.contains(&line))
    }

    /// How long `line` was high each time; a time that is not over does not count.
    pub(crate) fn pulses(&self, line: Line) -> Vec<Duration> {
        let mut pulses = Vec::new();
        let mut since = None;
        for (at, high) in &self.0 {
            match (since, high.contains(&line)) {
                (None, true) => since = Some(*at),
                (Some(began), false) => {
                    pulses.push(*at - began);
                    since = None;
                }
                _ => {}
            }
        }
        pulses
    }
}

/// `1795720000123 1 0 0 0 0 0`
fn change(line: &str) -> Option<(Duration, BTreeSet<Line>)> {
    let mut words = line.split(' ');
    let at = Duration::from_millis(words.next()?.parse().ok()?);
    let mut high = BTreeSet::new();
    for line in ALL {
        match words.next()? {
            "0" => {}
            "1" => _ = high.insert(line),
            _ => return None,
        }
    }
    words.next().is_none().then_some((at, high))
}
