//! The station as a service of a real systemd, in `script/container`: when it is up, what
//! systemd shows, and that it comes back whatever it dies of. `service/inside` is what
//! happens there.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// It can ring after so long: after the first start of all, which makes the certificate
/// authority and looks at GStreamer's plugins, after any other, and after it was killed,
/// with the unit's `RestartSec=` in it.
const UP_MS: u64 = 3_000;
/// Whom it was connected with knows after so long.
const TOLD_MS: u64 = 5_000;
/// A loop that stands still ends the process after so long: `supervisor::STUCK`, the
/// second between two looks, and the unit's `WatchdogSec=`.
const GONE_MS: u64 = 20_000 + 1_000 + 10_000;
/// `TimeoutAbortSec=`: a process of which all threads stand still does not even end by
/// the signal that asks for its core. So does one that a debugger holds.
const ABORT_MS: u64 = 5_000;
/// What a busy machine adds to each.
const SLACK_MS: u64 = 3_000;
/// systemd's measure of what a service may do, of 10.
const EXPOSED: f64 = 2.0;

/// What was seen, by name.
struct Saw(BTreeMap<String, String>);

impl Saw {
    fn word(&self, name: &str) -> &str {
        let found = self.0.get(name);
        found.unwrap_or_else(|| panic!("no {name}: {:#?}", self.0))
    }

    fn number(&self, name: &str) -> u64 {
        let word = self.word(name);
        let number = word.parse();
        number.unwrap_or_else(|_| panic!("{name} is {word}: {:#?}", self.0))
    }

    fn is(&self, name: &str, wanted: &str) {
        assert_eq!(self.word(name), wanted, "{name}: {:#?}", self.0);
    }

    fn within(&self, name: &str, most: u64) {
        let number = self.number(name);
        assert!(number <= most, "{name} is {number}, {most} fit");
    }
}

#[test]
fn systemd_keeps_the_station_up() {
    let Some(saw) = inside() else {
        return;
    };
    assert!(!saw.0.contains_key("late"), "{:#?}", saw.0);
    saw.within("start_ms", UP_MS);
    saw.within("restart_ms", UP_MS);
    assert!(saw.word("status").starts_with("ready"), "{:#?}", saw.0);
    saw.is("password", "doorstation 600");
    saw.is("credential", "active");
    saw.is("unset_clock", "ready");

    // The parts of a call that nobody takes, with everything to search them by.
    assert_eq!(saw.word("call_id").len(), 36, "{:#?}", saw.0);
    assert!((3..=40).contains(&saw.number("call_lines")), "{:#?}", saw.0);
    for field in ["BUTTON", "CALL_ID", "CALL_STATE", "CODE", "MESSAGE_ID"] {
        assert!(saw.word("call_fields").contains(field), "{:#?}", saw.0);
    }
    assert!(saw.number("call_words") >= 1, "journalctl -x says nothing");

    saw.is("reload_code", "0");
    assert!(
        saw.word("reloaded").starts_with("Back door"),
        "{:#?}",
        saw.0
    );
    saw.within("reloaded_ms", UP_MS);
    saw.is("bad_reload_code", "1");
    saw.is("bad_reload", "active 1");
    let told = saw.word("bad_reload_told");
    assert!(told.contains("control.nmae: is not a key"), "{told}");
    saw.is("same_process", "1");

    saw.within("killed_ms", UP_MS);
    // With sound and picture on their way, which GStreamer's ORC compiles loops for.
    let exposure: f64 = saw.word("exposure").parse().unwrap();
    assert!(exposure <= EXPOSED, "{exposure}");
    assert!(saw.number("orc_compiled") >= 1, "ORC compiled nothing");
    saw.is("orc_failed", "0");
    saw.within("killed_in_call_ms", UP_MS);
    saw.within("far_end_told_ms", TOLD_MS);

    saw.within("hung_gone_ms", GONE_MS);
    for name in [
        "hung",
        "sound",
        "station",
        "signalling",
        "gateway",
        "broker",
    ] {
        saw.within(&format!("{name}_gone_ms"), GONE_MS + ABORT_MS + SLACK_MS);
        saw.is(&format!("{name}_watchdogs"), "1");
    }
    for (name, pulse) in [
        ("sound", "sound-playback"),
        ("station", "station-inputs"),
        ("signalling", "signalling-turns"),
        ("gateway", "gateway-accept"),
        ("broker", "gateway-broker"),
    ] {
        if name != "sound" {
            // One thread and no other.
            saw.is(&format!("{name}_stopped"), "1");
        }
        let told = saw.word(&format!("{name}_told"));
        assert!(told.contains(pulse), "{pulse}: {told}");
    }

    saw.is("misconfigured", "failed 2 0");
    assert!(saw.word("told").contains("nmae"), "{:#?}", saw.0);
    assert!(saw.number("crashes") >= 200);
    saw.is("after_crashes", "active");
    assert!(saw.number("healthy_s") >= healthy(), "{:#?}", saw.0);
    saw.is("healthy_restarts", "0");
    saw.is("stopped", "success");
}

/// For how many seconds it is watched doing nothing: `DOORSTATION_HEALTHY_S=600` takes
/// longer than anybody waits for a test.
fn healthy() -> u64 {
    let wanted = std::env::var("DOORSTATION_HEALTHY_S").ok();
    wanted.map_or(60, |seconds| seconds.parse().unwrap())
}

/// What `service/inside` saw; `None`, with a word, where there can be no container, which
/// is a failure where nothing may be skipped.
fn inside() -> Option<Saw> {
    let sudo = Command::new("sudo").args(["-n", "true"]).output();
    let is_root = rustix::process::geteuid().is_root();
    let missing = if !is_root && !sudo.is_ok_and(|sudo| sudo.status.success()) {
        Some("it takes root, or sudo without a password".to_owned())
    } else {
        ["/lib/systemd/systemd", "/usr/bin/gdb", "/usr/sbin/ip"]
            .iter()
            .find(|file| !Path::new(file).exists())
            .map(|file| format!("{file} is missing: run script/setup"))
    };
    if let Some(missing) = missing {
        let must_run = ["CI", "DOORSTATION_TEST_ALL"]
            .iter()
            .any(|name| std::env::var_os(name).is_some());
        assert!(!must_run, "{missing}");
        eprintln!("skipped: {missing}");
        return None;
    }
    let run = Command::new(format!("{ROOT}/script/container"))
        .arg(format!("{ROOT}/tests/service/inside"))
        .arg(healthy().to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&run.stderr);
    eprintln!("{said}{complaints}");
    assert!(run.status.success(), "the container failed");
    let lines = said.lines().filter_map(|line| line.split_once(' '));
    let saw = lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    Some(Saw(saw.collect()))
}
