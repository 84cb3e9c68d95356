//! Whether the version that runs is good: whether a visitor could ring, be seen and heard.
//!
//! The station is asked over its control socket, as `doorstation status` does: it has to
//! be logged in at its own gateway, and its devices have to work. Then it is called through
//! that gateway, by one of its own users, answered, and looked at and listened to for a few
//! seconds. Nobody indoors rings for it; the door's speaker sounds for a moment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::call::{AccountId, CallId, Connection, Event, Settings, State, Wish};
use crate::client::{Client, Config, Devices};
use crate::config::checked::{self, HOME, Password};
use crate::config::{self, Checked};
use crate::control;
use crate::control::message::{Request, Status};
use crate::secret::Secret;
use crate::signalling::kandy::{self, Login, Trust};

/// How often it is looked at while it is not good.
const PAUSE: Duration = Duration::from_secs(2);
/// From the log-in to talking, at most: a slow board makes keys and opens a camera.
const SET_UP: Duration = Duration::from_secs(40);
/// How long the two talk at the first try, and at most: a camera may take seconds to its
/// first picture, and a slow board longer.
const TALK: Duration = Duration::from_secs(4);
const LONGEST_TALK: Duration = Duration::from_secs(30);
/// How long the last word on a call may take.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Where the station is found.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its configuration.
    pub config: PathBuf,
    /// Its control socket.
    pub socket: PathBuf,
    /// How long it may take.
    pub within: Duration,
}

/// What was seen of a good version, in sentences.
pub type Proof = Vec<String>;

/// Waits until the station proves to be good; a try that is begun in time ends later.
///
/// # Errors
/// What was still wrong when the time was over, in sentences.
pub async fn good(trial: &Trial) -> Result<Proof, Vec<String>> {
    let until = Instant::now() + trial.within;
    let mut talk = TALK;
    loop {
        let wrong = match once(trial, talk).await {
            Ok(proof) => return Ok(proof),
            Err(wrong) => wrong,
        };
        talk = (talk * 2).min(LONGEST_TALK);
        if Instant::now() + PAUSE >= until {
            return Err(wrong);
        }
        sleep_until(Instant::now() + PAUSE).await;
    }
}

async fn once(trial: &Trial, length: Duration) -> Result<Proof, Vec<String>> {
    let one = |why: String| vec![why];
    // What systemd gives the service alone (credentials) cannot be read here.
    let config = config::load(&trial.config);
    let has_gateway = config.as_ref().is_ok_and(|config| config.gateway.is_some());
    let status = status(&trial.socket).map_err(one)?;
    let wrong = wrong_with(&status, has_gateway);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut proof = vec![format!("the station is {}", status.standing)];
    let devices = status.devices.iter().filter_map(|device| {
        let source = device.source.as_ref()?;
        Some(format!("{} works ({source})", device.device))
    });
    proof.extend(devices);
    let talks = status
        .call
        .as_ref()
        .is_some_and(|call| call.state == State::InCall.name());
    if talks {
        // Better than any trial.
        proof.push("somebody talks to the door just now".to_owned());
        return Ok(proof);
    }
    let config = config.map_err(|faults| format!("its configuration cannot be read: {faults}"));
    match config.as_ref().map_err(String::clone).and_then(caller) {
        Err(why_not) => proof.push(format!("no trial call was made: {why_not}")),
        Ok(caller) => {
            let called = call(caller, trial, length).await;
            proof.push(called.map_err(one)?);
        }
    }
    Ok(proof)
}

fn status(socket: &Path) -> Result<Box<Status>, String> {
    let asked = control::client::Client::connect(socket).and_then(|mut client| client.status());
    asked.map_err(|error| error.to_string())
}

/// What keeps a station that answers from being good. Accounts elsewhere do not count: a
/// service that is away would send every door back to its older version.
fn wrong_with(status: &Status, has_gateway: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    if !status.can_ring {
        wrong.push(format!("the station cannot ring: {}", status.standing));
    }
    let home = status
        .accounts
        .iter()
        .find(|account| account.account == HOME);
    match home {
        Some(home) if home.state != "connected" => wrong.push(format!(
            "it is not logged in at its own gateway: {}",
            home.message.as_ref().unwrap_or(&home.state)
        )),
        None if has_gateway => wrong.push("it has no account at its own gateway".to_owned()),
        _ => {}
    }
    for device in &status.devices {
        if let (Some(source), Some(fault)) = (&device.source, &device.fault) {
            wrong.push(format!("{} ({source}): {fault}", device.device));
        }
    }
    if let Some(fault) = status
        .door
        .as_ref()
        .and_then(|door| door.relay_fault.as_ref())
    {
        wrong.push(format!("relay: {fault}"));
    }
    wrong
}

/// Who calls through the gateway of a door.
struct Caller<'c> {
    config: &'c Checked,
    gateway: &'c checked::Gateway,
    user: &'c checked::User,
    password: Secret,
}

/// The first user of the gateway whose password is known; of a hash it is not.
fn caller(config: &Checked) -> Result<Caller<'_>, String> {
    let gateway = config.gateway.as_ref();
    let gateway = gateway.ok_or("the station has no gateway of its own")?;
    let known = gateway.users.iter().find_map(|user| match &user.password {
        Password::Plain(password) => Some(Caller {
            config,
            gateway,
            user,
            password: password.clone(),
        }),
        Password::Hash(_) => None,
    });
    known.ok_or_else(|| "only hashes of its users' passwords are known here".to_owned())
}

/// Calls the door, lets it answer, and looks at what comes.
async fn call(caller: Caller<'_>, trial: &Trial, length: Duration) -> Result<String, String> {
    let Caller {
        config,
        gateway,
        user,
        password,
    } = caller;
    let client = Client::connect(Config {
        account: account(gateway, user, password)?,
        calls: Settings::default(),
        devices: Devices::Simulated,
        rtc: Default::default(),
        server_turn_credentials: false,
    });
    let mut client = client.map_err(|error| format!("the trial call: {error}"))?;
    let talked = talk(&mut client, gateway, &trial.socket, length).await;
    client.disconnect().await;
    let seen = talked?;
    let wants = [
        (config.sound.capture.is_some(), seen.sound, "sound"),
        (true, seen.picture, "picture"),
    ];
    match wants.iter().find(|(wanted, came, _)| *wanted && !came) {
        Some((_, _, what)) => Err(format!("the trial call had no {what} of the door")),
        None => Ok(format!(
            "a call through its own gateway, as {}, was answered and had {}",
            user.address,
            if seen.sound {
                "sound and picture"
            } else {
                "a picture"
            }
        )),
    }
}

/// How the gateway is reached on this machine.
fn account(
    gateway: &checked::Gateway,
    user: &checked::User,
    password: Secret,
) -> Result<kandy::Settings, String> {
    let (secure, trust) = match &gateway.tls {
        checked::Tls::Off => (false, Trust::Public),
        checked::Tls::Local { .. } => {
            let file = crate::gateway::authority_of(&gateway.state_dir.join("tls"));
            let pem = std::fs::read(&file);
            let pem = pem.map_err(|error| format!("{}: {error}", file.display()))?;
            (true, Trust::PublicAnd(pem))
        }
        checked::Tls::Files { certificate, .. } => {
            let certificate = crate::gateway::first_certificate(certificate)?;
            (true, Trust::Only(certificate))
        }
    };
    let mut address = gateway.listen;
    if address.ip().is_unspecified() {
        address.set_ip(match address.is_ipv4() {
            true => std::net::Ipv4Addr::LOCALHOST.into(),
            false => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let (rest, websocket) = if secure {
        ("https", "wss")
    } else {
        ("http", "ws")
    };
    Ok(kandy::Settings {
        account: AccountId::new("trial"),
        user: user.address.to_string(),
        login: Login::Basic {
            password,
            authname: None,
        },
        rest: format!("{rest}://{address}"),
        websocket: format!("{websocket}://{address}"),
        expires: Duration::from_secs(3600),
        trust,
        display_name: None,
    })
}

/// What came of the door.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    sound: bool,
    picture: bool,
}

async fn talk(
    client: &mut Client,
    gateway: &checked::Gateway,
    socket: &Path,
    length: Duration,
) -> Result<Seen, String> {
    let until = Instant::now() + SET_UP;
    logged_in(client, until).await?;
    let wish = Wish {
        audio: true,
        receive_video: true,
        // The client offers no picture of the other end without one of its own.
        send_video: true,
    };
    let call = client.make(gateway.door.as_str(), wish).await;
    let connected = connected(client, &call, socket, until).await;
    let mut seen = Seen {
        sound: connected?,
        picture: false,
    };
    let until = Instant::now() + length;
    while let Ok(Some(event)) = timeout_at(until, client.event()).await {
        match event {
            Event::Moment {
                name: FIRST_SOUND, ..
            } => seen.sound = true,
            Event::Over { reason, .. } => {
                return Err(format!("the trial call ended early: {reason}"));
            }
            _ => {}
        }
    }
    client.end(&call).await;
    while let Ok(Some(event)) = timeout(LAST_WORD, client.event()).await {
        if let Event::Summary { summary, .. } = event {
            let packets = summary.figure("video_packets_received").unwrap_or_default();
            seen.picture = packets > 0.0;
            break;
        }
    }
    Ok(seen)
}

/// The moment at which the first sound of the other end is heard.
const FIRST_SOUND: &str = "answer_to_first_sound";

async fn logged_in(client: &mut Client, until: Instant) -> Result<(), String> {
    while let Ok(Some(event)) = timeout_at(until, client.event()).await {
        if let Event::Connection(_, connection) = event {
            match connection {
                Connection::Connected => return Ok(()),
                Connection::Connecting => {}
                Connection::Lost(failure) | Connection::Refused(failure) => {
                    return Err(format!("the trial call's log-in: {}", failure.message));
                }
            }
        }
    }
    Err("the trial call's log-in has no answer".to_owned())
}

/// Until both talk; lets the station answer as soon as it rings there. Whether sound was
/// heard by then.
async fn connected(
    client: &mut Client,
    call: &CallId,
    socket: &Path,
    until: Instant,
) -> Result<bool, String> {
    let mut sound = false;
    while let Ok(Some(event)) = timeout_at(until, client.event()).await {
        match event {
            Event::StateChange {
                state: State::Ringing,
                ..
            } => answer(socket)?,
            Event::StateChange {
                state: State::InCall,
                ..
            } => return Ok(sound),
            Event::Moment {
                name: FIRST_SOUND, ..
            } => sound = true,
            Event::CallError { failure, .. } => {
                return Err(format!("the trial call: {}", failure.message));
            }
            Event::Over {
                call: over,
                reason,
                code,
                ..
            } if over == *call => {
                return Err(format!("the trial call ended: {reason} ({code})"));
            }
            _ => {}
        }
    }
    Err(format!(
        "the trial call did not connect within {} s",
        SET_UP.as_secs()
    ))
}

fn answer(socket: &Path) -> Result<(), String> {
    let asked = control::client::Client::connect(socket)
        .and_then(|mut client| client.ask(&Request::Answer {}));
    match asked {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "the station does not answer the trial call: {error}"
        )),
    }
}
