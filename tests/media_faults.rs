//! A station whose camera or sound card cannot be opened: it says so, calls go on with
//! what there is, and what comes back has its place in the call that is up.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "common/mod.rs"]
mod common;
mod gateway_bench;
mod video_file;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::station::{Event, Station};
use doorstation::call::{self, AccountId, Connection, Wish};
use doorstation::client::{Client, Config, Devices};
use doorstation::media::engine;
use doorstation::media::sound::virtual_card::{MICROPHONE, MicSource, SPEAKER, VirtualCard};
use doorstation::secret::Secret;
use doorstation::signalling::kandy::{Login, Settings, Trust};
use gateway_bench::{Bench, PATIENCE};
use tempfile::TempDir;

/// Whoever shows nothing takes no picture line either.
const TALK: Wish = Wish {
    audio: true,
    receive_video: true,
    send_video: true,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_cannot_be_opened_costs_the_picture_and_comes_back_in_the_call() {
    let mut house = House::new("source = \"file:door.webm\"").await;
    let card = VirtualCard::prepare(&house.card(), MicSource::Voice, None).unwrap();
    house.begin().await;
    let error = house.fault("camera").await;
    assert!(error.contains("door.webm"), "{error}");

    house.call().await;
    house.moment("answer_to_first_sound").await;
    assert!(!house.happened("answer_to_first_picture_sent"));
    video_file::make(&house.folder.path().join("door.webm"));
    house.restored("camera").await;
    house.moment("answer_to_first_picture_sent").await;
    house.end().await;
    drop(card);
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_cards_that_cannot_be_opened_cost_the_sound_and_come_back_in_the_call() {
    let mut house = House::new("source = \"test\"").await;
    // No card is plugged in.
    house.begin().await;
    for (device, pcm) in [("microphone", MICROPHONE), ("speaker", SPEAKER)] {
        let error = house.fault(device).await;
        assert!(error.contains(pcm), "{error}");
    }

    house.call().await;
    house.moment("answer_to_first_picture_sent").await;
    assert!(!house.happened("answer_to_first_sound"));
    let card = VirtualCard::prepare(&house.card(), MicSource::Voice, None).unwrap();
    house.restored("microphone").await;
    house.restored("speaker").await;
    house.moment("answer_to_first_sound").await;
    house.end().await;
    drop(card);
}

/// A gateway, the station with a configuration of its own, and Bob whom it rings.
struct House {
    folder: TempDir,
    gateway: Bench,
    bob: Client,
    station: Option<Station>,
}

impl House {
    /// `camera` is what the configuration says of it.
    async fn new(camera: &str) -> Self {
        let gateway = Bench::start().await;
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("password");
        fs::write(&secret, "door").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let config = format!(
            "[call]\nring = [\"home:bob@demo.local\"]\n\
             [[account]]\nname = \"home\"\nuser = \"door@demo.local\"\n\
             password_file = \"password\"\nrest = \"http://{0}\"\nwebsocket = \"ws://{0}\"\n\
             [camera]\n{camera}\n\
             [sound]\ncapture = \"{MICROPHONE}\"\nplayback = \"{SPEAKER}\"\n",
            gateway.address
        );
        fs::write(folder.path().join("doorstation.toml"), config).unwrap();
        let mut bob = Client::connect(bob(gateway.address)).unwrap();
        while !matches!(
            event(&mut bob).await,
            call::Event::Connection(_, Connection::Connected)
        ) {}
        Self {
            folder,
            gateway,
            bob,
            station: None,
        }
    }

    fn card(&self) -> PathBuf {
        self.folder.path().join("card")
    }

    async fn begin(&mut self) {
        let (name, place) = VirtualCard::environment(&self.card());
        let file = self.folder.path().join("doorstation.toml");
        let station = Station::run_with(&file, Some((name, Path::new(&place)))).unwrap();
        self.station = Some(station);
        self.wait("ready", |event| event["event"] == "ready").await;
    }

    async fn wait(&mut self, what: &str, wanted: impl Fn(&serde_json::Value) -> bool) -> Event {
        let station = self.station.as_mut().unwrap();
        station.wait(what, wanted).await.unwrap()
    }

    /// Waits until `device` failed; the reason.
    async fn fault(&mut self, device: &str) -> String {
        let wanted = |event: &serde_json::Value| {
            event["event"] == "media:error" && event["device"] == device
        };
        let error = self.wait("media:error", wanted).await;
        error.value["message"].as_str().unwrap().to_owned()
    }

    async fn restored(&mut self, device: &str) {
        let wanted = |event: &serde_json::Value| {
            event["event"] == "media:restored" && event["device"] == device
        };
        self.wait("media:restored", wanted).await;
    }

    async fn moment(&mut self, name: &str) {
        self.wait(name, |event| event["name"] == name).await;
    }

    fn happened(&self, name: &str) -> bool {
        let station = self.station.as_ref().unwrap();
        !station.all(|event| event["name"] == name).is_empty()
    }

    /// The bell is pressed and Bob answers.
    async fn call(&mut self) {
        let station = self.station.as_mut().unwrap();
        station.panel("press bell").await.unwrap();
        loop {
            if let call::Event::Receive { call, .. } = event(&mut self.bob).await {
                self.bob.answer(&call, TALK).await;
                break;
            }
        }
        let station = self.station.as_mut().unwrap();
        station.wait_state("IN_CALL").await.unwrap();
    }

    /// The call is up to the end, and ends as calls do.
    async fn end(mut self) {
        let mut station = self.station.take().unwrap();
        station.panel("end").await.unwrap();
        let ended = station.wait_state("ENDED").await.unwrap();
        assert_eq!(ended.value["code"], "9901", "{}", ended.value);
        station.stop().await.unwrap();
        self.bob.disconnect().await;
        self.gateway.stop().await;
    }
}

async fn event(bob: &mut Client) -> call::Event {
    let event = tokio::time::timeout(PATIENCE, bob.event());
    event.await.expect("an event in time").unwrap()
}

fn bob(gateway: SocketAddr) -> Config {
    Config {
        account: Settings {
            account: AccountId::new("home"),
            user: "bob@demo.local".to_owned(),
            login: Login::Basic {
                password: Secret::new("bob"),
                authname: None,
            },
            rest: format!("http://{gateway}"),
            websocket: format!("ws://{gateway}"),
            expires: Duration::from_secs(3600),
            trust: Trust::Public,
            display_name: None,
        },
        calls: call::Settings::default(),
        devices: Devices::Simulated,
        rtc: engine::Settings {
            bind: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            ..engine::Settings::default()
        },
        server_turn_credentials: false,
    }
}
