//! What a wired button does, by where the station stands. Pure.
//!
//! The panel proposes, the core decides: an action that cannot be carried out when
//! it arrives is denied or ignored there.

use crate::call::{Button, Direction, State, View};

/// What a button can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ring: everybody of `[call]`, or the ring plan with this place in
    /// `Settings::plans` of the core.
    Call(Option<usize>),
    /// Take the call that arrives.
    Answer,
    /// Refuse it.
    Reject,
    /// End or cancel the call.
    End,
    /// Answer when somebody calls, end in a call, otherwise call. While our own call
    /// still rings it calls, which changes nothing: visitors press more than once.
    Toggle(Option<usize>),
    /// Light the entrance for a while.
    Light,
    /// Nothing.
    None,
}

impl Action {
    /// The words of configurations and board files.
    pub const WORDS: [(&'static str, Action); 7] = [
        ("call", Action::Call(None)),
        ("answer", Action::Answer),
        ("reject", Action::Reject),
        ("end", Action::End),
        ("toggle", Action::Toggle(None)),
        ("light", Action::Light),
        ("none", Action::None),
    ];

    /// The same action, ringing by `plan` if it rings.
    pub fn with_plan(self, plan: usize) -> Action {
        match self {
            Action::Call(_) => Action::Call(Some(plan)),
            Action::Toggle(_) => Action::Toggle(Some(plan)),
            Action::Answer | Action::Reject | Action::End | Action::Light | Action::None => self,
        }
    }
}

/// What one button does in each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actions {
    /// While there is no call.
    pub idle: Action,
    /// While our call rings, or is being placed.
    pub calling: Action,
    /// While somebody calls the door.
    pub ringing: Action,
    /// While people talk, or one of them holds.
    pub talking: Action,
}

impl Actions {
    /// The same in every state.
    pub fn always(action: Action) -> Self {
        Self {
            idle: action,
            calling: action,
            ringing: action,
            talking: action,
        }
    }
}

/// What is to be done about a press.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Tell the station.
    Press(Button),
    /// Light the entrance.
    Light,
    /// Nothing.
    Nothing,
}

/// The meaning of a press while `view` is published.
pub fn of(actions: Actions, view: &View) -> Deed {
    let call = view.call.as_ref().filter(|call| !call.state.is_over());
    let state = call.map(|call| (call.state, call.direction));
    let action = match state {
        None => actions.idle,
        Some((State::InCall | State::OnHold | State::OnRemoteHold, _)) => actions.talking,
        Some((_, Direction::Incoming)) => actions.ringing,
        Some((_, Direction::Outgoing)) => actions.calling,
    };
    match action {
        Action::Call(plan) => call_by(plan),
        Action::Answer => Deed::Press(Button::Answer),
        Action::Reject => Deed::Press(Button::Reject),
        Action::End => Deed::Press(Button::End),
        Action::Toggle(plan) => match state {
            Some((State::InCall | State::OnHold | State::OnRemoteHold, _)) => {
                Deed::Press(Button::End)
            }
            Some((_, Direction::Incoming)) => Deed::Press(Button::Answer),
            Some((_, Direction::Outgoing)) | None => call_by(plan),
        },
        Action::Light => Deed::Light,
        Action::None => Deed::Nothing,
    }
}

fn call_by(plan: Option<usize>) -> Deed {
    Deed::Press(plan.map_or(Button::Bell, Button::BellWith))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{CallId, CallView};

    #[test]
    fn toggle_answers_ends_and_otherwise_calls() {
        let toggle = Actions::always(Action::Toggle(Some(1)));
        let bell = Deed::Press(Button::BellWith(1));
        assert_eq!(of(toggle, &View::default()), bell);
        for (state, direction, want) in [
            (State::Initiating, Direction::Outgoing, bell),
            (State::Ringing, Direction::Outgoing, bell),
            (
                State::Ringing,
                Direction::Incoming,
                Deed::Press(Button::Answer),
            ),
            (State::InCall, Direction::Incoming, Deed::Press(Button::End)),
            (State::OnHold, Direction::Outgoing, Deed::Press(Button::End)),
            (State::Ended, Direction::Outgoing, bell),
        ] {
            assert_eq!(of(toggle, &in_call(state, direction)), want, "{state}");
        }
    }

    #[test]
    fn a_button_can_mean_something_else_in_each_state() {
        let actions = Actions {
            idle: Action::Call(None),
            calling: Action::None,
            ringing: Action::Reject,
            talking: Action::Light,
        };
        for (view, want) in [
            (View::default(), Deed::Press(Button::Bell)),
            (in_call(State::Ringing, Direction::Outgoing), Deed::Nothing),
            (
                in_call(State::Ringing, Direction::Incoming),
                Deed::Press(Button::Reject),
            ),
            (
                in_call(State::OnRemoteHold, Direction::Incoming),
                Deed::Light,
            ),
        ] {
            assert_eq!(of(actions, &view), want);
        }
    }

    fn in_call(state: State, direction: Direction) -> View {
        View {
            call: Some(CallView {
                id: CallId::new("c1"),
                direction,
                state,
                peers: Vec::new(),
                made: crate::clock::now(),
                started: None,
            }),
            ..View::default()
        }
    }
}
