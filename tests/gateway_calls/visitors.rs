//! `GET /visitors.json` and `GET /visitors/NAME.jpg`: who sees who was at the door.

use std::time::{Duration, UNIX_EPOCH};

use doorstation::album::Album;
use doorstation::gateway::Settings;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::gateway_bench::{Bench, settings};

struct Door {
    bench: Bench,
    _home: tempfile::TempDir,
}

impl Door {
    /// A gateway with the pictures of two visitors.
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let album = Album::open(home.path(), 5).unwrap();
        for (name, second) in [("call-1", 1), ("call-2", 2)] {
            let taken = UNIX_EPOCH + Duration::from_secs(second);
            album.keep(name, taken, name.as_bytes()).unwrap();
        }
        let bench = Bench::with(Settings {
            album: Some(album),
            ..settings()
        })
        .await;
        Self { bench, _home: home }
    }

    async fn get(&self, path: &str, user: Option<(&str, &str)>) -> reqwest::Response {
        let request = self.bench.http.get(self.bench.url(path));
        let request = match user {
            Some((name, password)) => {
                request.basic_auth(format!("{name}@demo.local"), Some(password))
            }
            None => request,
        };
        request.send().await.unwrap()
    }
}

const ALICE: Option<(&str, &str)> = Some(("alice", "alice"));

#[tokio::test]
async fn a_user_who_is_logged_in_sees_who_was_there() {
    let door = Door::start().await;
    let list = door.get("/visitors.json", ALICE).await;
    assert_eq!(list.status(), StatusCode::OK);
    assert_eq!(list.headers()["cache-control"], "private, no-store");
    let list: Value = list.json().await.unwrap();
    let visitor = |call: &str, time: u64| json!({ "call": call, "time": time, "picture": format!("/visitors/{call}.jpg") });
    let expected = json!({ "visitors": [visitor("call-2", 2000), visitor("call-1", 1000)] });
    assert_eq!(list, expected);

    let picture = door.get("/visitors/call-1.jpg", ALICE).await;
    assert_eq!(picture.status(), StatusCode::OK);
    assert_eq!(picture.headers()["content-type"], "image/jpeg");
    assert_eq!(picture.headers()["cache-control"], "private, no-store");
    assert_eq!(picture.headers()["x-content-type-options"], "nosniff");
    assert_eq!(picture.bytes().await.unwrap(), "call-1");
}

#[tokio::test]
async fn nobody_else_sees_anything() {
    let door = Door::start().await;
    for path in [
        "/visitors.json",
        "/visitors/call-1.jpg",
        "/visitors/none.jpg",
    ] {
        for (user, status) in [
            (None, StatusCode::UNAUTHORIZED),
            (Some(("alice", "wrong")), StatusCode::UNAUTHORIZED),
            (Some(("mallory", "mallory")), StatusCode::UNAUTHORIZED),
            (Some(("door", "door")), StatusCode::FORBIDDEN),
        ] {
            let answer = door.get(path, user).await;
            assert_eq!(answer.status(), status, "{path} {user:?}");
            let text = answer.text().await.unwrap();
            assert!(!text.contains("call-"), "{path} {user:?}: {text}");
        }
    }
}

#[tokio::test]
async fn what_is_no_name_of_a_picture_is_not_there() {
    let door = Door::start().await;
    for path in [
        "/visitors/call-3.jpg",
        "/visitors/call-1",
        "/visitors/1000_call-1.jpg",
        "/visitors/..%2f..%2fetc%2fpasswd.jpg",
        "/visitors/%2e%2e/secret.jpg",
        "/visitors/%ff.jpg",
    ] {
        let status = door.get(path, ALICE).await.status();
        assert!(status.is_client_error(), "{path}: {status}");
    }
    let without = Bench::start().await;
    let list = without.http.get(without.url("/visitors.json"));
    let list = list.basic_auth("alice@demo.local", Some("alice"));
    assert_eq!(list.send().await.unwrap().status(), StatusCode::NOT_FOUND);
}
