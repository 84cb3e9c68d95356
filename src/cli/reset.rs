//! `doorstation factory-reset`: asks twice, and lets [`crate::reset`] do it.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail, ensure};

use super::{logs, outcome};
use crate::report::terminal::clean;
use crate::reset::{self, Kind};
use crate::{config, peer};

/// Where an image mounts its boot partition (`/etc/fstab`).
const CARD: &str = "/boot/firmware";

/// How sure the person is.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Without asking.
    #[arg(long)]
    yes: bool,

    /// Restart at once: an image is emptied at its next start.
    #[arg(long)]
    restart: bool,

    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    outcome(reset(arguments))
}

fn reset(arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(
        peer::we_are_root(),
        "only root resets the door: sudo doorstation factory-reset"
    );
    let root = Path::new("/");
    let kind = reset::kind(root);
    let config = config::load(&arguments.config).ok();
    if !arguments.yes {
        let name = config.as_ref().map(|config| config.station.name.as_str());
        ask(kind, name.unwrap_or("factory-reset"))?;
    }
    match kind {
        Kind::Image => {
            let mounts = std::fs::read_to_string("/proc/mounts").context("/proc/mounts")?;
            ensure!(
                reset::data_is_kept(&mounts),
                "the data partition is not mounted, so the next start would not hear of it; \
                 nothing was changed: flash the card anew"
            );
            let mounted = Card::mount()?;
            reset::image(root, Path::new(CARD))?;
            drop(mounted);
            if arguments.restart {
                ensure!(
                    told(&["reboot"]),
                    "the machine does not restart: systemctl reboot"
                );
                eprintln!("the door restarts, and is a new one then");
            } else {
                eprintln!("the next start empties the door; do it now: systemctl reboot");
            }
        }
        Kind::Package => {
            let elsewhere = elsewhere(&arguments.config);
            let state = config.and_then(|config| config.gateway);
            let with_systemd = Path::new("/run/systemd/system").is_dir();
            if with_systemd {
                let stopped = told(&["stop", logs::UNITS[0], logs::UNITS[1]]);
                ensure!(
                    stopped,
                    "the station does not stop: systemctl status doorstation"
                );
            }
            reset::package(
                root,
                state.as_ref().map(|gateway| gateway.state_dir.as_path()),
            )?;
            if with_systemd && !told(&["start", logs::UNITS[0]]) {
                eprintln!("the station does not start again: systemctl status doorstation");
            }
            eprintln!("the door is as it was installed");
            tell_what_is_left(&elsewhere);
        }
    }
    Ok(())
}

/// Lets the person type what they are about to lose.
fn ask(kind: Kind, name: &str) -> anyhow::Result<()> {
    let input = std::io::stdin();
    ensure!(
        input.is_terminal(),
        "nobody is there to ask: --yes resets without"
    );
    let lost = match kind {
        Kind::Image => {
            "configuration, people, passwords, certificates, pictures, SSH keys, Wi-Fi and log"
        }
        Kind::Package => "configuration, people, passwords, certificates and pictures",
    };
    eprint!(
        "This removes {lost} of this door for good.\nType its name, {}, to go on: ",
        clean(name)
    );
    std::io::stderr().flush()?;
    let mut typed = String::new();
    input.lock().read_line(&mut typed)?;
    if typed.trim() != name {
        bail!("that is not its name; nothing was changed");
    }
    Ok(())
}

/// Files of the owner that the configuration names outside of its folder: they may serve
/// others, too.
fn elsewhere(config: &Path) -> Vec<String> {
    let Ok(shown) = config::redacted(config) else {
        return Vec::new();
    };
    let ours = ["/etc/doorstation/", "/var/lib/doorstation/", "/run/"];
    let lines = shown.lines().filter(|line| line.contains("_file"));
    lines
        .filter_map(|line| line.split('"').nth(1))
        .filter(|path| path.starts_with('/') && !ours.iter().any(|own| path.starts_with(own)))
        .map(clean)
        .collect()
}

fn tell_what_is_left(elsewhere: &[String]) {
    for file in elsewhere {
        eprintln!("left alone, because it is not in a folder of the door: {file}");
    }
    eprintln!(
        "this machine's journal still has the door's log, beside that of everything else: \
         journalctl --rotate && journalctl --vacuum-time=1s removes all of it"
    );
}

fn told(words: &[&str]) -> bool {
    let mut systemctl = Command::new("systemctl");
    let ran = systemctl.args(words).stdin(Stdio::null()).status();
    ran.is_ok_and(|status| status.success())
}

/// The boot partition, mounted for writing while this lives.
struct Card;

impl Card {
    fn mount() -> anyhow::Result<Self> {
        let mut mount = Command::new("mount");
        let ran = mount.args(["-o", "rw", CARD]).stdin(Stdio::null()).status();
        let ran = ran.context("mount")?;
        ensure!(
            ran.success(),
            "the boot partition cannot be mounted at {CARD}: it may hold names of the owner, \
             and nothing was changed"
        );
        Ok(Self)
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        // A restart does the same.
        let _ = Command::new("umount").arg(CARD).status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_outside_the_door_s_folders_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("doorstation.toml");
        let text = "[gateway]\ncertificate_file = \"/srv/certs/door.pem\"\nkey_file = \"door.key\"\n\
                    [[gateway.user]]\nname = \"anna\"\npassword_file = \"/etc/doorstation/anna.password\"\n";
        std::fs::write(&file, text).unwrap();
        assert_eq!(elsewhere(&file), ["/srv/certs/door.pem"]);
    }
}
