//! `doorstation demo`: a whole station without hardware.
//!
//! Everything is the real thing but three parts that are products of their own:
//! the simulated panel, the test picture, and the simulated sound card under the
//! real ALSA library.

pub mod options;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use rand::distr::{Alphanumeric, SampleString};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::app::{self, HomeAccount, Introduction, MediaPlan, Memory, Notice, Operations, Plan};
use crate::call::{self, AccountId, Address, DoorSettings, RingStep, Target, View};
use crate::door::sim as relay;
use crate::gateway::{self, Password, Tls};
use crate::media::engine;
use crate::media::gst::{CameraSettings, Source};
use crate::media::sound::virtual_card::{self, MicSource, VirtualCard};
use crate::media::sound::{EchoSettings, SoundSettings};
use crate::panel::sim;
use crate::report::json::Json;
use crate::report::terminal::{Look, Terminal};
use crate::report::{self, Ready, Report};
use crate::secret::Secret;
use crate::service::stop_on_signal;
use crate::tasks::Tasks;
use crate::telemetry::Dial;
use options::{Login, Options, PanelInput, Video};

/// The account at the embedded gateway.
const HOME: &str = "home";
/// What people see.
const DOOR_NAME: &str = "Front door";
/// Visitors' pictures that are kept, as `doorstation run` does by default.
const VISITORS: usize = 20;
/// The state directory of the process that this one replaced (see [`enter_card`]).
const STATE: &str = "DOORSTATION_DEMO_STATE";

/// Replaces this process by itself with the environment that the simulated sound
/// card needs, if that was not done yet: libasound reads `ALSA_CONFIG_PATH` once,
/// and a running process cannot change its environment safely.
///
/// # Errors
///
/// The state directory cannot be made, or the process cannot be started again.
pub fn enter_card(options: &Options) -> anyhow::Result<()> {
    if options.alsa.is_some() || std::env::var_os(STATE).is_some() {
        return Ok(());
    }
    let state = match &options.state {
        Some(dir) => dir.clone(),
        None => new_temporary_dir()?,
    };
    let (name, value) = VirtualCard::environment(&card_dir(&state));
    let program = std::env::current_exe().context("where this program is")?;
    let error = Command::new(program)
        .args(std::env::args_os().skip(1))
        .env(name, value)
        .env(STATE, &state)
        .exec();
    Err(error).context("the demo cannot start itself with its simulated sound card")
}

/// Runs the demo until somebody quits. `dial` is the level of the log.
///
/// # Errors
///
/// A part that could not start, or ended by itself.
pub async fn run(options: Options, look: Look, dial: Dial) -> anyhow::Result<()> {
    let state = state_dir(&options)?;
    let _temporary = options.state.is_none().then(|| Temporary(state.clone()));
    let people = People::of(&options);
    let stop = CancellationToken::new();
    let tasks = Tasks::new();
    stop_on_signal(&stop, options.seconds, &tasks)?;

    let card = match &options.alsa {
        Some(_) => None,
        None => Some(start_card(&options, &state)?),
    };
    let view = watch::Sender::new(View::default());
    let notice = watch::Sender::new(Notice::starting());
    app::tell_systemd(&view, notice.subscribe(), &tasks);
    let (report, writer) = match options.json {
        true => Report::start(Json, std::io::stdout(), &tasks),
        false => Report::start(
            Terminal::for_stdout(DOOR_NAME, look, &view),
            std::io::stdout(),
            &tasks,
        ),
    }
    .context("the report on standard output")?;
    let socket = state.join("relay.sock");
    // Left by a demo that was killed.
    let _ = std::fs::remove_file(&socket);
    relay::start(&socket, &tasks).context("the simulated relay")?;
    let relay = socket;
    let mode = match options.panel {
        Some(PanelInput::Stdin) => sim::Mode::Driven,
        None => sim::Mode::Auto,
    };
    let plan = Plan {
        call: call_settings(&options, &people),
        gateway: Some((gateway_settings(&options, &state, &people), people.home())),
        accounts: Vec::new(),
        turn: BTreeSet::new(),
        correlators: BTreeMap::new(),
        relay: Some(relay),
        sensors_at_rest: true,
        bell_on_page: true,
        media: media_plan(&options),
        visitors: VISITORS,
        view,
        panel: sim::panel(mode, report.clone()).context("the simulated panel on standard input")?,
        report,
        ready: people.ready(),
        operations: Operations {
            socket: options.control.clone(),
            group: None,
            metrics: options.metrics,
            name: DOOR_NAME.to_owned(),
            plans: Vec::new(),
            buttons: Operations::simulated_buttons(),
            panel: "simulated".to_owned(),
            state_dir: Some(state),
            dial,
        },
        memory: Memory::new(),
    };
    let result = match app::start(plan, stop.clone()).await {
        Ok(running) => {
            notice.send_replace(Notice::default());
            running.run(stop).await
        }
        Err(error) => Err(error),
    };
    tasks.stop().await;
    writer.close().await;
    drop(card);
    result
}

/// A directory that goes when the demo ends, however it ends.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nothing in it is of use to anybody; what cannot be removed stays in /tmp.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Who takes part, with a password for each.
struct People {
    door: Login,
    users: Vec<Login>,
    /// The passwords were made up here, so they must be printed.
    made_up: bool,
    /// Whom the bell rings.
    ring: Vec<String>,
}

impl People {
    fn of(options: &Options) -> Self {
        let made_up = options.users.is_empty();
        let users = if made_up {
            ["alice", "bob"]
                .map(|name| made_up_login(format!("{name}@{}", options.domain())))
                .into()
        } else {
            options.users.clone()
        };
        let door = match &options.door {
            Some(door) => door.clone(),
            None => made_up_login(options.door_address()),
        };
        let ring = if options.ring.is_empty() {
            users.iter().map(|user| user.address.clone()).collect()
        } else {
            options.ring.clone()
        };
        Self {
            door,
            users,
            made_up,
            ring,
        }
    }

    fn home(&self) -> HomeAccount {
        HomeAccount {
            account: AccountId::new(HOME),
            user: self.door.address.clone(),
            password: self.door.password.clone(),
        }
    }

    /// What a person needs to begin, as soon as the gateway has its address.
    fn ready(&self) -> Introduction {
        let door = self.door.address.clone();
        let made_up = self.made_up;
        let user = |login: &Login| report::User {
            address: login.address.clone(),
            made_password: made_up.then(|| login.password.clone()),
        };
        let users = self.users.iter().map(user).collect();
        Box::new(move |url| Ready { url, door, users })
    }
}

fn made_up_login(address: String) -> Login {
    Login {
        address,
        password: Secret::new(Alphanumeric.sample_string(&mut rand::rng(), 12)),
    }
}

fn call_settings(options: &Options, people: &People) -> call::Settings {
    let target = |to: &String| Target {
        account: AccountId::new(HOME),
        to: Address::new(to.as_str()),
    };
    call::Settings {
        ring: vec![RingStep {
            targets: people.ring.iter().map(target).collect(),
            time: options.ring_time,
        }],
        parameters: vec![app::door_name(DOOR_NAME)],
        door: Some(door_settings(options, people)),
        ..call::Settings::default()
    }
}

/// Everybody indoors may open, from the page and by the code from a call.
fn door_settings(options: &Options, people: &People) -> DoorSettings {
    let addresses = people.users.iter();
    let addresses = addresses.map(|user| Address::new(user.address.as_str()));
    let parties = addresses.clone().map(|to| Target {
        account: AccountId::new(HOME),
        to,
    });
    DoorSettings {
        pulse: Duration::from_secs(5),
        hang_up_after: Some(Duration::from_secs(5)),
        open_too_long: Duration::from_secs(60),
        forced_alarm: true,
        users: addresses.collect(),
        parties: parties.collect(),
        code: options.door_code.clone(),
    }
}

fn gateway_settings(options: &Options, state: &Path, people: &People) -> gateway::Settings {
    let user = |login: &Login, max_calls| gateway::User {
        address: login.address.clone(),
        name: display_name(&login.address),
        password: Password::Plain(login.password.clone()),
        max_calls,
        may_open: login.address != people.door.address,
    };
    let mut users = vec![user(&people.door, gateway::User::DOOR_CALLS)];
    users.extend(
        people
            .users
            .iter()
            .map(|login| user(login, gateway::User::PERSON_CALLS)),
    );
    gateway::Settings {
        listen: options.listen,
        tls: match options.plain_http {
            true => Tls::Off,
            false => Tls::Local {
                dir: state.join("tls"),
                names: Vec::new(),
            },
        },
        domain: options.domain().to_owned(),
        users,
        door: gateway::Door {
            address: people.door.address.clone(),
            name: DOOR_NAME.to_owned(),
        },
        ring_time: options.ring_time,
        grant_expires: gateway::Settings::GRANT_EXPIRES,
        cors: gateway::Cors::Any,
        bell: None,
        opening: None,
        album: None,
        limits: gateway::Limits::default(),
    }
}

fn media_plan(options: &Options) -> MediaPlan {
    let (capture, playback) = match &options.alsa {
        Some(pair) => (pair.capture.as_str(), pair.playback.as_str()),
        None => (virtual_card::MICROPHONE, virtual_card::SPEAKER),
    };
    MediaPlan {
        camera: CameraSettings {
            width: options.size.width,
            height: options.size.height,
            ..CameraSettings::new(match &options.video {
                Video::Test => Source::Test,
                Video::V4l2(device) => Source::V4l2(device.to_string_lossy().into_owned()),
                Video::File(file) => Source::File(file.clone()),
            })
        },
        sound: SoundSettings {
            capture: Some(capture.to_owned()),
            playback: Some(playback.to_owned()),
            echo: match options.clean_sound.unwrap_or(options.alsa.is_some()) {
                true => EchoSettings::default(),
                false => EchoSettings::OFF,
            },
            ..SoundSettings::default()
        },
        rtc: engine::Settings::default(),
    }
}

/// `alice@demo.local` is shown as `Alice`.
fn display_name(address: &str) -> String {
    let local = address.split('@').next().unwrap_or(address);
    let mut letters = local.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn start_card(options: &Options, state: &Path) -> anyhow::Result<VirtualCard> {
    let microphone = match &options.mic_wav {
        Some(file) => MicSource::Wav(file.clone()),
        None => MicSource::Voice,
    };
    VirtualCard::prepare(&card_dir(state), microphone, options.speaker_wav.clone())
        .context("the simulated sound card")
}

fn card_dir(state: &Path) -> PathBuf {
    state.join("card")
}

/// The directory that [`enter_card`] chose; with real sound devices only a given
/// one or a temporary one for the certificate.
fn state_dir(options: &Options) -> anyhow::Result<PathBuf> {
    match (&options.state, std::env::var_os(STATE)) {
        (Some(dir), _) => Ok(dir.clone()),
        (None, Some(dir)) => Ok(dir.into()),
        (None, None) => new_temporary_dir(),
    }
}

fn new_temporary_dir() -> anyhow::Result<PathBuf> {
    let dir = tempfile::Builder::new()
        .prefix("doorstation-demo-")
        .tempdir();
    Ok(dir.context("no temporary directory for the demo")?.keep())
}
