//! The station as a service of a real systemd, in the virtual machine: when it is up,
//! what systemd shows, and that it comes back whatever it dies of. `service/inside` is
//! what happens there.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// `WatchdogSec=` of the unit, and the time until the process is gone that it has then.
const WATCHDOG_MS: u64 = 10_000 + 5_000;

/// An emulated core takes a hundred times as long as this machine: `tests/watchdog.rs`
/// has the time of a start. Here it counts that all of them end well.
#[test]
fn systemd_keeps_the_station_up() {
    let Some((said, saw)) = inside() else {
        return;
    };
    assert!(!saw.contains_key("late"), "{saw:#?}");
    let word = |name: &str| {
        saw.get(name)
            .unwrap_or_else(|| panic!("no {name}: {saw:#?}"))
    };
    let number = |name: &str| -> u64 { word(name).parse().unwrap() };

    assert!(word("status").starts_with("ready"), "{saw:#?}");
    assert_eq!(word("password"), "doorstation 600");
    // A restart takes as long as a start, and a second; twice that on a bad day.
    let again = 2 * number("start_ms") + 2000;
    // The parts of a call that nobody takes, with everything to search them by.
    assert!(number("healthy_s") >= healthy(), "{saw:#?}");
    assert_eq!(number("healthy_restarts"), 0, "{saw:#?}");
    assert_eq!(word("call_id").len(), 36, "{saw:#?}");
    assert!((3..=40).contains(&number("call_lines")), "{saw:#?}");
    for field in ["BUTTON", "CALL_ID", "CALL_STATE", "CODE", "MESSAGE_ID"] {
        assert!(word("call_fields").contains(field), "{field}: {saw:#?}");
    }
    assert!(number("call_words") >= 1, "journalctl -x says nothing more");
    let killed = number("killed_ms");
    assert!(killed <= again, "up {killed} ms after a kill, {again} fit");
    let (hung, most) = (number("hung_ms"), again + WATCHDOG_MS);
    assert!(hung <= most, "up {hung} ms after it hung, {most} fit");
    assert!(said.contains("Watchdog timeout"), "it was not the watchdog");

    assert_eq!(word("misconfigured"), "failed 2 0");
    assert!(word("told").contains("nmae"), "{saw:#?}");
    assert!(number("crashes") >= 200);
    assert_eq!(word("after_crashes"), "active");
    assert_eq!(word("stopped"), "success");
}

/// For how many seconds it is watched doing nothing: `DOORSTATION_HEALTHY_S=600` takes
/// longer than anybody waits for a test.
fn healthy() -> u64 {
    let wanted = std::env::var("DOORSTATION_HEALTHY_S").ok();
    wanted.map_or(60, |seconds| seconds.parse().unwrap())
}

/// All that was printed there, and what `service/inside` did by name; `None`, with a word, where the virtual machine
/// cannot run, which is a failure where nothing may be skipped.
fn inside() -> Option<(String, BTreeMap<String, String>)> {
    let missing = match cfg!(target_arch = "x86_64") {
        false => Some("script/machine is for x86-64".to_owned()),
        true => ["/usr/bin/qemu-system-x86_64", "/lib/systemd/systemd"]
            .iter()
            .find(|file| !Path::new(file).exists())
            .map(|file| format!("{file} is missing: run script/setup")),
    };
    if let Some(missing) = missing {
        let must_run = ["CI", "DOORSTATION_TEST_ALL"]
            .iter()
            .any(|name| std::env::var_os(name).is_some());
        assert!(!must_run, "{missing}");
        eprintln!("skipped: {missing}");
        return None;
    }
    let run = Command::new(format!("{ROOT}/script/machine"))
        .args(["--systemd", &format!("{ROOT}/tests/service/inside")])
        .arg(healthy().to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&run.stderr);
    eprintln!("{said}{complaints}");
    assert!(run.status.success(), "the virtual machine failed");
    let lines = said.lines().filter_map(|line| line.split_once(' '));
    let saw = lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    let saw = saw.collect();
    Some((said, saw))
}
