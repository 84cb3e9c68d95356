//! What is too large, too much, or makes no sense.

use serde_json::{Value, json};

use crate::gateway_bench::{Bench, SDP, settings, subscription};

#[tokio::test]
async fn a_description_that_is_too_long_is_refused_in_the_wrapper_of_its_path() {
    let bench = Bench::start().await;
    let mut door = bench.session("door").await;
    let mut alice = bench.session("alice").await;
    let long = "x".repeat(64 * 1024 + 1);
    let (status, reply) = door.try_call("alice@demo.local", &long).await;
    assert_eq!(status, 413);
    assert_eq!(reply, json!({"callControlResponse": {"statusCode": 5}}));
    let (status, _) = door.try_call("alice@demo.local", &long[1..]).await;
    assert_eq!(status, 200);
    let theirs = alice.incoming().await;
    let answer = json!({"type": "callAnswer", "sdp": long});
    assert_eq!(alice.put(&theirs, answer).await.0, 413);
    alice.answer(&theirs).await;
    door.expect("ringing").await;
    door.expect("respondCallUpdate").await;
    bench.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_in_the_wrapper_of_its_path() {
    let bench = Bench::start().await;
    let alice = bench.client("alice");
    let body = json!({ "x": "x".repeat(300 * 1024) });
    for (method, path, wrapper) in [
        ("POST", "/subscription", "subscribeResponse"),
        ("POST", "/callControl", "callControlResponse"),
        ("PUT", "/callControl/callSessions/x", "callControlResponse"),
        ("POST", "/calldisposition", "callDispositionResponse"),
    ] {
        let (status, reply) = alice.send(method, path, Some(body.clone())).await;
        assert_eq!(status, 413, "{path}");
        assert_eq!(reply, json!({ wrapper: { "statusCode": 5 } }));
        let (status, reply) = alice.send(method, path, Some(json!([]))).await;
        assert_eq!(status, 400, "{path}");
        assert_eq!(reply, json!({ wrapper: { "statusCode": 5 } }));
    }
    bench.stop().await;
}

#[tokio::test]
async fn headers_that_are_too_long_are_refused_in_the_wrapper_of_their_path() {
    let bench = Bench::start().await;
    let user = "/rest/version/1/user/alice@demo.local";
    for (path, wrapper) in [
        ("/subscription", "subscribeResponse"),
        ("/callControl", "callControlResponse"),
        ("/calldisposition", "callDispositionResponse"),
    ] {
        for (length, http) in [(12, 400), (17, 431)] {
            let request = bench.http.post(bench.url(&format!("{user}{path}")));
            let request = request
                .basic_auth("alice@demo.local", Some("alice"))
                .header("origin", "https://app.example.org")
                .header("x-long", "x".repeat(length * 1024))
                .body("{}");
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), http, "{path}");
            let origin = &response.headers()["access-control-allow-origin"];
            assert_eq!(origin, "https://app.example.org");
            let reply: Value = response.json().await.unwrap();
            assert!(reply[wrapper]["statusCode"].is_u64(), "{path}: {reply}");
        }
    }
    bench.stop().await;
}

#[tokio::test]
async fn malformed_json_is_refused_and_breaks_nothing() {
    let bench = Bench::start().await;
    for body in [
        "",
        "{",
        "null",
        "{\"callControlRequest\":{\"type\":\"transfer\"}}",
    ] {
        let response = bench
            .http
            .post(bench.url("/rest/version/1/user/alice@demo.local/callControl"))
            .basic_auth("alice@demo.local", Some("alice"))
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 400, "{body}");
        let reply: serde_json::Value = response.json().await.unwrap();
        assert_eq!(reply, json!({"callControlResponse": {"statusCode": 5}}));
    }
    bench.session("alice").await;
    bench.stop().await;
}

#[tokio::test]
async fn the_station_takes_so_many_calls_and_no_more() {
    let mut settings = settings();
    settings.limits.calls = 1;
    let bench = Bench::with(settings).await;
    let mut door = bench.session("door").await;
    let mut alice = bench.session("alice").await;
    let bob = bench.session("bob").await;
    let mine = door.call("alice@demo.local").await;
    alice.incoming().await;
    let (status, reply) = bob.try_call("alice@demo.local", SDP).await;
    assert_eq!(status, 503);
    let reply = &reply["callControlResponse"];
    assert_eq!(reply["statusCode"], 503);
    assert!(reply["retryAfter"].as_u64().unwrap() > 0);
    door.end(&mine, "").await;
    door.expect("callEnd").await;
    assert_eq!(bob.try_call("alice@demo.local", SDP).await.0, 200);
    bench.stop().await;
}

#[tokio::test]
async fn a_user_has_so_many_subscriptions_and_abandoned_ones_give_way() {
    let mut settings = settings();
    settings.limits.subscriptions = 2;
    let bench = Bench::with(settings).await;
    let mut first = bench.session("alice").await;
    let _second = bench.session("alice").await;
    let alice = bench.client("alice");
    let (status, reply) = alice
        .send("POST", "/subscription", Some(subscription(60)))
        .await;
    assert_eq!(status, 403);
    assert_eq!(reply, json!({"subscribeResponse": {"statusCode": 19}}));

    // A page that was closed leaves its subscription behind: the next one gets in.
    first.socket.drop_connection();
    let gets_in = async {
        loop {
            let (status, _) = alice
                .send("POST", "/subscription", Some(subscription(60)))
                .await;
            if status == 200 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let patience = crate::gateway_bench::PATIENCE;
    tokio::time::timeout(patience, gets_in).await.unwrap();
    bench.stop().await;
}

#[tokio::test]
async fn somebody_elses_leg_is_nobodys() {
    let bench = Bench::start().await;
    let door = bench.session("door").await;
    let mut alice = bench.session("alice").await;
    let bob = bench.session("bob").await;
    let mine = door.call("alice@demo.local").await;
    let theirs = alice.incoming().await;
    for leg in [&mine, &theirs] {
        let (status, reply) = bob.put(leg, json!({"type": "audit"})).await;
        assert_eq!((status, reply), (404, json!({"statusCode": 42})));
        let path = format!("/callControl/callSessions/{leg}");
        assert_eq!(bob.client.send("DELETE", &path, None).await.0, 404);
        assert_eq!(bob.state(leg).await.0, 404);
    }
    assert_eq!(alice.state(&theirs).await.0, 200);
    bench.stop().await;
}

#[tokio::test]
async fn who_has_no_subscription_cannot_call() {
    let bench = Bench::start().await;
    let body = json!({"callControlRequest": {
        "type": "callStart", "from": "sip:door@demo.local", "to": "sip:alice@demo.local", "sdp": SDP,
    }});
    let (status, reply) = bench
        .client("door")
        .send("POST", "/callControl", Some(body))
        .await;
    assert_eq!(status, 404);
    assert_eq!(reply, json!({"callControlResponse": {"statusCode": 39}}));
    bench.stop().await;
}
