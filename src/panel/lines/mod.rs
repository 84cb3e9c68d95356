//! Panels of wires: lines that are read and lines that are driven.
//!
//! One logic, [`LineButtons`] and [`LineLights`], serves every backend; a backend
//! only gives [`Inputs`] and [`Outputs`]: [`cdev`](super::cdev) on any Linux board,
//! [`rppal`](super::rppal) on a Raspberry Pi, a fake in the tests.

mod buttons;
mod dimmer;
mod lights;
pub mod pwm;

use std::time::Instant;

use async_trait::async_trait;

pub use buttons::LineButtons;
pub(super) use buttons::names;
pub use dimmer::{Dimmer, Switch};
pub use lights::{Channel, LineLights};

/// Lines that are read.
#[async_trait]
pub trait Inputs: Send {
    /// Whether each line is active at this moment, in the order in which they were
    /// opened.
    ///
    /// # Errors
    /// The lines cannot be read.
    fn levels(&mut self) -> Result<Vec<bool>, LineError>;

    /// The next edge. Cancel safe: an edge is never lost when the future is dropped.
    ///
    /// # Errors
    /// The lines cannot be read.
    async fn edge(&mut self) -> Result<Edge, LineError>;
}

/// A line changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Which, by its place in the order in which they were opened.
    pub line: usize,
    /// It is active now.
    pub active: bool,
    /// When, as the kernel saw it.
    pub at: Instant,
    /// Counts the edges of all lines together, from any start, around its end. A gap
    /// means that edges were lost.
    pub number: u32,
}

/// Lines that are driven.
pub trait Outputs: Send {
    /// Drives a line, by its place in the order in which they were opened: 0 is not
    /// active, 255 is active, between them it is active for that share of the time.
    ///
    /// # Errors
    /// The line cannot be driven.
    fn set(&mut self, line: usize, duty: u8) -> Result<(), LineError>;
}

/// Why lines cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// No chip has one of the labels.
    #[error("no GPIO chip is labelled {wanted}; this machine has {found}")]
    NoChip {
        /// The labels.
        wanted: String,
        /// What there is, or why it cannot be looked at.
        found: String,
    },
    /// The chip has fewer lines.
    #[error("the chip {chip} has {lines} lines, there is no line {line}")]
    NoLine {
        /// Its label.
        chip: String,
        /// How many lines it has.
        lines: u32,
        /// The line that was asked for.
        line: u32,
    },
    /// Somebody holds the line.
    #[error("line {line} of {chip} is in use by '{by}'; stop that first")]
    Busy {
        /// The chip's label.
        chip: String,
        /// The line.
        line: u32,
        /// What the holder calls itself.
        by: String,
    },
    /// Asked for a Raspberry Pi's registers elsewhere.
    #[error(
        "this machine is no Raspberry Pi that rppal knows: write kind = \"gpiocdev\" in [panel], \
         or \"sim\" to go without wires"
    )]
    NoRaspberryPi,
    /// Not ours to open.
    #[error("{what} may not be opened: the user must be in the group gpio")]
    Denied {
        /// A file.
        what: String,
    },
    /// The rest.
    #[error("{what}: {why}")]
    Failed {
        /// What was tried.
        what: String,
        /// What the system said.
        why: String,
    },
}

impl LineError {
    pub(super) fn failed(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        LineError::Failed {
            what: what.into(),
            why: why.to_string(),
        }
    }
}
