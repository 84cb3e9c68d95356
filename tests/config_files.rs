//! Configuration files: the examples, secrets, and whom the bell rings.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod config_bench;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use config_bench::{ACCOUNT, Bench, ONE_USER, lines, targets, with_gateway};
use doorstation::board::Gpio;
use doorstation::call::Wish;
use doorstation::config;
use doorstation::config::checked::{CameraSource, Password, Tls};

#[test]
fn the_full_example_is_right_and_means_what_it_says() {
    let bench = Bench::new();
    bench.secret("alice.password", "from a file");
    bench.secret("cloud.password", "cloudy\n");
    bench.secret("credentials/bob", "from systemd\n");
    let checked = bench.load(include_str!("../board/example.toml")).unwrap();

    assert_eq!(checked.station.name, "Front door");
    assert_eq!(
        targets(&checked),
        [
            "home alice@home.local",
            "home bob@home.local",
            "cloud reception@example.org"
        ]
    );
    assert_eq!(checked.call.ring[0].time, Duration::from_secs(60));
    assert_eq!(checked.call.max_call, Duration::from_secs(1800));
    let wish = Wish {
        audio: true,
        send_video: true,
        receive_video: false,
    };
    assert_eq!(checked.call.wish, wish);

    let gateway = checked.gateway.unwrap();
    assert_eq!(
        gateway.listen,
        "0.0.0.0:8443".parse::<SocketAddr>().unwrap()
    );
    assert_eq!(gateway.door.as_str(), "door@home.local");
    assert_eq!(gateway.state_dir, Path::new("/var/lib/doorstation"));
    let names = vec!["door.home.arpa".to_owned()];
    assert_eq!(gateway.tls, Tls::Local { names });
    let users: Vec<_> = gateway
        .users
        .iter()
        .map(|user| match &user.password {
            Password::Plain(secret) => (user.display_name.as_str(), secret.expose()),
            Password::Hash(secret) => (user.display_name.as_str(), &secret.expose()[..10]),
        })
        .collect();
    assert_eq!(
        users,
        [
            ("Alice", "from a file"),
            ("bob", "from systemd"),
            ("carol", "$argon2id$")
        ]
    );

    let [cloud] = checked.accounts.try_into().unwrap();
    assert_eq!(cloud.id.as_str(), "cloud");
    assert_eq!(cloud.user.as_str(), "door@example.org");
    assert_eq!(cloud.password.expose(), "cloudy");
    assert_eq!(cloud.rest, "https://kandy.example.org");
    assert_eq!(cloud.websocket, "wss://kandy.example.org");
    assert_eq!(cloud.expires, Duration::from_secs(3600));

    assert_eq!(checked.camera.source, CameraSource::Auto);
    assert_eq!((checked.camera.width, checked.camera.height), (1280, 720));
    assert_eq!(checked.camera.bit_rate, 1_500_000);
    assert_eq!(checked.camera.visitors_kept, 20);
    assert_eq!(checked.sound.capture.as_deref(), Some("plughw:CARD=Device"));
    assert_eq!(checked.panel.kind, Gpio::Sim);
    assert_eq!(checked.log.level, "info");
}

#[test]
fn the_full_example_shows_the_defaults() {
    let bench = Bench::new();
    bench.secret("p", "x");
    let small = bench.load(ONE_USER).unwrap();
    bench.secret("alice.password", "x");
    bench.secret("cloud.password", "x");
    bench.secret("credentials/bob", "x");
    let full = bench.load(include_str!("../board/example.toml")).unwrap();

    assert_eq!(small.station, full.station);
    assert_eq!(small.call.ring[0].time, full.call.ring[0].time);
    assert_eq!(small.call.max_call, full.call.max_call);
    assert_eq!(small.call.wish, full.call.wish);
    assert_eq!(small.camera, full.camera);
    assert_eq!(small.panel, full.panel);
    assert_eq!(small.log, full.log);
    assert_eq!(small.sound.capture, None);
    let stages = |sound: &doorstation::config::checked::Sound| {
        let switches = [
            sound.echo_control,
            sound.noise_suppression,
            sound.automatic_gain,
            sound.short_packets,
            !sound.dtx,
        ];
        (switches, sound.tone_volume)
    };
    assert_eq!(stages(&small.sound), ([true; 5], 100));
    assert_eq!(stages(&small.sound), stages(&full.sound));
    let (small, full) = (small.gateway.unwrap(), full.gateway.unwrap());
    assert_eq!(
        (
            small.listen,
            small.domain,
            small.door,
            small.state_dir,
            small.ring_time
        ),
        (
            full.listen,
            full.domain,
            full.door,
            full.state_dir,
            full.ring_time
        )
    );
}

#[test]
fn the_demo_example_is_right() {
    let bench = Bench::new();
    bench.secret("alice.password", "x");
    let checked = bench.load(include_str!("../board/demo.toml")).unwrap();
    assert_eq!(targets(&checked), ["home alice@demo.local"]);
    assert_eq!(checked.camera.source, CameraSource::Test);
    let gateway = checked.gateway.unwrap();
    assert_eq!(gateway.state_dir, bench.path("../.demo/state"));
}

#[test]
fn secrets_are_refused_where_others_could_read_them() {
    let bench = Bench::new();
    for mode in [0o640, 0o604, 0o660, 0o644, 0o610] {
        bench.file("p", "x", mode);
        let told = lines(&bench.faults(ONE_USER));
        let want = format!(
            "3:17: gateway.user[0].password_file: 'DIR/p' can be read by others (mode {mode:04o}): chmod 0600 it"
        );
        assert_eq!(told, [want]);
    }
    for mode in [0o600, 0o400] {
        bench.file("p", "x", mode);
        bench.load(ONE_USER).unwrap();
    }
}

#[test]
fn a_secret_that_is_none_is_told() {
    for (content, want) in [
        ("", "is empty"),
        ("\n", "is empty"),
        ("two\nlines\n", "holds more than one line"),
        (&*"x".repeat(5000), "is longer than 4096 bytes"),
    ] {
        let bench = Bench::new();
        bench.secret("p", content);
        let told = lines(&bench.faults(ONE_USER));
        assert_eq!(
            told,
            [format!(
                "3:17: gateway.user[0].password_file: 'DIR/p' {want}"
            )]
        );
    }
    let bench = Bench::new();
    fs::create_dir(bench.path("p")).unwrap();
    fs::set_permissions(bench.path("p"), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(lines(&bench.faults(ONE_USER))[0].ends_with("'DIR/p' is not a file"));
}

#[test]
fn a_password_has_exactly_one_place_and_is_never_repeated() {
    let user = |rest: &str| format!("[[gateway.user]]\nname = 'alice'\n{rest}");
    for (config, want) in [
        (
            user("password = 'hunter2'"),
            "password: does not stand in this file: write it to a file of mode 0600; name that file with 'password_file'",
        ),
        (
            user("password_file = 'p'\ncredential = 'alice'"),
            "password_file: is one way too many to give a password; keep one",
        ),
        (
            user("password_hash = 'hunter2'"),
            "password_hash: is not an argon2id hash in PHC form, \"$argon2id$v=19$...\"",
        ),
        (
            user("password_hash = '$argon2i$v=19$m=16,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo'"),
            "password_hash: is not an argon2id hash",
        ),
        (
            user("credential = '../p'"),
            "credential: must be the name of a credential: letters, digits and - . _",
        ),
        (
            user("credential = 'nope'"),
            "credential: the credential 'nope' was not given: add LoadCredential=nope:FILE to the unit",
        ),
    ] {
        let bench = Bench::new();
        bench.secret("p", "hunter2");
        let faults = bench.faults(&config).to_string();
        assert!(
            faults.contains(want),
            "{config}\nwants {want}\ngot {faults}"
        );
        assert!(!faults.contains("hunter2"), "{faults}");
    }
}

#[test]
fn without_systemd_a_credential_is_explained() {
    let bench = Bench::new();
    let path = bench.write("[[gateway.user]]\nname = 'alice'\ncredential = 'alice'");
    let faults = config::load_with(&path, None).unwrap_err();
    let told = faults.to_string();
    assert!(
        told.contains("systemd hands it to the service, by LoadCredential= in its unit"),
        "{told}"
    );
    // Whoever only checks the file is told, and no more.
    let told = config::check(&path).unwrap().unwrap();
    assert_eq!(told.iter().count(), 1, "{told}");
}

#[test]
fn people_are_reached_through_the_account_that_fits() {
    let two = |ring: &str| {
        let user = "[[gateway.user]]\nname = 'alice'\npassword_file = 'p'";
        format!("{user}\n{ACCOUNT}\n[call]\nring = [{ring}]")
    };
    let bench = Bench::new();
    bench.secret("p", "x");
    let reached = |config: &str| targets(&bench.load(config).unwrap());
    assert_eq!(reached(&two("'alice'")), ["home alice@home.local"]);
    assert_eq!(reached(&two("'cloud:bob'")), ["cloud bob@example.org"]);
    assert_eq!(
        reached(&two("'bob@example.org'")),
        ["cloud bob@example.org"]
    );
    assert_eq!(
        reached(&two("'cloud:bob@other.org'")),
        ["cloud bob@other.org"]
    );
    assert_eq!(
        reached(&format!("{ACCOUNT}\n[call]\nring = ['bob']")),
        ["cloud bob@example.org"]
    );

    let torn = lines(&bench.faults(&two("'bob@other.org'")));
    assert!(
        torn[0].ends_with("'bob@other.org' could be reached through several accounts; write which one: \"cloud:bob@other.org\""),
        "{torn:?}"
    );
}

#[test]
fn a_ring_plan_rings_step_by_step_over_several_accounts() {
    let bench = Bench::new();
    bench.secret("p", "x");
    let user = "[[gateway.user]]\nname = 'alice'\npassword_file = 'p'";
    let steps = "[[call.ring_step]]\nring = ['alice', 'cloud:bob']\n\
                 [[call.ring_step]]\nring = ['cloud:carol']\nfor_s = 45";
    let plan = bench.load(&format!("{user}\n{ACCOUNT}\n{steps}")).unwrap();
    let plan = plan.call.ring.iter().map(|step| {
        let rung: Vec<_> = step.targets.iter().map(|t| t.to.as_str()).collect();
        (rung.join(" "), step.time.as_secs())
    });
    assert_eq!(
        plan.collect::<Vec<_>>(),
        [
            ("alice@home.local bob@example.org".to_owned(), 20),
            ("carol@example.org".to_owned(), 45),
        ]
    );
}

#[test]
fn an_account_alone_must_say_whom_it_rings() {
    let bench = Bench::new();
    bench.secret("p", "x");
    let told = lines(&bench.faults(ACCOUNT));
    assert_eq!(
        told,
        ["call.ring: is missing; say whom the bell rings: ring = [\"account:name@domain\"]"]
    );
}

#[test]
fn plain_http_is_for_ourselves() {
    let bench = Bench::new();
    bench.secret("p", "x");
    for listen in ["127.0.0.1:0", "[::1]:8080"] {
        let config = with_gateway(&format!("plain_http = true\nlisten = '{listen}'"));
        assert_eq!(bench.load(&config).unwrap().gateway.unwrap().tls, Tls::Off);
    }
    let config = with_gateway("plain_http = true\nlisten = '192.168.0.7:80'");
    assert_eq!(bench.faults(&config).count(), 1);
}

#[test]
fn a_gateway_that_is_switched_off_is_none_but_still_checked() {
    let bench = Bench::new();
    bench.secret("p", "x");
    let ring = "[call]\nring = ['bob']";
    let off = bench
        .load(&format!("[gateway]\nenabled = false\n{ACCOUNT}\n{ring}"))
        .unwrap();
    assert!(off.gateway.is_none());
    let wrong = bench.faults(&format!(
        "[gateway]\nenabled = false\nlisten = 1\n{ACCOUNT}\n{ring}"
    ));
    assert_eq!(wrong.count(), 1, "{wrong}");
}

#[test]
fn debug_of_a_configuration_shows_no_secret() {
    let bench = Bench::new();
    bench.secret("p", "hunter2");
    let config = format!("{ONE_USER}\n{ACCOUNT}");
    let shown = format!("{:?}", bench.load(&config).unwrap());
    assert!(
        shown.contains("alice@home.local") && !shown.contains("hunter2"),
        "{shown}"
    );
}
