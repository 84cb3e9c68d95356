//! What the panel tells a visitor, as a pure function of the published view.
//!
//! A released door goes before all: it is open for seconds, and the visitor waits
//! for it. A call goes before trouble: who talks is told that they can talk,
//! whatever happens to an account meanwhile. Trouble goes before idle.

use crate::call::{CallView, Connection, Device, State, View};

/// One thing that the panel can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sign {
    /// No account has said anything yet.
    Starting,
    /// Ready to be pressed.
    Idle,
    /// The press was heard, the call is being placed.
    Calling,
    /// It rings: indoors, or here.
    Ringing,
    /// Speak now.
    Talking,
    /// The call is held by either side.
    OnHold,
    /// The door is released: pull or push.
    Open,
    /// Ready, but a device does not work; the first one where several fail.
    Fault(Device),
    /// An update is being installed; the bell still rings.
    Updating,
    /// No account reaches its server.
    NoConnection,
    /// No account reaches its server, and one was refused: somebody has to mend
    /// the login.
    LoginRefused,
    /// The station goes down, or is off.
    Stopping,
}

impl Sign {
    /// The name in JSON lines and logs.
    pub fn name(self) -> &'static str {
        match self {
            Sign::Starting => "starting",
            Sign::Idle => "idle",
            Sign::Calling => "calling",
            Sign::Ringing => "ringing",
            Sign::Talking => "talking",
            Sign::OnHold => "on_hold",
            Sign::Open => "open",
            Sign::Updating => "updating",
            Sign::Fault(Device::Camera) => "fault_camera",
            Sign::Fault(Device::Microphone) => "fault_microphone",
            Sign::Fault(Device::Speaker) => "fault_speaker",
            Sign::Fault(Device::Panel) => "fault_panel",
            Sign::Fault(Device::Door) => "fault_door",
            Sign::Fault(Device::Relay) => "fault_relay",
            Sign::NoConnection => "no_connection",
            Sign::LoginRefused => "login_refused",
            Sign::Stopping => "stopping",
        }
    }

    /// The word in configurations: the faults have one look.
    pub fn word(self) -> &'static str {
        match self {
            Sign::Fault(_) => "fault",
            other => other.name(),
        }
    }

    /// Every sign there is.
    pub const ALL: [Sign; 17] = [
        Sign::Starting,
        Sign::Idle,
        Sign::Calling,
        Sign::Ringing,
        Sign::Talking,
        Sign::OnHold,
        Sign::Open,
        Sign::Updating,
        Sign::Fault(Device::Camera),
        Sign::Fault(Device::Microphone),
        Sign::Fault(Device::Speaker),
        Sign::Fault(Device::Panel),
        Sign::Fault(Device::Door),
        Sign::Fault(Device::Relay),
        Sign::NoConnection,
        Sign::LoginRefused,
        Sign::Stopping,
    ];
}

/// The sign of a view.
pub fn of(view: &View) -> Sign {
    if view.stopping {
        return Sign::Stopping;
    }
    if view.door_open {
        return Sign::Open;
    }
    if let Some(sign) = view.call.as_ref().and_then(of_call) {
        return sign;
    }
    if let Some(sign) = of_connections(view) {
        return sign;
    }
    match view.faults.keys().next() {
        Some(device) => Sign::Fault(*device),
        None if view.updating => Sign::Updating,
        None => Sign::Idle,
    }
}

/// The sign of a call, while it lasts.
fn of_call(call: &CallView) -> Option<Sign> {
    match call.state {
        State::Initiating | State::Initiated => Some(Sign::Calling),
        State::Ringing | State::EarlyMedia => Some(Sign::Ringing),
        State::InCall => Some(Sign::Talking),
        State::OnHold | State::OnRemoteHold => Some(Sign::OnHold),
        State::Cancelled | State::Ended => None,
    }
}

/// Trouble with the accounts; `None` when at least one can ring.
///
/// `Connecting` in the view is an account's first attempt: after a failure the view
/// keeps the failure until it is mended.
fn of_connections(view: &View) -> Option<Sign> {
    let mut worst = Sign::Starting;
    for connection in view.connections.values() {
        worst = match connection {
            Connection::Connected => return None,
            Connection::Connecting => worst,
            Connection::Lost(_) => worst.max(Sign::NoConnection),
            Connection::Refused(_) => Sign::LoginRefused,
        };
    }
    Some(worst)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{AccountId, CallId, Direction, Failure};

    #[test]
    fn a_station_that_has_just_begun_is_starting() {
        assert_eq!(of(&View::default()), Sign::Starting);
    }

    #[test]
    fn one_connected_account_is_enough_to_be_idle() {
        let view = view([
            Connection::Connected,
            lost(),
            Connection::Refused(failure()),
        ]);
        assert_eq!(of(&view), Sign::Idle);
    }

    #[test]
    fn coming_back_looks_like_being_away() {
        assert_eq!(of(&view([lost()])), Sign::NoConnection);
        assert_eq!(of(&view([Connection::Connecting])), Sign::Starting);
    }

    #[test]
    fn a_refused_login_shows_where_nothing_else_works() {
        let view = view([lost(), Connection::Refused(failure())]);
        assert_eq!(of(&view), Sign::LoginRefused);
    }

    #[test]
    fn every_state_of_a_call_has_its_sign() {
        for (state, sign) in [
            (State::Initiating, Sign::Calling),
            (State::Initiated, Sign::Calling),
            (State::Ringing, Sign::Ringing),
            (State::EarlyMedia, Sign::Ringing),
            (State::InCall, Sign::Talking),
            (State::OnHold, Sign::OnHold),
            (State::OnRemoteHold, Sign::OnHold),
            (State::Cancelled, Sign::Idle),
            (State::Ended, Sign::Idle),
        ] {
            let mut view = view([Connection::Connected]);
            view.call = Some(call(state));
            assert_eq!(of(&view), sign, "{state}");
        }
    }

    #[test]
    fn a_call_goes_before_trouble_and_stopping_before_all() {
        let mut view = view([lost()]);
        view.call = Some(call(State::InCall));
        view.faults.insert(Device::Camera, "unplugged".into());
        assert_eq!(of(&view), Sign::Talking);
        view.door_open = true;
        assert_eq!(of(&view), Sign::Open);
        view.stopping = true;
        assert_eq!(of(&view), Sign::Stopping);
    }

    #[test]
    fn the_first_broken_device_shows_when_idle() {
        let mut view = view([Connection::Connected]);
        view.faults.insert(Device::Speaker, "gone".into());
        view.faults.insert(Device::Microphone, "gone".into());
        assert_eq!(of(&view), Sign::Fault(Device::Microphone));
    }

    #[test]
    fn an_update_shows_while_nothing_else_is_to_be_told() {
        let mut view = view([Connection::Connected]);
        view.updating = true;
        assert_eq!(of(&view), Sign::Updating);
        view.call = Some(call(State::Ringing));
        assert_eq!(of(&view), Sign::Ringing);
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = Sign::ALL.iter().map(|s| s.name()).collect();
        assert_eq!(names.len(), Sign::ALL.len());
    }

    fn view<const N: usize>(connections: [Connection; N]) -> View {
        let named = connections
            .into_iter()
            .enumerate()
            .map(|(n, c)| (AccountId::new(format!("account{n}")), c));
        View {
            connections: named.collect(),
            ..View::default()
        }
    }

    fn call(state: State) -> CallView {
        CallView {
            id: CallId::new("c1"),
            direction: Direction::Outgoing,
            state,
            peers: Vec::new(),
            made: crate::clock::now(),
            started: None,
        }
    }

    fn lost() -> Connection {
        Connection::Lost(failure())
    }

    fn failure() -> Failure {
        Failure {
            code: "authentication:2".into(),
            message: "no answer".into(),
        }
    }
}
