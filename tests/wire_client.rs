//! Golden test of the messages: real traffic of Kandy.js 3.1 in Chromium
//! (`fixtures/wire-examples.jsonl`, one record a line) goes through the wire types
//! and comes out as it went in. Client and gateway share these types, so a loop
//! between the two could not notice a misread protocol; this does.

use doorstation::wire::{
    CallControl, CallControlResponse, CallDisposition, CallDispositionResponse, Envelope,
    EventType, Ping, SubscribeResponse, Subscription,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[test]
fn every_notification_reads_and_writes_back_the_same() {
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for record in records().filter(|record| record["dir"] == "ws<-gw") {
        let envelope: Envelope = same_both_ways(&record["body"], &record);
        let kind = envelope.notification_message.event_type;
        assert!(!matches!(kind, EventType::Other(_)), "not known: {kind:?}");
        *seen.entry(format!("{kind:?}")).or_default() += 1;
    }
    for kind in [
        "Call",
        "Ringing",
        "RespondCallUpdate",
        "StartCallUpdate",
        "CallEnd",
    ] {
        assert!(
            seen.contains_key(kind),
            "the recording lacks {kind}: {seen:?}"
        );
    }
}

#[test]
fn every_ping_reads_and_writes_back_the_same() {
    let pings = records()
        .filter(|record| record["dir"] == "ws->gw")
        .map(|record| same_both_ways::<Ping>(&record["body"], &record))
        .inspect(|ping| assert_eq!(ping.message_type, "ping"))
        .count();
    assert!(pings >= 10, "only {pings} pings in the recording");
}

#[test]
fn every_request_and_its_reply_read_and_write_back_the_same() {
    let mut seen = std::collections::BTreeMap::<&str, usize>::new();
    for record in records().filter(|record| record["dir"] == "http") {
        let method = record["method"]
            .as_str()
            .expect("every request has a method");
        let path = record["path"].as_str().expect("every request has a path");
        let (body, reply) = (&record["body"], &record["response"]);
        if method == "OPTIONS" || path.starts_with("/_ctl/") {
            continue;
        }
        let kind = if path.contains("/subscription") {
            if method != "DELETE" {
                same_both_ways::<Subscription>(body, &record);
            }
            same_both_ways::<SubscribeResponse>(reply, &record);
            "subscription"
        } else if path.ends_with("/calldisposition") {
            same_both_ways::<CallDisposition>(body, &record);
            same_both_ways::<CallDispositionResponse>(reply, &record);
            "disposition"
        } else {
            assert!(path.contains("/callControl"), "unknown path {path}");
            if method != "DELETE" {
                same_both_ways::<CallControl>(body, &record);
            }
            same_both_ways::<CallControlResponse>(reply, &record);
            if method == "DELETE" { "end" } else { "call" }
        };
        *seen.entry(kind).or_default() += 1;
    }
    for kind in ["subscription", "disposition", "call", "end"] {
        assert!(
            seen.contains_key(kind),
            "the recording lacks {kind}: {seen:?}"
        );
    }
}

/// Reads `value` as `T`, writes it, and compares.
fn same_both_ways<T: DeserializeOwned + Serialize>(value: &Value, record: &Value) -> T {
    let name = format!("record {} ({})", record["n"], record["case"]);
    let read: T = serde_json::from_value(value.clone())
        .unwrap_or_else(|error| panic!("{name} is not understood: {error}"));
    let written = serde_json::to_value(&read).expect("wire types can be written");
    assert_eq!(&written, value, "{name}");
    read
}

fn records() -> impl Iterator<Item = Value> {
    include_str!("fixtures/wire-examples.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("one JSON object a line"))
}
