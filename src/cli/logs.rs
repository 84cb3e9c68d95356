//! `doorstation logs`: journalctl, asked for the station's lines.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use super::{FAILED, refuse};
use crate::report::terminal::clean;

/// The station and the relay guardian.
pub(super) const UNITS: [&str; 2] = ["doorstation.service", "doorstation-relay.service"];

/// Which lines.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Go on with lines as they come, until Ctrl-C.
    #[arg(short, long)]
    follow: bool,

    /// Only those of this call: `doorstation status --json` has the ids.
    #[arg(long, value_name = "ID")]
    call: Option<String>,

    /// Only newer ones, as journalctl writes times: `-1h`, `yesterday`, `2026-11-26 03:00`.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,

    /// Only what is odd.
    #[arg(long)]
    warnings: bool,

    /// Each line with all its fields, as JSON.
    #[arg(long)]
    json: bool,
}

/// Becomes journalctl; it comes back only if that cannot be done.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    if let Some(id) = &arguments.call
        && !id.chars().all(|c| c.is_ascii_graphic())
    {
        return refuse(&format!("'{}' is not the id of a call", clean(id)));
    }
    let error = Command::new("journalctl").args(asked(arguments)).exec();
    let what = match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no journalctl on this machine: the log went to where the station was started"
                .to_owned()
        }
        _ => format!("journalctl cannot be started: {error}"),
    };
    eprintln!("doorstation: {what}");
    ExitCode::from(FAILED)
}

fn asked(arguments: &Arguments) -> Vec<String> {
    let mut asked: Vec<_> = UNITS.iter().map(|unit| format!("--unit={unit}")).collect();
    let switches = [
        (arguments.follow, "--follow"),
        (arguments.warnings, "--priority=warning"),
        (arguments.json, "--output=json"),
    ];
    let switches = switches.iter().filter(|(on, _)| *on);
    asked.extend(switches.map(|(_, switch)| (*switch).to_owned()));
    asked.extend(
        arguments
            .since
            .as_ref()
            .map(|since| format!("--since={since}")),
    );
    asked.extend(arguments.call.as_ref().map(|id| format!("CALL_ID={id}")));
    asked
}
