//! `doorstation doctor`, told to people and to programs.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::{FAILED, WRONG};
use crate::doctor::{self, Finding, Grade, Patient};
use crate::report::terminal::clean;
use crate::{config, control};

/// What the doctor is told.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
    config: PathBuf,

    /// The control socket of the station.
    #[arg(long, value_name = "PATH", default_value = control::SOCKET)]
    socket: PathBuf,

    /// Open the door for a moment, to hear its relay click.
    #[arg(long)]
    click: bool,

    /// Print the findings as JSON, one object a line.
    #[arg(long)]
    json: bool,
}

/// Tells each finding as it comes; exit code 1 with a failure among them.
pub(super) fn run(arguments: Arguments, colour: bool) -> ExitCode {
    let patient = Patient {
        config: arguments.config,
        socket: arguments.socket,
        root: PathBuf::from("/"),
        click: arguments.click,
    };
    let mut worst = Grade::Ok;
    let done = super::in_runtime(async {
        worst = doctor::examine(&patient, &mut |finding| {
            let text = match arguments.json {
                true => json(&finding),
                false => words(&finding, colour),
            };
            // Whoever closed it early has read enough.
            let _ = std::io::stdout().write_all(text.as_bytes());
        })
        .await;
        Ok(())
    });
    match (done, worst) {
        (Err(error), _) => {
            eprintln!("doorstation: {error:#}");
            ExitCode::from(WRONG)
        }
        (Ok(()), Grade::Failure) => ExitCode::from(FAILED),
        (Ok(()), Grade::Ok | Grade::Warning) => ExitCode::SUCCESS,
    }
}

fn json(finding: &Finding) -> String {
    serde_json::to_string(finding).map_or_else(|_| String::new(), |line| line + "\n")
}

/// `ok       camera       29.9 pictures a second of 30`, and what to do below it.
fn words(finding: &Finding, colour: bool) -> String {
    let grade = format!("{:8}", finding.grade);
    let grade = match (colour, finding.grade) {
        (false, _) => grade,
        (true, Grade::Ok) => format!("\x1b[32m{grade}\x1b[0m"),
        (true, Grade::Warning) => format!("\x1b[33m{grade}\x1b[0m"),
        (true, Grade::Failure) => format!("\x1b[31m{grade}\x1b[0m"),
    };
    let seen: Vec<_> = finding.seen.lines().map(clean).collect();
    let seen = seen.join("\n                       ");
    let mut text = format!("{grade} {:13} {seen}\n", finding.check);
    if let Some(remedy) = &finding.remedy {
        text += &format!("         {:13} -> {}\n", "", clean(remedy));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_and_what_to_do_the_next() {
        let finding = Finding {
            check: "camera".to_owned(),
            grade: Grade::Failure,
            seen: "no picture within 5 s".to_owned(),
            remedy: Some("is it plugged in?".to_owned()),
        };
        assert_eq!(
            words(&finding, false),
            "failure  camera        no picture within 5 s\n                       -> is it plugged in?\n"
        );
        assert!(words(&finding, true).starts_with("\x1b[31mfailure"));
    }
}
