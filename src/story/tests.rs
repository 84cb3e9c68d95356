//! The story of a call as the log tells it, in virtual time: what a householder reads
//! after `journalctl -u doorstation CALL_ID=...`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::*;
use crate::call::{
    AccountId, Address, Calls, Failure, Figures, Input, LegId, Media, Output, RingStep, Sdp,
    Settings, Signal, Target,
};
use crate::telemetry::LogFormat;
use crate::telemetry::tests::logged;

/// A core that rings alice, with a clock that only the test moves, in front of the log.
struct Door {
    calls: Calls,
    now: Instant,
}

impl Door {
    fn new() -> Self {
        let home = AccountId::new("home");
        let step = RingStep {
            targets: vec![Target {
                account: home.clone(),
                to: Address::new("alice@demo.local"),
            }],
            time: RingStep::TIME,
        };
        let settings = Settings {
            ring: vec![step],
            users: BTreeMap::from([(home.clone(), Address::new("door@demo.local"))]),
            ..Settings::default()
        };
        let mut door = Self {
            calls: Calls::new(settings, || CallId::new("c1")),
            now: crate::clock::now(),
        };
        // Not part of the call's story: it is not told.
        door.calls
            .handle(Input::Connection(home, Connection::Connected), door.now);
        door
    }

    /// The bell, and the server takes the call and rings.
    fn ring(&mut self) {
        self.bell();
        self.signal(Signal::Started);
        self.wait(1);
        self.signal(Signal::Ringing);
    }

    fn bell(&mut self) {
        let outputs = self.calls.handle(Input::Pressed(Button::Bell), self.now);
        let view = self.calls.view();
        pressed(Button::Bell, view.call.as_ref().map(|call| &call.id));
        tell_all(outputs);
        self.media(Media::OfferReady(Sdp::new("v=0 10.9.8.7")));
    }

    fn signal(&mut self, signal: Signal) {
        self.feed(Input::Signal(LegId::new("c1/0"), signal));
    }

    fn media(&mut self, media: Media) {
        self.feed(Input::Media(LegId::new("c1/0"), media));
    }

    fn feed(&mut self, input: Input) {
        tell_all(self.calls.handle(input, self.now));
    }

    /// Lets seconds pass, each timer at its own moment.
    fn wait(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some((at, _)) = self.calls.deadline().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            self.feed(Input::Tick);
        }
        self.now = until;
    }

    fn ended(&mut self, code: &str, reason: &str) {
        self.signal(Signal::Ended {
            code: code.to_owned(),
            reason: reason.to_owned(),
        });
    }

    fn closed(&mut self, figures: &[(&'static str, f64)]) {
        self.media(Media::Figures(Figures(figures.iter().copied().collect())));
        assert!(self.calls.is_settled());
    }
}

fn tell_all(outputs: Vec<Output>) {
    for output in outputs {
        if let Output::Event(event) = output {
            tell(&event);
        }
    }
}

/// What journalctl shows at INFO: a level and a sentence a line. Whatever the story: it
/// is short, each line is the call's, and it holds no address.
fn story(act: impl FnOnce(&mut Door)) -> String {
    let log = logged(LogFormat::Json, "info", || act(&mut Door::new()));
    let mut told = Vec::new();
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["call_id"], "c1", "{line}");
        let [level, sentence] = ["level", "message"].map(|name| line[name].as_str().unwrap());
        told.push(format!("{level} {sentence}"));
    }
    assert!((1..=40).contains(&told.len()), "{log}");
    for secret in ["alice", "10.9.8.7"] {
        assert!(!log.contains(secret), "{log}");
    }
    told.join("\n")
}

#[test]
fn an_answered_call() {
    let told = story(|door| {
        door.ring();
        door.wait(4);
        door.signal(Signal::Responded(Sdp::new("answer")));
        door.media(Media::AnswerApplied { held: false });
        door.media(Media::Connected);
        door.media(Media::FirstSound);
        door.wait(30);
        door.ended("200", "The far end ended the call");
        door.closed(&[("frames_per_s_p50", 29.97), ("round_trip_ms_p50", 4.04)]);
    });
    assert_eq!(told, ANSWERED, "\n{told}\n");
}

#[test]
fn a_rejected_call() {
    let told = story(|door| {
        door.ring();
        door.wait(3);
        door.ended("603", "Declined");
        door.closed(&[]);
    });
    assert_eq!(told, REJECTED, "\n{told}\n");
}

#[test]
fn a_missed_call() {
    let told = story(|door| {
        door.ring();
        door.wait(RingStep::TIME.as_secs() + 10);
        door.closed(&[]);
    });
    assert_eq!(told, MISSED, "\n{told}\n");
}

#[test]
fn a_failed_call() {
    let told = story(|door| {
        door.bell();
        door.signal(Signal::StartFailed(Failure {
            code: "call:2".to_owned(),
            message: "the server cannot be reached".to_owned(),
        }));
        door.closed(&[]);
    });
    assert_eq!(told, FAILED, "\n{told}\n");
}

const ANSWERED: &str = "\
INFO a button was pressed: Bell
INFO the call goes from INITIATING to INITIATED
INFO the call goes from INITIATED to RINGING
INFO the call goes from RINGING to IN_CALL
INFO the call goes from IN_CALL to ENDED: The far end ended the call (200)
INFO the call is over after 30 s: The far end ended the call (200)
INFO the call in figures: rang after 1000 ms, sound after 0 ms, pictures a second 30, round trip 4 ms";

const REJECTED: &str = "\
INFO a button was pressed: Bell
INFO the call goes from INITIATING to INITIATED
INFO the call goes from INITIATED to RINGING
INFO the call goes from RINGING to ENDED: Declined (603)
INFO the call is over: Declined (603)
INFO the call in figures: rang after 1000 ms";

const MISSED: &str = "\
INFO a button was pressed: Bell
INFO the call goes from INITIATING to INITIATED
INFO the call goes from INITIATED to RINGING
INFO the call goes from RINGING to ENDED: Nobody answered (480)
INFO the call is over: Nobody answered (480)
INFO the call in figures: rang after 1000 ms";

const FAILED: &str = "\
INFO a button was pressed: Bell
WARN the call has a fault: the server cannot be reached
INFO the call goes from INITIATING to ENDED: the server cannot be reached (call:2)
INFO the call is over: the server cannot be reached (call:2)
INFO the call in figures: none, nobody talked";
