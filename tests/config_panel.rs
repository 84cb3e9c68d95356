//! Boards, and the `[panel]` section that uses and changes them.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod config_bench;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use config_bench::{Bench, lines, one_user};
use doorstation::board::{Active, Colour, Gpio, Lamp, Pull, drawing, table};
use doorstation::call::Sensor;
use doorstation::config::{self, Checked};
use doorstation::panel::action::Action;
use doorstation::panel::light_pattern::Shape;
use doorstation::panel::look::Looks;
use doorstation::panel::sign::Sign;

#[test]
fn every_board_is_right_and_what_is_drawn_and_tabled_of_it_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/panel.md")).unwrap();
    for name in config::board::names() {
        let file = config::board::load(name).unwrap();
        assert_eq!(file.board.name, name);
        if file.board.wiring.gpio == Gpio::Sim {
            continue;
        }
        let table = table::markdown(&file.board);
        assert!(
            document.contains(&table),
            "docs/panel.md: the table of {name} is not that of `doorstation board show {name}`:\n{table}"
        );
        let drawn = root.join(format!("docs/boards/{name}.svg"));
        assert!(
            std::fs::read_to_string(&drawn).unwrap_or_default() == drawing::svg(&file.board),
            "doorstation board show {name} --svg > docs/boards/{name}.svg"
        );
    }
}

#[test]
fn a_board_is_wired_as_it_says() {
    let board = config::board::load("pi4").unwrap().board;
    assert_eq!(board.wiring.gpio, Gpio::Auto);
    assert_eq!(board.wiring.chips, ["pinctrl-bcm2711", "pinctrl-bcm2835"]);
    let bell = &board.wiring.buttons[0];
    assert_eq!((bell.name.as_str(), bell.input.pin), ("bell", 17));
    assert_eq!(
        (bell.input.active, bell.input.pull),
        (Active::Low, Pull::Up)
    );
    assert_eq!(board.wiring.relay.unwrap().pin, 26);
    assert_eq!(board.wiring.sensors[&Sensor::Tamper].pin, 13);
    let rgb = config::board::load("zero2w").unwrap().board;
    assert!(matches!(rgb.wiring.lights[0].lamp, Lamp::Rgb { .. }));
}

#[test]
fn every_mistake_of_a_board_file_is_told_at_once() {
    let text = r#"
title = "mine"
header = "raspberry-pi-40"
[gpio]
backend = "gpoicdev"
[[button]]
name = "bell"
pin = 17
[[button]]
name = "bell"
pin = 17
[[light]]
name = "call"
kind = "rgb"
red = 26
green = 5
[[light]]
name = "talk"
pin = 40
shows = "gren"
[relay]
pin = 5
active = "hgh"
[sensor.tamper]
pin = 17
[sensor.smoke]
pin = 4
[boot]
confg_txt = []
"#;
    let faults = config::board::parse("mine", Path::new("mine.toml"), text).unwrap_err();
    let told: Vec<_> = faults.to_string().lines().map(str::to_owned).collect();
    let want = [
        "mine.toml:5:11: gpio.backend: 'gpoicdev' is not one of auto, gpiocdev, rppal, sim; did you mean 'gpiocdev'?",
        "mine.toml:10:8: button[1].name: there are two buttons named 'bell'",
        "mine.toml:11:7: button[1].pin: line 17 is the button 'bell' already and cannot be the button 'bell' too",
        "mine.toml:12:1: light[0].blue: is missing; say which line of the chip",
        "mine.toml:19:7: light[1].pin: must be 2 to 27, is 40",
        "mine.toml:20:9: light[1].shows: 'gren' is not one of all, amber, green, blue, red, white, entrance; did you mean 'green'?",
        "mine.toml:23:10: relay.active: 'hgh' is not one of low, high; did you mean 'high'?",
        "mine.toml:25:7: sensor.tamper.pin: line 17 is the button 'bell' already and cannot be the sensor 'tamper' too",
        "mine.toml:26:9: sensor.smoke: is not a key of this version; known here: request_to_exit, door_contact, tamper",
        "mine.toml:29:1: boot.confg_txt: is not a key of this version; did you mean 'config_txt'?",
    ];
    assert_eq!(told, want);
}

#[test]
fn two_functions_on_one_line_are_told_wherever_they_stand() {
    for (panel, want) in [
        (
            "board = 'pi4'\n[panel.relay]\npin = 23",
            "8:7: panel.relay.pin: line 23 is the light 'call' already and cannot be the relay too",
        ),
        (
            "board = 'pi4'\n[[panel.button]]\nname = 'bell'\npin = 26",
            "9:7: panel.button[0].pin: line 26 is the relay already and cannot be the button 'bell' too",
        ),
        (
            "board = 'pi4'\n[[panel.button]]\nname = 'second'\npin = 17",
            "9:7: panel.button[0].pin: line 17 is the button 'bell' already and cannot be the button 'second' too",
        ),
        (
            "board = 'pi4'\n[panel.sensor.tamper]\npin = 12",
            "8:7: panel.sensor.tamper.pin: line 12 is the sensor 'door_contact' already and cannot be the sensor 'tamper' too",
        ),
    ] {
        assert_eq!(told(panel), [want], "{panel}");
    }
    // Two that change places are no mistake.
    let swapped = "board = 'pi4'\n[[panel.light]]\nname = 'call'\npin = 24\n\
                   [[panel.light]]\nname = 'talk'\npin = 23";
    let lights = load(swapped).panel.settings.wiring.lights;
    let pins = lights.iter().map(|light| light.lamp.outputs()[0].pin);
    assert_eq!(pins.collect::<Vec<_>>(), [24, 23, 22, 25, 5, 16]);
}

#[test]
fn each_mistake_in_the_section_has_its_sentence() {
    for (panel, want) in [
        (
            "board = 'pi44'",
            "6:9: panel.board: pi44: is no board of this version (pi4, pi5, zero2w, generic, sim), and no path to a file; did you mean 'pi4'?",
        ),
        (
            "board = 'mine.toml'",
            "6:9: panel.board: DIR/mine.toml: there is no such file; `doorstation board show pi4 --toml` prints one",
        ),
        (
            "kind = 'gpiocdev'",
            "6:8: panel.kind: needs a board that says which lines; name the board: board = \"pi4\"; `doorstation board list` names them all",
        ),
        (
            "board = 'generic'",
            "6:9: panel.board: names no chip of its own; add chip = \"LABEL\", as `gpiodetect` prints it",
        ),
        (
            "board = 'pi4'\n[[panel.button]]\nname = 'bel'",
            "8:8: panel.button[0].name: the board has no button 'bel'; did you mean 'bell'?",
        ),
        (
            "board = 'pi4'\n[[panel.button]]\nname = 'garage'",
            "8:8: panel.button[0].name: the board has no button 'garage'; give it a line of its own, pin = N, to add it",
        ),
        (
            "board = 'pi4'\n[[panel.button]]\nname = 'bell'\nring_plan = 'ofice'\n[[call.plan]]\nname = 'office'",
            "9:13: panel.button[0].ring_plan: there is no [[call.plan]] named 'ofice'; did you mean 'office'?",
        ),
        (
            "board = 'pi4'\n[[panel.button]]\nname = 'bell'\naction = 'open'",
            "9:10: panel.button[0].action: 'open' is not one of call, answer, reject, end, toggle, light, none",
        ),
        (
            "[panel.night]\nfrom = '22:00'\nto = '25:00'",
            "7:6: panel.night.to: '25:00' is not a time of day, such as \"22:00\"",
        ),
        (
            "[panel.sign.open]\npattern = 'pulse'\nperiod_ms = 1000",
            "5:1: panel.sign.open: the signs 'ringing' and 'open' look alike to whoever does not see colours; give one of them another pattern, period or brightness",
        ),
        (
            "[panel.sign.fault]\nflashes = 5\nperiod_ms = 900",
            "7:13: panel.sign.fault.period_ms: 5 flashes take 1000 ms; make the period longer",
        ),
    ] {
        let told = told(panel);
        let [line] = &told[..] else {
            panic!("{panel}\n{told:?}");
        };
        assert_eq!(line, want, "{panel}");
    }
}

#[test]
fn the_mistakes_of_a_board_file_are_mistakes_of_the_configuration() {
    let bench = Bench::new();
    bench.secret("p", "x");
    bench.file(
        "mine.toml",
        "[[button]]\nname = 'bell'\npin = 1\n[relay]\npin = 1\nactiv = 1\n",
        0o644,
    );
    let faults = bench.faults(&one_user("[panel]\nboard = 'mine.toml'"));
    assert_eq!(
        lines(&faults),
        [
            "6:9: panel.board: DIR/mine.toml:5:7: relay.pin: line 1 is the button 'bell' already and cannot be the relay too",
            "6:9: panel.board: DIR/mine.toml:6:1: relay.activ: is not a key of this version; did you mean 'active'?",
        ]
    );
}

#[test]
fn a_configuration_changes_what_its_board_says() {
    let checked = load(
        r#"
board = "pi4"
kind = "gpiocdev"
chip = "pinctrl-other"
brightness_percent = 80
entrance_light_s = 5
[panel.night]
from = "22:30"
to = "06:00"
brightness_percent = 10
[[panel.button]]
name = "bell"
pin = 4
active = "high"
action = "toggle"
when_talking = "none"
long_press = "light"
long_press_ms = 2000
least_press_ms = 50
ring_plan = "office"
[[panel.button]]
name = "second"
pin = 20
[[panel.light]]
name = "call"
kind = "plain"
active = "low"
[panel.relay]
active = "low"
[panel.sign.on_hold]
colour = "amber"
pattern = "flash"
flashes = 4
period_ms = 2000
[[call.plan]]
name = "garage"
[[call.plan]]
name = "office"
ring = ["alice"]
ring_timeout_s = 30
"#,
    );
    let settings = &checked.panel.settings;
    assert_eq!(checked.panel.kind, Gpio::Gpiocdev);
    assert_eq!(settings.wiring.chips, ["pinctrl-other"]);
    assert_eq!(settings.entrance_light, Duration::from_secs(5));

    let [bell, second, light] = &settings.buttons[..] else {
        panic!("{:?}", settings.buttons);
    };
    assert_eq!((bell.input.pin, bell.input.active), (4, Active::High));
    assert_eq!(bell.input.pull, Pull::Up, "what is left out is the board's");
    assert_eq!(bell.actions.idle, Action::Toggle(Some(1)));
    assert_eq!(bell.actions.talking, Action::None);
    assert_eq!(
        bell.long_press,
        Some((Duration::from_secs(2), Action::Light))
    );
    assert_eq!(bell.least_press, Duration::from_millis(50));
    assert_eq!(second.actions.idle, Action::Call(None));
    assert_eq!(light.actions.idle, Action::Light);
    assert_eq!(checked.call.plans[1].0, "office");
    assert_eq!(checked.call.plans[1].1[0].time, Duration::from_secs(30));

    let call = settings
        .wiring
        .lights
        .iter()
        .find(|light| light.name == "call");
    assert!(matches!(call.unwrap().lamp, Lamp::Plain(line) if line.active == Active::Low));
    assert_eq!(settings.wiring.relay.unwrap().active, Active::Low);
    assert_eq!(settings.wiring.relay.unwrap().pin, 26);

    let hold = settings.looks.of(Sign::OnHold, 12 * 60);
    assert_eq!(hold.colour, Colour::Amber);
    assert_eq!(hold.shape, Shape::Flashes(4, Duration::from_secs(2)));
    assert_eq!(hold.brightness, 204);
    assert_eq!(settings.looks.of(Sign::OnHold, 0).brightness, 25);
}

#[test]
fn without_a_board_the_panel_is_a_desk() {
    let checked = load("");
    assert_eq!(checked.panel.kind, Gpio::Sim);
    assert_eq!(checked.panel.board, None);
    assert_eq!(checked.panel.settings.looks, Looks::default());
    assert_eq!(load("board = 'pi4'").panel.kind, Gpio::Auto);
}

#[test]
fn the_command_lists_shows_and_checks_boards() {
    let listed = run(&["board", "list"]);
    let text = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(text.lines().count(), config::board::names().count());
    assert!(text.contains("pi4        Raspberry Pi 3 and 4\n"), "{text}");

    let shown = run(&["board", "show", "pi4"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("| button bell "), "{text}");
    let shown = run(&["board", "show", "zero2w", "--toml"]);
    assert_eq!(shown.stdout, include_bytes!("../board/zero2w.toml"));

    let checked = run(&["board", "check", "generic"]);
    assert!(checked.status.success());
    let told = String::from_utf8(checked.stderr).unwrap();
    assert!(told.contains("it names no chip"), "{told}");
}

#[test]
fn what_is_wrong_ends_with_exit_code_2_and_opens_nothing() {
    let bench = Bench::new();
    bench.secret("p", "x");
    bench.file(
        "bad.toml",
        "[[light]]\nname = 'a'\npin = 3\n[relay]\npin = 3\n",
        0o644,
    );
    let bad = bench.path("bad.toml");
    let bad = bad.to_str().unwrap();
    let config = bench.write(&one_user("[panel]\nboard = 'bad.toml'"));
    let config = config.to_str().unwrap();
    for arguments in [
        &["board", "check", bad][..],
        &["config", "check", config],
        &["run", "--config", config],
        &["leds", "test", "--config", config],
        &["buttons", "watch", "--config", config],
    ] {
        let output = run(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains("cannot be the relay too"), "{told}");
    }
}

#[test]
fn a_panel_whose_lines_cannot_be_opened_says_why() {
    if Path::new("/dev/gpiochip0").exists() {
        eprintln!("skipped: this machine has GPIO lines, and they are not a test's to drive");
        return;
    }
    let bench = Bench::new();
    bench.secret("p", "x");
    let config = bench.write(&one_user("[panel]\nboard = 'pi4'\nkind = 'gpiocdev'"));
    let config = config.to_str().unwrap();
    let output = run(&["leds", "test", "--config", config]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    let why =
        "no GPIO chip is labelled pinctrl-bcm2711 or pinctrl-bcm2835; this machine has none at all";
    assert!(told.contains(why), "{told}");
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_doorstation"))
        .args(arguments)
        .output()
        .unwrap()
}

fn load(panel: &str) -> Checked {
    let bench = Bench::new();
    bench.secret("p", "x");
    let config = one_user(&format!("[panel]\n{panel}"));
    bench.load(&config).unwrap()
}

fn told(panel: &str) -> Vec<String> {
    let bench = Bench::new();
    bench.secret("p", "x");
    // A section of its own must not begin twice.
    let config = match panel.starts_with('[') {
        true => one_user(panel),
        false => one_user(&format!("[panel]\n{panel}")),
    };
    lines(&bench.faults(&config))
}
