//! The simulated panel on real pipes and a real pseudo-terminal.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorstation::call::{Button, Sensor};
use doorstation::panel::sim::{Mode, SimButtons};
use doorstation::panel::{Buttons, Press};
use doorstation::report::Report;
use doorstation::report::json::Json;
use doorstation::tasks::Tasks;
use rustix::pty::OpenptFlags;
use rustix::termios::{LocalModes, tcgetattr};

/// Long enough for a slow machine; no test waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn lines_are_presses_and_their_end_asks_to_quit_when_driven() {
    let (input, mut type_into) = std::io::pipe().unwrap();
    let mut buttons = SimButtons::on(input.into(), Mode::Driven, Report::silent()).unwrap();
    type_into
        .write_all(b"press bell\nhold\nunhold\nend\n")
        .unwrap();
    drop(type_into);
    for want in [Button::Bell, Button::Hold, Button::Unhold, Button::End] {
        assert_eq!(next(&mut buttons).await, Some(Press::Button(want)));
    }
    assert_eq!(next(&mut buttons).await, Some(Press::Quit));
    assert_eq!(next(&mut buttons).await, None);
}

#[tokio::test]
async fn sensors_speak_by_lines_too() {
    let (input, mut type_into) = std::io::pipe().unwrap();
    let mut buttons = SimButtons::on(input.into(), Mode::Auto, Report::silent()).unwrap();
    type_into.write_all(b"door opened\ntamper over\n").unwrap();
    for want in [
        Press::Sensor(Sensor::DoorContact, true),
        Press::Sensor(Sensor::Tamper, false),
    ] {
        assert_eq!(next(&mut buttons).await, Some(want));
    }
}

#[tokio::test]
async fn the_end_of_lines_means_nothing_when_nobody_drives() {
    let (input, type_into) = std::io::pipe().unwrap();
    let mut buttons = SimButtons::on(input.into(), Mode::Auto, Report::silent()).unwrap();
    drop(type_into);
    assert_eq!(next(&mut buttons).await, None);
}

#[tokio::test]
async fn an_unknown_line_is_told_and_the_next_one_counts() {
    let out = Shared::default();
    let (report, writer) = Report::start(Json, out.clone(), &Tasks::new()).unwrap();
    let (input, mut type_into) = std::io::pipe().unwrap();
    let mut buttons = SimButtons::on(input.into(), Mode::Driven, report).unwrap();
    type_into.write_all(b"open sesame\nanswer\n").unwrap();
    assert_eq!(
        next(&mut buttons).await,
        Some(Press::Button(Button::Answer))
    );
    writer.close().await;
    let line: serde_json::Value = serde_json::from_slice(&out.0.lock().unwrap()).unwrap();
    assert_eq!(line["event"], "denied");
    let message = line["message"].as_str().unwrap();
    assert!(
        message.contains("\"open sesame\"; say one of: press bell, answer"),
        "{message}"
    );
}

#[tokio::test]
async fn a_reader_that_waits_for_input_ends_with_its_buttons() {
    let (input, _type_into) = std::io::pipe().unwrap();
    let buttons = SimButtons::on(input.into(), Mode::Auto, Report::silent()).unwrap();
    // The drop joins the thread: it would wait for ever for a line.
    let dropped = tokio::task::spawn_blocking(move || drop(buttons));
    tokio::time::timeout(PATIENCE, dropped)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_reader_that_waits_for_room_ends_with_its_buttons() {
    let (input, mut type_into) = std::io::pipe().unwrap();
    let buttons = SimButtons::on(input.into(), Mode::Auto, Report::silent()).unwrap();
    type_into.write_all(&b"end\n".repeat(200)).unwrap();
    let dropped = tokio::task::spawn_blocking(move || drop(buttons));
    tokio::time::timeout(PATIENCE, dropped)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn keys_of_a_terminal_are_buttons_and_the_terminal_is_put_back() {
    let (mut keyboard, terminal) = pseudo_terminal();
    let before = tcgetattr(&terminal).unwrap().local_modes;
    assert!(before.contains(LocalModes::ICANON | LocalModes::ECHO));

    let input = terminal.try_clone().unwrap();
    let mut buttons = SimButtons::on(input, Mode::Auto, Report::silent()).unwrap();
    let during = tcgetattr(&terminal).unwrap().local_modes;
    assert!(!during.intersects(LocalModes::ICANON | LocalModes::ECHO));
    assert!(
        during.contains(LocalModes::ISIG),
        "Ctrl-C must go on working"
    );

    keyboard.write_all(b"\rarexq").unwrap();
    for want in [
        Press::Button(Button::Bell),
        Press::Button(Button::Answer),
        Press::Button(Button::Reject),
        Press::Button(Button::End),
        Press::Quit,
    ] {
        assert_eq!(next(&mut buttons).await, Some(want));
    }
    drop(buttons);
    assert_eq!(tcgetattr(&terminal).unwrap().local_modes, before);
}

#[test]
fn a_panic_puts_the_terminal_back_too() {
    let (_keyboard, terminal) = pseudo_terminal();
    let before = tcgetattr(&terminal).unwrap().local_modes;
    let input = terminal.try_clone().unwrap();
    let panicking = std::thread::spawn(move || {
        let _buttons = SimButtons::on(input, Mode::Auto, Report::silent()).unwrap();
        panic!("as a test");
    });
    assert!(panicking.join().is_err());
    assert_eq!(tcgetattr(&terminal).unwrap().local_modes, before);
}

async fn next(buttons: &mut SimButtons) -> Option<Press> {
    tokio::time::timeout(PATIENCE, buttons.next())
        .await
        .expect("typed, so it arrives")
}

/// What a person types into, and what a program reads.
fn pseudo_terminal() -> (impl Write + Read, OwnedFd) {
    use rustix::fs::{Mode, OFlags};
    let keyboard = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&keyboard).unwrap();
    rustix::pty::unlockpt(&keyboard).unwrap();
    let name = rustix::pty::ptsname(&keyboard, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = rustix::fs::open(name, flags, Mode::empty()).unwrap();
    (std::fs::File::from(keyboard), terminal)
}

/// Output that a test can read.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
