//! Calls as people make them.

use super::*;

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
                offer: sdp("offer"),
                parameters: Vec::new(),
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
    assert!(names.iter().all(|name| name.ends_with("/in")));
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
