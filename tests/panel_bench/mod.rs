//! A running panel of wires on fake lines, in virtual time.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its part of this"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use doorstation::call::{AccountId, Connection, Input, View};
use doorstation::clock;
use doorstation::config;
use doorstation::panel::action::Actions;
use doorstation::panel::lines::{Edge, Inputs, LineButtons, LineError, LineLights, Outputs};
use doorstation::panel::settings::{Button, Settings};
use doorstation::panel::{Links, Panel};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// What was driven: when, which line, how.
pub type Driven = Arc<Mutex<Vec<(Instant, usize, u8)>>>;

/// Lines that a test moves by hand.
pub struct Hand {
    levels: Arc<Mutex<Vec<bool>>>,
    edges: mpsc::UnboundedSender<Result<Edge, LineError>>,
    number: u32,
    /// The lines are gone: reading them fails.
    pub broken: Arc<Mutex<bool>>,
}

impl Hand {
    /// Moves a line, now.
    pub fn set(&mut self, line: usize, active: bool) {
        self.set_at(line, active, clock::now());
    }

    /// Moves a line at some time: edges of a busy line wait, all with their stamps.
    pub fn set_at(&mut self, line: usize, active: bool, at: Instant) {
        self.lose(line, active);
        let edge = Edge {
            line,
            active,
            at,
            number: self.number,
        };
        self.edges.send(Ok(edge)).unwrap();
    }

    /// Moves a line without anybody hearing of it.
    pub fn lose(&mut self, line: usize, active: bool) {
        self.levels.lock().unwrap()[line] = active;
        self.number = self.number.wrapping_add(1);
    }

    /// The lines go away, and whoever waits hears of it.
    pub fn break_off(&mut self) {
        *self.broken.lock().unwrap() = true;
        self.edges.send(Err(gone())).unwrap();
    }

    /// Closes a contact for so many milliseconds.
    pub async fn press(&mut self, line: usize, ms: u64) {
        self.set(line, true);
        sleep_ms(ms).await;
        self.set(line, false);
    }
}

fn gone() -> LineError {
    LineError::NoChip {
        wanted: "fake".into(),
        found: "none at all".into(),
    }
}

/// Lines that are read.
pub struct FakeInputs {
    levels: Arc<Mutex<Vec<bool>>>,
    edges: mpsc::UnboundedReceiver<Result<Edge, LineError>>,
    broken: Arc<Mutex<bool>>,
}

#[async_trait]
impl Inputs for FakeInputs {
    fn levels(&mut self) -> Result<Vec<bool>, LineError> {
        match *self.broken.lock().unwrap() {
            true => Err(gone()),
            false => Ok(self.levels.lock().unwrap().clone()),
        }
    }

    async fn edge(&mut self) -> Result<Edge, LineError> {
        self.edges.recv().await.expect("the hand is there")
    }
}

/// Lines that are driven.
pub struct FakeOutputs(pub Driven);

impl Outputs for FakeOutputs {
    fn set(&mut self, line: usize, duty: u8) -> Result<(), LineError> {
        self.0.lock().unwrap().push((clock::now(), line, duty));
        Ok(())
    }
}

/// So many lines at rest.
pub fn fake_inputs(levels: Vec<bool>) -> (Hand, FakeInputs) {
    let (tell, edges) = mpsc::unbounded_channel();
    let (levels, broken) = (Arc::new(Mutex::new(levels)), Arc::default());
    let hand = Hand {
        levels: Arc::clone(&levels),
        edges: tell,
        number: u32::MAX - 3,
        broken: Arc::clone(&broken),
    };
    let inputs = FakeInputs {
        levels,
        edges,
        broken,
    };
    (hand, inputs)
}

/// A board of the binary, as a configuration that changes nothing would use it.
pub fn board(name: &str) -> Settings {
    let file = config::board::load(name).unwrap();
    let wiring = file.board.wiring;
    let buttons = wiring.buttons.iter().map(|button| Button {
        name: button.name.clone(),
        input: button.input,
        actions: Actions::always(file.actions[&button.name]),
        long_press: None,
        least_press: Button::LEAST_PRESS,
    });
    Settings {
        buttons: buttons.collect(),
        wiring: wiring.clone(),
        ..Settings::default()
    }
}

/// A panel that runs on fake lines.
pub struct Bench {
    pub hand: Hand,
    pub driven: Driven,
    pub view: watch::Sender<View>,
    pub inbox: mpsc::Receiver<Input>,
    pub stop: CancellationToken,
    pub running: tokio::task::JoinHandle<()>,
}

impl Bench {
    pub fn new(settings: &Settings) -> Self {
        let lines = settings.buttons.len() + settings.wiring.sensors.len();
        Self::with_levels(settings, vec![false; lines])
    }

    pub fn with_levels(settings: &Settings, levels: Vec<bool>) -> Self {
        let (hand, inputs) = fake_inputs(levels);
        let driven = Driven::default();
        let lights = LineLights::new(FakeOutputs(Arc::clone(&driven)), settings);
        let buttons = LineButtons::new(inputs, settings).unwrap();
        let panel = Panel::new(lights, buttons).with_looks(settings.looks.clone());
        let (view, follow) = watch::channel(ready());
        let (tell, inbox) = mpsc::channel(256);
        let stop = CancellationToken::new();
        let links = Links {
            view: follow,
            inbox: tell,
            quit: CancellationToken::new(),
            stop: stop.clone(),
        };
        let running = tokio::task::spawn_local(panel.run(links));
        Self {
            hand,
            driven,
            view,
            inbox,
            stop,
            running,
        }
    }

    /// What reached the station so far, without the sensors' first words.
    pub fn told(&mut self) -> Vec<Input> {
        let mut told = Vec::new();
        while let Ok(input) = self.inbox.try_recv() {
            told.push(input);
        }
        told
    }

    /// How a line is driven at `at`.
    pub fn duty_at(&self, line: usize, at: Instant) -> u8 {
        let driven = self.driven.lock().unwrap();
        let mut of_line = driven
            .iter()
            .filter(|(when, n, _)| *n == line && *when <= at);
        of_line.next_back().map_or(0, |(_, _, duty)| *duty)
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

pub fn ready() -> View {
    View {
        connections: [(AccountId::new("home"), Connection::Connected)].into(),
        ..View::default()
    }
}

pub async fn sleep_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Runs on one thread in virtual time.
pub fn paused<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}
