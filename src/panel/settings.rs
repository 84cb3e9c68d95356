//! What a panel of wires is made of, checked: what `config` hands to the panel.

use std::time::Duration;

use super::action::{Action, Actions};
use super::look::Looks;
use crate::board::{Input, Wiring};

/// A whole panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What is wired where; its buttons are those of `buttons`.
    pub wiring: Wiring,
    /// What each button does.
    pub buttons: Vec<Button>,
    /// How each sign looks.
    pub looks: Looks,
    /// How long the action `light` lights the entrance.
    pub entrance_light: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            wiring: Wiring::default(),
            buttons: Vec::new(),
            looks: Looks::default(),
            entrance_light: Self::ENTRANCE_LIGHT,
        }
    }
}

impl Settings {
    /// Time to find a key (our choice).
    pub const ENTRANCE_LIGHT: Duration = Duration::from_secs(30);
}

/// A button, and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    /// `bell`.
    pub name: String,
    /// Its line.
    pub input: Input,
    /// What a press does. Where there is a `long_press`, a press counts at its end.
    pub actions: Actions,
    /// What holding it does, and for how long it must be held.
    pub long_press: Option<(Duration, Action)>,
    /// A contact that closes for less is no press.
    pub least_press: Duration,
}

impl Button {
    /// A finger takes 50 ms at least; a spark, or a wire in a storm, far less (our
    /// choice).
    pub const LEAST_PRESS: Duration = Duration::from_millis(30);
    /// Longer than any press, short enough for a patient visitor (our choice).
    pub const LONG_PRESS: Duration = Duration::from_secs(1);
}
