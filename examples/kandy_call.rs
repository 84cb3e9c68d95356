//! The quickstart of Kandy.js with this crate: log in, make a call, take a call,
//! end it, and tell every event.
//!
//! ```sh
//! KANDY_PASSWORD=secret cargo run --example kandy_call -- \
//!     --user alice@example.com --server kandy.example.com:443
//! ```
//!
//! Commands are lines on the standard input: `make NAME`, `answer`, `reject`,
//! `ignore`, `end`, `hold`, `unhold`, `mute`, `unmute`, `video`, `novideo`, `dtmf DIGITS`, `show`, `quit`. Sound is silence and the
//! picture shows nothing; with `--real` they are the first camera and the usual
//! sound card.

#![allow(clippy::print_stdout, reason = "a program whose purpose is to print")]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use doorstation::call::{AccountId, CallId, Connection, Digits, Event, Record, Settings, Wish};
use doorstation::client::{Client, Config, Devices};
use doorstation::media::gst::{CameraSettings, Source};
use doorstation::media::sound::SoundSettings;
use doorstation::secret::Secret;
use doorstation::signalling::kandy::{self, Login, Trust};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};

#[derive(Debug, Parser)]
#[command(about = "Makes and takes calls over one Kandy Link account")]
struct Arguments {
    /// Who logs in. The password is in the variable KANDY_PASSWORD.
    #[arg(long, value_name = "NAME@DOMAIN")]
    user: String,

    /// Where.
    #[arg(long, value_name = "HOST:PORT")]
    server: String,

    /// A certificate to trust, such as that of a door station (`/ca.crt`).
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Without TLS: for a server on this machine.
    #[arg(long)]
    plain: bool,

    /// The first camera and the usual sound card.
    #[arg(long)]
    real: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // It fails only when one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let password = std::env::var("KANDY_PASSWORD").context("KANDY_PASSWORD is not set")?;
    let client = Client::connect(config(arguments, Secret::new(password))?)?;
    let commands = BufReader::new(tokio::io::stdin());
    serve(client, commands, |line| println!("{line}")).await
}

fn config(arguments: Arguments, password: Secret) -> Result<Config> {
    let (rest, websocket) = if arguments.plain {
        ("http", "ws")
    } else {
        ("https", "wss")
    };
    let ca = arguments.ca.map(std::fs::read).transpose();
    let account = kandy::Settings {
        account: AccountId::new("kandy"),
        user: arguments.user,
        login: Login::Basic {
            password,
            authname: None,
        },
        rest: format!("{rest}://{}", arguments.server),
        websocket: format!("{websocket}://{}", arguments.server),
        expires: Duration::from_secs(3600),
        trust: Trust::public_and(ca.context("the certificate to trust")?),
        display_name: None,
    };
    let devices = if arguments.real {
        Devices::Real {
            camera: CameraSettings::new(Source::auto()?),
            sound: SoundSettings {
                capture: Some("default".to_owned()),
                playback: Some("default".to_owned()),
                ..SoundSettings::default()
            },
        }
    } else {
        Devices::Simulated
    };
    // `callDefaults` of the quickstart.
    let wish = Wish {
        audio: true,
        receive_video: true,
        send_video: true,
    };
    Ok(Config {
        account,
        calls: Settings {
            wish,
            ..Settings::default()
        },
        devices,
        rtc: Default::default(),
        server_turn_credentials: false,
    })
}

/// Carries out `commands` and tells every event to `log`, until `quit` or the end
/// of the commands.
pub(crate) async fn serve(
    mut client: Client,
    commands: impl AsyncBufRead + Unpin,
    mut log: impl FnMut(String),
) -> Result<()> {
    let mut commands = commands.lines();
    // The call that `answer`, `end` and the others mean: the latest.
    let mut call: Option<CallId> = None;
    loop {
        tokio::select! {
            event = client.event() => {
                let Some(event) = event else { break };
                if let Event::Receive { call: new, .. } = &event {
                    call = Some(new.clone());
                }
                log(describe(&event));
            }
            line = commands.next_line() => match line? {
                None => break,
                Some(line) if line.trim() == "quit" => break,
                Some(line) => match carry_out(&client, &line, &mut call).await {
                    Ok(Some(record)) => log(show(&record)),
                    Ok(None) => {}
                    Err(error) => log(format!("not possible: {error}")),
                },
            },
        }
    }
    client.disconnect().await;
    Ok(())
}

/// Carries out one command; `show` gives a record back.
async fn carry_out(
    client: &Client,
    line: &str,
    call: &mut Option<CallId>,
) -> Result<Option<Record>> {
    let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    if word == "make" {
        *call = Some(client.make(rest, client.defaults()).await);
        return Ok(None);
    }
    let call = call.as_ref().context("there was no call yet")?;
    match word {
        "answer" => client.answer(call, client.defaults()).await,
        "reject" => client.reject(call).await,
        "ignore" => client.ignore(call).await,
        "end" => client.end(call).await,
        "hold" => client.hold(call).await,
        "unhold" => client.unhold(call).await,
        "mute" => client.mute(call, true).await,
        "unmute" => client.mute(call, false).await,
        "video" => client.start_video(call).await,
        "novideo" => client.stop_video(call).await,
        "dtmf" => match Digits::parse(rest) {
            Some(digits) => client.send_digits(call, digits).await,
            None => bail!("these are not digits"),
        },
        "show" => return Ok(client.call(call).await),
        _ => bail!("there is no command '{word}'"),
    }
    Ok(None)
}

/// An event as a line, under its name in Kandy.js.
fn describe(event: &Event) -> String {
    match event {
        Event::Connection(_, Connection::Refused(failure)) => {
            format!("auth:error {} {}", failure.code, failure.message)
        }
        Event::Connection(_, connection) => format!("auth:change {connection:?}"),
        Event::Start(call) => format!("call:start {call}"),
        Event::Receive { call, from, .. } => format!("call:receive {call} from {from}"),
        Event::StateChange {
            call,
            previous,
            state,
            code,
            reason,
        } => {
            let why = [code, reason].into_iter().flatten();
            let why: String = why.map(|text| format!(" {text}")).collect();
            format!("call:stateChange {call} {previous} -> {state}{why}")
        }
        Event::CallError { call, failure } => {
            format!("call:error {call} {} {}", failure.code, failure.message)
        }
        Event::Digit { call, digit } => format!("call:dtmf {call} {}", digit.as_char()),
        Event::MediaError { device, message } => format!("media:error {device:?} {message}"),
        Event::MediaRestored(device) => format!("media:restored {device:?}"),
        Event::Denied(why) => format!("not possible: {why}"),
        // Of a door station; this program has no door.
        Event::Door(news) => format!("door {news:?}"),
        Event::Moment { call, name, took } => format!("{name} {call} {took:?}"),
        Event::Figures { call, figures } => format!("figures {call} {:?}", figures.0),
        Event::Over { call, talked, .. } => format!("over {call} talked {talked:?}"),
        Event::Summary { call, summary } => {
            format!("summary {call} {:?}", summary.essence().collect::<Vec<_>>())
        }
    }
}

/// What `getById` of Kandy.js shows.
fn show(record: &Record) -> String {
    format!(
        "call {} {} from {} to {} is {}",
        record.id,
        record.direction.name(),
        record.from,
        record.to,
        record.state,
    )
}
