//! The station's own Kandy Link client against the embedded gateway, over HTTPS and
//! WSS with the local CA: what a house with one station runs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod gateway_bench;

use std::time::Duration;

use doorstation::call::{
    AccountId, Address, Connection, Input, LegId, Sdp, Signal, SignalOrder, Target,
};
use doorstation::gateway::{Gateway, Tls};
use doorstation::secret::Secret;
use doorstation::signalling::Order;
use doorstation::signalling::kandy::{Client, Login, Settings, Trust};
use doorstation::tasks::Tasks;
use gateway_bench::{PATIENCE, settings};
use tokio::sync::mpsc;

struct House {
    _dir: tempfile::TempDir,
    port: u16,
    trust: Trust,
    gateway: Tasks,
}

impl House {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tls = Tls::Local {
            dir: dir.path().to_owned(),
            names: Vec::new(),
        };
        Self::with(dir, tls).await
    }

    /// With a certificate of one's own, which is made out to the door's name in the
    /// network and not to the address at which the station reaches it.
    async fn with_certificate() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let made = rcgen::generate_simple_self_signed(["door.example.org".to_owned()]).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Self::with(dir, Tls::Files { cert, key }).await
    }

    async fn with(dir: tempfile::TempDir, tls: Tls) -> Self {
        let mut settings = settings();
        settings.tls = tls;
        let tasks = Tasks::new();
        let gateway = Gateway::bind(settings, tasks.clone()).await.unwrap();
        let house = Self {
            _dir: dir,
            port: gateway.local_addr().port(),
            trust: match gateway.own_certificate() {
                Some(certificate) => Trust::Only(certificate),
                None => Trust::PublicAnd(gateway.ca_pem().unwrap().to_vec()),
            },
            gateway: tasks.clone(),
        };
        tasks.spawn_draining("gateway", gateway.run());
        house
    }

    async fn party(&self, name: &str) -> Party {
        let mut party = self.party_with(name, name);
        assert_eq!(party.connection().await, Connection::Connecting);
        assert_eq!(party.connection().await, Connection::Connected);
        party
    }

    fn party_with(&self, name: &str, password: &str) -> Party {
        let settings = Settings {
            account: AccountId::new("home"),
            user: format!("{name}@demo.local"),
            login: Login::Basic {
                password: Secret::new(password),
                authname: None,
            },
            rest: format!("https://localhost:{}", self.port),
            websocket: format!("wss://localhost:{}", self.port),
            expires: Duration::from_secs(3600),
            trust: self.trust.clone(),
            display_name: None,
        };
        let (inbox, news) = mpsc::channel(64);
        let (orders, taken) = mpsc::channel(64);
        let tasks = Tasks::new();
        let client = Client::new(settings, inbox, tasks.clone()).unwrap();
        tasks.spawn_draining("client", client.run(taken));
        Party {
            news,
            orders,
            tasks,
        }
    }
}

/// One account of a station.
struct Party {
    news: mpsc::Receiver<Input>,
    orders: mpsc::Sender<Order>,
    tasks: Tasks,
}

impl Party {
    async fn order(&self, leg: &LegId, order: SignalOrder) {
        self.orders.send((leg.clone(), order)).await.unwrap();
    }

    async fn call(&self, leg: &LegId, to: &str) {
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

    async fn next(&mut self) -> Input {
        let next = tokio::time::timeout(PATIENCE, self.news.recv());
        next.await.expect("news in time").unwrap()
    }

    async fn connection(&mut self) -> Connection {
        match self.next().await {
            Input::Connection(_, connection) => connection,
            other => panic!("not about the connection: {other:?}"),
        }
    }

    async fn signal(&mut self, leg: &LegId) -> Signal {
        match self.next().await {
            Input::Signal(about, signal) if about == *leg => signal,
            other => panic!("not about {leg}: {other:?}"),
        }
    }

    async fn incoming(&mut self) -> LegId {
        match self.next().await {
            Input::Incoming(incoming) => {
                assert_eq!(incoming.offer, Some(Sdp::new("offer")));
                incoming.leg
            }
            other => panic!("not a call: {other:?}"),
        }
    }
}

fn ended(code: &str, reason: &str) -> Signal {
    Signal::Ended {
        code: code.to_owned(),
        reason: reason.to_owned(),
    }
}

#[tokio::test]
async fn two_clients_of_ours_ring_answer_hold_and_hang_up() {
    let house = House::new().await;
    let mut door = house.party("door").await;
    let mut alice = house.party("alice").await;
    let mine = LegId::new("out/1");
    door.call(&mine, "alice@demo.local").await;
    assert_eq!(door.signal(&mine).await, Signal::Started);
    let theirs = alice.incoming().await;
    alice.order(&theirs, SignalOrder::Ring).await;
    assert_eq!(door.signal(&mine).await, Signal::Ringing);
    let answer = Sdp::new("answer");
    alice
        .order(&theirs, SignalOrder::Answer(answer.clone()))
        .await;
    assert_eq!(door.signal(&mine).await, Signal::Responded(answer));
    let hold = Sdp::new("hold");
    door.order(&mine, SignalOrder::Update(hold.clone())).await;
    assert_eq!(
        alice.signal(&theirs).await,
        Signal::UpdateOffered(Some(hold))
    );
    let held = Sdp::new("held");
    alice
        .order(&theirs, SignalOrder::Respond(held.clone()))
        .await;
    assert_eq!(door.signal(&mine).await, Signal::Responded(held));
    door.order(&mine, SignalOrder::End("Bye".to_owned())).await;
    assert_eq!(alice.signal(&theirs).await, ended("200", "Bye"));
    for party in [door, alice] {
        party.tasks.stop().await;
    }
    house.gateway.stop().await;
}

#[tokio::test]
async fn a_certificate_of_ones_own_is_known_to_the_station_and_no_other_is() {
    let mut house = House::with_certificate().await;
    let mut alice = house.party("alice").await;
    alice.call(&LegId::new("a"), "bob").await;
    assert_eq!(alice.signal(&LegId::new("a")).await, Signal::Started);

    let other = House::with_certificate().await;
    house.trust = other.trust.clone();
    let mut stranger = house.party_with("bob", "bob");
    assert_eq!(stranger.connection().await, Connection::Connecting);
    let refused = stranger.connection().await;
    assert_ne!(refused, Connection::Connected);
    for tasks in [
        &alice.tasks,
        &stranger.tasks,
        &house.gateway,
        &other.gateway,
    ] {
        tasks.stop().await;
    }
}

#[tokio::test]
async fn nobody_is_there_and_the_call_says_so() {
    let house = House::new().await;
    let mut door = house.party("door").await;
    for (leg, to, code, reason) in [
        ("1", "alice@demo.local", "480", "Temporarily Unavailable"),
        ("2", "nobody@demo.local", "404", "Not Found"),
    ] {
        let leg = LegId::new(leg);
        door.call(&leg, to).await;
        assert_eq!(door.signal(&leg).await, Signal::Started);
        assert_eq!(door.signal(&leg).await, ended(code, reason));
    }
    door.tasks.stop().await;
    house.gateway.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_mistaken_for_an_outage() {
    let house = House::new().await;
    let mut door = house.party_with("door", "wrong");
    assert_eq!(door.connection().await, Connection::Connecting);
    let refused = door.connection().await;
    assert!(matches!(&refused, Connection::Refused(_)), "{refused:?}");
    door.tasks.stop().await;
    house.gateway.stop().await;
}
