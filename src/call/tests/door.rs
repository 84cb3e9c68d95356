//! Stories of the door.

use super::*;

const CODE: &str = "4711";
const FIVE: Duration = Duration::from_secs(5);

/// A door of which Alice may open, from the page and from calls; Bob may not.
pub(super) fn door() -> DoorSettings {
    DoorSettings {
        pulse: FIVE,
        hang_up_after: Some(FIVE),
        open_too_long: Duration::from_secs(60),
        forced_alarm: true,
        users: [Address::new(ALICE)].into(),
        parties: [target(ALICE)].into(),
        code: Code::parse(CODE),
    }
}

/// A bench with that door, its relay, and sensors at rest.
pub(super) fn bench(ring: &[&str], door: DoorSettings) -> Bench {
    let mut bench = Bench::with_door(vec![step(ring, RingStep::TIME)], Some(door));
    bench.feed(Input::Connection(home(), Connection::Connected));
    bench.feed(Input::Relay(Relay::Here { link: 1 }));
    bench.feed(Input::Relay(Relay::State { open: false }));
    bench.feed(Input::Sensor(Sensor::RequestToExit, false));
    bench.feed(Input::Sensor(Sensor::DoorContact, false));
    bench.out.clear();
    bench
}

impl Bench {
    fn ring(&mut self) -> LegId {
        let leg = leg(1, 0);
        self.press(Button::Bell);
        self.media(&leg, Media::OfferReady(sdp("offer")));
        self.signal(&leg, Signal::Started);
        self.signal(&leg, Signal::Ringing);
        leg
    }

    fn talk(&mut self) -> LegId {
        let leg = self.ring();
        self.signal(&leg, Signal::Responded(sdp("answer")));
        self.media(&leg, Media::AnswerApplied { held: false });
        self.media(&leg, Media::Connected);
        self.out.clear();
        leg
    }

    fn dial(&mut self, leg: &LegId, keys: &str) {
        for key in keys.chars() {
            self.wait(Duration::from_millis(300));
            self.media(leg, Media::Digit(Digit::new(key).expect("a key")));
        }
    }

    pub(super) fn pulses(&self) -> Vec<u32> {
        let orders = self.out.iter().filter_map(|output| match output {
            Output::Door(DoorOrder::Pulse { number, .. }) => Some(*number),
            _ => None,
        });
        orders.collect()
    }

    fn news(&self) -> Vec<&DoorNews> {
        let news = self.out.iter().filter_map(|output| match output {
            Output::Event(Event::Door(news)) => Some(news),
            _ => None,
        });
        news.collect()
    }

    /// Why the latest attempts were refused; every one of them was told of before.
    fn refused(&mut self) -> Vec<&'static str> {
        let mut refused = Vec::new();
        let mut attempt = None;
        for news in self.news() {
            match news {
                DoorNews::Attempt(of) => attempt = Some(of),
                DoorNews::Refused(of, why) => {
                    assert_eq!(attempt.take(), Some(of), "refused without an attempt");
                    refused.push(why.word());
                }
                _ => {}
            }
        }
        assert_eq!(attempt, None, "neither refused nor opened");
        self.out.clear();
        refused
    }

    fn relay(&mut self, relay: Relay) {
        self.feed(Input::Relay(relay));
    }

    /// The guardian carries the only pulse out.
    fn opens(&mut self) -> Attempt {
        let [number] = self.pulses()[..] else {
            panic!("not one pulse: {:?}", self.out);
        };
        self.relay(Relay::Opened { number });
        self.relay(Relay::State { open: true });
        let opened: Vec<_> = self.news();
        let [DoorNews::Attempt(asked), DoorNews::Opened(attempt)] = opened[..] else {
            panic!("{opened:?}");
        };
        assert_eq!(asked, attempt);
        attempt.clone()
    }
}

#[test]
fn the_code_of_a_listed_party_opens_in_an_established_call() {
    let mut bench = bench(&[ALICE], door());
    let leg = bench.talk();
    bench.dial(&leg, CODE);
    let order = DoorOrder::Pulse {
        link: 1,
        number: 0,
        length: FIVE,
    };
    assert!(bench.has(&Output::Door(order)));
    let attempt = bench.opens();
    assert_eq!(attempt.way, Way::Digits);
    assert_eq!(attempt.who, Some(Address::new(ALICE)));
    assert_eq!(attempt.account, Some(home()));
    assert_eq!(attempt.call, Some(CallId::new("call-1")));
    assert!(bench.calls.view().door_open);
    bench.relay(Relay::State { open: false });
    assert!(!bench.calls.view().door_open);
    assert_eq!(bench.news().last(), Some(&&DoorNews::Closed));
}

#[test]
fn before_the_answer_in_a_hold_and_after_the_end_the_code_opens_nothing() {
    let mut bench = bench(&[ALICE], door());
    let leg = bench.ring();
    bench.dial(&leg, CODE);
    assert_eq!(bench.refused(), ["not_established"]);

    bench.signal(&leg, Signal::Responded(sdp("answer")));
    bench.media(&leg, Media::AnswerApplied { held: false });
    bench.signal(&leg, Signal::UpdateOffered(Some(sdp("hold"))));
    let answer = sdp("answer");
    bench.media(&leg, Media::AnswerReady { answer, held: true });
    bench.dial(&leg, CODE);
    assert_eq!(bench.refused(), ["held"]);

    bench.press(Button::End);
    bench.dial(&leg, CODE);
    assert_eq!(bench.refused(), ["over"]);
}

#[test]
fn a_code_whose_last_key_comes_after_the_end_opens_nothing() {
    let mut bench = bench(&[ALICE], door());
    let leg = bench.talk();
    bench.dial(&leg, "471");
    bench.press(Button::End);
    bench.dial(&leg, "1");
    assert!(bench.pulses().is_empty());
    assert_eq!(bench.refused(), ["over"]);
}

#[test]
fn somebody_who_is_not_listed_does_not_learn_whether_the_code_is_right() {
    let mut bench = bench(&[BOB], door());
    let leg = bench.talk();
    bench.dial(&leg, CODE);
    bench.dial(&leg, "0000");
    assert_eq!(bench.refused(), ["not_allowed", "not_allowed"]);
    bench.feed(Input::Signal(
        leg,
        Signal::Told(vec![named(OPEN_PARAMETER, CODE)]),
    ));
    assert_eq!(bench.refused(), ["not_allowed"]);
}

#[test]
fn the_same_name_at_another_server_is_somebody_else() {
    let mut elsewhere = door();
    let account = AccountId::new("cloud");
    let to = Address::new(ALICE);
    elsewhere.parties = [Target { account, to }].into();
    let mut bench = bench(&[ALICE], elsewhere);
    let leg = bench.talk();
    bench.dial(&leg, CODE);
    assert_eq!(bench.refused(), ["not_allowed"]);
}

#[test]
fn a_pause_begins_anew_and_attempts_do_not_overlap() {
    let mut bench = bench(&[ALICE], door());
    let leg = bench.talk();
    bench.dial(&leg, "47");
    bench.wait(Duration::from_secs(4));
    bench.dial(&leg, CODE);
    assert_eq!(bench.pulses().len(), 1);
    bench.opens();
    bench.out.clear();
    bench.wait(Duration::from_secs(4));
    // A window that slides would find 4711 in it.
    bench.dial(&leg, "04711000");
    assert!(bench.pulses().is_empty());
}

#[test]
fn five_wrong_codes_lock_the_call_to_its_end_and_all_calls_for_ten_minutes() {
    let mut bench = bench(&[ALICE], door());
    let leg1 = bench.talk();
    for _ in 0..5 {
        bench.dial(&leg1, "0000");
    }
    assert_eq!(bench.refused(), ["wrong_code"; 5]);
    bench.dial(&leg1, CODE);
    assert_eq!(bench.refused(), ["locked_out"]);
    bench.wait(Duration::from_secs(11 * 60));
    bench.dial(&leg1, CODE);
    assert_eq!(bench.refused(), ["locked_out"], "the same call");

    bench.press(Button::End);
    bench.feed(Input::Pressed(Button::Bell));
    let leg2 = leg(2, 0);
    bench.media(&leg2, Media::OfferReady(sdp("offer")));
    bench.signal(&leg2, Signal::Responded(sdp("answer")));
    bench.media(&leg2, Media::AnswerApplied { held: false });
    bench.out.clear();
    bench.dial(&leg2, CODE);
    assert_eq!(bench.pulses().len(), 1);
}

#[test]
fn calling_again_does_not_give_five_new_guesses() {
    let mut bench = bench(&[ALICE], door());
    let leg1 = bench.talk();
    for _ in 0..4 {
        bench.dial(&leg1, "0000");
    }
    bench.press(Button::End);
    bench.press(Button::Bell);
    let leg2 = leg(2, 0);
    bench.media(&leg2, Media::OfferReady(sdp("offer")));
    bench.signal(&leg2, Signal::Responded(sdp("answer")));
    bench.media(&leg2, Media::AnswerApplied { held: false });
    bench.out.clear();
    bench.dial(&leg2, "0000");
    bench.dial(&leg2, CODE);
    assert_eq!(bench.refused(), ["wrong_code", "locked_out"]);
}

#[test]
fn a_parameter_with_the_code_opens_and_one_with_the_call_itself_does_not() {
    let mut bench = bench(&[ALICE], door());
    let told = |value| vec![named("x-door-open", value)];
    let leg = bench.talk();
    bench.signal(&leg, Signal::Told(told("open")));
    assert_eq!(bench.refused(), ["wrong_code"]);
    bench.signal(&leg, Signal::Told(told(CODE)));
    assert_eq!(bench.opens().way, Way::Parameter);

    bench.press(Button::End);
    bench.out.clear();
    let leg = LegId::new("home/in/1");
    let mut incoming = call_from_bob(&leg, Some("offer"));
    incoming.from = Address::new(ALICE);
    incoming.parameters = told(CODE);
    bench.feed(Input::Incoming(incoming));
    assert!(bench.pulses().is_empty());
    assert_eq!(bench.refused(), ["not_established"]);
}

#[test]
fn without_a_code_keys_are_news_and_open_nothing() {
    let mut bench = bench(
        &[ALICE],
        DoorSettings {
            code: None,
            ..door()
        },
    );
    let leg = bench.talk();
    bench.dial(&leg, "1");
    let digit = Digit::new('1').expect("a key");
    let call = CallId::new("call-1");
    assert!(bench.has(&Output::Event(Event::Digit { call, digit })));
    bench.dial(&leg, CODE);
    assert!(bench.pulses().is_empty());
}

#[test]
fn with_a_code_no_key_is_told() {
    let mut bench = bench(&[ALICE], door());
    let leg = bench.talk();
    bench.dial(&leg, CODE);
    let told = |output: &Output| matches!(output, Output::Event(Event::Digit { .. }));
    assert!(!bench.out.iter().any(told));
    assert!(!format!("{:?}", bench.out).contains(CODE));
}

#[test]
fn a_user_with_the_right_opens_at_any_time_and_is_answered() {
    let mut bench = bench(&[ALICE], door());
    let user = Address::new(ALICE);
    bench.feed(Input::OpenDoor { ticket: 9, user });
    assert_eq!(bench.opens().call, None);
    assert!(bench.has(&Output::Answer(9, Ok(()))));
}

#[test]
fn a_user_without_the_right_is_refused_and_so_is_everybody_without_a_door() {
    let mut with = bench(&[ALICE], door());
    let user = Address::new(BOB);
    with.feed(Input::OpenDoor { ticket: 1, user });
    assert!(with.has(&Output::Answer(1, Err(Refused::NotAllowed))));
    assert_eq!(with.refused(), ["not_allowed"]);

    let mut without = Bench::ringing(&[ALICE]);
    let user = Address::new(ALICE);
    without.feed(Input::OpenDoor { ticket: 2, user });
    assert!(without.has(&Output::Answer(2, Err(Refused::NoDoor))));
    without.feed(Input::Sensor(Sensor::RequestToExit, false));
    without.feed(Input::Sensor(Sensor::RequestToExit, true));
    assert!(without.pulses().is_empty());
}

#[test]
fn what_the_guardian_refuses_is_told_with_its_reason() {
    let mut bench = bench(&[ALICE], door());
    let user = Address::new(ALICE);
    bench.feed(Input::OpenDoor { ticket: 3, user });
    let refused = Refused::Guardian {
        word: "locked",
        sentence: "locked",
    };
    bench.relay(Relay::Refused { number: 0, refused });
    assert!(bench.has(&Output::Answer(3, Err(refused))));
    assert_eq!(bench.refused(), ["locked"]);
    // A second answer to the same order is none.
    bench.relay(Relay::Opened { number: 0 });
    assert_eq!(bench.out, []);
}

#[test]
fn a_relay_that_goes_refuses_what_waits_and_is_a_fault() {
    let mut bench = bench(&[ALICE], door());
    let user = Address::new(ALICE);
    bench.feed(Input::OpenDoor {
        ticket: 4,
        user: user.clone(),
    });
    bench.relay(Relay::Lost);
    assert!(bench.has(&Output::Answer(4, Err(Refused::NoRelay))));
    assert!(bench.calls.view().faults.contains_key(&Device::Relay));
    bench.out.clear();
    bench.feed(Input::OpenDoor { ticket: 5, user });
    assert_eq!(bench.refused(), ["no_relay"]);
    bench.relay(Relay::Here { link: 2 });
    assert!(bench.calls.view().faults.is_empty());
    assert!(bench.pulses().is_empty());
}

#[test]
fn the_exit_button_opens_once_for_each_press_and_not_if_it_is_stuck() {
    let mut bench = bench(&[ALICE], door());
    bench.feed(Input::Sensor(Sensor::RequestToExit, true));
    assert_eq!(bench.opens().way, Way::Exit);
    bench.out.clear();
    bench.feed(Input::Sensor(Sensor::RequestToExit, true));
    assert_eq!(bench.out, []);

    let plan = vec![step(&[ALICE], RingStep::TIME)];
    let mut stuck = Bench::with_door(plan, Some(door()));
    stuck.relay(Relay::Here { link: 1 });
    stuck.out.clear();
    stuck.feed(Input::Sensor(Sensor::RequestToExit, true));
    assert_eq!(stuck.out, []);
}

#[test]
fn the_call_that_opened_ends_five_seconds_later_and_no_other() {
    let mut bench = bench(&[ALICE], door());
    let leg = bench.talk();
    let user = Address::new(ALICE);
    bench.feed(Input::OpenDoor { ticket: 1, user });
    bench.opens();
    bench.wait(FIVE - Duration::from_millis(1));
    assert!(bench.calls.view().call.is_some());
    bench.wait(Duration::from_millis(1));
    let reason = "The door was opened".to_owned();
    assert!(bench.has(&Output::Signal(leg, SignalOrder::End(reason))));
    assert!(bench.calls.view().call.is_none());

    let mut other = super::door::bench(&[BOB], door());
    other.talk();
    let user = Address::new(ALICE);
    other.feed(Input::OpenDoor { ticket: 1, user });
    other.opens();
    other.wait(FIVE * 2);
    assert!(other.calls.view().call.is_some(), "Bob talks on");
}

#[test]
fn with_no_time_to_hang_up_the_call_goes_on() {
    let never = DoorSettings {
        hang_up_after: None,
        ..door()
    };
    let mut bench = bench(&[ALICE], never);
    let leg = bench.talk();
    bench.dial(&leg, CODE);
    bench.opens();
    bench.wait(FIVE * 10);
    assert!(bench.calls.view().call.is_some());
}

#[test]
fn a_door_that_opens_without_a_release_is_an_alarm_until_it_is_shut() {
    let mut bench = bench(&[ALICE], door());
    bench.feed(Input::Sensor(Sensor::DoorContact, true));
    assert!(bench.news().contains(&&DoorNews::Alarm(Alarm::Forced)));
    assert!(bench.calls.view().faults.contains_key(&Device::Door));
    bench.feed(Input::Sensor(Sensor::DoorContact, false));
    assert!(bench.news().contains(&&DoorNews::AlarmOver(Alarm::Forced)));
    assert!(bench.calls.view().faults.is_empty());
}

#[test]
fn a_released_door_may_open_and_is_an_alarm_only_after_a_minute() {
    let mut bench = bench(&[ALICE], door());
    bench.feed(Input::Sensor(Sensor::RequestToExit, true));
    bench.opens();
    bench.wait(FIVE);
    bench.relay(Relay::State { open: false });
    // The contact is debounced: its news come after the pulse.
    bench.wait(Duration::from_secs(1));
    bench.feed(Input::Sensor(Sensor::DoorContact, true));
    bench.wait(Duration::from_millis(59_999));
    let is_alarm = |news: &&DoorNews| matches!(news, DoorNews::Alarm(_));
    assert!(!bench.news().iter().any(is_alarm));
    bench.wait(Duration::from_millis(1));
    assert!(bench.news().contains(&&DoorNews::Alarm(Alarm::OpenTooLong)));
    bench.feed(Input::Sensor(Sensor::DoorContact, false));
    bench.wait(Duration::from_secs(10));
    bench.out.clear();
    bench.feed(Input::Sensor(Sensor::DoorContact, true));
    assert!(bench.news().contains(&&DoorNews::Alarm(Alarm::Forced)));
}

#[test]
fn tampering_is_carried_to_the_relay() {
    let mut bench = bench(&[ALICE], door());
    bench.feed(Input::Sensor(Sensor::Tamper, true));
    assert!(bench.has(&Output::Door(DoorOrder::Tampered(true))));
}

#[test]
fn nothing_opens_while_the_station_goes_down() {
    let mut bench = bench(&[ALICE], door());
    bench.feed(Input::Shutdown);
    bench.out.clear();
    let user = Address::new(ALICE);
    bench.feed(Input::OpenDoor { ticket: 1, user });
    bench.feed(Input::Sensor(Sensor::RequestToExit, true));
    assert_eq!(bench.refused(), ["stopping", "stopping"]);
}

#[test]
fn a_release_by_another_program_is_told_too() {
    let mut bench = bench(&[ALICE], door());
    bench.relay(Relay::State { open: true });
    let [DoorNews::Opened(attempt)] = bench.news()[..] else {
        panic!("{:?}", bench.out);
    };
    assert_eq!(attempt.way, Way::Elsewhere);
    assert!(bench.calls.view().door_open);
}
