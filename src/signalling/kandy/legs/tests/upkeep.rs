//! What keeps legs true to the server: audits, repetitions, limits, the end.

use super::*;

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
fn an_answer_that_fails_after_we_hung_up_is_not_repeated() {
    let mut home = Home::new();
    let leg = home.called("LI");
    home.order(&leg, SignalOrder::Answer(sdp("answer")));
    home.sent();
    home.order(&leg, SignalOrder::End("bye".to_owned()));
    home.reply(&leg, Err(Trouble::unreachable("no route")));
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
    // In whichever order their names have.
    let told = home.requests();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.contains(&end) && told.contains(&Request::Reject),
        "{told:?}"
    );
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
