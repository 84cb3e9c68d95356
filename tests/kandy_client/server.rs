//! A Kandy Link server that does what a test tells it: real HTTP and WebSocket on
//! the loopback, each request written down, each reply as scripted.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::serve::Listener;
use doorstation::tasks::Tasks;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Longer than anything takes on a slow machine; reached only by a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// What it is for: see [`kind`].
    pub(crate) kind: String,
    /// Path and query.
    pub(crate) path: String,
    /// All of them.
    pub(crate) headers: HeaderMap,
    /// `null` without a body.
    pub(crate) body: Value,
}

/// What the server does once instead of its usual reply.
enum Script {
    Reply(u16, Value),
    /// Waits for the release, then replies as usual.
    Hold(oneshot::Receiver<()>),
}

/// What the server does to the socket.
enum ToSocket {
    Text(String),
    Close(u16),
    Drop,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<VecDeque<Seen>>,
    scripts: Mutex<Vec<(String, Script)>>,
    /// HTTP status for the next upgrades.
    refusals: Mutex<VecDeque<u16>>,
    socket: Mutex<Option<mpsc::UnboundedSender<ToSocket>>>,
    /// Every start gets a session of its own: L1, L2, ...
    sessions: Mutex<u32>,
    news: Notify,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    events: std::sync::atomic::AtomicU32,
}

impl Seen {
    /// The value of a header, empty if it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

impl Server {
    /// Plain HTTP on a free port.
    pub(crate) async fn plain(tasks: &Tasks) -> Self {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        Self::serve(tasks, listener, address)
    }

    /// HTTPS on a free port.
    pub(crate) async fn tls(tasks: &Tasks, acceptor: TlsAcceptor) -> Self {
        let tcp = listener().await;
        let address = tcp.local_addr().unwrap();
        Self::serve(tasks, Tls { tcp, acceptor }, address)
    }

    fn serve<L>(tasks: &Tasks, listener: L, address: SocketAddr) -> Self
    where
        L: Listener,
        L::Addr: std::fmt::Debug,
    {
        let shared = Arc::new(Shared::default());
        let router = Router::new()
            .route("/notification/websocket/{channel}", any(channel))
            .fallback(request)
            .with_state(Arc::clone(&shared));
        tasks.spawn("server", async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            address,
            shared,
            events: Default::default(),
        }
    }

    /// Waits for the next request of this kind, whatever else came before it.
    pub(crate) async fn request(&self, kind: &str) -> Seen {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let news = self.shared.news.notified();
                if let Some(seen) = self.take(kind) {
                    return seen;
                }
                news.await;
            }
        });
        let Ok(seen) = found.await else {
            panic!("no {kind} came; what came: {:?}", self.shared.seen);
        };
        seen
    }

    /// How many requests of this kind came that nobody waited for.
    pub(crate) fn count(&self, kind: &str) -> usize {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.kind == kind).count()
    }

    /// The next request of this kind gets this reply.
    pub(crate) fn reply(&self, kind: &str, http: u16, body: Value) {
        self.script(kind, Script::Reply(http, body));
    }

    /// The next request of this kind gets its reply when the returned sender is used.
    pub(crate) fn hold(&self, kind: &str) -> oneshot::Sender<()> {
        let (release, held) = oneshot::channel();
        self.script(kind, Script::Hold(held));
        release
    }

    /// The next upgrade is refused.
    pub(crate) fn refuse_upgrade(&self, http: u16) {
        self.shared.refusals.lock().unwrap().push_back(http);
    }

    /// Sends a notification with an event id of its own.
    pub(crate) fn notify(&self, kind: &str, session: Value) {
        let number = &self.events;
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.send(notification(kind, &format!("event-{number}"), session).to_string());
    }

    /// Sends a text frame.
    pub(crate) fn send(&self, frame: String) {
        self.to_socket(ToSocket::Text(frame));
    }

    /// Closes the socket with this code.
    pub(crate) fn close(&self, code: u16) {
        self.to_socket(ToSocket::Close(code));
    }

    /// Breaks the socket off.
    pub(crate) fn drop_socket(&self) {
        self.to_socket(ToSocket::Drop);
    }

    fn to_socket(&self, what: ToSocket) {
        let socket = self.shared.socket.lock().unwrap();
        let socket = socket.as_ref().expect("a socket was opened");
        assert!(socket.send(what).is_ok(), "the socket is closed already");
    }

    fn script(&self, kind: &str, script: Script) {
        let mut scripts = self.shared.scripts.lock().unwrap();
        scripts.push((kind.to_owned(), script));
    }

    fn take(&self, kind: &str) -> Option<Seen> {
        let mut seen = self.shared.seen.lock().unwrap();
        let at = seen.iter().position(|seen| seen.kind == kind)?;
        seen.remove(at)
    }
}

/// A notification as servers send it (protocol section 6).
pub(crate) fn notification(kind: &str, event: &str, mut session: Value) -> Value {
    session["type"] = kind.into();
    json!({"notificationMessage": {
        "eventType": kind, "eventId": event, "time": "1795334189000",
        "callNotificationParams": {
            "callerDisplayNumber": "bob@demo.local", "callerName": "Bob",
            "calleeDisplayNumber": "alice@demo.local",
            "remoteDisplayNumber": "bob@demo.local", "remoteName": "Bob",
        },
        "sessionParams": session,
    }})
}

async fn request(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let kind = kind(&method, path, &body);
    shared.seen.lock().unwrap().push_back(Seen {
        kind: kind.clone(),
        path: path.to_owned(),
        headers,
        body: body.clone(),
    });
    shared.news.notify_waiters();
    let script = {
        let mut scripts = shared.scripts.lock().unwrap();
        let at = scripts.iter().position(|(of, _)| *of == kind);
        at.map(|at| scripts.remove(at).1)
    };
    match script {
        Some(Script::Reply(http, body)) => {
            let http = StatusCode::from_u16(http).unwrap();
            return (http, axum::Json(body)).into_response();
        }
        // A dropped sender releases too.
        Some(Script::Hold(held)) => drop(held.await),
        None => {}
    }
    axum::Json(usual(&shared, &kind, &body)).into_response()
}

fn usual(shared: &Shared, kind: &str, body: &Value) -> Value {
    match kind {
        "subscribe" | "renew" => {
            let expires = &body["subscribeRequest"]["expires"];
            json!({"subscribeResponse": {"statusCode": 0,
                "subscription": "/rest/version/1/user/alice@demo.local/subscription/S1",
                "subscriptionParams": {"expires": expires, "service": ["call"],
                    "notificationType": "WebSocket",
                    "notificationChannel": "/notification/websocket/C1", "sessionId": "C1"}}})
        }
        "unsubscribe" => json!({"subscribeResponse": {"statusCode": 0}}),
        "reject" => json!({"callDispositionResponse": {"statusCode": 0}}),
        "callStart" => {
            let mut sessions = shared.sessions.lock().unwrap();
            *sessions += 1;
            let session = format!("L{sessions}");
            json!({"callControlResponse": {"statusCode": 0, "sessionData": session}})
        }
        "state" => json!({"callControlResponse": {"statusCode": 0, "state": "ANSWERED"}}),
        _ => json!({"callControlResponse": {"statusCode": 0}}),
    }
}

/// The operation's name in protocol sections 3 and 5.
fn kind(method: &Method, path: &str, body: &Value) -> String {
    let kind = match (method, &body["callControlRequest"]["type"]) {
        (_, Value::String(kind)) => kind,
        (&Method::POST, _) if path.ends_with("/subscription") => "subscribe",
        (&Method::PUT, _) if path.contains("/subscription/") => "renew",
        (&Method::DELETE, _) if path.contains("/subscription/") => "unsubscribe",
        (&Method::POST, _) if path.ends_with("/calldisposition") => "reject",
        (&Method::DELETE, _) if path.contains("/callSessions/") => "end",
        (&Method::GET, _) if path.contains("/callSessions/") => "state",
        _ => "unknown",
    };
    kind.to_owned()
}

async fn channel(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    upgrade: WebSocketUpgrade,
) -> Response {
    if let Some(http) = shared.refusals.lock().unwrap().pop_front() {
        return StatusCode::from_u16(http).unwrap().into_response();
    }
    upgrade.on_upgrade(move |socket| async move {
        let (orders, taken) = mpsc::unbounded_channel();
        *shared.socket.lock().unwrap() = Some(orders);
        note(&shared, "open", uri.to_string(), Value::Null);
        serve_socket(&shared, socket, taken).await;
    })
}

async fn serve_socket(
    shared: &Shared,
    mut socket: WebSocket,
    mut orders: mpsc::UnboundedReceiver<ToSocket>,
) {
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(ToSocket::Text(text)) => socket.send(Message::text(text)).await.unwrap(),
                Some(ToSocket::Close(code)) => {
                    let reason = "".into();
                    let frame = CloseFrame { code, reason };
                    socket.send(Message::Close(Some(frame))).await.unwrap();
                }
                Some(ToSocket::Drop) | None => return,
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    let body = serde_json::from_str(&text).unwrap();
                    note(shared, "frame", String::new(), body);
                }
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map(|frame| frame.code);
                    note(shared, "close", String::new(), json!(code));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
        }
    }
}

fn note(shared: &Shared, kind: &str, path: String, body: Value) {
    shared.seen.lock().unwrap().push_back(Seen {
        kind: kind.to_owned(),
        path,
        headers: HeaderMap::new(),
        body,
    });
    shared.news.notify_waiters();
}

async fn listener() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap()
}

struct Tls {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = self.tcp.accept().await.unwrap();
            // A client that does not trust us breaks off here.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
