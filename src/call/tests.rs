//! Stories in virtual time: the bench, and calls from their first moment to their
//! last.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::*;

mod door;
mod door_properties;
mod incoming;
mod mid_call;
mod properties;
mod ring_plan;
mod summary;

const ALICE: &str = "alice@demo.local";
const BOB: &str = "bob@demo.local";

/// A core with a clock that only the test moves.
struct Bench {
    calls: Calls,
    now: Instant,
    /// Everything that came out, since the last look.
    out: Vec<Output>,
}

impl Bench {
    fn ringing(targets: &[&str]) -> Self {
        let mut bench = Self::offline(targets);
        bench.feed(Input::Connection(home(), Connection::Connected));
        bench.out.clear();
        bench
    }

    fn offline(targets: &[&str]) -> Self {
        Self::planned(vec![step(targets, RingStep::TIME)])
    }

    fn planned(ring: Vec<RingStep>) -> Self {
        Self::with_door(ring, None)
    }

    fn with_door(ring: Vec<RingStep>, door: Option<DoorSettings>) -> Self {
        let settings = Settings {
            door,
            ring,
            parameters: vec![named("X-Door", "Front door")],
            users: BTreeMap::from([(home(), Address::new("door@demo.local"))]),
            ..Settings::default()
        };
        let mut n = 0;
        let new_id = move || {
            n += 1;
            CallId::new(format!("call-{n}"))
        };
        Self {
            calls: Calls::new(settings, new_id),
            now: crate::clock::now(),
            out: Vec::new(),
        }
    }

    fn feed(&mut self, input: Input) {
        let out = self.calls.handle(input, self.now);
        self.out.extend(out);
    }

    fn press(&mut self, button: Button) {
        self.feed(Input::Pressed(button));
    }

    fn signal(&mut self, leg: &LegId, signal: Signal) {
        self.feed(Input::Signal(leg.clone(), signal));
    }

    fn media(&mut self, leg: &LegId, media: Media) {
        self.feed(Input::Media(leg.clone(), media));
    }

    /// Lets time pass, firing each timer at its own moment.
    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some((at, _)) = self.calls.deadline().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            self.feed(Input::Tick);
        }
        self.now = until;
    }

    fn states(&mut self) -> Vec<&'static str> {
        let states = self.out.iter().filter_map(|output| match output {
            Output::Event(Event::StateChange { state, .. }) => Some(state.name()),
            _ => None,
        });
        states.collect()
    }

    fn last_change(&self) -> (State, Option<String>, Option<String>) {
        let mut changes = self.out.iter().rev().filter_map(|output| match output {
            Output::Event(Event::StateChange {
                state,
                code,
                reason,
                ..
            }) => Some((*state, code.clone(), reason.clone())),
            _ => None,
        });
        changes.next().expect("a state change")
    }

    fn has(&self, output: &Output) -> bool {
        self.out.contains(output)
    }

    fn signals(&self, leg: &LegId) -> Vec<&SignalOrder> {
        let orders = self.out.iter().filter_map(|output| match output {
            Output::Signal(id, order) if id == leg => Some(order),
            _ => None,
        });
        orders.collect()
    }

    fn flow(&self) -> Flow {
        let mut flows = self.out.iter().rev().filter_map(|output| match output {
            Output::Media(_, MediaOrder::Flow(flow)) => Some(*flow),
            _ => None,
        });
        flows.next().expect("a flow")
    }

    fn denied(&self) -> Option<&str> {
        self.out.iter().rev().find_map(|output| match output {
            Output::Event(Event::Denied(why)) => Some(why.as_str()),
            _ => None,
        })
    }

    /// A bell call to one person, answered and connected.
    fn in_call() -> (Self, LegId) {
        let mut bench = Self::ringing(&[ALICE]);
        let leg = leg(1, 0);
        bench.press(Button::Bell);
        bench.media(&leg, Media::OfferReady(sdp("offer")));
        bench.signal(&leg, Signal::Started);
        bench.signal(&leg, Signal::Ringing);
        bench.signal(&leg, Signal::Responded(sdp("answer")));
        bench.media(&leg, Media::AnswerApplied { held: false });
        bench.media(&leg, Media::Connected);
        bench.out.clear();
        (bench, leg)
    }

    fn incoming() -> (Self, LegId) {
        let mut bench = Self::ringing(&[ALICE]);
        let leg = LegId::new("home/in/1");
        bench.feed(Input::Incoming(call_from_bob(&leg, Some("offer"))));
        (bench, leg)
    }
}

fn home() -> AccountId {
    AccountId::new("home")
}

fn target(to: &str) -> Target {
    Target {
        account: home(),
        to: Address::new(to),
    }
}

fn step(targets: &[&str], time: Duration) -> RingStep {
    RingStep {
        targets: targets.iter().map(|to| target(to)).collect(),
        time,
    }
}

fn leg(call: u32, n: u32) -> LegId {
    LegId::new(format!("call-{call}/{n}"))
}

fn named(name: &str, value: &str) -> Parameter {
    Parameter {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

fn sdp(text: &str) -> Sdp {
    Sdp::new(text)
}

fn failure(code: &str) -> Failure {
    Failure {
        code: code.to_owned(),
        message: "it failed".to_owned(),
    }
}

fn ended(code: &str) -> Signal {
    Signal::Ended {
        code: code.to_owned(),
        reason: "over".to_owned(),
    }
}

fn call_from_bob(leg: &LegId, offer: Option<&str>) -> Incoming {
    Incoming {
        account: home(),
        leg: leg.clone(),
        from: Address::new(BOB),
        from_name: "Bob".to_owned(),
        to: Address::new("door@demo.local"),
        offer: offer.map(sdp),
        parameters: vec![named("X-Who", "Bob")],
    }
}

#[test]
fn a_press_rings_is_answered_and_ended_by_us() {
    let mut bench = Bench::ringing(&[ALICE]);
    let leg = leg(1, 0);
    bench.press(Button::Bell);
    assert_eq!(
        bench.out,
        [Output::Media(
            leg.clone(),
            MediaOrder::Offer(Settings::default().wish)
        )]
    );
    bench.media(&leg, Media::OfferReady(sdp("offer")));
    assert!(bench.has(&Output::Signal(
        leg.clone(),
        SignalOrder::Start {
            target: target(ALICE),
            offer: sdp("offer"),
            parameters: vec![named("X-Door", "Front door")],
        }
    )));
    bench.signal(&leg, Signal::Started);
    bench.signal(&leg, Signal::Ringing);
    bench.wait(Duration::from_secs(5));
    bench.signal(&leg, Signal::Responded(sdp("answer")));
    assert!(bench.has(&Output::Media(
        leg.clone(),
        MediaOrder::Apply(sdp("answer"))
    )));
    bench.media(&leg, Media::AnswerApplied { held: false });
    bench.media(&leg, Media::Connected);
    assert!(bench.flow().microphone && bench.flow().picture && bench.flow().speaker);
    bench.wait(Duration::from_secs(60));
    bench.press(Button::End);
    assert_eq!(bench.states(), ["INITIATED", "RINGING", "IN_CALL", "ENDED"]);
    assert_eq!(bench.last_change().1.as_deref(), Some("9901"));
    assert!(matches!(
        bench.signals(&leg).last(),
        Some(SignalOrder::End(_))
    ));
    assert!(bench.has(&Output::Media(leg.clone(), MediaOrder::Close)));
    let record = bench.calls.call(&CallId::new("call-1")).expect("kept");
    assert_eq!(record.to.as_str(), ALICE);
    assert_eq!(record.from.as_str(), "door@demo.local");
    assert_eq!(
        record.ended.expect("ended") - record.started.expect("started"),
        Duration::from_secs(60)
    );
    assert_eq!(bench.calls.deadline(), None);
    assert_eq!(bench.calls.view().call, None);
}

#[test]
fn figures_of_a_closed_leg_still_name_their_call() {
    let (mut bench, leg) = Bench::in_call();
    bench.press(Button::End);
    bench.media(&leg, Media::Figures(Figures::default()));
    bench.media(&leg, Media::Figures(Figures::default()));
    let figures = bench.out.iter().filter(|output| {
        matches!(output, Output::Event(Event::Figures { call, .. }) if call.as_str() == "call-1")
    });
    assert_eq!(figures.count(), 1);
}

#[test]
fn every_ending_by_the_other_side_keeps_its_code() {
    for code in ["200", "480", "486", "603", "404"] {
        let mut bench = Bench::ringing(&[ALICE]);
        let leg = leg(1, 0);
        bench.press(Button::Bell);
        bench.media(&leg, Media::OfferReady(sdp("offer")));
        bench.signal(&leg, Signal::Started);
        bench.signal(&leg, ended(code));
        let (state, told, reason) = bench.last_change();
        assert_eq!((state, told.as_deref()), (State::Ended, Some(code)));
        assert_eq!(reason.as_deref(), Some("over"));
        let last = bench.calls.view().last.expect("remembered");
        assert!(!last.answered);
        assert!(!matches!(
            bench.signals(&leg).last(),
            Some(SignalOrder::End(_))
        ));
    }
}

#[test]
fn a_press_before_the_server_took_the_call_is_cancelled_without_a_trace_on_the_wire() {
    let mut bench = Bench::ringing(&[ALICE]);
    bench.press(Button::Bell);
    bench.press(Button::End);
    assert!(bench.signals(&leg(1, 0)).is_empty());
    assert!(bench.has(&Output::Media(leg(1, 0), MediaOrder::Close)));
}

#[test]
fn a_second_press_while_ringing_is_ignored() {
    let (mut bench, _) = Bench::in_call();
    bench.press(Button::Bell);
    assert_eq!(bench.out, []);
}

#[test]
fn a_second_caller_is_turned_away() {
    let (mut bench, _) = Bench::in_call();
    let second = LegId::new("home/in/2");
    bench.feed(Input::Incoming(call_from_bob(&second, Some("offer"))));
    assert_eq!(bench.signals(&second), [&SignalOrder::Reject]);
    assert!(bench.denied().expect("said").contains("turned away"));
    assert_eq!(bench.calls.view().call.expect("up").state, State::InCall);
}

#[test]
fn a_call_whose_media_never_come_up_ends_at_both_ends() {
    let mut bench = Bench::ringing(&[ALICE]);
    let leg = leg(1, 0);
    bench.press(Button::Bell);
    bench.media(&leg, Media::OfferReady(sdp("offer")));
    bench.signal(&leg, Signal::Started);
    bench.signal(&leg, Signal::Responded(sdp("answer")));
    bench.media(&leg, Media::AnswerApplied { held: false });
    bench.wait(Duration::from_secs(15));
    assert_eq!(bench.last_change().0, State::Ended);
    assert!(matches!(
        bench.signals(&leg).last(),
        Some(SignalOrder::End(_))
    ));
}

#[test]
fn a_nonsense_answer_ends_the_call_with_the_reason() {
    let mut bench = Bench::ringing(&[ALICE]);
    let leg = leg(1, 0);
    bench.press(Button::Bell);
    bench.media(&leg, Media::OfferReady(sdp("offer")));
    bench.signal(&leg, Signal::Started);
    bench.signal(&leg, Signal::Responded(sdp("nonsense")));
    bench.media(&leg, Media::Failed(failure("call:9")));
    assert_eq!(bench.last_change().2.as_deref(), Some("it failed"));
    assert!(matches!(
        bench.signals(&leg).last(),
        Some(SignalOrder::End(_))
    ));
}

#[test]
fn a_hang_up_seen_by_media_waits_a_second_for_its_reason() {
    let (mut bench, leg) = Bench::in_call();
    bench.media(&leg, Media::FarEndClosed);
    bench.wait(Duration::from_millis(999));
    assert!(bench.calls.view().call.is_some());
    bench.wait(Duration::from_millis(1));
    assert_eq!(bench.last_change().1.as_deref(), Some("200"));
    assert!(matches!(
        bench.signals(&leg).last(),
        Some(SignalOrder::End(_))
    ));
}

#[test]
fn the_longest_call_ends() {
    let (mut bench, _) = Bench::in_call();
    bench.wait(Duration::from_secs(30 * 60));
    assert_eq!(bench.last_change().0, State::Ended);
}

#[test]
fn buttons_that_mean_nothing_now_say_so() {
    let mut bench = Bench::ringing(&[ALICE]);
    for button in [Button::Answer, Button::Reject, Button::End, Button::Hold] {
        bench.press(button);
        assert!(bench.denied().is_some(), "{button:?}");
        bench.out.clear();
    }
}

#[test]
fn a_shutdown_ends_the_call_and_accepts_nothing_more() {
    let (mut bench, leg) = Bench::in_call();
    bench.feed(Input::Shutdown);
    assert!(matches!(
        bench.signals(&leg).last(),
        Some(SignalOrder::End(_))
    ));
    bench.press(Button::Bell);
    assert!(bench.calls.view().call.is_none());
    assert!(bench.denied().is_some());
}

#[test]
fn an_account_that_tries_again_still_shows_why_it_failed() {
    let mut bench = Bench::offline(&[ALICE]);
    let lost = Connection::Lost(failure("subscription:1"));
    for connection in [
        Connection::Connecting,
        lost.clone(),
        Connection::Connecting,
        lost.clone(),
        Connection::Connecting,
    ] {
        bench.feed(Input::Connection(home(), connection));
    }
    assert_eq!(bench.calls.view().connections[&home()], lost);
    bench.feed(Input::Connection(home(), Connection::Connected));
    assert_eq!(
        bench.calls.view().connections[&home()],
        Connection::Connected
    );
}

#[test]
fn a_device_fault_is_told_once_and_its_end_once() {
    let mut bench = Bench::ringing(&[ALICE]);
    let fault = || Input::Device(Device::Camera, Some("no picture".to_owned()));
    bench.feed(fault());
    bench.feed(fault());
    bench.feed(Input::Device(Device::Camera, None));
    bench.feed(Input::Device(Device::Camera, None));
    assert_eq!(bench.out.len(), 2);
}

#[test]
fn an_update_is_published_and_a_sensor_changes_nothing() {
    let mut bench = Bench::ringing(&[ALICE]);
    let before = bench.calls.view();
    bench.feed(Input::Sensor(Sensor::Tamper, true));
    assert_eq!(bench.calls.view(), before);
    bench.feed(Input::Updating(true));
    assert!(bench.calls.view().updating);
    bench.feed(Input::Updating(false));
    assert_eq!(bench.calls.view(), before);
    assert_eq!(bench.out, []);
}
