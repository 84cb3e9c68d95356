//! The Kandy Link client and the embedded gateway with each other, over TLS: every
//! outcome of a call, and a gateway that restarts.
//!
//! Each is held against real traffic elsewhere (`wire_client`, `wire_gateway`), so
//! that a common misreading of the protocol would not go unnoticed.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod gateway_bench;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use doorstation::call::{
    AccountId, Address, Connection, Incoming, Input, LegId, Parameter, Sdp, Signal, SignalOrder,
    Target,
};
use doorstation::gateway::{Gateway, Settings as GatewaySettings, Tls};
use doorstation::secret::Secret;
use doorstation::signalling::Order;
use doorstation::signalling::kandy::{Client, Login, Settings, Trust};
use doorstation::tasks::Tasks;
use tempfile::TempDir;
use tokio::sync::mpsc;

use gateway_bench::{PATIENCE, SDP, settings};

#[tokio::test]
async fn a_call_rings_is_answered_changes_and_is_ended_by_either() {
    let house = House::new(GatewaySettings::RING_TIME).await;
    let (mut door, mut alice) = (house.person("door").await, house.person("alice").await);
    for door_ends in [true, false] {
        let leg = door.call("alice@demo.local").await;
        let call = alice.called().await;
        assert_eq!(call.from, Address::new("door@demo.local"));
        assert_eq!(call.to, Address::new("alice@demo.local"));
        assert_eq!(call.offer, Some(sdp("offer")));
        assert_eq!(call.parameters, [door_name()]);
        alice.order(&call.leg, SignalOrder::Ring).await;
        assert_eq!(door.signal(&leg).await, Signal::Ringing);
        alice
            .order(&call.leg, SignalOrder::Answer(sdp("answer")))
            .await;
        assert_eq!(door.signal(&leg).await, Signal::Responded(sdp("answer")));

        door.order(&leg, SignalOrder::Update(sdp("hold"))).await;
        let offered = Signal::UpdateOffered(Some(sdp("hold")));
        assert_eq!(alice.signal(&call.leg).await, offered);
        alice
            .order(&call.leg, SignalOrder::Respond(sdp("held")))
            .await;
        assert_eq!(door.signal(&leg).await, Signal::Responded(sdp("held")));

        let end = SignalOrder::End("Goodbye".to_owned());
        let ended = if door_ends {
            door.order(&leg, end).await;
            alice.signal(&call.leg).await
        } else {
            alice.order(&call.leg, end).await;
            door.signal(&leg).await
        };
        assert_eq!(code(&ended), "200");
        assert!(matches!(ended, Signal::Ended { reason, .. } if reason == "Goodbye"));
    }
    house.close([door, alice]).await;
}

#[tokio::test]
async fn calls_that_come_to_nothing_say_why() {
    let house = House::new(GatewaySettings::RING_TIME).await;
    let (mut door, mut alice) = (house.person("door").await, house.person("alice").await);

    let leg = door.call("alice@demo.local").await;
    let call = alice.called().await;
    alice.order(&call.leg, SignalOrder::Reject).await;
    assert_eq!(code(&door.ended(&leg).await), "603");

    let leg = door.call("nobody@demo.local").await;
    assert_eq!(code(&door.ended(&leg).await), "404");

    let leg = door.call("carol@demo.local").await;
    assert_eq!(code(&door.ended(&leg).await), "480", "carol is not there");

    let leg = door.call("alice@demo.local").await;
    let call = alice.called().await;
    door.order(&leg, SignalOrder::End("Cancelled".to_owned()))
        .await;
    assert_eq!(code(&alice.ended(&call.leg).await), "487");

    // The door takes one call at a time.
    let leg = alice.call("door@demo.local").await;
    let call = door.called().await;
    door.order(&call.leg, SignalOrder::Answer(sdp("answer")))
        .await;
    assert_eq!(alice.answered(&leg).await, sdp("answer"));
    let second = alice.call("door@demo.local").await;
    assert_eq!(code(&alice.ended(&second).await), "486");
    house.close([door, alice]).await;
}

#[tokio::test]
async fn a_call_that_nobody_answers_ends_by_itself_at_both_ends() {
    let house = House::new(Duration::from_secs(1)).await;
    let (mut door, mut alice) = (house.person("door").await, house.person("alice").await);
    let leg = door.call("alice@demo.local").await;
    let call = alice.called().await;
    assert_eq!(code(&door.ended(&leg).await), "480");
    assert_eq!(code(&alice.ended(&call.leg).await), "480");
    house.close([door, alice]).await;
}

#[tokio::test]
async fn of_two_devices_of_a_person_one_answers_and_the_other_hears_so() {
    let house = House::new(GatewaySettings::RING_TIME).await;
    let mut door = house.person("door").await;
    let (mut phone, mut tablet) = (house.person("alice").await, house.person("alice").await);
    let leg = door.call("alice@demo.local").await;
    let (on_phone, on_tablet) = (phone.called().await, tablet.called().await);
    phone
        .order(&on_phone.leg, SignalOrder::Answer(sdp("answer")))
        .await;
    assert_eq!(door.answered(&leg).await, sdp("answer"));
    assert_eq!(
        tablet.signal(&on_tablet.leg).await,
        Signal::AnsweredElsewhere
    );
    house.close([door, phone, tablet]).await;
}

#[tokio::test]
async fn after_a_restart_of_the_gateway_all_are_back_and_the_old_call_is_over() {
    let mut house = House::new(GatewaySettings::RING_TIME).await;
    let (mut door, mut alice) = (house.person("door").await, house.person("alice").await);
    let leg = door.call("alice@demo.local").await;
    let call = alice.called().await;
    alice
        .order(&call.leg, SignalOrder::Answer(sdp("answer")))
        .await;
    assert_eq!(door.answered(&leg).await, sdp("answer"));
    house.restart().await;
    door.back_without(&leg).await;
    alice.back_without(&call.leg).await;
    door.call("alice@demo.local").await;
    alice.called().await;
    house.close([door, alice]).await;
}

#[tokio::test]
async fn a_station_that_goes_down_tells_the_other_end() {
    let house = House::new(GatewaySettings::RING_TIME).await;
    let (mut door, mut alice) = (house.person("door").await, house.person("alice").await);
    let leg = door.call("alice@demo.local").await;
    let call = alice.called().await;
    alice
        .order(&call.leg, SignalOrder::Answer(sdp("answer")))
        .await;
    assert_eq!(door.answered(&leg).await, sdp("answer"));
    door.stop().await;
    assert_eq!(code(&alice.ended(&call.leg).await), "200");
    house.close([alice]).await;
}

/// A gateway with the users of [`settings`] and a CA of its own.
struct House {
    files: TempDir,
    ring_time: Duration,
    address: SocketAddr,
    ca: Vec<u8>,
    tasks: Tasks,
}

impl House {
    async fn new(ring_time: Duration) -> Self {
        let files = tempfile::tempdir().unwrap();
        let free = "127.0.0.1:0".parse().unwrap();
        let (tasks, address, ca) = serve(files.path(), ring_time, free).await;
        Self {
            files,
            ring_time,
            address,
            ca,
            tasks,
        }
    }

    async fn restart(&mut self) {
        self.tasks.stop().await;
        let served = serve(self.files.path(), self.ring_time, self.address).await;
        (self.tasks, self.address, self.ca) = served;
    }

    /// One device of the user `name`, connected.
    async fn person(&self, name: &str) -> Person {
        let account = AccountId::new(name);
        let settings = Settings {
            account: account.clone(),
            user: format!("{name}@demo.local"),
            login: Login::Basic {
                password: Secret::new(name),
                authname: None,
            },
            rest: format!("https://{}", self.address),
            websocket: format!("wss://{}", self.address),
            expires: Duration::from_secs(3600),
            trust: Trust::PublicAnd(self.ca.clone()),
            display_name: None,
        };
        let (inbox, news) = mpsc::channel(16);
        let (orders, taken) = mpsc::channel(16);
        let tasks = Tasks::new();
        let client = Client::new(settings, inbox, tasks.clone()).unwrap();
        tasks.spawn_draining("client", client.run(taken));
        let mut person = Person {
            account,
            orders,
            news,
            tasks,
            calls: 0,
        };
        person.connected().await;
        person
    }

    async fn close<const N: usize>(self, people: [Person; N]) {
        for person in people {
            person.stop().await;
        }
        self.tasks.stop().await;
    }
}

async fn serve(
    files: &Path,
    ring_time: Duration,
    listen: SocketAddr,
) -> (Tasks, SocketAddr, Vec<u8>) {
    let tasks = Tasks::new();
    let mut settings = settings();
    settings.listen = listen;
    settings.ring_time = ring_time;
    settings.tls = Tls::Local {
        dir: files.to_owned(),
        names: Vec::new(),
    };
    let gateway = Gateway::bind(settings, tasks.clone()).await.unwrap();
    let address = gateway.local_addr();
    let ca = gateway.ca_pem().unwrap().to_vec();
    tasks.spawn_draining("gateway", gateway.run());
    (tasks, address, ca)
}

/// One device of somebody.
struct Person {
    account: AccountId,
    orders: mpsc::Sender<Order>,
    news: mpsc::Receiver<Input>,
    tasks: Tasks,
    calls: u32,
}

impl Person {
    /// Calls; returns once the gateway has taken the call.
    async fn call(&mut self, to: &str) -> LegId {
        self.calls += 1;
        let leg = LegId::new(format!("out/{}", self.calls));
        let target = Target {
            account: self.account.clone(),
            to: Address::new(to),
        };
        let offer = sdp("offer");
        self.order(
            &leg,
            SignalOrder::Start {
                target,
                offer,
                parameters: vec![door_name()],
            },
        )
        .await;
        assert_eq!(self.signal(&leg).await, Signal::Started);
        leg
    }

    async fn order(&self, leg: &LegId, order: SignalOrder) {
        self.orders.send((leg.clone(), order)).await.unwrap();
    }

    /// The next call that arrives.
    async fn called(&mut self) -> Incoming {
        loop {
            if let Input::Incoming(incoming) = self.next().await {
                return incoming;
            }
        }
    }

    /// The next news of `leg`.
    async fn signal(&mut self, leg: &LegId) -> Signal {
        loop {
            match self.next().await {
                Input::Signal(about, signal) if about == *leg => return signal,
                _ => {}
            }
        }
    }

    async fn answered(&mut self, leg: &LegId) -> Sdp {
        loop {
            match self.signal(leg).await {
                Signal::Responded(answer) => return answer,
                Signal::Ringing => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn ended(&mut self, leg: &LegId) -> Signal {
        loop {
            let signal = self.signal(leg).await;
            if matches!(signal, Signal::Ended { .. }) {
                return signal;
            }
        }
    }

    /// Waits until the connection is back and `leg` is over, whichever is told first.
    async fn back_without(&mut self, leg: &LegId) {
        let (mut back, mut over) = (false, false);
        while !(back && over) {
            match self.next().await {
                Input::Connection(_, connection) => back = connection == Connection::Connected,
                Input::Signal(about, Signal::Ended { .. }) => over |= about == *leg,
                _ => {}
            }
        }
    }

    async fn connected(&mut self) {
        loop {
            if let Input::Connection(_, Connection::Connected) = self.next().await {
                return;
            }
        }
    }

    async fn next(&mut self) -> Input {
        let next = tokio::time::timeout(PATIENCE, self.news.recv());
        next.await.expect("news in time").expect("the client lives")
    }

    async fn stop(self) {
        let stopped = tokio::time::timeout(PATIENCE, self.tasks.stop()).await;
        assert!(stopped.is_ok(), "the client does not end");
    }
}

fn door_name() -> Parameter {
    Parameter {
        name: "X-Door".to_owned(),
        value: "Front door".to_owned(),
    }
}

fn code(signal: &Signal) -> &str {
    match signal {
        Signal::Ended { code, .. } => code,
        other => panic!("not ended: {other:?}"),
    }
}

fn sdp(name: &str) -> Sdp {
    Sdp::new(format!("{SDP}a=x-name:{name}\r\n"))
}
