//! What changes in the middle of a call with a page in a real Chromium: pictures that are
//! taken away and shown again, and keys, each with media measured before and after.
//!
//! The door is the library: only a program takes its picture away in a call.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "common/mod.rs"]
mod common;
mod gateway_bench;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use common::browser::{Browser, Programs};
use common::pages::Pages;
use common::peer::{Generation, Options, Peer};
use common::sound::Recording;
use common::station::PASSWORD;
use common::{DOOR_VOICE, PAGE_VOICE, PATIENCE, clock};
use doorstation::call::{self, AccountId, CallId, Connection, Digits, Event, State, Wish};
use doorstation::client::{Client, Config, Devices};
use doorstation::gateway;
use doorstation::media::engine;
use doorstation::media::gst::{CameraSettings, Source};
use doorstation::media::sound::virtual_card::{MicSource, VirtualCard};
use doorstation::media::sound::{EchoSettings, SoundSettings};
use doorstation::secret::Secret;
use doorstation::signalling::kandy::{Login, Settings, Trust};
use gateway_bench::Bench;
use serde_json::Value;

const ALICE: &str = "alice@demo.local";
/// Tells the inner run where its sound card is.
const INNER: &str = "DOORSTATION_TEST_CARD";

const TALK: Wish = Wish {
    audio: true,
    receive_video: true,
    send_video: true,
};

#[test]
fn the_picture_and_keys_in_a_call_with_a_page_that_never_bundles() -> Result<()> {
    let name = "the_picture_and_keys_in_a_call_with_a_page_that_never_bundles";
    with_card(name, async |stage| {
        let alice = stage.call(Generation::Three).await?;
        stage.the_doors_picture_goes_and_comes(&alice).await?;
        stage.keys_go_both_ways(&alice).await?;
        stage.end(&alice).await
    })
}

#[test]
fn the_pictures_and_keys_in_a_call_with_a_page_that_bundles() -> Result<()> {
    let name = "the_pictures_and_keys_in_a_call_with_a_page_that_bundles";
    with_card(name, async |stage| {
        let alice = stage.call(Generation::Five).await?;
        stage.the_doors_picture_goes_and_comes(&alice).await?;
        stage.the_pages_picture_comes_and_goes(&alice).await?;
        stage.keys_go_both_ways(&alice).await?;
        stage.end(&alice).await
    })
}

/// A door, a gateway, and a browser with the peer page open.
struct Stage {
    gateway: Bench,
    door: Client,
    call: Option<CallId>,
    browser: Browser,
    speaker: PathBuf,
}

impl Stage {
    /// The door calls a page that answers without its camera.
    async fn call(&mut self, generation: Generation) -> Result<Peer> {
        let gateway = format!("http://{}", self.gateway.address);
        let options = Options::new(generation);
        let alice = Peer::connect(self.browser.tab(), &gateway, ALICE, &options).await?;
        alice.run("peer.readsKeys = true", Value::Null).await?;
        self.call = Some(self.door.make("alice", TALK).await);
        alice.wait_state("RINGING").await?;
        alice.act("answer").await?;
        self.until(|event| {
            matches!(
                event,
                Event::StateChange {
                    state: State::InCall,
                    ..
                }
            )
        })
        .await?;
        Ok(alice)
    }

    async fn the_doors_picture_goes_and_comes(&mut self, alice: &Peer) -> Result<()> {
        moves(alice).await?;
        let call = self.id();
        for _ in 0..2 {
            self.door.stop_video(&call).await;
            stands_still(alice).await?;
            self.talk(alice).await?;
            self.door.start_video(&call).await;
            moves(alice).await?;
        }
        self.talk(alice).await
    }

    async fn the_pages_picture_comes_and_goes(&mut self, alice: &Peer) -> Result<()> {
        for _ in 0..2 {
            alice.act("startVideo").await?;
            alice
                .run(
                    "const before = await peer.pictureSent();
                     await measure.until('picture of the page', async () =>
                         await peer.pictureSent() > before + 30);
                     await measure.until('report of the door', async () =>
                         [...(await peer.call.pc.getStats()).values()].some((r) =>
                             r.type === 'remote-inbound-rtp' && r.kind === 'video'));",
                    Value::Null,
                )
                .await?;
            moves(alice).await?;
            alice.act("stopVideo").await?;
            alice
                .run(
                    "await measure.until('end of the picture', async () => {
                         const before = await peer.pictureSent();
                         await measure.sleep(700);
                         return await peer.pictureSent() === before;
                     });",
                    Value::Null,
                )
                .await?;
            moves(alice).await?;
        }
        self.talk(alice).await
    }

    async fn keys_go_both_ways(&mut self, alice: &Peer) -> Result<()> {
        alice.run("await peer.sendKeys('15#')", Value::Null).await?;
        for wanted in ['1', '5', '#'] {
            let event = self
                .until(|event| matches!(event, Event::Digit { .. }))
                .await?;
            let Event::Digit { digit, .. } = event else {
                bail!("no digit: {event:?}");
            };
            ensure!(digit.as_char() == wanted, "not {wanted}");
        }
        let digits = Digits::parse("92*0").unwrap();
        self.door.send_digits(&self.id(), digits).await;
        alice
            .run(
                "await measure.until('keys of the door', () => peer.call.keys.pressed.length >= 4);
                 const pressed = peer.call.keys.pressed.join('');
                 if (pressed !== '92*0') throw new Error(`pressed ${pressed}`);",
                Value::Null,
            )
            .await?;
        moves(alice).await?;
        self.talk(alice).await
    }

    /// Both hear each other, from now on.
    async fn talk(&self, alice: &Peer) -> Result<()> {
        let marks = || -> Result<usize> {
            Ok(Recording::read(&self.speaker)?
                .onsets_ms(PAGE_VOICE.mark_hz)
                .len())
        };
        let before = marks()?;
        alice
            .run(
                "await measure.until('sound track', () => peer.call.ear);
                 const before = peer.call.ear.onsets.length;
                 await measure.until('tone of the door', () =>
                     peer.call.ear.onsets.length >= before + 2);",
                Value::Null,
            )
            .await?;
        let deadline = clock::now() + PATIENCE;
        while marks()? < before + 2 {
            ensure!(clock::now() < deadline, "the door's speaker is silent");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn end(&mut self, alice: &Peer) -> Result<()> {
        self.door.end(&self.id()).await;
        alice.wait_state("ENDED").await?;
        self.until(|event| matches!(event, Event::Over { .. }))
            .await?;
        Ok(())
    }

    fn id(&self) -> CallId {
        self.call.clone().unwrap()
    }

    async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Result<Event> {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.door.event()).await?;
            let Some(event) = event else {
                bail!("the door is gone");
            };
            if wanted(&event) {
                return Ok(event);
            }
            if matches!(event, Event::CallError { .. } | Event::Denied { .. }) {
                bail!("{event:?}");
            }
        }
    }
}

/// New pictures are decoded.
async fn moves(alice: &Peer) -> Result<()> {
    alice
        .run(
            "const before = await measure.decodedFrames(peer.call.pc);
             await measure.until('moving picture', async () =>
                 await measure.decodedFrames(peer.call.pc) > before + 20);",
            Value::Null,
        )
        .await?;
    Ok(())
}

/// No new picture comes for as long as 20 would take.
async fn stands_still(alice: &Peer) -> Result<()> {
    alice
        .run(
            "await measure.until('still picture', async () => {
                 const before = await measure.decodedFrames(peer.call.pc);
                 await measure.sleep(700);
                 return await measure.decodedFrames(peer.call.pc) === before;
             });",
            Value::Null,
        )
        .await?;
    Ok(())
}

/// Plays `story` in a process of its own whose ALSA has a card that hears the voice of the
/// door: alsa-lib reads the place of its configuration once. Passes without having run
/// where there is no browser.
fn with_card(name: &str, story: impl AsyncFnOnce(&mut Stage) -> Result<()>) -> Result<()> {
    let Some(programs) = Programs::find()? else {
        return Ok(());
    };
    if let Some(folder) = std::env::var_os(INNER) {
        return tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(play(&programs, Path::new(&folder), story));
    }
    let folder = tempfile::tempdir()?;
    let (variable, value) = VirtualCard::environment(&folder.path().join("card"));
    let status = Command::new(std::env::current_exe()?)
        .args([name, "--exact", "--nocapture"])
        .env(variable, value)
        .env(INNER, folder.path())
        .status()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

async fn play(
    programs: &Programs,
    folder: &Path,
    story: impl AsyncFnOnce(&mut Stage) -> Result<()>,
) -> Result<()> {
    let [door, page, speaker] = ["door.wav", "page.wav", "speaker.wav"].map(|f| folder.join(f));
    DOOR_VOICE.write(&door)?;
    PAGE_VOICE.write(&page)?;
    let card = folder.join("card");
    let card = VirtualCard::prepare(&card, MicSource::Wav(door), Some(speaker.clone()))?;
    let mut settings = gateway_bench::settings();
    for user in &mut settings.users {
        user.password = gateway::Password::Plain(Secret::new(PASSWORD));
    }
    let gateway = Bench::with(settings).await;
    let mut door = Client::connect(config(gateway.address))?;
    while !matches!(
        door.event().await,
        Some(Event::Connection(_, Connection::Connected))
    ) {}
    let pages = Pages::serve().await?;
    let browser = Browser::start(programs, &page).await?;
    browser.goto(&pages.url("peer.html")).await?;
    let mut stage = Stage {
        gateway,
        door,
        call: None,
        browser,
        speaker,
    };
    let told = story(&mut stage).await;
    if told.is_err() {
        eprintln!("{:#?}", stage.browser.console().await);
    }
    stage.browser.close().await?;
    stage.door.disconnect().await;
    stage.gateway.stop().await;
    drop(card);
    told
}

fn config(gateway: SocketAddr) -> Config {
    let mut camera = CameraSettings::new(Source::Test);
    // A quarter of the work of the usual size; the picture is not read here.
    (camera.width, camera.height) = (640, 360);
    Config {
        account: Settings {
            account: AccountId::new("home"),
            user: "door@demo.local".to_owned(),
            login: Login::Basic {
                password: Secret::new(PASSWORD),
                authname: None,
            },
            rest: format!("http://{gateway}"),
            websocket: format!("ws://{gateway}"),
            expires: Duration::from_secs(3600),
            trust: Trust::Public,
            display_name: None,
        },
        calls: call::Settings::default(),
        devices: Devices::Real {
            camera,
            // Two signals of one rhythm, as here, are an echo to whoever listens for one.
            sound: SoundSettings {
                echo: EchoSettings::OFF,
                ..VirtualCard::settings()
            },
        },
        rtc: engine::Settings {
            bind: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            ..engine::Settings::default()
        },
        server_turn_credentials: false,
    }
}
