//! Whom the bell rings: in parallel, in sequence, over several accounts.

use super::*;

#[test]
fn the_first_answer_wins_and_the_others_are_cancelled() {
    let mut bench = Bench::ringing(&[ALICE, BOB]);
    let (a, b) = (leg(1, 0), leg(1, 1));
    bench.press(Button::Bell);
    for leg in [&a, &b] {
        bench.media(leg, Media::OfferReady(sdp("offer")));
        bench.signal(leg, Signal::Started);
        bench.signal(leg, Signal::Ringing);
    }
    bench.signal(&b, Signal::Responded(sdp("answer")));
    assert!(matches!(
        bench.signals(&a).last(),
        Some(SignalOrder::End(_))
    ));
    assert!(bench.has(&Output::Media(a.clone(), MediaOrder::Close)));
    assert_eq!(
        bench.calls.view().call.expect("up").peers,
        [Address::new(BOB)]
    );
    // The loser's late news changes nothing.
    bench.signal(&a, ended("487"));
    bench.signal(&a, Signal::Responded(sdp("late")));
    assert_eq!(bench.calls.view().call.expect("up").state, State::InCall);
}

#[test]
fn one_refusal_lets_the_others_ring_on_and_the_most_telling_end_is_told() {
    let mut bench = Bench::ringing(&[ALICE, BOB]);
    let (a, b) = (leg(1, 0), leg(1, 1));
    bench.press(Button::Bell);
    for leg in [&a, &b] {
        bench.media(leg, Media::OfferReady(sdp("offer")));
        bench.signal(leg, Signal::Started);
    }
    bench.signal(&a, ended("603"));
    assert!(bench.calls.view().call.is_some());
    bench.signal(&b, ended("404"));
    assert_eq!(bench.last_change().1.as_deref(), Some("603"));
}

#[test]
fn a_second_bell_rings_by_its_own_plan() {
    let mut bench = Bench::ringing(&[ALICE]);
    bench.calls.settings.plans = vec![Vec::new(), vec![step(&[BOB], Duration::from_secs(30))]];
    bench.press(Button::BellWith(1));
    assert_eq!(
        bench.calls.view().call.expect("up").peers,
        [Address::new(BOB)]
    );
    bench.out.clear();
    // The first bell changes nothing while the second one rings, nor the other way.
    bench.press(Button::Bell);
    bench.press(Button::BellWith(1));
    assert_eq!(bench.out, []);
}

#[test]
fn a_bell_without_a_plan_says_so() {
    let mut bench = Bench::ringing(&[ALICE]);
    for plan in [0, 7] {
        bench.press(Button::BellWith(plan));
        assert!(
            bench
                .denied()
                .expect("denied")
                .starts_with("nobody to ring")
        );
    }
}

#[test]
fn nobody_answers_in_the_ring_time() {
    let mut bench = Bench::ringing(&[ALICE]);
    let leg = leg(1, 0);
    bench.press(Button::Bell);
    bench.media(&leg, Media::OfferReady(sdp("offer")));
    bench.signal(&leg, Signal::Started);
    bench.signal(&leg, Signal::Ringing);
    bench.wait(Duration::from_secs(59));
    assert!(bench.calls.view().call.is_some());
    bench.wait(Duration::from_secs(1));
    assert_eq!(bench.last_change().1.as_deref(), Some("480"));
    assert!(matches!(
        bench.signals(&leg).last(),
        Some(SignalOrder::End(_))
    ));
}

#[test]
fn a_press_without_a_connection_ends_at_once_and_says_so() {
    let mut bench = Bench::offline(&[ALICE]);
    bench.press(Button::Bell);
    assert_eq!(bench.last_change().0, State::Ended);
    assert!(bench.out.iter().any(
        |output| matches!(output, Output::Event(Event::CallError { failure, .. })
            if failure.message.contains(ALICE))
    ));
    assert_eq!(bench.calls.deadline(), None);
}

const CAROL: &str = "carol@cloud.example";

/// Alice and Bob at home for 20 s, then Carol in the cloud for 30 s.
fn two_steps() -> Bench {
    let carol = Target {
        account: cloud(),
        to: Address::new(CAROL),
    };
    let later = RingStep {
        targets: vec![carol],
        time: Duration::from_secs(30),
    };
    let mut bench = Bench::planned(vec![step(&[ALICE, BOB], Duration::from_secs(20)), later]);
    for account in [home(), cloud()] {
        bench.feed(Input::Connection(account, Connection::Connected));
    }
    bench.out.clear();
    bench
}

fn cloud() -> AccountId {
    AccountId::new("cloud")
}

fn ring(bench: &mut Bench, leg: &LegId) {
    bench.media(leg, Media::OfferReady(sdp("offer")));
    bench.signal(leg, Signal::Started);
    bench.signal(leg, Signal::Ringing);
}

#[test]
fn the_next_step_rings_when_nobody_answers_and_the_last_one_ends_the_call() {
    let mut bench = two_steps();
    bench.press(Button::Bell);
    let (a, b, c) = (leg(1, 0), leg(1, 1), leg(1, 2));
    ring(&mut bench, &a);
    ring(&mut bench, &b);
    bench.wait(Duration::from_secs(19));
    assert!(bench.signals(&c).is_empty());
    bench.wait(Duration::from_secs(1));
    for leg in [&a, &b] {
        assert!(matches!(
            bench.signals(leg).last(),
            Some(SignalOrder::End(_))
        ));
        assert!(bench.has(&Output::Media(leg.clone(), MediaOrder::Close)));
    }
    ring(&mut bench, &c);
    assert!(matches!(
        bench.signals(&c)[..],
        [SignalOrder::Start { target, .. }] if target.account == cloud()
    ));
    assert_eq!(
        bench.calls.view().call.expect("up").peers,
        [Address::new(CAROL)]
    );
    // The first step's late news changes nothing.
    bench.signal(&a, Signal::Responded(sdp("late")));
    bench.wait(Duration::from_secs(29));
    assert_eq!(bench.calls.view().call.expect("up").state, State::Ringing);
    bench.wait(Duration::from_secs(1));
    assert_eq!(bench.states(), ["INITIATED", "RINGING", "ENDED"]);
    assert_eq!(bench.last_change().1.as_deref(), Some("480"));
}

#[test]
fn an_answer_in_the_second_step_is_an_answer() {
    let mut bench = two_steps();
    bench.press(Button::Bell);
    bench.wait(Duration::from_secs(12));
    // Nothing could be set up in the first step.
    let c = leg(1, 2);
    ring(&mut bench, &c);
    bench.signal(&c, Signal::Responded(sdp("answer")));
    bench.media(&c, Media::AnswerApplied { held: false });
    bench.media(&c, Media::Connected);
    assert_eq!(bench.states(), ["INITIATED", "RINGING", "IN_CALL"]);
    let record = bench.calls.call(&CallId::new("call-1")).expect("up");
    assert_eq!(record.to.as_str(), CAROL);
    bench.wait(Duration::from_secs(60));
    assert_eq!(bench.calls.view().call.expect("up").state, State::InCall);
}

#[test]
fn a_step_in_which_nobody_is_left_is_over_at_once() {
    let mut bench = two_steps();
    bench.press(Button::Bell);
    for (leg, code) in [(leg(1, 0), "486"), (leg(1, 1), "603")] {
        ring(&mut bench, &leg);
        bench.signal(&leg, ended(code));
    }
    let c = leg(1, 2);
    ring(&mut bench, &c);
    bench.signal(&c, ended("404"));
    assert_eq!(bench.last_change().1.as_deref(), Some("603"));
}

#[test]
fn a_step_whose_account_is_away_is_left_out() {
    let mut bench = two_steps();
    bench.feed(Input::Connection(
        home(),
        Connection::Lost(failure("authentication:2")),
    ));
    bench.press(Button::Bell);
    ring(&mut bench, &leg(1, 0));
    assert_eq!(
        bench.calls.view().call.expect("up").peers,
        [Address::new(CAROL)]
    );
    let errors = bench
        .out
        .iter()
        .filter(|output| matches!(output, Output::Event(Event::CallError { .. })));
    assert_eq!(errors.count(), 2);
}

/// The socket may be away for half a minute after it broke; requests still go through.
#[test]
fn an_account_whose_notifications_broke_off_just_now_is_tried() {
    let mut bench = two_steps();
    bench.feed(Input::Connection(
        home(),
        Connection::Lost(failure("subscription:1")),
    ));
    bench.press(Button::Bell);
    ring(&mut bench, &leg(1, 0));
    assert_eq!(
        bench.calls.view().call.expect("up").peers,
        [Address::new(ALICE), Address::new(BOB)]
    );
}

#[test]
fn the_end_button_ends_the_whole_plan() {
    let mut bench = two_steps();
    bench.press(Button::Bell);
    ring(&mut bench, &leg(1, 0));
    bench.press(Button::End);
    bench.out.clear();
    bench.wait(Duration::from_secs(60));
    assert_eq!(bench.out, []);
    assert_eq!(bench.calls.deadline(), None);
}
