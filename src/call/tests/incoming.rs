//! Somebody calls the door.

use super::*;

#[test]
fn an_incoming_call_is_answered_by_the_button() {
    let (mut bench, leg) = Bench::incoming();
    assert_eq!(bench.signals(&leg), [&SignalOrder::Ring]);
    bench.press(Button::Answer);
    bench.press(Button::Answer);
    bench.media(
        &leg,
        Media::AnswerReady {
            answer: sdp("answer"),
            held: false,
        },
    );
    assert_eq!(bench.states(), ["IN_CALL"]);
    assert_eq!(
        bench.signals(&leg),
        [&SignalOrder::Ring, &SignalOrder::Answer(sdp("answer"))]
    );
    bench.media(&leg, Media::Connected);
    bench.signal(&leg, ended("200"));
    assert_eq!(bench.states(), ["IN_CALL", "ENDED"]);
    assert_eq!(bench.last_change().1.as_deref(), Some("200"));
}

#[test]
fn an_incoming_call_without_an_offer_gets_ours_and_takes_the_answer() {
    let mut bench = Bench::ringing(&[ALICE]);
    let leg = LegId::new("home/in/1");
    bench.feed(Input::Incoming(call_from_bob(&leg, None)));
    bench.press(Button::Answer);
    bench.media(&leg, Media::OfferReady(sdp("our offer")));
    bench.signal(&leg, Signal::Responded(sdp("their answer")));
    bench.media(&leg, Media::AnswerApplied { held: false });
    assert!(
        bench
            .signals(&leg)
            .contains(&&SignalOrder::Answer(sdp("our offer")))
    );
    assert!(bench.has(&Output::Media(
        leg.clone(),
        MediaOrder::Apply(sdp("their answer"))
    )));
    assert_eq!(bench.states(), ["IN_CALL"]);
}

#[test]
fn an_incoming_call_is_rejected_ignored_cancelled_or_answered_elsewhere() {
    let (mut bench, leg) = Bench::incoming();
    bench.press(Button::Reject);
    assert_eq!(bench.signals(&leg).last(), Some(&&SignalOrder::Reject));
    assert_eq!(bench.last_change().1.as_deref(), Some("9902"));

    let (mut bench, leg) = Bench::incoming();
    bench.feed(Input::Asked(Request::Ignore(CallId::new("call-1"))));
    assert_eq!(bench.signals(&leg).last(), Some(&&SignalOrder::Forget));
    assert_eq!(bench.last_change().1.as_deref(), Some("9903"));

    let (mut bench, leg) = Bench::incoming();
    bench.signal(&leg, ended("487"));
    assert_eq!(bench.last_change().0, State::Ended);

    let (mut bench, leg) = Bench::incoming();
    bench.signal(&leg, Signal::AnsweredElsewhere);
    assert_eq!(bench.last_change().0, State::Cancelled);
    assert_eq!(bench.last_change().1.as_deref(), Some("9904"));
}

#[test]
fn an_incoming_call_nobody_takes_or_cancels_stops_ringing_by_itself() {
    let (mut bench, leg) = Bench::incoming();
    bench.wait(Duration::from_secs(119));
    assert_eq!(bench.last_change().0, State::Ended);
    assert_eq!(bench.signals(&leg).last(), Some(&&SignalOrder::Reject));
}
