//! The wiring of a board as a table of text, for the terminal and the documents.

use super::{
    Active, Board, Button, Colour, Gpio, Input, Lamp, Light, Output, Pull, Shows, Wiring,
    sensor_name,
};

/// One wire: a function and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// `button bell`, `light call`, `relay`.
    pub function: String,
    /// The line's number.
    pub line: u32,
    /// The header's pin, from 1, if it is known.
    pub pin: Option<usize>,
    /// What goes there, in words.
    pub how: String,
}

/// Every wire of a board, buttons first.
pub fn wires(board: &Board) -> Vec<Wire> {
    let wire = |(function, line, how): (String, u32, String)| Wire {
        function,
        line,
        pin: board.header.pin_of(line),
        how,
    };
    functions(&board.wiring).into_iter().map(wire).collect()
}

/// Function, line and words of each wire.
pub(super) fn functions(wiring: &Wiring) -> Vec<(String, u32, String)> {
    let buttons = wiring.buttons.iter().map(of_button);
    let sensors = wiring.sensors.iter().map(|(sensor, input)| {
        let function = format!("sensor {}", sensor_name(*sensor));
        (function, input.pin, contact(input, "active"))
    });
    let lights = wiring.lights.iter().flat_map(of_light);
    let relay = wiring.relay.iter().map(|relay| {
        let how = format!("relay module, releases when {}", level(relay.active));
        ("relay".to_owned(), relay.pin, how)
    });
    buttons.chain(sensors).chain(lights).chain(relay).collect()
}

fn of_button(button: &Button) -> (String, u32, String) {
    let how = contact(&button.input, "pressed");
    (format!("button {}", button.name), button.input.pin, how)
}

/// `contact to ground, pressed when low, pull-up in the chip`.
fn contact(input: &Input, active: &str) -> String {
    let (to, pull) = match input.pull {
        Pull::Up => ("ground", "pull-up in the chip"),
        Pull::Down => ("3.3 V", "pull-down in the chip"),
        Pull::Off => ("outside", "with a resistor outside"),
    };
    format!(
        "contact to {to}, {active} when {}, {pull}",
        level(input.active)
    )
}

fn of_light(light: &Light) -> Vec<(String, u32, String)> {
    let shows = match light.shows {
        Shows::All => "every sign".to_owned(),
        Shows::Colour(colour) => format!("{} signs", colour.name()),
        Shows::Entrance => "the entrance".to_owned(),
    };
    let wire = |part: &str, kind: &str, output: Output| {
        let function = format!("light {}{part}", light.name);
        let how = format!("{kind}, {shows}, lit when {}", level(output.active));
        (function, output.pin, how)
    };
    match light.lamp {
        Lamp::Plain(output) => vec![wire("", "on or off", output)],
        Lamp::Pwm(output) => vec![wire("", "dimmed", output)],
        Lamp::Rgb { red, green, blue } => vec![
            wire(" red", "dimmed", red),
            wire(" green", "dimmed", green),
            wire(" blue", "dimmed", blue),
        ],
    }
}

fn level(active: Active) -> &'static str {
    match active {
        Active::Low => "low",
        Active::High => "high",
    }
}

/// All that an installer needs, for the terminal.
pub fn sheet(board: &Board) -> String {
    let mut text = format!("{}\n\n", board.title);
    text.push_str(&match wires(board).is_empty() {
        true => "no wires\n".to_owned(),
        false => markdown(board),
    });
    if !board.wiring.chips.is_empty() {
        let chips = board.wiring.chips.join(" or ");
        text.push_str(&format!(
            "\nlines of the chip {chips}, through {}\n",
            board.wiring.gpio.name()
        ));
    }
    for (head, lines) in [
        ("to know", &board.notes),
        (
            "sound cards to try first ([sound] capture, playback; a USB one is Device)",
            &board.sound,
        ),
        ("cameras to try first ([camera] source)", &board.cameras),
        ("config.txt", &board.config_txt),
        ("/etc/udev/rules.d/60-doorstation.rules", &board.udev),
    ] {
        if !lines.is_empty() {
            text.push_str(&format!("\n{head}:\n"));
            for line in lines {
                text.push_str(&format!("  {line}\n"));
            }
        }
    }
    text
}

/// What is no mistake, but may surprise: a sentence each.
pub fn warnings(board: &Board) -> Vec<String> {
    let mut warnings = Vec::new();
    if board.wiring.gpio == Gpio::Sim {
        return warnings;
    }
    let lights = &board.wiring.lights;
    let shown = |colour| {
        let shows =
            |light: &Light| light.shows == Shows::All || light.shows == Shows::Colour(colour);
        lights.iter().any(shows)
    };
    for (word, colour) in Colour::WORDS {
        if !shown(colour) {
            warnings.push(format!(
                "no light shows the {word} signs: they are told by tones only"
            ));
        }
    }
    if board.wiring.relay.is_none() {
        warnings.push("there is no relay: the door cannot be opened".to_owned());
    }
    if board.wiring.chips.is_empty() {
        warnings.push("it names no chip: the configuration must, with chip = \"LABEL\"".to_owned());
    }
    warnings
}

/// The table in Markdown, with aligned columns so that a terminal shows it too.
pub fn markdown(board: &Board) -> String {
    let wires = wires(board);
    let with_pins = wires.iter().any(|wire| wire.pin.is_some());
    let mut rows = vec![row(with_pins, "function", "line", "header pin", "wire")];
    for wire in &wires {
        let pin = wire.pin.map_or_else(String::new, |pin| pin.to_string());
        let line = match with_pins {
            true => format!("GPIO {}", wire.line),
            false => wire.line.to_string(),
        };
        rows.push(row(with_pins, &wire.function, &line, &pin, &wire.how));
    }
    aligned(&rows)
}

fn row(with_pins: bool, function: &str, line: &str, pin: &str, how: &str) -> Vec<String> {
    let mut cells = vec![function.to_owned(), line.to_owned()];
    cells.extend(with_pins.then(|| pin.to_owned()));
    cells.push(how.to_owned());
    cells
}

/// Rows of Markdown, the first one the head.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |n: usize| rows.iter().map(|row| row[n].len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (n, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
        if n == 0 {
            let rules: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
            text.push_str(&format!("| {} |\n", rules.join(" | ")));
        }
    }
    text
}

/// The relay's line for the guardian's unit, as `/etc/doorstation/relay.env` takes it;
/// `None` without a relay on a GPIO chip.
pub fn relay_env(wiring: &Wiring) -> Option<String> {
    let relay = wiring.relay?;
    let polarity = match relay.active {
        Active::Low => ":active-low",
        Active::High => "",
    };
    let line = |label: &String| format!("RELAY_LINE=gpio:{label}:{}{polarity}\n", relay.pin);
    let (first, others) = wiring.chips.split_first()?;
    let others = others.iter().map(|label| format!("# or: {}", line(label)));
    Some(others.fold(line(first), |text, other| text + &other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guardian_is_told_its_line() {
        let mut wiring = Wiring {
            chips: vec!["a".into(), "b".into()],
            ..Wiring::default()
        };
        assert_eq!(relay_env(&wiring), None);
        let active = Active::Low;
        wiring.relay = Some(Output { pin: 26, active });
        let text = "RELAY_LINE=gpio:a:26:active-low\n# or: RELAY_LINE=gpio:b:26:active-low\n";
        assert_eq!(relay_env(&wiring).as_deref(), Some(text));
    }
}
