//! What RAUC prints, read. Nothing here runs anything.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::{Contents, Error, Progress, Refusal, Slot, Slots, Tree};

/// `rauc status --detailed --output-format=json`, as far as it is of interest.
#[derive(Deserialize)]
struct Status {
    compatible: String,
    boot_primary: Option<String>,
    /// Each with one entry, the slot's name.
    slots: Vec<BTreeMap<String, RaucSlot>>,
}

#[derive(Deserialize)]
struct RaucSlot {
    device: PathBuf,
    bootname: Option<String>,
    state: String,
    boot_status: Option<String>,
    #[serde(default)]
    slot_status: SlotStatus,
}

#[derive(Default, Deserialize)]
struct SlotStatus {
    #[serde(default)]
    bundle: BundleStatus,
    installed: Option<Stamp>,
}

#[derive(Default, Deserialize)]
struct BundleStatus {
    version: Option<String>,
}

#[derive(Deserialize)]
struct Stamp {
    timestamp: String,
}

/// The slots that `rauc status` tells, those that U-Boot starts; tries and sizes are not
/// among what it tells.
///
/// # Errors
/// [`Error::NotUnderstood`].
pub(super) fn slots(json: &str) -> Result<Slots, Error> {
    let status: Status = serde_json::from_str(json).map_err(not_understood)?;
    let primary = status.boot_primary;
    let slots = status.slots.into_iter().flatten();
    let mut slots: Vec<_> = slots
        .filter_map(|(name, slot)| {
            Some(Slot {
                slot: slot.bootname?,
                runs: slot.state == "booted",
                next: primary.as_ref() == Some(&name),
                good: slot.boot_status.as_deref() == Some("good"),
                tries_left: None,
                version: slot.slot_status.bundle.version,
                installed: slot.slot_status.installed.map(|at| at.timestamp),
                size: None,
                device: slot.device,
                name,
            })
        })
        .collect();
    slots.sort_by(|a, b| a.slot.cmp(&b.slot));
    Ok(Slots {
        compatible: status.compatible,
        slots,
    })
}

#[derive(Deserialize)]
struct Info {
    compatible: String,
    version: Option<String>,
    images: Vec<BTreeMap<String, Image>>,
}

#[derive(Deserialize)]
struct Image {
    size: u64,
}

/// What a bundle holds: out of `rauc info --output-format=json` and, for how its blocks
/// are proved, which is not in there, `rauc info` for people.
///
/// # Errors
/// [`Error::NotUnderstood`].
pub(super) fn contents(json: &str, sheet: &str) -> Result<Contents, Error> {
    let info: Info = serde_json::from_str(json).map_err(not_understood)?;
    let missing = || Error::NotUnderstood("rauc info names no format of the bundle".to_owned());
    let format = entry(sheet, "Bundle Format").ok_or_else(missing)?;
    // RAUC says `verity` or, later, `verity [...]`.
    let format = format.split_whitespace().next().unwrap_or_default();
    let tree = || {
        Some(Tree {
            salt: bytes(entry(sheet, "Verity Salt")?)?,
            root: bytes(entry(sheet, "Verity Hash")?)?,
            size: entry(sheet, "Verity Size")?.parse().ok()?,
        })
    };
    Ok(Contents {
        compatible: info.compatible,
        version: info.version.unwrap_or_default(),
        format: format.to_owned(),
        image: info
            .images
            .iter()
            .flat_map(BTreeMap::values)
            .map(|image| image.size)
            .fold(0, u64::saturating_add),
        tree: tree(),
    })
}

/// The value behind `key:` in a sheet for people, without its quotation marks.
fn entry<'s>(sheet: &'s str, key: &str) -> Option<&'s str> {
    let mut lines = sheet.lines().map(str::trim);
    let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(value.trim().trim_matches('\''))
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    if !hex.is_ascii() || hex.is_empty() || !hex.len().is_multiple_of(2) {
        return None;
    }
    let pairs = (0..hex.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
        .collect()
}

fn not_understood(error: serde_json::Error) -> Error {
    Error::NotUnderstood(error.to_string())
}

/// Why RAUC refuses a bundle, from what it writes to standard error; `None` where it is
/// no refusal but a failure. The words are those of RAUC 1.8 and 1.13 with OpenSSL 3.
pub(super) fn refusal(said: &str) -> Option<Refusal> {
    let has = |words: &[&str]| words.iter().any(|words| said.contains(words));
    if has(&["certificate has expired"]) {
        Some(Refusal::Expired)
    } else if has(&["certificate is not yet valid"]) {
        Some(Refusal::NotYetValid)
    } else if has(&[
        "unable to get local issuer certificate",
        "self-signed certificate",
        "self signed certificate",
        "unsuitable certificate purpose",
        "unsupported certificate purpose",
        "certificate signature failure",
    ]) {
        Some(Refusal::Stranger)
    } else if has(&[
        "CMS routines::verification failure",
        "content verify error",
        "signature failure",
        "no valid CMS",
        "digest failure",
    ]) {
        Some(Refusal::Altered)
    } else if has(&["Bundle format '"]) {
        let format = said.split("Bundle format '").nth(1)?.split('\'').next()?;
        Some(Refusal::Format(format.to_owned()))
    } else if has(&["Invalid bundle format", "Signature size"]) {
        Some(Refusal::Damaged)
    } else {
        None
    }
}

/// What RAUC complains about, without its running commentary.
pub(super) fn complaint(said: &str) -> String {
    let lines = said.lines().map(str::trim);
    let mut lines = lines.filter(|line| {
        let chatter = ["rauc-Message:", "Consider setting", "(rauc:"];
        !line.is_empty() && !chatter.iter().any(|words| line.starts_with(words))
    });
    let last = lines.next_back().unwrap_or("nothing");
    last.trim_start_matches("LastError:").trim().to_owned()
}

/// A line of `rauc install`: ` 90% Copying image to rootfs.1`.
pub(super) fn progress(line: &str) -> Option<Progress> {
    let (percent, step) = line.trim().split_once("% ")?;
    Some(Progress {
        percent: percent.parse().ok().filter(|percent| *percent <= 100)?,
        step: step.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RAUC 1.8 after an installation in slot B, running in A.
    const STATUS: &str = include_str!("../../tests/fixtures/rauc-1.8-status.json");
    const FRESH: &str = include_str!("../../tests/fixtures/rauc-1.8-status-fresh.json");

    #[test]
    fn the_slots_are_those_that_rauc_tells() {
        let slots = slots(STATUS).unwrap();
        assert_eq!(slots.compatible, "doorstation-debian-arm64");
        let running = slots.running().unwrap();
        assert_eq!((running.slot.as_str(), running.good), ("A", true));
        assert_eq!((running.next, &running.version), (false, &None));
        let other = slots.other().unwrap();
        assert_eq!(
            (other.slot.as_str(), other.name.as_str()),
            ("B", "rootfs.1")
        );
        assert!(other.next && other.good && !other.runs);
        assert_eq!(other.version.as_deref(), Some("0.2.0"));
        assert_eq!(other.installed.as_deref(), Some("2026-11-26T15:43:56Z"));
        assert_eq!(other.device, PathBuf::from("/dev/doorstation/b"));
    }

    #[test]
    fn a_new_card_has_an_empty_slot() {
        let slots = slots(FRESH).unwrap();
        let other = slots.other().unwrap();
        assert_eq!(
            (other.good, other.next, &other.version),
            (false, false, &None)
        );
        assert!(slots.running().unwrap().next);
    }

    #[test]
    fn both_generations_of_rauc_tell_what_a_bundle_holds() {
        for (json, sheet) in [
            (
                include_str!("../../tests/fixtures/rauc-1.8-info.json"),
                include_str!("../../tests/fixtures/rauc-1.8-info.txt"),
            ),
            (
                include_str!("../../tests/fixtures/rauc-1.13-info.json"),
                include_str!("../../tests/fixtures/rauc-1.13-info.txt"),
            ),
        ] {
            let contents = contents(json, sheet).unwrap();
            assert_eq!(contents.compatible, "doorstation-debian-arm64");
            assert_eq!(contents.version, "0.2.0");
            assert_eq!(contents.format, "verity");
            assert_eq!(contents.image, 300_000);
            let tree = contents.tree.unwrap();
            assert_eq!(tree.size, 4096);
            assert_eq!((tree.salt.len(), tree.root.len()), (32, 32));
            assert_eq!(tree.root.first(), Some(&0xcd));
        }
    }

    #[test]
    fn nonsense_is_no_answer() {
        assert!(matches!(slots("{}"), Err(Error::NotUnderstood(_))));
        assert!(matches!(contents("", ""), Err(Error::NotUnderstood(_))));
        assert_eq!(bytes("zz"), None);
        assert_eq!(bytes("0"), None);
        assert_eq!(bytes("ä"), None);
    }

    #[test]
    fn each_complaint_has_its_own_meaning() {
        let meant = |said| refusal(said).map(|refusal| refusal.code());
        assert_eq!(
            meant("signature verification failed: Verify error: certificate has expired"),
            Some("expired")
        );
        assert_eq!(
            meant(
                "signature verification failed: Verify error: unable to get local issuer certificate"
            ),
            Some("wrong_key")
        );
        assert_eq!(
            meant(
                "signature verification failed: error:1700009E:CMS routines::verification failure"
            ),
            Some("altered")
        );
        assert_eq!(meant("Bundle format 'plain' not allowed"), Some("format"));
        assert_eq!(
            meant(
                "Invalid bundle format: Signature size (17002818940597747809) exceeds bundle size"
            ),
            Some("damaged")
        );
        assert_eq!(meant("Failed to open /dev/mapper/control"), None);
    }

    #[test]
    fn progress_is_read_and_the_last_complaint_counts() {
        let step = progress(" 90% Copying image to rootfs.1").unwrap();
        assert_eq!(
            (step.percent, step.step.as_str()),
            (90, "Copying image to rootfs.1")
        );
        for line in ["installing", "999% x", "LastError: 5% of it", ""] {
            assert_eq!(progress(line), None, "{line}");
        }
        let said = "rauc-Message: 15:43: reading\nLastError: Failed mounting bundle\n\n";
        assert_eq!(complaint(said), "Failed mounting bundle");
        assert_eq!(complaint(""), "nothing");
    }
}
