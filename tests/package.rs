//! The package's own files, as far as they can be judged without a package: what
//! `script/package-test` tries takes a clean Debian, and minutes.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod config_bench;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use config_bench::{Bench, targets};
use doorstation::board::Gpio;
use doorstation::config;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const SHIPPED: &str = include_str!("../package/doorstation.toml");
const RULES: &str = include_str!("../board/60-doorstation.rules");
const UNIT: &str = include_str!("../systemd/doorstation.service");
/// Where the shipped configuration expects the first login's password.
const PASSWORD: &str = "/var/lib/doorstation/indoor.password";

#[test]
fn the_shipped_configuration_is_right_as_soon_as_the_first_login_is_made() {
    let bench = Bench::new();
    let here = SHIPPED.replace(PASSWORD, bench.path("indoor.password").to_str().unwrap());
    assert_ne!(here, SHIPPED, "it names another file");
    let faults = bench.faults(&here).to_string();
    assert!(faults.contains("indoor.password"), "{faults}");
    assert_eq!(faults.lines().count(), 1, "{faults}");

    let made = first_login(&bench);
    let checked = bench.load(&here).unwrap();
    assert_eq!(targets(&checked), ["home indoor@home.local"]);
    assert_eq!(checked.panel.kind, Gpio::Sim);
    assert!(checked.door.is_none());

    assert_eq!(first_login(&bench), made, "the second start changed it");
    let other = Bench::new();
    assert_ne!(first_login(&other), made, "two stations have one password");
}

/// The card's pages wait for minutes until they are written: a power cut in the first of
/// them must not leave a door that never starts again.
#[test]
fn the_first_login_outlives_a_power_cut() {
    let bench = Bench::new();
    std::fs::write(bench.path("indoor.password"), "").unwrap();
    let script = Path::new(ROOT).join("systemd/first-login");
    let folder = bench.path("tools");
    std::fs::create_dir(&folder).unwrap();
    let log = bench.path("order");
    for tool in ["sync", "mv"] {
        let text = format!(
            "#!/bin/sh\necho {tool} \"$1\" >>'{}'\nexec /bin/{tool} \"$@\"\n",
            log.display()
        );
        let path = folder.join(tool);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let state = bench.path("");
    let state = state.to_str().unwrap().trim_end_matches('/');
    let run = Command::new(script)
        .env("STATE_DIRECTORY", state)
        .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
        .status()
        .unwrap();
    assert!(run.success());
    let password = std::fs::read_to_string(bench.path("indoor.password")).unwrap();
    assert_eq!(password.len(), 17, "an empty one is made anew");
    let order = std::fs::read_to_string(log).unwrap();
    let new = format!("{state}/indoor.password.new");
    assert_eq!(order, format!("sync {new}\nmv {new}\nsync {state}\n"));
}

/// Runs the script of the unit, and gives the password that is there afterwards.
fn first_login(bench: &Bench) -> String {
    let script = Path::new(ROOT).join("systemd/first-login");
    assert!(UNIT.contains("ExecStartPre=/usr/lib/doorstation/first-login\n"));
    let run = Command::new(script)
        .env("STATE_DIRECTORY", bench.path(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{run:?}");
    let password = std::fs::read_to_string(bench.path("indoor.password")).unwrap();
    let password = password.strip_suffix('\n').unwrap().to_owned();
    let fits = |c: char| c.is_ascii_lowercase() || ('2'..='7').contains(&c);
    assert!(
        password.len() == 16 && password.chars().all(fits),
        "{password}"
    );
    assert!(!said.contains(&password), "it is told to the journal");
    password
}

/// A secret of the service may be looked at by root, who is somebody else.
#[test]
fn root_may_check_what_belongs_to_the_service() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: not root");
        return;
    }
    let bench = Bench::new();
    first_login(&bench);
    let file = bench.path("indoor.password");
    std::os::unix::fs::chown(&file, Some(1234), None).unwrap();
    let here = SHIPPED.replace(PASSWORD, file.to_str().unwrap());
    bench.load(&here).unwrap();
}

#[test]
fn the_rules_for_udev_give_what_every_board_asks_for() {
    for name in config::board::names() {
        for rule in config::board::load(name).unwrap().board.udev {
            let wanted: Vec<_> = rule
                .split(", ")
                .filter(|part| !part.starts_with("SUBSYSTEM"))
                .collect();
            let given = RULES
                .lines()
                .any(|line| wanted.iter().all(|part| line.contains(part)));
            assert!(given, "{name}: {rule}");
        }
    }
}

/// A file that is renamed must not vanish from the package in silence.
#[test]
fn every_file_for_systemd_is_in_the_package() {
    let manifest = std::fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
    for entry in std::fs::read_dir(Path::new(ROOT).join("systemd")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let asset = match entry.file_type().unwrap().is_dir() {
            true => format!("[\"systemd/{name}/*.conf\", "),
            false if name.ends_with(".service") => "[\"systemd/*.service\", ".to_owned(),
            false => format!("[\"systemd/{name}\", "),
        };
        assert!(manifest.contains(&asset), "{asset}");
    }
}
