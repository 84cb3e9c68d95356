//! A gateway on a free loopback port, and small clients that speak real HTTP and
//! WebSocket to it.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use doorstation::gateway::{Cors, Door, Gateway, Limits, Password, Settings, Tls, User};
use doorstation::secret::Secret;
use doorstation::tasks::Tasks;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Generous: a slow machine makes a test slower, not red.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";

/// Settings with the users door, alice, bob and carol, whose passwords are their
/// names.
pub(crate) fn settings() -> Settings {
    let user = |name: &str, max_calls| User {
        address: format!("{name}@demo.local"),
        name: name.to_owned(),
        password: Password::Plain(Secret::new(name)),
        max_calls,
        may_open: name == "alice",
    };
    Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: Tls::Off,
        domain: "demo.local".to_owned(),
        users: vec![
            user("door", 1),
            user("alice", 2),
            user("bob", 2),
            user("carol", 2),
        ],
        door: Door {
            address: "door@demo.local".to_owned(),
            name: "Front door".to_owned(),
        },
        ring_time: Settings::RING_TIME,
        grant_expires: Settings::GRANT_EXPIRES,
        cors: Cors::Any,
        bell: None,
        opening: None,
        album: None,
        limits: Limits::default(),
    }
}

/// A running gateway.
pub(crate) struct Bench {
    pub(crate) address: SocketAddr,
    pub(crate) tasks: Tasks,
    pub(crate) http: reqwest::Client,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(settings()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        // Fails when another test of this process was first; that one did it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tasks = Tasks::new();
        let gateway = Gateway::bind(settings, tasks.clone()).await.unwrap();
        let address = gateway.local_addr();
        tasks.spawn_draining("gateway", gateway.run());
        Self {
            address,
            tasks,
            http: reqwest::Client::new(),
        }
    }

    pub(crate) fn client(&self, name: &str) -> Client {
        Client {
            address: self.address,
            http: self.http.clone(),
            user: format!("{name}@demo.local"),
            password: name.to_owned(),
        }
    }

    pub(crate) async fn session(&self, name: &str) -> Session {
        self.client(name).subscribe().await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn stop(self) {
        tokio::time::timeout(PATIENCE, self.tasks.stop())
            .await
            .expect("the gateway stops");
    }
}

/// Somebody who may log in.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) http: reqwest::Client,
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Client {
    /// Somebody at a gateway that runs elsewhere.
    pub(crate) fn at(address: SocketAddr, user: &str, password: &str) -> Self {
        // Fails when another test of this process was first; that one did it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            address,
            http: reqwest::Client::new(),
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    /// Sends a request as the user to a path below the user's own.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let path = format!("/rest/version/1/user/{}{path}", self.user);
        self.send_to(method, &path, body).await
    }

    /// The same to any path.
    pub(crate) async fn send_to(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let method = method.parse::<reqwest::Method>().unwrap();
        let url = format!("http://{}{path}", self.address);
        let mut request = self
            .http
            .request(method, url)
            .basic_auth(&self.user, Some(&self.password));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text)
            .unwrap_or_else(|_| panic!("reply to {path} is JSON: {status} {text:?}"));
        (status, body)
    }

    pub(crate) async fn subscribe(&self) -> Session {
        self.subscribe_with(subscription(3600)).await
    }

    pub(crate) async fn subscribe_with(&self, body: Value) -> Session {
        let (status, reply) = self.send("POST", "/subscription", Some(body)).await;
        assert_eq!(status, 200, "{reply}");
        let reply = &reply["subscribeResponse"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let channel = text(&reply["subscriptionParams"]["notificationChannel"]);
        let path = text(&reply["subscription"]);
        let socket = Socket::open(self.address, &channel).await;
        Session {
            client: self.clone(),
            path,
            channel,
            socket,
        }
    }
}

pub(crate) fn subscription(expires: u64) -> Value {
    json!({"subscribeRequest": {
        "expires": expires, "service": ["call"], "localization": "English_US",
        "useTurn": true, "notificationType": "WebSocket", "supported": ["RingingFeedback"],
    }})
}

/// A notification channel. Like the real clients it drops repeats by `eventId`.
pub(crate) struct Socket {
    stream: Option<WebSocketStream<MaybeTlsStream<TcpStream>>>,
    seen: BTreeSet<String>,
}

/// What a socket brought next.
#[derive(Debug)]
pub(crate) enum Next {
    Notification(Value),
    /// With the close code.
    Closed(Option<u16>),
}

impl Socket {
    pub(crate) async fn open(address: SocketAddr, channel: &str) -> Self {
        let mut socket = Self {
            stream: None,
            seen: BTreeSet::new(),
        };
        socket.reopen(address, channel).await;
        socket
    }

    pub(crate) async fn reopen(&mut self, address: SocketAddr, channel: &str) {
        let url = format!("ws://{address}{channel}");
        let (stream, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        self.stream = Some(stream);
        let ping = json!({ "message_type": "ping" });
        self.send(Message::text(ping.to_string())).await;
    }

    /// Drops the connection without a close frame.
    pub(crate) fn drop_connection(&mut self) {
        self.stream = None;
    }

    pub(crate) async fn send(&mut self, message: Message) {
        let stream = self.stream.as_mut().expect("the socket is open");
        stream.send(message).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> Next {
        let stream = self.stream.as_mut().expect("the socket is open");
        loop {
            let message = tokio::time::timeout(PATIENCE, stream.next());
            match message.await.expect("something comes") {
                Some(Ok(Message::Text(text))) => {
                    let mut value: Value = serde_json::from_str(&text).unwrap();
                    let notification = value["notificationMessage"].take();
                    let id = notification["eventId"].as_str().unwrap();
                    if self.seen.insert(id.to_owned()) {
                        return Next::Notification(notification);
                    }
                }
                Some(Ok(Message::Close(frame))) => {
                    return Next::Closed(frame.map(|frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Next::Closed(None),
            }
        }
    }
}

/// A subscription with its socket.
pub(crate) struct Session {
    pub client: Client,
    pub(crate) path: String,
    pub(crate) channel: String,
    pub(crate) socket: Socket,
}

impl Session {
    /// The next notification.
    pub(crate) async fn next(&mut self) -> Value {
        match self.socket.next().await {
            Next::Notification(notification) => notification,
            Next::Closed(code) => panic!("{} was closed: {code:?}", self.client.user),
        }
    }

    /// The next notification, which must be `event`; returns its session parameters.
    pub(crate) async fn expect(&mut self, event: &str) -> Value {
        let notification = self.next().await;
        assert_eq!(notification["eventType"], event, "{notification}");
        notification["sessionParams"].clone()
    }

    /// The next notification must be `callEnd` with this code and reason, for `leg`.
    pub(crate) async fn expect_end(&mut self, leg: &str, code: &str, reason: &str) {
        let params = self.expect("callEnd").await;
        assert_eq!(params["sessionData"], leg);
        assert_eq!(params["statusCode"], code);
        assert_eq!(params["reasonText"], reason);
    }

    /// The next notification must end `leg`, whatever the reason.
    pub(crate) async fn expect_end_of(&mut self, leg: &str) {
        let params = self.expect("callEnd").await;
        assert_eq!(params["sessionData"], leg);
    }

    pub(crate) async fn expect_close(&mut self) -> Option<u16> {
        match self.socket.next().await {
            Next::Closed(code) => code,
            Next::Notification(notification) => panic!("not closed but {notification}"),
        }
    }

    /// Calls `to` and returns the caller's leg.
    pub(crate) async fn call(&self, to: &str) -> String {
        let (status, reply) = self.try_call(to, SDP).await;
        assert_eq!(status, 200, "{reply}");
        let leg = &reply["callControlResponse"]["sessionData"];
        leg.as_str().unwrap().to_owned()
    }

    pub(crate) async fn try_call(&self, to: &str, sdp: &str) -> (u16, Value) {
        let from = format!("sip:{}", self.client.user);
        let body = json!({"type": "callStart", "from": from, "to": to, "sdp": sdp});
        let body = json!({ "callControlRequest": body });
        self.client.send("POST", "/callControl", Some(body)).await
    }

    /// The leg of an incoming `call`.
    pub(crate) async fn incoming(&mut self) -> String {
        let params = self.expect("call").await;
        params["sessionData"].as_str().unwrap().to_owned()
    }

    /// PUTs `request` on `leg`.
    pub(crate) async fn put(&self, leg: &str, request: Value) -> (u16, Value) {
        let path = format!("/callControl/callSessions/{leg}");
        let body = json!({ "callControlRequest": request });
        let (status, mut reply) = self.client.send("PUT", &path, Some(body)).await;
        (status, reply["callControlResponse"].take())
    }

    pub(crate) async fn put_ok(&self, leg: &str, request: Value) {
        let (status, reply) = self.put(leg, request).await;
        assert_eq!((status, &reply["statusCode"]), (200, &json!(0)), "{reply}");
    }

    pub(crate) async fn answer(&self, leg: &str) {
        self.put_ok(leg, json!({"type": "callAnswer", "sdp": SDP}))
            .await;
    }

    pub(crate) async fn reject(&self, leg: &str) {
        let body = json!({"callDispositionRequest": {"action": "reject", "sessionData": leg}});
        let (status, reply) = self
            .client
            .send("POST", "/calldisposition", Some(body))
            .await;
        assert_eq!(status, 200);
        assert_eq!(reply, json!({"callDispositionResponse": {"statusCode": 0}}));
    }

    pub(crate) async fn end(&self, leg: &str, query: &str) {
        let path = format!("/callControl/callSessions/{leg}{query}");
        let (status, reply) = self.client.send("DELETE", &path, Some(json!({}))).await;
        assert_eq!(status, 200);
        assert_eq!(reply, json!({"callControlResponse": {"statusCode": 0}}));
    }

    pub(crate) async fn state(&self, leg: &str) -> (u16, Value) {
        let path = format!("/callControl/callSessions/{leg}");
        let (status, mut reply) = self.client.send("GET", &path, None).await;
        (status, reply["callControlResponse"].take())
    }
}

/// `caller` calls `callee` and is answered; returns both legs.
pub(crate) async fn talk(caller: &mut Session, callee: &mut Session) -> (String, String) {
    let mine = caller.call(&callee.client.user).await;
    let theirs = callee.incoming().await;
    callee.put_ok(&theirs, json!({"type": "ringing"})).await;
    callee.answer(&theirs).await;
    caller.expect("ringing").await;
    caller.expect("respondCallUpdate").await;
    (mine, theirs)
}
