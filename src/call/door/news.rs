//! What is said about the door: orders, answers, news.

use std::time::Duration;

use crate::call::{AccountId, Address, CallId, Event, Output};

/// What the relay's client shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DoorOrder {
    /// One pulse. Each is answered once: by [`Relay::Opened`], [`Relay::Refused`] or
    /// [`Relay::Lost`].
    Pulse {
        /// Over this connection and no other: an order must not wait for the next.
        link: u32,
        /// The answer carries it.
        number: u32,
        /// How long.
        length: Duration,
    },
    /// Somebody tampers with the panel, or no longer.
    Tampered(bool),
}

/// What the relay's client tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relay {
    /// Connected to the guardian.
    Here {
        /// Which connection: each has a number of its own.
        link: u32,
    },
    /// Not connected, or not any more; what was ordered over it is refused.
    Lost,
    /// The line is on or off.
    State {
        /// On.
        open: bool,
    },
    /// The line is on, by our order.
    Opened {
        /// The order's.
        number: u32,
    },
    /// It stays as it is.
    Refused {
        /// The order's.
        number: u32,
        /// Why.
        refused: Refused,
    },
}

/// How somebody wants the door open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// By the button of the indoor page.
    Page,
    /// By the code in tones (DTMF) from a call.
    Digits,
    /// By the code in a parameter of a call's message.
    Parameter,
    /// By the request-to-exit button.
    Exit,
    /// Not through us: by another client of the relay guardian.
    Elsewhere,
}

impl Way {
    /// The name in JSON lines and logs.
    pub fn name(self) -> &'static str {
        match self {
            Way::Page => "page",
            Way::Digits => "dtmf",
            Way::Parameter => "parameter",
            Way::Exit => "request_to_exit",
            Way::Elsewhere => "elsewhere",
        }
    }
}

/// Somebody's wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// How.
    pub way: Way,
    /// Who, where it is known.
    pub who: Option<Address>,
    /// Through which account, for the party of a call.
    pub account: Option<AccountId>,
    /// In which call.
    pub call: Option<CallId>,
}

/// Why the door is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refused {
    /// Who asks has no right to it.
    NotAllowed,
    /// The call is not answered yet.
    NotEstablished,
    /// The call is held.
    Held,
    /// The call is over.
    Over,
    /// The code is wrong.
    WrongCode,
    /// Too many wrong codes.
    LockedOut,
    /// The station goes down.
    Stopping,
    /// The configuration has no door.
    NoDoor,
    /// The relay guardian is not there, or does not answer.
    NoRelay,
    /// Too many wishes at once.
    Busy,
    /// The guardian refused, by its own rules.
    Guardian {
        /// Its word.
        word: &'static str,
        /// For people.
        sentence: &'static str,
    },
}

impl Refused {
    /// The word in JSON lines and logs.
    pub fn word(self) -> &'static str {
        match self {
            Refused::NotAllowed => "not_allowed",
            Refused::NotEstablished => "not_established",
            Refused::Held => "held",
            Refused::Over => "over",
            Refused::WrongCode => "wrong_code",
            Refused::LockedOut => "locked_out",
            Refused::Stopping => "stopping",
            Refused::NoDoor => "no_door",
            Refused::NoRelay => "no_relay",
            Refused::Busy => "busy",
            Refused::Guardian { word, .. } => word,
        }
    }

    /// For people.
    pub fn sentence(self) -> &'static str {
        match self {
            Refused::NotAllowed => "no right to open the door",
            Refused::NotEstablished => "the call is not answered yet",
            Refused::Held => "the call is held",
            Refused::Over => "the call is over",
            Refused::WrongCode => "the code is wrong",
            Refused::LockedOut => "too many wrong codes: locked for ten minutes",
            Refused::Stopping => "the station is going down",
            Refused::NoDoor => "no door is configured",
            Refused::NoRelay => "the relay guardian is not there",
            Refused::Busy => "too many wishes at once",
            Refused::Guardian { sentence, .. } => sentence,
        }
    }
}

/// What must not be with a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alarm {
    /// It opened without a release.
    Forced,
    /// It stands open for too long.
    OpenTooLong,
}

impl Alarm {
    /// The name in JSON lines and logs.
    pub fn name(self) -> &'static str {
        match self {
            Alarm::Forced => "forced",
            Alarm::OpenTooLong => "open_too_long",
        }
    }

    /// For people.
    pub fn sentence(self) -> &'static str {
        match self {
            Alarm::Forced => "the door was opened without a release",
            Alarm::OpenTooLong => "the door has been open for too long",
        }
    }
}

/// News of the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DoorNews {
    /// Somebody wants it open; `Opened` or `Refused` follows.
    Attempt(Attempt),
    /// It is released.
    Opened(Attempt),
    /// It is not, and why.
    Refused(Attempt, Refused),
    /// The release is over.
    Closed,
    /// The door itself was opened or closed.
    Contact {
        /// It stands open.
        open: bool,
    },
    /// Something must not be.
    Alarm(Alarm),
    /// It is over.
    AlarmOver(Alarm),
}

impl From<Event> for Output {
    fn from(event: Event) -> Self {
        Output::Event(event)
    }
}
