//! The machine: clock, temperature, power, radio, disk and the rights of files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::{Finding, storage};
use crate::config::Checked;
use crate::config::checked::Tls;
use crate::{clock, usage};

/// Before this the clock was never set: seconds since 1970.
const EARLIEST: u64 = clock::EARLIEST.as_secs();
/// From here on a Raspberry Pi slows down (80 °C, its firmware's limit).
const HOT: f64 = 80.0;
/// From here on it will on a warm day.
const WARM: f64 = 70.0;
/// Less free space than this is a failure: a journal rotation needs it.
const FULL: u64 = 16 << 20;
/// Less than this is soon full.
const NEARLY_FULL: u64 = 128 << 20;
/// Weaker than this a call breaks up: dBm, the usual planning value for voice is -67.
const WEAK: f64 = -67.0;

/// `root` is `/`, or a copy of its `proc` and `sys` for a trial.
pub(super) fn examine(root: &Path, note: &mut dyn FnMut(Finding)) {
    note(clock_of(clock::wall(), root));
    if let Some(degrees) = number(&root.join("sys/class/thermal/thermal_zone0/temp")) {
        note(temperature(degrees / 1000.0));
    }
    let throttled = root.join("sys/devices/platform/soc/soc:firmware/get_throttled");
    if let Some(bits) = text(&throttled).and_then(|text| u32::from_str_radix(text.trim(), 16).ok())
    {
        note(power(bits));
    }
    let wireless = text(&root.join("proc/net/wireless")).unwrap_or_default();
    for (name, finding) in wireless.lines().filter_map(radio) {
        note(finding);
        note(sleep_of(name, power_save(name)));
    }
    storage::examine(root, note);
}

/// Whether the clock was set, and whether something keeps it.
fn clock_of(now: SystemTime, root: &Path) -> Finding {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.unwrap_or(Duration::ZERO).as_secs();
    if seconds < EARLIEST {
        let year = 1970 + seconds / 31_556_952;
        return Finding::failure(
            "clock",
            format!(
                "says {year}: it was never set; certificates cannot be checked, so services over TLS are not reached"
            ),
            "let it ask a time server: sudo timedatectl set-ntp true, and allow UDP port 123 outwards; the page and the bell work without",
        );
    }
    // systemd-timesyncd touches it at each synchronisation.
    if root.join("run/systemd/timesync/synchronized").exists() {
        return Finding::ok("clock", "set by a time server");
    }
    if root.join("run/systemd/system").exists() {
        return Finding::warning(
            "clock",
            "set, but systemd knows of no time server that keeps it",
            "sudo timedatectl set-ntp true (another program such as chrony may do it: chronyc tracking)",
        );
    }
    Finding::ok("clock", "set")
}

fn temperature(degrees: f64) -> Finding {
    let seen = format!("{degrees:.0} °C");
    let remedy = "give it air or shade, or a smaller picture ([camera] width, height)";
    match degrees {
        d if d >= HOT => Finding::failure("temperature", format!("{seen}: it slows down"), remedy),
        d if d >= WARM => Finding::warning("temperature", seen, remedy),
        _ => Finding::ok("temperature", seen),
    }
}

/// Bits of the firmware: 0 under-voltage now, 16 since the start (Raspberry Pi's
/// documentation of `vcgencmd get_throttled`).
fn power(bits: u32) -> Finding {
    let remedy = "use a supply of 5.1 V and 3 A with a short, thick cable";
    if bits & 1 != 0 {
        Finding::failure("power", "too little voltage now", remedy)
    } else if bits & (1 << 16) != 0 {
        Finding::warning(
            "power",
            "too little voltage at some time since the start",
            remedy,
        )
    } else {
        Finding::ok("power", "enough voltage since the start")
    }
}

/// A line of `/proc/net/wireless`: `wlan0: 0000   55.  -55.  -256 ...`.
fn radio(line: &str) -> Option<(&str, Finding)> {
    let (name, rest) = line.split_once(':')?;
    let level = rest.split_whitespace().nth(2)?;
    let level: f64 = level.trim_end_matches('.').parse().ok()?;
    let name = name.trim();
    let check = format!("radio {name}");
    let seen = format!("{level:.0} dBm");
    let finding = if level < WEAK {
        let remedy = "bring the access point nearer, or use a cable; below -67 dBm calls break up";
        Finding::warning(check, seen, remedy)
    } else {
        Finding::ok(check, seen)
    };
    Some((name, finding))
}

/// What `iw` says of a radio's sleep; `None` where it is not there or does not know.
fn power_save(name: &str) -> Option<String> {
    // In sbin, which is not in the path of every user.
    let iw = ["/usr/sbin/iw", "/sbin/iw", "/usr/bin/iw"];
    let iw = iw.iter().find(|path| Path::new(path).exists())?;
    let said = Command::new(iw)
        .args(["dev", name, "get", "power_save"])
        .output();
    let said = said.ok().filter(|said| said.status.success())?;
    Some(String::from_utf8_lossy(&said.stdout).into_owned())
}

/// A radio that sleeps between beacons hears a packet up to a tenth of a second late.
fn sleep_of(name: &str, said: Option<String>) -> Finding {
    let check = format!("power save {name}");
    match said.as_deref().map(str::trim) {
        Some("Power save: off") => Finding::ok(check, "off"),
        Some("Power save: on") => Finding::warning(
            check,
            "on: packets wait until the radio wakes up, and voice comes in bursts",
            format!(
                "sudo iw dev {name} set power_save off; for good, with NetworkManager: \
                 wifi.powersave = 2 under [connection] in /etc/NetworkManager/conf.d/, then restart it"
            ),
        ),
        Some(_) | None => Finding::warning(
            check,
            "cannot be told: iw is missing, or the driver does not say",
            "sudo apt install iw, then look again",
        ),
    }
}

/// The disk behind the station's state, and who may read its secrets.
pub(super) fn folders(config: &Checked, note: &mut dyn FnMut(Finding)) {
    let Some(gateway) = &config.gateway else {
        return;
    };
    let folder = &gateway.state_dir;
    match usage::free_space(folder) {
        Some(free) => note(disk(folder, free)),
        None => note(Finding::warning(
            "disk",
            format!("{} is not there yet", folder.display()),
            "the station makes it at its first start; started by hand, it needs the right to",
        )),
    }
    let keys = match &gateway.tls {
        Tls::Off => Vec::new(),
        Tls::Local { .. } => vec![folder.join("tls/ca.key"), folder.join("tls/leaf.key")],
        Tls::Files { key, .. } => vec![key.clone()],
    };
    let open: Vec<_> = keys.into_iter().filter(|key| others_may(key)).collect();
    if let Some(finding) = rights(&open) {
        note(finding);
    }
}

fn disk(folder: &Path, free: u64) -> Finding {
    let seen = format!("{} MB free in {}", free >> 20, folder.display());
    let remedy = "make room: sudo journalctl --vacuum-size=50M, then look with: du -xh / | sort -h";
    match free {
        free if free < FULL => Finding::failure("disk", seen, remedy),
        free if free < NEARLY_FULL => Finding::warning("disk", seen, remedy),
        _ => Finding::ok("disk", seen),
    }
}

fn others_may(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|data| data.permissions().mode() & 0o077 != 0)
}

fn rights(open: &[PathBuf]) -> Option<Finding> {
    let first = open.first()?;
    let names: Vec<_> = open.iter().map(|file| file.display().to_string()).collect();
    Some(Finding::failure(
        "rights",
        format!("others may read {}", names.join(", ")),
        format!("chmod 600 {}", first.display()),
    ))
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn number(path: &Path) -> Option<f64> {
    text(path)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Grade;

    #[test]
    fn a_clock_that_was_never_set_fails_and_names_the_remedy() {
        let root = tempfile::tempdir().unwrap();
        let at_boot = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let finding = clock_of(at_boot, root.path());
        assert_eq!(finding.grade, Grade::Failure);
        assert!(finding.seen.contains("1970"), "{finding:?}");
        assert!(finding.remedy.unwrap().contains("timedatectl set-ntp"));
        let set = SystemTime::UNIX_EPOCH + Duration::from_secs(EARLIEST);
        assert_eq!(clock_of(set, root.path()).grade, Grade::Ok);
        fs::create_dir_all(root.path().join("run/systemd/system")).unwrap();
        assert_eq!(clock_of(set, root.path()).grade, Grade::Warning);
        let stamp = root.path().join("run/systemd/timesync/synchronized");
        fs::create_dir_all(stamp.parent().unwrap()).unwrap();
        fs::write(stamp, "").unwrap();
        assert_eq!(clock_of(set, root.path()).grade, Grade::Ok);
    }

    #[test]
    fn the_machine_s_own_figures_are_read_and_judged() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("sys/class/thermal/thermal_zone0/temp", "83456\n");
        put(
            "sys/devices/platform/soc/soc:firmware/get_throttled",
            "50005\n",
        );
        put(
            "proc/net/wireless",
            "Inter-| sta-|   Quality        |   Discarded packets\n \
             face | tus | link level noise |  nwid  crypt\n \
             wlan0: 0000   38.  -72.  -256        0      0\n",
        );
        let mut findings = Vec::new();
        examine(root.path(), &mut |finding| findings.push(finding));
        let grades: Vec<_> = findings
            .iter()
            .skip(1)
            .map(|finding| (finding.check.as_str(), finding.grade))
            .collect();
        assert_eq!(
            grades,
            [
                ("temperature", Grade::Failure),
                ("power", Grade::Failure),
                ("radio wlan0", Grade::Warning),
                // This machine has no such radio.
                ("power save wlan0", Grade::Warning),
            ]
        );
        assert!(findings[1].seen.starts_with("83 °C"), "{findings:?}");
        assert!(
            findings
                .iter()
                .skip(1)
                .all(|finding| finding.remedy.is_some())
        );
    }

    #[test]
    fn a_radio_that_sleeps_warns_and_one_that_cannot_be_asked_says_so() {
        let of = |said: Option<&str>| sleep_of("wlan0", said.map(str::to_owned));
        assert_eq!(of(Some("Power save: off\n")).grade, Grade::Ok);
        let on = of(Some("Power save: on\n"));
        assert_eq!(on.grade, Grade::Warning);
        assert!(on.remedy.unwrap().contains("wlan0 set power_save off"));
        let unknown = of(None);
        assert!(unknown.seen.contains("cannot be told"), "{unknown:?}");
        assert!(unknown.remedy.unwrap().contains("apt install iw"));
    }

    #[test]
    fn voltage_that_was_low_is_a_warning() {
        assert_eq!(power(0).grade, Grade::Ok);
        assert_eq!(power(0x10000).grade, Grade::Warning);
    }

    #[test]
    fn a_full_disk_fails_and_a_nearly_full_one_warns() {
        let folder = Path::new("/var/lib/doorstation");
        assert_eq!(disk(folder, 1 << 20).grade, Grade::Failure);
        assert_eq!(disk(folder, 64 << 20).grade, Grade::Warning);
        assert_eq!(disk(folder, 1 << 30).grade, Grade::Ok);
        let remedy = disk(folder, 0).remedy.unwrap();
        assert!(remedy.contains("journalctl --vacuum"), "{remedy}");
    }

    #[test]
    fn a_key_that_others_may_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("leaf.key");
        fs::write(&key, "").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(others_may(&key));
        let finding = rights(std::slice::from_ref(&key)).unwrap();
        assert!(finding.remedy.unwrap().ends_with("leaf.key"));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(!others_may(&key));
        assert!(rights(&[]).is_none());
    }
}
