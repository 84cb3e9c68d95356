//! The measuring code of the browser tests, tried on a call of a page with itself:
//! it must find what is there, and must not find what is not.

#[path = "common/mod.rs"]
mod common;

use anyhow::{Result, ensure};
use common::browser::{Browser, Programs};
use common::pages::{Pages, source};
use common::sound::Recording;
use common::{DOOR_VOICE, PAGE_VOICE, picture_clock, sound};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A browser whose microphone hears the page's voice, and pages for it.
struct Bench {
    browser: Browser,
    pages: Pages,
    _microphone: TempDir,
}

impl Bench {
    /// `None` where no browser is.
    async fn start() -> Result<Option<Self>> {
        let Some(programs) = Programs::find()? else {
            return Ok(None);
        };
        let folder = tempfile::tempdir()?;
        let microphone = folder.path().join("page.wav");
        PAGE_VOICE.write(&microphone)?;
        Ok(Some(Self {
            pages: Pages::serve().await?,
            browser: Browser::start(&programs, &microphone).await?,
            _microphone: folder,
        }))
    }
}

#[tokio::test]
async fn the_measuring_code_tells_life_from_stillness_and_one_tone_from_another() -> Result<()> {
    let Some(bench) = Bench::start().await? else {
        return Ok(());
    };

    let live = looped(&bench, true).await?;
    eprintln!("live: {live}");
    let picture = &live["picture"];
    ensure!(
        number(&live["rate"]["fps"]) >= 20.0,
        "too few frames: {live}"
    );
    ensure!(
        number(&picture["brightness"]) > 60.0,
        "the picture is dark: {live}"
    );
    ensure!(
        number(&picture["change"]) > 0.005,
        "the picture is still: {live}"
    );
    ensure!(
        number(&picture["readings"]) > 20.0,
        "the clock is unreadable: {live}"
    );
    let latency = number(&picture["latency_p50_ms"]);
    ensure!(
        (1.0..2000.0).contains(&latency),
        "latency cannot be: {live}"
    );

    ensure!(onsets(&live["ear"]) >= 2, "the tone is not found: {live}");
    ensure!(
        onsets(&live["mouth"]) >= 2,
        "the own tone is not found: {live}"
    );
    ensure!(
        onsets(&live["wrong"]) == 0,
        "a tone is found that is not there: {live}"
    );
    ensure!(
        number(&live["ear"]["heard_ms"]) >= 400.0,
        "the tone is too short: {live}"
    );

    let dead = looped(&bench, false).await?;
    eprintln!("dead: {dead}");
    let picture = &dead["picture"];
    ensure!(
        number(&picture["brightness"]) < 20.0,
        "black passes as bright: {dead}"
    );
    ensure!(
        number(&picture["change"]) < 0.001,
        "stillness passes as life: {dead}"
    );
    bench.browser.close().await
}

#[test]
fn a_voice_is_found_where_it_begins_and_only_at_its_frequency() {
    let silence = std::iter::repeat_n(0.0, sound::RATE as usize / 4);
    let samples: Vec<f64> = silence.chain(DOOR_VOICE.samples(3000.0)).collect();
    let recording = Recording::new(samples);

    let onsets = recording.onsets_ms(DOOR_VOICE.mark_hz);
    assert_eq!(onsets.len(), 3, "{onsets:?}");
    for (index, onset) in onsets.iter().enumerate() {
        let expected = 250.0 + 1000.0 * index as f64;
        assert!((onset - expected).abs() < 3.0, "{onset} is not {expected}");
    }
    let heard = recording.heard_ms(DOOR_VOICE.mark_hz, 0.0);
    assert!((heard - 900.0).abs() < 60.0, "{heard}");
    let first = recording.first_sound_ms(DOOR_VOICE, 0.0);
    assert!(
        first.is_some_and(|ms| (ms - 250.0).abs() < 12.0),
        "{first:?}"
    );
    // The hum fills the gap between two marks.
    let again = recording.first_sound_ms(DOOR_VOICE, 700.0);
    assert!(
        again.is_some_and(|ms| (ms - 700.0).abs() < 12.0),
        "{again:?}"
    );

    assert!(recording.onsets_ms(PAGE_VOICE.mark_hz).is_empty());
    assert!(recording.onsets_ms(659.0).is_empty());
    assert_eq!(recording.first_sound_ms(PAGE_VOICE, 0.0), None);
}

/// Milliseconds into a block at which a mark begins, all over a block.
const PHASES_MS: [f64; 8] = [0.0, 1.25, 2.5, 3.75, 5.0, 6.25, 7.5, 8.75];

/// A mark behind half a second of hum and so much more.
fn late_by(phase_ms: f64) -> Vec<f64> {
    let skipped = 500.0 * f64::from(sound::RATE) / 1000.0;
    let late = phase_ms * f64::from(sound::RATE) / 1000.0;
    let hum = DOOR_VOICE.samples(1000.0).skip(skipped as usize);
    let more = DOOR_VOICE.samples(1000.0).skip(skipped as usize);
    let all = more.take(late as usize).chain(hum);
    all.chain(DOOR_VOICE.samples(1000.0)).collect()
}

#[test]
fn a_mark_is_found_where_it_begins_wherever_the_blocks_are() {
    for phase in PHASES_MS {
        let recording = Recording::new(late_by(phase));
        let onsets = recording.onsets_ms(DOOR_VOICE.mark_hz);
        let off = onsets[0] - (500.0 + phase);
        assert!((0.0..1.0).contains(&off), "{off} ms off at {phase}");
    }
}

#[tokio::test]
async fn a_page_finds_a_mark_where_it_begins_wherever_the_blocks_are() -> Result<()> {
    let Some(bench) = Bench::start().await? else {
        return Ok(());
    };
    let Bench { browser, pages, .. } = &bench;
    browser.goto(&pages.url("peer.html")).await?;
    for phase in PHASES_MS {
        let onset = browser
            .run(
                "const ear = Object.assign(Object.create(measure.Ear.prototype), {
                     hz: args.hz, humHz: args.hz, firstAt: null, onsets: [], heardMs: 0,
                     totalMs: 0, lastHeard: -Infinity, loudest: 0, previous: new Float32Array(),
                 });
                 for (let at = 0; at + 480 <= args.samples.length; at += 480) {
                     ear.take(Float32Array.from(args.samples.slice(at, at + 480)), 48000, at / 48 + 10);
                 }
                 return ear.onsets[0];",
                json!({ "hz": DOOR_VOICE.mark_hz, "samples": late_by(phase) }),
            )
            .await?;
        let off = number(&onset) - (500.0 + phase);
        ensure!((0.0..1.0).contains(&off), "{off} ms off at {phase}");
    }
    bench.browser.close().await
}

#[test]
fn a_quiet_voice_is_found_under_a_loud_tone_of_the_station() {
    let rate = f64::from(sound::RATE);
    let tone =
        (0..).map(|index| 0.25 * (std::f64::consts::TAU * 659.0 * f64::from(index) / rate).sin());
    let silence = std::iter::repeat_n(0.0, sound::RATE as usize);
    let voice = silence.chain(PAGE_VOICE.samples(2000.0).skip(sound::RATE as usize / 2));
    let recording = Recording::new(voice.zip(tone).map(|(a, b)| a + b).collect());
    let first = recording.first_sound_ms(PAGE_VOICE, 0.0);
    assert!(
        first.is_some_and(|ms| (ms - 1000.0).abs() < 12.0),
        "{first:?}"
    );
}

#[test]
fn noise_is_no_mark() {
    let mut state = 1_u32;
    let samples = (0..sound::RATE)
        .map(|_| {
            // A linear congruential generator (Numerical Recipes' constants).
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 16) / 32_768.0 - 1.0
        })
        .collect();
    let recording = Recording::new(samples);
    assert!(recording.onsets_ms(DOOR_VOICE.mark_hz).is_empty());
}

/// Lets the page call itself and reports what it saw and heard in some seconds.
async fn looped(bench: &Bench, live: bool) -> Result<Value> {
    let Bench { browser, pages, .. } = bench;
    browser.goto(&pages.url("peer.html")).await?;
    browser
        .run(
            &format!("{}; window.Loop = Loop", source("loop.js")?),
            Value::Null,
        )
        .await?;
    browser
        .run(
            "const loop = await Loop.start(args);
             await measure.until('picture', () => loop.picture.frames > 5);
             await measure.until('two tones', () => loop.ear.onsets.length >= 2);
             await measure.until('the length of two tones', () => loop.ear.report().heard_ms >= 400);
             const least = args.live ? 20 : 0;
             const rate = await measure.steadyFrameRate(loop.pc, 2000, least);
             await measure.until('readings of the clock', () => !args.live || loop.picture.latencies.length > 20);
             return {
                 rate, picture: loop.picture.report(), ear: loop.ear.report(),
                 mouth: loop.mouth.report(), wrong: loop.wrongEar.report(),
             };",
            json!({ "live": live, "clock": picture_clock() }),
        )
        .await
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn onsets(ear: &Value) -> usize {
    ear["onsets_ms"].as_array().map_or(0, Vec::len)
}
