//! What may be installed. Pure: it is told everything.

use semver::Version;

use super::{Contents, Slots};

/// The only format whose every block is signed, and which needs no room to be unpacked.
const FORMAT: &str = "verity";

/// How many tries U-Boot gives a version, and has again when it is good (`boot.cmd`).
const TRIES: u32 = 3;

/// Why a bundle is not installed; each in its own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No bytes.
    #[error("the file is empty: the copy did not work, fetch it again")]
    Empty,
    /// Something else than a file.
    #[error("this is {0}, and no file: name the bundle itself")]
    NotAFile(&'static str),
    /// The path goes through a link.
    #[error(
        "there is a symbolic link in this path, which may point elsewhere by the time it is read: \
         name the file itself (realpath FILE)"
    )]
    Link,
    /// Others may change it.
    #[error(
        "other users may change this file while it is read: it has to belong to root or to you, \
         and only its owner may write it (chown root: FILE; chmod 644 FILE)"
    )]
    Shared,
    /// Larger than any bundle.
    #[error("the file has {0} bytes, and no bundle has more than {1}: this is something else")]
    TooLarge(u64, u64),
    /// Not a bundle.
    #[error("this is no bundle (*.raucb), or an encrypted one, which this door does not take")]
    NotABundle,
    /// Only a part of it.
    #[error("the end of the file is missing: fetch it again")]
    Truncated,
    /// Nobody signed it.
    #[error("nobody has signed this bundle: take one that was released for this door")]
    Unsigned,
    /// Signed by somebody else.
    #[error(
        "this bundle was signed with a key that this door does not know: it takes the bundles of \
         the authority that its image was made with"
    )]
    Stranger,
    /// Too late.
    #[error(
        "the certificate that signed this bundle has expired; is the door's clock right (date)?"
    )]
    Expired,
    /// Too early.
    #[error(
        "the certificate that signed this bundle is not valid yet; is the door's clock right (date)?"
    )]
    NotYetValid,
    /// Signature and signed text do not fit.
    #[error(
        "this bundle was changed after it was signed: fetch it again, from where it was released"
    )]
    Altered,
    /// A block is not what was signed.
    #[error(
        "what this bundle holds is not what was signed, a part of it is damaged: fetch it again"
    )]
    Damaged,
    /// Another format.
    #[error("the bundle has the format '{0}', and this door takes 'verity' only")]
    Format(String),
    /// For another machine.
    #[error("this bundle is for '{made_for}', and this door is '{we_are}'")]
    Incompatible {
        /// What it was made for.
        made_for: String,
        /// What runs here.
        we_are: String,
    },
    /// Older.
    #[error(
        "the bundle has version {offered}, and {running} runs, which is newer: --force goes back, \
         and your configuration may have what the older version does not know"
    )]
    Older {
        /// In the bundle.
        offered: String,
        /// What runs.
        running: String,
    },
    /// The same.
    #[error("version {0} runs already: --force installs it once more")]
    Same(String),
    /// Cannot be compared.
    #[error(
        "the versions '{offered}' of the bundle and '{running}', which runs, cannot be compared: \
         --force installs it all the same"
    )]
    Unordered {
        /// In the bundle.
        offered: String,
        /// What runs; empty if that is not known.
        running: String,
    },
    /// The slot is too small.
    #[error("the bundle writes {image} bytes, and slot {slot} has {room}")]
    NoRoom {
        /// Bytes of the image.
        image: u64,
        /// Which slot.
        slot: String,
        /// Bytes of it.
        room: u64,
    },
    /// What runs may have to go back to what would be overwritten.
    #[error(
        "the version that runs has not proved itself yet, and the slot beside it holds the one to \
         go back to: wait some minutes (doorstation update status), or find out what is wrong \
         (doorstation update confirm --dry-run)"
    )]
    OnTrial,
    /// There is no slot to write.
    #[error("there is no slot beside the one that runs, and none that runs is overwritten")]
    NoSlot,
}

impl Refusal {
    /// In a word, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Empty => "empty",
            Refusal::NotAFile(_) => "not_a_file",
            Refusal::Link => "link",
            Refusal::Shared => "shared",
            Refusal::TooLarge(..) => "too_large",
            Refusal::NotABundle => "not_a_bundle",
            Refusal::Truncated => "truncated",
            Refusal::Unsigned => "unsigned",
            Refusal::Stranger => "wrong_key",
            Refusal::Expired => "expired",
            Refusal::NotYetValid => "not_yet_valid",
            Refusal::Altered => "altered",
            Refusal::Damaged => "damaged",
            Refusal::Format(_) => "format",
            Refusal::Incompatible { .. } => "incompatible",
            Refusal::Older { .. } => "older",
            Refusal::Same(_) => "same",
            Refusal::Unordered { .. } => "unordered",
            Refusal::NoRoom { .. } => "no_room",
            Refusal::OnTrial => "on_trial",
            Refusal::NoSlot => "no_slot",
        }
    }
}

/// Why a bundle may be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is newer.
    Newer,
    /// It is not, or that is not known, and it is wanted all the same.
    Forced,
}

/// Whether a bundle whose signature is good may be installed beside what runs. `force`
/// overrules the order of versions and nothing else.
///
/// # Errors
/// Why not.
pub fn judge(contents: &Contents, slots: &Slots, force: bool) -> Result<Verdict, Refusal> {
    if contents.format != FORMAT {
        return Err(Refusal::Format(contents.format.clone()));
    }
    if contents.compatible != slots.compatible {
        return Err(Refusal::Incompatible {
            made_for: contents.compatible.clone(),
            we_are: slots.compatible.clone(),
        });
    }
    let (Some(running), Some(other)) = (slots.running(), slots.other()) else {
        return Err(Refusal::NoSlot);
    };
    // The start itself took one.
    if running.tries_left.is_some_and(|tries| tries < TRIES) && other.version.is_some() {
        return Err(Refusal::OnTrial);
    }
    if let Some(room) = other.size
        && contents.image > room
    {
        return Err(Refusal::NoRoom {
            image: contents.image,
            slot: other.slot.clone(),
            room,
        });
    }
    let running = running.version.as_deref().unwrap_or_default();
    match in_order(&contents.version, running) {
        Ok(()) => Ok(Verdict::Newer),
        Err(_) if force => Ok(Verdict::Forced),
        Err(refusal) => Err(refusal),
    }
}

fn in_order(offered: &str, running: &str) -> Result<(), Refusal> {
    let (offered, running) = (offered.to_owned(), running.to_owned());
    let (Some(new), Some(old)) = (version(&offered), version(&running)) else {
        return Err(Refusal::Unordered { offered, running });
    };
    match new.cmp_precedence(&old) {
        std::cmp::Ordering::Greater => Ok(()),
        std::cmp::Ordering::Equal => Err(Refusal::Same(running)),
        std::cmp::Ordering::Less => Err(Refusal::Older { offered, running }),
    }
}

/// A version as Cargo writes it, or as Debian does: `1.2.0~rc.1` comes before `1.2.0`.
pub(super) fn version(written: &str) -> Option<Version> {
    Version::parse(&written.replacen('~', "-", 1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::Slot;

    fn slots() -> Slots {
        let slot = |slot: &str, runs| Slot {
            slot: slot.to_owned(),
            name: format!("rootfs.{slot}"),
            runs,
            version: runs.then(|| "1.9.0".to_owned()),
            size: Some(1 << 30),
            ..Slot::default()
        };
        Slots {
            compatible: "door".to_owned(),
            slots: vec![slot("A", true), slot("B", false)],
        }
    }

    fn bundle(version: &str) -> Contents {
        Contents {
            compatible: "door".to_owned(),
            version: version.to_owned(),
            format: "verity".to_owned(),
            image: 1 << 20,
            tree: None,
        }
    }

    fn judged(version: &str, force: bool) -> Result<Verdict, &'static str> {
        judge(&bundle(version), &slots(), force).map_err(|refusal| refusal.code())
    }

    #[test]
    fn versions_are_ordered_as_numbers_and_not_as_text() {
        assert_eq!(judged("1.10.0", false), Ok(Verdict::Newer));
        assert_eq!(judged("1.8.10", false), Err("older"));
        assert_eq!(judged("1.9.0", false), Err("same"));
        assert_eq!(judged("1.9.0+other", false), Err("same"));
        assert_eq!(judged("1.9.0~rc.1", false), Err("older"));
        assert_eq!(judged("1.9.1~rc.1", false), Ok(Verdict::Newer));
        assert_eq!(judged("1.9.0-rc.1", false), Err("older"));
        for odd in ["", "2", "latest", "1.10", "99999999999999999999.0.0"] {
            assert_eq!(judged(odd, false), Err("unordered"), "{odd}");
        }
    }

    #[test]
    fn force_overrules_the_order_of_versions_and_nothing_else() {
        for version in ["1.8.0", "1.9.0", "latest"] {
            assert_eq!(judged(version, true), Ok(Verdict::Forced), "{version}");
        }
        let refused = |contents: Contents, slots: Slots| {
            judge(&contents, &slots, true).map_err(|refusal| refusal.code())
        };
        let mut other = bundle("2.0.0");
        other.compatible = "gate".to_owned();
        assert_eq!(refused(other, slots()), Err("incompatible"));
        let mut other = bundle("2.0.0");
        other.format = "plain".to_owned();
        assert_eq!(refused(other, slots()), Err("format"));
        let mut other = bundle("2.0.0");
        other.image = (1 << 30) + 1;
        assert_eq!(refused(other, slots()), Err("no_room"));
        let mut one = slots();
        one.slots.truncate(1);
        assert_eq!(refused(bundle("2.0.0"), one), Err("no_slot"));
        let mut none_runs = slots();
        for slot in &mut none_runs.slots {
            slot.runs = false;
        }
        assert_eq!(refused(bundle("2.0.0"), none_runs), Err("no_slot"));
    }

    #[test]
    fn what_one_may_have_to_go_back_to_is_not_overwritten() {
        let mut slots = slots();
        for slot in &mut slots.slots {
            slot.version = Some("1.9.0".to_owned());
            slot.tries_left = Some(if slot.runs { 2 } else { 3 });
        }
        for force in [false, true] {
            let refused = judge(&bundle("2.0.0"), &slots, force).unwrap_err();
            assert_eq!(refused.code(), "on_trial");
        }
        for slot in &mut slots.slots {
            slot.tries_left = Some(3);
        }
        assert_eq!(judge(&bundle("2.0.0"), &slots, false), Ok(Verdict::Newer));
    }

    #[test]
    fn a_door_that_does_not_know_its_version_takes_none_by_itself() {
        let mut slots = slots();
        for slot in &mut slots.slots {
            slot.version = None;
        }
        let refused = judge(&bundle("2.0.0"), &slots, false).unwrap_err();
        assert_eq!(refused.code(), "unordered");
    }
}
