//! Notification channels: loss, recovery, takeover, and the end of a subscription.

use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::Message;

use crate::gateway_bench::{Bench, SDP, Socket, settings, subscription, talk};

#[tokio::test]
async fn r10_4_what_happened_while_the_socket_was_away_comes_in_order_on_the_next() {
    let bench = Bench::start().await;
    let mut door = bench.session("door").await;
    let mut alice = bench.session("alice").await;
    let (mine, theirs) = talk(&mut door, &mut alice).await;
    door.socket.drop_connection();
    alice
        .put_ok(&theirs, json!({"type": "startCallUpdate", "sdp": SDP}))
        .await;
    alice.end(&theirs, "").await;
    door.socket.reopen(bench.address, &door.channel).await;
    door.expect("startCallUpdate").await;
    door.expect_end(&mine, "200", "Call Ended").await;
    bench.stop().await;
}

#[tokio::test]
async fn r10_4_a_second_socket_takes_the_channel_over() {
    let bench = Bench::start().await;
    let mut alice = bench.session("alice").await;
    let door = bench.session("door").await;
    let mut second = Socket::open(bench.address, &alice.channel).await;
    assert_eq!(alice.expect_close().await, Some(1001));
    std::mem::swap(&mut alice.socket, &mut second);
    door.call("alice@demo.local").await;
    alice.incoming().await;
    bench.stop().await;
}

#[tokio::test]
async fn r10_3_nonsense_in_a_frame_is_ignored_and_a_ping_is_not_answered() {
    let bench = Bench::start().await;
    let mut alice = bench.session("alice").await;
    let door = bench.session("door").await;
    for text in [
        "",
        "{",
        "[]",
        "\u{0}",
        "{\"message_type\":7}",
        "{\"message_type\":\"ping\"}",
    ] {
        alice.socket.send(Message::text(text)).await;
    }
    alice.socket.send(Message::binary(vec![0; 64])).await;
    // Nothing comes before the call.
    door.call("alice@demo.local").await;
    alice.incoming().await;
    bench.stop().await;
}

#[tokio::test]
async fn a_frame_of_a_mebibyte_costs_the_sender_its_socket_and_nothing_else() {
    let bench = Bench::start().await;
    let mut alice = bench.session("alice").await;
    let door = bench.session("door").await;
    alice.socket.send(Message::text("x".repeat(1 << 20))).await;
    alice.expect_close().await;
    door.call("alice@demo.local").await;
    alice.socket.reopen(bench.address, &alice.channel).await;
    alice.incoming().await;
    bench.stop().await;
}

#[tokio::test]
async fn r10_9_a_subscription_that_is_not_renewed_ends_with_gone() {
    let mut settings = settings();
    let short = Duration::from_secs(1);
    settings.grant_expires = short..=short;
    let bench = Bench::with(settings).await;
    let mut alice = bench.session("alice").await;
    let gone = alice.next().await;
    assert_eq!(gone["eventType"], "gone");
    assert!(!gone["eventId"].as_str().unwrap().is_empty());
    assert_eq!(alice.expect_close().await, Some(1000));

    let renewal = subscription(60);
    let (status, reply) = alice
        .client
        .send_to("PUT", &alice.path, Some(renewal))
        .await;
    assert_eq!(status, 404);
    assert_eq!(reply, json!({"subscribeResponse": {"statusCode": 39}}));
    let url = format!("ws://{}{}", bench.address, alice.channel);
    let refused = tokio_tungstenite::connect_async(url).await.unwrap_err();
    let tungstenite::Error::Http(response) = refused else {
        panic!("{refused}");
    };
    assert_eq!(response.status(), 404);
    bench.stop().await;
}

#[tokio::test]
async fn force_log_out_ends_the_users_other_subscriptions() {
    let bench = Bench::start().await;
    let mut old = bench.session("alice").await;
    let mut body = subscription(3600);
    body["subscribeRequest"]["forceLogOut"] = json!("true");
    bench.client("alice").subscribe_with(body).await;
    assert_eq!(old.next().await["eventType"], "gone");
    assert_eq!(old.expect_close().await, Some(1000));
    bench.stop().await;
}

#[tokio::test]
async fn r10_2_a_subscription_is_renewed_and_ended_by_id_and_by_correlator() {
    let bench = Bench::start().await;
    let mut body = subscription(3600);
    body["subscribeRequest"]["clientCorrelator"] = json!("my-tablet");
    let mut alice = bench.client("alice").subscribe_with(body).await;
    let by_correlator = "/subscription/clientCorrelator/my-tablet";
    for path in [
        &alice.path,
        &format!("/rest/version/1/user/alice@demo.local{by_correlator}"),
    ] {
        let (status, reply) = alice
            .client
            .send_to("PUT", path, Some(subscription(120)))
            .await;
        assert_eq!(status, 200);
        assert_eq!(reply["subscribeResponse"]["statusCode"], 2);
        let params = &reply["subscribeResponse"]["subscriptionParams"];
        assert_eq!(params["expires"], 120);
        assert_eq!(params["notificationChannel"], alice.channel);
    }
    let (status, reply) = alice.client.send("DELETE", by_correlator, None).await;
    assert_eq!(
        (status, reply),
        (200, json!({"subscribeResponse": {"statusCode": 0}}))
    );
    assert_eq!(alice.expect_close().await, Some(1000));
    bench.stop().await;
}

#[tokio::test]
async fn unsubscribing_ends_the_calls_of_the_subscription() {
    let bench = Bench::start().await;
    let mut door = bench.session("door").await;
    let mut alice = bench.session("alice").await;
    let (mine, _) = talk(&mut door, &mut alice).await;
    let (status, _) = alice.client.send_to("DELETE", &alice.path, None).await;
    assert_eq!(status, 200);
    door.expect_end(&mine, "200", "Call Ended").await;
    bench.stop().await;
}

#[tokio::test]
async fn when_the_gateway_stops_every_socket_is_told_to_come_back() {
    let bench = Bench::start().await;
    let mut alice = bench.session("alice").await;
    let (stopped, code) = tokio::join!(
        async {
            let began = tokio::time::Instant::now();
            bench.tasks.stop().await;
            began.elapsed()
        },
        alice.expect_close()
    );
    assert_eq!(code, Some(1001));
    assert!(stopped < Duration::from_secs(10), "{stopped:?}");
    assert_eq!(bench.tasks.alive(), 0);
}
