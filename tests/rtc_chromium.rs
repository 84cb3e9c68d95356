//! The media of one leg against a real Chromium, without any signalling: as a page
//! with Kandy.js 3.x treats descriptions, and as one that bundles.

#[path = "common/mod.rs"]
mod common;
mod rtc;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use common::browser::{Browser, Programs, Tab};
use common::pages::{Pages, source};
use common::{PAGE_VOICE, PATIENCE};
use doorstation::call::{LegId, Media, Sdp};
use doorstation::media::VideoCodec;
use doorstation::media::engine::Settings;
use doorstation::media::feed::{PictureFeed, Pictures};
use doorstation::media::gst::{Camera, CameraSettings, Source};
use doorstation::tasks::Tasks;
use rtc::{EVERYTHING, SEND, Station, directions};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// A camera that encodes only one codec.
struct Only(Camera, VideoCodec);

impl Pictures for Only {
    fn codecs(&self) -> Vec<VideoCodec> {
        vec![self.1]
    }

    fn subscribe(&self, codec: VideoCodec) -> PictureFeed {
        self.0.subscribe(codec)
    }

    fn request_key_frame(&self, codec: VideoCodec) {
        self.0.request_key_frame(codec);
    }
}

struct Scene {
    door: Station,
    browser: Browser,
    _pages: Pages,
    leg: LegId,
}

impl Scene {
    /// `None` where there is no Chromium.
    async fn set(codec: Option<VideoCodec>) -> Result<Option<Self>> {
        let Some(programs) = Programs::find()? else {
            return Ok(None);
        };
        let folder = tempfile::tempdir()?;
        let microphone = folder.path().join("page.wav");
        PAGE_VOICE.write(&microphone)?;
        let tasks = Tasks::new();
        // Nothing goes wrong with a drawn picture: its news is not read.
        let (inbox, _news) = mpsc::channel(16);
        let camera = Camera::start(CameraSettings::new(Source::Test), inbox, &tasks)?;
        let camera: Arc<dyn Pictures> = match codec {
            Some(codec) => Arc::new(Only(camera, codec)),
            None => Arc::new(camera),
        };
        let (browser, pages) = page(&programs, &microphone).await?;
        Ok(Some(Self {
            door: Station::filmed_by(camera, Settings::default(), tasks),
            browser,
            _pages: pages,
            leg: LegId::new("leg"),
        }))
    }

    async fn page(&self, options: Value) -> Result<()> {
        let body = "window.session = await new Session(args).open();";
        self.browser.run(body, options).await.map(|_| ())
    }

    async fn text(&self, body: &str, args: Value) -> Result<Sdp> {
        let text = self.browser.run(body, args).await?;
        Ok(Sdp::new(text.as_str().context("a description")?))
    }

    /// The door calls; the page answers.
    async fn door_calls(&mut self) -> Result<Sdp> {
        let offer = self.door.offer(&self.leg, SEND).await;
        let answer = self.page_answers(&offer).await?;
        ensure!(!self.door.apply(&self.leg, answer.clone()).await);
        Ok(answer)
    }

    async fn page_answers(&self, offer: &Sdp) -> Result<Sdp> {
        self.text("return session.answer(args)", json!(offer.as_str()))
            .await
    }

    /// The page calls, offering its picture so (`sendrecv` with its camera).
    async fn page_calls(&mut self, picture: Value) -> Result<Sdp> {
        let offer = self.text("return session.offer(args)", picture).await?;
        let (answer, held) = self.door.answer(&self.leg, offer, SEND).await;
        ensure!(!held);
        self.page_applies(&answer).await?;
        Ok(answer)
    }

    async fn page_applies(&self, answer: &Sdp) -> Result<()> {
        let args = json!(answer.as_str());
        self.browser.run("await session.apply(args)", args).await?;
        Ok(())
    }

    async fn connected(&mut self) {
        self.door.is(&self.leg, Media::Connected).await;
        self.door.flow(&self.leg, EVERYTHING).await;
    }

    /// Waits until sound flows both ways and pictures are decoded.
    async fn flows(&self, picture: bool) -> Result<Value> {
        let before = self.counts().await?;
        let heard = self.door.voices.heard().audible;
        let pictures = if picture { 30 } else { 0 };
        let condition = format!(
            "await (async () => {{ const c = await session.counts();
                return c.sound_in >= {} && c.frames >= {}; }})()",
            before["sound_in"].as_u64().unwrap_or(0) + 25,
            before["frames"].as_u64().unwrap_or(0) + pictures,
        );
        if let Err(error) = self
            .browser
            .until("sound and picture", PATIENCE, &condition)
            .await
        {
            eprintln!("{before} -> {}", self.counts().await?);
            return Err(error);
        }
        let voices = self.door.voices.clone();
        rtc::eventually("the page's sound at the door", || {
            voices.heard().audible >= heard + 25
        })
        .await;
        self.counts().await
    }

    async fn counts(&self) -> Result<Value> {
        self.browser
            .run("return session.counts()", Value::Null)
            .await
    }

    /// The page holds with `direction` and takes it back.
    async fn page_holds(&mut self, direction: &str) -> Result<()> {
        let body = "return session.reoffer(args)";
        let offer = self.text(body, json!(direction)).await?;
        let (answer, held) = self.door.reanswer(&self.leg, offer).await;
        ensure!(held, "the hold is not seen");
        self.page_applies(&answer).await?;
        let offer = self.text(body, Value::Null).await?;
        let (answer, held) = self.door.reanswer(&self.leg, offer).await;
        ensure!(!held, "the end of the hold is not seen");
        self.page_applies(&answer).await
    }

    async fn door_holds(&mut self) -> Result<()> {
        for hold in [true, false] {
            let offer = self.door.reoffer(&self.leg, hold).await;
            let answer = self.page_answers(&offer).await?;
            self.door.apply(&self.leg, answer).await;
        }
        Ok(())
    }

    /// The page goes away without a word; the door notices.
    async fn end(mut self) -> Result<()> {
        self.browser.run("session.close()", Value::Null).await?;
        self.door.is(&self.leg, Media::FarEndClosed).await;
        let figures = self.door.close(&self.leg).await;
        eprintln!("{figures:#?}");
        self.browser.close().await
    }
}

async fn page(programs: &Programs, microphone: &Path) -> Result<(Browser, Pages)> {
    let pages = Pages::serve().await?;
    let browser = Browser::start(programs, microphone).await?;
    load(&browser).await?;
    browser.goto(&pages.url("peer.html")).await?;
    Ok((browser, pages))
}

/// Classes of a script belong to it alone: they are handed to the window.
async fn load(tab: &Tab) -> Result<()> {
    let session = source("session.js")?;
    tab.before_each_page(&format!("{session}\nwindow.Session = Session;"))
        .await
}

#[tokio::test]
async fn a_page_of_generation_3_is_called_and_both_hold() -> Result<()> {
    let Some(mut scene) = Scene::set(None).await? else {
        return Ok(());
    };
    scene.page(json!({ "generation": 3 })).await?;
    let answer = scene.door_calls().await?;
    ensure!(directions(&answer) == ["sendrecv", "recvonly"]);
    scene.connected().await;
    eprintln!("called: {}", scene.flows(true).await?);
    scene.page_holds("sendonly").await?;
    eprintln!("held by the page: {}", scene.flows(true).await?);
    scene.door_holds().await?;
    eprintln!("held by the door: {}", scene.flows(true).await?);
    scene.page_holds("sendonly").await?;
    eprintln!("held again: {}", scene.flows(true).await?);
    scene.end().await
}

#[tokio::test]
async fn a_page_of_generation_3_calls_without_camera_and_sees_the_door() -> Result<()> {
    let Some(mut scene) = Scene::set(None).await? else {
        return Ok(());
    };
    scene.page(json!({ "generation": 3 })).await?;
    let answer = scene.page_calls(json!("recvonly")).await?;
    ensure!(answer.as_str().contains("a=x-direction:a=sendonly"));
    scene.connected().await;
    eprintln!("calls: {}", scene.flows(true).await?);
    scene.page_holds("sendonly").await?;
    eprintln!("held by the page: {}", scene.flows(true).await?);
    scene.door_holds().await?;
    eprintln!("held by the door: {}", scene.flows(true).await?);
    scene.end().await
}

#[tokio::test]
async fn a_page_of_generation_3_with_camera_calls() -> Result<()> {
    let Some(mut scene) = Scene::set(Some(VideoCodec::H264)).await? else {
        return Ok(());
    };
    scene
        .page(json!({ "generation": 3, "camera": true }))
        .await?;
    let answer = scene.page_calls(Value::Null).await?;
    ensure!(directions(&answer) == ["sendrecv", "sendrecv"]);
    scene.connected().await;
    eprintln!("calls: {}", scene.flows(true).await?);
    scene.page_holds("sendonly").await?;
    eprintln!("held by the page: {}", scene.flows(true).await?);
    scene.end().await
}

#[tokio::test]
async fn without_the_decoy_the_picture_is_rejected_and_the_call_goes_on() -> Result<()> {
    let Some(mut scene) = Scene::set(None).await? else {
        return Ok(());
    };
    let settings = Settings {
        decoy: false,
        ..Settings::default()
    };
    scene.door = Station::with(&[VideoCodec::Vp8], settings);
    scene.page(json!({ "generation": 3 })).await?;
    let answer = scene.page_calls(json!("recvonly")).await?;
    ensure!(directions(&answer) == ["sendrecv", "-"]);
    scene.connected().await;
    eprintln!("calls: {}", scene.flows(false).await?);
    scene.page_holds("sendonly").await?;
    eprintln!("held by the page: {}", scene.flows(false).await?);
    scene.end().await
}

#[tokio::test]
async fn a_bundling_page_is_called_and_calls() -> Result<()> {
    let Some(mut scene) = Scene::set(None).await? else {
        return Ok(());
    };
    scene.page(json!({ "generation": 5 })).await?;
    scene.door_calls().await?;
    scene.connected().await;
    eprintln!("called: {}", scene.flows(true).await?);
    scene.page_holds("inactive").await?;
    eprintln!("held by the page: {}", scene.flows(true).await?);
    scene.door_holds().await?;
    eprintln!("held by the door: {}", scene.flows(true).await?);
    scene.browser.run("session.close()", Value::Null).await?;
    scene.door.is(&scene.leg, Media::FarEndClosed).await;
    scene.door.close(&scene.leg).await;

    scene.leg = LegId::new("back");
    scene.page(json!({ "generation": 5 })).await?;
    let answer = scene.page_calls(json!("recvonly")).await?;
    ensure!(!answer.as_str().contains("a=group"));
    ensure!(directions(&answer) == ["sendrecv", "sendonly"]);
    scene.connected().await;
    eprintln!("calls: {}", scene.flows(true).await?);
    scene.page_holds("inactive").await?;
    eprintln!("held by the page: {}", scene.flows(true).await?);
    scene.end().await
}

#[tokio::test]
async fn a_page_that_insists_on_bundling_calls_and_hears_the_door() -> Result<()> {
    let Some(mut scene) = Scene::set(None).await? else {
        return Ok(());
    };
    let options = json!({ "generation": 5, "policy": "max-bundle" });
    // The picture would have to share the transport of the sound.
    scene.page(options).await?;
    let answer = scene.page_calls(json!("recvonly")).await?;
    ensure!(directions(&answer) == ["sendrecv", "-"]);
    scene.connected().await;
    eprintln!("calls: {}", scene.flows(false).await?);
    scene.page_holds("inactive").await?;
    eprintln!("held by the page: {}", scene.flows(false).await?);
    scene.door_holds().await?;
    eprintln!("held by the door: {}", scene.flows(false).await?);
    scene.end().await
}
