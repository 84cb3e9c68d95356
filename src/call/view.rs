//! The one published picture of the station that lights, tones and page follow.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{AccountId, Address, CallId, Connection, Device, Direction, State};

/// Where the station stands, in one value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// Each account's connection.
    pub connections: BTreeMap<AccountId, Connection>,
    /// The call that is up or being set up.
    pub call: Option<CallView>,
    /// How the latest call ended.
    pub last: Option<LastCall>,
    /// Devices that do not work, and why.
    pub faults: BTreeMap<Device, String>,
    /// The door is released: the relay is on.
    pub door_open: bool,
    /// An update is being installed.
    pub updating: bool,
    /// The station is going down.
    pub stopping: bool,
}

/// The call that is up.
#[derive(Clone, Debug, PartialEq)]
pub struct CallView {
    /// Its id.
    pub id: CallId,
    /// Who began it.
    pub direction: Direction,
    /// Where it stands.
    pub state: State,
    /// The other end; with several targets all of them until one answers.
    pub peers: Vec<Address>,
    /// When it was made or arrived.
    pub made: Instant,
    /// When it was answered.
    pub started: Option<Instant>,
}

/// How the latest call ended.
#[derive(Clone, Debug, PartialEq)]
pub struct LastCall {
    /// Its id.
    pub id: CallId,
    /// Who began it.
    pub direction: Direction,
    /// When.
    pub ended: Instant,
    /// SIP or 99xx code.
    pub code: String,
    /// A sentence.
    pub reason: String,
    /// Whether people could talk.
    pub answered: bool,
}
