//! The measuring code of the browser tests, tried on a call of a page with itself:
//! it must find what is there, and must not find what is not.

#[path = "common/mod.rs"]
mod common;

use anyhow::{Result, ensure};
use common::browser::{Browser, Programs};
use common::pages::{Pages, source};
use common::sound::Recording;
use common::{PAGE_HZ, sound};
use serde_json::{Value, json};

/// Where the loop's page draws its clock: as the station does.
fn clock() -> Value {
    json!({ "x": 64, "y": 32, "size": 32, "bits": 24, "width": 1280, "height": 720 })
}

#[tokio::test]
async fn the_measuring_code_tells_life_from_stillness_and_one_tone_from_another() -> Result<()> {
    let Some(programs) = Programs::find()? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let microphone = folder.path().join("page.wav");
    sound::write_marks(&microphone, PAGE_HZ)?;
    let pages = Pages::serve().await?;
    let browser = Browser::start(&programs, &microphone).await?;

    let live = looped(&browser, &pages, true).await?;
    println!("live: {live}");
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

    let dead = looped(&browser, &pages, false).await?;
    println!("dead: {dead}");
    let picture = &dead["picture"];
    ensure!(
        number(&picture["brightness"]) < 20.0,
        "black passes as bright: {dead}"
    );
    ensure!(
        number(&picture["change"]) < 0.001,
        "stillness passes as life: {dead}"
    );
    browser.close().await
}

#[test]
fn marks_are_found_where_they_begin_and_only_at_their_frequency() {
    let silence = std::iter::repeat_n(0.0, sound::RATE as usize / 4);
    let samples: Vec<f64> = silence.chain(sound::marks(1200.0, 3000.0)).collect();
    let recording = Recording::new(samples);

    let onsets = recording.onsets_ms(1200.0);
    assert_eq!(onsets.len(), 3, "{onsets:?}");
    for (index, onset) in onsets.iter().enumerate() {
        let expected = 250.0 + 1000.0 * index as f64;
        assert!((onset - expected).abs() < 3.0, "{onset} is not {expected}");
    }
    assert!((recording.heard_ms(1200.0, 0.0) - 900.0).abs() < 60.0);
    assert!(recording.onsets_ms(1850.0).is_empty());
    assert!(recording.onsets_ms(659.0).is_empty());
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
    assert!(recording.onsets_ms(1200.0).is_empty());
}

/// Lets the page call itself and reports what it saw and heard in some seconds.
async fn looped(browser: &Browser, pages: &Pages, live: bool) -> Result<Value> {
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
             const rate = await measure.frameRate(loop.pc, 2000);
             return {
                 rate, picture: loop.picture.report(), ear: loop.ear.report(),
                 mouth: loop.mouth.report(), wrong: loop.wrongEar.report(),
             };",
            json!({ "live": live, "clock": clock() }),
        )
        .await
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn onsets(ear: &Value) -> usize {
    ear["onsets_ms"].as_array().map_or(0, Vec::len)
}
