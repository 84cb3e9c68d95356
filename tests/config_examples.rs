//! Every example of a configuration in the repository is right: whole files, and the
//! pieces that the documents show.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod config_bench;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use config_bench::{ACCOUNT, Bench, account, lines, one_user, with_gateway};
use doorstation::config;
use regex::Regex;
use serde_json::Value as Json;
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

/// What the schema finds wrong with `text`.
fn against_schema(text: &str) -> Vec<String> {
    let table: Table = toml::from_str(text).unwrap();
    let mut wrong = Vec::new();
    let value = serde_json::to_value(table).unwrap();
    compare(&value, &config::schema(), "", &mut wrong);
    wrong
}

/// The few words of JSON Schema that ours has; any other is a mistake of the test.
fn compare(value: &Json, schema: &Json, at: &str, wrong: &mut Vec<String>) {
    for (word, wants) in schema.as_object().unwrap() {
        let fits = match word.as_str() {
            "$schema" | "title" | "description" => true,
            "type" => match wants.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64() || value.is_u64(),
                other => panic!("{other}"),
            },
            "enum" => wants.as_array().unwrap().contains(value),
            "minLength" => value
                .as_str()
                .is_none_or(|text| text.chars().count() as u64 >= wants.as_u64().unwrap()),
            "maxLength" => value
                .as_str()
                .is_none_or(|text| text.chars().count() as u64 <= wants.as_u64().unwrap()),
            "pattern" => {
                let pattern = Regex::new(wants.as_str().unwrap()).unwrap();
                value.as_str().is_none_or(|text| pattern.is_match(text))
            }
            "minimum" => value.as_i64().is_none_or(|n| n >= wants.as_i64().unwrap()),
            "maximum" => value.as_i64().is_none_or(|n| n <= wants.as_i64().unwrap()),
            "multipleOf" => value
                .as_i64()
                .is_none_or(|n| n % wants.as_i64().unwrap() == 0),
            "required" => {
                let mut keys = wants.as_array().unwrap().iter();
                keys.all(|key| !value.is_object() || value.get(key.as_str().unwrap()).is_some())
            }
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    compare(item, wants, &format!("{at}[{n}]"), wrong);
                }
                true
            }
            "properties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = wants.get(key) {
                        compare(value, schema, &format!("{at}.{key}"), wrong);
                    }
                }
                true
            }
            "additionalProperties" => {
                assert_eq!(wants, &Json::Bool(false));
                let mut keys = value.as_object().into_iter().flat_map(|table| table.keys());
                keys.all(|key| schema["properties"].get(key).is_some())
            }
            other => panic!("the schema has the word {other}, which this test does not know"),
        };
        if !fits {
            wrong.push(format!("{at}: {word}"));
        }
    }
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
                assert_eq!(against_schema(&text), [""; 0], "{}", path.display());
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
            assert_eq!(against_schema(block), [""; 0], "{}", path.display());
            checked += 1;
        }
    }
    assert!(checked >= 6, "only {checked} pieces were found");
}

#[test]
fn a_piece_that_is_wrong_is_found() {
    let piece = "[door]\nmay_open = ['carol']\ncode_file = 'c'";
    assert_eq!(faults_of_piece(piece).len(), 1);
    assert_eq!(
        blocks("a\n```toml\nb = 1\n```\nc").collect::<Vec<_>>(),
        ["b = 1\n"]
    );
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
    let all = config::all_switched_on();
    let told = faults(&all);
    let [only] = told.as_slice() else {
        panic!("{told:#?}");
    };
    let alternative = "call.ring[0]: stands beside ring_step: only one of the two can count";
    assert!(only.ends_with(alternative), "{only}");
}

#[test]
fn the_schema_in_the_package_is_the_one_that_is_printed() {
    let printed = Command::new(env!("CARGO_BIN_EXE_doorstation"))
        .args(["config", "schema"])
        .output()
        .unwrap();
    assert!(printed.status.success());
    let shipped = fs::read(Path::new(ROOT).join("package/doorstation.schema.json"));
    assert!(
        shipped.unwrap_or_default() == printed.stdout,
        "doorstation config schema > package/doorstation.schema.json"
    );
}

#[test]
fn the_schema_takes_every_setting_of_the_default() {
    assert_eq!(against_schema(&config::all_switched_on()), [""; 0]);
}

/// Whatever can be seen without the machine and the rest of the file.
#[test]
fn what_the_reader_refuses_the_schema_refuses() {
    let bench = Bench::new();
    bench.secret("p", SECRET);
    for config in [
        // A key that is none, in tables of each kind.
        one_user("[lgo]"),
        one_user("[station]\nnmae = 'x'"),
        one_user("[call.defaults]\nviedo = true"),
        one_user("[panel.sign.open]\ncolor = 'red'"),
        one_user("[panel.sign.opne]\ncolour = 'red'"),
        one_user("[panel.sensor.tamper]\npin = 13\nactiv = 'low'"),
        account("userr = 'x'"),
        // A password in the file.
        "[[gateway.user]]\nname = 'alice'\npassword = 'x'".to_owned(),
        one_user("[door]\ncode = '4711'"),
        // Another type.
        "gateway = 3".to_owned(),
        "[gateway]\nuser = 1".to_owned(),
        "[gateway]\nuser = [1]".to_owned(),
        one_user("[station]\nname = 7"),
        one_user("[call]\nring = 'alice'"),
        one_user("[call]\nring = [true]"),
        one_user("[call]\nmax_call_s = 60.5"),
        one_user("[call]\nmax_call_s = 'long'"),
        one_user("[sound]\necho_control = 1"),
        // A number that is too small, too large, or odd.
        one_user("[call]\nring_timeout_s = 4"),
        one_user("[call]\nmax_call_s = 99999999999999"),
        one_user("[[call.ring_step]]\nring = ['alice']\nfor_s = 301"),
        one_user("[[call.plan]]\nname = 'x'\n[[call.plan.ring_step]]\nring = ['alice']\nfor_s = 1"),
        one_user("[camera]\nwidth = 641"),
        one_user("[door]\npulse_s = 11"),
        one_user("[panel.night]\nfrom = '22:00'\nto = '06:00'\nbrightness_percent = 0"),
        // A word that is none.
        one_user("[log]\nlevel = 'verbose'"),
        one_user("[panel]\nkind = 'simm'"),
        one_user("[panel]\nboard = 'pi4'\n[[panel.button]]\nname = 'bell'\naction = 'open'"),
        // Letters that are none of its own.
        "[[gateway.user]]\nname = 'a b'\npassword_file = 'p'".to_owned(),
        "[[gateway.user]]\nname = ''\npassword_file = 'p'".to_owned(),
        with_gateway("domain = '-home.local'"),
        with_gateway("domain = 'home_local'"),
        with_gateway("door = 'front door'"),
        with_gateway("certificate_names = ['door', 'door.']"),
        account("name = 'a/b'"),
        one_user(&format!("[station]\nname = '{}'", "x".repeat(65))),
        one_user("[station]\nname = \"two\\nlines\""),
        one_user("[sound]\ncapture = ''"),
        // A key that is missing.
        "[[gateway.user]]\npassword_file = 'p'".to_owned(),
        one_user("[[call.ring_step]]\nfor_s = 20"),
        one_user("[[call.ice_server]]\nusername = 'x'\npassword_file = 'p'"),
    ] {
        assert!(bench.load(&config).is_err(), "the reader takes\n{config}");
        assert!(
            !against_schema(&config).is_empty(),
            "the schema takes\n{config}"
        );
    }
    for config in [
        with_gateway("listen = '127.0.0.1:0'"),
        with_gateway("domain = 'a'\ncertificate_names = ['door-1.home.arpa', '1']"),
        account("expires_s = 60"),
        account("name = '-a._b-'"),
        one_user(&format!("[station]\nname = '{}'", "ü".repeat(64))),
    ] {
        bench.load(&config).unwrap();
        assert_eq!(against_schema(&config), [""; 0], "{config}");
    }
}
