//! The `doorstation-relay` command, the relay guardian: arguments, one thread, exit
//! code; nothing else.
//!
//! It runs as two processes: the watcher, which is what is started, and the holder
//! of the line, which the watcher starts. `ARCHITECTURE.md` says why.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use doorstation::door::guardian::Limits;
use doorstation::door::line::Place;
use doorstation::door::{Allowed, holder, watcher};
use doorstation::tasks::Tasks;
use doorstation::telemetry;

/// Holds the line of the door relay and opens it for one pulse at a time, never
/// longer than 10 seconds.
#[derive(Parser)]
#[command(name = "doorstation-relay", version, about, long_about = None)]
struct Arguments {
    /// Where clients connect.
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/run/doorstation-relay/socket"
    )]
    socket: PathBuf,

    /// The relay's line: gpio:LABEL:OFFSET, with :active-low behind it for a relay
    /// that is on when the pin is low. For trials: sim:FILE is locked while the line is on,
    /// latch:FILE begins with 1 while it is on.
    #[arg(long, value_name = "LINE")]
    line: Place,

    /// The longest pulse, 100 to 10000 milliseconds.
    #[arg(long, value_name = "MS", value_parser = limits, default_value = "10000")]
    longest_ms: Limits,

    /// Where the lock after tampering is kept over restarts.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/var/lib/doorstation-relay/lock"
    )]
    lock: PathBuf,

    /// A user who may order pulses; repeatable. Root and our own user may.
    #[arg(long = "allow-user", value_name = "NAME")]
    users: Vec<String>,

    /// A group whose members may order pulses; repeatable.
    #[arg(long = "allow-group", value_name = "NAME")]
    groups: Vec<String>,

    /// What to log.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,

    /// This process is the holder; the watcher says this.
    #[arg(long, hide = true)]
    hold: bool,
}

fn limits(ms: &str) -> Result<Limits, String> {
    let longest = ms.parse().ok().map(Duration::from_millis);
    longest
        .and_then(Limits::new)
        .ok_or_else(|| "must be 100 to 10000 milliseconds".to_owned())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let dial = match telemetry::init(telemetry::LogFormat::fitting(), &arguments.log) {
        Ok(dial) => dial,
        Err(error) => {
            eprintln!("doorstation-relay: {error}");
            return ExitCode::from(2);
        }
    };
    if arguments.hold {
        // Nothing of a holder that is wrong in itself may go on: the kernel then
        // takes the line, and the watcher starts another.
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            told(panic);
            std::process::abort();
        }));
    }
    match run(arguments, &dial) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("doorstation-relay: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments, dial: &telemetry::Dial) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(async { dial.tell_floods(&Tasks::new()) });
    if arguments.hold {
        let settings = holder::Settings {
            socket: arguments.socket,
            line: arguments.line,
            lock: arguments.lock,
            limits: arguments.longest_ms,
            allowed: Allowed {
                users: arguments.users,
                groups: arguments.groups,
            },
        };
        return Ok(runtime.block_on(holder::run(settings))?);
    }
    let program = std::env::current_exe().context("where this program is")?;
    let holder = || {
        let mut command = tokio::process::Command::new(&program);
        command.args(std::env::args_os().skip(1)).arg("--hold");
        Ok(command)
    };
    Ok(runtime.block_on(watcher::run(holder))?)
}
