//! RAUC on the board, by its command: it asks RAUC's service over D-Bus, which is the only
//! program that writes a slot.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::{Contents, Engine, Error, Mark, Progress, Slot, Slots, words};

/// What the image says of itself: `VERSION=0.1.0`. A package brings no such file.
pub const RELEASE: &str = "/etc/doorstation-release";
/// Which version was good in a slot: `board/image/files/usr/lib/doorstation/confirm`
/// writes it, in a file for each slot.
const KNOWN: &str = "/data/slots";
/// While this file is there, the image lets RAUC install what is no newer:
/// `board/image/files/usr/lib/doorstation/check-bundle`. It is gone at the next start.
const ALLOWED: &str = "/run/doorstation-downgrade";
/// The last lines of an installation that are kept to say why it failed.
const KEPT: usize = 20;

/// RAUC, and what is beside it.
#[derive(Clone, Debug)]
pub struct Rauc {
    program: PathBuf,
    /// Options before each command.
    options: Vec<OsString>,
    variables: BTreeMap<OsString, OsString>,
    /// What prints U-Boot's environment: who counts the tries.
    environment: PathBuf,
    release: PathBuf,
    known: PathBuf,
    allowed: PathBuf,
}

impl Default for Rauc {
    fn default() -> Self {
        Self {
            program: "rauc".into(),
            options: Vec::new(),
            variables: BTreeMap::new(),
            environment: "fw_printenv".into(),
            release: RELEASE.into(),
            known: KNOWN.into(),
            allowed: ALLOWED.into(),
        }
    }
}

impl Rauc {
    /// RAUC of the image that runs.
    ///
    /// # Errors
    /// [`Error::Package`]: no image runs.
    pub fn of_the_image() -> Result<Self, Error> {
        let rauc = Self::default();
        match rauc.release.exists() {
            true => Ok(rauc),
            false => Err(Error::Package),
        }
    }

    /// RAUC with another configuration and other variables in its environment; `folder` has
    /// `doorstation-release` and `slots`.
    pub fn with<'v>(
        config: &Path,
        folder: &Path,
        variables: impl IntoIterator<Item = (&'v str, &'v str)>,
    ) -> Self {
        let variables = variables.into_iter();
        Self {
            options: vec!["--conf".into(), config.into()],
            variables: variables.map(|(k, v)| (k.into(), v.into())).collect(),
            release: folder.join("doorstation-release"),
            known: folder.join("slots"),
            allowed: folder.join("downgrade"),
            ..Self::default()
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.options)
            .args(words)
            .envs(&self.variables)
            // Its words are read.
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, mut command: Command) -> Result<Output, Error> {
        command.output().map_err(|source| self.no_program(source))
    }

    fn no_program(&self, source: io::Error) -> Error {
        Error::Program {
            program: self.program.clone(),
            source,
        }
    }

    /// What a command prints, if it succeeds.
    fn ask(&self, words: &[&str]) -> Result<String, Error> {
        said(&self.run(self.command(words))?)
    }

    /// What a command prints about a bundle.
    fn info(&self, more: &[&str], bundle: &Path) -> Result<String, Error> {
        let mut command = self.command(&["info"]);
        command.args(more).arg(bundle);
        let output = self.run(command)?;
        if !output.status.success()
            && let Some(refusal) = words::refusal(&String::from_utf8_lossy(&output.stderr))
        {
            return Err(refusal.into());
        }
        said(&output)
    }

    /// The version that runs, as the image says it.
    fn release(&self) -> Option<String> {
        let text = std::fs::read_to_string(&self.release).ok()?;
        let version = text.lines().find_map(|line| line.strip_prefix("VERSION="));
        version.map(|version| version.trim().to_owned())
    }

    /// The version that was good in a slot once.
    fn known(&self, slot: &str) -> Option<String> {
        let version = std::fs::read_to_string(self.known.join(slot)).ok()?;
        Some(version.trim().to_owned()).filter(|version| !version.is_empty())
    }

    /// How many tries U-Boot has left for a slot.
    fn tries(&self, slot: &str) -> Option<u32> {
        let name = format!("BOOT_{slot}_LEFT");
        let mut command = Command::new(&self.environment);
        command.args(["-n", &name]).stdin(Stdio::null());
        let output = command.output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    }

    fn complete(&self, slot: &mut Slot) {
        slot.tries_left = self.tries(&slot.slot);
        slot.size = size(&slot.device).ok();
        // A card comes with a version in slot A that RAUC did not install.
        let written = match slot.runs {
            true => self.release(),
            false => slot.version.take().or_else(|| self.known(&slot.slot)),
        };
        slot.version = written.or(slot.version.take());
    }
}

impl Engine for Rauc {
    fn slots(&self) -> Result<Slots, Error> {
        let status = self.ask(&["status", "--detailed", "--output-format=json"])?;
        let mut slots = words::slots(&status)?;
        for slot in &mut slots.slots {
            self.complete(slot);
        }
        Ok(slots)
    }

    fn contents(&self, bundle: &Path) -> Result<Contents, Error> {
        let json = self.info(&["--output-format=json"], bundle)?;
        let sheet = self.info(&[], bundle)?;
        words::contents(&json, &sheet)
    }

    fn install(&mut self, bundle: &Path, told: &mut dyn FnMut(Progress)) -> Result<(), Error> {
        let mut command = self.command(&["install"]);
        let (reader, writer) = io::pipe().map_err(|source| self.no_program(source))?;
        let both = writer.try_clone();
        command
            .arg(bundle)
            .stdout(both.map_err(|source| self.no_program(source))?)
            .stderr(writer);
        let child = command.spawn();
        // It holds the other end of the pipe until it is dropped.
        drop(command);
        let mut child = child.map_err(|source| self.no_program(source))?;
        let mut last = std::collections::VecDeque::with_capacity(KEPT);
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            match words::progress(&line) {
                Some(progress) => told(progress),
                None => {
                    // Full: the oldest goes, the cause is told last.
                    last.truncate(KEPT - 1);
                    last.push_front(line);
                }
            }
        }
        let ended = child.wait().map_err(|source| self.no_program(source))?;
        if ended.success() {
            return Ok(());
        }
        let last: Vec<_> = last.into_iter().rev().collect();
        let cause = last.iter().find(|line| line.starts_with("LastError:"));
        let cause = cause.cloned().unwrap_or_else(|| last.join("\n"));
        Err(match words::refusal(&cause) {
            Some(refusal) => refusal.into(),
            None => Error::Engine(words::complaint(&cause)),
        })
    }

    fn allow_older(&mut self) -> Result<(), Error> {
        File::create(&self.allowed)
            .map(drop)
            .map_err(|source| Error::File {
                file: self.allowed.clone(),
                source,
            })
    }

    fn mark(&mut self, mark: &Mark) -> Result<(), Error> {
        match mark {
            Mark::Good => self.ask(&["status", "mark-good", "booted"])?,
            Mark::Next(name) => self.ask(&["status", "mark-active", name])?,
        };
        Ok(())
    }
}

fn said(output: &Output) -> Result<String, Error> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(Error::Engine(words::complaint(&complaint)))
}

/// Bytes of a partition, or of a file that stands for one.
fn size(device: &Path) -> io::Result<u64> {
    File::open(device)?.seek(SeekFrom::End(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_newer_is_allowed_where_the_image_looks_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut rauc = Rauc::with(Path::new("system.conf"), folder.path(), []);
        rauc.allow_older().unwrap();
        assert!(folder.path().join("downgrade").is_file());
        let hook = include_str!("../../board/image/files/usr/lib/doorstation/check-bundle");
        assert!(hook.contains(ALLOWED));
        drop(folder);
        assert!(rauc.allow_older().is_err());
    }
}
