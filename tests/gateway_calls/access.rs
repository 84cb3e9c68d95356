//! Who may do what: credentials, origins, host names, and the page.

use doorstation::gateway::{Cors, Error, Gateway, Password, Tls};
use doorstation::secret::Secret;
use doorstation::tasks::Tasks;
use serde_json::json;

use crate::gateway_bench::{Bench, settings, subscription};

const SUBSCRIPTION: &str = "/rest/version/1/user/alice@demo.local/subscription";

#[tokio::test]
async fn wrong_credentials_hear_the_same_whoever_it_is() {
    let bench = Bench::start().await;
    for (user, password) in [
        ("alice@demo.local", "wrong"),
        ("nobody@demo.local", "wrong"),
        ("bob@demo.local", "alice"),
    ] {
        for (path, wrapper) in [
            ("subscription", "subscribeResponse"),
            ("callControl", "callControlResponse"),
            ("calldisposition", "callDispositionResponse"),
        ] {
            let url = bench.url(&format!("/rest/version/1/user/{user}/{path}"));
            let request = bench.http.post(url).basic_auth(user, Some(password));
            let response = request.json(&subscription(60)).send().await.unwrap();
            assert_eq!(response.status(), 401);
            assert!(!response.headers().contains_key("www-authenticate"));
            let reply: serde_json::Value = response.json().await.unwrap();
            assert_eq!(reply, json!({ wrapper: { "statusCode": 4 } }));
        }
    }
    bench.stop().await;
}

#[tokio::test]
async fn a_user_may_only_use_paths_of_its_own_name() {
    let bench = Bench::start().await;
    let bob = bench.client("bob");
    let (status, reply) = bob
        .send_to("POST", SUBSCRIPTION, Some(subscription(60)))
        .await;
    assert_eq!(status, 403);
    assert_eq!(reply, json!({"subscribeResponse": {"statusCode": 4}}));
    bench.stop().await;
}

#[tokio::test]
async fn guessing_is_slowed_down_even_for_the_right_password() {
    let bench = Bench::start().await;
    let mut alice = bench.client("alice");
    alice.password = "wrong".to_owned();
    for _ in 0..5 {
        assert_eq!(alice.send("POST", "/subscription", None).await.0, 401);
    }
    let right = bench.client("alice");
    let (status, _) = right
        .send("POST", "/subscription", Some(subscription(60)))
        .await;
    assert_eq!(status, 401, "held up");
    bench.session("bob").await;
    let gets_in = async {
        while right
            .send("POST", "/subscription", Some(subscription(60)))
            .await
            .0
            != 200
        {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let patience = crate::gateway_bench::PATIENCE;
    tokio::time::timeout(patience, gets_in).await.unwrap();
    bench.stop().await;
}

#[tokio::test]
async fn r10_1_any_page_may_use_the_kandy_routes_or_only_those_of_the_settings() {
    let bench = Bench::start().await;
    let preflight = |bench: &Bench, origin: &'static str| {
        bench
            .http
            .request(reqwest::Method::OPTIONS, bench.url(SUBSCRIPTION))
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,x-whatever")
            .send()
    };
    let response = preflight(&bench, "https://app.example.org").await.unwrap();
    assert_eq!(response.status(), 200);
    let allowed = &response.headers()["access-control-allow-headers"];
    assert_eq!(allowed, "authorization,x-whatever");
    // Replies carry the origin too, failures included.
    let refused = bench.http.post(bench.url(SUBSCRIPTION));
    let refused = refused.header("origin", "https://app.example.org");
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let origin = &refused.headers()["access-control-allow-origin"];
    assert_eq!(origin, "https://app.example.org");
    // A page whose requests are made "with credentials" may read them as well.
    for reply in [&response, &refused] {
        let credentials = &reply.headers()["access-control-allow-credentials"];
        assert_eq!(credentials, "true");
    }
    bench.stop().await;

    let mut settings = settings();
    settings.cors = Cors::Only(vec!["https://app.example.org".to_owned()]);
    let bench = Bench::with(settings).await;
    let response = preflight(&bench, "https://app.example.org").await.unwrap();
    assert_eq!(response.status(), 200);
    let response = preflight(&bench, "https://evil.example.org").await.unwrap();
    assert_eq!(response.status(), 403);
    assert!(
        !response
            .headers()
            .contains_key("access-control-allow-origin")
    );
    bench.stop().await;
}

#[tokio::test]
async fn the_page_is_public_strict_and_cached() {
    let bench = Bench::start().await;
    let page = bench.http.get(bench.url("/")).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let header = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
    assert!(header("content-type").starts_with("text/html"));
    let policy = header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let own = format!("connect-src 'self' ws://{};", bench.address);
    assert!(policy.contains(&own), "{policy}");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "no-referrer");

    let tag = header("etag");
    let again = bench.http.get(bench.url("/")).header("if-none-match", tag);
    assert_eq!(again.send().await.unwrap().status(), 304);
    let missing = bench.http.get(bench.url("/../Cargo.toml")).send().await;
    assert_eq!(missing.unwrap().status(), 404);
    bench.stop().await;
}

#[tokio::test]
async fn another_name_or_another_site_gets_no_page() {
    let bench = Bench::start().await;
    let get = |name: &'static str, value: &'static str| {
        let request = bench.http.get(bench.url("/"));
        request.header(name, value).send()
    };
    for (host, status) in [
        ("rebound.example.org", 421),
        ("127.0.0.1.example.org", 421),
        ("user@localhost", 421),
        ("localhost", 200),
        ("doorstation.local:8443", 200),
        ("192.168.1.20", 200),
        ("[fd00::7]:443", 200),
    ] {
        let response = get("host", host).await.unwrap();
        assert_eq!(response.status(), status, "{host}");
    }
    let other = get("origin", "https://evil.example.org").await.unwrap();
    assert_eq!(other.status(), 403);
    bench.stop().await;
}

#[tokio::test]
async fn the_page_learns_about_the_door_with_credentials_only() {
    let bench = Bench::start().await;
    let get = || bench.http.get(bench.url("/station.json"));
    assert_eq!(get().send().await.unwrap().status(), 401);
    let request = get().basic_auth("alice@demo.local", Some("alice"));
    let station: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    let want = json!({
        "door": {"address": "door@demo.local", "name": "Front door"},
        "iceServers": [], "demo": false,
    });
    assert_eq!(station, want);
    let bell = bench.http.post(bench.url("/demo/bell"));
    let bell = bell.basic_auth("alice@demo.local", Some("alice"));
    assert_eq!(bell.send().await.unwrap().status(), 404);
    bench.stop().await;
}

#[tokio::test]
async fn the_demonstrations_bell_rings_for_users_and_from_the_page_only() {
    let (sender, mut bell) = tokio::sync::mpsc::channel(1);
    let mut settings = settings();
    settings.bell = Some(sender);
    let bench = Bench::with(settings).await;
    let press = || bench.http.post(bench.url("/demo/bell"));
    assert_eq!(press().send().await.unwrap().status(), 401);
    let foreign = press().basic_auth("alice@demo.local", Some("alice"));
    let foreign = foreign.header("origin", "https://evil.example.org");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    assert!(bell.try_recv().is_err());
    let own = press().basic_auth("alice@demo.local", Some("alice"));
    let own = own.header("origin", format!("http://{}", bench.address));
    assert_eq!(own.send().await.unwrap().status(), 200);
    assert!(bell.try_recv().is_ok());
    bench.stop().await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_with_a_reason() {
    let bind = |change: fn(&mut doorstation::gateway::Settings)| async move {
        let mut settings = settings();
        change(&mut settings);
        Gateway::bind(settings, Tasks::new()).await.err().unwrap()
    };
    let error = bind(|s| s.listen = "0.0.0.0:0".parse().unwrap()).await;
    assert!(matches!(error, Error::PlainBeyondLoopback { .. }));
    assert!(error.to_string().contains("0.0.0.0:0"), "{error}");
    let error = bind(|s| s.users[1].address = "alice".to_owned()).await;
    assert!(matches!(error, Error::UserAddress { .. }));
    let error = bind(|s| s.users[1].address = s.users[2].address.to_uppercase()).await;
    assert!(matches!(error, Error::DuplicateUser { .. }), "{error:?}");
    let error = bind(|s| s.users[1].password = Password::Argon2(Secret::new("x"))).await;
    assert!(matches!(error, Error::PasswordHash { .. }));
    assert!(error.to_string().contains("alice@demo.local"), "{error}");
    let error = bind(|s| {
        s.tls = Tls::Files {
            cert: "/nowhere/cert.pem".into(),
            key: "/nowhere/key.pem".into(),
        }
    });
    assert!(error.await.to_string().contains("/nowhere/cert.pem"));

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = settings();
    settings.listen = taken.local_addr().unwrap();
    let error = Gateway::bind(settings, Tasks::new()).await.err().unwrap();
    assert!(matches!(error, Error::Listen { .. }));
}
