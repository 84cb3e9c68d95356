//! The `doorstation` command: arguments, runtime, exit code; nothing else.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use doorstation::report::terminal::{self, Look};
use doorstation::{config, demo, telemetry};

/// The firmware of an open door station: a visitor presses the bell, a person
/// indoors sees them in any browser, answers, and both talk.
#[derive(Parser)]
#[command(version, about, long_about = None, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// What to log, for example `info` or `warn,doorstation::media=debug`.
    #[arg(long, global = true, value_name = "FILTER", help_heading = "Log")]
    log: Option<String>,

    /// How to log: `journal` and `text` are chosen by themselves.
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Log")]
    log_format: Option<telemetry::LogFormat>,
}

const EXAMPLES: &str = "\
Examples:
  doorstation demo                       a whole call on this machine, no hardware needed
  doorstation demo --user anna:secret    with a person of your own
  doorstation config check FILE          tell every mistake in a configuration
  doorstation run --config FILE          the door station";

#[derive(Subcommand)]
enum Command {
    /// Try a whole call without hardware: station, gateway and a simulated panel.
    Demo(Box<demo::options::Options>),
    /// Run the door station.
    Run {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
        config: PathBuf,

        /// Print what happens, one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Look at a configuration without running it.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Tell every mistake in a file, with its line; exit code 2 if there is one.
    Check {
        /// The configuration.
        #[arg(value_name = "FILE", default_value = config::DEFAULT_PATH)]
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Before the first thread: a process that has threads cannot read its zone.
    let look = Look {
        offset: terminal::local_offset(),
        no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
    };
    let format = arguments
        .log_format
        .unwrap_or_else(telemetry::LogFormat::fitting);
    match arguments.command {
        Command::Config(ConfigCommand::Check { file }) => check(&file),
        Command::Run { config: file, json } => {
            let checked = match config::load(&file) {
                Ok(checked) => checked,
                Err(faults) => return refuse(&faults),
            };
            let level = arguments.log.as_deref().unwrap_or(checked.log.level);
            match telemetry::init(format, level) {
                Ok(()) => outcome(in_runtime(doorstation::run::run(checked, json, look))),
                Err(error) => refuse(&error),
            }
        }
        Command::Demo(options) => {
            // A person reads the report; the log is for when something is wrong.
            let level = arguments.log.as_deref().unwrap_or("warn");
            if let Err(fault) = options.check() {
                return refuse(&fault);
            }
            match telemetry::init(format, level) {
                Ok(()) => outcome(
                    demo::enter_card(&options).and_then(|()| in_runtime(demo::run(*options, look))),
                ),
                Err(error) => refuse(&error),
            }
        }
    }
}

fn check(file: &Path) -> ExitCode {
    match config::load(file) {
        Ok(_) => {
            eprintln!("{}: no mistakes", file.display());
            ExitCode::SUCCESS
        }
        Err(faults) => refuse(&faults),
    }
}

/// What the person wrote is wrong: exit code 2, nothing was started.
fn refuse(why: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("doorstation: {why}");
    ExitCode::from(2)
}

fn outcome(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("doorstation: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn in_runtime(run: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let result = runtime.block_on(run);
    // A blocking read of standard input must not hold the end of the process.
    runtime.shutdown_background();
    result
}
