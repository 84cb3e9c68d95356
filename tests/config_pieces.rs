//! `conf.d`: pieces of a configuration beside its file.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod config_bench;

use std::fs;
use std::process::Command;

use config_bench::{Bench, ONE_USER, targets};
use doorstation::config;

/// A house with these pieces in its `conf.d`.
fn house(pieces: &[(&str, &str)]) -> Bench {
    let bench = Bench::new();
    bench.secret("p", "x");
    fs::create_dir(bench.path("conf.d")).unwrap();
    for (name, text) in pieces {
        bench.file(&format!("conf.d/{name}"), text, 0o644);
    }
    bench
}

#[test]
fn pieces_go_over_the_file_in_the_order_of_their_names() {
    let bob = "[[gateway.user]]\nname = 'bob'\npassword_file = 'p'\n";
    let bench = house(&[
        (
            "20-late.toml",
            "[station]\nname = 'late'\n[camera]\nwidth = 640\n",
        ),
        (
            "10-early.toml",
            "[station]\nname = 'early'\n[log]\nlevel = 'warn'\n",
        ),
        ("9-people.toml", bob),
        (".hidden.toml", "no TOML"),
        ("10-early.toml.dpkg-old", "no TOML"),
    ]);
    let main = format!("{ONE_USER}[station]\nname = 'main'\n[camera]\nwidth = 320\nheight = 240\n");
    let checked = bench.load(&main).unwrap();
    assert_eq!(checked.station.name, "late");
    assert_eq!(checked.log.level, "warn");
    assert_eq!((checked.camera.width, checked.camera.height), (640, 240));
    // Relative paths start at the file, not at the folder of the piece.
    assert_eq!(
        targets(&checked),
        ["home alice@home.local", "home bob@home.local"]
    );
}

#[test]
fn each_mistake_names_its_file_and_line() {
    let bench = house(&[
        ("a.toml", "\n[camera]\nwidht = 640\n"),
        (
            "b.toml",
            "[gateway]\nlisten = 'x'\n[[gateway.user]]\nname = 'alice'\npassword_file = 'p'\n",
        ),
    ]);
    let told = bench
        .faults(&format!("{ONE_USER}[log]\nlevel = 1\n"))
        .to_string();
    let want = [
        "DIR/doorstation.toml:5:9: log.level: must be a text in quotes, is an integer",
        "DIR/conf.d/a.toml:3:1: camera.widht: is not a key of this version; did you mean 'width'?",
        "DIR/conf.d/b.toml:2:10: gateway.listen: 'x' is not ADDRESS:PORT, such as \"0.0.0.0:8443\"",
        "DIR/conf.d/b.toml:4:8: gateway.user[1].name: there are two users named 'alice'",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), want);

    let bench = house(&[("a.toml", "x ="), ("b.toml", "y =")]);
    let told = bench.faults(ONE_USER).to_string();
    for place in ["DIR/conf.d/a.toml:1:", "DIR/conf.d/b.toml:1:"] {
        assert!(told.contains(place), "{told}");
    }
}

#[test]
fn what_is_too_much_or_cannot_be_read_is_told() {
    let bench = house(&[]);
    for n in 0..65 {
        bench.file(&format!("conf.d/{n}.toml"), "", 0o644);
    }
    let told = bench.faults(ONE_USER).to_string();
    let want = "DIR/conf.d: holds 65 files, at most 64 are read: make one of some";
    assert_eq!(told, want);

    let half = "#".repeat(600 * 1024);
    let bench = house(&[("a.toml", half.as_str()), ("b.toml", half.as_str())]);
    let told = bench.faults(ONE_USER).to_string();
    let want = "DIR/doorstation.toml: is larger than 1048576 bytes with the files in conf.d";
    assert_eq!(told, want);

    let bench = house(&[]);
    fs::create_dir(bench.path("conf.d/a.toml")).unwrap();
    fs::write(bench.path("conf.d/b.toml"), b"\xff\xfe").unwrap();
    let told = bench.faults(ONE_USER).to_string();
    assert!(
        told.starts_with("DIR/conf.d/a.toml: cannot be read: "),
        "{told}"
    );
    assert!(
        told.ends_with("DIR/conf.d/b.toml: is not text in UTF-8"),
        "{told}"
    );
}

#[test]
fn what_counts_is_shown_with_the_piece_that_says_it_and_without_secrets() {
    let bench = house(&[
        ("10.toml", "# hunter1\n[station]\nname = 'Back door'\n"),
        (
            "20.toml",
            "[[gateway.user]]\nname = 'bob'\npassword = 'hunter2'\n",
        ),
    ]);
    let file = bench.write(&format!(
        "{ONE_USER}[station]\nname = 'Front door'\n[log]\nlevel = 'info'\n"
    ));
    let shown = Command::new(env!("CARGO_BIN_EXE_doorstation"))
        .args(["config", "show", file.to_str().unwrap()])
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    for line in [
        "name = 'Back door'  # conf.d/10.toml",
        "name = 'alice'",
        "[[gateway.user]]  # conf.d/20.toml",
        "password = \"(hidden)\"  # conf.d/20.toml",
        "level = 'info'",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    assert!(
        !shown.contains("hunter") && !shown.contains("Front"),
        "{shown}"
    );
    assert_eq!(shown, config::redacted(&file).unwrap());
}
