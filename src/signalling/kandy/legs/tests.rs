//! Stories of legs, in virtual time.

use std::time::{Duration, Instant};

use super::{Act, Legs, MOST_LEGS};
use crate::call::{AccountId, Address, Failure, Input, LegId, Sdp, Signal, SignalOrder, Target};
use crate::signalling::kandy::notice::{IncomingCall, News};
use crate::signalling::kandy::request::{Reply, Request};
use crate::signalling::kandy::trouble::Trouble;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_outgoing_call_is_started_rings_is_answered_and_ended_by_us() {
    let mut home = Home::new();
    home.order("b", start("bob@demo.local"));
    assert_eq!(
        home.sent(),
        [(
            "b".to_owned(),
            String::new(),
            Request::Start {
                to: "sip:bob@demo.local".to_owned(),
                offer: sdp("offer")
            }
        )]
    );
    home.reply("b", session("LB"));
    home.heard("LB", News::Ringing);
    home.heard("LB", News::Responded(sdp("answer")));
    assert_eq!(
        home.told(),
        [
            signal("b", Signal::Started),
            signal("b", Signal::Ringing),
            signal("b", Signal::Responded(sdp("answer"))),
        ]
    );
    home.order("b", SignalOrder::End("Ended by local user".to_owned()));
    let end = Request::End("Ended by local user".to_owned());
    assert_eq!(home.sent(), [("b".to_owned(), "LB".to_owned(), end)]);
    home.reply("b", Ok(Reply::default()));
    assert!(home.legs.is_empty());
    home.heard("LB", ended("200"));
    assert_eq!(home.told(), [], "our own end is no news");
}

#[test]
fn an_incoming_call_rings_is_answered_and_ended_by_them() {
    let mut home = Home::new();
    let leg = home.called("LI");
    home.order(&leg, SignalOrder::Ring);
    home.order(&leg, SignalOrder::Answer(sdp("answer")));
    assert_eq!(
        home.requests(),
        [Request::Ringing],
        "one at a time, in order"
    );
    home.reply(&leg, Ok(Reply::default()));
    assert_eq!(home.requests(), [Request::Answer(sdp("answer"))]);
    home.reply(&leg, Ok(Reply::default()));
    home.heard("LI", ended("200"));
    assert_eq!(
        home.told(),
        [signal(
            &leg,
            Signal::Ended {
                code: "200".to_owned(),
                reason: "because".to_owned()
            }
        )]
    );
    assert!(home.legs.is_empty());
}

#[test]
fn incoming_legs_of_two_accounts_and_of_two_calls_have_different_names() {
    let (mut one, mut other) = (Home::new(), Home::new());
    let names = [one.called("A"), one.called("B"), other.called("A")];
    assert!(names.iter().all(|name| name.starts_with("home/in/")));
    assert_eq!(std::collections::BTreeSet::from(names).len(), 3);
}

#[test]
fn legs_do_not_wait_for_each_other() {
    let mut home = Home::new();
    home.order("b", start("bob@demo.local"));
    home.order("c", start("carol@demo.local"));
    assert_eq!(home.sent().len(), 2);
}

#[test]
fn notifications_that_overtake_the_reply_to_the_start_are_kept() {
    let mut home = Home::new();
    home.order("b", start("bob@demo.local"));
    home.order("c", start("carol@demo.local"));
    home.heard("LB", News::Ringing);
    home.heard("LC", ended("486"));
    home.heard("LB", News::Responded(sdp("answer")));
    assert_eq!(home.told(), []);
    home.run(20 * SECOND);
    home.reply("b", session("LB"));
    assert_eq!(
        home.told(),
        [
            signal("b", Signal::Started),
            signal("b", Signal::Ringing),
            signal("b", Signal::Responded(sdp("answer"))),
        ]
    );
    home.reply("c", session("LC"));
    assert_eq!(home.told().len(), 2, "started, then ended");
}

#[test]
fn early_notifications_are_not_kept_for_ever_nor_in_any_number() {
    let mut home = Home::new();
    home.order("b", start("bob@demo.local"));
    for _ in 0..10_000 {
        home.heard("LX", News::Ringing);
    }
    assert!(home.legs.early.len() <= 64);
    home.run(31 * SECOND);
    assert_eq!(home.legs.early.len(), 0);
    home.reply("b", session("LX"));
    assert_eq!(home.told(), [signal("b", Signal::Started)]);
}

#[test]
fn a_notification_for_an_unknown_leg_is_dropped() {
    let mut home = Home::new();
    home.heard("LX", News::Ringing);
    home.heard("LX", ended("200"));
    assert_eq!((home.told(), home.sent().len()), (vec![], 0));
    assert_eq!(home.legs.deadline(), None);
}

#[test]
fn a_refused_start_ends_the_leg() {
    let mut home = Home::new();
    home.order("b", start("bob@demo.local"));
    home.reply("b", Err(trouble(500, Some(26))));
    assert_eq!(
        home.told(),
        [signal("b", Signal::StartFailed(failure("26")))]
    );
    assert!(home.legs.is_empty());
}

#[test]
fn a_start_without_a_usable_id_ends_the_leg() {
    for id in [None, Some(""), Some("../../subscription"), Some("a b")] {
        let mut home = Home::new();
        home.order("b", start("bob@demo.local"));
        home.reply(
            "b",
            Ok(Reply {
                session: id.map(str::to_owned),
                state: None,
            }),
        );
        let told = home.told();
        assert!(
            matches!(&told[..], [Input::Signal(_, Signal::StartFailed(_))]),
            "{id:?}: {told:?}"
        );
    }
}

#[test]
fn a_call_cancelled_before_the_reply_is_ended_at_the_server() {
    for order in [
        SignalOrder::End("Cancelled".to_owned()),
        SignalOrder::Forget,
    ] {
        let mut home = Home::new();
        home.order("b", start("bob@demo.local"));
        home.sent();
        home.order("b", order);
        assert_eq!(home.requests(), [], "there is no id to end yet");
        home.reply("b", session("LB"));
        assert!(matches!(&home.requests()[..], [Request::End(_)]));
        assert_eq!(home.told(), [], "the core has forgotten the leg");
        home.reply("b", Ok(Reply::default()));
        assert!(home.legs.is_empty());
    }
}

#[test]
fn ending_drops_what_waits_but_not_what_is_under_way() {
    let mut home = Home::new();
    let leg = home.called("LI");
    home.order(&leg, SignalOrder::Ring);
    home.order(&leg, SignalOrder::Answer(sdp("answer")));
    home.order(&leg, SignalOrder::End("bye".to_owned()));
    assert_eq!(home.requests(), [Request::Ringing]);
    home.reply(&leg, Err(trouble(400, Some(5))));
    assert_eq!(home.requests(), [Request::End("bye".to_owned())]);
}

#[test]
fn an_end_is_repeated_until_the_server_has_it() {
    let mut home = Home::new();
    let leg = home.called("LI");
    home.order(&leg, SignalOrder::Reject);
    let mut sent = home.requests().len();
    for _ in 0..5 {
        home.reply(&leg, Err(Trouble::unreachable("no route")));
        home.run(16 * SECOND);
        sent += home.requests().len();
    }
    assert_eq!(sent, 6);
    home.reply(&leg, Ok(Reply::default()));
    assert!(home.legs.is_empty());
}

#[test]
fn an_end_that_never_arrives_is_given_up_when_the_server_must_know() {
    let mut home = Home::new();
    let leg = home.called("LI");
    home.order(&leg, SignalOrder::Reject);
    for _ in 0..30 {
        home.reply(&leg, Err(Trouble::unreachable("no route")));
        home.run(10 * SECOND);
    }
    assert!(home.legs.is_empty());
    assert_eq!(home.legs.deadline(), None);
}

#[test]
fn an_end_that_cannot_be_sent_goes_at_once_when_the_connection_is_back() {
    let mut home = Home::new();
    let leg = home.called("LI");
    home.order(&leg, SignalOrder::Reject);
    home.sent();
    home.reply(&leg, Err(Trouble::unreachable("no route")));
    assert_eq!(home.requests(), []);
    let acts = home.legs.resync();
    home.take(acts);
    assert_eq!(home.requests(), [Request::Reject]);
}

#[test]
fn an_answered_call_is_audited_3_s_later_and_then_every_25_to_30_s() {
    let mut home = Home::new();
    let leg = home.called("LI");
    home.order(&leg, SignalOrder::Answer(sdp("answer")));
    home.sent();
    home.reply(&leg, Ok(Reply::default()));
    let answered = home.now;
    let mut audits = Vec::new();
    while home.now < answered + 600 * SECOND {
        home.run(SECOND / 4);
        for request in home.requests() {
            assert_eq!(request, Request::Audit);
            audits.push(home.now - answered);
            home.reply(&leg, Ok(Reply::default()));
        }
    }
    assert!(
        (SECOND * 3..SECOND * 4).contains(&audits[0]),
        "{:?}",
        audits[0]
    );
    for pair in audits.windows(2) {
        let pause = pair[1] - pair[0];
        assert!((SECOND * 24..=SECOND * 31).contains(&pause), "{pause:?}");
    }
    assert!(audits.len() >= 20);
}

#[test]
fn an_audit_answered_with_42_ends_the_call_other_failures_do_not() {
    let mut home = Home::new();
    home.up("b", "LB");
    home.run(4 * SECOND);
    assert_eq!(home.requests(), [Request::Audit]);
    home.reply("b", Err(Trouble::unreachable("no route")));
    home.run(31 * SECOND);
    assert_eq!(home.requests(), [Request::Audit]);
    home.reply("b", Err(trouble(404, None)));
    home.run(31 * SECOND);
    assert_eq!(
        (home.told(), home.requests()),
        (vec![], vec![Request::Audit])
    );
    home.reply("b", Err(trouble(404, Some(42))));
    let told = home.told();
    let [Input::Signal(_, Signal::Ended { code, .. })] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(code, "42");
    assert!(home.legs.is_empty());
}

#[test]
fn after_a_reconnect_calls_that_the_server_forgot_are_over() {
    let mut home = Home::new();
    home.up("b", "LB");
    home.up("c", "LC");
    let acts = home.legs.resync();
    home.take(acts);
    assert_eq!(home.requests(), [Request::State, Request::State]);
    home.reply("b", Err(trouble(404, Some(47))));
    home.reply(
        "c",
        Ok(Reply {
            session: None,
            state: Some("ANSWERED".to_owned()),
        }),
    );
    let told = home.told();
    let [Input::Signal(leg, Signal::Ended { code, .. })] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!((leg.as_str(), code.as_str()), ("b", "47"));
}

#[test]
fn a_call_that_was_answered_meanwhile_while_we_ring_was_answered_elsewhere() {
    let mut home = Home::new();
    let leg = home.called("LI");
    let acts = home.legs.resync();
    home.take(acts);
    home.sent();
    home.reply(
        &leg,
        Ok(Reply {
            session: None,
            state: Some("ANSWERED".to_owned()),
        }),
    );
    assert_eq!(home.told(), [signal(&leg, Signal::AnsweredElsewhere)]);
}

#[test]
fn cancel_means_answered_elsewhere_only_while_we_ring() {
    let mut home = Home::new();
    let ringing = home.called("LI");
    home.heard("LI", News::Cancelled);
    assert_eq!(home.told(), [signal(&ringing, Signal::AnsweredElsewhere)]);
    let answered = home.called("LJ");
    home.order(&answered, SignalOrder::Answer(sdp("answer")));
    home.heard("LJ", News::Cancelled);
    assert_eq!(home.told(), []);
}

#[test]
fn an_answer_that_does_not_get_through_is_repeated_then_the_leg_is_ended() {
    let mut home = Home::new();
    let leg = home.called("LI");
    home.order(&leg, SignalOrder::Answer(sdp("answer")));
    let mut answers = home.requests().len();
    for _ in 0..3 {
        assert_eq!(home.told(), []);
        home.reply(&leg, Err(Trouble::unreachable("no route")));
        home.run(2 * SECOND);
        let answered = |request: &Request| matches!(request, Request::Answer(_));
        answers += home.requests().into_iter().filter(answered).count();
    }
    assert_eq!(answers, 3);
    assert_eq!(
        home.told(),
        [signal(&leg, Signal::AnswerFailed(failure("call:2")))]
    );
    home.reply(&leg, Ok(Reply::default()));
    assert!(home.legs.is_empty(), "the caller was told");
}

#[test]
fn glare_is_told_with_its_delay_whichever_way_it_comes() {
    let mut home = Home::new();
    home.up("b", "LB");
    home.order("b", SignalOrder::Update(sdp("hold")));
    home.reply(
        "b",
        Err(Trouble {
            retry_after: Some(3 * SECOND),
            ..trouble(400, Some(49))
        }),
    );
    home.heard("LB", News::Glare(3 * SECOND));
    let told = home.told();
    assert_eq!(told.len(), 2);
    for news in told {
        let Input::Signal(
            _,
            Signal::UpdateRefused {
                retry_after,
                failure,
            },
        ) = news
        else {
            panic!("{news:?}");
        };
        assert_eq!(
            (retry_after, failure.code.as_str()),
            (Some(3 * SECOND), "49")
        );
    }
}

#[test]
fn updates_pass_both_ways() {
    let mut home = Home::new();
    home.up("b", "LB");
    home.heard("LB", News::UpdateOffered(Some(sdp("their offer"))));
    home.order("b", SignalOrder::Respond(sdp("our answer")));
    home.order("b", SignalOrder::Update(sdp("our offer")));
    assert_eq!(home.requests(), [Request::Respond(sdp("our answer"))]);
    home.reply("b", Ok(Reply::default()));
    assert_eq!(home.requests(), [Request::Update(sdp("our offer"))]);
    home.reply("b", Ok(Reply::default()));
    home.heard("LB", News::Responded(sdp("their answer")));
    assert_eq!(
        home.told(),
        [
            signal("b", Signal::UpdateOffered(Some(sdp("their offer")))),
            signal("b", Signal::Responded(sdp("their answer"))),
        ]
    );
}

#[test]
fn an_ignored_call_is_forgotten_without_a_word() {
    let mut home = Home::new();
    let leg = home.called("LI");
    home.order(&leg, SignalOrder::Forget);
    assert_eq!((home.requests(), home.legs.is_empty()), (vec![], true));
}

#[test]
fn too_many_calls_at_once_are_refused() {
    let mut home = Home::new();
    for n in 0..MOST_LEGS {
        home.called(&format!("L{n}"));
    }
    let acts = home.legs.called(call("one-more"), home.now);
    assert!(
        matches!(
            &acts[..],
            [Act::Send {
                request: Request::Reject,
                ..
            }]
        ),
        "{acts:?}"
    );
}

#[test]
fn stopping_tells_every_other_end() {
    let mut home = Home::new();
    home.up("b", "LB");
    let ringing = home.called("LI");
    home.order("c", start("carol@demo.local"));
    home.sent();
    let acts = home.legs.stop("Going down", home.now);
    home.take(acts);
    let end = Request::End("Going down".to_owned());
    assert_eq!(home.requests(), [end.clone(), Request::Reject]);
    home.reply("c", session("LC"));
    assert_eq!(home.requests(), [end]);
    for leg in ["b", "c", &ringing] {
        home.reply(leg, Ok(Reply::default()));
    }
    assert!(home.legs.is_empty());
}

#[test]
fn orders_for_a_leg_that_is_over_do_nothing() {
    let mut home = Home::new();
    for order in [
        SignalOrder::Ring,
        SignalOrder::Reject,
        SignalOrder::End("x".to_owned()),
        SignalOrder::Update(sdp("x")),
        SignalOrder::Forget,
    ] {
        home.order("gone", order);
    }
    home.reply("gone", Ok(Reply::default()));
    assert_eq!((home.requests(), home.told()), (vec![], vec![]));
}

/// The legs of one account, with what they did since we last looked.
struct Home {
    now: Instant,
    legs: Legs,
    sent: Vec<(String, String, Request)>,
    told: Vec<Input>,
}

impl Home {
    fn new() -> Self {
        let own = Address::new("alice@demo.local");
        Self {
            now: crate::clock::now(),
            legs: Legs::new(AccountId::new("home"), own, 1),
            sent: Vec::new(),
            told: Vec::new(),
        }
    }

    fn order(&mut self, leg: &str, order: SignalOrder) {
        let acts = self.legs.order(LegId::new(leg), order, self.now);
        self.take(acts);
    }

    fn heard(&mut self, session: &str, news: News) {
        let acts = self.legs.heard(session.to_owned(), news, self.now);
        self.take(acts);
    }

    fn reply(&mut self, leg: &str, result: Result<Reply, Trouble>) {
        let acts = self.legs.replied(&LegId::new(leg), result, self.now);
        self.take(acts);
    }

    /// A call arrives; its leg.
    fn called(&mut self, session: &str) -> String {
        let acts = self.legs.called(call(session), self.now);
        let [Act::Tell(Input::Incoming(incoming))] = &acts[..] else {
            panic!("{acts:?}");
        };
        assert_eq!(incoming.from.as_str(), "bob@demo.local");
        assert_eq!(incoming.to.as_str(), "alice@demo.local");
        incoming.leg.as_str().to_owned()
    }

    /// An outgoing call that was answered just now.
    fn up(&mut self, leg: &str, id: &str) {
        self.order(leg, start("bob@demo.local"));
        self.reply(leg, session(id));
        self.heard(id, News::Responded(sdp("answer")));
        self.sent();
        self.told();
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.legs.deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            let acts = self.legs.tick(self.now);
            self.take(acts);
            let again = self.legs.deadline();
            assert!(again.is_none_or(|again| again > self.now), "it would spin");
        }
        self.now = end;
    }

    fn take(&mut self, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Send {
                    leg,
                    session,
                    request,
                } => self.sent.push((leg.as_str().to_owned(), session, request)),
                Act::Tell(input) => self.told.push(input),
            }
        }
    }

    fn sent(&mut self) -> Vec<(String, String, Request)> {
        std::mem::take(&mut self.sent)
    }

    fn requests(&mut self) -> Vec<Request> {
        self.sent()
            .into_iter()
            .map(|(.., request)| request)
            .collect()
    }

    fn told(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.told)
    }
}

fn start(to: &str) -> SignalOrder {
    SignalOrder::Start {
        target: Target {
            account: AccountId::new("home"),
            to: Address::new(to),
        },
        offer: sdp("offer"),
    }
}

fn call(session: &str) -> IncomingCall {
    IncomingCall {
        session: session.to_owned(),
        from: Address::new("bob@demo.local"),
        from_name: "Bob".to_owned(),
        to: String::new(),
        offer: Some(sdp("offer")),
    }
}

fn sdp(text: &str) -> Sdp {
    Sdp::new(text)
}

fn session(id: &str) -> Result<Reply, Trouble> {
    Ok(Reply {
        session: Some(id.to_owned()),
        state: None,
    })
}

fn signal(leg: &str, signal: Signal) -> Input {
    Input::Signal(LegId::new(leg), signal)
}

fn ended(code: &str) -> News {
    News::Ended {
        code: code.to_owned(),
        reason: "because".to_owned(),
    }
}

fn trouble(http: u16, status: Option<i32>) -> Trouble {
    Trouble {
        http: Some(http),
        status,
        ..Trouble::unreachable("no route")
    }
}

fn failure(code: &str) -> Failure {
    Failure {
        code: code.to_owned(),
        message: "no route".to_owned(),
    }
}
