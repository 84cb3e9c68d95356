//! Properties over random inputs.

use proptest::prelude::*;

use super::*;

/// What a leg may say, by number.
fn any_signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        Just(Signal::Started),
        Just(Signal::StartFailed(failure("call:2"))),
        Just(Signal::Ringing),
        Just(Signal::Progress(sdp("early"))),
        Just(Signal::Responded(sdp("answer"))),
        Just(Signal::UpdateOffered(Some(sdp("offer")))),
        Just(Signal::UpdateOffered(None)),
        Just(Signal::UpdateRefused {
            retry_after: Some(Duration::from_secs(1)),
            failure: failure("49"),
        }),
        Just(Signal::UpdateRefused {
            retry_after: None,
            failure: failure("26"),
        }),
        Just(Signal::AnswerFailed(failure("42"))),
        Just(ended("200")),
        Just(Signal::AnsweredElsewhere),
    ]
}

fn any_media() -> impl Strategy<Value = Media> {
    prop_oneof![
        Just(Media::OfferReady(sdp("offer"))),
        any::<bool>().prop_map(|held| Media::AnswerReady {
            answer: sdp("answer"),
            held
        }),
        any::<bool>().prop_map(|held| Media::AnswerApplied { held }),
        Just(Media::Failed(failure("call:3"))),
        Just(Media::Connected),
        Just(Media::FirstSound),
        Just(Media::Lost("gone".to_owned())),
        Just(Media::Digit(Digit::new('1').expect("a key"))),
        Just(Media::DigitsFailed(failure("call:5"))),
        Just(Media::FarEndClosed),
        Just(Media::Figures(Figures::default())),
    ]
}

fn any_leg() -> impl Strategy<Value = LegId> {
    prop_oneof![
        (1..4u32, 0..4u32).prop_map(|(call, n)| leg(call, n)),
        (1..4u32).prop_map(|n| LegId::new(format!("home/in/{n}"))),
    ]
}

/// What no button can ask for.
fn any_request() -> impl Strategy<Value = Request> {
    let call = (1..4u32).prop_map(|n| CallId::new(format!("call-{n}")));
    let digits = Digits::parse("1#").expect("digits");
    (call, 0..5u8).prop_map(move |(call, what)| match what {
        0 => Request::SendDigits(call, digits.clone()),
        1 | 2 => Request::Video(call, what == 1),
        what => Request::Mute(call, what == 3),
    })
}

/// Two in parallel, then two more.
fn planned() -> Bench {
    let time = Duration::from_secs(20);
    let mut bench = Bench::planned(vec![step(&[ALICE, BOB], time), step(&[BOB, ALICE], time)]);
    bench.feed(Input::Connection(home(), Connection::Connected));
    bench.out.clear();
    bench
}

fn any_input() -> impl Strategy<Value = Input> {
    let button = prop_oneof![
        Just(Button::Bell),
        Just(Button::Answer),
        Just(Button::Reject),
        Just(Button::End),
        Just(Button::Hold),
        Just(Button::Unhold),
    ];
    prop_oneof![
        4 => button.prop_map(Input::Pressed),
        2 => any_request().prop_map(Input::Asked),
        6 => (any_leg(), any_signal()).prop_map(|(leg, signal)| Input::Signal(leg, signal)),
        6 => (any_leg(), any_media()).prop_map(|(leg, media)| Input::Media(leg, media)),
        1 => (any_leg(), any::<bool>()).prop_map(|(leg, offer)| {
            Input::Incoming(call_from_bob(&leg, offer.then_some("offer")))
        }),
        1 => any::<bool>().prop_map(|up| Input::Connection(
            home(),
            if up { Connection::Connected } else { Connection::Connecting },
        )),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever comes, in whatever order: media of every leg are closed exactly
    /// once, nothing is ordered for a leg after that, and the station is idle again
    /// in bounded time after the last event.
    #[test]
    fn any_inputs_leave_nothing_behind(
        steps in prop::collection::vec((any_input(), 0..20_000u64), 0..60)
    ) {
        let mut bench = planned();
        for (input, pause) in steps {
            bench.feed(input);
            bench.wait(Duration::from_millis(pause));
        }
        bench.wait(Duration::from_secs(31 * 60));
        prop_assert!(bench.calls.view().call.is_none());
        prop_assert_eq!(bench.calls.deadline(), None);

        let mut open: BTreeMap<LegId, bool> = BTreeMap::new();
        for output in &bench.out {
            match output {
                Output::Media(leg, MediaOrder::Offer(_) | MediaOrder::Answer(..)) => {
                    prop_assert_ne!(open.insert(leg.clone(), true), Some(true));
                }
                Output::Media(leg, MediaOrder::Close) => {
                    prop_assert_eq!(open.insert(leg.clone(), false), Some(true));
                }
                Output::Media(leg, _) => prop_assert_eq!(open.get(leg), Some(&true)),
                Output::Signal(..) | Output::Event(_) | Output::Door(_) | Output::Answer(..) => {}
            }
        }
        prop_assert!(open.values().all(|open| !open));
    }

    /// Every call that is over is summed up once, after its last figures.
    #[test]
    fn every_call_is_summed_up_once(
        steps in prop::collection::vec((any_input(), 0..20_000u64), 0..60)
    ) {
        let mut bench = planned();
        for (input, pause) in steps {
            bench.feed(input);
            bench.wait(Duration::from_millis(pause));
        }
        bench.feed(Input::Shutdown);
        let owed: Vec<LegId> = bench.calls.closing.keys().cloned().collect();
        for leg in owed {
            bench.media(&leg, Media::Figures(Figures::default()));
        }
        prop_assert!(bench.calls.is_settled());
        let (mut over, mut summed) = (Vec::new(), Vec::new());
        for output in &bench.out {
            match output {
                Output::Event(Event::Over { call, .. }) => over.push(call.clone()),
                Output::Event(Event::Summary { call, .. }) => {
                    prop_assert!(over.contains(call));
                    summed.push(call.clone());
                }
                Output::Event(Event::Figures { call, .. }) => {
                    prop_assert!(!summed.contains(call));
                }
                Output::Event(_)
                | Output::Signal(..)
                | Output::Media(..)
                | Output::Door(_)
                | Output::Answer(..) => {}
            }
        }
        over.sort();
        summed.sort();
        prop_assert_eq!(over, summed);
    }

    /// State changes of one call form a chain and nothing follows its end.
    #[test]
    fn state_changes_form_a_chain(
        steps in prop::collection::vec((any_input(), 0..20_000u64), 0..60)
    ) {
        let mut bench = planned();
        for (input, pause) in steps {
            bench.feed(input);
            bench.wait(Duration::from_millis(pause));
        }
        let mut states: BTreeMap<CallId, State> = BTreeMap::new();
        for output in &bench.out {
            let Output::Event(Event::StateChange { call, previous, state, .. }) = output else {
                continue;
            };
            prop_assert!(!previous.is_over());
            if let Some(known) = states.insert(call.clone(), *state) {
                prop_assert_eq!(known, *previous);
            }
        }
    }
}
