//! Section 5: the call control requests.

use serde_json::{Value, json};

use crate::gateway_bench::{Bench, SDP, Session, talk};

fn custom() -> Value {
    json!([{"name": "X-Door", "value": "back"}, {"name": "X-Floor", "value": "3"}])
}

/// 5.1: what an SDK adds is taken; custom parameters come at the top of `call`, where
/// 5.2 reads them.
#[tokio::test]
async fn r5_1_make_with_everything_that_an_sdk_may_add() {
    let bench = Bench::start().await;
    let mut alice = bench.session("alice").await;
    let door = bench.session("door").await;
    let body = json!({"callControlRequest": {
        "type": "callStart", "from": "Front Door<sip:door@demo.local>",
        "to": "sip:alice@demo.local", "sdp": SDP, "supported": ["earlymedia", "replacecall"],
        "customParameters": custom(), "somethingNew": null,
    }});
    let (status, reply) = door.client.send("POST", "/callControl", Some(body)).await;
    assert_eq!(status, 200);
    let leg = reply["callControlResponse"]["sessionData"]
        .as_str()
        .unwrap();
    assert!(
        leg.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    );
    let call = alice.next().await;
    assert_eq!(call["customParameters"], custom());
    assert_eq!(call["callNotificationParams"]["callerName"], "Front Door");
    bench.stop().await;
}

/// 5.1 without `sdp` (slow start): the callee offers, the caller answers.
#[tokio::test]
async fn r5_1_slow_start_goes_through() {
    let bench = Bench::start().await;
    let mut alice = bench.session("alice").await;
    let mut door = bench.session("door").await;
    let body = json!({"callControlRequest": {
        "type": "callStart", "from": "sip:door@demo.local", "to": "sip:alice@demo.local",
    }});
    let (status, reply) = door.client.send("POST", "/callControl", Some(body)).await;
    assert_eq!(status, 200);
    let mine = reply["callControlResponse"]["sessionData"]
        .as_str()
        .unwrap();
    let call = alice.expect("call").await;
    assert!(call.get("sdp").is_none());
    let theirs = call["sessionData"].as_str().unwrap();
    alice
        .put_ok(theirs, json!({"type": "callAnswer", "sdp": "offer"}))
        .await;
    door.expect("ringing").await;
    assert_eq!(door.expect("respondCallUpdate").await["sdp"], "offer");
    door.put_ok(mine, json!({"type": "respondCallUpdate", "sdp": "answer"}))
        .await;
    assert_eq!(alice.expect("respondCallUpdate").await["sdp"], "answer");
    bench.stop().await;
}

/// 5.4: custom parameters of the answer reach the caller; an answer without SDP is
/// none; the caller cannot answer its own call.
#[tokio::test]
async fn r5_4_answer() {
    let bench = Bench::start().await;
    let mut alice = bench.session("alice").await;
    let mut door = bench.session("door").await;
    let mine = door.call("alice@demo.local").await;
    let theirs = alice.incoming().await;
    let (status, reply) = alice.put(&theirs, json!({"type": "callAnswer"})).await;
    assert_eq!((status, &reply["statusCode"]), (400, &json!(5)));
    let answer = json!({"type": "callAnswer", "sdp": SDP, "customParameters": custom()});
    assert_eq!(door.put(&mine, answer.clone()).await.0, 409);
    alice.put_ok(&theirs, answer).await;
    door.expect("ringing").await;
    let answered = door.next().await;
    assert_eq!(answered["eventType"], "respondCallUpdate");
    assert_eq!(answered["customParameters"], custom());
    bench.stop().await;
}

/// 5.5: of a call that is over, 404 and 42 in the wrapper of this path; of an
/// established one, a refusal.
#[tokio::test]
async fn r5_5_reject_too_late() {
    let bench = Bench::start().await;
    let mut alice = bench.session("alice").await;
    let mut door = bench.session("door").await;
    let (mine, theirs) = talk(&mut door, &mut alice).await;
    let reject = async |leg: &str| {
        let body = json!({"callDispositionRequest": {"action": "reject", "sessionData": leg}});
        let path = "/calldisposition";
        alice.client.send("POST", path, Some(body)).await
    };
    let (status, reply) = reject(&theirs).await;
    assert_eq!(status, 409);
    assert_eq!(
        reply,
        json!({"callDispositionResponse": {"statusCode": 1004}})
    );
    door.end(&mine, "").await;
    let (status, reply) = reject(&theirs).await;
    assert_eq!(status, 404);
    assert_eq!(
        reply,
        json!({"callDispositionResponse": {"statusCode": 42}})
    );
    bench.stop().await;
}

/// 5.6 as 5.2 writes it (neither query nor body), twice, from both ends at once.
#[tokio::test]
async fn r5_6_end_without_body_and_by_both_at_once() {
    let bench = Bench::start().await;
    let mut alice = bench.session("alice").await;
    let mut door = bench.session("door").await;
    let (mine, theirs) = talk(&mut door, &mut alice).await;
    let end = async |session: &Session, leg: &str| {
        let path = format!("/callControl/callSessions/{leg}");
        session.client.send("DELETE", &path, None).await
    };
    let (one, two) = tokio::join!(end(&door, &mine), end(&alice, &theirs));
    let done = (200, json!({"callControlResponse": {"statusCode": 0}}));
    assert_eq!((one, two), (done.clone(), done.clone()));
    door.expect_end(&mine, "200", "Call Ended").await;
    alice.expect_end(&theirs, "200", "Call Ended").await;
    assert_eq!(end(&door, &mine).await, done);
    bench.stop().await;
}

/// 5.7: any text goes over untouched, also one that asks the other end to offer.
#[tokio::test]
async fn r5_7_r10_8_an_offer_is_relayed_as_it_is() {
    let bench = Bench::start().await;
    let mut alice = bench.session("alice").await;
    let mut door = bench.session("door").await;
    let (mine, theirs) = talk(&mut door, &mut alice).await;
    let odd = "v=0\r\na=x:\u{e4}\u{1f6aa}\t\"\\/\r\nb=AS:1\r\na=group:BUNDLE 0 1\n";
    door.put_ok(&mine, json!({"type": "startCallUpdate", "sdp": odd}))
        .await;
    assert_eq!(alice.expect("startCallUpdate").await["sdp"], odd);
    alice
        .put_ok(&theirs, json!({"type": "respondCallUpdate", "sdp": odd}))
        .await;
    assert_eq!(door.expect("respondCallUpdate").await["sdp"], odd);

    alice
        .put_ok(&theirs, json!({"type": "startCallUpdate"}))
        .await;
    assert!(door.expect("startCallUpdate").await.get("sdp").is_none());
    door.put_ok(&mine, json!({"type": "respondCallUpdate", "sdp": "offer"}))
        .await;
    assert_eq!(alice.expect("respondCallUpdate").await["sdp"], "offer");
    alice
        .put_ok(
            &theirs,
            json!({"type": "respondCallUpdate", "sdp": "answer"}),
        )
        .await;
    assert_eq!(door.expect("respondCallUpdate").await["sdp"], "answer");
    bench.stop().await;
}

/// 5.8: an answer to nothing goes nowhere; nor does one to one's own offer.
#[tokio::test]
async fn r5_8_only_the_other_end_answers_an_offer() {
    let bench = Bench::start().await;
    let mut alice = bench.session("alice").await;
    let mut door = bench.session("door").await;
    let (mine, theirs) = talk(&mut door, &mut alice).await;
    let answer = json!({"type": "respondCallUpdate", "sdp": SDP});
    assert_eq!(alice.put(&theirs, answer.clone()).await.0, 409);
    door.put_ok(&mine, json!({"type": "startCallUpdate", "sdp": SDP}))
        .await;
    assert_eq!(door.put(&mine, answer.clone()).await.0, 409);
    alice.expect("startCallUpdate").await;
    alice.put_ok(&theirs, answer).await;
    door.expect("respondCallUpdate").await;
    bench.stop().await;
}

/// 5.9: 5.2 audits from INITIATED on, so a ringing leg can be audited by both.
#[tokio::test]
async fn r5_9_audits_are_taken_from_the_first_moment() {
    let bench = Bench::start().await;
    let mut alice = bench.session("alice").await;
    let door = bench.session("door").await;
    let mine = door.call("alice@demo.local").await;
    door.put_ok(&mine, json!({"type": "audit"})).await;
    let theirs = alice.incoming().await;
    alice.put_ok(&theirs, json!({"type": "audit"})).await;
    assert_eq!(alice.state(&theirs).await.1["state"], "RINGING");
    bench.stop().await;
}

/// 5.10: a leg is ringing, then answered, then unknown (47); and only for its owner.
#[tokio::test]
async fn r5_10_each_leg_has_a_state_for_its_owner() {
    let bench = Bench::start().await;
    let mut alice = bench.session("alice").await;
    let mut door = bench.session("door").await;
    let unknown = (404, json!({"statusCode": 47}));
    let is = |state: &str| (200, json!({"statusCode": 0, "state": state}));
    let mine = door.call("alice@demo.local").await;
    let theirs = alice.incoming().await;
    assert_eq!(door.state(&mine).await, is("RINGING"));
    assert_eq!(alice.state(&theirs).await, is("RINGING"));
    assert_eq!(alice.state(&mine).await, unknown);
    alice.answer(&theirs).await;
    door.expect("ringing").await;
    door.expect("respondCallUpdate").await;
    assert_eq!(door.state(&mine).await, is("ANSWERED"));
    assert_eq!(alice.state(&theirs).await, is("ANSWERED"));
    door.end(&mine, "").await;
    assert_eq!(door.state(&mine).await, unknown);
    assert_eq!(alice.state(&theirs).await, unknown);
    assert_eq!(door.state("nonsense").await, unknown);
    bench.stop().await;
}

/// 5.11: candidates go over as they are, before and after the answer.
#[tokio::test]
async fn r5_11_trickle() {
    let bench = Bench::start().await;
    let mut alice = bench.session("alice").await;
    let mut door = bench.session("door").await;
    let mine = door.call("alice@demo.local").await;
    let theirs = alice.incoming().await;
    let candidates = json!([{"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host",
        "sdpMid": "0", "sdpMLineIndex": 0}]);
    let trickle = json!({"type": "updateIceCandidate", "iceCandidates": candidates});
    door.put_ok(&mine, trickle.clone()).await;
    let relayed = alice.expect("IceCandidate").await;
    assert_eq!(relayed["iceCandidates"], candidates);
    assert_eq!(relayed["sessionData"], theirs);
    alice.answer(&theirs).await;
    door.expect("ringing").await;
    door.expect("respondCallUpdate").await;
    alice.put_ok(&theirs, trickle).await;
    assert_eq!(
        door.expect("IceCandidate").await["iceCandidates"],
        candidates
    );
    bench.stop().await;
}

/// 5.12 and 5.13: custom headers are taken and go nowhere; what we cannot do is refused
/// in the right wrapper; the call goes on.
#[tokio::test]
async fn r5_12_r5_13_what_we_cannot_do_harms_no_call() {
    let bench = Bench::start().await;
    let mut alice = bench.session("alice").await;
    let mut door = bench.session("door").await;
    let (mine, theirs) = talk(&mut door, &mut alice).await;
    let headers = json!({"type": "sendCustomHeaders", "customParameters": custom()});
    door.put_ok(&mine, headers).await;
    for request in [
        json!({"type": "transfer", "address": "sip:bob@demo.local"}),
        json!({"type": "refer"}),
        json!({"type": "acceptCallReplace", "sdp": SDP}),
        json!({"type": 7}),
        json!({}),
    ] {
        let (status, reply) = door.put(&mine, request).await;
        assert_eq!((status, reply), (400, json!({"statusCode": 5})));
    }
    let join = json!({"callControlRequest": {
        "type": "join", "firstSessionData": mine, "secondSessionData": mine, "sdp": SDP,
    }});
    let (status, reply) = door.client.send("POST", "/callControl", Some(join)).await;
    assert_eq!(status, 400);
    assert_eq!(reply, json!({"callControlResponse": {"statusCode": 5}}));
    door.end(&mine, "").await;
    alice.expect_end(&theirs, "200", "Call Ended").await;
    bench.stop().await;
}
