//! Carries out what is asked over the socket.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::oneshot;

use super::message::{self, Reply, Request, Status};
use super::{Desk, names};
use crate::call::{Button, CallView, Connection, Device, Event, Input, View};
use crate::ledger::Entry;
use crate::panel::action::{self, Deed};
use crate::report::{device_name, terminal};
use crate::station::{Outcome, Question};
use crate::tasks::Tasks;
use crate::{call, clock, usage};

/// The loop answers at once unless it is stuck; shorter than a client's patience.
const ANSWER: Duration = Duration::from_secs(3);
/// The longest time for which the log says more: to wait for what happens once a day.
const LONGEST_TURN: Duration = Duration::from_secs(24 * 3600);

impl Desk {
    /// Answers everything but `watch`, which only begins here.
    pub(super) async fn answer(&self, request: &Request, tasks: &Tasks) -> Reply {
        match request {
            Request::Status {} => Reply {
                status: Some(Box::new(self.status())),
                ..Reply::yes()
            },
            Request::Watch { .. } => Reply::yes(),
            Request::Call { to } => match self.callees.make(to.as_deref()) {
                Ok(make) => {
                    let input = Input::Asked(call::Request::Make(make));
                    self.ask(input, true).await
                }
                Err(sentence) => Reply::no("unknown", sentence),
            },
            Request::Answer {} => self.ask(Input::Pressed(Button::Answer), false).await,
            Request::Reject {} => self.ask(Input::Pressed(Button::Reject), false).await,
            Request::End {} => self.ask(Input::Pressed(Button::End), false).await,
            Request::Press { button } => match names::button(&self.buttons, button) {
                Ok(actions) => self.press(actions).await,
                Err(sentence) => Reply::no("unknown", sentence),
            },
            Request::Snapshot {} => self.photograph().await,
            Request::LogLevel { filter, seconds } => self.turn_dial(filter, *seconds, tasks),
        }
    }

    async fn photograph(&self) -> Reply {
        let Ok(photographer) = self.photographer.try_lock() else {
            return Reply::no("busy", "another picture is being taken; try again");
        };
        match photographer().await {
            Ok(jpeg) => Reply {
                jpeg: Some(STANDARD.encode(jpeg)),
                ..Reply::yes()
            },
            Err(sentence) => Reply::no("failed", sentence),
        }
    }

    fn turn_dial(&self, filter: &str, seconds: u64, tasks: &Tasks) -> Reply {
        let time = Duration::from_secs(seconds);
        if time > LONGEST_TURN {
            let hours = LONGEST_TURN.as_secs() / 3600;
            return Reply::no(
                "unknown",
                format!("for at most {hours} h: a log that says much fills a card"),
            );
        }
        match self.dial.set(tasks, filter, time) {
            Ok(()) => done(
                &format!("the log says {filter} for {seconds} s, then what it said before"),
                true,
                None,
            ),
            Err(error) => Reply::no("unknown", error.to_string()),
        }
    }

    async fn press(&self, actions: action::Actions) -> Reply {
        let deed = action::of(actions, &self.view.borrow());
        match deed {
            Deed::Press(button) => {
                let rings = matches!(button, Button::Bell | Button::BellWith(_));
                self.ask(Input::Pressed(button), rings).await
            }
            Deed::Light => {
                // Full: it is about to be lit.
                let _ = self.entrance.try_send(());
                done("the entrance is lit", true, None)
            }
            Deed::Nothing => done("this button does nothing now", false, None),
        }
    }

    /// Lets the station's loop take `input`; with `rings`, a call that is over at once
    /// is a failure.
    async fn ask(&self, input: Input, rings: bool) -> Reply {
        let (reply, answer) = oneshot::channel();
        let question = Question::Take { input, reply };
        let asked = async {
            self.questions.send(question).await.ok()?;
            answer.await.ok()
        };
        match tokio::time::timeout(ANSWER, asked).await {
            Ok(Some(outcome)) => told(&outcome, rings, &self.view.borrow()),
            Ok(None) => Reply::no("stopping", "the station is going down"),
            Err(_) => Reply::no("failed", "the station's loop does not answer within 3 s"),
        }
    }

    fn status(&self) -> Status {
        let view = self.view.borrow().clone();
        let about = &self.about;
        let end = about.certificate_end.as_ref().and_then(|end| end());
        let accounts = about.accounts.iter();
        let devices = about.devices.iter();
        Status {
            name: about.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: (clock::now() - about.started).as_secs(),
            standing: terminal::standing(&view),
            can_ring: can_ring(&view),
            page: about.page.as_ref().map(|page| page()),
            accounts: accounts
                .map(|(id, user)| account(id.as_str(), user, view.connections.get(id)))
                .collect(),
            door: about.has_door.then(|| message::Door {
                open: view.door_open,
                relay_fault: view.faults.get(&Device::Relay).cloned(),
                alarm: view.faults.get(&Device::Door).cloned(),
            }),
            devices: devices
                .map(|(device, source)| message::Device {
                    device: device_name(*device).to_owned(),
                    source: source.clone(),
                    fault: view.faults.get(device).cloned(),
                })
                .collect(),
            call: view.call.as_ref().map(present),
            calls: self.ledger.latest().iter().map(past).collect(),
            machine: message::Machine {
                memory_bytes: usage::memory(),
                cpu_s: clock::cpu().as_secs_f64(),
                state_dir: about.state_dir.as_ref().map(|d| d.display().to_string()),
                disk_free_bytes: about.state_dir.as_deref().and_then(usage::free_space),
                certificate_ends: end.and_then(rfc3339),
            },
        }
    }
}

/// What became of an input, in words.
fn told(outcome: &Outcome, rings: bool, view: &View) -> Reply {
    for event in &outcome.events {
        match event {
            Event::Denied(why) => return Reply::no("denied", why),
            Event::Over { reason, code, .. } if rings => {
                return Reply::no("failed", format!("{reason} ({code})"));
            }
            _ => {}
        }
    }
    let call = view.call.as_ref().filter(|call| !call.state.is_over());
    let call = call.map(|call| call.id.to_string());
    match outcome.acted {
        true => done(&terminal::standing(view), true, call),
        false => done("nothing to do: it is under way already", false, call),
    }
}

fn done(message: &str, acted: bool, call_id: Option<String>) -> Reply {
    Reply {
        message: Some(message.to_owned()),
        acted: Some(acted),
        call_id,
        ..Reply::yes()
    }
}

fn can_ring(view: &View) -> bool {
    let mut connections = view.connections.values();
    !view.stopping && connections.any(|connection| *connection == Connection::Connected)
}

fn account(account: &str, user: &str, connection: Option<&Connection>) -> message::Account {
    let (state, failure) = match connection {
        Some(Connection::Connecting) | None => ("connecting", None),
        Some(Connection::Connected) => ("connected", None),
        Some(Connection::Lost(failure)) => ("lost", Some(failure)),
        Some(Connection::Refused(failure)) => ("refused", Some(failure)),
    };
    message::Account {
        account: account.to_owned(),
        user: user.to_owned(),
        state: state.to_owned(),
        message: failure.map(|failure| format!("{} ({})", failure.message, failure.code)),
    }
}

fn present(call: &CallView) -> message::Call {
    message::Call {
        call_id: call.id.to_string(),
        direction: call.direction.name().to_owned(),
        state: call.state.name().to_owned(),
        peers: call.peers.iter().map(ToString::to_string).collect(),
        since_s: clock::now().saturating_duration_since(call.made).as_secs(),
    }
}

fn past(entry: &Entry) -> message::PastCall {
    let moments = entry.moments.iter();
    message::PastCall {
        call_id: entry.call.to_string(),
        began: rfc3339(entry.began).unwrap_or_default(),
        direction: entry.direction.name().to_owned(),
        peer: entry.peer.to_string(),
        result: entry.result.name().to_owned(),
        talked_s: entry.talked.map(|talked| talked.as_secs_f64()),
        code: entry.code.clone(),
        reason: entry.reason.clone(),
        moments_ms: moments
            .map(|(name, took)| ((*name).to_owned(), took.as_micros() as f64 / 1e3))
            .collect(),
    }
}

fn rfc3339(time: SystemTime) -> Option<String> {
    let time = OffsetDateTime::from(time).replace_millisecond(0).ok()?;
    time.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Address, CallId, Direction, State};

    fn calling() -> View {
        View {
            call: Some(CallView {
                id: CallId::new("c1"),
                direction: Direction::Outgoing,
                state: State::Initiating,
                peers: vec![Address::new("alice@home.local")],
                made: clock::now(),
                started: None,
            }),
            ..View::default()
        }
    }

    #[test]
    fn what_the_core_denies_is_told_in_its_words() {
        let outcome = Outcome {
            acted: true,
            events: vec![Event::Denied("nobody is calling".into())],
        };
        let reply = told(&outcome, false, &View::default());
        assert_eq!(reply, Reply::no("denied", "nobody is calling"));
    }

    #[test]
    fn a_call_that_is_over_at_once_failed_but_one_that_is_ended_did_not() {
        let outcome = Outcome {
            acted: true,
            events: vec![Event::Over {
                call: CallId::new("c1"),
                direction: Direction::Outgoing,
                peer: Address::new("alice@home.local"),
                talked: None,
                code: "9900".into(),
                reason: "Nobody could be rung".into(),
            }],
        };
        let reply = told(&outcome, true, &View::default());
        assert_eq!(reply, Reply::no("failed", "Nobody could be rung (9900)"));
        assert!(told(&outcome, false, &View::default()).ok);
    }

    #[test]
    fn what_is_done_names_the_call_and_what_is_not_says_so() {
        let mut outcome = Outcome {
            acted: true,
            events: Vec::new(),
        };
        let reply = told(&outcome, true, &calling());
        assert_eq!(reply, done("calling alice", true, Some("c1".into())));
        outcome.acted = false;
        let reply = told(&outcome, true, &calling());
        assert_eq!((reply.ok, reply.acted), (true, Some(false)));
    }
}
