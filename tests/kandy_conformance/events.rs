//! Section 6: the notifications.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::gateway_bench::{Bench, Next, SDP, Session, settings, talk};

/// 6.1 to 6.3 and each row of 6.4, over a call with everything in it: every frame has
/// what the SDKs read without a check.
#[tokio::test]
async fn r6_4_r10_5_every_event_of_a_long_call_is_complete() {
    let bench = Bench::start().await;
    let mut door = bench.session("door").await;
    let mut phone = bench.session("alice").await;
    let mut tablet = bench.session("alice").await;
    let mine = door.call("sip:alice@demo.local@demo.local").await;
    let mut seen = Seen::default();
    let call = seen.check(&mut phone, "call", &["sdp", "actions"]).await;
    let theirs = call["sessionParams"]["sessionData"].as_str().unwrap();
    seen.check(&mut tablet, "call", &["sdp", "actions"]).await;
    phone.put_ok(theirs, json!({"type": "ringing"})).await;
    seen.check(&mut door, "ringing", &[]).await;
    phone.answer(theirs).await;
    seen.check(&mut door, "respondCallUpdate", &["sdp"]).await;
    seen.check(&mut tablet, "callCancel", &[]).await;
    for (from, leg) in [(&phone, theirs), (&door, mine.as_str())] {
        let candidates = json!({"type": "updateIceCandidate", "iceCandidates": []});
        from.put_ok(leg, candidates).await;
    }
    seen.check(&mut door, "IceCandidate", &["iceCandidates"])
        .await;
    seen.check(&mut phone, "IceCandidate", &["iceCandidates"])
        .await;
    let offer = json!({"type": "startCallUpdate", "sdp": SDP});
    let answer = json!({"type": "respondCallUpdate", "sdp": SDP});
    door.put_ok(&mine, offer).await;
    seen.check(&mut phone, "startCallUpdate", &["sdp"]).await;
    phone.put_ok(theirs, answer).await;
    seen.check(&mut door, "respondCallUpdate", &["sdp"]).await;
    phone.end(theirs, "").await;
    seen.check(&mut phone, "callEnd", &["statusCode", "reasonText"])
        .await;
    seen.check(&mut door, "callEnd", &["statusCode", "reasonText"])
        .await;
    assert_eq!(seen.ids.len(), 11);
    bench.stop().await;
}

/// What was seen of a call from the door to alice.
#[derive(Default)]
struct Seen {
    ids: BTreeSet<String>,
}

impl Seen {
    /// The next notification of `session` must be a complete `event`.
    async fn check(&mut self, session: &mut Session, event: &str, texts: &[&str]) -> Value {
        let notification = session.next().await;
        assert_eq!(notification["eventType"], event, "{notification}");
        let id = notification["eventId"].as_str().unwrap();
        assert!(self.ids.insert(id.to_owned()), "an eventId came twice");
        let time = notification["time"].as_str().unwrap();
        assert!(time.parse::<u64>().is_ok(), "{time}");

        let (door, alice) = ("door@demo.local", "alice@demo.local");
        let is_door = session.client.user == door;
        let (remote, name) = if is_door {
            (alice, "alice")
        } else {
            (door, "door")
        };
        let parties = json!({
            "callerDisplayNumber": door, "callerName": "door", "calleeDisplayNumber": alice,
            "remoteDisplayNumber": remote, "remoteName": name,
        });
        assert_eq!(notification["callNotificationParams"], parties, "{event}");

        let params = notification["sessionParams"].as_object().unwrap();
        assert_eq!(params["type"], event);
        assert!(!params["sessionData"].as_str().unwrap().is_empty());
        let extra: BTreeSet<_> = params.keys().map(String::as_str).collect();
        let wanted = texts.iter().copied().chain(["type", "sessionData"]);
        assert_eq!(extra, wanted.collect(), "{event}");
        for name in ["sdp", "statusCode", "reasonText"] {
            if let Some(value) = params.get(name) {
                assert!(!value.as_str().unwrap().is_empty(), "{event} {name}");
            }
        }
        notification
    }
}

/// 6.4: `gone` names no call; 10.3: the close that follows says not to come back.
#[tokio::test]
async fn r6_4_gone_has_nothing_but_its_envelope() {
    let mut settings = settings();
    let short = Duration::from_millis(300);
    settings.grant_expires = short..=short;
    let bench = Bench::with(settings).await;
    let mut alice = bench.session("alice").await;
    let gone = alice.next().await;
    let members: BTreeSet<_> = gone.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        members,
        ["eventId", "eventType", "time"].map(str::to_owned).into()
    );
    assert_eq!(gone["eventType"], "gone");
    assert!(matches!(
        alice.socket.next().await,
        Next::Closed(Some(1000))
    ));
    bench.stop().await;
}

/// 6.5: each way to end a call has its code, for both ends that heard of the call.
#[tokio::test]
async fn r6_5_each_ending_has_its_code() {
    let mut settings = settings();
    settings.ring_time = Duration::from_secs(2);
    let bench = Bench::with(settings).await;
    let mut door = bench.session("door").await;
    let mut alice = bench.session("alice").await;

    let (mine, theirs) = talk(&mut door, &mut alice).await;
    door.end(&mine, "?reasonText=").await;
    both_end(&mut door, &mine, &mut alice, &theirs, "200", "Call Ended").await;

    let (mine, theirs) = talk(&mut door, &mut alice).await;
    door.end(&mine, "?reasonText=Good%20night%2C%20%C3%84nne")
        .await;
    both_end(
        &mut door,
        &mine,
        &mut alice,
        &theirs,
        "200",
        "Good night, \u{c4}nne",
    )
    .await;

    let (mine, theirs) = ring(&door, &mut alice).await;
    alice.reject(&theirs).await;
    both_end(&mut door, &mine, &mut alice, &theirs, "603", "Decline").await;

    let (mine, theirs) = ring(&door, &mut alice).await;
    door.end(&mine, "?reasonText=Never%20mind").await;
    both_end(
        &mut door,
        &mine,
        &mut alice,
        &theirs,
        "487",
        "Request Terminated",
    )
    .await;

    let (mine, theirs) = ring(&door, &mut alice).await;
    door.expect("ringing").await;
    both_end(
        &mut door,
        &mine,
        &mut alice,
        &theirs,
        "480",
        "Temporarily Unavailable",
    )
    .await;

    for (to, code, reason) in [
        ("door", "486", "Busy Here"),
        ("bob", "480", "Temporarily Unavailable"),
        ("nobody", "404", "Not Found"),
        ("+1 (613) 555-0100", "404", "Not Found"),
    ] {
        let mine = door.call(to).await;
        door.expect_end(&mine, code, reason).await;
    }
    bench.stop().await;
}

async fn ring(caller: &Session, callee: &mut Session) -> (String, String) {
    let mine = caller.call(&callee.client.user).await;
    (mine, callee.incoming().await)
}

async fn both_end(
    caller: &mut Session,
    mine: &str,
    callee: &mut Session,
    theirs: &str,
    code: &str,
    reason: &str,
) {
    caller.expect_end(mine, code, reason).await;
    callee.expect_end(theirs, code, reason).await;
}
