//! In the middle of a call: hold, mute, digits.

use super::*;

#[test]
fn we_hold_and_take_back() {
    let (mut bench, leg) = Bench::in_call();
    bench.press(Button::Hold);
    bench.media(&leg, Media::OfferReady(sdp("hold")));
    assert_eq!(bench.signals(&leg), [&SignalOrder::Update(sdp("hold"))]);
    bench.signal(&leg, Signal::Responded(sdp("held")));
    bench.media(&leg, Media::AnswerApplied { held: false });
    assert_eq!(bench.states(), ["ON_HOLD"]);
    assert_eq!(bench.flow(), Flow::default());
    bench.press(Button::Unhold);
    bench.media(&leg, Media::OfferReady(sdp("back")));
    bench.signal(&leg, Signal::Responded(sdp("ok")));
    bench.media(&leg, Media::AnswerApplied { held: false });
    assert_eq!(bench.states(), ["ON_HOLD", "IN_CALL"]);
    assert!(bench.flow().microphone);
}

#[test]
fn a_far_end_that_is_away_is_offered_another_way_and_nothing_else_changes() {
    let (mut bench, leg) = Bench::in_call();
    bench.media(&leg, Media::Away);
    // Once is enough.
    bench.media(&leg, Media::Away);
    bench.media(&leg, Media::OfferReady(sdp("restart")));
    assert_eq!(bench.signals(&leg), [&SignalOrder::Update(sdp("restart"))]);
    bench.signal(&leg, Signal::Responded(sdp("here")));
    bench.media(&leg, Media::AnswerApplied { held: false });
    assert!(bench.states().is_empty());
    assert!(bench.flow().microphone);
}

#[test]
fn the_peer_holds_and_takes_back() {
    let (mut bench, leg) = Bench::in_call();
    for (held, state) in [(true, "ON_REMOTE_HOLD"), (false, "IN_CALL")] {
        bench.signal(&leg, Signal::UpdateOffered(Some(sdp("offer"))));
        let answer = sdp("answer");
        bench.media(&leg, Media::AnswerReady { answer, held });
        assert_eq!(bench.states().last(), Some(&state));
        assert_eq!(bench.flow().microphone, !held);
        assert!(bench.flow().speaker);
    }
    assert_eq!(bench.signals(&leg).len(), 2);
}

#[test]
fn held_by_both_stays_on_hold_until_both_take_back() {
    let (mut bench, leg) = Bench::in_call();
    bench.signal(&leg, Signal::UpdateOffered(Some(sdp("offer"))));
    let answer = || sdp("answer");
    bench.media(
        &leg,
        Media::AnswerReady {
            answer: answer(),
            held: true,
        },
    );
    bench.press(Button::Hold);
    bench.media(&leg, Media::OfferReady(sdp("hold")));
    bench.signal(&leg, Signal::Responded(sdp("held")));
    bench.media(&leg, Media::AnswerApplied { held: false });
    assert_eq!(bench.states(), ["ON_REMOTE_HOLD", "ON_HOLD"]);
    bench.signal(&leg, Signal::UpdateOffered(Some(sdp("offer"))));
    bench.media(
        &leg,
        Media::AnswerReady {
            answer: answer(),
            held: false,
        },
    );
    assert_eq!(bench.calls.view().call.expect("up").state, State::OnHold);
}

#[test]
fn a_hold_that_crosses_the_peers_offer_is_sent_again_after_the_named_time() {
    let (mut bench, leg) = Bench::in_call();
    bench.press(Button::Hold);
    bench.media(&leg, Media::OfferReady(sdp("hold 1")));
    bench.signal(&leg, Signal::UpdateOffered(Some(sdp("theirs"))));
    bench.signal(
        &leg,
        Signal::UpdateRefused {
            retry_after: Some(Duration::from_secs(2)),
            failure: failure("49"),
        },
    );
    bench.media(
        &leg,
        Media::AnswerReady {
            answer: sdp("ours"),
            held: false,
        },
    );
    bench.media(&leg, Media::OfferReady(sdp("hold 2")));
    bench.wait(Duration::from_secs(2));
    bench.media(&leg, Media::OfferReady(sdp("hold 2")));
    let orders = bench.signals(&leg);
    assert!(orders.contains(&&SignalOrder::Respond(sdp("ours"))));
    assert_eq!(orders.last(), Some(&&SignalOrder::Update(sdp("hold 2"))));
}

#[test]
fn a_hold_that_is_refused_leaves_the_call_as_it_was() {
    let (mut bench, leg) = Bench::in_call();
    bench.press(Button::Hold);
    bench.media(&leg, Media::OfferReady(sdp("hold")));
    bench.signal(
        &leg,
        Signal::UpdateRefused {
            retry_after: None,
            failure: failure("26"),
        },
    );
    assert_eq!(bench.states(), [""; 0]);
    assert_eq!(bench.calls.view().call.expect("up").state, State::InCall);
    bench.press(Button::Hold);
    assert!(bench.has(&Output::Media(leg, MediaOrder::Reoffer { hold: true })));
}

#[test]
fn a_hold_that_nobody_answers_can_be_tried_again() {
    let (mut bench, leg) = Bench::in_call();
    bench.press(Button::Hold);
    bench.media(&leg, Media::OfferReady(sdp("hold")));
    bench.wait(Duration::from_secs(15));
    bench.out.clear();
    bench.press(Button::Hold);
    assert!(bench.has(&Output::Media(leg, MediaOrder::Reoffer { hold: true })));
}

#[test]
fn digits_go_to_media_in_a_call_that_nobody_holds_and_come_as_events() {
    let (mut bench, leg) = Bench::in_call();
    let digits = Digits::parse("12#").expect("digits");
    let dial = Input::Asked(Request::SendDigits(CallId::new("call-1"), digits.clone()));
    bench.feed(dial.clone());
    assert_eq!(
        bench.out,
        [Output::Media(leg.clone(), MediaOrder::SendDigits(digits))]
    );
    let digit = Digit::new('7').expect("a key");
    bench.media(&leg, Media::Digit(digit));
    assert!(bench.has(&Output::Event(Event::Digit {
        call: CallId::new("call-1"),
        digit
    })));

    bench.media(&leg, Media::DigitsFailed(failure("call:5")));
    assert_eq!(bench.calls.view().call.expect("up").state, State::InCall);
    bench.signal(&leg, Signal::UpdateOffered(Some(sdp("hold"))));
    let answer = sdp("held");
    bench.media(&leg, Media::AnswerReady { answer, held: true });
    bench.out.clear();
    bench.feed(dial);
    assert!(matches!(
        &bench.out[..],
        [Output::Event(Event::CallError { failure, .. })] if failure.code == "call:6"
    ));
}

#[test]
fn mute_stops_the_microphone_alone_and_outlives_a_hold() {
    let (mut bench, leg) = Bench::in_call();
    let mute = |on| Input::Asked(Request::Mute(CallId::new("call-1"), on));
    bench.feed(mute(true));
    let muted = Flow {
        microphone: false,
        speaker: true,
        picture: true,
    };
    assert_eq!(bench.flow(), muted);
    assert!(bench.calls.call(&CallId::new("call-1")).expect("up").muted);
    for hold in [Button::Hold, Button::Unhold] {
        bench.press(hold);
        bench.media(&leg, Media::OfferReady(sdp("hold")));
        bench.signal(&leg, Signal::Responded(sdp("held")));
        bench.media(&leg, Media::AnswerApplied { held: false });
    }
    assert_eq!(bench.states(), ["ON_HOLD", "IN_CALL"]);
    assert_eq!(bench.flow(), muted);
    bench.feed(mute(false));
    assert!(bench.flow().microphone);
}

#[test]
fn a_call_that_was_muted_before_the_answer_begins_muted() {
    let (mut bench, leg) = Bench::incoming();
    bench.feed(Input::Asked(Request::Mute(CallId::new("call-1"), true)));
    bench.press(Button::Answer);
    let answer = sdp("answer");
    bench.media(
        &leg,
        Media::AnswerReady {
            answer,
            held: false,
        },
    );
    assert!(!bench.flow().microphone);
    assert!(bench.flow().speaker);
}

#[test]
fn our_picture_goes_and_comes_by_offers_of_ours() {
    let (mut bench, leg) = Bench::in_call();
    let call = bench.calls.view().call.expect("up").id;
    let offers = |bench: &Bench| {
        let reoffer = |output: &&Output| {
            matches!(
                output,
                Output::Media(_, MediaOrder::Reoffer { hold: false })
            )
        };
        bench.out.iter().filter(reoffer).count()
    };
    for (n, on) in [false, true].into_iter().enumerate() {
        bench.feed(Input::Asked(Request::Video(call.clone(), on)));
        assert!(bench.has(&Output::Media(leg.clone(), MediaOrder::Picture(on))));
        assert_eq!(bench.flow().picture, on);
        bench.media(&leg, Media::OfferReady(sdp("picture")));
        bench.signal(&leg, Signal::Responded(sdp("ok")));
        bench.media(&leg, Media::AnswerApplied { held: false });
        assert_eq!(offers(&bench), n + 1);
        assert_eq!(bench.flow().picture, on);
        assert!(bench.flow().microphone);
    }
    assert_eq!(bench.states(), [""; 0], "it stays IN_CALL");
    // What is so already changes nothing.
    bench.feed(Input::Asked(Request::Video(call, true)));
    assert_eq!(offers(&bench), 2);
}

#[test]
fn a_picture_that_crosses_the_peers_offer_is_offered_again() {
    let (mut bench, leg) = Bench::in_call();
    let call = bench.calls.view().call.expect("up").id;
    bench.feed(Input::Asked(Request::Video(call, false)));
    bench.media(&leg, Media::OfferReady(sdp("without 1")));
    let refused = Signal::UpdateRefused {
        retry_after: Some(Duration::from_secs(2)),
        failure: failure("49"),
    };
    bench.signal(&leg, refused);
    bench.wait(Duration::from_secs(2));
    bench.media(&leg, Media::OfferReady(sdp("without 2")));
    let orders = bench.signals(&leg);
    assert_eq!(orders.last(), Some(&&SignalOrder::Update(sdp("without 2"))));
}
