//! Calls: made, received, changed, ended.

use std::time::Duration;

use doorstation::call::{Address, Sdp, Signal, SignalOrder};
use serde_json::json;

use crate::server::notification;
use crate::station::{Station, ended};

#[tokio::test]
async fn a_call_is_made_rings_is_answered_and_ended_by_us() {
    let mut station = Station::connect().await;
    station.start("b", "bob@demo.local").await;
    let start = station.server.request("callStart").await;
    assert_eq!(
        start.path,
        "/rest/version/1/user/alice@demo.local/callControl"
    );
    assert_eq!(
        start.body,
        json!({"callControlRequest": {"type": "callStart", "from": "Front door<sip:alice@demo.local>",
            "to": "sip:bob@demo.local", "sdp": "offer"}})
    );
    assert_eq!(station.signal("b").await, Signal::Started);
    station
        .server
        .notify("ringing", json!({"sessionData": "L1"}));
    assert_eq!(station.signal("b").await, Signal::Ringing);
    station.server.notify(
        "respondCallUpdate",
        json!({"sessionData": "L1", "sdp": "answer"}),
    );
    assert_eq!(
        station.signal("b").await,
        Signal::Responded(Sdp::new("answer"))
    );
    station
        .order("b", SignalOrder::End("Ended by local user".to_owned()))
        .await;
    let end = station.server.request("end").await;
    assert_eq!(
        end.path,
        "/rest/version/1/user/alice@demo.local/callControl/callSessions/L1?reasonText=Ended%20by%20local%20user"
    );
    assert_eq!(end.body, json!({}));
    station.stop().await;
}

#[tokio::test]
async fn r11_5_the_other_end_ends_the_call() {
    let mut station = Station::connect().await;
    station.up("b").await;
    station.server.notify(
        "callEnd",
        json!({"sessionData": "L1", "statusCode": "200", "reasonText": "Call Ended"}),
    );
    assert_eq!(station.signal("b").await, ended("200", "Call Ended"));
    station.stop().await;
    assert_eq!(station.server.count("end"), 0);
}

#[tokio::test]
async fn r11_1_a_call_arrives_rings_is_answered_and_ended_by_them() {
    let mut station = Station::connect().await;
    let incoming = station.called("L7").await;
    assert_eq!(incoming.from, Address::new("bob@demo.local"));
    assert_eq!(incoming.from_name, "Bob");
    assert_eq!(incoming.to, Address::new("alice@demo.local"));
    assert_eq!(incoming.offer, Some(Sdp::new("offer")));
    let leg = incoming.leg.as_str();
    station.order(leg, SignalOrder::Ring).await;
    station
        .order(leg, SignalOrder::Answer(Sdp::new("answer")))
        .await;
    let ringing = station.server.request("ringing").await;
    let path = "/rest/version/1/user/alice@demo.local/callControl/callSessions/L7";
    assert_eq!(ringing.path, path);
    let answer = station.server.request("callAnswer").await;
    assert_eq!(answer.path, path);
    assert_eq!(
        answer.body,
        json!({"callControlRequest": {"type": "callAnswer", "sdp": "answer"}})
    );
    station.server.notify(
        "callEnd",
        json!({"sessionData": "L7", "statusCode": "200", "reasonText": "Call Ended"}),
    );
    assert_eq!(station.signal(leg).await, ended("200", "Call Ended"));
    station.stop().await;
}

#[tokio::test]
async fn a_call_is_rejected() {
    let mut station = Station::connect().await;
    let leg = station.called("L7").await.leg;
    station.order(leg.as_str(), SignalOrder::Reject).await;
    let reject = station.server.request("reject").await;
    assert_eq!(
        reject.path,
        "/rest/version/1/user/alice@demo.local/calldisposition"
    );
    assert_eq!(
        reject.body,
        json!({"callDispositionRequest": {"action": "reject", "sessionData": "L7"}})
    );
    station.stop().await;
}

#[tokio::test]
async fn updates_go_both_ways() {
    let mut station = Station::connect().await;
    station.up("b").await;
    station
        .order("b", SignalOrder::Update(Sdp::new("hold")))
        .await;
    let update = station.server.request("startCallUpdate").await;
    assert_eq!(update.body["callControlRequest"]["sdp"], "hold");
    station.server.notify(
        "respondCallUpdate",
        json!({"sessionData": "L1", "sdp": "held"}),
    );
    assert_eq!(
        station.signal("b").await,
        Signal::Responded(Sdp::new("held"))
    );
    station.server.notify(
        "startCallUpdate",
        json!({"sessionData": "L1", "sdp": "their hold"}),
    );
    let offered = Signal::UpdateOffered(Some(Sdp::new("their hold")));
    assert_eq!(station.signal("b").await, offered);
    station
        .order("b", SignalOrder::Respond(Sdp::new("held too")))
        .await;
    let respond = station.server.request("respondCallUpdate").await;
    assert_eq!(respond.body["callControlRequest"]["sdp"], "held too");
    station.stop().await;
}

#[tokio::test]
async fn r5_7_crossing_updates_name_the_delay() {
    let mut station = Station::connect().await;
    station.up("b").await;
    let glare = json!({"callControlResponse": {"statusCode": 49, "retryAfter": 2}});
    station.server.reply("startCallUpdate", 409, glare);
    station
        .order("b", SignalOrder::Update(Sdp::new("hold")))
        .await;
    let Signal::UpdateRefused {
        retry_after,
        failure,
    } = station.signal("b").await
    else {
        panic!("not refused");
    };
    assert_eq!(retry_after, Some(Duration::from_secs(2)));
    assert_eq!(failure.code, "49");
    station.stop().await;
}

#[tokio::test]
async fn a_call_is_cancelled_before_the_server_has_replied() {
    let mut station = Station::connect().await;
    let release = station.server.hold("callStart");
    station.start("b", "bob@demo.local").await;
    station.server.request("callStart").await;
    station
        .order("b", SignalOrder::End("Cancelled".to_owned()))
        .await;
    // Another leg does not wait for the first.
    station.start("c", "carol@demo.local").await;
    assert_eq!(station.signal("c").await, Signal::Started);
    release.send(()).unwrap();
    let end = station.server.request("end").await;
    assert!(
        end.path.ends_with("/L2?reasonText=Cancelled"),
        "{}",
        end.path
    );
    station.stop().await;
}

#[tokio::test]
async fn a_notification_may_overtake_the_reply_to_the_start() {
    let mut station = Station::connect().await;
    let release = station.server.hold("callStart");
    station.start("b", "bob@demo.local").await;
    station.server.request("callStart").await;
    station.server.notify(
        "callEnd",
        json!({"sessionData": "L1", "statusCode": "486", "reasonText": "Busy Here"}),
    );
    // An unrelated call behind it on the same socket shows that it was read.
    station.called("L9").await;
    release.send(()).unwrap();
    assert_eq!(station.signal("b").await, Signal::Started);
    assert_eq!(station.signal("b").await, ended("486", "Busy Here"));
    station.stop().await;
}

#[tokio::test]
async fn a_refused_call_says_why() {
    let mut station = Station::connect().await;
    let busy = json!({"callControlResponse": {"statusCode": 503, "retryAfter": 3}});
    station.server.reply("callStart", 503, busy);
    station.start("b", "bob@demo.local").await;
    let Signal::StartFailed(failure) = station.signal("b").await else {
        panic!("not refused");
    };
    assert_eq!(failure.code, "503");
    assert!(
        failure.message.contains("refused to start the call"),
        "{failure:?}"
    );
    assert!(
        failure
            .message
            .contains(&station.server.address.to_string()),
        "{failure:?}"
    );
    station.stop().await;
}

#[tokio::test]
async fn r11_2_a_repeated_notification_counts_once() {
    let mut station = Station::connect().await;
    station.start("b", "bob@demo.local").await;
    assert_eq!(station.signal("b").await, Signal::Started);
    let ringing = notification("ringing", "same", json!({"sessionData": "L1"})).to_string();
    station.server.send(ringing.clone());
    station.server.send(ringing);
    station.server.notify(
        "respondCallUpdate",
        json!({"sessionData": "L1", "sdp": "answer"}),
    );
    assert_eq!(station.signal("b").await, Signal::Ringing);
    assert_eq!(
        station.signal("b").await,
        Signal::Responded(Sdp::new("answer"))
    );
    station.stop().await;
}

/// 5.13, 6.4: what belongs to transfer and join is ignored; an offer of whoever took
/// the call over is an offer.
#[tokio::test]
async fn r5_13_forwards_and_transfers_at_the_far_end_are_survived() {
    let mut station = Station::connect().await;
    station.up("b").await;
    for kind in [
        "trying",
        "accepted",
        "sessionComplete",
        "sessionFail",
        "startCallReplace",
        "IceCandidate",
        "callReplaced",
    ] {
        let params = json!({"sessionData": "L1", "sdp": "x", "statusCode": "200"});
        station.server.notify(kind, params);
    }
    let params = json!({"sessionData": "L1", "sdp": "carol's offer"});
    let mut moved = notification("startCallUpdate", "moved", params);
    let parties = &mut moved["notificationMessage"]["callNotificationParams"];
    parties["remoteDisplayNumber"] = json!("carol@demo.local");
    parties["remoteName"] = json!("Carol");
    station.server.send(moved.to_string());
    let offered = Signal::UpdateOffered(Some(Sdp::new("carol's offer")));
    assert_eq!(station.signal("b").await, offered);
    station
        .order("b", SignalOrder::Respond(Sdp::new("answer")))
        .await;
    station.server.request("respondCallUpdate").await;
    station.stop().await;
}

/// 6.4, a call's events one after the other: each is its signal, and those that are not
/// for us are none.
#[tokio::test]
async fn r6_4_each_event_is_its_signal_and_the_others_are_none() {
    let mut station = Station::connect().await;
    station.start("b", "bob@demo.local").await;
    assert_eq!(station.signal("b").await, Signal::Started);
    let sdp = || Sdp::new("text");
    for (event, more, wanted) in [
        ("ringing", json!({}), Some(Signal::Ringing)),
        // Not a provisional answer, and no offer of early media.
        ("sessionProgress", json!({"sdp": ""}), None),
        (
            "sessionProgress",
            json!({"sdp": "text"}),
            Some(Signal::Progress(sdp())),
        ),
        // Nobody else of ours can answer our own call.
        ("callCancel", json!({}), None),
        (
            "respondCallUpdate",
            json!({"sdp": "text"}),
            Some(Signal::Responded(sdp())),
        ),
        (
            "startCallUpdate",
            json!({"sdp": "text"}),
            Some(Signal::UpdateOffered(Some(sdp()))),
        ),
        (
            "startCallUpdate",
            json!({}),
            Some(Signal::UpdateOffered(None)),
        ),
        ("IceCandidate", json!({"iceCandidates": []}), None),
        (
            "callEnd",
            json!({"statusCode": "200", "reasonText": "Over"}),
            Some(ended("200", "Over")),
        ),
    ] {
        let mut params = more;
        params["sessionData"] = "L1".into();
        station.server.notify(event, params);
        if let Some(wanted) = wanted {
            assert_eq!(station.signal("b").await, wanted, "{event}");
        }
    }
    station.up_as("c", "L2").await;
    let glare = json!({"sessionData": "L2", "retryAfter": 2});
    station.server.notify("respondCallUpdate", glare);
    let signal = station.signal("c").await;
    assert!(
        matches!(&signal, Signal::UpdateRefused { retry_after: Some(_), failure } if failure.code == "49"),
        "{signal:?}"
    );
    station.stop().await;
}

/// 6.5: code and text go to the core as they are; where one is missing, 3.x' own words.
#[tokio::test]
async fn r6_5_the_codes_of_the_server_reach_the_station() {
    let mut station = Station::connect().await;
    for (number, (code, reason)) in [
        ("200", "Call Ended"),
        ("603", "Decline"),
        ("486", "Busy Here"),
        ("487", "Request Terminated"),
        ("480", "Temporarily Unavailable"),
        ("404", "Not Found"),
    ]
    .into_iter()
    .enumerate()
    {
        let (leg, session) = (format!("leg {number}"), format!("L{}", number + 1));
        station.start(&leg, "bob@demo.local").await;
        assert_eq!(station.signal(&leg).await, Signal::Started);
        let params = json!({"sessionData": session, "statusCode": code, "reasonText": reason});
        station.server.notify("callEnd", params);
        assert_eq!(station.signal(&leg).await, ended(code, reason));
    }
    station.start("bare", "bob@demo.local").await;
    assert_eq!(station.signal("bare").await, Signal::Started);
    station
        .server
        .notify("callEnd", json!({"sessionData": "L7"}));
    let Signal::Ended { code, reason } = station.signal("bare").await else {
        panic!("not ended");
    };
    assert_eq!(code, "9900");
    assert!(!reason.is_empty());
    station.stop().await;
}

#[tokio::test]
async fn r6_4_another_device_answers() {
    let mut station = Station::connect().await;
    let leg = station.called("L7").await.leg;
    station
        .server
        .notify("callCancel", json!({"sessionData": "L7"}));
    assert_eq!(
        station.signal(leg.as_str()).await,
        Signal::AnsweredElsewhere
    );
    station.stop().await;
}

#[tokio::test]
async fn r11_3_an_audit_finds_that_the_call_is_over() {
    let mut station = Station::connect().await;
    station.up("b").await;
    let unknown = json!({"callControlResponse": {"statusCode": 42}});
    station.server.reply("audit", 404, unknown);
    let audit = station.server.request("audit").await;
    assert!(audit.path.ends_with("/callSessions/L1"), "{}", audit.path);
    let Signal::Ended { code, .. } = station.signal("b").await else {
        panic!("not ended");
    };
    assert_eq!(code, "42");
    station.stop().await;
}
