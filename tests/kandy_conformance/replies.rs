//! Sections 2 and 3: what every reply has, and the life of a subscription.

use serde_json::{Value, json};

use crate::gateway_bench::{Bench, subscription};

const USER: &str = "/rest/version/1/user/alice@demo.local";

/// 2, 10.1: every reply, whatever was asked, is JSON with an integer `statusCode` in
/// the wrapper of its path, and may be read by a page of another origin.
#[tokio::test]
async fn r2_r10_1_every_reply_is_json_in_its_wrapper_for_any_page() {
    let bench = Bench::start().await;
    let session = "/callControl/callSessions/unknown";
    for (method, path, wrapper, http, status) in [
        ("PUT", "/subscription/unknown", "subscribeResponse", 404, 39),
        (
            "DELETE",
            "/subscription/unknown",
            "subscribeResponse",
            404,
            39,
        ),
        (
            "GET",
            "/subscription/unknown",
            "subscribeResponse",
            404,
            1004,
        ),
        (
            "PUT",
            "/subscription/clientCorrelator/x",
            "subscribeResponse",
            404,
            39,
        ),
        ("POST", "/subscription", "subscribeResponse", 200, 0),
        ("PUT", session, "callControlResponse", 404, 42),
        ("DELETE", session, "callControlResponse", 404, 42),
        ("GET", session, "callControlResponse", 404, 47),
        ("PATCH", session, "callControlResponse", 404, 1004),
        (
            "POST",
            "/calldisposition",
            "callDispositionResponse",
            404,
            42,
        ),
        ("POST", "/nowhere", "subscribeResponse", 404, 1004),
    ] {
        let body = json!({
            "subscribeRequest": subscription(60)["subscribeRequest"],
            "callControlRequest": {"type": "audit"},
            "callDispositionRequest": {"action": "reject", "sessionData": "unknown"},
        });
        let request = bench
            .http
            .request(method.parse().unwrap(), bench.url(&format!("{USER}{path}")))
            .basic_auth("alice@demo.local", Some("alice"))
            .header("origin", "http://localhost:3000")
            .header("x-requested-with", "XMLHttpRequest")
            .json(&body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), http, "{method} {path}");
        let headers = response.headers();
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(
            headers["access-control-allow-origin"],
            "http://localhost:3000"
        );
        let reply: Value = response.json().await.unwrap();
        assert_eq!(
            reply[wrapper]["statusCode"], status,
            "{method} {path}: {reply}"
        );
    }
    bench.stop().await;
}

/// 1: anonymous users have paths of their own; here nobody is anonymous.
#[tokio::test]
async fn r1_anonymous_users_are_refused_as_bad_logins_are() {
    let bench = Bench::start().await;
    for path in ["subscription", "callControl", "callMe"] {
        let url = bench.url(&format!("/rest/version/1/anonymous/x@demo.local/{path}"));
        let response = bench.http.post(url).json(&json!({})).send().await.unwrap();
        assert_eq!(response.status(), 401);
        let reply: Value = response.json().await.unwrap();
        let inner = reply.as_object().unwrap().values().next().unwrap();
        assert_eq!(inner["statusCode"], 4);
    }
    bench.stop().await;
}

/// 3.1: the four members that the SDKs read, in the forms that they read.
#[tokio::test]
async fn r3_1_r10_2_the_reply_has_what_the_sdks_read() {
    let bench = Bench::start().await;
    let alice = bench.client("alice");
    let mut body = subscription(3600);
    body["subscribeRequest"]["service"] = json!(["IM", "Presence", "call"]);
    body["subscribeRequest"]["forceLogOut"] = json!("false");
    body["subscribeRequest"]["somethingNew"] = json!({"of": [5, 2]});
    let (status, reply) = alice.send("POST", "/subscription", Some(body)).await;
    assert_eq!(status, 200);
    let reply = &reply["subscribeResponse"];
    let params = &reply["subscriptionParams"];
    assert_eq!(params["service"], json!(["IM", "Presence", "call"]));
    assert_eq!(params["expires"], 3600, "a number");
    let path = reply["subscription"].as_str().unwrap();
    assert!(path.starts_with(&format!("{USER}/subscription/")), "{path}");
    let channel = params["notificationChannel"].as_str().unwrap();
    assert!(channel.starts_with("/notification/websocket/"), "{channel}");
    assert!(reply.get("sessionParams").is_none());
    bench.stop().await;
}

/// 3.2: `expires` is kept within what can be kept alive.
#[tokio::test]
async fn r3_2_a_grant_is_never_shorter_than_a_minute_nor_longer_than_an_hour() {
    let bench = Bench::start().await;
    let alice = bench.client("alice");
    for (wish, granted) in [(1, 60), (62, 62), (86_400, 3600)] {
        let (_, reply) = alice
            .send("POST", "/subscription", Some(subscription(wish)))
            .await;
        let path = reply["subscribeResponse"]["subscription"].as_str().unwrap();
        let (status, reply) = alice.send_to("PUT", path, Some(subscription(wish))).await;
        let reply = &reply["subscribeResponse"];
        assert_eq!((status, &reply["statusCode"]), (200, &json!(2)));
        assert_eq!(reply["subscriptionParams"]["expires"], granted);
        assert_eq!(reply["subscriptionParams"]["service"], json!(["call"]));
    }
    bench.stop().await;
}

/// 3.1: two clients whose applications set an empty correlator are two clients.
#[tokio::test]
async fn r3_1_an_empty_correlator_names_nothing() {
    let bench = Bench::start().await;
    let mut body = subscription(3600);
    body["subscribeRequest"]["clientCorrelator"] = json!("");
    let mut phone = bench.client("alice").subscribe_with(body.clone()).await;
    let mut tablet = bench.client("alice").subscribe_with(body).await;
    bench.session("door").await.call("alice@demo.local").await;
    phone.incoming().await;
    tablet.incoming().await;
    bench.stop().await;
}
