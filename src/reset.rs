//! Factory reset: nothing of the owner stays on the door, and it starts as a new one.
//!
//! | what there is of an owner | where |
//! |---|---|
//! | configuration, names and hashes of people, passwords of accounts, door code, relay line | `/etc/doorstation` |
//! | certificate authority and keys, first login, visitors' pictures | `/var/lib/doorstation`, or the gateway's `state_dir` |
//! | the relay's lock | `/var/lib/doorstation-relay` |
//! | what GStreamer knows of cameras | `/var/cache/doorstation` |
//! | on an image also: SSH keys, Wi-Fi, machine id, journal, fetched updates | `/data`, all of it |
//! | on an image also: what the installer put there, and the report of it | the boot partition |
//!
//! A package empties its folders at once. An image runs on what it would have to remove, so
//! there a file asks the first program of the next start to do it (`board/image/init`).
//!
//! It is a command for root from inside the house, and nothing that any button, page or
//! call can reach.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::config;

/// The file that asks the next start of an image to empty the data partition.
pub const FLAG: &str = "data/factory-reset";
/// What only an image has.
const RELEASE: &str = "etc/doorstation-release";
/// The configuration's folder, and what a package puts there.
const CONFIG: &str = "etc/doorstation";
const CONFIG_FILE: &str = "doorstation.toml";
/// Folders of a package; they stay, with their owners, and empty.
const FOLDERS: [&str; 3] = [
    "var/lib/doorstation",
    "var/lib/doorstation-relay",
    "var/cache/doorstation",
];
/// What the gateway and the first start make in a `state_dir` of one's own, in which other
/// things may be.
const STATE: [&str; 3] = ["tls", "visitors", "indoor.password"];
/// What an installer may have put on the boot partition, and what was written there of it.
const CARD_FILES: [&str; 4] = [
    "doorstation.toml",
    "doorstation-report.txt",
    "wifi.txt",
    "authorized_keys",
];
const CARD_ENDS: [&str; 4] = [".pub", ".password", ".code", ".pem"];

/// Why it was not done, or not to the end.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}; what was removed is gone, do it again when this is mended", file.display())]
pub struct Error {
    file: PathBuf,
    source: io::Error,
}

/// How this door was installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As the image of a card.
    Image,
    /// As a package of a Debian that may do other things, too.
    Package,
}

/// Which one, by what is below `root` (`/`).
pub fn kind(root: &Path) -> Kind {
    match root.join(RELEASE).exists() {
        true => Kind::Image,
        false => Kind::Package,
    }
}

/// Whether what is written to `/data` is there at the next start, by `/proc/mounts`: without
/// its partition an image keeps it in memory.
pub fn data_is_kept(mounts: &str) -> bool {
    let mut lines = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    lines.any(|fields| matches!(fields.as_slice(), [_, "/data", kind, ..] if *kind != "tmpfs"))
}

/// Empties the folders of a package and puts its configuration back; the station must not
/// run. `state_dir` is the gateway's, if it has one of its own.
///
/// # Errors
/// A file that cannot be removed or written.
pub fn package(root: &Path, state_dir: Option<&Path>) -> Result<(), Error> {
    for folder in FOLDERS {
        empty(&root.join(folder), None)?;
    }
    if let Some(folder) = state_dir {
        for name in STATE {
            remove(&folder.join(name))?;
        }
    }
    // The package's file first: a loss of power leaves a door with one that is right.
    let folder = root.join(CONFIG);
    write(&folder.join(CONFIG_FILE), config::DEFAULT.as_bytes(), 0o644)?;
    empty(&folder, Some(CONFIG_FILE))
}

/// Asks the next start of an image to empty the data partition, after the boot partition,
/// mounted at `card`, was cleaned.
///
/// # Errors
/// A file that cannot be removed or written.
pub fn image(root: &Path, card: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(card).map_err(at(card))? {
        let entry = entry.map_err(at(card))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if CARD_FILES.contains(&&*name) || CARD_ENDS.iter().any(|end| name.ends_with(end)) {
            scrub(&entry.path())?;
        }
    }
    write(&root.join(FLAG), b"", 0o600)
}

/// Everything in a folder but one file; what is not there is what was wanted. Links are
/// removed and not followed.
fn empty(folder: &Path, but: Option<&str>) -> Result<(), Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(at(folder)(source)),
    };
    for entry in entries {
        let entry = entry.map_err(at(folder))?;
        if but.is_none_or(|name| entry.file_name() != name) {
            remove(&entry.path())?;
        }
    }
    sync(folder)
}

fn remove(path: &Path) -> Result<(), Error> {
    let removed = match fs::symlink_metadata(path) {
        Ok(known) if known.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

/// Overwrites a file where it stands, and removes it. A card may keep older copies of a
/// block: nothing here reaches those.
fn scrub(path: &Path) -> Result<(), Error> {
    let overwrite = || {
        let mut file = OpenOptions::new().write(true).open(path)?;
        let length = file.metadata()?.len();
        io::copy(&mut io::Read::take(io::repeat(0), length), &mut file)?;
        file.sync_all()?;
        fs::remove_file(path)
    };
    overwrite().map_err(at(path))?;
    match path.parent() {
        Some(folder) => sync(folder),
        None => Ok(()),
    }
}

/// A whole file, or the one before.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let beside = path.with_extension("new");
    let written = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&beside)?;
        // Whatever is masked for others: the station reads it as a user of its own.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    written().map_err(at(path))?;
    match path.parent() {
        Some(folder) => sync(folder),
        None => Ok(()),
    }
}

fn sync(folder: &Path) -> Result<(), Error> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(at(folder))
}

fn at(file: &Path) -> impl FnOnce(io::Error) -> Error {
    let file = file.to_owned();
    move |source| Error { file, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Files below `folder` that stand for themselves.
    fn put(folder: &Path, files: &[&str]) {
        for file in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "of the owner").unwrap();
        }
    }

    /// Every file below `folder`.
    fn left(folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                let known = fs::symlink_metadata(&path).unwrap();
                if known.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(folder).unwrap();
                    found.push(name.display().to_string());
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn a_package_is_as_it_was_installed_and_nothing_else_is_touched() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        put(
            root,
            &[
                "etc/doorstation/doorstation.toml",
                "etc/doorstation/relay.env",
                "etc/doorstation/anna.password",
                "etc/doorstation/conf.d/10-door.toml",
                "var/lib/doorstation/tls/ca.key",
                "var/lib/doorstation/visitors/1_a.jpg",
                "var/lib/doorstation/indoor.password",
                "var/lib/doorstation-relay/lock",
                "var/cache/doorstation/gstreamer.bin",
                "srv/door/tls/ca.key",
                "srv/door/visitors/1_a.jpg",
                "srv/door/letters/mine.txt",
                "etc/passwd",
                "home/anna/letter",
            ],
        );
        symlink(
            root.join("home/anna"),
            root.join("var/lib/doorstation/link"),
        )
        .unwrap();
        assert_eq!(kind(root), Kind::Package);
        package(root, Some(&root.join("srv/door"))).unwrap();
        assert_eq!(
            left(root),
            [
                "etc/doorstation/doorstation.toml",
                "etc/passwd",
                "home/anna/letter",
                "srv/door/letters/mine.txt",
            ]
        );
        let config = root.join("etc/doorstation/doorstation.toml");
        assert_eq!(fs::read_to_string(config).unwrap(), config::DEFAULT);
        for folder in FOLDERS {
            assert!(root.join(folder).is_dir(), "{folder} stays, for its owner");
        }
        // What is done twice is done.
        package(root, Some(&root.join("srv/door"))).unwrap();
    }

    #[test]
    fn an_image_cleans_its_boot_partition_and_asks_the_next_start_for_the_rest() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        put(root, &["etc/doorstation-release", "data/keep/etc/x"]);
        let card = root.join("boot/firmware");
        put(
            &card,
            &[
                "doorstation-report.txt",
                "doorstation.toml",
                "wifi.txt",
                "me.pub",
                "anna.password",
                "door.code",
                "door.pem",
                "u-boot.bin",
                "READ-ME.txt",
                "config.txt",
            ],
        );
        assert_eq!(kind(root), Kind::Image);
        image(root, &card).unwrap();
        assert_eq!(left(&card), ["READ-ME.txt", "config.txt", "u-boot.bin"]);
        assert!(root.join(FLAG).exists());
        assert!(
            root.join("data/keep/etc/x").exists(),
            "what runs keeps its files"
        );
    }

    #[test]
    fn a_data_partition_in_memory_is_none() {
        let root = "root / overlay rw 0 0\n";
        assert!(data_is_kept(&format!(
            "{root}/dev/mmcblk0p4 /data ext4 rw 0 0\n"
        )));
        assert!(!data_is_kept(&format!("{root}data /data tmpfs rw 0 0\n")));
        assert!(!data_is_kept(root));
    }

    #[test]
    fn a_scrubbed_file_is_overwritten_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), &["wifi.txt"]);
        let file = folder.path().join("wifi.txt");
        // Another name of the same file shows what became of its bytes.
        let other = folder.path().join("other");
        fs::hard_link(&file, &other).unwrap();
        scrub(&file).unwrap();
        assert_eq!(fs::read(&other).unwrap(), [0; 12]);
        assert!(!file.exists());
    }
}
