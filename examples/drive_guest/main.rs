//! Makes a call with a station in an emulated machine, as two people would: a press on a
//! GPIO line, the indoor page in a real Chromium, picture and sound both ways, the door
//! opened, the end. `script/vm-test --call` builds and runs it.
//!
//! Ends with 1 and one sentence that names the step if a step fails. An emulated core is
//! slow, so nothing is measured but the pulse of the relay.

#![allow(clippy::print_stdout, reason = "a program whose purpose is to print")]

#[path = "../../tests/common/mod.rs"]
mod common;
mod guest;
mod lines;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use common::browser::{Browser, Programs};
use common::indoor::Indoor;
use common::{DOOR_VOICE, PAGE_VOICE};
use guest::Guest;
use lines::{Line, Lines};
use serde_json::{Value, json};

/// As `board/guest/mkdisk` and `board/guest/door.toml` have it.
const NAME: &str = "anna";
const PASSWORD: &str = "a password of the test";
const PULSE: Duration = Duration::from_secs(2);
/// What an emulated core that has other work adds to it.
const LATE: Duration = Duration::from_secs(1);

/// Pictures that are seen of a call before it is judged, and how long a voice is heard of
/// it: three marks' worth.
const PICTURES: u32 = 20;
const HEARD_MS: f64 = 900.0;

/// The colours of vivid's test picture from left to right, each as which of red, green
/// and blue shine: no other picture of the station has them.
const BARS: &str = "rgb rg gb g rb r b ";

#[derive(Debug, Parser)]
#[command(about = "Makes a call with a station in an emulated machine")]
struct Arguments {
    /// A configuration of ssh that reaches the machine.
    #[arg(long, value_name = "FILE")]
    ssh: PathBuf,

    /// The machine's address.
    #[arg(long)]
    host: String,

    /// Where to leave what was seen and heard.
    #[arg(long, value_name = "FOLDER")]
    results: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match drive(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the call failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn drive(arguments: &Arguments) -> Result<()> {
    let Some(programs) = Programs::find()? else {
        bail!("no browser to drive");
    };
    let folder = tempfile::tempdir()?;
    let (visitor, person) = (
        folder.path().join("door.wav"),
        folder.path().join("page.wav"),
    );
    DOOR_VOICE.write(&visitor)?;
    PAGE_VOICE.write(&person)?;

    let guest = Guest::new(&arguments.ssh, &arguments.host);
    guest
        .begin(&visitor)
        .await
        .context("begin to watch the machine")?;
    let browser = Browser::start(&programs, &person)
        .await
        .context("start the browser")?;
    let page = Indoor::open(browser.tab(), &format!("https://{}:8443", arguments.host))
        .await
        .context("open the indoor page")?;
    let stage = Stage {
        guest,
        page,
        results: &arguments.results,
    };
    let story = stage.play().await;
    if story.is_err() {
        // What it looks like then tells more than the sentence.
        let _ = stage
            .page
            .screenshot(&stage.results.join("failed.png"))
            .await;
    }
    stage
        .keep()
        .await
        .context("fetch what was seen and heard")?;
    story?;
    browser.close().await
}

/// The machine and the page, of one call.
struct Stage<'a> {
    guest: Guest,
    page: Indoor,
    results: &'a Path,
}

impl Stage<'_> {
    async fn play(&self) -> Result<()> {
        self.page.log_in(NAME, PASSWORD).await?;
        self.page.wait_state("idle").await.context("log in")?;
        self.page.begin().await?;
        self.is_ready().await.context("before the call")?;
        let lines = self.guest.lines().await?;
        for line in [Line::Amber, Line::Green, Line::Blue, Line::Relay] {
            ensure!(!lines.had(line), "before the call: {lines:?}");
        }

        self.rings().await.context("the press")?;
        self.answers().await.context("the answer")?;
        let figures = self.seen_and_heard().await?;
        self.page.screenshot(&self.results.join("page.png")).await?;
        let pulse = self.opens().await.context("the door")?;
        self.ends().await.context("the end")?;
        self.told().await.context("what the station tells of it")?;

        let figures = json!({ "pulse_ms": pulse.as_millis() as u64, "call": figures });
        println!("{figures}");
        std::fs::write(self.results.join("figures.json"), figures.to_string())?;
        Ok(())
    }

    async fn is_ready(&self) -> Result<Lines> {
        let ready = |lines: &Lines| lines.end_with_only(Line::White);
        self.guest.until("the white lamp alone", ready).await
    }

    async fn rings(&self) -> Result<()> {
        self.guest.says("lines press").await?;
        self.page.wait_state("ringing").await?;
        let blinks = |lines: &Lines| lines.pulses(Line::Amber).len() >= 2;
        self.guest.until("the amber lamp blink", blinks).await?;
        Ok(())
    }

    async fn answers(&self) -> Result<()> {
        self.page.press("answer").await?;
        self.page.wait_state("talking").await?;
        let talks = |lines: &Lines| lines.end_with_only(Line::Green);
        self.guest.until("the green lamp alone", talks).await?;
        Ok(())
    }

    /// The camera's picture and the visitor's voice on the page, and the person's voice
    /// at the door.
    async fn seen_and_heard(&self) -> Result<Value> {
        self.page
            .until(
                "the camera's picture",
                &format!("observed.picture.frames >= {PICTURES}"),
            )
            .await?;
        self.page.run(include_str!("bars.js")).await?;
        self.page
            .until("vivid's colour bars", &format!("bars() === {BARS:?}"))
            .await?;
        self.page
            .until(
                "the visitor's voice",
                &format!("observed.ear?.heardMs >= {HEARD_MS}"),
            )
            .await?;
        let at_door = self
            .guest
            .hears(PAGE_VOICE, HEARD_MS)
            .await
            .context("the person's voice at the door")?;
        let report = "return { ...observed.picture.report(), sound: observed.ear.report() }";
        let mut figures = self.page.run(report).await?;
        ensure!(
            figures["change"].as_f64() > Some(0.0),
            "the picture is still: {figures}"
        );
        figures["heard_at_door_ms"] = json!(at_door);
        Ok(figures)
    }

    /// Opens the door from the page: the blue lamp flashes, and the relay's line is high
    /// for one pulse. Gives its length.
    async fn opens(&self) -> Result<Duration> {
        self.page.hold("open", Duration::from_millis(1500)).await?;
        let opened = |lines: &Lines| {
            !lines.pulses(Line::Relay).is_empty() && !lines.pulses(Line::Blue).is_empty()
        };
        let lines = self
            .guest
            .until("the relay's pulse and the blue lamp", opened)
            .await?;
        let pulse = only_pulse(&lines)?;
        ensure!(
            (PULSE - PULSE / 20..PULSE + LATE).contains(&pulse),
            "the relay was on for {pulse:?}"
        );
        Ok(pulse)
    }

    async fn ends(&self) -> Result<()> {
        ensure!(
            self.page.run("return document.body.dataset.state").await? == "talking",
            "the call ended by itself"
        );
        self.page.press("end").await?;
        self.page.wait_state("idle").await?;
        // The relay is off, and was on no second time.
        only_pulse(&self.is_ready().await?)?;
        Ok(())
    }

    /// Status and journal, over SSH.
    async fn told(&self) -> Result<()> {
        let status = self.guest.says("doorstation status --json").await?;
        let status: Value = serde_json::from_str(&status).context("the status is no JSON")?;
        let status = &status["status"];
        ensure!(status["standing"] == "ready", "it is not ready: {status}");
        ensure!(
            status["door"]["open"] == false,
            "the door is open: {status}"
        );
        let call = &status["calls"][0];
        ensure!(call["result"] == "answered", "nobody talked: {status}");
        let devices = status["devices"].as_array().context("no devices")?;
        let works = |device: &Value| device["source"].is_string() && device["fault"].is_null();
        ensure!(
            devices.iter().filter(|device| works(device)).count() == 4,
            "a device does not work: {status}"
        );

        let id = call["call_id"].as_str().context("a call without an id")?;
        let call = format!("CALL_ID={id}");
        let who = format!("{NAME}@");
        for (unit, fields, words) in [
            (
                "doorstation",
                &*format!("{call} BUTTON=Bell"),
                "a button was pressed",
            ),
            ("doorstation", &*format!("{call} CALL_STATE=IN_CALL"), ""),
            ("doorstation", "DOOR=opened", &*who),
            ("doorstation", &*format!("{call} CALL_STATE=ENDED"), ""),
            ("doorstation-relay", "", "order: opened"),
        ] {
            let told = self
                .guest
                .says(&format!(
                    "journalctl -b -q -o cat --no-pager -u {unit} {fields}"
                ))
                .await?;
            ensure!(
                !told.is_empty() && told.contains(words),
                "the journal of {unit} has no '{words}' for '{fields}': {told}"
            );
        }
        Ok(())
    }

    /// Keeps what the machine watched of itself.
    async fn keep(&self) -> Result<()> {
        std::fs::write(
            self.results.join("lines.txt"),
            self.guest.says(guest::LINES).await?,
        )?;
        self.guest
            .keep_speaker(&self.results.join("speaker.wav"))
            .await
    }
}

fn only_pulse(lines: &Lines) -> Result<Duration> {
    let pulses = lines.pulses(Line::Relay);
    let [pulse] = pulses[..] else {
        bail!("the relay was on {} times: {pulses:?}", pulses.len());
    };
    Ok(pulse)
}
