//! The `doorstation` command: arguments, runtime, exit code; nothing else.
//!
//! `doctor` tells what the doctor found, `operate` asks a running station over its control socket, `screen` is what
//! `status` shows, `pages` what a package installs, `logs` asks the journal, `support` packs it all for somebody else,
//! `update` changes what is in the slots of a card, `reset` makes a new door of an old one.

mod bundle;
mod doctor;
mod logs;
mod operate;
mod pages;
mod reset;
mod screen;
mod support;
mod update;

use std::future::Future;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::door::operator;
use crate::report::terminal::{self, Look};
use crate::{board, config, demo, hands_on, telemetry};

/// Exit code: it could not be done.
const FAILED: u8 = 1;
/// Exit code: the arguments or the configuration are wrong; nothing was started.
const WRONG: u8 = 2;
/// Exit code: the station does not run, or this user may not ask it.
const NOT_REACHED: u8 = 3;

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
  doorstation config default             a configuration to begin with
  doorstation config check FILE          tell every mistake in a configuration
  doorstation run --config FILE          the door station
  doorstation board show pi4             what is wired where
  doorstation leds test                  light each light in turn
  doorstation buttons watch              what the contacts do, and how they bounce
  doorstation door open                  open the door once, through the relay guardian
  doorstation status                     where the running station stands
  doorstation doctor                     what is wrong, and what to do about it
  doorstation call alice                 let the running station call
  doorstation logs --since -1h           what the log says of the last hour
  doorstation update status              which versions are on the card

Exit codes:
  0  done
  1  it could not be done
  2  the arguments or the configuration are wrong
  3  the station does not run, or this user may not ask it";

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
    /// Look at boards: what is wired where.
    #[command(subcommand)]
    Board(BoardCommand),
    /// Try the panel's lights; the station must not run.
    #[command(subcommand)]
    Leds(LedsCommand),
    /// Try the panel's buttons and sensors; the station must not run.
    #[command(subcommand)]
    Buttons(ButtonsCommand),
    /// Open the door by hand, through the relay guardian.
    #[command(subcommand)]
    Door(DoorCommand),
    /// Look at everything that the station needs, and say what to do; works beside a
    /// running station and without it.
    Doctor(doctor::Arguments),
    /// Show the log of the station and the relay guardian, from systemd's journal.
    Logs(logs::Arguments),
    /// Pack what somebody far away needs to help, without secrets, into one file.
    SupportBundle(support::Arguments),
    /// Update the image: look at the slots, install another version, go back.
    #[command(subcommand)]
    Update(update::Command),
    /// Remove everything of the owner: the door starts as a new one.
    FactoryReset(reset::Arguments),
    #[command(flatten)]
    Operate(operate::Command),
    /// Print the completions of a shell, for packages.
    #[command(hide = true)]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the man page, or write one for each command, for packages.
    #[command(hide = true)]
    Man {
        /// The folder to write to.
        folder: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum DoorCommand {
    /// Print the relay's line of a configuration, for /etc/doorstation/relay.env.
    Line {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
        config: PathBuf,
    },
    /// Open the door once and wait until it is shut again.
    Open {
        /// For how long, at most 10.
        #[arg(long, value_name = "N", default_value = "5",
              value_parser = clap::value_parser!(u64).range(1..=10))]
        seconds: u64,

        /// Where the relay guardian listens.
        #[arg(long, value_name = "PATH", default_value = operator::SOCKET)]
        socket: PathBuf,
    },
}

#[derive(Subcommand)]
enum BoardCommand {
    /// Name the boards of this version.
    List,
    /// Show a board's wires.
    Show {
        /// A board's name, or a file.
        board: String,

        /// As a drawing, SVG.
        #[arg(long, conflicts_with = "toml")]
        svg: bool,

        /// As a board file, to begin one of your own with.
        #[arg(long)]
        toml: bool,
    },
    /// Tell every mistake in a board file; exit code 2 if there is one.
    Check {
        /// A board's name, or a file.
        board: String,
    },
}

#[derive(Subcommand)]
enum LedsCommand {
    /// Light each light in turn and say which.
    Test {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
        config: PathBuf,
    },
}

#[derive(Subcommand)]
enum ButtonsCommand {
    /// Show levels and edges as they come, and at the end how the contacts bounce.
    Watch {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
        config: PathBuf,

        /// End after so many seconds instead of at Ctrl-C.
        #[arg(long, value_name = "SECONDS")]
        seconds: Option<u64>,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Tell every mistake in a file and in conf.d beside it, with its line; exit code 2
    /// if there is one.
    Check {
        /// The configuration.
        #[arg(value_name = "FILE", default_value = config::DEFAULT_PATH)]
        file: PathBuf,
    },
    /// Show what counts of a file and of conf.d beside it, without comments and secrets,
    /// to be given to others.
    Show {
        /// The configuration.
        #[arg(value_name = "FILE", default_value = config::DEFAULT_PATH)]
        file: PathBuf,
    },
    /// Print a configuration with every key, its default and comments, to begin with.
    Default,
    /// Print what a configuration may hold as JSON Schema, for editors.
    Schema,
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    // Before the first thread: a process that has threads cannot read its zone.
    let look = Look {
        offset: terminal::local_offset(),
        no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
    };
    let format = arguments
        .log_format
        .unwrap_or_else(telemetry::LogFormat::fitting);
    let colour = !look.no_color && std::io::stdout().is_terminal();
    match arguments.command {
        Command::Doctor(arguments) => doctor::run(arguments, colour),
        Command::Logs(arguments) => logs::run(&arguments),
        Command::SupportBundle(arguments) => support::run(arguments),
        Command::Update(command) => update::run(command),
        Command::FactoryReset(arguments) => reset::run(&arguments),
        Command::Operate(command) => operate::run(command, look, colour),
        Command::Completions { shell } => say_bytes(&pages::completions(shell)),
        Command::Man { folder: None } => match pages::man() {
            Ok(page) => say_bytes(&page),
            Err(error) => outcome(Err(error.into())),
        },
        Command::Man {
            folder: Some(folder),
        } => outcome(
            pages::man_to(&folder).with_context(|| format!("writing to {}", folder.display())),
        ),
        Command::Config(ConfigCommand::Check { file }) => check(&file),
        Command::Config(ConfigCommand::Default) => say(config::DEFAULT),
        Command::Config(ConfigCommand::Schema) => say(&format!("{:#}\n", config::schema())),
        Command::Config(ConfigCommand::Show { file }) => match config::redacted(&file) {
            Ok(text) => say(&text),
            Err(faults) => refuse(&faults),
        },
        Command::Board(command) => show_board(command),
        Command::Leds(LedsCommand::Test { config: file }) => match config::load(&file) {
            Ok(checked) => outcome(in_runtime(hands_on::test_lights(checked.panel))),
            Err(faults) => refuse(&faults),
        },
        Command::Buttons(ButtonsCommand::Watch {
            config: file,
            seconds,
        }) => match config::load(&file) {
            Ok(checked) => outcome(in_runtime(hands_on::watch_buttons(checked.panel, seconds))),
            Err(faults) => refuse(&faults),
        },
        Command::Door(DoorCommand::Open { seconds, socket }) => {
            outcome(open_door(&socket, Duration::from_secs(seconds)))
        }
        Command::Door(DoorCommand::Line { config: file }) => match config::load(&file) {
            Ok(checked) => match board::table::relay_env(&checked.panel.settings.wiring) {
                Some(line) => say(&line),
                None => refuse(&"the configuration has no relay on a GPIO chip"),
            },
            Err(faults) => refuse(&faults),
        },
        Command::Run { config: file, json } => {
            let checked = match config::load(&file) {
                Ok(checked) => checked,
                Err(faults) => return refuse(&faults),
            };
            let level = arguments.log.as_deref().unwrap_or(checked.log.level);
            match telemetry::init(format, level) {
                Ok(dial) => outcome(in_runtime(crate::run::run(checked, file, json, look, dial))),
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
                Ok(dial) => outcome(
                    demo::enter_card(&options)
                        .and_then(|()| in_runtime(demo::run(*options, look, dial))),
                ),
                Err(error) => refuse(&error),
            }
        }
    }
}

fn open_door(socket: &Path, length: Duration) -> anyhow::Result<()> {
    let on = operator::open(socket, length, || eprintln!("the door is open"))?;
    eprintln!("the door is shut again after {:.1} s", on.as_secs_f64());
    Ok(())
}

fn check(file: &Path) -> ExitCode {
    match config::check(file) {
        Ok(missing) => {
            if let Some(missing) = missing {
                eprintln!("{missing}");
            }
            eprintln!("{}: no mistakes", file.display());
            ExitCode::SUCCESS
        }
        Err(faults) => refuse(&faults),
    }
}

fn show_board(command: BoardCommand) -> ExitCode {
    let told = match command {
        BoardCommand::List => list_boards(),
        BoardCommand::Show {
            board, toml: true, ..
        } => config::board::load(&board).and_then(|_| config::board::source(&board)),
        BoardCommand::Show {
            board, svg: true, ..
        } => config::board::load(&board).map(|file| board::drawing::svg(&file.board)),
        BoardCommand::Show { board, .. } => {
            config::board::load(&board).map(|file| board::table::sheet(&file.board))
        }
        BoardCommand::Check { board } => config::board::load(&board).map(|file| {
            eprintln!("{board}: no mistakes");
            let warnings = board::table::warnings(&file.board);
            for warning in warnings {
                eprintln!("{board}: {warning}");
            }
            String::new()
        }),
    };
    match told {
        Ok(text) => say(&text),
        Err(faults) => refuse(&faults),
    }
}

fn list_boards() -> Result<String, config::Faults> {
    let line = |name| {
        let file = config::board::load(name)?;
        Ok(format!("{name:10} {}\n", file.board.title))
    };
    config::board::names().map(line).collect()
}

/// Writes to standard output; whoever closes it early has read enough.
fn say(text: &str) -> ExitCode {
    say_bytes(text.as_bytes())
}

fn say_bytes(text: &[u8]) -> ExitCode {
    match std::io::stdout().write_all(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => refuse(&error),
    }
}

/// What the person wrote is wrong: exit code 2, nothing was started.
fn refuse(why: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("doorstation: {why}");
    ExitCode::from(WRONG)
}

fn outcome(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("doorstation: {error:#}");
            ExitCode::from(FAILED)
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
