use super::*;

#[test]
fn ringing_comes_once_and_before_the_answer() {
    let mut world = World::new();
    let (door, alice) = (world.subscribe(DOOR), world.subscribe(ALICE));
    world.call(&door, ALICE);
    let theirs = world.incoming(&alice);
    let ringing = || CallControlRequest::Ringing {};
    assert_eq!(world.control(&alice, &theirs, ringing()), Reply::Done);
    assert_eq!(world.control(&alice, &theirs, ringing()), Reply::Done);
    world.pass(Duration::from_secs(5));
    world.answer(&alice, &theirs);
    assert_eq!(world.control(&alice, &theirs, ringing()), Reply::Done);
    world.settle();
    assert_eq!(world.story(&door), ["ringing", "respondCallUpdate answer"]);
}

#[test]
fn without_feedback_ringing_comes_a_second_after_the_call_was_delivered() {
    let mut world = World::new();
    let (door, mut alice) = (world.subscribe(DOOR), world.subscribe(ALICE));
    world.lose(&alice);
    world.call(&door, ALICE);
    world.pass(Duration::from_secs(10));
    assert!(
        world.story(&door).is_empty(),
        "nobody has heard the bell yet"
    );
    world.reopen(&mut alice);
    world.pass(Duration::from_millis(999));
    assert!(world.story(&door).is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.story(&door), ["ringing"]);
}

#[test]
fn a_reply_goes_before_the_notification_that_it_causes() {
    let mut world = World::new();
    let door = world.subscribe(DOOR);
    world.call(&door, "nobody@demo.local");
    assert!(world.story(&door).is_empty(), "not yet");
    world.settle();
    assert_eq!(world.story(&door), ["callEnd 404"]);
}

#[test]
fn the_callee_hears_of_a_call_at_once() {
    let mut world = World::new();
    let (door, alice) = (world.subscribe(DOOR), world.subscribe(ALICE));
    world.call(&door, ALICE);
    assert_eq!(world.story(&alice), ["call offer"]);
}

#[test]
fn nobody_answers_for_a_minute() {
    let mut world = World::new();
    let (door, alice) = (world.subscribe(DOOR), world.subscribe(ALICE));
    world.call(&door, ALICE);
    world.pass(RING_TIME - Duration::from_millis(1));
    assert_eq!(world.story(&door), ["ringing"]);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.story(&door), ["callEnd 480"]);
    assert_eq!(world.story(&alice), ["call offer", "callEnd 480"]);
    assert_eq!(world.broker.calls(), 0);
}

#[test]
fn the_reason_of_the_one_who_ends_is_passed_on_to_both() {
    let mut world = World::new();
    let (door, alice) = (world.subscribe(DOOR), world.subscribe(ALICE));
    let (mine, _) = world.talk(&door, &alice);
    let reason = Some("Bye\r\nbye".to_owned());
    world.request(DOOR, Request::End { leg: mine, reason });
    world.settle();
    for client in [&door, &alice] {
        let end = world.received(client).remove(0).session_params.unwrap();
        assert_eq!(end.status_code.as_deref(), Some("200"));
        assert_eq!(end.reason_text.as_deref(), Some("Byebye"));
    }
}

#[test]
fn a_caller_on_two_devices_hears_everything_on_both() {
    let mut world = World::new();
    let door = world.subscribe(DOOR);
    let (phone, tablet) = (world.subscribe(ALICE), world.subscribe(ALICE));
    let mine = world.call(&phone, DOOR);
    let theirs = world.incoming(&door);
    world.answer(&door, &theirs);
    world.end(&phone, &mine);
    world.settle();
    let story = ["ringing", "respondCallUpdate answer", "callEnd 200"];
    assert_eq!(world.story(&phone), story);
    assert_eq!(world.story(&tablet), story);
}

#[test]
fn one_device_that_rejects_rejects_for_all() {
    let mut world = World::new();
    let door = world.subscribe(DOOR);
    let (phone, tablet) = (world.subscribe(ALICE), world.subscribe(ALICE));
    world.call(&door, ALICE);
    let leg = world.incoming(&phone);
    assert_eq!(world.request(ALICE, Request::Reject { leg }), Reply::Done);
    world.settle();
    assert_eq!(world.story(&door), ["callEnd 603"]);
    assert_eq!(world.story(&phone), ["callEnd 603"]);
    assert_eq!(world.story(&tablet), ["call offer", "callEnd 603"]);
}

#[test]
fn two_devices_answer_at_once_and_the_first_wins() {
    let mut world = World::new();
    let door = world.subscribe(DOOR);
    let (phone, tablet) = (world.subscribe(ALICE), world.subscribe(ALICE));
    world.call(&door, ALICE);
    let at_phone = world.incoming(&phone);
    let at_tablet = world.incoming(&tablet);
    assert_eq!(world.answer(&phone, &at_phone), Reply::Done);
    let late = world.answer(&tablet, &at_tablet);
    assert_eq!(late, Reply::Refused(Refusal::NoSession));
    // The winner's reply was lost and it asks again.
    assert_eq!(world.answer(&phone, &at_phone), Reply::Done);
    world.settle();
    assert_eq!(world.story(&tablet), ["callCancel"]);
    assert_eq!(world.story(&door), ["ringing", "respondCallUpdate answer"]);
}

#[test]
fn a_door_that_rings_one_user_is_busy_for_the_next_and_free_after_the_call() {
    let mut world = World::new();
    let door = world.subscribe(DOOR);
    let (alice, bob) = (world.subscribe(ALICE), world.subscribe(BOB));
    let mine = world.call(&alice, DOOR);
    world.call(&bob, DOOR);
    world.settle();
    assert_eq!(world.story(&bob), ["callEnd 486"]);
    world.end(&alice, &mine);
    world.settle();
    world.call(&bob, DOOR);
    assert_eq!(
        world.story(&door),
        ["call offer", "callEnd 487", "call offer"]
    );
}

#[test]
fn who_calls_oneself_is_busy() {
    let mut world = World::new();
    let alice = world.subscribe(ALICE);
    world.call(&alice, ALICE);
    world.settle();
    assert_eq!(world.story(&alice), ["callEnd 486"]);
}

#[test]
fn a_leg_without_an_audit_for_three_minutes_ends_the_call() {
    let mut world = World::new();
    let (door, alice) = (world.subscribe(DOOR), world.subscribe(ALICE));
    let (mine, theirs) = world.talk(&door, &alice);
    for _ in 0..20 {
        world.pass(Duration::from_secs(30));
        for (client, leg) in [(&door, &mine), (&alice, &theirs)] {
            let audit = CallControlRequest::Audit {};
            assert_eq!(world.control(client, leg, audit), Reply::Done);
        }
    }
    // Alice's page has crashed.
    for _ in 0..5 {
        world.pass(Duration::from_secs(30));
        let audit = CallControlRequest::Audit {};
        assert_eq!(world.control(&door, &mine, audit), Reply::Done);
    }
    assert!(world.story(&door).is_empty());
    world.pass(Duration::from_secs(30));
    assert_eq!(world.story(&door), ["callEnd 408"]);
}

#[test]
fn an_offer_blocks_the_next_until_it_is_answered_or_thirty_seconds_old() {
    let mut world = World::new();
    let (door, alice) = (world.subscribe(DOOR), world.subscribe(ALICE));
    let (mine, theirs) = world.talk(&door, &alice);
    let offer = |text: &str| CallControlRequest::StartCallUpdate {
        sdp: Some(text.to_owned()),
    };
    let respond = |text: &str| CallControlRequest::RespondCallUpdate {
        sdp: Some(text.to_owned()),
    };
    let glare = Reply::Refused(Refusal::Glare);
    let wrong = Reply::Refused(Refusal::WrongState);
    assert_eq!(world.control(&door, &mine, respond("x")), wrong, "to what?");
    assert_eq!(world.control(&door, &mine, offer("1")), Reply::Done);
    assert_eq!(world.control(&alice, &theirs, offer("2")), glare);
    assert_eq!(world.control(&door, &mine, offer("3")), glare);
    assert_eq!(
        world.control(&door, &mine, respond("x")),
        wrong,
        "to itself?"
    );
    world.pass(Duration::from_secs(30));
    assert_eq!(world.control(&alice, &theirs, offer("4")), Reply::Done);
    assert_eq!(world.control(&door, &mine, respond("4'")), Reply::Done);
    world.settle();
    assert_eq!(world.story(&door), ["startCallUpdate 4"]);
    let story = ["startCallUpdate 1", "respondCallUpdate 4'"];
    assert_eq!(world.story(&alice), story);
}

#[test]
fn an_update_before_the_answer_is_refused() {
    let mut world = World::new();
    let (door, _alice) = (world.subscribe(DOOR), world.subscribe(ALICE));
    let mine = world.call(&door, ALICE);
    let offer = CallControlRequest::StartCallUpdate { sdp: None };
    let reply = world.control(&door, &mine, offer);
    assert_eq!(reply, Reply::Refused(Refusal::WrongState));
}

#[test]
fn a_call_without_an_offer_is_offered_by_the_callee() {
    let mut world = World::new();
    let (door, alice) = (world.subscribe(DOOR), world.subscribe(ALICE));
    let start = Start {
        display_name: Some("Front Door".to_owned()),
        to: ALICE.to_owned(),
        sdp: None,
        custom_parameters: Vec::new(),
    };
    let Reply::Started { leg: mine } = world.request(DOOR, Request::Start(start)) else {
        panic!("not started");
    };
    let call = world.received(&alice).remove(0);
    assert_eq!(
        call.call_notification_params.unwrap().caller_name,
        "Front Door"
    );
    let session = call.session_params.unwrap();
    assert_eq!(session.sdp, None);
    world.answer(&alice, &session.session_data);
    let answer = CallControlRequest::RespondCallUpdate {
        sdp: Some("the real answer".to_owned()),
    };
    assert_eq!(world.control(&door, &mine, answer), Reply::Done);
    assert_eq!(world.story(&alice), ["respondCallUpdate the real answer"]);
}

#[test]
fn candidates_go_to_every_client_that_rings() {
    let mut world = World::new();
    let door = world.subscribe(DOOR);
    let (phone, tablet) = (world.subscribe(ALICE), world.subscribe(ALICE));
    let mine = world.call(&door, ALICE);
    let ice_candidates = serde_json::json!([{ "candidate": "c" }]);
    let trickle = CallControlRequest::UpdateIceCandidate {
        ice_candidates: ice_candidates.clone(),
    };
    assert_eq!(world.control(&door, &mine, trickle), Reply::Done);
    for client in [&phone, &tablet] {
        let session = world.received(client).remove(1).session_params.unwrap();
        assert_eq!(session.ice_candidates.as_ref(), Some(&ice_candidates));
    }
}

#[test]
fn a_call_that_is_forwarded_in_circles_ends() {
    let mut world = World::new();
    let door = world.subscribe(DOOR);
    let (alice, bob) = (world.subscribe(ALICE), world.subscribe(BOB));
    world.call(&door, ALICE);
    for hop in 0..5 {
        let (from, to) = if hop % 2 == 0 {
            (&alice, BOB)
        } else {
            (&bob, ALICE)
        };
        world.settle();
        let call = world.received(from).pop().unwrap();
        let leg = call.session_params.unwrap().session_data;
        let to = to.to_owned();
        let reply = world.request(from.user, Request::Forward { leg, to });
        assert_eq!(reply, Reply::Done);
    }
    world.settle();
    assert_eq!(world.broker.calls(), 0);
    assert_eq!(world.story(&door).pop().unwrap(), "callEnd 486");
}

#[test]
fn every_notification_has_an_id_of_its_own() {
    let mut world = World::new();
    let door = world.subscribe(DOOR);
    let (phone, tablet) = (world.subscribe(ALICE), world.subscribe(ALICE));
    let mine = world.call(&door, ALICE);
    world.pass(Duration::from_secs(1));
    world.end(&door, &mine);
    world.settle();
    let mut ids: Vec<_> = [door, phone, tablet]
        .iter()
        .flat_map(|client| world.received(client))
        .map(|notification| notification.event_id)
        .collect();
    assert_eq!(ids.len(), 6);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6);
}

#[test]
fn a_thousand_calls_leave_nothing_behind() {
    let mut world = World::new();
    let (door, alice) = (world.subscribe(DOOR), world.subscribe(ALICE));
    for _ in 0..1000 {
        let (mine, _) = world.talk(&door, &alice);
        world.end(&door, &mine);
        world.settle();
        assert_eq!(world.story(&door), ["callEnd 200"]);
        assert_eq!(world.story(&alice), ["callEnd 200"]);
        // The client renews, or the subscription would end.
        for client in [&door, &alice] {
            let name = SubscriptionName::Id(client.channel.clone());
            let wishes = Wishes {
                expires: Duration::from_secs(3600),
                ..Wishes::default()
            };
            world.request(client.user, Request::Renew(name, wishes));
            world.confirm(client);
        }
    }
    assert_eq!(world.broker.calls(), 0);
}

#[test]
fn the_caller_knows_its_call_before_it_hears_of_it() {
    let mut world = World::new();
    let (door, alice) = (world.subscribe(DOOR), world.subscribe(ALICE));
    world.call(&door, ALICE);
    let theirs = world.incoming(&alice);
    world.control(&alice, &theirs, CallControlRequest::Ringing {});
    world.pass(Duration::from_millis(19));
    assert!(world.story(&door).is_empty(), "the reply is on its way");
    world.pass(Duration::from_millis(1));
    assert_eq!(world.story(&door), ["ringing"]);
}
