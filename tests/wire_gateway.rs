//! Golden test: the traffic of the real Kandy.js 3.1 with its recorder, replayed
//! against our gateway (`tests/fixtures/wire-examples.jsonl`).
//!
//! Each recorded request must be accepted with the recorded status and the same
//! reply, and the recorded notifications must come to the same users in the same
//! order; only ids, times and secrets may differ.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod gateway_bench;

use std::collections::{BTreeMap, VecDeque};

use gateway_bench::{Bench, Next, Socket, settings};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

const RECORDS: &str = include_str!("fixtures/wire-examples.jsonl");
const RENEWAL: &str = "renewal (gateway grants 62 s)";
const DROP: &str = "websocket drop and recovery during a call";

fn records(wanted: impl Fn(&str) -> bool) -> Vec<Value> {
    let records = RECORDS
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let case = |record: &Value| record["case"].as_str().unwrap().to_owned();
    ends_after_their_cause(records.filter(|record| wanted(&case(record))))
}

/// The recorder wrote a request down when it had been answered, and so after the
/// `callEnd`s that it caused: puts them behind it again.
fn ends_after_their_cause(records: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut ordered = Vec::new();
    let mut held = Vec::new();
    for record in records {
        let event = &record["body"]["notificationMessage"]["eventType"];
        if record["dir"] == "ws<-gw" && event == "callEnd" {
            held.push(record);
            continue;
        }
        let path = record["path"].as_str().unwrap_or_default();
        let cause = record["method"] == "DELETE"
            || (record["method"] == "POST" && path.ends_with("/calldisposition"));
        ordered.push(record);
        if cause {
            ordered.append(&mut held);
        }
    }
    assert!(held.is_empty(), "every callEnd has its cause");
    ordered
}

/// Replays records against a gateway.
struct Replay {
    bench: Bench,
    sockets: BTreeMap<String, Socket>,
    /// Recorded id to live id.
    ids: BTreeMap<String, String>,
    /// Notifications of each user that have not been looked at.
    expected: BTreeMap<String, VecDeque<Value>>,
    checked: usize,
}

impl Replay {
    fn new(bench: Bench) -> Self {
        Self {
            bench,
            sockets: BTreeMap::new(),
            ids: BTreeMap::new(),
            expected: BTreeMap::new(),
            checked: 0,
        }
    }

    async fn run(&mut self, records: &[Value]) {
        for record in records {
            let user = record["user"].as_str().unwrap_or_default().to_owned();
            match record["dir"].as_str().unwrap() {
                "ws<-gw" => {
                    let expected = self.expected.entry(user).or_default();
                    expected.push_back(record.clone());
                }
                "http" => {
                    self.receive_expected().await;
                    self.http(record).await;
                }
                "ws-open" => self.open(record).await,
                "ws->gw" => {
                    let text = record["body"].to_string();
                    let socket = self.sockets.get_mut(&user).unwrap();
                    socket.send(Message::text(text)).await;
                }
                "ws-close" => self.close(&user, record["code"].as_u64().unwrap()).await,
                other => panic!("unknown kind of record {other}"),
            }
            self.checked += 1;
        }
        self.receive_expected().await;
    }

    async fn http(&mut self, record: &Value) {
        let text = |name: &str| record[name].as_str().unwrap();
        let (method, path) = (text("method"), text("path"));
        if path == "/_ctl/drop-ws" {
            // The recorder's own control.
            let user = record["body"]["user"].as_str().unwrap();
            self.sockets.get_mut(user).unwrap().drop_connection();
            return;
        }
        let live_path = self.live(path);
        let url = self.bench.url(&live_path);
        let request = self.bench.http.request(method.parse().unwrap(), url);
        let request = request.header("origin", "https://app.example.org");
        if method == "OPTIONS" {
            let asked = text("reqHeaders");
            let request = request
                .header("access-control-request-method", "PUT")
                .header("access-control-request-headers", asked);
            let response = request.send().await.unwrap();
            assert_eq!(json!(response.status().as_u16()), record["status"]);
            let header = |name: &str| response.headers()[name].to_str().unwrap();
            let origin = header("access-control-allow-origin");
            assert_eq!(origin, "https://app.example.org");
            assert_eq!(header("access-control-allow-headers"), asked);
            let methods = header("access-control-allow-methods");
            assert_eq!(methods, "GET,POST,PUT,DELETE,OPTIONS");
            return;
        }
        let user = path.split('/').nth(5).unwrap();
        let request = record["headers"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name != "authorization")
            .fold(request, |request, (name, value)| {
                request.header(name, value.as_str().unwrap())
            });
        let request = request.header("authorization", basic(user));
        let request = match record.get("body") {
            Some(body) => request.body(self.live(&body.to_string())),
            None => request,
        };
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let reply: Value = response.json().await.unwrap();
        assert_eq!(json!(status), record["status"], "{method} {path}: {reply}");
        self.same(&record["response"], &reply, "");
    }

    async fn open(&mut self, record: &Value) {
        let channel = self.live(record["path"].as_str().unwrap());
        let (_, id) = channel.rsplit_once('/').unwrap();
        let user = self.user_of(id).await;
        let address = self.bench.address;
        match self.sockets.get_mut(&user) {
            Some(lost) => lost.reopen(address, &channel).await,
            None => {
                let socket = Socket::open(address, &channel).await;
                self.sockets.insert(user, socket);
            }
        }
    }

    /// The user whose subscription has the live id `id`.
    async fn user_of(&self, id: &str) -> String {
        for name in ["alice", "bob"] {
            let client = self.bench.client(name);
            let path = format!("/subscription/{id}");
            let body = gateway_bench::subscription(3600);
            if client.send("PUT", &path, Some(body)).await.0 == 200 {
                return client.user;
            }
        }
        panic!("{id} is no subscription");
    }

    async fn close(&mut self, user: &str, code: u64) {
        // Nobody sent this code (RFC 6455 7.1.5): the recorder dropped the socket.
        if code == 1006 {
            return;
        }
        let mut socket = self.sockets.remove(user).unwrap();
        let code = CloseCode::from(u16::try_from(code).unwrap());
        let frame = CloseFrame {
            code,
            reason: "".into(),
        };
        socket.send(Message::Close(Some(frame))).await;
    }

    async fn receive_expected(&mut self) {
        for (user, expected) in std::mem::take(&mut self.expected) {
            for record in expected {
                let socket = self.sockets.get_mut(&user).unwrap();
                let Next::Notification(live) = socket.next().await else {
                    panic!("the socket of {user} was closed");
                };
                let live = json!({ "notificationMessage": live });
                self.same(&record["body"], &live, "");
            }
        }
    }

    /// `text` with every recorded id replaced by the live one.
    fn live(&self, text: &str) -> String {
        self.ids
            .iter()
            .fold(text.to_owned(), |text, (old, new)| text.replace(old, new))
    }

    /// Compares and learns ids.
    fn same(&mut self, recorded: &Value, live: &Value, key: &str) {
        match (recorded, live) {
            (Value::Object(a), Value::Object(b)) => {
                let keys =
                    |map: &serde_json::Map<_, _>| map.keys().cloned().collect::<Vec<String>>();
                let (mut left, mut right) = (keys(a), keys(b));
                left.sort();
                right.sort();
                assert_eq!(left, right, "members of {key}");
                for (name, value) in a {
                    self.same(value, &b[name], name);
                }
            }
            (Value::Array(a), Value::Array(b)) => {
                assert_eq!(a.len(), b.len(), "elements of {key}");
                for (a, b) in a.iter().zip(b) {
                    self.same(a, b, key);
                }
            }
            (Value::String(a), Value::String(b)) => self.same_text(a, b, key),
            _ => assert_eq!(recorded, live, "{key}"),
        }
    }

    fn same_text(&mut self, recorded: &str, live: &str, key: &str) {
        match key {
            "sessionData" | "sessionId" => self.same_id(recorded, live),
            "subscription" | "notificationChannel" => {
                let (a, b) = (recorded.rsplit_once('/'), live.rsplit_once('/'));
                let ((path, old), (live_path, new)) = (a.unwrap(), b.unwrap());
                assert_eq!(path, live_path);
                self.same_id(old, new);
            }
            "eventId" => assert_eq!(live.len(), recorded.len(), "{live} is a UUID"),
            "time" => assert!(live.parse::<u64>().is_ok(), "{live}"),
            "password" => assert!(!live.is_empty()),
            "username" => {
                let user = |text: &str| text.split_once(':').unwrap().1.to_owned();
                assert_eq!(user(recorded), user(live));
            }
            _ => assert_eq!(recorded, live, "{key}"),
        }
    }

    fn same_id(&mut self, recorded: &str, live: &str) {
        let known = self
            .ids
            .entry(recorded.to_owned())
            .or_insert_with(|| live.to_owned());
        assert_eq!(known, live, "{recorded} keeps its meaning");
    }
}

/// Lower case, as Kandy.js 3.1 writes it.
fn basic(user: &str) -> String {
    use base64::Engine as _;
    let password = user.split('@').next().unwrap();
    let credentials = format!("{user}:{password}");
    let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
    format!("basic {encoded}")
}

#[tokio::test]
async fn the_recorded_calls_of_kandy_js_3_1_go_the_same_way_here() {
    let records = records(|case| case != RENEWAL && !case.starts_with(DROP));
    assert_eq!(records.len(), 78);
    let mut replay = Replay::new(Bench::start().await);
    replay.run(&records).await;
    assert_eq!(replay.checked, 78);
    replay.bench.stop().await;
}

#[tokio::test]
async fn the_recorded_renewal_goes_the_same_way_here() {
    let records = records(|case| case == RENEWAL);
    assert_eq!(records.len(), 11);
    let mut settings = settings();
    let granted = std::time::Duration::from_secs(62);
    settings.grant_expires = granted..=granted;
    let mut replay = Replay::new(Bench::with(settings).await);
    replay.run(&records).await;
    replay.bench.stop().await;
}

/// This recording begins in the middle of a call from alice to bob.
#[tokio::test]
async fn the_recorded_loss_of_a_socket_in_a_call_goes_the_same_way_here() {
    let records = records(|case| case.starts_with(DROP));
    assert_eq!(records.len(), 18);
    let bench = Bench::start().await;
    let mut alice = bench.session("alice").await;
    let mut bob = bench.session("bob").await;
    let (alice_leg, bob_leg) = gateway_bench::talk(&mut alice, &mut bob).await;

    let mut replay = Replay::new(bench);
    let (_, channel) = alice.channel.rsplit_once('/').unwrap();
    for (recorded, live) in [
        ("Ld9-AtzxNPDnl53fbZqJ_Q", alice_leg.as_str()),
        ("g0jWlG7hXkPXsR2BNJJA2A", bob_leg.as_str()),
        ("OvULhP60tJfaTRoe", channel),
    ] {
        assert!(RECORDS.contains(recorded));
        replay.ids.insert(recorded.to_owned(), live.to_owned());
    }
    for session in [alice, bob] {
        replay.sockets.insert(session.client.user, session.socket);
    }
    replay.run(&records).await;
    replay.bench.stop().await;
}
