//! `doorstation run`: the plan of a station from its checked configuration.

mod reload;

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use anyhow::Context;
use rand::distr::{Alphanumeric, SampleString};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::app::{self, HomeAccount, Introduction, MediaPlan, Memory, Notice, Operations, Plan};
use crate::board::Gpio;
use crate::call::{self, AccountId, View};
use crate::config::checked::{self, CameraSource, Checked, HOME};
use crate::gateway;
use crate::ice;
use crate::media::engine;
use crate::media::gst::{CameraSettings, Source};
use crate::media::sound::{EchoSettings, OpusSettings, SoundSettings};
use crate::panel::{self, sim};
use crate::report::json::Json;
use crate::report::terminal::{Look, Terminal};
use crate::report::{self, Ready, Report, Writer};
use crate::secret::Secret;
use crate::service;
use crate::signalling::kandy;
use crate::tasks::Tasks;
use crate::telemetry::Dial;

/// Runs the station until a signal stops it; with `json` it prints what happens as
/// `docs/json-events.md` describes. `dial` is the level of the log. `config` was read from
/// `file`, which is read again at each SIGHUP.
///
/// # Errors
///
/// A part that could not start, or ended by itself.
pub async fn run(
    config: Checked,
    file: PathBuf,
    json: bool,
    look: Look,
    dial: Dial,
) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let tasks = Tasks::new();
    let reload = service::stop_or_reload_on_signal(&stop, &tasks).context("signals")?;
    let view = watch::Sender::new(View::default());
    // At a terminal a person watches; as a service the journal tells enough.
    let (report, writer) = if json {
        told(Report::start(Json, std::io::stdout(), &tasks))?
    } else if std::io::stdout().is_terminal() {
        let terminal = Terminal::for_stdout(config.station.name.as_str(), look, &view);
        told(Report::start(terminal, std::io::stdout(), &tasks))?
    } else {
        (Report::silent(), None)
    };
    let notice = watch::Sender::new(Notice::starting());
    app::tell_systemd(&view, notice.subscribe(), &tasks);
    let host = reload::Host {
        file,
        reload,
        stop,
        tasks: tasks.clone(),
        view,
        report,
        dial,
        memory: Memory::new(),
        notice,
    };
    let result = host.run(config).await;
    tasks.stop().await;
    if let Some(writer) = writer {
        writer.close().await;
    }
    result
}

fn told(started: io::Result<(Report, Writer)>) -> anyhow::Result<(Report, Option<Writer>)> {
    let (report, writer) = started.context("the report on standard output")?;
    Ok((report, Some(writer)))
}

fn plan(
    config: Checked,
    view: watch::Sender<View>,
    report: Report,
    dial: Dial,
    memory: Memory,
) -> anyhow::Result<Plan> {
    let panel = match config.panel.kind {
        Gpio::Sim => sim::panel(sim::Mode::Auto, report.clone())
            .context("the simulated panel on standard input")?
            .with_looks(config.panel.settings.looks.clone()),
        Gpio::Auto | Gpio::Gpiocdev | Gpio::Rppal => {
            panel::open(&config.panel.settings).context("the panel")?
        }
    };
    let ready = introduction(&config);
    let operations = operations(&config, dial);
    Ok(Plan {
        call: call::Settings {
            ring: config.call.ring,
            plans: config
                .call
                .plans
                .into_iter()
                .map(|(_, plan)| plan)
                .collect(),
            wish: config.call.wish,
            parameters: vec![app::door_name(&config.station.name)],
            max_call: config.call.max_call,
            door: config.door.as_ref().map(|door| door.rules.clone()),
            ..call::Settings::default()
        },
        gateway: config
            .gateway
            .map(|gateway| home_gateway(gateway, &config.station)),
        turn: config
            .accounts
            .iter()
            .filter(|account| account.turn_credentials)
            .map(|account| account.id.clone())
            .collect(),
        correlators: config
            .accounts
            .iter()
            .filter_map(|account| Some((account.id.clone(), account.correlator.clone()?)))
            .collect(),
        accounts: config.accounts.into_iter().map(account_settings).collect(),
        relay: config.door.map(|door| door.socket),
        sensors_at_rest: config.panel.kind == Gpio::Sim,
        bell_on_page: false,
        media: MediaPlan {
            camera: camera_settings(&config.camera)?,
            sound: sound_settings(&config.sound),
            rtc: engine::Settings {
                ice: ice::Servers::new(config.call.ice),
                ..engine::Settings::default()
            },
        },
        visitors: config.camera.visitors_kept,
        view,
        panel,
        report,
        ready,
        operations,
        memory,
    })
}

fn operations(config: &Checked, dial: Dial) -> Operations {
    let buttons = config.panel.settings.buttons.iter();
    let buttons: Vec<_> = buttons
        .map(|button| (button.name.clone(), button.actions))
        .collect();
    let board = config.panel.board.as_ref();
    Operations {
        socket: config
            .control
            .as_ref()
            .map(|control| control.socket.clone()),
        group: config
            .control
            .as_ref()
            .and_then(|control| control.group.clone()),
        metrics: config.metrics,
        name: config.station.name.clone(),
        plans: config
            .call
            .plans
            .iter()
            .map(|(name, _)| name.clone())
            .collect(),
        buttons: match config.panel.kind {
            Gpio::Sim => Operations::simulated_buttons(),
            Gpio::Auto | Gpio::Gpiocdev | Gpio::Rppal => buttons,
        },
        panel: match (config.panel.kind, board) {
            (Gpio::Sim, _) | (_, None) => "simulated".to_owned(),
            (_, Some(board)) => board.name.clone(),
        },
        state_dir: config
            .gateway
            .as_ref()
            .map(|gateway| gateway.state_dir.clone()),
        dial,
    }
}

/// Where the page is and who can log in; without a gateway only who we are.
fn introduction(config: &Checked) -> Introduction {
    let gateway = config.gateway.as_ref();
    let door = match gateway {
        Some(gateway) => gateway.door.to_string(),
        None => config
            .accounts
            .first()
            .map_or_else(String::new, |account| account.user.to_string()),
    };
    let users = gateway.into_iter().flat_map(|gateway| &gateway.users);
    let users = users.map(|user| report::User {
        address: user.address.to_string(),
        made_password: None,
    });
    let users = users.collect();
    Box::new(move |url| Ready { url, door, users })
}

/// The embedded gateway and the station's own account at it, whose password is
/// made anew at each start and known to this process only.
fn home_gateway(
    gateway: checked::Gateway,
    station: &checked::Station,
) -> (gateway::Settings, HomeAccount) {
    let password = Secret::new(Alphanumeric.sample_string(&mut rand::rng(), 32));
    let home = HomeAccount {
        account: AccountId::new(HOME),
        user: gateway.door.to_string(),
        password: password.clone(),
    };
    let door = gateway::User {
        address: gateway.door.to_string(),
        name: station.name.clone(),
        password: gateway::Password::Plain(password),
        max_calls: gateway::User::DOOR_CALLS,
        may_open: false,
    };
    let people = gateway.users.into_iter().map(person);
    let settings = gateway::Settings {
        listen: gateway.listen,
        tls: match gateway.tls {
            checked::Tls::Off => gateway::Tls::Off,
            checked::Tls::Local { names } => gateway::Tls::Local {
                dir: gateway.state_dir.join("tls"),
                names,
            },
            checked::Tls::Files {
                certificate, key, ..
            } => gateway::Tls::Files {
                cert: certificate,
                key,
            },
        },
        domain: gateway.domain,
        users: std::iter::once(door).chain(people).collect(),
        door: gateway::Door {
            address: gateway.door.to_string(),
            name: station.name.clone(),
        },
        ring_time: gateway.ring_time,
        grant_expires: gateway::Settings::GRANT_EXPIRES,
        cors: gateway::Cors::Any,
        bell: None,
        opening: None,
        album: None,
        limits: gateway::Limits::default(),
    };
    (settings, home)
}

fn person(user: checked::User) -> gateway::User {
    gateway::User {
        address: user.address.to_string(),
        name: user.display_name,
        password: match user.password {
            checked::Password::Plain(password) => gateway::Password::Plain(password),
            checked::Password::Hash(hash) => gateway::Password::Argon2(hash),
        },
        max_calls: gateway::User::PERSON_CALLS,
        may_open: user.may_open,
    }
}

/// What the camera shall give.
///
/// # Errors
/// GStreamer cannot look for cameras.
pub(crate) fn camera_settings(camera: &checked::Camera) -> anyhow::Result<CameraSettings> {
    Ok(CameraSettings {
        source: source(&camera.source)?,
        width: camera.width,
        height: camera.height,
        fps: camera.frames_per_s,
        bitrate: camera.bit_rate,
    })
}

/// Which cards, and what is done to the sound.
pub(crate) fn sound_settings(sound: &checked::Sound) -> SoundSettings {
    SoundSettings {
        capture: sound.capture.clone(),
        playback: sound.playback.clone(),
        echo: EchoSettings {
            echo_control: sound.echo_control,
            noise_suppression: sound.noise_suppression,
            automatic_gain: sound.automatic_gain,
        },
        opus: OpusSettings {
            short_packets: sound.short_packets,
            dtx: sound.dtx,
        },
        tone_volume: sound.tone_volume,
    }
}

/// How an account is reached.
pub(crate) fn account_settings(account: checked::Account) -> kandy::Settings {
    kandy::Settings {
        account: account.id,
        user: account.user.to_string(),
        login: kandy::Login::Basic {
            password: account.password,
            authname: None,
        },
        rest: account.rest,
        websocket: account.websocket,
        expires: account.expires,
        trust: kandy::Trust::public_and(account.extra_ca_pem),
        display_name: None,
    }
}

fn source(source: &CameraSource) -> anyhow::Result<Source> {
    Ok(match source {
        CameraSource::Auto => Source::auto().context("looking for cameras")?,
        CameraSource::Test => Source::Test,
        CameraSource::Libcamera(id) => Source::Libcamera(id.clone()),
        CameraSource::V4l2(device) => Source::V4l2(device.to_string_lossy().into_owned()),
        CameraSource::File(file) => Source::File(file.clone()),
    })
}
