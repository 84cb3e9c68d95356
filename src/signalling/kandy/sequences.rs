//! Ten thousand sequences of notifications, good and bad, through the reader, the
//! legs and the core: whatever a server sends and in whatever order, the station
//! neither panics nor has two calls, and it is idle again two minutes later.
//!
//! Each sequence follows from its number, which a failure names.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::legs::{Act, Legs};
use super::notice::{Notice, Reader};
use super::request::{Reply, Request};
use super::trouble::Trouble;
use crate::call::{
    AccountId, Address, Button, CallId, Calls, Connection, Event, Figures, Input, LegId, Media,
    MediaOrder, Output, RingStep, Sdp, Settings, State, Target,
};

const SEQUENCES: u64 = 10_000;
/// Within this time of the last event the station is idle.
const IDLE: Duration = Duration::from_secs(120);
/// How long media may stay away before they are lost, as the sessions' watchers see it.
const LOST: Duration = Duration::from_secs(15);
/// How far time goes at once at the end.
const STEP: Duration = Duration::from_secs(15);
/// Legs that the sequences speak of.
const LEGS: u32 = 4;

#[test]
fn no_sequence_of_notifications_panics_doubles_a_call_or_leaves_one_up() {
    let mut seen = Seen::default();
    for number in 0..SEQUENCES {
        let mut house = House::new(number);
        let steps = house.rng.random_range(1..14);
        let mut late = VecDeque::new();
        for _ in 0..steps {
            house.step(&mut late);
            let pause = house.rng.random_range(0..8_000);
            house.run(Duration::from_millis(pause));
        }
        // What was held back comes last, and out of order.
        while let Some(frame) = late.pop_back() {
            house.frame(&frame);
        }
        seen.add(&house);
        house.ends();
    }
    // The sequences are worth something only if calls come about in them.
    assert!(seen.rang > SEQUENCES / 4, "{seen:?}");
    assert!(seen.talked > SEQUENCES / 20, "{seen:?}");
    assert!(seen.refused > SEQUENCES / 2, "{seen:?}");
}

/// How far the sequences came.
#[derive(Debug, Default)]
struct Seen {
    rang: u64,
    talked: u64,
    refused: u64,
}

impl Seen {
    fn add(&mut self, house: &House) {
        self.rang += u64::from(house.rang);
        self.talked += u64::from(house.talked);
        self.refused += house.refused;
    }
}

/// A station whose server, media and people are played by chance.
struct House {
    number: u64,
    rng: StdRng,
    now: Instant,
    reader: Reader,
    legs: Legs,
    calls: Calls,
    inputs: VecDeque<Input>,
    /// Requests that have no reply yet.
    requests: Vec<(LegId, Request)>,
    states: BTreeMap<CallId, State>,
    /// Legs whose media are open.
    open: BTreeSet<LegId>,
    events: u64,
    rang: bool,
    talked: bool,
    refused: u64,
}

impl House {
    fn new(number: u64) -> Self {
        let home = AccountId::new("home");
        let target = |to| Target {
            account: home.clone(),
            to: Address::new(to),
        };
        let settings = Settings {
            ring: vec![RingStep {
                targets: vec![target("bob@demo.local"), target("carol@demo.local")],
                time: RingStep::TIME,
            }],
            ..Settings::default()
        };
        let mut calls = 0;
        let new_id = move || {
            calls += 1;
            CallId::new(format!("call-{calls}"))
        };
        let mut house = Self {
            number,
            rng: StdRng::seed_from_u64(number),
            now: crate::clock::now(),
            reader: Reader::default(),
            legs: Legs::new(home.clone(), Address::new("alice@demo.local"), number),
            calls: Calls::new(settings, new_id),
            inputs: VecDeque::new(),
            requests: Vec::new(),
            states: BTreeMap::new(),
            open: BTreeSet::new(),
            events: 0,
            rang: false,
            talked: false,
            refused: 0,
        };
        house.tell(Input::Connection(home, Connection::Connected));
        house
    }

    /// One thing happens.
    fn step(&mut self, late: &mut VecDeque<String>) {
        match self.rng.random_range(0..20) {
            0 => self.tell(Input::Pressed(Button::Bell)),
            1 => self.tell(Input::Pressed(Button::Reject)),
            2 => self.tell(Input::Pressed(Button::End)),
            3 => self.tell(Input::Pressed(Button::Hold)),
            4 => self.tell(Input::Pressed(Button::Unhold)),
            5 | 6 => self.tell(Input::Pressed(Button::Answer)),
            7 => {
                let acts = self.legs.resync();
                self.carry_out(acts);
            }
            8..11 => self.reply(),
            _ => {
                let frame = self.notification();
                match self.rng.random_range(0..10) {
                    0 => late.push_back(frame),
                    1 => {
                        self.frame(&frame);
                        self.frame(&frame);
                    }
                    _ => self.frame(&frame),
                }
            }
        }
    }

    /// A notification for one of the legs, one in three of them spoilt.
    fn notification(&mut self) -> String {
        const KINDS: [&str; 12] = [
            "call",
            "call",
            "call",
            "ringing",
            "sessionProgress",
            "respondCallUpdate",
            "respondCallUpdate",
            "startCallUpdate",
            "callEnd",
            "callCancel",
            "sessionComplete",
            "gone",
        ];
        let kind = KINDS[self.rng.random_range(0..KINDS.len())];
        self.events += 1;
        let leg = self.rng.random_range(0..LEGS);
        let mut frame = json!({"notificationMessage": {
            "eventType": kind, "eventId": format!("e{}", self.events), "time": "1795334189000",
            "callNotificationParams": {
                "callerDisplayNumber": "bob@demo.local", "callerName": "Bob",
                "calleeDisplayNumber": "alice@demo.local",
                "remoteDisplayNumber": "bob@demo.local", "remoteName": "Bob",
            },
            "sessionParams": {
                "type": kind, "sessionData": format!("L{leg}"), "sdp": "v=0\r\n",
                "actions": ["reject", "forward", "answer"],
                "statusCode": "200", "reasonText": "Call Ended",
            },
            "callDispositionParams": {"sessionData": format!("L{leg}"), "actions": ["reject"]},
        }});
        if self.rng.random_range(0..3) == 0 {
            self.spoil(&mut frame);
        }
        let text = frame.to_string();
        match self.rng.random_range(0..40) {
            // Cut off in the middle of a character or not: always ASCII here.
            0 => text[..self.rng.random_range(0..text.len())].to_owned(),
            _ => text,
        }
    }

    /// Takes one field away, or gives it a value of another kind, or adds glare.
    fn spoil(&mut self, frame: &mut Value) {
        let mut paths = Vec::new();
        paths_of(frame, String::new(), &mut paths);
        let path = &paths[self.rng.random_range(0..paths.len())];
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let wrong = match self.rng.random_range(0..9) {
            0 => json!(null),
            1 => json!(7),
            2 => json!(-1.5),
            3 => json!(true),
            4 => json!([]),
            5 => json!({"a": {"b": []}}),
            6 => json!("../..\u{0}\u{e4}"),
            7 => json!("x".repeat(300)),
            _ => Value::Null,
        };
        let missing = self.rng.random_range(0..2) == 0;
        let parent = frame.pointer_mut(parent);
        let Some(Value::Object(members)) = parent else {
            return;
        };
        if missing {
            members.remove(name);
        } else {
            members.insert(name.to_owned(), wrong);
        }
        if self.rng.random_range(0..8) == 0 {
            members.insert("retryAfter".to_owned(), json!(2));
        }
    }

    fn frame(&mut self, frame: &str) {
        let acts = match self.reader.read(frame) {
            Ok(Notice::Call(call)) => self.legs.called(call, self.now),
            Ok(Notice::Leg(session, news)) => self.legs.heard(session, news, self.now),
            Ok(Notice::Gone { .. }) => self.legs.resync(),
            Ok(Notice::Ignored(_)) => return,
            Err(_) => {
                self.refused += 1;
                return;
            }
        };
        self.carry_out(acts);
    }

    /// The reply to one of the requests under way, mostly a good one.
    fn reply(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        let (leg, _) = self
            .requests
            .remove(self.rng.random_range(0..self.requests.len()));
        let result = match self.rng.random_range(0..10) {
            0 => Err(trouble(Some(404), Some(42))),
            1 => Err(trouble(Some(503), Some(503))),
            2 => Err(trouble(None, None)),
            3 => Err(trouble(Some(409), Some(49))),
            4 => Ok(Reply::default()),
            _ => Ok(Reply {
                session: Some(format!("L{}", self.rng.random_range(0..LEGS))),
                state: Some("ANSWERED".to_owned()),
            }),
        };
        let acts = self.legs.replied(&leg, result, self.now);
        self.carry_out(acts);
    }

    fn carry_out(&mut self, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Send { leg, request, .. } => self.requests.push((leg, request)),
                Act::Tell(input) => self.inputs.push_back(input),
            }
        }
        self.settle();
    }

    fn tell(&mut self, input: Input) {
        self.inputs.push_back(input);
        self.settle();
    }

    /// Lets the core take what waits, and everybody carry out what it orders.
    fn settle(&mut self) {
        while let Some(input) = self.inputs.pop_front() {
            for output in self.calls.handle(input, self.now) {
                match output {
                    Output::Signal(leg, order) => {
                        for act in self.legs.order(leg, order, self.now) {
                            match act {
                                Act::Send { leg, request, .. } => {
                                    self.requests.push((leg, request));
                                }
                                Act::Tell(input) => self.inputs.push_back(input),
                            }
                        }
                    }
                    Output::Media(leg, order) => self.media(leg, order),
                    Output::Event(event) => self.event(event),
                    Output::Door(_) | Output::Answer(..) => {}
                }
            }
            let up = self.states.values().filter(|state| !state.is_over());
            assert!(up.count() <= 1, "two calls in sequence {}", self.number);
        }
    }

    fn media(&mut self, leg: LegId, order: MediaOrder) {
        let sdp = || Sdp::new("v=0\r\n");
        if matches!(order, MediaOrder::Offer(_) | MediaOrder::Answer(..)) {
            self.open.insert(leg.clone());
        }
        let held = self.rng.random_range(0..4) == 0;
        let media = match order {
            MediaOrder::Offer(_) | MediaOrder::Reoffer { .. } => Media::OfferReady(sdp()),
            MediaOrder::Answer(..) | MediaOrder::Reanswer(_) => Media::AnswerReady {
                answer: sdp(),
                held,
            },
            MediaOrder::Apply(_) => Media::AnswerApplied { held },
            MediaOrder::Close => {
                let closed = self.open.remove(&leg);
                assert!(closed, "{leg} closed twice in sequence {}", self.number);
                Media::Figures(Figures::default())
            }
            _ => return,
        };
        let connects =
            matches!(media, Media::AnswerApplied { .. }) && self.rng.random_range(0..2) == 0;
        self.inputs.push_back(Input::Media(leg.clone(), media));
        if connects {
            self.inputs.push_back(Input::Media(leg, Media::Connected));
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Receive { call, .. } => {
                self.rang = true;
                self.states.insert(call, State::Ringing);
            }
            Event::StateChange { call, state, .. } => {
                self.rang |= state == State::Ringing;
                self.talked |= state == State::InCall;
                self.states.insert(call, state);
            }
            _ => {}
        }
    }

    /// Time passes; timers fire when they are due.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let calls = self.calls.deadline().map(|(at, _)| at);
            let next = [calls, self.legs.deadline()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            let acts = self.legs.tick(self.now);
            self.carry_out(acts);
            self.tell(Input::Tick);
        }
        self.now = end;
    }

    /// Nothing more comes from outside: the far ends are gone, and with them their
    /// media; the server takes everything.
    fn ends(mut self) {
        let mut left = IDLE;
        self.run(LOST);
        left -= LOST;
        for leg in self.open.clone() {
            self.tell(Input::Media(leg, Media::Lost("nobody there".to_owned())));
        }
        while !left.is_zero() {
            for (leg, _) in std::mem::take(&mut self.requests) {
                let acts = self.legs.replied(&leg, Ok(Reply::default()), self.now);
                self.carry_out(acts);
            }
            self.run(STEP);
            left -= STEP;
        }
        let number = self.number;
        let call = self.calls.view().call;
        assert!(call.is_none(), "not idle after sequence {number}: {call:?}");
        assert!(self.calls.is_settled(), "media are left after {number}");
        assert!(self.open.is_empty(), "media are open after {number}");
    }
}

/// A pointer to each field of `value`.
fn paths_of(value: &Value, path: String, paths: &mut Vec<String>) {
    let Value::Object(members) = value else {
        return;
    };
    for (name, member) in members {
        let path = format!("{path}/{name}");
        paths.push(path.clone());
        paths_of(member, path, paths);
    }
}

fn trouble(http: Option<u16>, status: Option<i32>) -> Trouble {
    Trouble {
        http,
        status,
        ..Trouble::unreachable("no route")
    }
}
