//! The client as a station uses it.

use std::time::Duration;

use doorstation::call::{
    AccountId, Address, Connection, Incoming, Input, LegId, Sdp, Signal, SignalOrder, Target,
};
use doorstation::ice;
use doorstation::secret::Secret;
use doorstation::signalling::Order;
use doorstation::signalling::kandy::{Client, Login, Settings, Trust};
use doorstation::tasks::Tasks;
use serde_json::json;
use tokio::sync::mpsc;

use crate::server::{PATIENCE, Server};

/// A client, the server that it talks to, and the two channels of its station.
pub(crate) struct Station {
    pub(crate) server: Server,
    pub(crate) tasks: Tasks,
    serving: Tasks,
    inbox: mpsc::Sender<Input>,
    news: mpsc::Receiver<Input>,
    orders: Option<mpsc::Sender<Order>>,
}

impl Station {
    pub(crate) async fn new() -> Self {
        let serving = Tasks::new();
        let server = Server::plain(&serving).await;
        Self::with(server, serving)
    }

    pub(crate) fn with(server: Server, serving: Tasks) -> Self {
        // Small, so that a full inbox is met.
        let (inbox, news) = mpsc::channel(8);
        Self {
            server,
            tasks: Tasks::new(),
            serving,
            inbox,
            news,
            orders: None,
        }
    }

    pub(crate) async fn connect() -> Self {
        let mut station = Self::new().await;
        station.run();
        assert_eq!(station.connection().await, Connection::Connecting);
        assert_eq!(station.connection().await, Connection::Connected);
        station
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            account: AccountId::new("home"),
            user: "alice@demo.local".to_owned(),
            login: Login::Basic {
                password: Secret::new("correct horse"),
                authname: None,
            },
            rest: format!("http://{}", self.server.address),
            websocket: format!("ws://{}", self.server.address),
            expires: Duration::from_secs(3600),
            trust: Trust::Public,
            display_name: Some("Front door".to_owned()),
        }
    }

    pub(crate) fn run(&mut self) {
        self.run_with(self.settings());
    }

    pub(crate) fn run_with(&mut self, settings: Settings) {
        let (orders, taken) = mpsc::channel(8);
        let client = Client::new(settings, self.inbox.clone(), self.tasks.clone()).unwrap();
        self.tasks.spawn_draining("client", client.run(taken));
        self.orders = Some(orders);
    }

    /// The same, with the server's TURN credentials for `servers`.
    pub(crate) fn run_turn(&mut self, servers: ice::Servers) {
        let (orders, taken) = mpsc::channel(8);
        let (inbox, tasks) = (self.inbox.clone(), self.tasks.clone());
        let client = Client::new(self.settings(), inbox, tasks).unwrap();
        let client = client.with_turn(servers);
        self.tasks.spawn_draining("client", client.run(taken));
        self.orders = Some(orders);
    }

    pub(crate) async fn order(&self, leg: &str, order: SignalOrder) {
        let orders = self.orders.as_ref().expect("it runs");
        orders.send((LegId::new(leg), order)).await.unwrap();
    }

    pub(crate) async fn start(&self, leg: &str, to: &str) {
        let target = Target {
            account: AccountId::new("home"),
            to: Address::new(to),
        };
        let offer = Sdp::new("offer");
        self.order(
            leg,
            SignalOrder::Start {
                target,
                offer,
                parameters: Vec::new(),
            },
        )
        .await;
    }

    /// An outgoing call, answered; the first one is the server's L1.
    pub(crate) async fn up(&mut self, leg: &str) {
        self.up_as(leg, "L1").await;
    }

    /// The same for a later one: the server numbers them.
    pub(crate) async fn up_as(&mut self, leg: &str, session: &str) {
        self.start(leg, "bob@demo.local").await;
        assert_eq!(self.signal(leg).await, Signal::Started);
        self.server.notify(
            "respondCallUpdate",
            json!({"sessionData": session, "sdp": "answer"}),
        );
        assert_eq!(
            self.signal(leg).await,
            Signal::Responded(Sdp::new("answer"))
        );
    }

    pub(crate) async fn called(&mut self, session: &str) -> Incoming {
        self.server.notify(
            "call",
            json!({"sessionData": session, "sdp": "offer", "actions": ["answer"]}),
        );
        match self.next().await {
            Input::Incoming(incoming) => incoming,
            other => panic!("expected a call, got {other:?}"),
        }
    }

    pub(crate) async fn signal(&mut self, leg: &str) -> Signal {
        match self.next().await {
            Input::Signal(about, signal) if about.as_str() == leg => signal,
            other => panic!("expected news of {leg}, got {other:?}"),
        }
    }

    pub(crate) async fn connection(&mut self) -> Connection {
        match self.next().await {
            Input::Connection(_, connection) => connection,
            other => panic!("expected a change of the connection, got {other:?}"),
        }
    }

    pub(crate) async fn until_connected(&mut self) {
        while self.connection().await != Connection::Connected {}
    }

    pub(crate) async fn next(&mut self) -> Input {
        let next = tokio::time::timeout(PATIENCE, self.news.recv());
        next.await.expect("news in time").expect("the client lives")
    }

    /// Ends the client, as `tasks` do at the end of the process, then the server.
    pub(crate) async fn stop(&self) {
        let stopped = tokio::time::timeout(PATIENCE, self.tasks.stop()).await;
        assert!(stopped.is_ok(), "the client does not end");
        assert_eq!(self.tasks.alive(), 0);
        self.serving.stop().await;
    }
}

pub(crate) fn ended(code: &str, reason: &str) -> Signal {
    Signal::Ended {
        code: code.to_owned(),
        reason: reason.to_owned(),
    }
}
