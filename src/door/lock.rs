//! What is left of the lock after tampering, kept over restarts: a file with one
//! number, the seconds.
//!
//! A file that cannot be read or understood means a full lock: whoever spoils it
//! does not open the door by it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::{error, warn};

use super::guardian::Limits;

/// The file's place.
#[derive(Clone, Debug)]
pub(super) struct LockFile(PathBuf);

impl LockFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// How long opening is still refused.
    pub(super) fn read(&self) -> Duration {
        let text = match fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Duration::ZERO,
            Err(error) => {
                warn!(file = %self.0.display(), %error, "the lock cannot be read: locked");
                return Limits::LOCKED;
            }
        };
        match text.trim_end().parse::<u32>() {
            Ok(seconds) => Duration::from_secs(seconds.into()).min(Limits::LOCKED),
            Err(_) => {
                warn!(file = %self.0.display(), "the lock is not a number of seconds: locked");
                Limits::LOCKED
            }
        }
    }

    /// Keeps `left`: either the old or the new number is on disk, whenever the
    /// power goes.
    pub(super) fn write(&self, left: Duration) {
        let seconds = left.as_millis().div_ceil(1000);
        if let Err(error) = replace(&self.0, format!("{seconds}\n").as_bytes()) {
            error!(file = %self.0.display(), %error, "the lock cannot be kept over a restart");
        }
    }
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let lock = LockFile::new(dir.path().join("lock"));
        assert_eq!(lock.read(), Duration::ZERO);
        lock.write(Duration::from_millis(89_001));
        assert_eq!(lock.read(), Duration::from_secs(90));
        lock.write(Duration::ZERO);
        assert_eq!(lock.read(), Duration::ZERO);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_spoilt_file_is_a_full_lock_and_none_is_longer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = LockFile::new(path.clone());
        for text in ["", "x", "-1", "0 0", "99999", "4294967296", "\u{fffd}"] {
            fs::write(&path, text).unwrap();
            assert_eq!(lock.read(), Limits::LOCKED, "{text:?}");
        }
        fs::write(&path, b"\xff\xff").unwrap();
        assert_eq!(lock.read(), Limits::LOCKED);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(lock.read(), Limits::LOCKED);
    }

    /// The new number goes beside the old one: cut off there, the old one counts.
    #[test]
    fn a_write_that_was_cut_off_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = LockFile::new(path.clone());
        lock.write(Duration::from_secs(60));
        fs::write(path.with_extension("new"), "").unwrap();
        assert_eq!(lock.read(), Duration::from_secs(60));
    }
}
