//! The commands that ask a running station, over its control socket.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{FAILED, NOT_REACHED, outcome, say, screen};
use crate::control;
use crate::control::client::{Client, Error};
use crate::control::message::{Reply, Request, Told};
use crate::report::terminal::{self, Look};

/// How the running station is reached, and how it is told what it says.
#[derive(clap::Args)]
pub(super) struct Reach {
    /// The control socket of the station.
    #[arg(long, value_name = "PATH", default_value = control::SOCKET)]
    socket: PathBuf,

    /// Print what the station says as JSON, one object a line.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Show where the running station stands, on one screen.
    Status {
        #[command(flatten)]
        reach: Reach,
    },
    /// Show what happens at the running station, as it happens.
    Watch {
        #[command(flatten)]
        reach: Reach,
    },
    /// Let the door call: whom the bell rings, a ring plan, or a person.
    Call {
        /// A ring plan or a person of the configuration.
        to: Option<String>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Answer who calls the door.
    Answer {
        #[command(flatten)]
        reach: Reach,
    },
    /// Refuse who calls the door.
    Reject {
        #[command(flatten)]
        reach: Reach,
    },
    /// End or cancel the call.
    End {
        #[command(flatten)]
        reach: Reach,
    },
    /// Take a picture of who stands at the door now.
    Snapshot {
        /// The JPEG file to write; one that is there is written over.
        file: PathBuf,
        #[command(flatten)]
        reach: Reach,
    },
    /// Let the log say more or less, for a while.
    LogLevel {
        /// A level for all (`debug`), or parts with theirs (`call=debug,media::rtc=trace`).
        filter: String,

        /// For how long: `90s`, `10m`, `2h`; at most a day.
        #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = time)]
        time: Duration,
        #[command(flatten)]
        reach: Reach,
    },
    /// Do what a press of a button of the panel does now.
    Press {
        /// The button's name in the configuration.
        button: String,
        #[command(flatten)]
        reach: Reach,
    },
}

impl Command {
    fn into_request(self) -> (Request, Reach) {
        match self {
            Command::Status { reach } => (Request::Status {}, reach),
            Command::Watch { reach } => (Request::Watch { words: !reach.json }, reach),
            Command::Call { to, reach } => (Request::Call { to }, reach),
            Command::Answer { reach } => (Request::Answer {}, reach),
            Command::Reject { reach } => (Request::Reject {}, reach),
            Command::End { reach } => (Request::End {}, reach),
            Command::Snapshot { reach, .. } => (Request::Snapshot {}, reach),
            Command::LogLevel {
                filter,
                time,
                reach,
            } => {
                let seconds = time.as_secs();
                (Request::LogLevel { filter, seconds }, reach)
            }
            Command::Press { button, reach } => (Request::Press { button }, reach),
        }
    }
}

/// A time as people write it: `90s`, `10m`, `1h 30m`.
pub(super) fn time(written: &str) -> Result<Duration, String> {
    let mistake = "a time is written like 90s, 10m or 2h, and is at least 1s";
    let time: jiff::SignedDuration = written.parse().map_err(|_| mistake)?;
    let time = Duration::try_from(time).map_err(|_| mistake)?;
    match time.as_secs() {
        0 => Err(mistake.to_owned()),
        _ => Ok(time),
    }
}

/// Asks the station and tells what it says.
pub(super) fn run(command: Command, look: Look, colour: bool) -> ExitCode {
    let picture = match &command {
        Command::Snapshot { file, .. } => file.clone(),
        _ => PathBuf::new(),
    };
    let (request, reach) = command.into_request();
    let asked = Client::connect(&reach.socket).and_then(|mut client| {
        let reply = client.ask(&request)?;
        Ok((client, reply))
    });
    match (asked, request) {
        (Ok((_, mut reply)), Request::Snapshot {}) => {
            match keep(&picture, reply.jpeg.take().unwrap_or_default()) {
                Ok(()) => reply.message = Some(format!("the picture is in {}", picture.display())),
                Err(error) => return outcome(Err(error)),
            }
            told(&reply, reach.json)
        }
        (Ok((client, _)), Request::Watch { .. }) => match watch(client, reach.json, look) {
            Ok(code) => code,
            Err(error) => refused(&error, reach.json),
        },
        (Ok((_, reply)), _) => match &reply.status {
            Some(status) if !reach.json => say(&screen::of(status, look.offset, colour)),
            _ => told(&reply, reach.json),
        },
        (Err(error), _) => refused(&error, reach.json),
    }
}

fn told(reply: &Reply, json: bool) -> ExitCode {
    if json {
        return say(&line(reply));
    }
    let message = reply.message.as_deref().unwrap_or_default();
    say(&format!("{}\n", terminal::clean(message)))
}

/// Writes the picture to a file that only its owner reads: it shows a person.
fn keep(file: &Path, jpeg: String) -> anyhow::Result<()> {
    let jpeg = STANDARD
        .decode(jpeg)
        .context("the station's picture is damaged")?;
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut out| out.write_all(&jpeg));
    written.with_context(|| format!("{} cannot be written", file.display()))
}

/// Prints lines until the station hangs up or nobody reads.
fn watch(mut client: Client, json: bool, look: Look) -> Result<ExitCode, Error> {
    let mut out = std::io::stdout();
    loop {
        let Some(line) = client.next_line()? else {
            eprintln!(
                "doorstation: the station has hung up: it stops, or this was read too slowly"
            );
            return Ok(ExitCode::from(NOT_REACHED));
        };
        let text = match json {
            true => format!("{line}\n"),
            false => match serde_json::from_str(&line) {
                Ok(told) => sentences(&told, look),
                Err(_) => continue,
            },
        };
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        if written.is_err() {
            // Whoever closed it has read enough.
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn sentences(told: &Told, look: Look) -> String {
    let wall = UNIX_EPOCH + Duration::from_millis(told.time_ms);
    let time = terminal::time_of_day(wall, look.offset);
    let words = told.words.iter();
    words
        .map(|words| format!("{time}  {}\n", terminal::clean(words)))
        .collect()
}

fn line(reply: &Reply) -> String {
    serde_json::to_string(reply).map_or_else(|_| String::new(), |line| line + "\n")
}

/// Says why not: to programs on standard output, to people on standard error.
fn refused(error: &Error, json: bool) -> ExitCode {
    let (code, exit) = match error {
        Error::NotRunning(_) => ("not_running", NOT_REACHED),
        Error::NotAllowed => ("not_allowed", NOT_REACHED),
        Error::Silent => ("silent", NOT_REACHED),
        Error::NotUnderstood(_) => ("other_version", NOT_REACHED),
        Error::Socket(_) => ("socket", NOT_REACHED),
        Error::Refused { code, .. } => (code.as_str(), FAILED),
    };
    let message = terminal::clean(&error.to_string());
    match json {
        true => {
            let line = json!({ "ok": false, "code": code, "message": message });
            say(&format!("{line}\n"));
        }
        false => eprintln!("doorstation: {message}"),
    }
    ExitCode::from(exit)
}
