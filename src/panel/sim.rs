//! The simulated panel: buttons are keys or lines of standard input, lights are
//! told to the [`Report`].
//!
//! * At a terminal each key is a button, without Enter behind it. The terminal is
//!   put back as it was when the buttons are dropped, by whatever way.
//! * Otherwise each line is one press: [`WORDS`].
//!
//! Standard input is read by a thread of its own that waits in `poll`, not by
//! tokio: tokio's reader sits in `read` and would hold up the end of the program
//! until the next line comes.

mod keyboard;

use std::io;

use async_trait::async_trait;

use super::light_pattern::Pattern;
use super::sign::Sign;
use super::{Buttons, Lights, Panel, Press};
use crate::call::{Button, Event, Sensor};
use crate::report::{Light, Report};
use keyboard::{Keyboard, Typed};

/// The lines that are understood, with their meaning.
pub const WORDS: [(&str, Press); 13] = [
    ("press bell", Press::Button(Button::Bell)),
    ("answer", Press::Button(Button::Answer)),
    ("reject", Press::Button(Button::Reject)),
    ("end", Press::Button(Button::End)),
    ("hold", Press::Button(Button::Hold)),
    ("unhold", Press::Button(Button::Unhold)),
    ("exit pressed", Press::Sensor(Sensor::RequestToExit, true)),
    ("exit released", Press::Sensor(Sensor::RequestToExit, false)),
    ("door opened", Press::Sensor(Sensor::DoorContact, true)),
    ("door closed", Press::Sensor(Sensor::DoorContact, false)),
    ("tamper", Press::Sensor(Sensor::Tamper, true)),
    ("tamper over", Press::Sensor(Sensor::Tamper, false)),
    ("quit", Press::Quit),
];

/// How standard input is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Lines, and their end asks the program to end: another program drives us.
    Driven,
    /// Keys at a terminal, lines otherwise; their end means nothing.
    Auto,
}

/// A simulated panel on this process's standard input.
///
/// # Errors
/// Standard input cannot be waited for, or the terminal refuses its mode.
pub fn panel(mode: Mode, report: Report) -> io::Result<Panel> {
    let lights = SimLights::new(report.clone());
    Ok(Panel::new(lights, SimButtons::on_stdin(mode, report)?))
}

/// Lights that are told to the report.
#[derive(Clone, Debug)]
pub struct SimLights {
    report: Report,
}

impl SimLights {
    /// Lights that are told to `report`.
    pub fn new(report: Report) -> Self {
        Self { report }
    }
}

#[async_trait]
impl Lights for SimLights {
    async fn show(&mut self, sign: Sign, pattern: Pattern) {
        let light = Light {
            sign: sign.name(),
            colour: pattern.colour.name(),
            pattern: pattern.shape.to_string(),
        };
        self.report.light(light).await;
    }
}

/// Buttons that are typed.
#[derive(Debug)]
pub struct SimButtons {
    keyboard: Keyboard,
    quit_at_end: bool,
    report: Report,
}

impl SimButtons {
    /// Reads standard input.
    ///
    /// # Errors
    /// As [`panel`].
    pub fn on_stdin(mode: Mode, report: Report) -> io::Result<Self> {
        use std::os::fd::AsFd;
        Self::on(io::stdin().as_fd().try_clone_to_owned()?, mode, report)
    }

    /// Reads `input`, a pipe or a terminal.
    ///
    /// # Errors
    /// As [`panel`].
    pub fn on(input: std::os::fd::OwnedFd, mode: Mode, report: Report) -> io::Result<Self> {
        use std::io::IsTerminal;
        let keys = mode == Mode::Auto && input.is_terminal();
        Ok(Self {
            keyboard: Keyboard::start(input, keys)?,
            quit_at_end: mode == Mode::Driven,
            report,
        })
    }
}

#[async_trait]
impl Buttons for SimButtons {
    async fn next(&mut self) -> Option<Press> {
        loop {
            match self.keyboard.next().await {
                Some(Typed::Key(key)) => {
                    if let Some(press) = of_key(key) {
                        return Some(press);
                    }
                }
                Some(Typed::Line(line)) => match of_line(&line) {
                    Ok(press) => return Some(press),
                    Err(sentence) => self.report.event(Event::Denied(sentence)).await,
                },
                None => return std::mem::take(&mut self.quit_at_end).then_some(Press::Quit),
            }
        }
    }
}

/// The meaning of a key at a terminal.
fn of_key(key: u8) -> Option<Press> {
    /// Ctrl-D: the end of input as people type it.
    const END_OF_TRANSMISSION: u8 = 4;
    Some(match key {
        b'\r' | b'\n' => Press::Button(Button::Bell),
        b'a' => Press::Button(Button::Answer),
        b'r' => Press::Button(Button::Reject),
        b'e' => Press::Button(Button::End),
        b'h' => Press::Button(Button::Hold),
        b'u' => Press::Button(Button::Unhold),
        b'q' | END_OF_TRANSMISSION => Press::Quit,
        _ => return None,
    })
}

/// The meaning of a line, or a sentence that names the words.
fn of_line(line: &str) -> Result<Press, String> {
    let words: Vec<_> = line.split_whitespace().collect();
    let words = words.join(" ").to_lowercase();
    if let Some((_, press)) = WORDS.iter().find(|(word, _)| *word == words) {
        return Ok(press.clone());
    }
    let known: Vec<_> = WORDS.iter().map(|(word, _)| *word).collect();
    let start: String = line.chars().take(40).collect();
    Err(format!(
        "the panel does not know {start:?}; say one of: {}",
        known.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_means_its_press_whatever_its_blanks_and_case() {
        for (word, press) in WORDS {
            assert_eq!(of_line(word), Ok(press.clone()));
            assert_eq!(of_line(&format!("  {} \r", word.to_uppercase())), Ok(press));
        }
        assert_eq!(of_line("press   bell"), Ok(Press::Button(Button::Bell)));
    }

    #[test]
    fn an_unknown_line_gets_a_sentence_with_every_word() {
        let sentence = of_line("open the door").unwrap_err();
        assert_eq!(
            sentence,
            "the panel does not know \"open the door\"; say one of: \
             press bell, answer, reject, end, hold, unhold, exit pressed, exit released, \
             door opened, door closed, tamper, tamper over, quit"
        );
    }

    #[test]
    fn a_long_line_does_not_make_a_long_sentence() {
        assert!(of_line(&"x".repeat(1000)).unwrap_err().len() < 240);
    }

    #[test]
    fn keys_that_mean_nothing_are_left_alone() {
        assert_eq!(of_key(b'\n'), Some(Press::Button(Button::Bell)));
        assert_eq!(of_key(b'\r'), Some(Press::Button(Button::Bell)));
        assert_eq!(of_key(4), Some(Press::Quit));
        for key in [b'x', b' ', b'A', 0x1b, 0xff] {
            assert_eq!(of_key(key), None);
        }
    }
}
