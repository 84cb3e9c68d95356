//! What every panel must do, whatever carries its buttons and lights: the simulated
//! one on a pipe, wires on fake lines, and the character device of a real kernel on
//! the lines of gpio-sim. rppal is another way to the same fake lines; off a Raspberry
//! Pi only its refusal can be seen.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod kernel_lines;
mod panel_bench;

use std::io::{PipeWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorstation::board::{Active, Colour, Gpio};
use doorstation::call::{
    AccountId, Button, CallId, CallView, Connection, Direction, Failure, Input, State, View,
};
use doorstation::clock;
use doorstation::panel::lines::{LineButtons, LineError, LineLights};
use doorstation::panel::settings::Settings;
use doorstation::panel::sim::{Mode, SimButtons, SimLights};
use doorstation::panel::{self, Links, Panel, cdev, rppal};
use doorstation::report::Report;
use doorstation::report::json::Json;
use doorstation::tasks::Tasks;
use kernel_lines::GpioSim;
use panel_bench::{Driven, FakeOutputs, Hand, board, fake_inputs, paused, ready};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Long enough for a slow machine; no test waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

/// A panel that a visitor can touch and see.
trait Rig {
    fn panel(&mut self) -> Panel;

    /// Presses the bell as a finger does.
    async fn press_bell(&mut self);

    /// Whether a light of this colour is lit, or was in the last moments; `None`
    /// asks whether all is dark.
    fn sees(&mut self, colour: Option<Colour>) -> bool;
}

/// The contract.
async fn keeps_the_contract(rig: &mut impl Rig) {
    let (view, follow) = watch::channel(ready());
    let (tell, mut inbox) = mpsc::channel(64);
    let stop = CancellationToken::new();
    let links = Links {
        view: follow,
        inbox: tell,
        quit: CancellationToken::new(),
        stop: stop.clone(),
    };
    let running = tokio::task::spawn_local(rig.panel().run(links));

    // Lights follow the view, and show nothing else.
    seen(rig, Some(Colour::White)).await;
    for (next, colour) in [
        (in_call(State::Ringing), Colour::Amber),
        (in_call(State::InCall), Colour::Green),
        (opened(), Colour::Blue),
        (lost(), Colour::Red),
        (ready(), Colour::White),
    ] {
        view.send_replace(next);
        seen(rig, Some(colour)).await;
        for (_, other) in Colour::WORDS {
            assert!(
                other == colour || !rig.sees(Some(other)),
                "{other:?} for {colour:?}"
            );
        }
    }

    // Each press is told once, and presses are told in their order.
    for _ in 0..3 {
        rig.press_bell().await;
        assert_eq!(next_press(&mut inbox).await, Button::Bell);
    }
    assert!(inbox.try_recv().is_err(), "one press was told twice");

    // At the end it is dark.
    stop.cancel();
    running.await.unwrap();
    seen(rig, None).await;
}

async fn seen(rig: &mut impl Rig, colour: Option<Colour>) {
    let until = clock::now() + PATIENCE;
    // What was lit before the change is over when it is seen the second time.
    for _ in 0..2 {
        while !rig.sees(colour) {
            assert!(clock::now() < until, "{colour:?} is never seen");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
}

async fn next_press(inbox: &mut mpsc::Receiver<Input>) -> Button {
    loop {
        let input = tokio::time::timeout(PATIENCE, inbox.recv()).await;
        match input.expect("pressed, so it is told").unwrap() {
            Input::Pressed(button) => return button,
            Input::Sensor(..) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_simulated_panel_keeps_the_contract() {
    real_time(async {
        keeps_the_contract(&mut Sim::new()).await;
    });
}

#[test]
fn wires_keep_the_contract() {
    paused(async {
        for name in ["pi4", "pi5", "zero2w"] {
            keeps_the_contract(&mut Wires::new(board(name))).await;
        }
    });
}

#[test]
fn wires_of_a_real_kernel_keep_the_contract() {
    let Some(chip) = GpioSim::of_test("wires_of_a_real_kernel_keep_the_contract") else {
        return;
    };
    real_time(async {
        keeps_the_contract(&mut Kernel::new(&chip)).await;
        let mut settings = board("pi4");
        settings.wiring.chips = vec![chip.label.clone()];
        let _held = cdev::open(&settings, None).unwrap();
        let again = panel::open(&settings).err();
        assert!(matches!(again, Some(LineError::Busy { .. })), "{again:?}");
    });
}

#[test]
fn off_a_raspberry_pi_rppal_says_one_clear_sentence() {
    if Path::new("/proc/device-tree/model").exists() {
        eprintln!("skipped: this machine has a device tree and may be a Raspberry Pi");
        return;
    }
    let mut settings = board("pi4");
    settings.wiring.gpio = Gpio::Rppal;
    let error = panel::open(&settings).err().unwrap();
    assert_eq!(error, LineError::NoRaspberryPi);
    assert_eq!(
        error.to_string(),
        "this machine is no Raspberry Pi that rppal knows: write kind = \"gpiocdev\" in [panel], \
         or \"sim\" to go without wires"
    );
    assert!(!rppal::is_usable());
}

#[test]
fn a_chip_that_is_not_there_is_told_with_those_that_are() {
    let labels = ["no-such-chip".to_owned(), "nor-this".to_owned()];
    let error = cdev::find(&labels).unwrap_err().to_string();
    assert!(
        error.starts_with("no GPIO chip is labelled no-such-chip or nor-this; this machine has "),
        "{error}"
    );
}

/// Standard input and output.
struct Sim {
    keys: Option<PipeWriter>,
    out: Out,
    panel: Option<Panel>,
}

#[derive(Clone, Default)]
struct Out(Arc<Mutex<Vec<u8>>>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sim {
    fn new() -> Self {
        let out = Out::default();
        let (report, _writer) = Report::start(Json, out.clone(), &Tasks::new()).unwrap();
        let (input, keys) = std::io::pipe().unwrap();
        let buttons = SimButtons::on(input.into(), Mode::Auto, report.clone()).unwrap();
        let panel = Panel::new(SimLights::new(report), buttons);
        Self {
            keys: Some(keys),
            out,
            panel: Some(panel),
        }
    }
}

impl Rig for Sim {
    fn panel(&mut self) -> Panel {
        self.panel.take().unwrap()
    }

    async fn press_bell(&mut self) {
        self.keys
            .as_mut()
            .unwrap()
            .write_all(b"press bell\n")
            .unwrap();
    }

    fn sees(&mut self, colour: Option<Colour>) -> bool {
        let out = self.out.0.lock().unwrap();
        let text = String::from_utf8_lossy(&out);
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let last = whole.lines().rfind(|line| line.contains("\"led\""));
        let Some(last) = last else { return false };
        let led: serde_json::Value = serde_json::from_str(last).unwrap();
        match colour {
            None => led["pattern"] == "off",
            Some(colour) => led["pattern"] != "off" && led["colour"] == colour.name(),
        }
    }
}

/// Fake lines.
struct Wires {
    settings: Settings,
    driven: Driven,
    hand: Option<Hand>,
}

impl Wires {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            driven: Driven::default(),
            hand: None,
        }
    }
}

impl Rig for Wires {
    fn panel(&mut self) -> Panel {
        let lines = self.settings.buttons.len() + self.settings.wiring.sensors.len();
        let (hand, inputs) = fake_inputs(vec![false; lines]);
        self.hand = Some(hand);
        let outputs = FakeOutputs(Arc::clone(&self.driven));
        let lights = LineLights::new(outputs, &self.settings);
        Panel::new(lights, LineButtons::new(inputs, &self.settings).unwrap())
    }

    async fn press_bell(&mut self) {
        self.hand.as_mut().unwrap().press(0, 80).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    fn sees(&mut self, colour: Option<Colour>) -> bool {
        let driven = self.driven.lock().unwrap();
        let duty = |line: usize| {
            let mut of_line = driven.iter().filter(|(_, n, _)| *n == line);
            of_line.next_back().map_or(0, |(_, _, duty)| *duty)
        };
        let mut first = 0;
        let mut lit = Vec::new();
        for light in &self.settings.wiring.lights {
            let lines = light.lamp.outputs().len();
            let duties: Vec<_> = (first..first + lines).map(duty).collect();
            first += lines;
            lit.extend(colour_of(light.shows, &duties));
        }
        match colour {
            None => lit.is_empty(),
            Some(colour) => lit.contains(&colour),
        }
    }
}

/// The colour of a light that is driven so, if it is lit.
fn colour_of(shows: doorstation::board::Shows, duties: &[u8]) -> Option<Colour> {
    use doorstation::board::Shows;
    match (shows, duties) {
        // At the foot of a pulse a colour cannot be told.
        (_, duties) if duties.iter().all(|duty| *duty < 10) => None,
        (Shows::Colour(colour), _) => Some(colour),
        (_, [red, 0, 0]) if *red > 0 => Some(Colour::Red),
        (_, [_, green, 0]) if *green > 0 && duties[0] == 0 => Some(Colour::Green),
        (_, [red, _, 0]) if *red > 0 => Some(Colour::Amber),
        (_, [0, _, blue]) if *blue > 0 => Some(Colour::Blue),
        (_, [_, _, _]) => Some(Colour::White),
        _ => None,
    }
}

/// The character device on such a chip.
struct Kernel<'c> {
    chip: &'c GpioSim,
    settings: Settings,
}

impl<'c> Kernel<'c> {
    fn new(chip: &'c GpioSim) -> Self {
        let mut settings = board("pi4");
        settings.wiring.gpio = Gpio::Gpiocdev;
        settings.wiring.chips = vec![chip.label.clone()];
        Self { chip, settings }
    }

    fn bell(&self, pressed: bool) {
        let input = self.settings.buttons[0].input;
        let high = pressed == (input.active == Active::High);
        let pull = if high { "pull-up" } else { "pull-down" };
        std::fs::write(self.chip.file(input.pin, "pull"), pull).unwrap();
    }
}

impl Rig for Kernel<'_> {
    fn panel(&mut self) -> Panel {
        self.bell(false);
        panel::open(&self.settings).unwrap()
    }

    async fn press_bell(&mut self) {
        self.bell(true);
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.bell(false);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    /// A dimmed line is looked at over four periods of its dimming.
    fn sees(&mut self, colour: Option<Colour>) -> bool {
        let mut lit = Vec::new();
        for _ in 0..40 {
            for light in &self.settings.wiring.lights {
                let pin = light.lamp.outputs()[0].pin;
                let value = std::fs::read_to_string(self.chip.file(pin, "value")).unwrap();
                if value.trim() == "1" {
                    lit.extend(colour_of(light.shows, &[255]));
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        match colour {
            None => lit.is_empty(),
            Some(colour) => lit.contains(&colour),
        }
    }
}

/// Runs on one thread in real time.
fn real_time<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

fn in_call(state: State) -> View {
    View {
        call: Some(CallView {
            id: CallId::new("c1"),
            direction: Direction::Outgoing,
            state,
            peers: Vec::new(),
            made: clock::now(),
            started: None,
        }),
        ..ready()
    }
}

fn opened() -> View {
    View {
        door_open: true,
        ..in_call(State::InCall)
    }
}

fn lost() -> View {
    let failure = Failure {
        code: "authentication:2".into(),
        message: "no answer".into(),
    };
    View {
        connections: [(AccountId::new("home"), Connection::Lost(failure))].into(),
        ..View::default()
    }
}
