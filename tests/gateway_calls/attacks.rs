//! Clients that mean harm: slow, malformed, curious.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::gateway_bench::{Bench, Next, PATIENCE, SDP, Socket, subscription};

const ALICE: &str = "/rest/version/1/user/alice@demo.local";

async fn connect(bench: &Bench) -> TcpStream {
    TcpStream::connect(bench.address).await.unwrap()
}

/// Everything up to the end of the connection, however it ends.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes));
    // A reset is an end too; what came before it is in `bytes`.
    let _ = read.await.expect("the connection ends");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn slow_clients_lose_their_connections() {
    let bench = Bench::start().await;
    let headers = async {
        let mut stream = connect(&bench).await;
        let mut drip = tokio::time::interval(std::time::Duration::from_millis(500));
        stream.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
        while stream.write_all(b"x").await.is_ok() {
            drip.tick().await;
        }
    };
    let body = async {
        let mut stream = connect(&bench).await;
        let head = format!(
            "POST {ALICE}/callControl HTTP/1.1\r\nhost: localhost\r\n\
             authorization: basic YWxpY2VAZGVtby5sb2NhbDphbGljZQ==\r\ncontent-length: 100\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let reply = rest(&mut stream).await;
        assert!(reply.starts_with("HTTP/1.1 408"), "{reply}");
        assert!(reply.contains(r#"{"callControlResponse":{"statusCode":5}}"#));
    };
    let replies = async {
        let mut stream = connect(&bench).await;
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100);
        while stream.write_all(&request).await.is_ok() {}
    };
    let all = async { tokio::join!(headers, body, replies) };
    tokio::time::timeout(2 * PATIENCE, all).await.unwrap();
    bench.stop().await;
}

#[tokio::test]
async fn paths_that_climb_hide_or_split_lead_nowhere() {
    let bench = Bench::start().await;
    let bob = bench.session("bob").await;
    let (_, bobs) = bob.path.rsplit_once('/').unwrap();
    for path in [
        format!("{ALICE}/../bob@demo.local/subscription/{bobs}"),
        format!("{ALICE}/%2e%2e/bob@demo.local/subscription/{bobs}"),
        format!("{ALICE}%2f..%2fbob@demo.local/subscription/{bobs}"),
        format!("{ALICE}%00/subscription/{bobs}"),
        format!("{ALICE}/subscription/{bobs}"),
        format!("{ALICE}/subscription/{bobs}%00"),
        format!("{ALICE}/subscription/%ff"),
        format!("{ALICE}/subscription//{bobs}"),
        format!("/{ALICE}/subscription/{bobs}"),
        format!("/rest/version/1/user/bob@demo.local/subscription/{bobs}"),
        "/rest/version/1/anonymous/alice@demo.local/subscription".to_owned(),
        "/rest/version/1/user//subscription".to_owned(),
        "/notification/websocket/%2e%2e%2f".to_owned(),
    ] {
        let mut stream = connect(&bench).await;
        let request = format!(
            "DELETE {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             authorization: Basic YWxpY2VAZGVtby5sb2NhbDphbGljZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let reply = rest(&mut stream).await;
        let status = reply.split(' ').nth(1).unwrap_or_default();
        assert!(
            ["400", "403", "404", "405"].contains(&status),
            "{path}: {reply}"
        );
        assert!(!reply.contains(bobs), "{path}: {reply}");
    }
    let renewal = subscription(60);
    let (status, _) = bob.client.send_to("PUT", &bob.path, Some(renewal)).await;
    assert_eq!(status, 200, "bob's subscription is still there");
    bench.stop().await;
}

#[tokio::test]
async fn headers_without_end_and_json_without_bottom_are_refused() {
    let bench = Bench::start().await;
    let mut stream = connect(&bench).await;
    let long = "x".repeat(20 * 1024);
    let long = format!("GET / HTTP/1.1\r\nconnection: close\r\nx: {long}\r\n\r\n");
    stream.write_all(long.as_bytes()).await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 431"));

    for body in [
        "[".repeat(200 * 1024),
        format!("{}1", r#"{"callControlRequest":"#.repeat(5000)),
        format!(
            r#"{{"callControlRequest":{{"type":"updateIceCandidate","iceCandidates":{}}}}}"#,
            "[".repeat(1000) + &"]".repeat(1000)
        ),
        "\0".repeat(1024),
    ] {
        let request = bench
            .http
            .put(bench.url(&format!("{ALICE}/callControl/callSessions/x")));
        let request = request.basic_auth("alice@demo.local", Some("alice"));
        let response = request.body(body).send().await.unwrap();
        assert_eq!(response.status(), 400);
        let reply: Value = response.json().await.unwrap();
        assert_eq!(reply, json!({"callControlResponse": {"statusCode": 5}}));
    }
    bench.stop().await;
}

#[tokio::test]
async fn what_is_shown_to_people_has_no_control_characters_and_an_end() {
    let bench = Bench::start().await;
    let mut door = bench.session("door").await;
    let mut alice = bench.session("alice").await;
    let from = format!(
        "Mallory\r\nX: y\u{0}{}<sip:bob@demo.local>",
        "z".repeat(500)
    );
    let body = json!({"callControlRequest": {
        "type": "callStart", "from": from, "to": "alice@demo.local", "sdp": SDP,
    }});
    let (status, reply) = door.client.send("POST", "/callControl", Some(body)).await;
    assert_eq!(status, 200);
    let mine = reply["callControlResponse"]["sessionData"]
        .as_str()
        .unwrap();
    let call = alice.next().await;
    let parties = &call["callNotificationParams"];
    // The name is the caller's own affair, who it is is not.
    assert_eq!(parties["callerDisplayNumber"], "door@demo.local");
    let name = parties["callerName"].as_str().unwrap();
    assert!(name.starts_with("MalloryX: y"), "{name:?}");
    assert_eq!(name.chars().count(), 128);

    let theirs = call["sessionParams"]["sessionData"].as_str().unwrap();
    alice.answer(theirs).await;
    door.expect("ringing").await;
    door.expect("respondCallUpdate").await;
    door.end(mine, "?reasonText=a%0d%0aSet-Cookie:%20x%00b")
        .await;
    alice.expect_end(theirs, "200", "aSet-Cookie: xb").await;
    bench.stop().await;
}

#[tokio::test]
async fn a_name_that_is_a_quarter_of_a_mebibyte_is_nobodys() {
    let bench = Bench::start().await;
    let mut door = bench.session("door").await;
    let to = "sip:".repeat(60 * 1024);
    let mine = door.call(&to).await;
    door.expect_end(&mine, "404", "Not Found").await;
    bench.stop().await;
}

#[tokio::test]
async fn of_fifty_sockets_on_a_channel_the_last_one_lives() {
    let bench = Bench::start().await;
    let mut alice = bench.session("alice").await;
    let door = bench.session("door").await;
    for _ in 0..50 {
        let mut old = Socket::open(bench.address, &alice.channel).await;
        std::mem::swap(&mut alice.socket, &mut old);
        let Next::Closed(code) = old.next().await else {
            panic!("nothing is said on a socket that was replaced");
        };
        assert_eq!(code, Some(1001));
    }
    door.call("alice@demo.local").await;
    alice.incoming().await;
    bench.stop().await;
}
