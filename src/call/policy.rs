//! What a button means now, and which of several endings is told.

use super::{Button, Direction, Make, Record, Request, RingStep, Settings, State};

/// What shall be done about a button.
pub(super) enum Decision {
    /// Do this.
    Do(Request),
    /// It is already under way: nothing to do, nothing to say.
    Ignore,
    /// It cannot be done, and why: one sentence.
    Deny(&'static str),
}

/// The meaning of `button` while `call` is up.
pub(super) fn press(button: Button, call: Option<&Record>, settings: &Settings) -> Decision {
    let Some(call) = call else {
        return match button {
            Button::Bell => ring(&settings.ring, settings),
            Button::BellWith(plan) => ring(
                settings.plans.get(plan).map_or(&[], Vec::as_slice),
                settings,
            ),
            Button::Answer | Button::Reject => Decision::Deny("nobody is calling"),
            Button::End | Button::Hold | Button::Unhold => Decision::Deny("there is no call"),
        };
    };
    let alerting = call.direction == Direction::Incoming && call.state == State::Ringing;
    match (button, call.state) {
        (Button::Bell | Button::BellWith(_), _) => Decision::Ignore,
        (Button::Answer, _) if alerting => {
            Decision::Do(Request::Answer(call.id.clone(), settings.wish))
        }
        (Button::Answer, State::InCall | State::OnHold | State::OnRemoteHold) => Decision::Ignore,
        (Button::Answer, _) => Decision::Deny("nobody is calling"),
        (Button::Reject, _) if alerting => Decision::Do(Request::Reject(call.id.clone())),
        (Button::Reject, _) => Decision::Deny("nobody is calling"),
        (Button::End, _) if alerting => Decision::Do(Request::Reject(call.id.clone())),
        (Button::End, _) => Decision::Do(Request::End(call.id.clone())),
        (Button::Hold, State::OnHold) => Decision::Ignore,
        (Button::Unhold, State::InCall) => Decision::Ignore,
        (Button::Hold, _) => Decision::Do(Request::Hold(call.id.clone())),
        (Button::Unhold, _) => Decision::Do(Request::Unhold(call.id.clone())),
    }
}

fn ring(plan: &[RingStep], settings: &Settings) -> Decision {
    if plan.iter().all(|step| step.targets.is_empty()) {
        return Decision::Deny("nobody to ring: add names to ring in the configuration");
    }
    Decision::Do(Request::Make(Make {
        call: None,
        plan: plan.to_vec(),
        wish: settings.wish,
        parameters: settings.parameters.clone(),
    }))
}

/// Of the endings of several legs the one that tells most: somebody said no,
/// somebody was busy, somebody let it ring, and only then that somebody could
/// not be reached.
pub(super) fn more_telling<'a>(
    a: &'a (String, String),
    b: &'a (String, String),
) -> &'a (String, String) {
    let rank = |code: &str| match code {
        "603" => 0,
        "486" => 1,
        "480" => 2,
        "404" => 3,
        _ => 4,
    };
    if rank(&b.0) < rank(&a.0) { b } else { a }
}
