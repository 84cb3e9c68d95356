//! The visitors' pictures on the disk: one JPEG file each, a bounded number of them.
//!
//! A file is written beside its place and then moved to it, so that whatever is found
//! there is whole. The names are made here; what asks for a picture by name gets one of
//! the album's or nothing.

use std::collections::VecDeque;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes of one picture: ten times what the camera's largest one takes.
const LARGEST: usize = 4 << 20;
/// Bytes of all pictures: whatever their number, a card of 8 GB has room for them.
const MOST_BYTES: u64 = 64 << 20;
/// The end of the name of a file that is being written.
const UNFINISHED: &str = ".new";

/// Why a picture cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk or its rights.
    #[error("the visitors' pictures in {} cannot be kept; check the folder's owner and the disk's space", folder.display())]
    Disk {
        /// Where.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The name is not one that a call has.
    #[error("'{0}' is no name of a picture: letters, digits and - only")]
    Name(String),
    /// Larger than any picture is.
    #[error("a picture of {0} bytes is not kept: 4 MiB is the most")]
    Size(usize),
}

/// One picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The id of the call that the visitor's press began.
    pub name: String,
    /// When it was taken, to a millisecond.
    pub taken: SystemTime,
    /// Bytes of the file.
    pub size: u64,
}

impl Entry {
    /// Milliseconds since the Unix epoch.
    pub fn taken_ms(&self) -> u64 {
        let since = self.taken.duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_millis() as u64
    }

    fn file(&self) -> String {
        format!("{}_{}.jpg", self.taken_ms(), self.name)
    }

    /// Of a file's name; `None` is a file that is not ours.
    fn of(file: &str, size: u64) -> Option<Self> {
        let (taken, name) = file.strip_suffix(".jpg")?.split_once('_')?;
        let taken = UNIX_EPOCH.checked_add(Duration::from_millis(taken.parse().ok()?))?;
        is_name(name).then(|| Self {
            name: name.to_owned(),
            taken,
            size,
        })
    }
}

/// The album. Clones share it.
#[derive(Clone, Debug)]
pub struct Album {
    folder: Arc<Path>,
    most: usize,
    /// Oldest first.
    entries: Arc<Mutex<VecDeque<Entry>>>,
}

impl Album {
    /// Opens the album in `folder`, which is made where it is missing, readable by its
    /// owner alone. It keeps the latest `most` pictures; older ones are deleted.
    ///
    /// # Errors
    ///
    /// [`Error::Disk`].
    pub fn open(folder: &Path, most: usize) -> Result<Self, Error> {
        let album = Self {
            folder: folder.into(),
            most,
            entries: Arc::default(),
        };
        let fail = |source| album.failed(source);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(fail)?;
        let mut found = Vec::new();
        for file in std::fs::read_dir(folder).map_err(fail)? {
            let file = file.map_err(fail)?;
            let name = file.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(UNFINISHED) {
                // A station was stopped while it wrote; the next one of this name is new.
                let _ = std::fs::remove_file(file.path());
            } else if let Ok(known) = file.metadata() {
                found.extend(Entry::of(&name, known.len()));
            }
        }
        found.sort_by(|a, b| (a.taken, &a.name).cmp(&(b.taken, &b.name)));
        album.lock().extend(found);
        album.forget(most)?;
        Ok(album)
    }

    /// Keeps a JPEG file under `name`, taken at `taken`, and deletes what is too old
    /// then. Blocks for as long as the disk takes.
    ///
    /// # Errors
    ///
    /// See [`Error`]; the pictures that were there stay.
    pub fn keep(&self, name: &str, taken: SystemTime, jpeg: &[u8]) -> Result<(), Error> {
        if !is_name(name) {
            return Err(Error::Name(name.to_owned()));
        }
        if jpeg.len() > LARGEST {
            return Err(Error::Size(jpeg.len()));
        }
        if self.most == 0 {
            return Ok(());
        }
        let entry = Entry {
            name: name.to_owned(),
            taken,
            size: jpeg.len() as u64,
        };
        // Room first: a full disk must not keep the latest out.
        self.forget(self.most - 1)?;
        let place = self.folder.join(entry.file());
        let beside = self.folder.join(format!("{}{UNFINISHED}", entry.file()));
        let written = write(&beside, jpeg).and_then(|()| std::fs::rename(&beside, &place));
        if let Err(source) = written {
            let _ = std::fs::remove_file(&beside);
            return Err(self.failed(source));
        }
        self.lock().push_back(entry);
        Ok(())
    }

    /// What there is, latest first.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().iter().rev().cloned().collect()
    }

    /// The JPEG file of that name; `None` where there is none, or none any more. Blocks
    /// for as long as the disk takes.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let entry = {
            let entries = self.lock();
            entries
                .iter()
                .rev()
                .find(|entry| entry.name == name)?
                .clone()
        };
        std::fs::read(self.folder.join(entry.file())).ok()
    }

    /// Deletes the oldest until so many are left, and no more bytes than allowed.
    fn forget(&self, most: usize) -> Result<(), Error> {
        let mut entries = self.lock();
        let mut bytes: u64 = entries.iter().map(|entry| entry.size).sum();
        while entries.len() > most || bytes > MOST_BYTES {
            let Some(oldest) = entries.front() else { break };
            match std::fs::remove_file(self.folder.join(oldest.file())) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(self.failed(error));
                }
                _ => {}
            }
            bytes -= oldest.size;
            entries.pop_front();
        }
        Ok(())
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Error::Disk {
            folder: self.folder.to_path_buf(),
            source,
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(file: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?;
    file.write_all(content)?;
    file.sync_all()
}

/// What a call's id is made of; nothing that means something to a file system.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    fn names(album: &Album) -> Vec<String> {
        let entries = album.entries().into_iter();
        entries.map(|entry| entry.name).collect()
    }

    #[test]
    fn the_latest_pictures_stay_also_over_a_restart() {
        let home = tempfile::tempdir().expect("a directory");
        let folder = home.path().join("visitors");
        let album = Album::open(&folder, 3).expect("an album");
        for n in 1..=5 {
            let name = format!("call-{n}");
            album
                .keep(&name, at(n), &[n as u8; 10])
                .expect("it is kept");
        }
        assert_eq!(names(&album), ["call-5", "call-4", "call-3"]);
        assert_eq!(album.read("call-4"), Some(vec![4; 10]));
        assert_eq!(album.read("call-1"), None);
        let files = || std::fs::read_dir(&folder).expect("it is there").count();
        assert_eq!(files(), 3);
        let mode = |path: &Path| {
            let metadata = std::fs::metadata(path).expect("it is there");
            metadata.permissions().mode() & 0o777
        };
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("5000_call-5.jpg")), 0o600);

        // What a station leaves that loses its power while it writes.
        std::fs::write(folder.join("6000_call-6.jpg.new"), [6]).expect("a file");
        std::fs::write(folder.join("notes.txt"), [7]).expect("a file");
        let album = Album::open(&folder, 2).expect("an album");
        assert_eq!(names(&album), ["call-5", "call-4"]);
        assert_eq!(files(), 3, "two pictures, and what is not ours");
    }

    #[test]
    fn all_pictures_together_are_bounded_too() {
        let home = tempfile::tempdir().expect("a directory");
        let album = Album::open(home.path(), 1000).expect("an album");
        let large = vec![0; LARGEST];
        for n in 0..40 {
            let name = format!("call-{n}");
            album.keep(&name, at(n), &large).expect("it is kept");
        }
        let bytes: u64 = album.entries().iter().map(|entry| entry.size).sum();
        assert!(bytes <= MOST_BYTES + LARGEST as u64, "{bytes}");
        let refused = album.keep("call-99", at(99), &vec![0; LARGEST + 1]);
        assert!(matches!(refused, Err(Error::Size(_))), "{refused:?}");
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let home = tempfile::tempdir().expect("a directory");
        std::fs::write(home.path().join("secret.jpg"), b"secret").expect("a file");
        let album = Album::open(&home.path().join("visitors"), 3).expect("an album");
        for name in ["", ".", "../secret", "..%2fsecret", "a/b", "a.b", "a\0b"] {
            let refused = album.keep(name, at(1), b"x");
            assert!(matches!(refused, Err(Error::Name(_))), "{name:?}");
            assert_eq!(album.read(name), None, "{name:?}");
        }
    }

    #[test]
    fn an_album_of_no_pictures_keeps_none() {
        let home = tempfile::tempdir().expect("a directory");
        let album = Album::open(home.path(), 0).expect("an album");
        album.keep("call", at(1), b"x").expect("it is no fault");
        assert_eq!(album.entries(), []);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let home = tempfile::tempdir().expect("a directory");
        std::fs::write(home.path().join("file"), b"").expect("a file");
        let refused = Album::open(&home.path().join("file/visitors"), 3);
        let refused = refused.expect_err("no folder there").to_string();
        assert!(refused.contains("file/visitors"), "{refused}");
    }
}
