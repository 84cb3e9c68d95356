//! The guardian's unit says what the guardian's safety stands on.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

const UNIT: &str = include_str!("../systemd/doorstation-relay.service");
const USERS: &str = include_str!("../systemd/sysusers.d/doorstation-relay.conf");
const KILLS: &str = include_str!("relay_kill/lane.rs");

/// The last value of a key: of several, systemd takes that.
fn value(key: &str) -> &'static str {
    let lines = UNIT.lines().filter_map(|line| line.split_once('='));
    let mut found = lines
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value);
    found
        .next_back()
        .unwrap_or_else(|| panic!("the unit has no {key}"))
}

#[test]
fn a_guardian_that_hangs_or_dies_is_killed_and_started_again_for_ever() {
    assert_eq!(value("Type"), "notify");
    assert_eq!(value("NotifyAccess"), "main");
    assert_eq!(value("WatchdogSignal"), "SIGKILL");
    assert_eq!(value("Restart"), "always");
    assert_eq!(value("StartLimitIntervalSec"), "0");
    assert_eq!(value("KillMode"), "control-group");
}

/// The kill tests stand in for systemd with these very numbers.
#[test]
fn the_kill_tests_use_the_times_of_the_unit() {
    for (key, name) in [("WatchdogSec", "WATCHDOG"), ("RestartSec", "RESTART")] {
        let ms = value(key).strip_suffix("ms").unwrap();
        let line = format!("const {name}: Duration = Duration::from_millis({ms});");
        assert!(KILLS.contains(&line), "{line}");
    }
}

#[test]
fn it_has_a_user_of_its_own_and_its_groups_are_made() {
    let user = format!("u {} ", value("User"));
    assert!(USERS.lines().any(|line| line.starts_with(&user)), "{user}");
    for group in [value("Group"), value("SupplementaryGroups")] {
        let group = format!("g {group} ");
        assert!(
            USERS.lines().any(|line| line.starts_with(&group)),
            "{group}"
        );
    }
    let door = format!("--allow-group {}", value("Group"));
    assert!(value("ExecStart").ends_with(&door));
    assert_eq!(value("CapabilityBoundingSet"), "");
    assert_eq!(value("NoNewPrivileges"), "yes");
}

/// Who looks at a version wants to know of which of the two programs it is.
#[test]
fn the_program_says_its_own_name() {
    let said = std::process::Command::new(env!("CARGO_BIN_EXE_doorstation-relay"))
        .arg("--version")
        .output()
        .unwrap();
    let words = format!("doorstation-relay {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(said.stdout).unwrap(), words);
}
