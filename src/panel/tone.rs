//! Which tone the door plays, as a pure function of the published view.
//!
//! The station orders the tone from the media engine whenever the result changes,
//! and [`of_denied`] once when a press could not be carried out.

use crate::call::{CallView, Direction, LastCall, State, View};
use crate::media::Tone;

/// The tone of a view; `None` is silence. One-shots stay the answer for as long as
/// the view does: they are ordered once, at the change.
pub fn of(view: &View) -> Option<Tone> {
    if view.stopping {
        return None;
    }
    if view.door_open {
        return Some(Tone::Open);
    }
    match &view.call {
        Some(call) if !call.state.is_over() => of_call(call),
        Some(_) | None => view.last.as_ref().and_then(of_last),
    }
}

/// What is ordered when the view changes; `None` when nothing is.
///
/// A one-shot that was heard before the door was released is not heard again when
/// the release is over.
pub fn on_change(before: &View, after: &View) -> Option<Option<Tone>> {
    let (was, is) = (of(before), of(after));
    if was == is {
        return None;
    }
    let closed = View {
        door_open: false,
        ..before.clone()
    };
    let heard = before.door_open && of(&closed) == is && is != Some(Tone::RingBack);
    Some(if heard { None } else { is })
}

/// The tone that answers a press which the core denied: a low pair when nobody can
/// be called, and silence when a call is under way, which the press must not
/// disturb.
pub fn of_denied(view: &View) -> Option<Tone> {
    match &view.call {
        Some(call) if !call.state.is_over() => None,
        Some(_) | None => Some(Tone::Fault),
    }
}

fn of_call(call: &CallView) -> Option<Tone> {
    match (call.state, call.direction) {
        (State::Initiating | State::Initiated, _) => Some(Tone::Chime),
        (State::Ringing, Direction::Outgoing) => Some(Tone::RingBack),
        (State::Ringing, Direction::Incoming) => Some(Tone::Chime),
        (State::InCall, _) => Some(Tone::Talk),
        // The far end brings its own sound, or wants none.
        (
            State::EarlyMedia
            | State::OnHold
            | State::OnRemoteHold
            | State::Cancelled
            | State::Ended,
            _,
        ) => None,
    }
}

/// The tone after a call, by the codes of protocol section 6.5.
fn of_last(last: &LastCall) -> Option<Tone> {
    if last.direction == Direction::Incoming && !last.answered {
        // No visitor waits for an answer.
        return None;
    }
    match last.code.as_str() {
        "200" | "487" if last.answered => Some(Tone::Ended),
        // Ended, cancelled, refused or ignored by somebody who meant it.
        "200" | "487" | "9901" | "9902" | "9903" | "9904" | "9905" | "9906" | "9907" => None,
        // Busy, refused, nobody there, no answer, no reason given.
        "486" | "603" | "600" | "480" | "408" | "9900" if !last.answered => Some(Tone::Busy),
        _ => Some(Tone::Fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::CallId;

    #[test]
    fn a_press_chimes_then_rings_back_then_invites_to_talk() {
        let tones = [
            State::Initiating,
            State::Initiated,
            State::Ringing,
            State::InCall,
            State::OnHold,
        ]
        .map(|state| of(&in_call(state, Direction::Outgoing)));
        assert_eq!(
            tones,
            [
                Some(Tone::Chime),
                Some(Tone::Chime),
                Some(Tone::RingBack),
                Some(Tone::Talk),
                None
            ]
        );
    }

    #[test]
    fn a_call_to_the_door_chimes() {
        let view = in_call(State::Ringing, Direction::Incoming);
        assert_eq!(of(&view), Some(Tone::Chime));
    }

    #[test]
    fn early_media_brings_its_own_sound() {
        assert_eq!(of(&in_call(State::EarlyMedia, Direction::Outgoing)), None);
    }

    #[test]
    fn how_a_call_ended_can_be_heard() {
        for (code, answered, tone) in [
            ("200", true, Some(Tone::Ended)),
            ("200", false, None),
            ("9901", false, None),
            ("487", false, None),
            ("486", false, Some(Tone::Busy)),
            ("603", false, Some(Tone::Busy)),
            ("480", false, Some(Tone::Busy)),
            ("480", true, Some(Tone::Fault)),
            ("404", false, Some(Tone::Fault)),
            ("42", true, Some(Tone::Fault)),
            ("authentication:2", false, Some(Tone::Fault)),
        ] {
            assert_eq!(of(&after(code, answered)), tone, "{code} {answered}");
        }
    }

    #[test]
    fn a_new_call_silences_the_last_one() {
        let mut view = after("486", false);
        view.call = in_call(State::InCall, Direction::Incoming).call;
        assert_eq!(of(&view), Some(Tone::Talk));
    }

    #[test]
    fn a_denied_press_is_heard_unless_people_talk() {
        assert_eq!(of_denied(&View::default()), Some(Tone::Fault));
        assert_eq!(
            of_denied(&in_call(State::InCall, Direction::Incoming)),
            None
        );
    }

    #[test]
    fn a_released_door_is_heard_and_what_was_heard_before_it_is_not_repeated() {
        let open = |view: &View| View {
            door_open: true,
            ..view.clone()
        };
        let talking = in_call(State::InCall, Direction::Outgoing);
        let ringing = in_call(State::Ringing, Direction::Outgoing);
        let busy = after("486", false);
        for (before, opened, back) in [
            (&talking, Some(Tone::Open), None),
            (&busy, Some(Tone::Open), None),
            (&ringing, Some(Tone::Open), Some(Tone::RingBack)),
        ] {
            assert_eq!(on_change(before, &open(before)), Some(opened));
            assert_eq!(on_change(&open(before), before), Some(back));
        }
        // Answered while it was open: that was not heard yet.
        assert_eq!(on_change(&open(&ringing), &talking), Some(Some(Tone::Talk)));
        assert_eq!(on_change(&talking, &talking), None);
    }

    #[test]
    fn a_station_going_down_is_silent() {
        let mut view = in_call(State::Ringing, Direction::Outgoing);
        view.stopping = true;
        assert_eq!(of(&view), None);
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

    fn after(code: &str, answered: bool) -> View {
        View {
            last: Some(LastCall {
                id: CallId::new("c1"),
                direction: Direction::Outgoing,
                ended: crate::clock::now(),
                code: code.into(),
                reason: "over".into(),
                answered,
            }),
            ..View::default()
        }
    }
}
