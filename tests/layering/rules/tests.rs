//! The rules, tried on made-up sources.

use super::*;
use crate::scan;

#[test]
fn each_arrow_that_points_the_wrong_way_is_told() {
    for (file, text, want) in [
        (
            "src/call/mod.rs",
            "use crate::clock;",
            "1: crate::clock: call must not know clock",
        ),
        (
            "src/call/mod.rs",
            "\nuse tokio::sync::mpsc;",
            "2: tokio::sync::mpsc: call knows std and itself only",
        ),
        (
            "src/call/timer.rs",
            "use std::thread;",
            "1: std::thread: the core has no I/O, no threads and no clock",
        ),
        (
            "src/panel/sim.rs",
            "use crate::media::rtc::Session;",
            "1: crate::media::rtc::Session: panel must not know media",
        ),
        (
            "src/panel/sim.rs",
            "use super::super::signalling;",
            "1: crate::signalling: panel must not know signalling",
        ),
        (
            "src/media/gst/mod.rs",
            "fn f() { crate::gateway::go() }",
            "1: crate::gateway::go: media must not know gateway",
        ),
        (
            "src/media/gst/mod.rs",
            "use webrtc::x;",
            "1: webrtc::x: webrtc is for media::rtc",
        ),
        (
            "src/media/engine.rs",
            "use rtc::x;",
            "1: rtc::x: rtc is for media::rtc",
        ),
        (
            "src/media/rtc/leg.rs",
            "fn f() -> alsa::PCM {}",
            "1: alsa::PCM: alsa is for media::sound",
        ),
        (
            "src/station.rs",
            "use crate::wire::status;",
            "1: crate::wire::status: wire is for wire, gateway, signalling::kandy",
        ),
        (
            "src/signalling/backoff.rs",
            "use crate::wire::status;",
            "1: crate::wire::status: wire is for wire, gateway, signalling::kandy",
        ),
        (
            "src/station.rs",
            "use {reqwest::Client};",
            "1: reqwest::Client: reqwest is for signalling::kandy, update::fetch",
        ),
        (
            "src/gateway/rest.rs",
            "use crate::call::View;",
            "1: crate::call::View: gateway must not know call",
        ),
        (
            "src/gateway/rest.rs",
            "fn f() { std::env::var(\"X\") }",
            "1: std::env::var: the environment is read by cli, config, demo, telemetry",
        ),
        (
            "src/station.rs",
            "fn f() { println!() }",
            "1: println! is for bin, cli, report: log, or tell the report",
        ),
        (
            "src/novelty.rs",
            "use crate::call;",
            "1: the module 'novelty' has no place in the table of layers",
        ),
    ] {
        assert_eq!(told(file, text), [format!("{file}:{want}")]);
    }
}

#[test]
fn arrows_that_point_the_right_way_are_left_alone() {
    for (file, text) in [
        (
            "src/call/mod.rs",
            "use std::time::Instant; use super::call::View; use crate::call::State; use State::*;",
        ),
        (
            "src/panel/tone.rs",
            "use crate::media::Tone; use crate::call::View;",
        ),
        (
            "src/media/engine.rs",
            "fn f() { rtc::leg::go() } use super::rtc::leg;",
        ),
        ("src/media/rtc/mod.rs", "use rtc::x; use webrtc::y;"),
        (
            "src/signalling/kandy/ws.rs",
            "use crate::wire::Ping; use tokio_tungstenite::x;",
        ),
        ("src/lib.rs", "pub use crate::call::View;"),
        (
            "src/cli/mod.rs",
            "use crate::{config, demo}; fn f() { println!() }",
        ),
        (
            "src/station.rs",
            "#[cfg(test)] mod tests { use crate::gateway; }",
        ),
    ] {
        assert_eq!(told(file, text), Vec::<String>::new(), "{file}");
    }
}

#[test]
fn the_core_may_name_its_own_modules_from_its_front_page() {
    let files = [
        ("src/call/mod.rs", "pub use timer::Timer;"),
        ("src/call/timer.rs", "pub struct Timer;"),
    ];
    let files = files.map(|(file, text)| (file.to_owned(), text.to_owned()));
    assert_eq!(check(&scan::sources(&files)), Vec::<String>::new());
}

#[test]
fn one_thing_of_a_module_may_be_allowed_without_its_rest() {
    let told = told(
        "src/report/json.rs",
        "use crate::media::{Tone, feed::VideoFrame};",
    );
    assert_eq!(
        told,
        ["src/report/json.rs:1: crate::media::feed::VideoFrame: report must not know media"]
    );
}

#[test]
fn a_file_that_is_too_long_is_told() {
    let told = told("src/station.rs", &"\n".repeat(501));
    assert_eq!(
        told,
        ["src/station.rs:501: is longer than 500 lines: make two of it"]
    );
}

fn told(file: &str, text: &str) -> Vec<String> {
    check(&scan::sources(&[(file.to_owned(), text.to_owned())]))
}
