//! Configuration files: every mistake that can be made, and its sentence.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod config_bench;

use std::fs;

use config_bench::{Bench, account, lines, one_user, with_gateway};
use doorstation::config;
use proptest::prelude::*;

#[test]
fn every_mistake_is_told_at_once_with_its_line_and_what_to_do() {
    let bench = Bench::new();
    bench.secret("p", "x");
    let faults = bench.faults(
        r#"[station]
nmae = "Front door"
[call]
ring = ["alcie"]
ring_timeout_s = 9000
max_call_s = "long"
[gateway]
listen = "localhost"
[[gateway.user]]
name = "alice"
pasword_file = "p"
[camera]
source = "tset"
width = 641
[panel]
kind = "rppal"
[lgo]
level = "info"
"#,
    );
    let want = [
        "2:1: station.nmae: is not a key of this version; did you mean 'name'?",
        "4:9: call.ring[0]: the embedded gateway has no user 'alcie@home.local'; did you mean 'alice@home.local'?",
        "5:18: call.ring_timeout_s: must be 5 to 300 seconds, is 9000",
        "6:14: call.max_call_s: must be a whole number, is a string",
        "8:10: gateway.listen: 'localhost' is not ADDRESS:PORT, such as \"0.0.0.0:8443\"",
        "9:1: gateway.user[0].password_file: is missing; name a file of mode 0600 that holds the password",
        "11:1: gateway.user[0].pasword_file: is not a key of this version; did you mean 'password_file'?",
        "13:10: camera.source: 'tset' is not a camera: auto, test, libcamera, libcamera:ID, v4l2:/dev/video0 or file:PATH; did you mean 'test'?",
        "14:9: camera.width: must be even, is 641",
        "16:8: panel.kind: needs a board that says which lines; name the board: board = \"pi4\"; `doorstation board list` names them all",
        "17:2: lgo: is not a key of this version; did you mean 'log'?",
    ];
    assert_eq!(lines(&faults), want);
    assert!(
        faults.to_string().starts_with("DIR/doorstation.toml:2:1:"),
        "{faults}"
    );
}

#[test]
fn each_mistake_has_its_sentence() {
    for (config, want) in [
        // The whole file
        (
            "",
            "gateway: is missing; the bell needs somebody to ring: add [gateway], or [[account]] for a Kandy Link service",
        ),
        ("a =\n", "1:4: the file: is not TOML: "),
        (
            "gateway = 3",
            "1:11: gateway: must be a table, [gateway], is an integer",
        ),
        (
            "[gateway]\nuser = 1",
            "2:8: gateway.user: must be a list of tables, [[gateway.user]], is an integer",
        ),
        (
            "[gateway]\nuser = [1]",
            "2:9: gateway.user[0]: must be a list of tables, [[gateway.user]], is an integer",
        ),
        // Station
        (
            &one_user("[station]\nname = ''"),
            "6:8: station.name: must be 1 to 64 characters on one line",
        ),
        (
            &one_user("[station]\nname = 7"),
            "6:8: station.name: must be a text in quotes, is an integer",
        ),
        (
            &one_user("[log]\nlevel = 'Warn'"),
            "6:9: log.level: 'Warn' is not one of error, warn, info, debug, trace; did you mean 'warn'?",
        ),
        // Call
        (
            &one_user("[call]\nring = []"),
            "5:1: call.ring[0]: is missing; the list is empty; leave 'ring' out to ring everybody",
        ),
        (
            &one_user("[call]\nring = 'alice'"),
            "6:8: call.ring: must be a list of texts, is a string",
        ),
        (
            &one_user("[call]\nring = [true]"),
            "6:9: call.ring[0]: must be a text in quotes, is a boolean",
        ),
        (
            &one_user("[call]\nring = ['alice', 'alice@home.local']"),
            "6:18: call.ring[1]: 'alice@home.local' is in the list twice",
        ),
        (
            &one_user("[call]\nring = ['hone:alice']"),
            "6:9: call.ring[0]: there is no account 'hone'; did you mean 'home'?",
        ),
        (
            &one_user("[call]\nring = ['a b']"),
            "6:9: call.ring[0]: 'a b' is not a name: letters, digits and - . _ are, with or without @domain",
        ),
        (
            &one_user("[[call.ring_step]]\nfor_s = 20"),
            "5:1: call.ring_step[0].ring: is missing; say whom this step rings: ring = [\"alice\"]",
        ),
        (
            &one_user("[[call.ring_step]]\nring = ['alcie']"),
            "6:9: call.ring_step[0].ring[0]: the embedded gateway has no user 'alcie@home.local'; did you mean 'alice@home.local'?",
        ),
        (
            &one_user("[[call.ring_step]]\nring = ['alice']\nfor_s = 1"),
            "7:9: call.ring_step[0].for_s: must be 5 to 300 seconds, is 1",
        ),
        (
            &one_user("[call]\nring = ['alice']\n[[call.ring_step]]\nring = ['alice']"),
            "6:9: call.ring[0]: stands beside ring_step: only one of the two can count",
        ),
        (
            &one_user(&"[[call.ring_step]]\nring = ['alice']\n".repeat(9)),
            "22:9: call.ring_step[8].ring[0]: at most 8 steps can follow each other",
        ),
        (
            &one_user("[call.defaults]\nvideo = 'no'"),
            "6:9: call.defaults.video: must be true or false, is a string",
        ),
        (
            &one_user("[[call.ice_server]]\nurl = 'https://turn.example.org'"),
            "6:7: call.ice_server[0].url: 'https://turn.example.org' is not stun:HOST:PORT or turn:HOST:PORT?transport=udp",
        ),
        (
            &one_user("[[call.ice_server]]\nurl = 'turn:t.example'\nusername = 'door'"),
            "5:1: call.ice_server[0].password_file: is missing; name a file of mode 0600 that holds the password",
        ),
        (
            &one_user("[call]\nmax_call_s = -1"),
            "6:14: call.max_call_s: must be 30 to 14400 seconds, is -1",
        ),
        (
            &one_user("[call]\nmax_call_s = 99999999999999"),
            "6:14: call.max_call_s: must be 30 to 14400 seconds, is 99999999999999",
        ),
        (
            &one_user("[call]\nmax_call_s = 60.5"),
            "6:14: call.max_call_s: must be a whole number, is a float",
        ),
        // Gateway
        (
            "[gateway]",
            "1:1: gateway.user: is missing; add [[gateway.user]] with a name for everybody who may answer",
        ),
        (
            "[[gateway.user]]\npassword_file = 'p'",
            "1:1: gateway.user[0].name: is missing; what this person logs in with, such as \"alice\"",
        ),
        (
            "[[gateway.user]]\nname = 'a@b'\npassword_file = 'p'",
            "2:8: gateway.user[0].name: 'a@b' is not a name: letters, digits and - . _ are",
        ),
        (
            "[[gateway.user]]\nname = 'door'\npassword_file = 'p'",
            "2:8: gateway.user[0].name: 'door' is the door itself",
        ),
        (
            &one_user("[[gateway.user]]\nname = 'alice'\npassword_file = 'p'"),
            "6:8: gateway.user[1].name: there are two users named 'alice'",
        ),
        (
            &with_gateway("domain = 'a b'"),
            "2:10: gateway.domain: 'a b' is not a domain: letters, digits, - and . are",
        ),
        (
            &with_gateway("door = 'my door'"),
            "2:8: gateway.door: 'my door' is not a name: letters, digits and - . _ are",
        ),
        (
            &with_gateway("plain_http = true"),
            "2:14: gateway.plain_http: would send passwords over the network in the clear; listen on 127.0.0.1, or leave it out",
        ),
        (
            &with_gateway("certificate_file = 'p'"),
            "2:20: gateway.certificate_file: needs 'key_file' beside it",
        ),
        (
            &with_gateway("key_file = 'p'"),
            "2:12: gateway.key_file: needs 'certificate_file' beside it",
        ),
        (
            &with_gateway("certificate_file = 'nope'\nkey_file = 'p'"),
            "2:20: gateway.certificate_file: 'DIR/nope' cannot be read: No such file or directory (os error 2)",
        ),
        (
            &with_gateway("certificate_names = ['a/b']"),
            "2:22: gateway.certificate_names[0]: 'a/b' is not the name of a machine",
        ),
        (
            &with_gateway("state_dir = ''"),
            "2:13: gateway.state_dir: must be a path",
        ),
        // Account
        (
            &account("name = 'home'"),
            "3:8: account[0].name: 'home' is the embedded gateway's own account; choose another name",
        ),
        (
            &account("rest = 'kandy.example.org'"),
            "account[0].rest: 'kandy.example.org' is not https://HOST or https://HOST:PORT",
        ),
        (
            &account("rest = 'https://a.org/path'"),
            "account[0].rest: 'https://a.org/path' is not https://HOST or https://HOST:PORT",
        ),
        (
            &account("rest = 'http://a.org'"),
            "account[0].rest: would send the password over the network in the clear: write https://",
        ),
        (
            &account("websocket = 'ws://a.org'"),
            "account[0].websocket: would send the password over the network in the clear: write wss://",
        ),
        (
            &account("user = 'door'"),
            "account[0].user: 'door' is not NAME@DOMAIN",
        ),
        (
            &account("expires_s = 1"),
            "account[0].expires_s: must be 60 to 86400 seconds, is 1",
        ),
        (
            &account("ca_file = 'p'"),
            "account[0].ca_file: 'DIR/p' holds no certificate in PEM form",
        ),
        (
            "[[account]]",
            "1:1: account[0].name: is missing; what ring lists and logs call this account",
        ),
        // Camera, sound, panel, log
        (
            &one_user("[camera]\nsource = 'v4l2:video0'"),
            "6:10: camera.source: 'v4l2:video0' is not a camera: auto, test, libcamera, libcamera:ID, v4l2:/dev/video0 or file:PATH",
        ),
        (
            &one_user("[camera]\nframes_per_s = 100"),
            "6:16: camera.frames_per_s: must be 5 to 60 pictures a second, is 100",
        ),
        (
            &one_user("[camera]\nbit_rate_kbps = 1"),
            "6:17: camera.bit_rate_kbps: must be 100 to 8000 kbit/s, is 1",
        ),
        (
            &one_user("[camera]\nheight = 0"),
            "6:10: camera.height: must be 120 to 1080 pixels, is 0",
        ),
        (
            &one_user("[sound]\ncapture = ''"),
            "6:11: sound.capture: must be ALSA's name of a device, such as \"plughw:CARD=Device\", or \"none\"",
        ),
        (
            &one_user("[sound]\ntone_volume = 101"),
            "6:15: sound.tone_volume: must be 0 to 100 per cent, is 101",
        ),
        (
            &one_user("[sound]\necho_control = 1"),
            "6:16: sound.echo_control: must be true or false, is an integer",
        ),
        (
            &one_user("[panel]\nkind = 'simm'"),
            "6:8: panel.kind: 'simm' is not one of auto, gpiocdev, rppal, sim; did you mean 'sim'?",
        ),
        (
            &one_user("[log]\nlevel = 'verbose'"),
            "6:9: log.level: 'verbose' is not one of error, warn, info, debug, trace",
        ),
        (
            &one_user("[log]\nzzzzzzzz = 1"),
            "6:1: log.zzzzzzzz: is not a key of this version; known here: level",
        ),
    ] {
        let bench = Bench::new();
        bench.secret("p", "x");
        let lines = lines(&bench.faults(config));
        assert!(
            lines.iter().any(|line| line.contains(want)),
            "{config}\nwants {want}\ngot   {}",
            lines.join("\n      ")
        );
    }
}

#[test]
fn one_mistake_is_told_once() {
    for config in [
        one_user("[call]\nring_timeout_s = 1"),
        one_user("[nonsense]"),
        with_gateway("listen = 'x'"),
        with_gateway("plain_http = true"),
        account("rest = 'x'"),
        "[[gateway.user]]\nname = 'alice'".to_owned(),
        "[[gateway.user]]\nname = 'alice'\npassword = 'hunter2'".to_owned(),
        "[gateway]\nlisten = 5".to_owned(),
        String::new(),
    ] {
        let bench = Bench::new();
        bench.secret("p", "x");
        let faults = bench.faults(&config);
        assert_eq!(faults.count(), 1, "{config}\n{faults}");
    }
}

#[test]
fn several_mistakes_of_grammar_are_told_together() {
    let bench = Bench::new();
    let faults = bench.faults("a =\nb = [1,\nc = 'x\n[gateway]\n[gateway]\n");
    assert!(faults.count() >= 3, "{faults}");
}

#[test]
fn a_file_that_cannot_be_used_says_why() {
    let bench = Bench::new();
    let none = config::load(&bench.path("none.toml")).unwrap_err();
    assert!(
        none.to_string()
            .ends_with("none.toml: there is no such file; `doorstation config default` prints one"),
        "{none}"
    );

    fs::write(bench.path("binary.toml"), b"\xff\xfe").unwrap();
    let binary = config::load(&bench.path("binary.toml")).unwrap_err();
    assert!(
        binary.to_string().ends_with("is not text in UTF-8"),
        "{binary}"
    );

    fs::write(bench.path("large.toml"), "#".repeat(2 << 20)).unwrap();
    let large = config::load(&bench.path("large.toml")).unwrap_err();
    assert!(
        large.to_string().ends_with("is larger than 1048576 bytes"),
        "{large}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_file_makes_the_reader_panic_and_each_is_right_or_has_a_mistake(
        at in any::<prop::sample::Index>(),
        length in 0usize..40,
        instead in prop_oneof![
            Just(String::new()),
            "[\\[\\]=\"'\n.,{}0-9a-z-]{0,12}",
            "\\PC{0,6}",
        ],
    ) {
        let example = include_str!("../board/example.toml");
        let start = at.index(example.len());
        let end = (start + length).min(example.len());
        let (Some(before), Some(after)) = (example.get(..start), example.get(end..)) else {
            return Ok(());
        };
        let bench = Bench::new();
        if let Err(faults) = bench.load(&format!("{before}{instead}{after}")) {
            let lines = example.lines().count() + 13;
            prop_assert!(faults.iter().all(|fault| fault.line <= lines && !fault.what.is_empty()));
            prop_assert!(faults.count() > 0);
        }
    }
}
