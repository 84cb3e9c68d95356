//! `doorstation support-bundle`: what somebody far away needs to help, in one file.
//!
//! Nothing secret is in it: the configuration without its secrets, and programs that
//! say none themselves.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::process::Command;

use super::{logs, outcome};
use crate::{clock, config, control};

/// The doctor takes 20 s; a program that hangs longer is left out.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is kept of a program's output, bytes: of the journal the last lines are asked for.
const MOST: usize = 8 * 1024 * 1024;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The file to write, a tar; a file that is there is left alone.
    #[arg(value_name = "FILE", default_value = "doorstation-support.tar")]
    file: PathBuf,

    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
    config: PathBuf,

    /// The control socket of the station.
    #[arg(long, value_name = "PATH", default_value = control::SOCKET)]
    socket: PathBuf,
}

/// Writes the file and says what to do with it.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    outcome(super::in_runtime(write(arguments)))
}

async fn write(arguments: Arguments) -> Result<()> {
    let file = &arguments.file;
    let out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("{} cannot be made", file.display()))?;
    let mut bundle = Bundle {
        tar: tar::Builder::new(out),
        now_s: clock::wall_ms() / 1000,
    };
    let written = fill(&mut bundle, &arguments).await;
    let written = written.and_then(|()| Ok(bundle.tar.into_inner()?.sync_all()?));
    if let Err(error) = written {
        // Half a bundle helps nobody, and its name is wanted for the next try.
        let _ = std::fs::remove_file(file);
        return Err(error.context(format!("writing {}", file.display())));
    }
    eprintln!(
        "{} holds names of people, when they called, and the devices of this machine, but no passwords: \
         look at it (tar -xf) before you give it away",
        file.display()
    );
    Ok(())
}

async fn fill(bundle: &mut Bundle, arguments: &Arguments) -> Result<()> {
    let version = concat!("doorstation ", env!("CARGO_PKG_VERSION"), "\n");
    bundle.add("version.txt", version.as_bytes())?;
    let shown = config::redacted(&arguments.config);
    let shown = shown.unwrap_or_else(|faults| {
        let faults = faults.to_string();
        faults.lines().map(|line| format!("# {line}\n")).collect()
    });
    bundle.add("doorstation.toml", shown.as_bytes())?;

    let program = std::env::current_exe().context("where this program is")?;
    let program = program.to_string_lossy().into_owned();
    let (file, socket) = (
        arguments.config.to_string_lossy().into_owned(),
        arguments.socket.to_string_lossy().into_owned(),
    );
    let own: [(&str, &[&str]); 3] = [
        ("config-check.txt", &["config", "check", &file]),
        ("status.json", &["status", "--json", "--socket", &socket]),
        (
            "doctor.json",
            &["doctor", "--json", "--config", &file, "--socket", &socket],
        ),
    ];
    for (name, words) in own {
        bundle.add(name, &said(&program, words).await)?;
    }
    let [station, relay] = logs::UNITS;
    let others: [(&str, &[&str]); 12] = [
        (
            "journal.txt",
            &[
                "journalctl",
                "--no-pager",
                "--lines=20000",
                "--output=short-iso-precise",
                "-u",
                station,
                "-u",
                relay,
            ],
        ),
        (
            "kernel.txt",
            &[
                "journalctl",
                "--no-pager",
                "--lines=2000",
                "--dmesg",
                "--priority=warning",
            ],
        ),
        (
            "units.txt",
            &[
                "systemctl",
                "--no-pager",
                "--lines=0",
                "status",
                station,
                relay,
            ],
        ),
        (
            "restarts.txt",
            &[
                "systemctl",
                "show",
                "--property=Id,NRestarts,Result,ActiveEnterTimestamp,MemoryPeak",
                station,
                relay,
            ],
        ),
        ("machine.txt", &["uname", "-a"]),
        ("os-release.txt", &["cat", "/etc/os-release"]),
        ("sound-cards.txt", &["cat", "/proc/asound/cards"]),
        ("cameras.txt", &["v4l2-ctl", "--list-devices"]),
        ("gpio-chips.txt", &["gpiodetect"]),
        ("usb.txt", &["lsusb"]),
        ("disks.txt", &["df", "-h"]),
        ("device-files.txt", &["ls", "-lR", "/dev/snd", "/dev/v4l"]),
    ];
    for (name, words) in others {
        if let [program, words @ ..] = words {
            bundle.add(name, &said(program, words).await)?;
        }
    }
    Ok(())
}

/// What a program says on both its outputs; a sentence where it is not there.
async fn said(program: &str, words: &[&str]) -> Vec<u8> {
    let ran = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(PATIENCE, ran).await {
        Ok(Ok(mut output)) => {
            output.stdout.truncate(MOST);
            output.stdout.extend(output.stderr.into_iter().take(MOST));
            output.stdout
        }
        Ok(Err(error)) => format!("{program}: {error}\n").into_bytes(),
        Err(_) => format!("{program}: nothing for {} s\n", PATIENCE.as_secs()).into_bytes(),
    }
}

struct Bundle {
    tar: tar::Builder<File>,
    /// Since the Unix epoch.
    now_s: u64,
}

impl Bundle {
    fn add(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(self.now_s);
        let path = Path::new("doorstation-support").join(name);
        self.tar.append_data(&mut header, path, content)?;
        self.tar.get_mut().flush()
    }
}
