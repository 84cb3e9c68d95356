//! `doorstation update`: the slots, and what goes into them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, ExitCode};
use std::time::Duration;

use serde_json::{Value, json};

use super::bundle::{self, Source};
use super::{FAILED, operate, say};
use crate::report::terminal::clean;
use crate::update::confirm::{self, Trial};
use crate::update::rauc::Rauc;
use crate::update::{self, Candidate, Engine, Error, Mark, Progress, Slot, Slots, fetch};
use crate::{config, control, peer};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Show both slots: what runs, what is beside it, what starts next.
    Status {
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Look at a bundle from all sides, without installing it.
    Check {
        #[command(flatten)]
        source: Source,
    },
    /// Install a bundle in the slot that does not run.
    Install {
        #[command(flatten)]
        source: Source,

        /// Restart at once, to use it.
        #[arg(long)]
        restart: bool,
    },
    /// Let the other slot start next: the version before.
    Rollback {
        /// Restart at once.
        #[arg(long)]
        restart: bool,

        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Try whether the version that runs is good, and if so keep it; the image does this
    /// after each update.
    Confirm {
        /// How long it may take: `90s`, `4m`.
        #[arg(long, value_name = "TIME", default_value = "4m", value_parser = operate::time)]
        within: Duration,

        /// Try, and change nothing; works without the image, too.
        #[arg(long)]
        dry_run: bool,

        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
        config: PathBuf,

        /// The control socket of the station.
        #[arg(long, value_name = "PATH", default_value = control::SOCKET)]
        socket: PathBuf,

        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Carries a command out.
pub(super) fn run(command: Command) -> ExitCode {
    match command {
        Command::Status { json } => told(json, status()),
        Command::Check { source } => told(source.json, check(&source)),
        Command::Install { source, restart } => finish(source.json, install(&source), restart),
        Command::Rollback { restart, json } => finish(json, roll_back(), restart),
        Command::Confirm {
            within,
            dry_run,
            config,
            socket,
            json,
        } => {
            let trial = Trial {
                config,
                socket,
                within,
            };
            told(json, confirmed(trial, dry_run))
        }
    }
}

/// What came of a command: sentences for a person, fields for a program.
struct Outcome {
    words: String,
    fields: Value,
}

/// Why nothing came of it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: &'static str,
    pub(super) words: String,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            code: error.code(),
            words: error.to_string(),
        }
    }
}

impl From<fetch::Error> for Failure {
    fn from(error: fetch::Error) -> Self {
        Self {
            code: error.code(),
            words: error.to_string(),
        }
    }
}

type Done = Result<Outcome, Failure>;

fn told(json: bool, done: Done) -> ExitCode {
    let (line, failed) = match done {
        Ok(outcome) if json => (with_ok(outcome.fields, true), false),
        Ok(outcome) => (clean_lines(&outcome.words), false),
        Err(failure) if json => {
            let fields = json!({ "code": failure.code, "message": clean(&failure.words) });
            (with_ok(fields, false), true)
        }
        Err(failure) => {
            eprintln!("doorstation: {}", clean_lines(&failure.words).trim_end());
            (String::new(), true)
        }
    };
    match (say(&line), failed) {
        (_, true) => ExitCode::from(FAILED),
        (code, false) => code,
    }
}

fn with_ok(mut fields: Value, ok: bool) -> String {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("ok".to_owned(), ok.into());
    }
    format!("{fields}\n")
}

/// Tells it, and restarts the machine if that was wanted and there is a reason to.
fn finish(json: bool, done: Done, restart: bool) -> ExitCode {
    let well = done.is_ok();
    let code = told(json, done);
    if !(well && restart) {
        return code;
    }
    match Program::new("systemctl").arg("reboot").status() {
        Ok(status) if status.success() => code,
        _ => {
            eprintln!("doorstation: the machine does not restart: systemctl reboot says why");
            ExitCode::from(FAILED)
        }
    }
}

fn clean_lines(words: &str) -> String {
    words.lines().map(|line| clean(line) + "\n").collect()
}

fn status() -> Done {
    let slots = Rauc::of_the_image()?.slots()?;
    Ok(Outcome {
        words: sheet(&slots),
        fields: json!(slots),
    })
}

/// `slot A   0.2.0       runs now, good, 3 tries left`
fn sheet(slots: &Slots) -> String {
    slots.slots.iter().map(row).collect()
}

fn row(slot: &Slot) -> String {
    let mut state = Vec::new();
    if slot.runs {
        state.push("runs now".to_owned());
    }
    if slot.next && !slot.runs {
        state.push("starts next".to_owned());
    }
    match (slot.good, slot.tries_left) {
        _ if slot.version.is_none() && !slot.runs => state.push("nothing was installed".to_owned()),
        (false, _) | (_, Some(0)) => state.push("does not start".to_owned()),
        (true, Some(1)) => state.push("good, 1 try left".to_owned()),
        (true, Some(tries)) => state.push(format!("good, {tries} tries left")),
        (true, None) => state.push("good".to_owned()),
    }
    if let Some(installed) = &slot.installed {
        state.push(format!("installed {installed}"));
    }
    let version = slot.version.as_deref().unwrap_or("-");
    format!("slot {}   {version:11} {}\n", slot.slot, state.join(", "))
}

fn check(source: &Source) -> Done {
    let engine = Rauc::of_the_image()?;
    let found = bundle::find(source)?;
    let candidate = update::check(&engine, &found.path, source.force)?;
    let words = format!(
        "{} is good: version {}, for {}, signed, every block as it was signed\n\
         install it: doorstation update install {}",
        found.path.display(),
        candidate.contents.version,
        candidate.contents.compatible,
        if source.usb {
            "--usb".into()
        } else {
            found.path.to_string_lossy()
        },
    );
    Ok(Outcome {
        words,
        fields: fields(&candidate, &found.path),
    })
}

fn fields(candidate: &Candidate, path: &Path) -> Value {
    json!({ "file": path.display().to_string(), "bundle": candidate.contents })
}

fn install(source: &Source) -> Done {
    let mut engine = Rauc::of_the_image()?;
    only_root("installs an update")?;
    let found = bundle::find(source)?;
    let json = source.json;
    let mut last = None;
    let candidate = update::install(&mut engine, &found.path, source.force, &mut |progress| {
        if last.as_ref() != Some(&progress) {
            tell_progress(&progress, json);
        }
        last = Some(progress);
    })?;
    if found.fetched {
        bundle::forget();
    }
    let words = format!(
        "version {} is installed\nrestart to use it: systemctl reboot",
        candidate.contents.version
    );
    Ok(Outcome {
        words,
        fields: fields(&candidate, &found.path),
    })
}

fn tell_progress(progress: &Progress, json: bool) {
    let line = match json {
        true => format!(
            "{}\n",
            json!({ "event": "progress", "percent": progress.percent, "step": clean(&progress.step) })
        ),
        false => format!("{:3} %  {}\n", progress.percent, clean(&progress.step)),
    };
    tell(&line);
}

/// Whoever closed it early has read enough; the work goes on.
pub(super) fn tell(line: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

fn roll_back() -> Done {
    let mut engine = Rauc::of_the_image()?;
    only_root("changes what starts next")?;
    let slot = update::roll_back(&mut engine)?;
    let version = slot.version.as_deref().unwrap_or("the version before");
    Ok(Outcome {
        words: format!(
            "slot {} with {version} starts next\nrestart to use it: systemctl reboot",
            slot.slot
        ),
        fields: json!({ "slot": slot }),
    })
}

fn confirmed(trial: Trial, dry_run: bool) -> Done {
    let engine = match dry_run {
        true => None,
        false => {
            only_root("keeps a version")?;
            Some(Rauc::of_the_image()?)
        }
    };
    let mut tried = Err(vec!["it was not tried".to_owned()]);
    let ran = super::in_runtime(async {
        tried = confirm::good(&trial).await;
        Ok(())
    });
    if let Err(error) = ran {
        tried = Err(vec![format!("{error:#}")]);
    }
    let proof = tried.map_err(|wrong| Failure {
        code: "not_good",
        words: format!(
            "this version is not good, after {} s:\n  {}",
            trial.within.as_secs(),
            wrong.join("\n  ")
        ),
    })?;
    let mut words = format!("this version is good:\n  {}", proof.join("\n  "));
    if let Some(mut engine) = engine {
        engine.mark(&Mark::Good)?;
        words += "\nits slot has all its tries again";
    }
    Ok(Outcome {
        words,
        fields: json!({ "proof": proof, "marked": !dry_run }),
    })
}

pub(super) fn only_root(what: &str) -> Result<(), Failure> {
    match peer::we_are_root() {
        true => Ok(()),
        false => Err(Failure {
            code: "not_allowed",
            words: format!("only root {what}: sudo"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_slots_fit_on_a_line_each() {
        let slots = Slots {
            compatible: "doorstation-debian-arm64".to_owned(),
            slots: vec![
                Slot {
                    slot: "A".to_owned(),
                    runs: true,
                    good: true,
                    tries_left: Some(3),
                    version: Some("0.1.0".to_owned()),
                    ..Slot::default()
                },
                Slot {
                    slot: "B".to_owned(),
                    next: true,
                    good: true,
                    tries_left: Some(1),
                    version: Some("0.2.0~rc.1".to_owned()),
                    installed: Some("2026-11-26T15:43:56Z".to_owned()),
                    ..Slot::default()
                },
            ],
        };
        assert_eq!(
            sheet(&slots),
            "slot A   0.1.0       runs now, good, 3 tries left\n\
             slot B   0.2.0~rc.1  starts next, good, 1 try left, installed 2026-11-26T15:43:56Z\n"
        );
        let mut empty = slots;
        empty.slots.remove(0);
        let slot = &mut empty.slots[0];
        (slot.next, slot.version, slot.installed) = (false, None, None);
        assert_eq!(
            sheet(&empty),
            "slot B   -           nothing was installed\n"
        );
    }
}
