//! One station with accounts at two servers: two gateways on real sockets, two clients,
//! the station's own loop. Media are played by the test; what they do is told elsewhere.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod gateway_bench;

use std::collections::BTreeMap;
use std::time::Duration;

use doorstation::call::{
    AccountId, Address, Button, CallId, Calls, Connection, Event, Figures, Input, Media,
    MediaOrder, RingStep, Sdp, Settings, State, Target, View,
};
use doorstation::media;
use doorstation::secret::Secret;
use doorstation::signalling::kandy::{self, Client, Login, Trust};
use doorstation::station::{News, Station};
use doorstation::tasks::Tasks;
use tokio::sync::{mpsc, watch};

use gateway_bench::{Bench, PATIENCE, SDP, Session};

/// In parallel: people at both servers ring; who answers first talks, the others hear
/// that it is over, whichever server they are at.
#[tokio::test]
async fn of_two_accounts_rung_at_once_the_first_to_answer_wins_and_the_rest_are_cancelled() {
    for winner in 0..2 {
        let both = |house: &House| {
            vec![RingStep {
                targets: vec![house.target("home", "alice"), house.target("cloud", "bob")],
                time: RingStep::TIME,
            }]
        };
        let mut house = House::new(both).await;
        let alice = house.home.session("alice").await;
        let bob = house.cloud.session("bob").await;
        let mut people = [alice, bob];
        house.press().await;
        let legs = [people[0].incoming().await, people[1].incoming().await];
        people[winner]
            .put_ok(&legs[winner], serde_json::json!({"type": "ringing"}))
            .await;
        house.state(State::Ringing).await;
        people[winner].answer(&legs[winner]).await;
        house.state(State::InCall).await;
        let loser = 1 - winner;
        people[loser]
            .expect_end(&legs[loser], "487", "Request Terminated")
            .await;
        // Too late.
        let late = serde_json::json!({"type": "callAnswer", "sdp": SDP});
        let (http, reply) = people[loser].put(&legs[loser], late).await;
        assert_eq!((http, &reply["statusCode"]), (404, &serde_json::json!(42)));

        people[winner].end(&legs[winner], "?reasonText=Bye").await;
        let ended = house.state(State::Ended).await;
        assert_eq!(ended, (Some("200".to_owned()), Some("Bye".to_owned())));
        people[winner].expect_end(&legs[winner], "200", "Bye").await;
        house.stop().await;
    }
}

/// In sequence: the second server is asked when the first one's people do not answer,
/// at once when they say no.
#[tokio::test]
async fn a_plan_goes_on_to_the_next_account_after_its_time_and_after_a_refusal() {
    let plan = |house: &House| {
        vec![
            RingStep {
                targets: vec![house.target("home", "alice")],
                time: Duration::from_secs(1),
            },
            RingStep {
                targets: vec![house.target("cloud", "bob")],
                time: RingStep::TIME,
            },
        ]
    };
    let mut house = House::new(plan).await;
    let mut alice = house.home.session("alice").await;
    let mut bob = house.cloud.session("bob").await;

    house.press().await;
    let hers = alice.incoming().await;
    let his = bob.incoming().await;
    alice.expect_end(&hers, "487", "Request Terminated").await;
    bob.answer(&his).await;
    house.state(State::InCall).await;
    bob.end(&his, "").await;
    house.state(State::Ended).await;
    expect_end(&mut bob, &his).await;

    house.press().await;
    let hers = alice.incoming().await;
    alice.reject(&hers).await;
    let his = bob.incoming().await;
    bob.reject(&his).await;
    let (code, _) = house.state(State::Ended).await;
    assert_eq!(code.as_deref(), Some("603"));
    house.stop().await;
}

/// One server away: the other one rings all the same.
#[tokio::test]
async fn a_server_that_is_away_does_not_keep_the_other_from_ringing() {
    let both = |house: &House| {
        vec![RingStep {
            targets: vec![house.target("home", "alice"), house.target("cloud", "bob")],
            time: RingStep::TIME,
        }]
    };
    let mut house = House::new(both).await;
    let mut alice = house.home.session("alice").await;
    house.cloud.tasks.stop().await;
    house.lost("cloud").await;
    house.press().await;
    let hers = alice.incoming().await;
    alice.answer(&hers).await;
    house.state(State::InCall).await;
    house.stop().await;
}

async fn expect_end(session: &mut Session, leg: &str) {
    session.expect_end_of(leg).await;
}

/// A station with an account at each of two gateways.
struct House {
    home: Bench,
    cloud: Bench,
    inbox: mpsc::Sender<Input>,
    news: mpsc::UnboundedReceiver<Event>,
    parts: Vec<Tasks>,
}

impl House {
    async fn new(plan: impl Fn(&Self) -> Vec<RingStep>) -> Self {
        let (inbox, inputs) = mpsc::channel(64);
        let (tell, news) = mpsc::unbounded_channel();
        let mut house = Self {
            home: Bench::start().await,
            cloud: Bench::start().await,
            inbox,
            news,
            parts: Vec::new(),
        };
        let mut accounts = BTreeMap::new();
        let mut clients = Vec::new();
        for (name, bench) in [("home", &house.home), ("cloud", &house.cloud)] {
            let tasks = Tasks::new();
            let (orders, taken) = mpsc::channel(64);
            let settings = settings(name, bench);
            let client = Client::new(settings, house.inbox.clone(), tasks.clone()).unwrap();
            tasks.spawn_draining("client", client.run(taken));
            accounts.insert(AccountId::new(name), orders);
            clients.push(tasks);
        }
        let mut calls = 0;
        let new_id = move || {
            calls += 1;
            CallId::new(format!("call-{calls}"))
        };
        let settings = Settings {
            ring: plan(&house),
            // Nothing connects here.
            media_up: Duration::from_secs(3600),
            ..Settings::default()
        };
        let (media, orders) = mpsc::channel(64);
        let listener = move |news: &News| {
            if let News::Event(event) = news {
                // The test may be over.
                let _ = tell.send(event.clone());
            }
        };
        let station = Station {
            calls: Calls::new(settings, new_id),
            inbox: inputs,
            questions: mpsc::channel(1).1,
            accounts,
            media,
            view: watch::Sender::new(View::default()),
            listener: Box::new(listener),
            relay: None,
            answers: None,
        };
        let tasks = Tasks::new();
        tasks.spawn_draining("station", station.run(tasks.clone()));
        let media_tasks = Tasks::new();
        media_tasks.spawn("media", play(orders, house.inbox.clone()));
        house.parts.push(tasks);
        house.parts.extend(clients);
        house.parts.push(media_tasks);
        for _ in 0..2 {
            house.connected().await;
        }
        house
    }

    fn target(&self, account: &str, name: &str) -> Target {
        Target {
            account: AccountId::new(account),
            to: Address::new(format!("{name}@demo.local")),
        }
    }

    async fn press(&self) {
        self.inbox.send(Input::Pressed(Button::Bell)).await.unwrap();
    }

    async fn event(&mut self) -> Event {
        let next = tokio::time::timeout(PATIENCE, self.news.recv());
        next.await.expect("news in time").unwrap()
    }

    /// Waits until one more account is connected.
    async fn connected(&mut self) {
        loop {
            if let Event::Connection(_, Connection::Connected) = self.event().await {
                return;
            }
        }
    }

    async fn lost(&mut self, name: &str) {
        loop {
            if let Event::Connection(account, Connection::Lost(_)) = self.event().await
                && account.as_str() == name
            {
                return;
            }
        }
    }

    /// Waits until the call gets into `wanted`; the code and reason of that.
    async fn state(&mut self, wanted: State) -> (Option<String>, Option<String>) {
        loop {
            if let Event::StateChange {
                state,
                code,
                reason,
                ..
            } = self.event().await
                && state == wanted
            {
                return (code, reason);
            }
        }
    }

    async fn stop(self) {
        for part in &self.parts {
            let stopped = tokio::time::timeout(PATIENCE, part.stop()).await;
            assert!(stopped.is_ok(), "a part does not end");
        }
        self.home.stop().await;
        self.cloud.stop().await;
    }
}

fn settings(account: &str, bench: &Bench) -> kandy::Settings {
    kandy::Settings {
        account: AccountId::new(account),
        user: "door@demo.local".to_owned(),
        login: Login::Basic {
            password: Secret::new("door"),
            authname: None,
        },
        rest: format!("http://{}", bench.address),
        websocket: format!("ws://{}", bench.address),
        expires: Duration::from_secs(3600),
        trust: Trust::Public,
        display_name: None,
    }
}

/// Media that can do everything and send nothing.
async fn play(mut orders: mpsc::Receiver<media::Order>, inbox: mpsc::Sender<Input>) {
    while let Some(order) = orders.recv().await {
        let media::Order::Leg(leg, order) = order else {
            continue;
        };
        let media = match order {
            MediaOrder::Offer(_) => Media::OfferReady(Sdp::new(SDP)),
            MediaOrder::Apply(_) => Media::AnswerApplied { held: false },
            MediaOrder::Close => Media::Figures(Figures::default()),
            _ => continue,
        };
        // The station may be gone.
        let _ = inbox.send(Input::Media(leg, media)).await;
    }
}
