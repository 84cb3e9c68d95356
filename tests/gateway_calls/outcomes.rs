//! How calls end, and what happens in them.

use std::time::Duration;

use serde_json::json;

use crate::gateway_bench::{Bench, SDP, settings, talk};

const BY_USER: &str = "?reasonText=Ended%20by%20local%20user";

#[tokio::test]
async fn a_call_is_answered_and_the_caller_ends_it() {
    let bench = Bench::start().await;
    let mut door = bench.session("door").await;
    let mut alice = bench.session("alice").await;
    let (mine, theirs) = talk(&mut door, &mut alice).await;
    assert_ne!(mine, theirs, "each side has a leg of its own");
    door.end(&mine, BY_USER).await;
    door.expect_end(&mine, "200", "Ended by local user").await;
    alice
        .expect_end(&theirs, "200", "Ended by local user")
        .await;
    // Ending once more is no error (5.6); nothing else works any more.
    alice.end(&theirs, "").await;
    let (status, reply) = alice.put(&theirs, json!({"type": "audit"})).await;
    assert_eq!((status, reply), (404, json!({"statusCode": 42})));
    let (status, reply) = door.state(&mine).await;
    assert_eq!((status, reply), (404, json!({"statusCode": 47})));
    bench.stop().await;
}

#[tokio::test]
async fn a_call_is_answered_and_the_callee_ends_it_without_a_reason() {
    let bench = Bench::start().await;
    let mut door = bench.session("door").await;
    let mut alice = bench.session("alice").await;
    let (mine, theirs) = talk(&mut door, &mut alice).await;
    alice.end(&theirs, "").await;
    door.expect_end(&mine, "200", "Call Ended").await;
    alice.expect_end(&theirs, "200", "Call Ended").await;
    bench.stop().await;
}

#[tokio::test]
async fn r5_3_the_caller_learns_of_ringing_once_and_the_answer_brings_the_sdp() {
    let bench = Bench::start().await;
    let mut door = bench.session("door").await;
    let mut alice = bench.session("alice").await;
    let mine = door.call("sip:alice@demo.local").await;
    let call = alice.next().await;
    assert_eq!(call["sessionParams"]["sdp"], SDP);
    assert_eq!(
        call["sessionParams"]["actions"],
        json!(["reject", "forward", "answer"])
    );
    assert_eq!(
        call["callNotificationParams"]["callerDisplayNumber"],
        "door@demo.local"
    );
    let theirs = call["sessionParams"]["sessionData"].as_str().unwrap();
    assert_eq!(alice.state(theirs).await.1["state"], "RINGING");
    alice.put_ok(theirs, json!({"type": "ringing"})).await;
    alice.put_ok(theirs, json!({"type": "ringing"})).await;
    alice.answer(theirs).await;
    assert_eq!(door.expect("ringing").await["sessionData"], mine);
    let answer = door.expect("respondCallUpdate").await;
    assert_eq!(answer["sessionData"], mine);
    assert_eq!(answer["sdp"], SDP);
    assert_eq!(door.state(&mine).await.1["state"], "ANSWERED");
    bench.stop().await;
}

#[tokio::test]
async fn r10_6_a_callee_that_never_says_ringing_is_taken_to_ring_after_a_second() {
    let bench = Bench::start().await;
    let mut door = bench.session("door").await;
    let mut alice = bench.session("alice").await;
    let called = tokio::time::Instant::now();
    door.call("alice@demo.local").await;
    alice.incoming().await;
    door.expect("ringing").await;
    assert!(called.elapsed() >= Duration::from_secs(1));
    bench.stop().await;
}

#[tokio::test]
async fn r5_5_a_rejected_call_ends_on_both_sides() {
    let bench = Bench::start().await;
    let mut door = bench.session("door").await;
    let mut alice = bench.session("alice").await;
    let mine = door.call("alice@demo.local").await;
    let theirs = alice.incoming().await;
    alice.reject(&theirs).await;
    alice.expect_end(&theirs, "603", "Decline").await;
    door.expect_end(&mine, "603", "Decline").await;
    bench.stop().await;
}

#[tokio::test]
async fn r5_6_a_cancelled_call_ends_on_both_sides() {
    let bench = Bench::start().await;
    let mut door = bench.session("door").await;
    let mut alice = bench.session("alice").await;
    let mine = door.call("alice@demo.local").await;
    let theirs = alice.incoming().await;
    door.end(&mine, BY_USER).await;
    door.expect_end(&mine, "487", "Request Terminated").await;
    alice.expect_end(&theirs, "487", "Request Terminated").await;
    bench.stop().await;
}

#[tokio::test]
async fn a_door_in_a_call_is_busy_for_others() {
    let bench = Bench::start().await;
    let mut door = bench.session("door").await;
    let mut alice = bench.session("alice").await;
    let mut bob = bench.session("bob").await;
    talk(&mut alice, &mut door).await;
    let mine = bob.call("door@demo.local").await;
    bob.expect_end(&mine, "486", "Busy Here").await;
    bob.end(&mine, "").await;
    bench.stop().await;
}

#[tokio::test]
async fn unknown_and_offline_users_are_told_apart() {
    let bench = Bench::start().await;
    let mut door = bench.session("door").await;
    let nobody = door.call("sip:nobody@demo.local").await;
    door.expect_end(&nobody, "404", "Not Found").await;
    let offline = door.call("sip:alice@demo.local").await;
    door.expect_end(&offline, "480", "Temporarily Unavailable")
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn r10_9_nobody_answers() {
    let mut settings = settings();
    settings.ring_time = Duration::from_millis(300);
    let bench = Bench::with(settings).await;
    let mut door = bench.session("door").await;
    let mut alice = bench.session("alice").await;
    let mine = door.call("alice@demo.local").await;
    let theirs = alice.incoming().await;
    door.expect_end(&mine, "480", "Temporarily Unavailable")
        .await;
    alice
        .expect_end(&theirs, "480", "Temporarily Unavailable")
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn r10_7_every_client_of_the_callee_rings_and_those_that_lost_are_told() {
    let bench = Bench::start().await;
    let mut door = bench.session("door").await;
    let mut phone = bench.session("alice").await;
    let mut tablet = bench.session("alice").await;
    let mine = door.call("alice@demo.local").await;
    let at_phone = phone.incoming().await;
    let at_tablet = tablet.incoming().await;
    assert_ne!(at_phone, at_tablet);
    phone.answer(&at_phone).await;
    assert_eq!(tablet.expect("callCancel").await["sessionData"], at_tablet);
    // Too late.
    let answer = json!({"type": "callAnswer", "sdp": SDP});
    let (status, reply) = tablet.put(&at_tablet, answer).await;
    assert_eq!((status, reply), (404, json!({"statusCode": 42})));
    door.expect("ringing").await;
    door.expect("respondCallUpdate").await;
    phone.end(&at_phone, "").await;
    phone.expect_end(&at_phone, "200", "Call Ended").await;
    door.expect_end(&mine, "200", "Call Ended").await;
    bench.stop().await;
}

#[tokio::test]
async fn r5_7_hold_goes_over_and_the_second_offer_at_a_time_is_glare() {
    let bench = Bench::start().await;
    let mut door = bench.session("door").await;
    let mut alice = bench.session("alice").await;
    let (mine, theirs) = talk(&mut door, &mut alice).await;
    alice
        .put_ok(&theirs, json!({"type": "startCallUpdate", "sdp": "hold"}))
        .await;
    let offer = door.expect("startCallUpdate").await;
    assert_eq!(
        (&offer["sdp"], &offer["sessionData"]),
        (&json!("hold"), &json!(mine))
    );
    let second = json!({"type": "startCallUpdate", "sdp": "mine"});
    let (status, reply) = door.put(&mine, second).await;
    assert_eq!(status, 409);
    assert_eq!(reply["statusCode"], 49);
    assert!(reply["retryAfter"].as_u64().unwrap() > 0);
    door.put_ok(&mine, json!({"type": "respondCallUpdate", "sdp": "held"}))
        .await;
    assert_eq!(alice.expect("respondCallUpdate").await["sdp"], "held");
    door.put_ok(&mine, json!({"type": "startCallUpdate", "sdp": "mine"}))
        .await;
    assert_eq!(alice.expect("startCallUpdate").await["sdp"], "mine");
    bench.stop().await;
}

#[tokio::test]
async fn r5_5_a_ringing_call_is_forwarded_to_somebody_else() {
    let bench = Bench::start().await;
    let mut door = bench.session("door").await;
    let mut alice = bench.session("alice").await;
    let mut bob = bench.session("bob").await;
    door.call("alice@demo.local").await;
    let at_alice = alice.incoming().await;
    let body = json!({"callDispositionRequest": {
        "action": "forward", "sessionData": at_alice, "address": "sip:bob@demo.local",
    }});
    let (status, _) = alice
        .client
        .send("POST", "/calldisposition", Some(body))
        .await;
    assert_eq!(status, 200);
    alice.expect_end(&at_alice, "200", "Call Forwarded").await;
    let at_bob = bob.incoming().await;
    bob.answer(&at_bob).await;
    door.expect("ringing").await;
    door.expect("respondCallUpdate").await;
    bench.stop().await;
}
