//! A configuration that each version of an image can read, as the image's `fit` script
//! chooses it after an update and after going back. The versions are this build's program
//! and one that knows an option fewer.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/board/image/files/usr/lib/doorstation/fit"
);

/// A password file beside it, which is found from the copies, too.
const OLD: &str = "[station]\nname = \"Door\"\n[gateway]\nlisten = \"127.0.0.1:8443\"\n\
    [[gateway.user]]\nname = \"anna\"\npassword_file = \"anna.password\"\n";
/// What the older version does not know.
const ADDED: &str = "[camera]\nsource = \"test\"\n";

/// The data partition of a door.
struct Door {
    folder: TempDir,
}

impl Door {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let door = Self { folder };
        fs::create_dir(door.path("config")).unwrap();
        fs::create_dir(door.path("older")).unwrap();
        let password = door.path("config/anna.password");
        fs::write(&password, "a-password-of-anna\n").unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
        door.write(OLD);
        // The older version: the same program, and `[camera]` is a mistake to it.
        let program = door.path("older/doorstation");
        let newer = env!("CARGO_BIN_EXE_doorstation");
        let text = format!("#!/bin/sh\n! grep -q camera \"$3\" && exec {newer} \"$@\"\n");
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        door
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, configuration: &str) {
        fs::write(self.path("config/doorstation.toml"), configuration).unwrap();
    }

    fn reads(&self) -> String {
        fs::read_to_string(self.path("config/doorstation.toml")).unwrap()
    }

    /// Starts a version and calls it good, as the image's units do; gives what was said.
    fn start(&self, version: &str, slot: char) -> String {
        let said = self.run(version, slot, None);
        self.run(version, slot, Some("keep"));
        said
    }

    fn run(&self, version: &str, slot: char, what: Option<&str>) -> String {
        fs::write(self.path("release"), format!("VERSION={version}\n")).unwrap();
        fs::write(self.path("cmdline"), format!("ro rauc.slot={slot} quiet\n")).unwrap();
        let newer = Path::new(env!("CARGO_BIN_EXE_doorstation"))
            .parent()
            .unwrap();
        let older = self.path("older");
        let programs = if version == "1.0.0" { &older } else { newer };
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let run = Command::new(SCRIPT)
            .args(what)
            .env("PATH", path)
            .env("CONFIG", self.path("config"))
            .env("SLOTS", self.path("slots"))
            .env("RELEASE", self.path("release"))
            .env("CMDLINE", self.path("cmdline"))
            .output()
            .unwrap();
        assert!(run.status.success(), "{run:?}");
        assert!(run.stderr.is_empty(), "{run:?}");
        String::from_utf8(run.stdout).unwrap()
    }

    /// 1.0.0, then 2.0.0 whose configuration says more.
    fn updated() -> Self {
        let door = Self::new();
        assert_eq!(door.start("1.0.0", 'A'), "");
        assert_eq!(door.start("2.0.0", 'B'), "", "it takes what was there");
        door.write(&format!("{OLD}{ADDED}"));
        assert_eq!(door.start("2.0.0", 'B'), "");
        door
    }
}

#[test]
fn an_older_version_runs_with_its_own_and_the_newer_gets_its_own_back() {
    let door = Door::updated();
    let said = door.start("1.0.0", 'A');
    assert!(said.contains("doorstation.toml.2.0.0 now"), "{said}");
    assert_eq!(door.reads(), OLD);
    assert_eq!(door.start("1.0.0", 'A'), "", "said once");
    let said = door.start("2.0.0", 'B');
    assert!(said.contains("has its configuration back"), "{said}");
    assert_eq!(door.reads(), format!("{OLD}{ADDED}"));
    assert!(!door.path("config/doorstation.toml.2.0.0").exists());
}

#[test]
fn what_was_changed_under_the_older_version_stays() {
    let door = Door::updated();
    door.start("1.0.0", 'A');
    let changed = OLD.replace("Door", "Gate");
    door.write(&changed);
    let said = door.start("2.0.0", 'B');
    assert!(said.contains("was changed under version 1.0.0"), "{said}");
    assert_eq!(door.reads(), changed);
    let aside = fs::read_to_string(door.path("config/doorstation.toml.2.0.0")).unwrap();
    assert_eq!(aside, format!("{OLD}{ADDED}"));
}

#[test]
fn a_mistake_made_under_the_version_that_runs_stays_where_it_is() {
    let door = Door::updated();
    door.write("no configuration at all");
    assert_eq!(door.start("2.0.0", 'B'), "");
    assert_eq!(door.reads(), "no configuration at all");
    // The last one that was good is still kept for the other version's mistakes.
    let said = door.start("1.0.0", 'A');
    assert!(said.contains("version 1.0.0 does not take"), "{said}");
    assert_eq!(door.reads(), OLD);
}

#[test]
fn a_version_without_a_configuration_of_its_own_says_so() {
    let door = Door::updated();
    fs::remove_file(door.path("config/doorstation.toml.A")).unwrap();
    let said = door.start("1.0.0", 'A');
    assert!(said.contains("there is no older one"), "{said}");
    assert_eq!(door.reads(), format!("{OLD}{ADDED}"));
}
