//! Calls with a real Chromium over a bad road: loss, bursts, a narrow line, an
//! outage. What counts is what the page shows and plays.

#[path = "common/mod.rs"]
mod common;
mod rtc;

use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use common::browser::{Browser, Programs};
use common::pages::{Pages, source};
use common::road::{Road, Weather};
use common::{DOOR_VOICE, PAGE_VOICE};
use doorstation::call::{LegId, Media, Sdp};
use doorstation::clock;
use doorstation::media::feed::{SoundCodec, SoundPacket, Voice, Voices};
use doorstation::media::gst::{Camera, CameraSettings, Source};
use doorstation::media::sim::SimVoices;
use doorstation::media::{Tone, VideoCodec};
use doorstation::tasks::Tasks;
use rtc::{EVERYTHING, SEND, Station, WATCH};
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc};

/// A microphone that hears a mark each second; the speaker counts.
struct Beeper {
    packets: broadcast::Sender<Arc<SoundPacket>>,
    speaker: Arc<SimVoices>,
}

impl Beeper {
    fn start(speaker: Arc<SimVoices>, tasks: &Tasks) -> Arc<Self> {
        let packets = broadcast::Sender::new(8);
        tasks.spawn("beeper", beep(packets.clone()));
        Arc::new(Self { packets, speaker })
    }
}

async fn beep(packets: broadcast::Sender<Arc<SoundPacket>>) {
    let mut encoder =
        opus::Encoder::new(48_000, opus::Channels::Mono, opus::Application::Voip).expect("opus");
    encoder.set_inband_fec(true).expect("an option");
    encoder.set_packet_loss_perc(15).expect("an option");
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let mut timestamp = 0u32;
    loop {
        tick.tick().await;
        let samples: Vec<f32> = (0..960)
            .map(|i| {
                let at = timestamp.wrapping_add(i) % 48_000;
                let level = if at < 14_400 { 0.25 } else { 0.0 };
                (level * (TAU * DOOR_VOICE.mark_hz * f64::from(at) / 48_000.0).sin()) as f32
            })
            .collect();
        let data = encoder.encode_vec_float(&samples, 1_000).expect("a packet");
        let packet = SoundPacket {
            data: Bytes::from(data),
            timestamp,
            encoded: clock::now(),
        };
        timestamp = timestamp.wrapping_add(960);
        let _ = packets.send(Arc::new(packet));
    }
}

impl Voices for Beeper {
    fn microphone(&self, codec: SoundCodec) -> broadcast::Receiver<Arc<SoundPacket>> {
        assert_eq!(codec, SoundCodec::Opus, "a browser has it");
        self.packets.subscribe()
    }

    fn speaker(&self) -> Box<dyn Voice> {
        self.speaker.speaker()
    }

    fn play(&self, tone: Option<Tone>) {
        self.speaker.play(tone);
    }
}

/// So that a busy machine keeps up: what is measured is the road.
const SMALL: (u32, u32) = (640, 360);

struct Scene {
    door: Station,
    camera: Camera,
    road: Road,
    browser: Browser,
    _pages: Pages,
    _folder: tempfile::TempDir,
    leg: LegId,
}

impl Scene {
    /// A call over a road with this weather; `None` where there is no Chromium.
    async fn call(weather: Weather, seed: u64, size: (u32, u32)) -> Result<Option<Self>> {
        let Some(programs) = Programs::find()? else {
            return Ok(None);
        };
        let folder = tempfile::tempdir()?;
        let microphone = folder.path().join("page.wav");
        PAGE_VOICE.write(&microphone)?;
        let pages = Pages::serve().await?;
        let browser = Browser::start(&programs, &microphone).await?;
        let scripts = [source("session.js")?, source("watch.js")?];
        browser
            .before_each_page(&format!(
                "{};\nwindow.Session = Session;",
                scripts.join("\n")
            ))
            .await?;
        browser.goto(&pages.url("peer.html")).await?;

        let tasks = Tasks::new();
        let (inbox, _news) = mpsc::channel(16);
        let mut settings = CameraSettings::new(Source::Test);
        (settings.width, settings.height) = size;
        let camera = Camera::start(settings, inbox, &tasks)?;
        let road = Road::new(weather, seed, &tasks);
        let door = Station::of(
            Arc::new(camera.clone()),
            Beeper::start,
            rtc::any_interface(),
            tasks,
        );
        let mut scene = Self {
            door,
            camera,
            road,
            browser,
            _pages: pages,
            _folder: folder,
            leg: LegId::new("leg"),
        };
        scene.connect().await?;
        Ok(Some(scene))
    }

    async fn connect(&mut self) -> Result<()> {
        let options = json!({ "generation": 3 });
        let body = "window.session = await new Session(args).open();";
        self.browser.run(body, options).await?;
        let offer = self.door.offer(&self.leg, SEND).await;
        let offer = self.road.of_door(&offer).await;
        let body = "return session.answer(args)";
        let answer = self.browser.run(body, json!(offer.as_str())).await?;
        let answer = Sdp::new(answer.as_str().context("a description")?);
        let answer = self.road.of_page(&answer).await;
        self.door.apply(&self.leg, answer).await;
        self.door.is(&self.leg, Media::Connected).await;
        self.door.flow(&self.leg, EVERYTHING).await;
        Ok(())
    }

    /// What the page saw and heard in so many seconds.
    async fn watch(&self, seconds: u64) -> Result<Value> {
        let args = json!([DOOR_VOICE.mark_hz, seconds * 1000]);
        let seen = self
            .browser
            .run("return watch(session, args[0], args[1])", args)
            .await?;
        eprintln!("{seen}");
        Ok(seen)
    }

    /// How many pictures the camera has encoded.
    fn encoded(&self) -> f64 {
        let figures = self.camera.figures();
        figures["vp8_frames"] + figures["h264_frames"]
    }

    async fn end(mut self) -> Result<std::collections::BTreeMap<&'static str, f64>> {
        let figures = self.door.close(&self.leg).await;
        eprintln!("lost on the road {:.3}; {figures:#?}", self.road.lost());
        self.browser.close().await?;
        Ok(figures)
    }
}

fn number(seen: &Value, name: &str) -> f64 {
    seen[name].as_f64().unwrap_or(f64::NAN)
}

async fn loses(weather: Weather, seed: u64, least_rate: f64, least_marks: f64) -> Result<()> {
    let Some(scene) = Scene::call(weather, seed, SMALL).await? else {
        return Ok(());
    };
    // The browser's start is not the road's fault.
    scene.watch(2).await?;
    let (began, before) = (clock::now(), scene.encoded());
    let seen = scene.watch(8).await?;
    let sent = (scene.encoded() - before) / began.elapsed().as_secs_f64();
    eprintln!("{sent:.1} pictures a second were sent");
    let figures = scene.end().await?;
    // Of 30, or of what a busy machine encodes.
    ensure!(sent >= 20.0, "only {sent} pictures a second were sent");
    let shown = number(&seen, "rate") * 30.0 / sent.min(30.0);
    ensure!(shown >= least_rate, "{shown:.1} of 30: {seen}");
    ensure!(number(&seen, "freeze") <= 600.0, "{seen}");
    let heard = number(&seen, "marks") / number(&seen, "expected");
    ensure!(heard >= least_marks, "{seen}");
    ensure!(figures["connect_ms"] <= 1000.0, "{figures:?}");
    Ok(())
}

#[tokio::test]
async fn five_per_cent_of_loss_are_not_seen_and_not_heard() -> Result<()> {
    loses(Weather::losing(0.05), 5, 29.0, 1.0).await
}

#[tokio::test]
async fn twenty_per_cent_of_loss_are_hardly_seen_and_heard() -> Result<()> {
    loses(Weather::losing(0.2), 20, 27.0, 0.95).await
}

#[tokio::test]
async fn bursts_of_loss_are_mended() -> Result<()> {
    let weather = Weather {
        bursts: 0.005,
        ..Weather::losing(0.01)
    };
    loses(weather, 3, 28.0, 0.95).await
}

#[tokio::test]
async fn after_an_outage_of_eight_seconds_all_is_back_at_once() -> Result<()> {
    let Some(scene) = Scene::call(Weather::fair(), 8, SMALL).await? else {
        return Ok(());
    };
    scene.watch(2).await?;
    scene.road.set(Weather {
        cut: true,
        ..Weather::fair()
    });
    tokio::time::sleep(Duration::from_secs(8)).await;
    scene.road.set(Weather::fair());
    let back = scene
        .browser
        .run("return back(session)", Value::Null)
        .await?;
    eprintln!("back: {back}");
    let seen = scene.watch(2).await?;
    scene.end().await?;
    ensure!(number(&back, "picture") <= 800.0, "{back}");
    ensure!(number(&back, "sound") <= 800.0, "{back}");
    ensure!(number(&seen, "rate") >= 25.0, "{seen}");
    Ok(())
}

#[tokio::test]
async fn a_line_that_becomes_narrow_and_wide_again_carries_the_call() -> Result<()> {
    let at = |rate| Weather {
        rate: Some(rate),
        ..Weather::fair()
    };
    let Some(scene) = Scene::call(at(3e6), 4, (960, 540)).await? else {
        return Ok(());
    };
    scene.watch(3).await?;
    scene.road.set(at(500e3));
    // It has five seconds to find out.
    scene.watch(5).await?;
    let narrow = scene.watch(5).await?;
    scene.road.set(at(3e6));
    scene.watch(8).await?;
    // A busy machine encodes fewer pictures of this size, and finds back later.
    let mut wide = scene.watch(3).await?;
    for _ in 0..5 {
        if number(&wide, "rate") >= 20.0 {
            break;
        }
        wide = scene.watch(3).await?;
    }
    scene.end().await?;
    for seen in [&narrow, &wide] {
        ensure!(seen["state"] == "connected", "{seen}");
        // A picture that changes its size may rest for a moment.
        ensure!(number(seen, "freeze") <= 1000.0, "{seen}");
        ensure!(number(seen, "marks") >= number(seen, "expected"), "{seen}");
        ensure!(number(seen, "rate") >= 12.0, "{seen}");
    }
    ensure!(number(&wide, "rate") >= 20.0, "{wide}");
    Ok(())
}

#[tokio::test]
async fn a_way_that_is_gone_is_replaced_by_another_one() {
    let codecs = [VideoCodec::Vp8];
    let (mut door, mut page) = (Station::new(&codecs), Station::new(&codecs));
    let leg = LegId::new("leg");
    let mut road = Road::new(Weather::fair(), 9, &door.tasks);
    let offer = door.offer(&leg, SEND).await;
    let (answer, _) = page.answer(&leg, road.of_door(&offer).await, WATCH).await;
    door.apply(&leg, road.of_page(&answer).await).await;
    for end in [&mut door, &mut page] {
        end.is(&leg, Media::Connected).await;
        end.flow(&leg, EVERYTHING).await;
    }
    for end in [&mut door, &mut page] {
        end.is(&leg, Media::FirstSound).await;
    }
    // For good: only another road can help.
    road.set(Weather {
        cut: true,
        ..Weather::fair()
    });
    door.is(&leg, Media::Away).await;
    let mut other = Road::new(Weather::fair(), 10, &door.tasks);
    let offer = door.reoffer(&leg, false).await;
    let (answer, _) = page.reanswer(&leg, other.of_door(&offer).await).await;
    door.apply(&leg, other.of_page(&answer).await).await;
    let heard = (door.voices.clone(), page.voices.clone());
    let before = (heard.0.heard().audible, heard.1.heard().audible);
    let began = clock::now();
    rtc::eventually("sound both ways over the other road", || {
        heard.0.heard().audible > before.0 + 10 && heard.1.heard().audible > before.1 + 10
    })
    .await;
    println!("back {:?} after the answer", began.elapsed());
    let figures = door.close(&leg).await;
    assert!(figures["video_key_frames_sent"] >= 2.0, "{figures:?}");
}

/// How long each of some calls over a road with a fifth of loss takes to connect.
#[tokio::test]
async fn every_call_connects_within_a_second_at_twenty_per_cent_of_loss() {
    let codecs = [VideoCodec::Vp8];
    let (mut door, mut page) = (Station::new(&codecs), Station::new(&codecs));
    let mut took = Vec::new();
    for seed in 0..20 {
        let leg = LegId::new(format!("leg {seed}"));
        let mut road = Road::new(Weather::losing(0.2), seed, &door.tasks.child());
        let offer = door.offer(&leg, SEND).await;
        let (answer, _) = page.answer(&leg, road.of_door(&offer).await, WATCH).await;
        door.apply(&leg, road.of_page(&answer).await).await;
        door.is(&leg, Media::Connected).await;
        took.push(door.close(&leg).await["connect_ms"]);
        page.close(&leg).await;
    }
    took.sort_by(f64::total_cmp);
    println!("{took:.0?}");
    assert!(took.iter().all(|ms| *ms <= 1000.0), "{took:.0?}");
}
