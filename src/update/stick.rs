//! The bundle on a USB stick: `doorstation-VERSION.raucb` in the topmost folder of a
//! partition, which is mounted for as long as it is read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::judge::version;

/// How the names of bundles begin and end.
const BEGIN: &str = "doorstation-";
const END: &str = ".raucb";
/// Nothing of a stick is run, believed or changed.
const OPTIONS: &str = "ro,nosuid,nodev,noexec";
/// Where the kernel tells its disks.
const DISKS: &str = "/sys/class/block";

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is plugged in.
    #[error("there is no USB stick: plug one in, and wait some seconds")]
    NoStick,
    /// Nothing useful is on it.
    #[error(
        "no doorstation-VERSION.raucb is in the topmost folder of {0}: copy one there; \
         FAT, exFAT and ext4 are read"
    )]
    NoBundle(String),
    /// It cannot be mounted, or read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(String, String),
}

/// A bundle on a stick that stays mounted while this lives.
#[derive(Debug)]
pub struct OnStick {
    /// Where it is.
    pub bundle: PathBuf,
    _mounted: Mounted,
}

/// The newest bundle on the first stick that has one.
///
/// # Errors
/// See [`Error`].
pub fn find() -> Result<OnStick, Error> {
    let partitions = partitions(Path::new(DISKS)).map_err(|_| Error::NoStick)?;
    let mut failed = None;
    let mut seen = Vec::new();
    for device in &partitions {
        match Mounted::new(device) {
            Ok(mounted) => {
                if let Some(bundle) = newest(mounted.folder.path()) {
                    return Ok(OnStick {
                        bundle,
                        _mounted: mounted,
                    });
                }
                seen.push(device.display().to_string());
            }
            // A disk whose table is on it is no file system itself.
            Err(why) => failed = Some(Error::Unreadable(device.display().to_string(), why)),
        }
    }
    Err(match (seen.is_empty(), failed) {
        (false, _) => Error::NoBundle(seen.join(", ")),
        (true, Some(failed)) => failed,
        (true, None) => Error::NoStick,
    })
}

/// Partitions of disks on USB, and such disks without partitions, by their device files.
fn partitions(disks: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(disks)? {
        let entry = entry?;
        // `/sys/devices/.../usb1/1-1/.../block/sda/sda1`
        let Ok(place) = entry.path().canonicalize() else {
            continue;
        };
        let on_usb = place
            .iter()
            .any(|part| part.to_string_lossy().starts_with("usb"));
        if !on_usb {
            continue;
        }
        let whole = !place.join("partition").exists();
        let divided = || {
            let parts = fs::read_dir(&place).into_iter().flatten().flatten();
            parts
                .into_iter()
                .any(|part| part.path().join("partition").exists())
        };
        if !whole || !divided() {
            found.push(Path::new("/dev").join(entry.file_name()));
        }
    }
    found.sort();
    Ok(found)
}

/// The bundle with the highest version in its name; a name is believed for this choice and
/// for nothing else.
fn newest(folder: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.flatten();
    let named = files.filter_map(|file| {
        let name = file.file_name();
        let version = version(name.to_str()?.strip_prefix(BEGIN)?.strip_suffix(END)?)?;
        file.file_type()
            .ok()?
            .is_file()
            .then(|| (version, file.path()))
    });
    let newest = named.max_by(|(a, _), (b, _)| a.cmp_precedence(b));
    newest.map(|(_, path)| path)
}

/// A file system that is mounted while this lives.
#[derive(Debug)]
struct Mounted {
    folder: TempDir,
}

impl Mounted {
    fn new(device: &Path) -> Result<Self, String> {
        let folder = tempfile::Builder::new()
            .prefix("doorstation-stick-")
            // Where RAUC's service sees it, too: it may have a /tmp of its own.
            .tempdir_in("/run")
            .map_err(|error| format!("a folder to mount it on: {error}"))?;
        let mut mount = Command::new("mount");
        mount
            .args(["-o", OPTIONS, "--"])
            .arg(device)
            .arg(folder.path());
        let ran = mount.stdin(Stdio::null()).output();
        let ran = ran.map_err(|error| format!("mount: {error}"))?;
        if !ran.status.success() {
            let said = String::from_utf8_lossy(&ran.stderr);
            return Err(said.trim().to_owned());
        }
        Ok(Self { folder })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let mut umount = Command::new("umount");
        umount.arg(self.folder.path()).stdin(Stdio::null());
        // Nothing was written to it; what stays mounted until the next start harms nobody.
        let _ = umount.output();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn of_several_bundles_the_newest_is_taken_and_links_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| fs::write(folder.path().join(name), name).unwrap();
        assert_eq!(newest(folder.path()), None);
        for name in [
            "doorstation-0.9.0.raucb",
            "doorstation-0.10.0.raucb",
            "doorstation-0.10.0~rc.1.raucb",
            "doorstation-holiday.raucb",
            "other-9.0.0.raucb",
            "doorstation-9.0.0.img",
        ] {
            file(name);
        }
        symlink("/etc/passwd", folder.path().join("doorstation-8.0.0.raucb")).unwrap();
        fs::create_dir(folder.path().join("doorstation-7.0.0.raucb")).unwrap();
        let taken = newest(folder.path()).unwrap();
        assert_eq!(taken, folder.path().join("doorstation-0.10.0.raucb"));
    }

    #[test]
    fn partitions_of_sticks_are_found_and_the_card_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (class, devices) = (folder.path().join("class"), folder.path().join("devices"));
        fs::create_dir(&class).unwrap();
        let disk = |place: &str, partition: bool| {
            let place = devices.join(place);
            fs::create_dir_all(&place).unwrap();
            if partition {
                fs::write(place.join("partition"), "1\n").unwrap();
            }
            symlink(&place, class.join(place.file_name().unwrap())).unwrap();
        };
        disk("soc/mmc0/block/mmcblk0", false);
        disk("soc/mmc0/block/mmcblk0/mmcblk0p1", true);
        disk("pci/usb1/1-1/block/sda", false);
        disk("pci/usb1/1-1/block/sda/sda1", true);
        disk("pci/usb1/1-2/block/sdb", false);
        let found = partitions(&class).unwrap();
        assert_eq!(
            found,
            [PathBuf::from("/dev/sda1"), PathBuf::from("/dev/sdb")]
        );
    }

    #[test]
    fn a_stick_is_mounted_read_only_for_as_long_as_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (content, stick) = (folder.path().join("content"), folder.path().join("stick"));
        fs::create_dir(&content).unwrap();
        fs::write(content.join("doorstation-0.2.0.raucb"), "a bundle").unwrap();
        fs::File::create(&stick).unwrap().set_len(4 << 20).unwrap();
        let mut make = Command::new("/usr/sbin/mke2fs");
        make.args(["-q", "-t", "ext4", "-d"])
            .args([&content, &stick]);
        let made = make.status().is_ok_and(|status| status.success());
        let may = rustix::process::geteuid().is_root() && Path::new("/dev/loop-control").exists();
        if !made || !may {
            eprintln!("skipped: it takes root, mke2fs and loop devices to make and mount a stick");
            return;
        }
        let mounted = Mounted::new(&stick).unwrap();
        let at = mounted.folder.path().to_owned();
        let bundle = newest(&at).unwrap();
        assert_eq!(fs::read_to_string(&bundle).unwrap(), "a bundle");
        let written = fs::write(&bundle, "another one");
        assert!(written.is_err_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem));
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let line = mounts
            .lines()
            .find(|line| line.contains(at.to_str().unwrap()));
        let options = line.unwrap().split(' ').nth(3).unwrap();
        for option in OPTIONS.split(',') {
            assert!(
                options.split(',').any(|on| on == option),
                "{option}: {options}"
            );
        }
        drop(mounted);
        assert!(!at.exists(), "it is still mounted");
        assert!(Mounted::new(&folder.path().join("nothing")).is_err());
    }
}
