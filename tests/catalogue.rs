//! What `journalctl -x` says about the station's messages: every kind of the code has
//! its words in `systemd/doorstation.catalog`, and no words are for nothing.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use doorstation::telemetry::kind;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const CATALOGUE: &str = include_str!("../systemd/doorstation.catalog");

/// The entries of the catalogue: id, header lines, body.
fn entries() -> Vec<(&'static str, Vec<&'static str>, &'static str)> {
    let entries = CATALOGUE.split("\n-- ").skip(1).map(|entry| {
        let (id, rest) = entry.split_once('\n').unwrap();
        let (header, body) = rest.split_once("\n\n").unwrap();
        (id, header.lines().collect(), body.trim())
    });
    entries.collect()
}

/// Every source file under `folder`.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|end| end == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_code_and_the_catalogue_know_the_same_kinds() {
    let code: BTreeSet<_> = kind::ALL.iter().map(|(_, id)| *id).collect();
    let words: BTreeSet<_> = entries().iter().map(|(id, ..)| *id).collect();
    assert_eq!(code, words);
    assert_eq!(code.len(), kind::ALL.len(), "an id is there twice");
    assert_eq!(words.len(), entries().len(), "an entry is there twice");
    for id in code {
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        assert!(id.len() == 32 && id.chars().all(hex), "{id}");
    }
}

#[test]
fn every_kind_is_told_somewhere() {
    let mut text = String::new();
    sources(&Path::new(ROOT).join("src"), &mut text);
    for (name, _) in kind::ALL {
        let told = format!("message_id = kind::{name},");
        assert!(text.contains(&told), "nothing says {told}");
    }
}

#[test]
fn every_entry_has_a_subject_a_document_of_ours_and_says_what_to_do() {
    for (id, header, body) in entries() {
        let of = |name: &str| header.iter().find_map(|line| line.strip_prefix(name));
        assert!(of("Subject: ").is_some_and(|it| !it.is_empty()), "{id}");
        assert_eq!(of("Defined-By: "), Some("doorstation"), "{id}");
        let document = of("Documentation: file:/usr/share/doc/doorstation/").unwrap();
        let path = Path::new(ROOT).join("docs").join(document);
        assert!(path.is_file(), "{id} points at {document}");
        assert!(!body.is_empty(), "{id}");
    }
}

#[test]
fn journalctl_takes_the_catalogue() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("usr/lib/systemd/catalog");
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(root.path().join("var/lib/systemd/catalog")).unwrap();
    fs::write(folder.join("doorstation.catalog"), CATALOGUE).unwrap();
    let journalctl = |command: &str| {
        let mut run = Command::new("journalctl");
        run.arg(format!("--root={}", root.path().display()))
            .arg(command)
            .output()
    };
    let update = match journalctl("--update-catalog") {
        Ok(output) => output,
        Err(error) => {
            let must_run = ["CI", "DOORSTATION_TEST_ALL"]
                .iter()
                .any(|name| std::env::var_os(name).is_some());
            assert!(
                !must_run,
                "journalctl does not run here: {error}: run script/setup"
            );
            eprintln!("skipped: journalctl does not run here: {error}");
            return;
        }
    };
    assert!(update.status.success(), "{update:?}");
    let list = journalctl("--list-catalog").unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    for (name, id) in kind::ALL {
        assert!(
            list.lines().any(|line| line.starts_with(id)),
            "{name}: {list}"
        );
    }
}
