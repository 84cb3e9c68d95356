//! `doorstation doctor`: looks at everything that a station needs, and says what to do
//! about what does not work.
//!
//! `host` looks at the machine, `unit` at the service's sandbox, `reach` at servers, `ice`
//! at those that help media out of the house, `devices` at camera, sound and panel. What a running station holds cannot be tried beside it: `running` asks the
//! station itself.

mod devices;
mod host;
mod ice;
mod reach;
mod running;
mod storage;
mod unit;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::{self, Checked};
use crate::control::client::{Client, Error};
use crate::control::message::Status;
use crate::ice::Servers;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// Nothing to do.
    Ok,
    /// It works, and not as well as it should, or not for long.
    Warning,
    /// It does not work.
    Failure,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Grade::Ok => "ok",
            Grade::Warning => "warning",
            Grade::Failure => "failure",
        })
    }
}

/// One line of the doctor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: `camera`, `account cloud`.
    pub check: String,
    /// How it came out.
    pub grade: Grade,
    /// What was seen, with the values that were measured.
    pub seen: String,
    /// What to do; left out where there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    fn ok(check: impl Into<String>, seen: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            grade: Grade::Ok,
            seen: seen.into(),
            remedy: None,
        }
    }

    fn warning(
        check: impl Into<String>,
        seen: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            grade: Grade::Warning,
            remedy: Some(remedy.into()),
            ..Self::ok(check, seen)
        }
    }

    fn failure(
        check: impl Into<String>,
        seen: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            grade: Grade::Failure,
            remedy: Some(remedy.into()),
            ..Self::ok(check, seen)
        }
    }
}

/// What to look at.
#[derive(Clone, Debug)]
pub struct Patient {
    /// The configuration.
    pub config: PathBuf,
    /// The control socket of the station, if it runs.
    pub socket: PathBuf,
    /// Where `/proc` and `/sys` are found: `/`, or a copy for a trial.
    pub root: PathBuf,
    /// Whether the door may be opened once, to hear its relay click.
    pub click: bool,
}

/// Looks at everything; `tell` gets each finding as soon as there is one. Gives the
/// worst grade. Takes 10 to 20 s without a running station.
pub async fn examine(patient: &Patient, tell: &mut (dyn FnMut(Finding) + Send)) -> Grade {
    let mut worst = Grade::Ok;
    let mut note = |finding: Finding| {
        worst = worst.max(finding.grade);
        tell(finding);
    };
    let config = configuration(&patient.config, &mut note);
    host::examine(&patient.root, &mut note);
    let status = station(&patient.socket, &mut note);
    if let Some(config) = &config {
        host::folders(config, &mut note);
        reach::certificate(config, &mut note);
        reach::servers(config, &mut note).await;
        reach::guardian(config, patient.click, &mut note);
    }
    unit::examine(&patient.root, &mut note);
    match (status, config) {
        (Some(status), config) => {
            running::examine(&status, &mut note);
            if let Some(config) = config {
                ice::servers(&config.call.ice, &mut note).await;
            }
        }
        (None, Some(config)) => {
            // Those of the accounts are handed out at a log-in.
            let help = Servers::new(config.call.ice.clone());
            reach::logins(&config, &help, &mut note).await;
            ice::servers(&help.all(), &mut note).await;
            devices::examine(config, &mut note).await;
        }
        (None, None) => {}
    }
    worst
}

fn configuration(path: &Path, note: &mut dyn FnMut(Finding)) -> Option<Checked> {
    match config::load(path) {
        Ok(checked) => {
            note(Finding::ok(
                "configuration",
                format!("{} has no mistakes", path.display()),
            ));
            Some(checked)
        }
        Err(faults) => {
            note(Finding::failure(
                "configuration",
                faults.to_string(),
                "correct the file; what hangs on it was not looked at",
            ));
            None
        }
    }
}

/// What the running station says of itself.
fn station(socket: &Path, note: &mut dyn FnMut(Finding)) -> Option<Box<Status>> {
    match Client::connect(socket).and_then(|mut client| client.status()) {
        Ok(status) => {
            let seen = format!("runs since {} s, {}", status.uptime_s, status.standing);
            note(if status.can_ring {
                Finding::ok("station", seen)
            } else {
                let remedy = "it cannot ring; see the accounts below";
                Finding::failure("station", seen, remedy)
            });
            Some(status)
        }
        // Nothing is wrong with looking before the first start.
        Err(Error::NotRunning(_)) => {
            note(Finding::ok(
                "station",
                "does not run: its parts are tried here",
            ));
            None
        }
        Err(error) => {
            let remedy =
                "run the doctor with sudo; what the station holds cannot be tried beside it";
            note(Finding::warning("station", error.to_string(), remedy));
            None
        }
    }
}
