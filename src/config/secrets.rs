//! Secrets: from files that nobody else may read, or from systemd's credentials.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::secret::Secret;

/// The longest secret that is read.
const LONGEST: u64 = 4096;

/// The password of the first login, which `systemd/first-login` makes.
const MADE_AT_FIRST_START: &str = "/var/lib/doorstation/indoor.password";

/// Whether the secret in the file at `path` is not there yet, and the station's first
/// start makes it.
pub(super) fn is_still_to_be_made(path: &Path) -> bool {
    path == Path::new(MADE_AT_FIRST_START) && matches!(path.try_exists(), Ok(false))
}

/// The secret in the file at `path`, which only we (or root) may own and nobody
/// else may read. To root it may be anybody's: root looks at the configuration of a
/// service with a user of its own. One line end behind it is cut off.
///
/// # Errors
/// What is wrong, as the end of a sentence that begins with the key.
pub(super) fn from_file(path: &Path) -> Result<Secret, String> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| format!("'{shown}' cannot be read: {error}"))?;
    let metadata = file
        .metadata()
        .map_err(|error| format!("'{shown}' cannot be looked at: {error}"))?;
    is_private(&metadata).map_err(|what| format!("'{shown}' {what}"))?;
    read(file).map_err(|what| format!("'{shown}' {what}"))
}

/// The credential `name` that systemd gave the service (`LoadCredential=`).
///
/// # Errors
/// As [`from_file`].
pub(super) fn from_credential(directory: &Path, name: &str) -> Result<Secret, String> {
    // systemd guards the directory itself; files in it have modes of its own.
    let file = File::open(directory.join(name)).map_err(|_| {
        format!("the credential '{name}' was not given: add LoadCredential={name}:FILE to the unit")
    })?;
    read(file).map_err(|what| format!("the credential '{name}' {what}"))
}

fn is_private(metadata: &Metadata) -> Result<(), String> {
    const OTHERS: u32 = 0o077;
    if !metadata.is_file() {
        return Err("is not a file".into());
    }
    let mode = metadata.mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(format!(
            "can be read by others (mode {mode:04o}): chmod 0600 it"
        ));
    }
    let us = rustix::process::geteuid().as_raw();
    match metadata.uid() {
        owner if owner == us || owner == 0 || us == 0 => Ok(()),
        owner => Err(format!(
            "belongs to user {owner}, not to us ({us}) or root: chown it"
        )),
    }
}

fn read(file: File) -> Result<Secret, String> {
    let mut text = String::new();
    file.take(LONGEST + 1)
        .read_to_string(&mut text)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => "is not text in UTF-8".to_owned(),
            _ => format!("cannot be read: {error}"),
        })?;
    if text.len() as u64 > LONGEST {
        return Err(format!("is longer than {LONGEST} bytes"));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err("is empty".into());
    }
    if line.contains(['\n', '\r', '\0']) {
        return Err("holds more than one line".into());
    }
    Ok(Secret::new(line))
}
