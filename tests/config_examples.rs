//! Every example of a configuration in the repository is right: whole files, and the
//! pieces that the documents show.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod config_bench;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use config_bench::{ACCOUNT, Bench, lines};
use doorstation::config;
use toml::{Table, Value};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Where the first login's password will be; other secrets are beside the file.
const MADE: &str = "/var/lib/doorstation/indoor.password";
/// A code of the door, and good enough as a password.
const SECRET: &str = "471147";

/// The files of `folder` whose names end so.
fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(ROOT).join(folder)).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|other| other == end))
        .collect();
    files.sort();
    files
}

/// A directory with every secret that `config` names.
fn house(config: &str) -> Bench {
    let bench = Bench::new();
    let table: Table = toml::from_str(config).unwrap();
    make_secrets(&bench, &table);
    bench
}

fn make_secrets(bench: &Bench, table: &Table) {
    for (key, value) in table {
        match value {
            Value::String(file) if file.starts_with('/') => {}
            Value::String(file) if key == "ca_file" => {
                bench.file(file, "-----BEGIN CERTIFICATE-----\n", 0o644);
            }
            Value::String(file) if key.ends_with("_file") => bench.secret(file, SECRET),
            Value::String(name) if key == "credential" => {
                bench.secret(&format!("credentials/{name}"), SECRET);
            }
            Value::Table(table) => make_secrets(bench, table),
            Value::Array(items) => {
                let tables = items.iter().filter_map(Value::as_table);
                tables.for_each(|table| make_secrets(bench, table));
            }
            _ => {}
        }
    }
}

/// What is wrong with `config`, but for the password that the first start makes.
fn faults(config: &str) -> Vec<String> {
    let bench = house(config);
    let config = config.replace(MADE, bench.path("made").to_str().unwrap());
    bench.secret("made", SECRET);
    told(&bench, &config)
}

/// What is wrong with a piece of a configuration, over a household that it belongs to.
fn faults_of_piece(piece: &str) -> Vec<String> {
    let bench = house(piece);
    bench.secret("p", SECRET);
    fs::create_dir(bench.path("conf.d")).unwrap();
    bench.file("conf.d/piece.toml", piece, 0o644);
    told(&bench, &around(piece))
}

fn told(bench: &Bench, config: &str) -> Vec<String> {
    match bench.load(config) {
        Ok(_) => Vec::new(),
        Err(_) => lines(&bench.faults(config)),
    }
}

/// The blocks of `text` that a reader is told to be TOML.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split("```toml\n")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("```")?.0))
}

/// A household for a piece of a configuration that has some of it.
fn around(piece: &str) -> String {
    let table: Table = toml::from_str(piece).unwrap();
    let gateway = table.get("gateway").and_then(|gateway| gateway.get("user"));
    let users = gateway.and_then(Value::as_array).into_iter().flatten();
    let named: Vec<_> = users.filter_map(|user| user["name"].as_str()).collect();
    let mut house = String::new();
    for name in ["alice", "bob"] {
        if !named.contains(&name) {
            house += &format!("[[gateway.user]]\nname = '{name}'\npassword_file = 'p'\n");
        }
    }
    format!("{house}{ACCOUNT}[panel]\nboard = 'pi4'\n")
}

#[test]
fn every_file_is_right() {
    let mut checked = 0;
    for folder in ["board", "package", "examples"] {
        for path in files(folder, "toml") {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap();
            if folder == "board" && config::board::names().any(|board| board == name) {
                config::board::parse(name, &path, &text).unwrap();
            } else {
                let faults = faults(&text);
                assert!(faults.is_empty(), "{}: {faults:#?}", path.display());
            }
            checked += 1;
        }
    }
    assert!(checked >= 8, "only {checked} files were found");
}

#[test]
fn every_piece_in_the_documents_is_right() {
    let mut checked = 0;
    for path in [".", "docs"].iter().flat_map(|folder| files(folder, "md")) {
        let text = fs::read_to_string(&path).unwrap();
        for block in blocks(&text) {
            let faults = match faults(block) {
                whole if whole.is_empty() => whole,
                _ => faults_of_piece(block),
            };
            assert!(
                faults.is_empty(),
                "{}:\n{block}\n{faults:#?}",
                path.display()
            );
            checked += 1;
        }
    }
    assert!(checked >= 6, "only {checked} pieces were found");
}

#[test]
fn a_piece_that_is_wrong_is_found() {
    let piece = "[door]\nmay_open = ['carol']\ncode_file = 'c'";
    assert_eq!(faults_of_piece(piece).len(), 1);
    assert_eq!(blocks("a\n```toml\nb = 1\n```\nc").collect::<Vec<_>>(), ["b = 1\n"]);
}

#[test]
fn the_default_is_printed_and_passes_its_check_before_the_first_start() {
    let doorstation = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorstation"));
        command.args(arguments).output().unwrap()
    };
    let printed = doorstation(&["config", "default"]);
    let shipped = fs::read(Path::new(ROOT).join("package/doorstation.toml")).unwrap();
    assert!(printed.status.success() && printed.stdout == shipped);

    let bench = Bench::new();
    let file = bench.write(config::DEFAULT);
    let checked = doorstation(&["config", "check", file.to_str().unwrap()]);
    let told = String::from_utf8(checked.stderr).unwrap();
    assert!(checked.status.success(), "{told}");
    assert!(told.ends_with("no mistakes\n"), "{told}");
    if !Path::new(MADE).exists() {
        let what = "'/var/lib/doorstation/indoor.password' is not there yet: the service makes it";
        assert!(told.contains(what), "{told}");
        // A station that starts without it says the same, and does not start.
        let started = doorstation(&["run", "--config", file.to_str().unwrap()]);
        let told = String::from_utf8(started.stderr).unwrap();
        assert_eq!(started.status.code(), Some(2), "{told}");
        assert!(told.contains(what), "{told}");
    }
    // Only what the first start makes may be missing.
    let other = bench.write(&config::DEFAULT.replace("indoor.password", "other.password"));
    let checked = doorstation(&["config", "check", other.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(2));
}

/// What is switched off in the default is right as well once it is switched on.
#[test]
fn every_setting_of_the_default_can_be_switched_on() {
    let lines = config::DEFAULT.lines().map(|line| {
        let setting = line.strip_prefix('#');
        let setting = setting.filter(|rest| rest.starts_with(|c: char| c == '[' || c.is_lowercase()));
        setting.unwrap_or(line)
    });
    let all = lines.collect::<Vec<_>>().join("\n");
    let told = faults(&all);
    let [only] = told.as_slice() else {
        panic!("{told:#?}");
    };
    let alternative = "call.ring[0]: stands beside ring_step: only one of the two can count";
    assert!(only.ends_with(alternative), "{only}");
}
