//! What holds whatever happens.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::*;

proptest! {
    /// Whatever the core orders and the server says: one request at a time for each
    /// leg, no news of a leg after its end, and every leg is over some time after the
    /// station stopped.
    #[test]
    fn no_sequence_of_events_breaks_the_rules(steps in proptest::collection::vec(step(), 0..120)) {
        let mut home = Home::new();
        let mut rules = Rules::default();
        for step in steps {
            if let Step::Reply(nth, result) = step {
                if let Some(leg) = rules.under_way.iter().nth(nth).cloned() {
                    rules.under_way.remove(&leg);
                    home.reply(&leg, result);
                }
            } else {
                home.step(step);
            }
            rules.check(&mut home)?;
        }
        let acts = home.legs.stop("bye", home.now);
        home.take(acts);
        rules.check(&mut home)?;
        for _ in 0..300 {
            let waiting: Vec<_> = rules.under_way.iter().cloned().collect();
            for leg in waiting {
                rules.under_way.remove(&leg);
                home.reply(&leg, Err(Trouble::unreachable("no route")));
                rules.check(&mut home)?;
            }
            home.run(SECOND);
            rules.check(&mut home)?;
        }
        prop_assert!(home.legs.is_empty());
        prop_assert_eq!(home.legs.by_session.len(), 0);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Order(usize, SignalOrder),
    Heard(usize, News),
    Called(usize),
    /// The n-th request under way comes to this end.
    Reply(usize, Result<Reply, Trouble>),
    Run(Duration),
    Resync,
}

fn step() -> impl Strategy<Value = Step> {
    let order = prop_oneof![
        Just(start("bob@demo.local")),
        Just(SignalOrder::Ring),
        Just(SignalOrder::Answer(sdp("answer"))),
        Just(SignalOrder::Reject),
        Just(SignalOrder::End("bye".to_owned())),
        Just(SignalOrder::Update(sdp("offer"))),
        Just(SignalOrder::Respond(sdp("answer"))),
        Just(SignalOrder::Forget),
    ];
    let news = prop_oneof![
        Just(News::Ringing),
        Just(News::Responded(sdp("answer"))),
        Just(News::UpdateOffered(None)),
        Just(ended("200")),
        Just(News::Cancelled),
    ];
    let reply = prop_oneof![
        (0..6_usize).prop_map(|n| session(&format!("L{n}"))),
        Just(Ok(Reply::default())),
        Just(Err(Trouble::unreachable("no route"))),
        Just(Err(trouble(404, Some(42)))),
        Just(Err(trouble(400, Some(5)))),
        Just(Err(trouble(503, Some(503)))),
    ];
    prop_oneof![
        (0..4_usize, order).prop_map(|(leg, order)| Step::Order(leg, order)),
        (0..6_usize, news).prop_map(|(session, news)| Step::Heard(session, news)),
        (0..6_usize).prop_map(Step::Called),
        (0..4_usize, reply).prop_map(|(nth, reply)| Step::Reply(nth, reply)),
        (0..40_u64).prop_map(|seconds| Step::Run(SECOND * seconds as u32)),
        Just(Step::Resync),
    ]
}

/// What must hold, as far as it can be seen from outside.
#[derive(Default)]
struct Rules {
    under_way: BTreeSet<String>,
    over: BTreeSet<String>,
}

impl Rules {
    fn check(&mut self, home: &mut Home) -> Result<(), TestCaseError> {
        // A leg that was dropped leaves its request behind; its name may start anew.
        self.under_way
            .retain(|leg| home.legs.legs.contains_key(&LegId::new(leg.as_str())));
        for input in home.told() {
            let (leg, last) = match input {
                Input::Incoming(incoming) => (incoming.leg, false),
                Input::Signal(leg, signal) => {
                    let last = matches!(
                        signal,
                        Signal::Ended { .. }
                            | Signal::StartFailed(_)
                            | Signal::AnswerFailed(_)
                            | Signal::AnsweredElsewhere
                    );
                    (leg, last)
                }
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            };
            let leg = leg.as_str().to_owned();
            prop_assert!(!self.over.contains(&leg), "news of {leg} after its end");
            if last {
                self.over.insert(leg);
            }
        }
        for (leg, id, request) in home.sent() {
            if matches!(request, Request::Start { .. }) {
                self.over.remove(&leg);
            } else {
                prop_assert!(!id.is_empty(), "{request:?} without a session");
            }
            if home.legs.legs.contains_key(&LegId::new(leg.as_str())) {
                prop_assert!(self.under_way.insert(leg.clone()), "two requests for {leg}");
            }
        }
        Ok(())
    }
}

impl Home {
    fn step(&mut self, step: Step) {
        match step {
            Step::Order(leg, order) => {
                // Names of our own legs and, if there are any, of incoming ones.
                let known = self.legs.legs.keys().nth(leg);
                let known = known.map(|leg| leg.as_str().to_owned());
                let own = format!("own-{leg}");
                match order {
                    SignalOrder::Start { .. } => self.order(&own, order),
                    order => self.order(&known.unwrap_or(own), order),
                }
            }
            Step::Heard(session, news) => self.heard(&format!("L{session}"), news),
            Step::Called(session) => {
                let acts = self.legs.called(call(&format!("L{session}")), self.now);
                self.take(acts);
            }
            Step::Reply(..) => {}
            Step::Run(time) => self.run(time),
            Step::Resync => {
                let acts = self.legs.resync();
                self.take(acts);
            }
        }
    }
}
