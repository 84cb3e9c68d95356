//! `[panel]`: which board, what differs from it, and what its parts do.

use std::time::Duration;

use super::Surroundings;
use super::board::{self, BoardFile, Functions};
use super::checked::Panel;
use super::fault::nearest;
use super::raw::{At, Table, meant, short};
use crate::board::{Active, Board, Gpio, Header, Light, Wiring};
use crate::panel::action::{Action, Actions};
use crate::panel::light_pattern::{self, Colour, Pattern, Shape};
use crate::panel::look::{Looks, Night};
use crate::panel::settings::{Button, Settings};
use crate::panel::sign::Sign;

/// Reads the section. `plans` are the names of the ring plans, in their order.
pub(super) fn panel(table: &mut Table<'_, '_>, around: &Surroundings, plans: &[String]) -> Panel {
    let kind = table.choice("kind", &Gpio::WORDS);
    let (file, at) = board_of(table, around);
    let mut wiring = file.board.wiring.clone();
    let kind = match (&kind, &at) {
        (Some(kind), None) if kind.value != Gpio::Sim => {
            let help = "name the board: board = \"pi4\"; `doorstation board list` names them all";
            table.note_with(
                kind,
                "needs a board that says which lines",
                Some(help.into()),
            );
            Gpio::Sim
        }
        (Some(kind), _) => kind.value,
        (None, _) => wiring.gpio,
    };
    wiring.gpio = kind;
    chip(table, &mut wiring, at.as_ref());
    let mut functions = Functions::default();
    let buttons = buttons(table, &file, plans, &mut functions);
    wiring.buttons = buttons.iter().map(wired).collect();
    lights(table, &mut wiring, file.board.header, &mut functions);
    board::relay_and_sensors(table, &mut wiring, file.board.header, &mut functions);
    functions.check(table);
    let entrance_light = table.number("entrance_light_s", 1..=600, " seconds");
    let settings = Settings {
        buttons,
        looks: looks(table),
        entrance_light: entrance_light.map_or(Settings::ENTRANCE_LIGHT, |at| {
            Duration::from_secs(at.value.into())
        }),
        wiring: wiring.clone(),
    };
    table.finish();
    Panel {
        kind,
        board: at.map(|_| Board {
            wiring,
            ..file.board
        }),
        settings,
    }
}

/// The board that is named; without one a desk.
fn board_of(table: &mut Table<'_, '_>, around: &Surroundings) -> (BoardFile, Option<At<String>>) {
    let written = table.text("board");
    let name = written.as_ref().map_or("sim", |at| at.value.as_str());
    match board::load_in(name, &around.directory) {
        Ok(file) => (file, written),
        Err(faults) => {
            // Each mistake of the board's file is one of this file, too.
            if let Some(written) = &written {
                for fault in faults.to_string().lines() {
                    table.note(written, fault);
                }
            }
            (desk(), written)
        }
    }
}

/// A board with nothing on it, to go on reading.
fn desk() -> BoardFile {
    BoardFile {
        board: Board {
            name: "sim".into(),
            title: String::new(),
            notes: Vec::new(),
            header: Header::Unknown,
            wiring: Wiring {
                gpio: Gpio::Sim,
                ..Wiring::default()
            },
            sound: Vec::new(),
            cameras: Vec::new(),
            config_txt: Vec::new(),
            udev: Vec::new(),
        },
        actions: [].into(),
    }
}

/// Which chip the lines are on.
fn chip(table: &mut Table<'_, '_>, wiring: &mut Wiring, board: Option<&At<String>>) {
    if let Some(chip) = table.text("chip") {
        if chip.value.is_empty() || chip.value.contains(char::is_control) {
            table.note(
                &chip,
                "must be the label of a chip, as `gpiodetect` prints it",
            );
        }
        wiring.chips = vec![chip.value];
    }
    let needs = matches!(wiring.gpio, Gpio::Auto | Gpio::Gpiocdev);
    if let Some(board) = board.filter(|_| needs && wiring.chips.is_empty() && table.noted() == 0) {
        let help = "add chip = \"LABEL\", as `gpiodetect` prints it";
        table.note_with(board, "names no chip of its own", Some(help.into()));
    }
}

fn wired(button: &Button) -> crate::board::Button {
    crate::board::Button {
        name: button.name.clone(),
        input: button.input,
    }
}

/// The board's buttons with what `[[panel.button]]` says of them, and new ones.
fn buttons(
    table: &mut Table<'_, '_>,
    file: &BoardFile,
    plans: &[String],
    functions: &mut Functions,
) -> Vec<Button> {
    let mut left = file.board.wiring.buttons.clone();
    let mut buttons = Vec::new();
    for mut table in table.tables("button") {
        let name = board::thing_name(&mut table);
        let base = name
            .as_ref()
            .and_then(|name| left.iter().position(|button| button.name == name.value))
            .map(|at| left.remove(at));
        let known = file.board.wiring.buttons.iter();
        let known = known.map(|button| button.name.as_str());
        if let (Some(name), None) = (&name, &base)
            && !table.has("pin")
        {
            note_unknown(&table, name, "button", known);
            continue;
        }
        let usual = file.actions.get(name.as_ref().map_or("", |at| &at.value));
        let usual = usual.copied().unwrap_or(Action::Call(None));
        let input = base.map(|base| base.input);
        let input = board::input(&mut table, input, file.board.header, Active::Low);
        let mut button = Button {
            actions: Actions::always(usual),
            ..plain(
                String::new(),
                crate::board::Input {
                    pin: 0,
                    active: Active::Low,
                    pull: crate::board::Pull::Up,
                },
            )
        };
        does(&mut table, &mut button, usual, plans);
        table.finish();
        if let (Some(name), Some((input, pin))) = (name, input) {
            functions.named(&table, vec![pin], "button", &name);
            (button.name, button.input) = (name.value, input);
            buttons.push(button);
        }
    }
    for button in left {
        let action = file.actions.get(&button.name).copied();
        functions.add(
            (button.input.pin, None),
            format!("the button '{}'", button.name),
        );
        buttons.push(Button {
            actions: Actions::always(action.unwrap_or(Action::Call(None))),
            ..plain(button.name, button.input)
        });
    }
    buttons
}

fn plain(name: String, input: crate::board::Input) -> Button {
    Button {
        name,
        input,
        actions: Actions::always(Action::Call(None)),
        long_press: None,
        least_press: Button::LEAST_PRESS,
    }
}

/// What a button does, and when a press is one.
fn does(table: &mut Table<'_, '_>, button: &mut Button, usual: Action, plans: &[String]) {
    let plan = ring_plan(table, plans);
    let mut action = |key, otherwise: Action| {
        let action = table.choice(key, &Action::WORDS);
        let action = action.map_or(otherwise, |at| at.value);
        plan.map_or(action, |plan| action.with_plan(plan))
    };
    let idle = action("action", usual);
    button.actions = Actions {
        idle,
        calling: action("when_calling", idle),
        ringing: action("when_ringing", idle),
        talking: action("when_talking", idle),
    };
    let held = action("long_press", Action::None);
    let long = table.number("long_press_ms", 300..=10_000, " ms");
    let long = long.map_or(Button::LONG_PRESS, |at| {
        Duration::from_millis(at.value.into())
    });
    button.long_press = (held != Action::None).then_some((long, held));
    if let Some(least) = table.number("least_press_ms", 5..=250, " ms") {
        button.least_press = Duration::from_millis(least.value.into());
    }
}

fn ring_plan(table: &mut Table<'_, '_>, plans: &[String]) -> Option<usize> {
    let written = table.text("ring_plan")?;
    let place = plans.iter().position(|plan| *plan == written.value);
    if place.is_none() {
        let what = format!(
            "there is no [[call.plan]] named '{}'",
            short(&written.value)
        );
        let known = plans.iter().map(String::as_str);
        table.note_with(&written, what, nearest(&written.value, known).map(meant));
    }
    place
}

fn note_unknown<'n>(
    table: &Table<'_, '_>,
    name: &At<String>,
    kind: &str,
    known: impl Iterator<Item = &'n str>,
) {
    let known: Vec<_> = known.collect();
    let what = format!("the board has no {kind} '{}'", short(&name.value));
    let help = match nearest(&name.value, known.iter().copied()) {
        Some(near) => meant(near),
        None => "give it a line of its own, pin = N, to add it".to_owned(),
    };
    table.note_with(name, what, Some(help));
}

/// The board's lights with what `[[panel.light]]` says of them, and new ones.
fn lights(
    table: &mut Table<'_, '_>,
    wiring: &mut Wiring,
    header: Header,
    functions: &mut Functions,
) {
    let mut left = std::mem::take(&mut wiring.lights);
    let known: Vec<_> = left.iter().map(|light| light.name.clone()).collect();
    for mut table in table.tables("light") {
        let Some(name) = board::thing_name(&mut table) else {
            continue;
        };
        let base = left.iter().position(|light| light.name == name.value);
        let base = base.map(|at| left.remove(at));
        let has_lines = ["pin", "red", "green", "blue"]
            .iter()
            .any(|key| table.has(key));
        if base.is_none() && !has_lines {
            note_unknown(&table, &name, "light", known.iter().map(String::as_str));
            continue;
        }
        if let Some((lamp, shows, pins)) = board::light(&mut table, base.as_ref(), header) {
            functions.named(&table, pins, "light", &name);
            let name = name.value;
            wiring.lights.push(Light { name, lamp, shows });
        }
        table.finish();
    }
    for light in left {
        for output in light.lamp.outputs() {
            functions.add((output.pin, None), format!("the light '{}'", light.name));
        }
        wiring.lights.push(light);
    }
}

/// `brightness_percent`, `[panel.night]` and `[panel.sign.NAME]`.
fn looks(table: &mut Table<'_, '_>) -> Looks {
    let brightness_percent = percent(table).unwrap_or(100);
    let night = night(&mut table.table("night"));
    let mut looks = Looks {
        brightness_percent,
        night,
        ..Looks::default()
    };
    let mut signs = table.table("sign");
    let mut last = None;
    for sign in Sign::ALL {
        if looks.changed.contains_key(sign.word()) {
            continue;
        }
        let mut table = signs.table(sign.word());
        let pattern = pattern(&mut table, sign);
        if table.is_there() {
            looks.changed.insert(sign.word(), pattern);
            last = Some(table);
        }
    }
    signs.finish();
    if let (Some(table), Some((a, b))) = (last, looks.look_alike()) {
        let what = format!(
            "the signs '{}' and '{}' look alike to whoever does not see colours",
            a.word(),
            b.word()
        );
        table.whole(
            &what,
            "give one of them another pattern, period or brightness",
        );
    }
    looks
}

fn night(table: &mut Table<'_, '_>) -> Option<Night> {
    if !table.is_there() {
        return None;
    }
    let from = time_of_day(table, "from");
    let to = time_of_day(table, "to");
    let brightness_percent = percent(table).unwrap_or(30);
    table.finish();
    Some(Night {
        from: from?,
        to: to?,
        brightness_percent,
    })
}

/// `22:30` as the minute of the day.
fn time_of_day(table: &mut Table<'_, '_>, key: &'static str) -> Option<u16> {
    if !table.has(key) {
        table.missing(key, "a time of day, such as \"22:00\"");
    }
    let written = table.text(key)?;
    let parts = written.value.split_once(':');
    let minute = parts.and_then(|(hours, minutes)| {
        let two = |text: &str, most: u16| match text.len() {
            2 => text.parse::<u16>().ok().filter(|n| *n <= most),
            _ => None,
        };
        Some(two(hours, 23)? * 60 + two(minutes, 59)?)
    });
    if minute.is_none() {
        let what = format!(
            "'{}' is not a time of day, such as \"22:00\"",
            short(&written.value)
        );
        table.note(&written, what);
    }
    minute
}

fn percent(table: &mut Table<'_, '_>) -> Option<u8> {
    let percent = table.number("brightness_percent", 1..=100, " %")?;
    u8::try_from(percent.value).ok()
}

/// A sign's pattern; what is left out is the house's.
fn pattern(table: &mut Table<'_, '_>, sign: Sign) -> Pattern {
    /// The words of shapes.
    #[derive(Clone, Copy)]
    enum Word {
        Steady,
        Pulse,
        Blink,
        Flash,
    }
    const WORDS: [(&str, Word); 4] = [
        ("steady", Word::Steady),
        ("pulse", Word::Pulse),
        ("blink", Word::Blink),
        ("flash", Word::Flash),
    ];
    let house = light_pattern::of(sign);
    let (word, period, count) = match house.shape {
        Shape::Off | Shape::Steady => (Word::Steady, Duration::from_secs(1), 1),
        Shape::Pulse(period) => (Word::Pulse, period, 1),
        Shape::Blink(period) => (Word::Blink, period, 1),
        Shape::Flashes(count, period) => (Word::Flash, period, count),
    };
    let colour = table.choice("colour", &Colour::WORDS);
    let word = table.choice("pattern", &WORDS).map_or(word, |at| at.value);
    let written = table.number("period_ms", 200..=10_000, " ms");
    let period = written
        .as_ref()
        .map_or(period, |at| Duration::from_millis(at.value.into()));
    let flashes = table.number("flashes", 1..=5, "");
    let count = flashes
        .as_ref()
        .map_or(count, |at| at.value.try_into().unwrap_or(1));
    let shape = match word {
        Word::Steady => Shape::Steady,
        Word::Pulse => Shape::Pulse(period),
        Word::Blink => Shape::Blink(period),
        Word::Flash => Shape::Flashes(count, period),
    };
    if let (Shape::Flashes(..), Some(at)) = (shape, written.or(flashes))
        && period < light_pattern::FLASH * 2 * u32::from(count)
    {
        let what = format!("{count} flashes take {} ms", 200 * u32::from(count));
        table.note_with(&at, what, Some("make the period longer".into()));
    }
    let brightness = percent(table);
    table.finish();
    Pattern {
        colour: colour.map_or(house.colour, |at| at.value),
        shape,
        brightness: match brightness {
            // Rounded down to full steps of 1/255.
            Some(percent) => (u16::from(percent) * 255 / 100).try_into().unwrap_or(255),
            None => house.brightness,
        },
    }
}
