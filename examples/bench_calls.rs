//! The same call by the station and by GStreamer's webrtcbin, in turn: `script/bench`.
//!
//! Each call is made by a fresh process that has made one call before, with headless
//! Chromium at the other end: 720p30 in H264 at 1.5 Mbit/s, Opus both ways, the same test
//! picture and the same simulated sound card. Prints the medians of all rounds and what
//! they are of webrtcbin's. What the rows mean (milliseconds unless said otherwise):
//!
//! * `press_to_offer`: from the order to call to the offer with its candidates.
//! * `connected`: from the answer to every transport being up, as the door sees it.
//! * `first_picture`, `first_sound_page`, `first_sound_door`: from the answer.
//! * `video_p50`, `video_p95`: from the clock drawn into the picture to its reading from a
//!   canvas of the page.
//! * `audio_up`, `audio_down`: door's microphone to page, page's microphone to speaker.
//! * `fps`: pictures decoded a second. `freeze`: the longest time between two that were
//!   shown. `cpu`: seconds of processor time a minute, without
//!   what drawing the picture takes, which no camera does. `rss`: the most memory
//!   that was resident, MiB.

#![allow(clippy::print_stdout, reason = "a program whose purpose is to print")]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../benches/peer/process.rs"]
mod process;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use common::browser::{Browser, Programs};
use common::pages::{Pages, source};
use common::road::{Road, Weather};
use common::sound::{CardClock, Recording, median, passage_ms};
use common::{DOOR_VOICE, PAGE_VOICE, PATIENCE, clock, picture_clock};
use doorstation::call::Sdp;
use doorstation::media::sound::virtual_card::{MicSource, VirtualCard};
use doorstation::tasks::Tasks;
use process::Door;
use serde_json::{Value, json};
use tokio::process::Command;

/// How long a call settles before it is measured, and how long it is measured.
const SETTLING: Duration = Duration::from_secs(3);
/// What is lost on the bad road.
const LOSS: f64 = 0.05;
const ROWS: [&str; 13] = [
    "press_to_offer",
    "connected",
    "first_picture",
    "first_sound_page",
    "first_sound_door",
    "video_p50",
    "video_p95",
    "audio_up",
    "audio_down",
    "fps",
    "freeze",
    "cpu",
    "rss",
];

#[derive(Debug, Parser)]
#[command(about = "The same call by the station and by webrtcbin, in turn")]
struct Arguments {
    /// Rounds; in each, every door makes one call on every road.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds in which a call is measured.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// `h264` or `vp8`.
    #[arg(long, default_value = "h264")]
    codec: String,
    /// Only calls in whose name this is: "clean station", "5 %", "webrtcbin". The names
    /// are those of the lines on standard error.
    #[arg(long, default_value = "")]
    only: String,
    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// The built `bench_door`; without it the one beside this program.
    #[arg(long)]
    door: Option<PathBuf>,
}

/// Who makes the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Station,
    StationEchoOff,
    Webrtcbin,
}

impl Who {
    const ALL: [Self; 3] = [Self::Station, Self::StationEchoOff, Self::Webrtcbin];

    fn name(self) -> &'static str {
        match self {
            Self::Station => "station",
            Self::StationEchoOff => "station, echo control off",
            Self::Webrtcbin => "webrtcbin",
        }
    }
}

/// The road of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wire {
    Clean,
    Lossy,
}

impl Wire {
    const ALL: [Self; 2] = [Self::Clean, Self::Lossy];

    fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Lossy => "5 % lost",
        }
    }

    /// The relay is there on both, so that it is no difference.
    fn weather(self) -> Weather {
        match self {
            Self::Clean => Weather {
                delay: Duration::ZERO,
                ..Weather::fair()
            },
            Self::Lossy => Weather {
                delay: Duration::ZERO,
                ..Weather::losing(LOSS)
            },
        }
    }
}

type Figures = BTreeMap<&'static str, f64>;
type Results = BTreeMap<(Wire, Who), Vec<Figures>>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match compare(&arguments).await {
        Ok(results) => {
            print(&results, arguments.json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("the bench failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn compare(arguments: &Arguments) -> Result<Results> {
    let Some(programs) = Programs::find()? else {
        bail!("no browser to call");
    };
    let folder = tempfile::tempdir()?;
    let (door, mouth) = (
        folder.path().join("door.wav"),
        folder.path().join("page.wav"),
    );
    DOOR_VOICE.write(&door)?;
    PAGE_VOICE.write(&mouth)?;
    let browser = Browser::start(&programs, &mouth).await?;
    let pages = Pages::serve().await?;
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE))
        .context("the page of the bench")?;
    browser
        .before_each_page(&format!(
            "{}\nwindow.Session = Session;\n{page}",
            source("session.js")?
        ))
        .await?;
    browser.goto(&pages.url("peer.html")).await?;
    let bench = Bench {
        arguments,
        browser: &browser,
        voice: &door,
    };
    // The browser's own first call is slow whoever calls.
    bench.call(Who::Station, Wire::Clean, 0).await?;
    let mut results = Results::new();
    for round in 0..arguments.rounds {
        for wire in Wire::ALL {
            // Each is the first as often as the others.
            for turn in 0..Who::ALL.len() {
                let who = Who::ALL[(turn + round) % Who::ALL.len()];
                let name = format!("round {} {} {}", round + 1, wire.name(), who.name());
                if !name.contains(&arguments.only) {
                    continue;
                }
                let figures = bench.call_again(who, wire, round as u64 + 1).await;
                let figures = figures.with_context(|| name.clone())?;
                eprintln!("{name}: {figures:?}");
                results.entry((wire, who)).or_default().push(figures);
            }
        }
    }
    browser.close().await?;
    Ok(results)
}

/// How the station's unit sets up the allocator, for both.
fn as_a_service() -> impl Iterator<Item = (&'static str, &'static str)> {
    let unit = include_str!("../systemd/doorstation.service");
    let lines = unit
        .lines()
        .filter_map(|line| line.strip_prefix("Environment="));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.filter(|(name, _)| name.starts_with("MALLOC_"))
}

/// The page's script, and the rival, from the top of the checkout.
const PAGE: &str = "benches/peer/page.js";
const RIVAL: &str = "benches/peer/webrtcbin.py";

struct Bench<'a> {
    arguments: &'a Arguments,
    browser: &'a Browser,
    voice: &'a Path,
}

impl Bench<'_> {
    /// A call; webrtcbin's is made again when it brings neither picture nor sound, which
    /// it does now and then (1.22, November 2026: connected, and nothing is sent).
    async fn call_again(&self, who: Who, wire: Wire, seed: u64) -> Result<Figures> {
        const TRIES: usize = 3;
        for attempt in 1..TRIES {
            match self.call(who, wire, seed).await {
                Err(error) if who == Who::Webrtcbin => {
                    eprintln!("call {attempt} of webrtcbin failed: {error:#}");
                    self.browser.run("end(session)", Value::Null).await?;
                }
                result => return result,
            }
        }
        self.call(who, wire, seed).await
    }

    /// A call that is thrown away, and one that is measured, by a fresh process.
    async fn call(&self, who: Who, wire: Wire, seed: u64) -> Result<Figures> {
        let home = tempfile::tempdir()?;
        let speaker = home.path().join("speaker.wav");
        let source = MicSource::Wav(self.voice.to_owned());
        let card = VirtualCard::prepare(home.path(), source, Some(speaker.clone()))?;
        let clock = CardClock::follow(&speaker);
        let mut door = Door::start(&mut self.command(who, home.path())?).await?;
        let cost = door.ask(json!({ "do": "cost" }), "cost").await?;
        let cost = cost["cost"].as_f64().context("what drawing costs")?;
        let tasks = Tasks::new();
        let mut road = Road::new(Wire::Clean.weather(), 1, &tasks.child());
        self.connect(&mut door, &mut road).await?;
        self.settle().await?;
        self.hang_up(&mut door).await?;

        let mut road = Road::new(wire.weather(), seed, &tasks.child());
        let mut figures = Figures::new();
        let (offer_ms, answered) = self.connect(&mut door, &mut road).await?;
        figures.insert("press_to_offer", offer_ms);
        figures.insert("connected", clock::wall_ms() - answered);
        self.settle().await?;
        let (used, before) = (door.cpu()?, self.report().await?);
        tokio::time::sleep(Duration::from_secs(self.arguments.seconds)).await;
        let (used, after) = (door.cpu()? - used, self.report().await?);
        figures.insert("rss", door.peak_rss()?);
        self.hang_up(&mut door).await?;
        drop(door);
        drop(card);
        tasks.stop().await;

        let seconds = (number(&after, "wall_ms")? - number(&before, "wall_ms")?) / 1000.0;
        let shown = number(&after, "decoded")? - number(&before, "decoded")?;
        figures.insert("fps", shown / seconds);
        figures.insert("cpu", 60.0 * (used / seconds - cost));
        let first = number(&before["picture"], "first_at_ms")?;
        figures.insert("first_picture", first - answered);
        let first = number(&after["ear"], "first_at_ms").context("the page heard nothing")?;
        figures.insert("first_sound_page", first - answered);
        for (row, name) in [
            ("video_p50", "latency_p50_ms"),
            ("video_p95", "latency_p95_ms"),
            ("freeze", "freeze_ms"),
        ] {
            figures.insert(row, number(&after["picture"], name)?);
        }
        let start_ms = clock.start_ms().context("no time of the sound card")?;
        let heard = numbers(&after["ear"]["onsets_ms"]);
        let up = passage_ms(&heard, start_ms).context("the page heard no mark of the door")?;
        figures.insert("audio_up", up);
        sound_at_door(&mut figures, &speaker, &after, (start_ms, answered))?;
        Ok(figures)
    }

    fn command(&self, who: Who, home: &Path) -> Result<Command> {
        let mut command = match who {
            Who::Station | Who::StationEchoOff => {
                let here = std::env::current_exe()?.with_file_name("bench_door");
                Command::new(self.arguments.door.as_ref().unwrap_or(&here))
            }
            Who::Webrtcbin => {
                // Debian's own, which has Debian's bindings of GStreamer.
                let mut command = Command::new("/usr/bin/python3");
                command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(RIVAL));
                for (option, fifo) in [("--microphone", "mic.fifo"), ("--speaker", "spk.fifo")] {
                    command.arg(option).arg(home.join(fifo));
                }
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                command.args(["--cores", &cores.to_string()]);
                command
            }
        };
        command.args(["--codec", &self.arguments.codec]);
        if who == Who::StationEchoOff {
            command.arg("--echo-off");
        }
        let (name, value) = VirtualCard::environment(home);
        command.env(name, value).envs(as_a_service());
        Ok(command)
    }

    /// The door calls and the page answers; gives from order to offer in milliseconds,
    /// and when the answer left the page.
    async fn connect(&self, door: &mut Door, road: &mut Road) -> Result<(f64, f64)> {
        let options = json!({
            "clock": picture_clock(),
            "door": { "mark_hz": DOOR_VOICE.mark_hz, "hum_hz": DOOR_VOICE.hum_hz },
            "page": { "mark_hz": PAGE_VOICE.mark_hz },
        });
        let open = "window.session = await indoors(args);";
        self.browser.run(open, options).await?;
        let pressed = clock::now();
        let offer = door.ask(json!({ "do": "offer" }), "offer").await?;
        let offer_ms = pressed.elapsed().as_secs_f64() * 1000.0;
        let offer = Sdp::new(offer["offer"].as_str().context("an offer")?);
        let offer = road.of_door(&offer).await;
        let answer = "return session.answer(args)";
        let answer = self.browser.run(answer, json!(offer.as_str())).await?;
        let answer = Sdp::new(answer.as_str().context("an answer")?);
        let answer = road.of_page(&answer).await;
        let answered = clock::wall_ms();
        let order = json!({ "do": "answer", "sdp": answer.as_str() });
        door.ask(order, "connected").await?;
        Ok((offer_ms, answered))
    }

    /// Picture and sound pass, and have done so for a while.
    async fn settle(&self) -> Result<()> {
        let passes = "session.picture.frames > 5 && session.ear?.firstAt";
        let passed = self
            .browser
            .until("picture and sound", PATIENCE, passes)
            .await;
        if let Err(error) = passed {
            let seen = self.report().await?;
            return Err(error.context(format!("the page saw {seen}")));
        }
        tokio::time::sleep(SETTLING).await;
        Ok(())
    }

    async fn report(&self) -> Result<Value> {
        self.browser
            .run("return report(session)", Value::Null)
            .await
    }

    async fn hang_up(&self, door: &mut Door) -> Result<()> {
        self.browser.run("end(session)", Value::Null).await?;
        door.ask(json!({ "do": "end" }), "ended").await?;
        Ok(())
    }
}

/// What the recording of the door's speaker tells.
fn sound_at_door(
    figures: &mut Figures,
    speaker: &Path,
    after: &Value,
    (start_ms, answered): (f64, f64),
) -> Result<()> {
    let recording = Recording::read(speaker)?;
    let first = recording.first_sound_ms(PAGE_VOICE, answered - start_ms);
    let first = first.context("the door played nothing")?;
    figures.insert("first_sound_door", first + start_ms - answered);
    let said = numbers(&after["mouth"]["onsets_ms"]);
    let heard = recording.onsets_ms(PAGE_VOICE.mark_hz).into_iter();
    let heard = heard.map(|onset| onset + start_ms);
    // Chromium's microphone has a pace of its own: each mark is paired with its own.
    let delays = heard.filter(|heard| *heard > answered).filter_map(|heard| {
        let said = said.iter().rev().find(|said| **said < heard)?;
        Some(heard - said)
    });
    let down = median(delays.collect()).context("the door played no mark of the page")?;
    figures.insert("audio_down", down);
    Ok(())
}

fn number(value: &Value, name: &str) -> Result<f64> {
    let found = value[name].as_f64();
    found.with_context(|| format!("no figure {name}: {value}"))
}

fn numbers(values: &Value) -> Vec<f64> {
    let values = values.as_array().into_iter().flatten();
    values.filter_map(Value::as_f64).collect()
}

fn middle(calls: &[Figures], row: &str) -> f64 {
    let values = calls.iter().filter_map(|figures| figures.get(row)).copied();
    median(values.collect()).unwrap_or(f64::NAN)
}

fn print(results: &Results, as_json: bool) {
    let mut object = json!({});
    for wire in Wire::ALL {
        let of = |who, row| {
            middle(
                results.get(&(wire, who)).map_or(&[][..], Vec::as_slice),
                row,
            )
        };
        if !as_json {
            println!(
                "{:<18}{:>10}{:>10}{:>10}{:>10}{:>10}",
                wire.name(),
                "station",
                "echo off",
                "webrtcbin",
                "ratio",
                "echo off"
            );
        }
        for row in ROWS {
            let [station, off, rival] = Who::ALL.map(|who| of(who, row));
            let ratios = [station / rival, off / rival];
            if as_json {
                object[wire.name()][row] = json!({
                    "station": station, "station_echo_off": off, "webrtcbin": rival,
                    "ratio": ratios[0], "ratio_echo_off": ratios[1],
                });
            } else {
                println!(
                    "{row:<18}{station:>10.1}{off:>10.1}{rival:>10.1}{:>10.2}{:>10.2}",
                    ratios[0], ratios[1]
                );
            }
        }
    }
    if as_json {
        println!("{object}");
    }
}
