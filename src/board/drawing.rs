//! A board's wiring as a drawing: an SVG that stands alone.
//!
//! With a pin header: two columns of pins, as they lie with the board's edge on the
//! right, and beside each used one what goes there. Without: a list of lines.

use std::fmt::Write as _;

use super::header::Carries;
use super::table::functions;
use super::{Board, Colour, Header, Light, Shows};

/// Height of one row of pins.
const ROW: usize = 26;
/// Room above the first row.
const HEAD: usize = 70;
/// Width of the whole drawing.
const WIDTH: usize = 860;
/// Left edge of the left column of pins.
const LEFT: usize = WIDTH / 2 - 24;

/// The drawing.
pub fn svg(board: &Board) -> String {
    let rows = match board.header {
        Header::Unknown => functions(&board.wiring).len(),
        Header::RaspberryPi40 => board.header.pins().len() / 2,
    };
    let height = HEAD + rows * ROW + 50;
    let mut svg = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <title>Wiring of {title}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"{middle}\" y=\"28\" font-size=\"20\" text-anchor=\"middle\">{title}</text>",
        title = escaped(&board.title),
        middle = WIDTH / 2,
    );
    match board.header {
        Header::Unknown => list(board, &mut svg),
        Header::RaspberryPi40 => header(board, &mut svg),
    }
    svg.push_str("</svg>\n");
    svg
}

/// Two columns of pins with the wires beside them.
fn header(board: &Board, svg: &mut String) {
    let pins = board.header.pins();
    let rows = pins.len() / 2;
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"52\" text-anchor=\"middle\" fill=\"#52525b\">pin 1 is at the corner of the board</text>\n\
         <rect x=\"{}\" y=\"{}\" width=\"56\" height=\"{}\" rx=\"6\" fill=\"#27272a\"/>",
        WIDTH / 2,
        LEFT - 4,
        HEAD - 4,
        rows * ROW + 6,
    );
    let wires = functions(&board.wiring);
    for (n, carries) in pins.iter().enumerate() {
        let left = n % 2 == 0;
        let y = HEAD + n / 2 * ROW;
        let x = if left { LEFT } else { LEFT + 26 };
        let wire = match carries {
            Carries::Line(line) => wires.iter().find(|(_, pin, _)| pin == line),
            Carries::Power(_) => None,
        };
        let fill = match (carries, wire) {
            (Carries::Power("ground"), _) => "#71717a",
            (Carries::Power(_), _) => "#f87171",
            (Carries::Line(_), Some((function, _, _))) => colour_of(board, function),
            (Carries::Line(_), None) => "#fafafa",
        };
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"22\" height=\"22\" rx=\"4\" fill=\"{fill}\"/>\n\
             <text x=\"{}\" y=\"{}\" font-size=\"10\" text-anchor=\"middle\">{}</text>",
            x + 11,
            y + 15,
            n + 1,
        );
        let words = match (carries, wire) {
            (Carries::Power(name), _) => format!("<tspan fill=\"#71717a\">{name}</tspan>"),
            (Carries::Line(line), Some((function, _, _))) => format!(
                "<tspan font-weight=\"600\">{}</tspan><tspan fill=\"#52525b\"> GPIO {line}</tspan>",
                escaped(function)
            ),
            (Carries::Line(line), None) => format!("<tspan fill=\"#a1a1aa\">GPIO {line}</tspan>"),
        };
        let (at, anchor) = match left {
            true => (LEFT - 14, "end"),
            false => (LEFT + 62, "start"),
        };
        let _ = writeln!(
            svg,
            "<text x=\"{at}\" y=\"{}\" text-anchor=\"{anchor}\">{words}</text>",
            y + 16
        );
    }
    foot(svg, HEAD + rows * ROW + 32);
}

/// The wires one below the other.
fn list(board: &Board, svg: &mut String) {
    let wires = functions(&board.wiring);
    for (n, (function, line, how)) in wires.iter().enumerate() {
        let y = HEAD + n * ROW;
        let _ = writeln!(
            svg,
            "<rect x=\"60\" y=\"{y}\" width=\"40\" height=\"22\" rx=\"4\" fill=\"{}\" stroke=\"#27272a\"/>\n\
             <text x=\"80\" y=\"{}\" text-anchor=\"middle\">{line}</text>\n\
             <text x=\"116\" y=\"{}\"><tspan font-weight=\"600\">{}</tspan><tspan fill=\"#52525b\"> {}</tspan></text>",
            colour_of(board, function),
            y + 16,
            y + 16,
            escaped(function),
            escaped(how),
        );
    }
    foot(svg, HEAD + wires.len() * ROW + 32);
}

fn foot(svg: &mut String, y: usize) {
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{y}\" text-anchor=\"middle\" fill=\"#52525b\">\
         A light needs its resistor; a lamp, a relay or anything above 3.3 V needs a driver.</text>",
        WIDTH / 2
    );
}

/// The colour of a wire: of the light that it feeds, or of its kind.
fn colour_of(board: &Board, function: &str) -> &'static str {
    let mut words = function.split(' ');
    match (words.next(), words.next()) {
        (Some("light"), Some(name)) => {
            let light = board.wiring.lights.iter().find(|light| light.name == name);
            light.map_or("#fde68a", |light| colour_of_light(light, words.next()))
        }
        (Some("relay"), _) => "#fda4af",
        (Some("sensor"), _) => "#c4b5fd",
        _ => "#7dd3fc",
    }
}

fn colour_of_light(light: &Light, part: Option<&str>) -> &'static str {
    match (light.shows, part) {
        (_, Some("red")) | (Shows::Colour(Colour::Red), _) => "#f87171",
        (_, Some("green")) | (Shows::Colour(Colour::Green), _) => "#4ade80",
        (_, Some("blue")) | (Shows::Colour(Colour::Blue), _) => "#60a5fa",
        (Shows::Colour(Colour::Amber), _) => "#ffc533",
        (Shows::Colour(Colour::White), _) => "#e4e4e7",
        (Shows::All | Shows::Entrance, _) => "#fde68a",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
