//! A station and a page that is text alone, with the descriptions of a real Kandy.js 3.1
//! (records of `wire-examples.jsonl`).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use doorstation::call::{AccountId, CallId, Connection, Event, Settings as Calls, State, Wish};
use doorstation::client::{Client, Config, Devices};
use doorstation::media::engine::Settings as Rtc;
use doorstation::secret::Secret;
use doorstation::signalling::kandy::{Login, Settings, Trust};
use serde_json::{Value, json};

use crate::gateway_bench::{Bench, PATIENCE, Session};

const EXAMPLES: &str = include_str!("../fixtures/wire-examples.jsonl");

/// Records: a page calls without its camera; with it; holds that call; takes it back.
pub(crate) const WITHOUT_CAMERA: u64 = 10;
pub(crate) const WITH_CAMERA: u64 = 50;
pub(crate) const HOLD: u64 = 61;
pub(crate) const UNHOLD: u64 = 65;

const DOOR: Wish = Wish {
    audio: true,
    receive_video: false,
    send_video: true,
};

/// A gateway, the station as its user `door`, and a page of alice's.
pub(crate) struct House {
    pub(crate) bench: Bench,
    pub(crate) door: Client,
    pub(crate) page: Session,
    /// The latest call at the door, and the page's leg of it.
    call: Option<CallId>,
    pub(crate) leg: String,
}

impl House {
    /// A page that is text alone: nothing connects, and the station shall wait.
    pub(crate) async fn new(decoy: bool) -> Self {
        Self::with(decoy, Duration::from_secs(3600)).await
    }

    pub(crate) async fn with(decoy: bool, media_up: Duration) -> Self {
        let bench = Bench::start().await;
        let mut door = Client::connect(config(bench.address, decoy, media_up)).unwrap();
        let page = bench.session("alice").await;
        while !matches!(
            event(&mut door).await,
            Event::Connection(_, Connection::Connected)
        ) {}
        Self {
            bench,
            door,
            page,
            call: None,
            leg: String::new(),
        }
    }

    /// The page calls with `offer`, the door answers; gives the answer.
    pub(crate) async fn page_calls(&mut self, offer: &str) -> String {
        self.page_starts(json!({"sdp": offer})).await
    }

    /// The page calls without an offer, the door answers; gives the door's offer.
    pub(crate) async fn page_calls_slowly(&mut self) -> String {
        self.page_starts(json!({})).await
    }

    async fn page_starts(&mut self, mut start: Value) -> String {
        start["type"] = "callStart".into();
        start["from"] = "sip:alice@demo.local".into();
        start["to"] = "sip:door@demo.local".into();
        let start = json!({ "callControlRequest": start });
        let sent = self.page.client.send("POST", "/callControl", Some(start));
        let (http, reply) = sent.await;
        assert_eq!(http, 200, "{reply}");
        let leg = &reply["callControlResponse"]["sessionData"];
        self.leg = leg.as_str().unwrap().to_owned();
        let call = loop {
            if let Event::Receive { call, .. } = event(&mut self.door).await {
                break call;
            }
        };
        self.door.answer(&call, DOOR).await;
        self.call = Some(call);
        self.page.expect("ringing").await;
        let answer = self.page.expect("respondCallUpdate").await;
        self.state(State::InCall).await;
        answer["sdp"].as_str().unwrap().to_owned()
    }

    /// The door calls the page; gives the page's leg and the offer.
    pub(crate) async fn door_calls(&mut self) -> (String, String) {
        self.call = Some(self.door.make("alice", DOOR).await);
        let params = self.page.expect("call").await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&params["sessionData"]), text(&params["sdp"]))
    }

    /// What the door offers and what it answers, in a call each way.
    pub(crate) async fn offer_and_answer(&mut self) -> [String; 2] {
        let (leg, offer) = self.door_calls().await;
        self.page.reject(&leg).await;
        self.state(State::Ended).await;
        self.page.expect_end_of(&leg).await;
        [offer, self.page_calls(&example(WITH_CAMERA)).await]
    }

    /// The page offers anew in the call that it made; gives the door's answer.
    pub(crate) async fn page_offers(&mut self, offer: &str) -> String {
        let update = json!({"type": "startCallUpdate", "sdp": offer});
        self.page.put_ok(&self.leg, update).await;
        let answer = self.page.expect("respondCallUpdate").await;
        answer["sdp"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn state(&mut self, wanted: State) {
        loop {
            match event(&mut self.door).await {
                Event::StateChange { state, .. } if state == wanted => return,
                Event::CallError { failure, .. } => panic!("{failure:?}"),
                _ => {}
            }
        }
    }

    pub(crate) fn call(&self) -> CallId {
        self.call.clone().expect("there was a call")
    }

    pub(crate) async fn record(&self) -> State {
        self.door.call(&self.call()).await.unwrap().state
    }

    pub(crate) async fn stop(self) {
        self.door.disconnect().await;
        self.bench.stop().await;
    }
}

async fn event(door: &mut Client) -> Event {
    let event = tokio::time::timeout(PATIENCE, door.event());
    event.await.expect("an event in time").unwrap()
}

fn config(gateway: SocketAddr, decoy: bool, media_up: Duration) -> Config {
    Config {
        account: Settings {
            account: AccountId::new("home"),
            user: "door@demo.local".to_owned(),
            login: Login::Basic {
                password: Secret::new("door"),
                authname: None,
            },
            rest: format!("http://{gateway}"),
            websocket: format!("ws://{gateway}"),
            expires: Duration::from_secs(3600),
            trust: Trust::Public,
            display_name: None,
        },
        calls: Calls {
            media_up,
            ..Calls::default()
        },
        devices: Devices::Simulated,
        rtc: Rtc {
            bind: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            decoy,
            ..Rtc::default()
        },
        server_turn_credentials: false,
    }
}

/// The description of record `number`.
pub(crate) fn example(number: u64) -> String {
    let records = EXAMPLES.lines().map(serde_json::from_str::<Value>);
    let record = records
        .map(Result::unwrap)
        .find(|record| record["n"] == number);
    let sdp = &record.unwrap()["body"]["callControlRequest"]["sdp"];
    sdp.as_str().unwrap().to_owned()
}

/// What a page without camera may answer to `offer`: the offer's mirror.
pub(crate) fn answer_to(offer: &str, picture: &str) -> String {
    offer
        .replace("a=setup:actpass", "a=setup:active")
        .replace("a=sendonly", &format!("a={picture}"))
}

/// The two m-sections.
pub(crate) fn sections(description: &str) -> [String; 2] {
    let parts = description.split("\r\nm=").skip(1);
    let parts: Vec<_> = parts
        .map(|part| format!("m={}\r\n", part.trim_end()))
        .collect();
    parts.try_into().expect("two m-lines")
}

/// The value of the first `a=name:`.
pub(crate) fn value(section: &str, name: &str) -> String {
    let prefix = format!("a={name}:");
    let mut lines = section.split("\r\n");
    let found = lines.find_map(|line| line.strip_prefix(&prefix));
    found
        .unwrap_or_else(|| panic!("no {name} in {section}"))
        .to_owned()
}

/// The line that a browser takes for the direction.
pub(crate) fn direction(section: &str) -> &'static str {
    const NAMES: [&str; 4] = ["sendrecv", "sendonly", "recvonly", "inactive"];
    let mut found = section.split("\r\n").filter_map(|line| {
        let name = line.strip_prefix("a=")?;
        NAMES.into_iter().find(|known| *known == name)
    });
    let direction = found.next().expect("a direction");
    assert_eq!(found.next(), None, "one direction");
    direction
}

pub(crate) fn port(section: &str) -> u16 {
    section.split(' ').nth(1).unwrap().parse().unwrap()
}

pub(crate) fn version(description: &str) -> u64 {
    let origin = description.lines().find(|line| line.starts_with("o="));
    origin.unwrap().split(' ').nth(2).unwrap().parse().unwrap()
}
