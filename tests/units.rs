//! The units for systemd: they parse, and they leave little of the machine open.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::process::{Command, Output};

/// Where the units are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd");

/// systemd-analyze's word on a unit; `None`, with a word, where there is none.
fn analyze(arguments: &[&str], unit: &str) -> Option<Output> {
    let run = Command::new("systemd-analyze")
        .args(arguments)
        .arg(format!("{FOLDER}/{unit}"))
        .output();
    let missing = match run {
        Ok(output) => return Some(output),
        Err(error) => format!("systemd-analyze does not run here: {error}"),
    };
    let must_run = ["CI", "DOORSTATION_TEST_ALL"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    assert!(!must_run, "{missing}: run script/setup");
    eprintln!("skipped: {missing}");
    None
}

/// The exposure that systemd-analyze counts: 0 for a unit that may do nothing, 10 for
/// one that may do all.
fn exposure(unit: &str) -> Option<f64> {
    let output = analyze(&["security", "--offline=true", "--no-pager"], unit)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().rfind(|line| line.contains("exposure level"));
    let level = line.and_then(|line| line.split_once(": ")?.1.split(' ').next()?.parse().ok());
    Some(level.unwrap_or_else(|| panic!("no exposure level in:\n{text}")))
}

#[test]
fn the_station_may_do_little() {
    if let Some(level) = exposure("doorstation.service") {
        assert!(level <= 2.0, "exposure {level}");
    }
}

#[test]
fn the_relay_guardian_may_do_next_to_nothing() {
    if let Some(level) = exposure("doorstation-relay.service") {
        assert!(level <= 1.0, "exposure {level}");
    }
}

#[test]
fn systemd_understands_the_station_s_unit() {
    let Some(output) = analyze(&["verify", "--man=no"], "doorstation.service") else {
        return;
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let complaints: Vec<_> = text
        .lines()
        .filter(|line| line.contains("doorstation.service"))
        // The program is not installed on the machine that tests.
        .filter(|line| !line.contains("is not executable"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
