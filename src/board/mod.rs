//! What is wired where, as data: pins, polarity, lights, relay, sensors.
//!
//! A board file (`board/NAME.toml`) is read into a [`Board`] by `config`, the
//! panel's backends open the lines of its [`Wiring`], and [`table`] and [`drawing`]
//! show it to whoever holds the soldering iron. Nothing here does I/O.
//!
//! The relay's line stands here too, so that nothing else is put on its pin; the
//! panel never opens it.

pub mod drawing;
mod header;
pub mod table;

use std::collections::BTreeMap;

use crate::call::Sensor;
pub use header::Header;

/// A board that one can buy, and what is wired to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// `pi4`.
    pub name: String,
    /// `Raspberry Pi 3 and 4`.
    pub title: String,
    /// What an installer must know besides the table: a sentence each.
    pub notes: Vec<String>,
    /// How its lines can be reached with a wire.
    pub header: Header,
    /// What is wired where.
    pub wiring: Wiring,
    /// ALSA's names of sound cards to try first.
    pub sound: Vec<String>,
    /// Cameras to try first, as `[camera] source` takes them.
    pub cameras: Vec<String>,
    /// Lines for the boot loader's `config.txt`.
    pub config_txt: Vec<String>,
    /// Rules for udev.
    pub udev: Vec<String>,
}

/// What is wired where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wiring {
    /// Through what the lines are reached.
    pub gpio: Gpio,
    /// Labels of GPIO chips; the first one that this machine has is used.
    pub chips: Vec<String>,
    /// The buttons.
    pub buttons: Vec<Button>,
    /// The sensors.
    pub sensors: BTreeMap<Sensor, Input>,
    /// The lights.
    pub lights: Vec<Light>,
    /// The door relay's line: the guardian's, never the panel's.
    pub relay: Option<Output>,
}

/// Through what lines are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gpio {
    /// `rppal` where a Raspberry Pi's registers can be opened, else the character
    /// device.
    #[default]
    Auto,
    /// The GPIO character device of any Linux board.
    Gpiocdev,
    /// The registers of a Raspberry Pi.
    Rppal,
    /// Standard input and output.
    Sim,
}

impl Gpio {
    /// The words of board files and configurations.
    pub const WORDS: [(&'static str, Gpio); 4] = [
        ("auto", Gpio::Auto),
        ("gpiocdev", Gpio::Gpiocdev),
        ("rppal", Gpio::Rppal),
        ("sim", Gpio::Sim),
    ];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Gpio::Auto => "auto",
            Gpio::Gpiocdev => "gpiocdev",
            Gpio::Rppal => "rppal",
            Gpio::Sim => "sim",
        }
    }
}

/// A line that is read. On a Raspberry Pi its number is the BCM one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its offset on the chip.
    pub pin: u32,
    /// Which level means active: pressed, door open, tampered.
    pub active: Active,
    /// Which resistor the chip switches on.
    pub pull: Pull,
}

/// A line that is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its offset on the chip.
    pub pin: u32,
    /// Which level means active: lit, released.
    pub active: Active,
}

/// The level of a line that is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Active {
    /// About 0 V.
    Low,
    /// About 3.3 V.
    High,
}

impl Active {
    /// The words of board files.
    pub const WORDS: [(&'static str, Active); 2] = [("low", Active::Low), ("high", Active::High)];
}

/// A resistor within the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// To 3.3 V.
    Up,
    /// To ground.
    Down,
    /// None: there is one outside.
    Off,
}

impl Pull {
    /// The words of board files.
    pub const WORDS: [(&'static str, Pull); 3] =
        [("up", Pull::Up), ("down", Pull::Down), ("off", Pull::Off)];
}

/// A button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    /// `bell`.
    pub name: String,
    /// Its line.
    pub input: Input,
}

/// A light.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Light {
    /// `call`.
    pub name: String,
    /// How it is wired.
    pub lamp: Lamp,
    /// What it shows.
    pub shows: Shows,
}

/// How a light is wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lamp {
    /// It is on or off.
    Plain(Output),
    /// It can be dimmed.
    Pwm(Output),
    /// Three that can be dimmed, behind one lens.
    Rgb {
        /// Red.
        red: Output,
        /// Green.
        green: Output,
        /// Blue.
        blue: Output,
    },
}

impl Lamp {
    /// Its lines, in the order red, green, blue.
    pub fn outputs(&self) -> Vec<Output> {
        match self {
            Lamp::Plain(one) | Lamp::Pwm(one) => vec![*one],
            Lamp::Rgb { red, green, blue } => vec![*red, *green, *blue],
        }
    }
}

/// What a light shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// Every sign, in its colour if the light has colours.
    All,
    /// The signs of one colour; it is dark for the others.
    Colour(Colour),
    /// No sign: it lights the entrance when the action `light` asks for it.
    Entrance,
}

impl Shows {
    /// The words of board files.
    pub const WORDS: [(&'static str, Shows); 7] = [
        ("all", Shows::All),
        ("amber", Shows::Colour(Colour::Amber)),
        ("green", Shows::Colour(Colour::Green)),
        ("blue", Shows::Colour(Colour::Blue)),
        ("red", Shows::Colour(Colour::Red)),
        ("white", Shows::Colour(Colour::White)),
        ("entrance", Shows::Entrance),
    ];
}

/// The colours of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Colour {
    /// Calling, ringing.
    Amber,
    /// Speak now, on hold.
    Green,
    /// Door released.
    Blue,
    /// No connection, fault.
    Red,
    /// Ready, starting, updating, off.
    White,
}

impl Colour {
    /// The words of board files and configurations.
    pub const WORDS: [(&'static str, Colour); 5] = [
        ("amber", Colour::Amber),
        ("green", Colour::Green),
        ("blue", Colour::Blue),
        ("red", Colour::Red),
        ("white", Colour::White),
    ];

    /// The name in files, JSON lines and logs.
    pub fn name(self) -> &'static str {
        match self {
            Colour::Amber => "amber",
            Colour::Green => "green",
            Colour::Blue => "blue",
            Colour::Red => "red",
            Colour::White => "white",
        }
    }

    /// The share of each lamp of a three-coloured light, 0 to 255: by eye, on a
    /// WS2812-like trio of equal currents.
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Colour::Amber => [255, 100, 0],
            Colour::Green => [0, 255, 0],
            Colour::Blue => [0, 40, 255],
            Colour::Red => [255, 0, 0],
            Colour::White => [255, 255, 255],
        }
    }
}

/// The sensors with the words of board files.
pub const SENSORS: [(&str, Sensor); 3] = [
    ("request_to_exit", Sensor::RequestToExit),
    ("door_contact", Sensor::DoorContact),
    ("tamper", Sensor::Tamper),
];

/// The word of a sensor.
pub fn sensor_name(sensor: Sensor) -> &'static str {
    match sensor {
        Sensor::RequestToExit => "request_to_exit",
        Sensor::DoorContact => "door_contact",
        Sensor::Tamper => "tamper",
    }
}
