//! The states of a call under Kandy's names, and the record of a call.

use std::fmt;
use std::time::Instant;

use super::{Address, CallId, Parameter};

/// What an application sees of a call's progress (document 8.4, names of 3.x).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Made, media being prepared.
    Initiating,
    /// The server took the call.
    Initiated,
    /// Ringing at the other end (outgoing) or here (incoming).
    Ringing,
    /// The other end sends provisional media.
    EarlyMedia,
    /// Answered; Kandy 5 shows it as "Connected".
    InCall,
    /// Held by us (or by both).
    OnHold,
    /// Held by the other end.
    OnRemoteHold,
    /// Another device answered, or the caller gave up before we did.
    Cancelled,
    /// Over.
    Ended,
}

impl State {
    /// The name as Kandy.js 3.x writes it.
    pub fn name(self) -> &'static str {
        match self {
            State::Initiating => "INITIATING",
            State::Initiated => "INITIATED",
            State::Ringing => "RINGING",
            State::EarlyMedia => "EARLY_MEDIA",
            State::InCall => "IN_CALL",
            State::OnHold => "ON_HOLD",
            State::OnRemoteHold => "ON_REMOTE_HOLD",
            State::Cancelled => "CANCELLED",
            State::Ended => "ENDED",
        }
    }

    /// No further event can come.
    pub fn is_over(self) -> bool {
        matches!(self, State::Cancelled | State::Ended)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who began the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// They called us.
    Incoming,
    /// We called.
    Outgoing,
}

impl Direction {
    /// `incoming` or `outgoing`, as Kandy.js writes it.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Incoming => "incoming",
            Direction::Outgoing => "outgoing",
        }
    }
}

/// A call as an application can ask for it by id (`call.getById`).
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its id.
    pub id: CallId,
    /// Who began it.
    pub direction: Direction,
    /// Where it stands.
    pub state: State,
    /// The caller.
    pub from: Address,
    /// The callee; before an answer to a call with several targets the first.
    pub to: Address,
    /// Our microphone is silenced towards the other end.
    pub muted: bool,
    /// What the caller told the callee besides.
    pub parameters: Vec<Parameter>,
    /// When it was made or arrived.
    pub made: Instant,
    /// When it was answered.
    pub started: Option<Instant>,
    /// When it was over.
    pub ended: Option<Instant>,
}
