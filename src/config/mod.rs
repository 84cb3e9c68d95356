//! The configuration: a TOML file, and pieces of one in `conf.d` beside it, read before
//! any port or device opens.
//!
//! * `sources` are the files, laid one over the other.
//! * `raw` is the file as written: tables, keys and values with their places.
//! * [`board`] reads board files in the same way.
//! * [`checked`](mod@checked) is the file as used: names, durations and secrets that
//!   cannot be wrong. Reading goes on after a mistake, so that [`Faults`] holds all of them.
//!
//! `docs/configuration.md` describes every key.

pub mod board;
pub mod checked;
mod door;
mod fault;
mod operations;
mod panel;
mod people;
mod raw;
mod read;
mod redact;
mod ring;
mod schema;
mod secrets;
mod servers;
mod sources;

use std::io::Read;
use std::path::{Path, PathBuf};

use ::ring::hmac;

use crate::secret::Secret;

pub use checked::Checked;
pub use fault::{Fault, Faults};
pub use redact::redacted;
pub use schema::schema;
use sources::Sources;

/// Where the file is when nobody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/doorstation/doorstation.toml";

/// A configuration with every key there is, and its comments: what a package installs.
/// A line that begins with `#` and no blank is a setting that is switched off.
pub const DEFAULT: &str = include_str!("../../package/doorstation.toml");

/// [`DEFAULT`] with every setting switched on.
pub fn all_switched_on() -> String {
    let on = |line: &'static str| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c == '[' || c.is_lowercase()) => setting,
        _ => line,
    };
    DEFAULT
        .lines()
        .map(on)
        .fold(String::new(), |all, line| all + line + "\n")
}

/// Who this machine is.
const MACHINE_ID: &str = "/etc/machine-id";

/// Larger files are refused: the largest sensible one has a few kB.
const LARGEST: u64 = 1024 * 1024;

/// Where systemd puts the service's credentials: for root, who looks at them from outside.
const SERVICE_CREDENTIALS: &str = "/run/credentials/doorstation.service";

/// Reads and checks the file at `path`, the pieces in `conf.d` beside it, and the secrets
/// that they name.
///
/// # Errors
/// Every mistake in them, with its file and line.
pub fn load(path: &Path) -> Result<Checked, Faults> {
    let directory = |name| std::env::var_os(name).map(PathBuf::from);
    let of_service = || Some(PathBuf::from(SERVICE_CREDENTIALS)).filter(|there| there.is_dir());
    read_from(
        path,
        directory("CREDENTIALS_DIRECTORY").or_else(of_service),
        directory("RUNTIME_DIRECTORY"),
    )
}

/// Like [`load`], for a station that may not have started yet: what its first start
/// makes and what systemd hands to it may be missing, and is told.
///
/// # Errors
/// As [`load`].
pub fn check(path: &Path) -> Result<Option<Faults>, Faults> {
    match load(path) {
        Ok(_) => Ok(None),
        Err(faults) if faults.iter().all(|fault| fault.until_started) => Ok(Some(faults)),
        Err(faults) => Err(faults),
    }
}

/// Like [`load`], with the directory of systemd's credentials given, and none for the
/// run time.
///
/// # Errors
/// As [`load`].
pub fn load_with(path: &Path, credentials: Option<&Path>) -> Result<Checked, Faults> {
    read_from(path, credentials.map(Path::to_owned), None)
}

fn read_from(
    path: &Path,
    credentials: Option<PathBuf>,
    runtime: Option<PathBuf>,
) -> Result<Checked, Faults> {
    let sources = Sources::read(path, "`doorstation config default` prints one")?;
    let surroundings = Surroundings {
        directory: path.parent().unwrap_or(Path::new("")).to_owned(),
        credentials,
        runtime,
        machine: text_of(Path::new(MACHINE_ID), "").ok().map(Secret::new),
    };
    checked(&sources, &surroundings).map_err(|faults| Faults::new(&sources, faults))
}

/// What the file's relative names stand on.
#[derive(Clone, Debug)]
struct Surroundings {
    /// The file's own directory: relative paths in it start here.
    directory: PathBuf,
    /// Where systemd puts the credentials of the service.
    credentials: Option<PathBuf>,
    /// Where systemd lets the service put sockets: its `RuntimeDirectory=`.
    runtime: Option<PathBuf>,
    /// The machine's identity (machine-id(5)), which nobody else may see.
    machine: Option<Secret>,
}

impl Surroundings {
    /// What this machine is called at the account `id`: from its identity and not to be
    /// followed back to it, as machine-id(5) asks.
    fn correlator(&self, id: &str) -> Option<String> {
        let machine = self.machine.as_ref()?.expose().trim();
        // `uninitialized`, or nothing, until the first start of an image made one: the
        // name would be that of every such machine, and they would log each other out.
        if machine.len() != 32 || !machine.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, machine.as_bytes());
        let tag = hmac::sign(&key, format!("doorstation account {id}").as_bytes());
        let short = tag.as_ref().iter().take(16);
        Some(short.map(|byte| format!("{byte:02x}")).collect())
    }
}

fn checked(sources: &Sources, surroundings: &Surroundings) -> Result<Checked, Vec<Fault>> {
    let mut faults = Vec::new();
    let checked = raw::with_document(sources, &mut faults, |document| {
        read::document(document, surroundings)
    });
    match checked {
        Some(checked) if faults.is_empty() => Ok(checked),
        // A file that is no TOML is not read, and has a fault that says so.
        Some(_) | None => Err(faults),
    }
}

fn text_of(path: &Path, example: &str) -> Result<String, String> {
    let told = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("there is no such file; {example}")
        }
        std::io::ErrorKind::InvalidData => "is not text in UTF-8".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    let file = std::fs::File::open(path).map_err(told)?;
    let mut text = String::new();
    file.take(LARGEST + 1)
        .read_to_string(&mut text)
        .map_err(told)?;
    if text.len() as u64 > LARGEST {
        return Err(format!("is larger than {LARGEST} bytes"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(machine: &str, account: &str) -> Option<String> {
        let surroundings = Surroundings {
            directory: PathBuf::new(),
            credentials: None,
            runtime: None,
            machine: Some(Secret::new(machine.to_owned())),
        };
        surroundings.correlator(account)
    }

    #[test]
    fn a_machine_is_named_anew_at_each_account_and_one_without_identity_at_none() {
        let (one, other) = (
            "0123456789abcdef0123456789abcdef\n",
            "fedcba9876543210fedcba9876543210\n",
        );
        let name = named(one, "cloud").unwrap();
        assert_eq!(name.len(), 32);
        assert_eq!(Some(&name), named(one, "cloud").as_ref());
        assert_ne!(Some(&name), named(other, "cloud").as_ref());
        assert_ne!(Some(&name), named(one, "office").as_ref());
        assert!(!one.contains(&name));
        for none in ["", "uninitialized\n", "0123"] {
            assert_eq!(named(none, "cloud"), None, "{none}");
        }
    }
}
