//! Board files: those of the binary, and those that somebody wrote.
//!
//! The readers of a button, a light, a sensor and the relay serve the `[panel]`
//! section of a configuration too, where each key that is left out keeps the
//! board's value.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::fault::{Faults, nearest};
use super::raw::{At, Table, meant, short, with_document};
use super::sources::Sources;
use super::{people, text_of};
use crate::board::{
    Active, Board, Button, Gpio, Header, Input, Lamp, Light, Output, Pull, SENSORS, Shows, Wiring,
};
use crate::panel::action::Action;

/// The boards that are part of the binary.
const BUILT_IN: [(&str, &str); 5] = [
    ("pi4", include_str!("../../board/pi4.toml")),
    ("pi5", include_str!("../../board/pi5.toml")),
    ("zero2w", include_str!("../../board/zero2w.toml")),
    ("generic", include_str!("../../board/generic.toml")),
    ("sim", include_str!("../../board/sim.toml")),
];

/// What helps where there is no such file.
const EXAMPLE: &str = "`doorstation board show pi4 --toml` prints one";

/// A board, and what its buttons do unless a configuration says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardFile {
    /// The board.
    pub board: Board,
    /// The action of each button, by its name.
    pub actions: BTreeMap<String, Action>,
}

/// The names of the boards of the binary.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// Reads a board: one of the binary by its name, or a file, whose name holds a `/`
/// or ends with `.toml`.
///
/// # Errors
/// There is none of this name, or every mistake in it.
pub fn load(board: &str) -> Result<BoardFile, Faults> {
    load_in(board, Path::new(""))
}

/// Like [`load`], with the directory at which a relative path starts.
pub(super) fn load_in(board: &str, directory: &Path) -> Result<BoardFile, Faults> {
    if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == board) {
        return parse(name, &PathBuf::from(format!("board/{name}.toml")), text);
    }
    if !board.contains('/') && !board.ends_with(".toml") {
        let what = format!(
            "is no board of this version ({}), and no path to a file{}",
            names().collect::<Vec<_>>().join(", "),
            nearest(board, names()).map_or_else(String::new, |name| format!("; {}", meant(name)))
        );
        return Err(Faults::whole_file(Path::new(&short(board)), what));
    }
    let path = directory.join(board);
    let text = text_of(&path, EXAMPLE).map_err(|what| Faults::whole_file(&path, what))?;
    let name = path.file_stem().map(|stem| stem.to_string_lossy());
    parse(&name.unwrap_or_default(), &path, &text)
}

/// The text of a board file, as [`load`] finds it.
///
/// # Errors
/// It cannot be read.
pub fn source(board: &str) -> Result<String, Faults> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(name, _)| *name == board) {
        return Ok((*text).to_owned());
    }
    let path = Path::new(board);
    text_of(path, EXAMPLE).map_err(|what| Faults::whole_file(path, what))
}

/// Reads the text of a board file.
///
/// # Errors
/// Every mistake in it.
pub fn parse(name: &str, path: &Path, text: &str) -> Result<BoardFile, Faults> {
    let mut faults = Vec::new();
    let sources = Sources::one(path, text);
    let read = with_document(&sources, &mut faults, |file| document(file, name));
    match read {
        Some(read) if faults.is_empty() => Ok(read),
        Some(_) | None => Err(Faults::new(&sources, faults)),
    }
}

fn document(file: &mut Table<'_, '_>, name: &str) -> BoardFile {
    let title = file.text("title").map_or_else(|| name.to_owned(), value);
    let header = file.choice("header", &Header::WORDS);
    let header = header.map_or(Header::Unknown, |at| at.value);
    let notes = texts(file, "notes");
    let mut gpio = file.table("gpio");
    let mut wiring = Wiring {
        gpio: gpio
            .choice("backend", &Gpio::WORDS)
            .map_or(Gpio::Auto, |at| at.value),
        chips: texts(&mut gpio, "chips"),
        ..Wiring::default()
    };
    gpio.finish();

    let mut functions = Functions::default();
    let mut actions = BTreeMap::new();
    for mut table in file.tables("button") {
        let action = table.choice("action", &Action::WORDS);
        let name = thing_name(&mut table);
        if let (Some(name), Some((input, pin))) =
            (name, input(&mut table, None, header, Active::Low))
        {
            functions.named(&table, vec![pin], "button", &name);
            let action = action.map_or(Action::Call(None), |at| at.value);
            actions.insert(name.value.clone(), action);
            let name = name.value;
            wiring.buttons.push(Button { name, input });
        }
        table.finish();
    }
    for mut table in file.tables("light") {
        let name = thing_name(&mut table);
        if let (Some(name), Some((lamp, shows, pins))) = (name, light(&mut table, None, header)) {
            functions.named(&table, pins, "light", &name);
            let name = name.value;
            wiring.lights.push(Light { name, lamp, shows });
        }
        table.finish();
    }
    relay_and_sensors(file, &mut wiring, header, &mut functions);
    functions.check(file);

    let mut hints = file.table("hints");
    let (sound, cameras) = (texts(&mut hints, "sound"), texts(&mut hints, "cameras"));
    hints.finish();
    let mut boot = file.table("boot");
    let (config_txt, udev) = (texts(&mut boot, "config_txt"), texts(&mut boot, "udev"));
    boot.finish();
    file.finish();
    let board = Board {
        name: name.to_owned(),
        title,
        notes,
        header,
        wiring,
        sound,
        cameras,
        config_txt,
        udev,
    };
    BoardFile { board, actions }
}

/// `[relay]` and `[sensor.NAME]`: what is written changes what `wiring` holds.
pub(super) fn relay_and_sensors(
    within: &mut Table<'_, '_>,
    wiring: &mut Wiring,
    header: Header,
    functions: &mut Functions,
) {
    let mut table = within.table("relay");
    if table.is_there() || wiring.relay.is_some() {
        if let Some((relay, pin)) = relay(&mut table, wiring.relay, header) {
            functions.add(pin, "the relay".to_owned());
            wiring.relay = Some(relay);
        }
        table.finish();
    }
    let mut sensors = within.table("sensor");
    for (word, sensor) in SENSORS {
        let mut table = sensors.table(word);
        let base = wiring.sensors.get(&sensor).copied();
        if table.is_there() || base.is_some() {
            if let Some((input, pin)) = input(&mut table, base, header, Active::High) {
                functions.add(pin, format!("the sensor '{word}'"));
                wiring.sensors.insert(sensor, input);
            }
            table.finish();
        }
    }
    sensors.finish();
}

/// Which line has which function, to find two on one.
#[derive(Default)]
pub(super) struct Functions {
    /// Number, place if it was written in this file, and what it is.
    lines: Vec<(u32, Option<At<u32>>, String)>,
    names: Vec<(&'static str, String)>,
}

/// A line's number, and where it was written; `None` means elsewhere.
pub(super) type Pin = (u32, Option<At<u32>>);

impl Functions {
    pub(super) fn add(&mut self, (line, at): Pin, what: String) {
        self.lines.push((line, at, what));
    }

    /// Adds something with a name, which must be the only one of its kind.
    pub(super) fn named(
        &mut self,
        table: &Table<'_, '_>,
        pins: Vec<Pin>,
        kind: &'static str,
        name: &At<String>,
    ) {
        let known = (kind, name.value.clone());
        if self.names.contains(&known) {
            let what = format!("there are two {kind}s named '{}'", name.value);
            table.note(name, what);
        }
        self.names.push(known);
        for pin in pins {
            self.add(pin, format!("the {kind} '{}'", name.value));
        }
    }

    /// Notes every line that has two functions, at the later one.
    pub(super) fn check(mut self, table: &Table<'_, '_>) {
        self.lines.sort_by_key(|(_, at, _)| at.is_some());
        for (n, (line, at, what)) in self.lines.iter().enumerate() {
            let other = self.lines[..n].iter().find(|(other, ..)| other == line);
            if let (Some((.., other)), Some(at)) = (other, at) {
                let told = format!("line {line} is {other} already and cannot be {what} too");
                table.note(at, told);
            }
        }
    }
}

/// The name of a button or a light.
pub(super) fn thing_name(table: &mut Table<'_, '_>) -> Option<At<String>> {
    let Some(name) = table.letters("name", people::NAME) else {
        table.missing("name", "what logs and configurations call it");
        return None;
    };
    if !people::is_name(&name.value) {
        let what = format!(
            "'{}' is not a name: letters, digits and - . _ are",
            short(&name.value)
        );
        table.note(&name, what);
        return None;
    }
    Some(name)
}

/// A line that is read; a new one is pulled to the level that is not active.
pub(super) fn input(
    table: &mut Table<'_, '_>,
    base: Option<Input>,
    header: Header,
    usual: Active,
) -> Option<(Input, Pin)> {
    let pin = pin(table, "pin", base.map(|base| base.pin), header);
    let active = table.choice("active", &Active::WORDS).map(|at| at.value);
    let pull = table.choice("pull", &Pull::WORDS).map(|at| at.value);
    let active = active.or(base.map(|base| base.active)).unwrap_or(usual);
    let pull = pull.or(base.map(|base| base.pull)).unwrap_or(match active {
        Active::Low => Pull::Up,
        Active::High => Pull::Down,
    });
    let pin = pin?;
    let input = Input {
        pin: pin.0,
        active,
        pull,
    };
    Some((input, pin))
}

/// A light: a new one, or `base` with what is written changed.
pub(super) fn light(
    table: &mut Table<'_, '_>,
    base: Option<&Light>,
    header: Header,
) -> Option<(Lamp, Shows, Vec<Pin>)> {
    /// The kinds of lights.
    #[derive(Clone, Copy)]
    enum Kind {
        Plain,
        Pwm,
        Rgb,
    }
    const KINDS: [(&str, Kind); 3] = [
        ("plain", Kind::Plain),
        ("pwm", Kind::Pwm),
        ("rgb", Kind::Rgb),
    ];
    let kind = table.choice("kind", &KINDS).map(|at| at.value);
    let kind = kind.unwrap_or(match base.map(|base| base.lamp) {
        Some(Lamp::Rgb { .. }) => Kind::Rgb,
        Some(Lamp::Pwm(_)) => Kind::Pwm,
        Some(Lamp::Plain(_)) | None => Kind::Plain,
    });
    let shows = table.choice("shows", &Shows::WORDS).map(|at| at.value);
    let active = table.choice("active", &Active::WORDS).map(|at| at.value);
    let before = base.map(|base| base.lamp.outputs()).unwrap_or_default();
    let active = active.or(before.first().map(|output| output.active));
    let active = active.unwrap_or(Active::High);
    let keys: &[&'static str] = match kind {
        Kind::Plain | Kind::Pwm => &["pin"],
        Kind::Rgb => &["red", "green", "blue"],
    };
    // A light that becomes one of another kind needs lines of its own.
    let same = before.len() == keys.len();
    let mut pins = Vec::new();
    for (n, key) in keys.iter().enumerate() {
        let before = before.get(n).filter(|_| same).map(|output| output.pin);
        pins.extend(pin(table, key, before, header));
    }
    let output = |pin: &Pin| Output { pin: pin.0, active };
    let outputs: Vec<_> = pins.iter().map(output).collect();
    let lamp = match (kind, outputs.as_slice()) {
        (Kind::Plain, [one]) => Lamp::Plain(*one),
        (Kind::Pwm, [one]) => Lamp::Pwm(*one),
        (Kind::Rgb, [red, green, blue]) => Lamp::Rgb {
            red: *red,
            green: *green,
            blue: *blue,
        },
        _ => return None,
    };
    let shows = shows.or(base.map(|base| base.shows)).unwrap_or(Shows::All);
    Some((lamp, shows, pins))
}

/// The relay's line.
fn relay(table: &mut Table<'_, '_>, base: Option<Output>, header: Header) -> Option<(Output, Pin)> {
    let pin = pin(table, "pin", base.map(|base| base.pin), header);
    let active = table.choice("active", &Active::WORDS).map(|at| at.value);
    let active = active.or(base.map(|base| base.active));
    let pin = pin?;
    let relay = Output {
        pin: pin.0,
        active: active.unwrap_or(Active::High),
    };
    Some((relay, pin))
}

fn pin(
    table: &mut Table<'_, '_>,
    key: &'static str,
    base: Option<u32>,
    header: Header,
) -> Option<Pin> {
    let there = table.has(key);
    let written = table.number(key, header.lines(), "");
    match (written, base) {
        (Some(at), _) => Some((at.value, Some(at))),
        (None, Some(base)) => Some((base, None)),
        (None, None) => {
            if !there {
                table.missing(key, "say which line of the chip");
            }
            None
        }
    }
}

fn texts(table: &mut Table<'_, '_>, key: &'static str) -> Vec<String> {
    let texts = table.texts(key).unwrap_or_default();
    texts.into_iter().map(value).collect()
}

fn value(at: At<String>) -> String {
    at.value
}
