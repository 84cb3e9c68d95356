//! Drives the demo as two people would: a call in each direction between the door
//! and the indoor page in a real Chromium, and prints what it measured.
//!
//! `script/demo --auto` builds and runs it. Each figure is one line, or all of them
//! are one JSON object with `--json`. Ends with 1 and one sentence that names the
//! step if a step fails.
//!
//! What the figures mean (milliseconds, medians where there are many):
//!
//! * `press_to_led_ms`, `press_to_tone_ms`, `press_to_ring_ms`: from the bell to the
//!   panel's light, to the first moment of the chime at the door's speaker, and to
//!   the ringing page.
//! * `answer_to_first_picture_ms`, `answer_to_first_sound_page_ms`,
//!   `answer_to_first_sound_door_ms`: from the click on Answer.
//! * `video_latency_p50_ms`, `..p95_ms`: from the clock drawn into the test picture to
//!   its reading from a canvas of the page.
//! * `audio_up_ms`: from the door's microphone to the page; `audio_down_ms`: from the
//!   page's microphone to the door's speaker.
//! * `page_call_...`: the same for the call that the page makes; there the door's
//!   button answers.

#![allow(clippy::print_stdout, reason = "a program whose purpose is to print")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use common::browser::{Browser, Programs};
use common::indoor::Indoor;
use common::sound::{CardClock, Recording, median, passage_ms};
use common::station::{Demo, PASSWORD, Station};
use common::{DOOR_VOICE, PAGE_VOICE};
use serde_json::{Map, Value};

const ALICE: &str = "alice@demo.local";

/// The first note of the chime (`docs/look.md`).
const CHIME_HZ: f64 = 659.0;

/// How long picture and sound of a call are measured.
const MEASURED: Duration = Duration::from_secs(5);

#[derive(Debug, Parser)]
#[command(about = "Drives a call in each direction and prints what it measured")]
struct Arguments {
    /// The built `doorstation`; without it the one beside this program.
    #[arg(long)]
    station: Option<PathBuf>,

    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,

    /// Save a picture of the page in a call as a PNG file.
    #[arg(long, value_name = "FILE")]
    screenshot: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match drive(&arguments).await {
        Ok(figures) => {
            print(&figures, arguments.json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("the demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print(figures: &Figures, json: bool) {
    if json {
        let object: Map<String, Value> = figures
            .0
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(*value)))
            .collect();
        println!("{}", Value::Object(object));
        return;
    }
    for (name, value) in &figures.0 {
        println!("{name} {value}");
    }
}

/// What was measured, in the order of the call.
#[derive(Debug, Default)]
struct Figures(Vec<(String, f64)>);

impl Figures {
    fn add(&mut self, name: &str, value: f64) {
        self.0
            .push((name.to_owned(), (value * 10.0).round() / 10.0));
    }
}

/// Station, page and the sound that both make.
#[derive(Debug)]
struct Set {
    station: Station,
    page: Indoor,
    card: CardClock,
    speaker: PathBuf,
}

async fn drive(arguments: &Arguments) -> Result<Figures> {
    let Some(programs) = Programs::find()? else {
        bail!("no browser to drive");
    };
    let folder = tempfile::tempdir()?;
    let (door, mouth) = (
        folder.path().join("door.wav"),
        folder.path().join("page.wav"),
    );
    let speaker = folder.path().join("speaker.wav");
    DOOR_VOICE.write(&door)?;
    PAGE_VOICE.write(&mouth)?;

    let mut demo = Demo::new()
        .user(ALICE)
        .ring(ALICE)
        .microphone(&door)
        .speaker(&speaker);
    if let Some(program) = &arguments.station {
        demo = demo.program(program);
    }
    let station = demo.start().await.context("start the station")?;
    let browser = Browser::start(&programs, &mouth)
        .await
        .context("start the browser")?;
    let page = Indoor::open(browser.tab(), station.url())
        .await
        .context("open the indoor page")?;
    page.log_in(ALICE, PASSWORD).await?;
    page.wait_state("idle").await.context("log in")?;

    let card = CardClock::follow(&speaker);
    let mut set = Set {
        station,
        page,
        card,
        speaker,
    };
    let mut figures = Figures::default();
    the_door_calls(&mut set, &mut figures, arguments.screenshot.as_deref())
        .await
        .context("the call from the door")?;
    the_page_calls(&mut set, &mut figures)
        .await
        .context("the call from the page")?;
    browser.close().await?;
    set.station.stop().await.context("end the station")?;
    Ok(figures)
}

async fn the_door_calls(
    set: &mut Set,
    figures: &mut Figures,
    screenshot: Option<&Path>,
) -> Result<()> {
    set.page.begin().await?;
    set.station.mark();
    let pressed = set.station.panel("press bell").await?;
    let light = set
        .station
        .wait("the light of a call", |event| event["event"] == "led")
        .await?;
    figures.add("press_to_led_ms", light.at_ms - pressed);
    set.page.wait_state("ringing").await.context("ring")?;
    let chime = set
        .heard("the chime at the door", |recording, start_ms| {
            let onsets = recording.onsets_ms(CHIME_HZ).into_iter();
            // The card's time is good to some milliseconds.
            onsets
                .map(|onset| onset + start_ms)
                .find(|at_ms| *at_ms > pressed - 10.0)
        })
        .await?;
    figures.add("press_to_tone_ms", chime - pressed);
    let rang = set.number("return observed.state('ringing')").await?;
    figures.add("press_to_ring_ms", rang - pressed);

    set.page.press("answer").await.context("answer")?;
    set.page.wait_state("talking").await.context("answer")?;
    let answered = set.number("return observed.clicks.answer").await?;
    set.measure_call(figures, "", answered).await?;
    if let Some(file) = screenshot {
        set.page.screenshot(file).await?;
    }
    set.station.mark();
    set.page.press("end").await.context("end")?;
    set.page.wait_state("idle").await.context("end")?;
    set.station.wait_state("ENDED").await.context("end")?;
    Ok(())
}

async fn the_page_calls(set: &mut Set, figures: &mut Figures) -> Result<()> {
    set.page.begin().await?;
    set.station.mark();
    set.page.press("talk").await.context("call the door")?;
    let ringing = set
        .station
        .wait("call:receive", |event| event["event"] == "call:receive")
        .await?;
    let pressed = set.number("return observed.clicks.talk").await?;
    figures.add("page_call_to_ring_ms", ringing.at_ms - pressed);

    let answered = set.station.panel("answer").await?;
    set.page.wait_state("talking").await.context("answer")?;
    set.measure_call(figures, "page_call_", answered).await?;
    set.station.mark();
    set.station.panel("end").await?;
    set.page.wait_state("idle").await.context("end")?;
    set.station.wait_state("ENDED").await.context("end")?;
    Ok(())
}

impl Set {
    /// Everything that is measured in a call that was answered at `answered`.
    async fn measure_call(
        &mut self,
        figures: &mut Figures,
        prefix: &str,
        answered: f64,
    ) -> Result<()> {
        let mut add = |name: &str, value: f64| figures.add(&format!("{prefix}{name}"), value);
        let media = self.page.prove_media(MEASURED).await?;
        let of = |name: &str| {
            media[name]
                .as_f64()
                .with_context(|| format!("no figure {name}: {media}"))
        };
        add("answer_to_first_picture_ms", of("first_at_ms")? - answered);
        let sound = media["sound"]["first_at_ms"]
            .as_f64()
            .context("the page never heard the door")?;
        add("answer_to_first_sound_page_ms", sound - answered);
        let at_door = self
            .heard("the page's voice at the door", |recording, start_ms| {
                let first_ms = recording.first_sound_ms(PAGE_VOICE, answered - start_ms)?;
                Some(first_ms + start_ms)
            })
            .await?;
        add("answer_to_first_sound_door_ms", at_door - answered);
        add("fps", of("fps")?);
        add("video_latency_p50_ms", of("latency_p50_ms")?);
        add("video_latency_p95_ms", of("latency_p95_ms")?);
        add("audio_up_ms", self.audio_up(&media)?);
        add("audio_down_ms", self.audio_down(answered).await?);
        Ok(())
    }

    /// The door's marks begin with each second of the simulated sound card's time.
    fn audio_up(&self, media: &Value) -> Result<f64> {
        let start_ms = self.card.start_ms().context("no sound card time")?;
        let heard: Vec<f64> = numbers(&media["sound"]["onsets_ms"]).collect();
        passage_ms(&heard, start_ms).context("the page heard no marks of the door")
    }

    /// From a mark in the page's microphone to the same mark at the door's speaker.
    async fn audio_down(&mut self, answered: f64) -> Result<f64> {
        let said = self
            .page
            .run("return observed.microphone.report().onsets_ms")
            .await?;
        let said: Vec<f64> = numbers(&said).filter(|onset| *onset > answered).collect();
        // The recording is complete as far as the last mark that counts.
        let last = *said.last().context("the page's microphone is silent")?;
        let heard = self
            .heard("the page's marks at the door", |recording, start_ms| {
                let marks: Vec<f64> = recording
                    .onsets_ms(PAGE_VOICE.mark_hz)
                    .into_iter()
                    .map(|onset| onset + start_ms)
                    .filter(|onset| *onset > answered)
                    .collect();
                (marks.last()? > &last).then_some(marks)
            })
            .await?;
        let delays = heard
            .iter()
            .filter_map(|heard| {
                let said = said.iter().rev().find(|said| *said < heard)?;
                Some(heard - said)
            })
            .collect();
        median(delays).context("no mark of the page was played at the door")
    }

    /// Waits until `find` finds it in the recording of the speaker, of which it is told
    /// at what time of day it began.
    async fn heard<T>(&self, what: &str, find: impl Fn(&Recording, f64) -> Option<T>) -> Result<T> {
        let deadline = common::clock::now() + common::PATIENCE;
        loop {
            if let Some(start_ms) = self.card.start_ms() {
                let recording = Recording::read(&self.speaker)?;
                if let Some(found) = find(&recording, start_ms) {
                    return Ok(found);
                }
            }
            if common::clock::now() > deadline {
                bail!("{what} was not heard");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn number(&self, body: &str) -> Result<f64> {
        self.page
            .run(body)
            .await?
            .as_f64()
            .with_context(|| format!("no number from {body}"))
    }
}

fn numbers(value: &Value) -> impl Iterator<Item = f64> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_f64)
}
