//! The image's flavours: in what they differ, as far as it can be told without making one.
//! Raspberry Pi's archive is here a small one of our own, with a key that signs nothing
//! else (`tests/fixtures/rpi-archive`).

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

fn project(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(project(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The words of a list, without comments.
fn words(list: &str) -> Vec<&str> {
    list.lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(str::split_whitespace)
        .collect()
}

/// What a flavour has in a variable of `flavour.sh`.
fn flavour(name: &str, variable: &str) -> String {
    let script = format!(
        ". board/image/flavour.sh && choose_flavour {name} KEY && printf '%s ' \"${{{variable}[@]}}\""
    );
    let run = Command::new("bash")
        .args(["-euc", &script])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    String::from_utf8(run.stdout).unwrap().trim_end().to_owned()
}

/// Whether there is an apt; without one these tests say so, and CI fails.
fn apt() -> bool {
    if Command::new("apt-get").arg("--version").output().is_ok() {
        return true;
    }
    let must_run = ["CI", "DOORSTATION_TEST_ALL"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    assert!(!must_run, "no apt-get here");
    eprintln!("skipped: no apt-get here");
    false
}

/// A copy of the archive, for this test to spoil.
struct Archive {
    folder: TempDir,
}

impl Archive {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copied = Command::new("cp")
            .arg("-r")
            .arg(project("tests/fixtures/rpi-archive"))
            .arg(folder.path().join("archive"))
            .status()
            .unwrap();
        assert!(copied.success());
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn mirror(&self) -> String {
        format!("file:{}", self.path("archive").display())
    }

    /// Changes one word in one file of it.
    fn spoil(&self, name: &str, word: &str, other: &str) {
        let file = self.path("archive/dists/trixie").join(name);
        let before = fs::read_to_string(&file).unwrap();
        assert!(before.contains(word), "{name} has no {word}");
        fs::write(&file, before.replacen(word, other, 1)).unwrap();
    }

    fn ask(&self) -> Output {
        Command::new(project("board/image/rpios/archive"))
            .args([self.path("apt"), self.path("archive/key.asc")])
            .env("RPI_MIRROR", self.mirror())
            .output()
            .unwrap()
    }

    /// It is refused, the words say so, and nothing is left.
    fn is_refused(&self, with: &str) {
        let answer = self.ask();
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert!(!answer.status.success(), "it was taken");
        assert!(said.starts_with("rpios: ") && said.contains(with), "{said}");
        assert!(!self.path("apt").exists(), "something is left");
    }
}

#[test]
fn what_the_image_needs_is_taken_from_the_signed_archive_and_nothing_else_is() {
    if !apt() {
        return;
    }
    let archive = Archive::new();
    let answer = archive.ask();
    assert!(answer.status.success(), "{answer:?}");
    let policy = |package: &str| {
        let run = Command::new("apt-cache")
            .args(["policy", &format!("{package}:arm64")])
            .env("APT_CONFIG", archive.path("apt/apt.conf"))
            .output()
            .unwrap();
        String::from_utf8(run.stdout).unwrap()
    };
    for package in ["linux-image-rpi-v8", "libcamera-ipa"] {
        assert!(policy(package).contains(" 1:9.9+rpt1 990"), "{package}");
    }
    // It is newer there, and Debian's is taken all the same.
    assert!(policy("systemd").contains(" 1:9.9+rpt1 100"));
}

#[test]
fn an_archive_that_somebody_changed_is_refused() {
    if !apt() {
        return;
    }
    let signed = Archive::new();
    signed.spoil("InRelease", "Suite: stable", "Suite: sable");
    signed.is_refused("cannot be had with this key");
    let listed = Archive::new();
    listed.spoil("main/binary-arm64/Packages", "9.9", "8.8");
    listed.is_refused("cannot be had with this key");
}

#[test]
fn without_the_archive_nothing_is_begun() {
    if !apt() {
        return;
    }
    let made = [
        ".test/image/rpi-key",
        ".test/image/base-rpios",
        "target/flash-rpios",
    ];
    let there = || made.map(|name| project(name).exists());
    let before = there();
    let archive = Archive::new();
    let run = Command::new(project("script/image"))
        .args(["--flavour", "rpios", "--rpi-key"])
        .arg(archive.path("archive/key.asc"))
        .env("RPI_MIRROR", format!("{}/nowhere", archive.mirror()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(!run.status.success());
    assert!(said.contains("/nowhere cannot be had"), "{said}");
    assert_eq!(there(), before);

    let keyless = Command::new(project("script/image"))
        .args(["--flavour", "rpios"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&keyless.stderr).into_owned();
    assert!(said.contains("needs --rpi-key FILE"), "{said}");
}

#[test]
fn what_is_added_is_asked_for_and_taken_from_that_archive() {
    let script = text("board/image/rpios/archive");
    let needed = script
        .lines()
        .find_map(|line| line.strip_prefix("needed=("))
        .and_then(|line| line.strip_suffix(')'))
        .unwrap();
    let preferences = text("board/image/rpios/preferences");
    let taken = preferences
        .lines()
        .filter_map(|line| line.strip_prefix("Package: "))
        .find(|names| *names != "*")
        .unwrap();
    let added = text("board/image/rpios/packages");
    let kernel = flavour("rpios", "kernel_package");
    let mut wanted = words(&added);
    wanted.push(&kernel);
    for package in wanted {
        assert!(words(needed).contains(&package), "{package} is not needed");
        let pinned = taken.split_whitespace().any(|pattern| {
            let name = pattern.strip_suffix(":any").expect("of each architecture");
            name == package
                || name
                    .strip_suffix('*')
                    .is_some_and(|start| package.starts_with(start))
        });
        assert!(pinned, "{package} would be Debian's");
    }
}

#[test]
fn a_bundle_of_one_flavour_is_none_of_the_other() {
    let debian = flavour("debian", "compatible");
    assert_ne!(debian, flavour("rpios", "compatible"));
    // mkcard writes the flavour's into this file.
    let config = text("board/image/files/etc/rauc/system.conf");
    assert!(config.contains(&format!("\ncompatible={debian}\n")));
}

#[test]
fn the_console_of_a_flavour_takes_the_place_of_the_other_one() {
    let script = text("board/image/boot.cmd");
    let console = flavour("debian", "console");
    assert_eq!(script.matches(&console).count(), 1, "{console}");
    assert!(text("board/image/mkcard").contains(&format!("s/{console}/$console/")));
    assert!(!flavour("rpios", "console").contains('/'));
}

#[test]
fn the_firmware_starts_u_boot_with_what_the_boards_ask_for() {
    for name in ["debian", "rpios"] {
        let file = format!("board/image/{}", flavour(name, "config"));
        let config = text(&file);
        let mut section = "[all]";
        for line in config.lines().filter(|line| !line.starts_with('#')) {
            // The firmware reads no more of a line.
            assert!(line.len() <= 98, "{file}: {line}");
            if line.starts_with('[') {
                section = line;
            } else if !line.is_empty() {
                assert!(line.contains('=') && !line.contains(' '), "{file}: {line}");
            }
        }
        assert_eq!(section, "[all]", "{file} ends in a section of one board");
        let lines: Vec<_> = config.lines().collect();
        for line in ["arm_64bit=1", "kernel=u-boot.bin", "gpio=26=op,dl"] {
            assert!(lines.contains(&line), "{file} has no {line}");
        }
        // Overlays are of the other kernel.
        assert_eq!(lines.contains(&"upstream_kernel=1"), name == "debian");
        if name == "rpios" {
            for board in ["pi4", "pi5", "zero2w"] {
                let board: toml::Table = text(&format!("board/{board}.toml")).parse().unwrap();
                for line in board["boot"]["config_txt"].as_array().unwrap() {
                    assert!(lines.contains(&line.as_str().unwrap()), "{file}: {line}");
                }
            }
        }
    }
}
