//! The file as used: nothing in here can be wrong any more.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::board::{Board, Gpio};
use crate::call::{AccountId, Address, DoorSettings, RingStep, Wish};
use crate::ice;
use crate::panel::settings;
use crate::secret::Secret;

/// The account at the embedded gateway has this name in ring plans and logs.
pub const HOME: &str = "home";

/// A whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The station itself.
    pub station: Station,
    /// Whom the bell rings, and for how long.
    pub call: Call,
    /// Accounts at Kandy Link services; the gateway's own is not among them.
    pub accounts: Vec<Account>,
    /// The embedded gateway; `None` where there is none.
    pub gateway: Option<Gateway>,
    /// The door; `None` where the station opens none.
    pub door: Option<Door>,
    /// The picture.
    pub camera: Camera,
    /// Microphone and speaker.
    pub sound: Sound,
    /// Buttons and lights.
    pub panel: Panel,
    /// The log.
    pub log: Log,
    /// The control socket; `None` where there is none.
    pub control: Option<Control>,
    /// `[metrics]`: where they are told; `None` where they are not.
    pub metrics: Option<SocketAddr>,
}

/// `[station]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Station {
    /// What people call the door, up to 64 characters.
    pub name: String,
}

/// `[call]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Whom the bell rings, step by step; at least one step with at least one of
    /// them.
    pub ring: Vec<RingStep>,
    /// Ring plans with a name, for buttons that ring somebody else.
    pub plans: Vec<(String, Vec<RingStep>)>,
    /// The longest call.
    pub max_call: Duration,
    /// Media of a call that names none.
    pub wish: Wish,
    /// STUN and TURN servers.
    pub ice: Vec<ice::Server>,
}

/// `[[account]]`: a login at a Kandy Link service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name in ring plans and logs.
    pub id: AccountId,
    /// `door@example.org`.
    pub user: Address,
    /// The password.
    pub password: Secret,
    /// `https://host:port`, without a path.
    pub rest: String,
    /// `wss://host:port`, without a path.
    pub websocket: String,
    /// How long a subscription lasts before it is renewed.
    pub expires: Duration,
    /// A certificate authority to trust besides the public ones, PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// Its TURN credentials are for the ICE servers.
    pub turn_credentials: bool,
    /// What this machine is called there, the same over restarts; `None`: it has no
    /// identity.
    pub correlator: Option<String>,
}

/// `[gateway]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What stands behind the `@` of its users.
    pub domain: String,
    /// The station's own address at it.
    pub door: Address,
    /// Where its certificate authority and its state live.
    pub state_dir: PathBuf,
    /// How it is secured.
    pub tls: Tls,
    /// How long it lets a call ring that nobody answers.
    pub ring_time: Duration,
    /// Who can log in; at least one.
    pub users: Vec<User>,
}

/// `[door]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// The relay guardian's socket.
    pub socket: PathBuf,
    /// Who may open, and how long.
    pub rules: DoorSettings,
}

/// How connections to the gateway are secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all: on a loopback address only.
    Off,
    /// By a certificate of its own authority, for these names besides the
    /// machine's own.
    Local {
        /// `door.example.org`.
        names: Vec<String>,
    },
    /// By a certificate of one's own.
    Files {
        /// The chain, PEM.
        certificate: PathBuf,
        /// Its key, PEM, private to us.
        key: PathBuf,
        /// When the two were last written: a certificate that is renewed is a change.
        written: [Option<SystemTime>; 2],
    },
}

/// `[[gateway.user]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `alice@home.local`.
    pub address: Address,
    /// What callers see.
    pub display_name: String,
    /// What this person logs in with.
    pub password: Password,
    /// May open the door from the page.
    pub may_open: bool,
}

/// A password that is known, or one that can only be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// As it is, from a file.
    Plain(Secret),
    /// As an argon2id string in PHC form.
    Hash(Secret),
}

/// `[camera]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Camera {
    /// Where pictures come from.
    pub source: CameraSource,
    /// Pixels; even.
    pub width: u32,
    /// Pixels; even.
    pub height: u32,
    /// Pictures a second.
    pub frames_per_s: u32,
    /// Bits a second, for each codec.
    pub bit_rate: u32,
    /// How many visitors' pictures are kept; 0 is none.
    pub visitors_kept: usize,
}

/// Where pictures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CameraSource {
    /// The first camera there is, else the test picture.
    Auto,
    /// The moving test picture.
    Test,
    /// A V4L2 device.
    V4l2(PathBuf),
    /// A camera of libcamera: its id, or empty for the first.
    Libcamera(String),
    /// A file, played over and over.
    File(PathBuf),
}

/// `[sound]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// ALSA's name of the microphone; `None` where there is none.
    pub capture: Option<String>,
    /// ALSA's name of the speaker; `None` where there is none.
    pub playback: Option<String>,
    /// Whether the speaker's sound is taken out of the microphone's.
    pub echo_control: bool,
    /// Whether steady noise is taken out of the microphone's sound.
    pub noise_suppression: bool,
    /// Whether the microphone's sound is brought to an even level.
    pub automatic_gain: bool,
    /// Packets of 10 ms in place of 20 ms while nobody loses any.
    pub short_packets: bool,
    /// Nothing is sent while nobody speaks.
    pub dtx: bool,
    /// How loud the door's own tones are, per cent of the full amplitude.
    pub tone_volume: u8,
}

/// `[panel]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panel {
    /// What carries buttons and lights.
    pub kind: Gpio,
    /// The board, with what the file changes of it; `None` for a desk.
    pub board: Option<Board>,
    /// What is wired, and what it does.
    pub settings: settings::Settings,
}

/// `[control]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Where the socket is.
    pub socket: PathBuf,
    /// The group whose members may use it, besides root and our own user.
    pub group: Option<String>,
}

/// `[log]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'static str,
}
