//! `POST /door/open`: who gets through to the station, and who does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use doorstation::gateway::{Closed, OpenDoor};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::gateway_bench::{Bench, settings};

/// A gateway whose station lets Alice open and nobody else, and counts who asks.
struct Door {
    bench: Bench,
    asked: Arc<AtomicUsize>,
}

impl Door {
    async fn start() -> Self {
        let (wishes, mut told) = mpsc::channel::<OpenDoor>(4);
        let bench = Bench::with(doorstation::gateway::Settings {
            opening: Some(wishes),
            ..settings()
        })
        .await;
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        bench.tasks.spawn("station", async move {
            while let Some(OpenDoor { user, answer }) = told.recv().await {
                count.fetch_add(1, Ordering::Relaxed);
                let refused = Closed {
                    forbidden: true,
                    code: "not_allowed",
                    reason: "no right to open the door",
                };
                let may = user == "alice@demo.local";
                let _ = answer.send(if may { Ok(()) } else { Err(refused) });
            }
        });
        Self { bench, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// What `station.json` says to `user` about opening.
    async fn token(&self, user: &str) -> Value {
        let (status, station) = self
            .bench
            .client(user)
            .send_to("GET", "/station.json", None)
            .await;
        assert_eq!(status, 200);
        station["openToken"].clone()
    }

    async fn open(&self, method: Method, user: &str, token: Option<&str>) -> (StatusCode, Value) {
        let request = self
            .bench
            .http
            .request(method, self.bench.url("/door/open"));
        let request = request.basic_auth(format!("{user}@demo.local"), Some(user));
        let request = match token {
            Some(token) => request.header("x-door-token", token),
            None => request,
        };
        let response = request.send().await.expect("an answer");
        let status = response.status();
        (status, response.json().await.unwrap_or(Value::Null))
    }
}

#[tokio::test]
async fn a_user_with_the_right_and_the_token_opens() {
    let door = Door::start().await;
    let token = door.token("alice").await;
    let token = token.as_str().expect("a token");
    let (status, reply) = door.open(Method::POST, "alice", Some(token)).await;
    assert_eq!((status, reply), (StatusCode::OK, json!({ "open": true })));
    assert_eq!(door.asked(), 1);
    door.bench.stop().await;
}

#[tokio::test]
async fn a_user_without_the_right_is_shown_no_token_and_refused_by_the_station() {
    let door = Door::start().await;
    assert_eq!(door.token("bob").await, Value::Null);
    let alices = door.token("alice").await;
    let alices = alices.as_str().expect("a token");
    // Without a token, and with somebody else's, nothing reaches the station.
    for token in [None, Some(""), Some("0"), Some(alices)] {
        let (status, reply) = door.open(Method::POST, "bob", token).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(reply["code"], "token");
    }
    assert_eq!(door.asked(), 0);
    door.bench.stop().await;
}

#[tokio::test]
async fn no_get_opens_whatever_it_carries() {
    let door = Door::start().await;
    let token = door.token("alice").await;
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
        let (status, _) = door.open(method.clone(), "alice", token.as_str()).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    assert_eq!(door.asked(), 0);
    door.bench.stop().await;
}

#[tokio::test]
async fn without_a_log_in_or_from_another_site_nobody_opens() {
    let door = Door::start().await;
    let token = door.token("alice").await;
    let token = token.as_str().expect("a token");
    let post = || {
        let request = door.bench.http.post(door.bench.url("/door/open"));
        request.header("x-door-token", token)
    };
    let anonymous = post().send().await.expect("an answer");
    assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED);
    let wrong = post().basic_auth("alice@demo.local", Some("wrong"));
    let wrong = wrong.send().await.expect("an answer");
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    let other = post().basic_auth("alice@demo.local", Some("alice"));
    let other = other.header("origin", "https://evil.example").send().await;
    assert_eq!(other.expect("an answer").status(), StatusCode::FORBIDDEN);
    assert_eq!(door.asked(), 0);
    door.bench.stop().await;
}

#[tokio::test]
async fn the_eleventh_wish_of_a_minute_is_too_many_for_one_user() {
    let door = Door::start().await;
    let token = door.token("alice").await;
    for _ in 0..10 {
        let (status, _) = door.open(Method::POST, "alice", token.as_str()).await;
        assert_eq!(status, StatusCode::OK);
    }
    let (status, reply) = door.open(Method::POST, "alice", token.as_str()).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(reply["code"], "too_often");
    assert_eq!(door.asked(), 10);
    door.bench.stop().await;
}

#[tokio::test]
async fn a_gateway_without_a_door_opens_none() {
    let bench = Bench::start().await;
    let client = bench.client("alice");
    let (status, reply) = client.send_to("POST", "/door/open", None).await;
    assert_eq!((status, &reply["code"]), (404, &json!("no_door")));
    bench.stop().await;
}
