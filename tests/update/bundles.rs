//! Bad bundles, looked at by the real RAUC: each is refused in words of its own, before a
//! byte of a slot is written.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use doorstation::update::rauc::Rauc;
use doorstation::update::sim::Sim;
use doorstation::update::{self, Engine, Error, LARGEST};

use crate::workshop::{DOOR, GOOD, IMAGE, Recipe, Workshop};

/// The version that runs.
const RUNS: &str = "0.1.9";
/// What stands in the slots before.
const BEFORE: u8 = 0x5a;
/// Bytes of a slot: room for the image and little more.
const SLOT: usize = 400_000;

/// A door with two slots of known bytes, whose bundles the real RAUC reads.
struct Door {
    card: Sim,
    slots: PathBuf,
}

impl Door {
    fn new(folder: &Path, rauc: Rauc) -> Self {
        let slots = folder.join("slots");
        fs::create_dir(&slots).unwrap();
        let read = Box::new(move |bundle: &Path| rauc.contents(bundle));
        let card = Sim::new(&slots, DOOR, RUNS, SLOT as u64, read).unwrap();
        for slot in ["A", "B"] {
            fs::write(slots.join(slot), vec![BEFORE; SLOT]).unwrap();
        }
        Self { card, slots }
    }

    /// Both slots are what they were.
    fn is_untouched(&self) -> bool {
        let same = |slot: &str| fs::read(self.slots.join(slot)).unwrap() == vec![BEFORE; SLOT];
        same("A") && same("B")
    }

    fn install(&mut self, bundle: &Path, force: bool) -> Result<(), Error> {
        update::install(&mut self.card, bundle, force, &mut |_| {}).map(drop)
    }

    /// It is refused with this code and these words, and nothing happened.
    fn refuses(&mut self, bundle: &Path, code: &str, words: &str) {
        for force in [false, true] {
            if force && code == "older" {
                continue;
            }
            let before = self.card.slots().unwrap();
            let error = self.install(bundle, force).expect_err(code);
            assert_eq!(error.code(), code, "{}: {error}", bundle.display());
            assert!(error.to_string().contains(words), "{code}: {error}");
            assert!(self.is_untouched(), "{code}: a slot was written");
            assert_eq!(self.card.slots().unwrap(), before, "{code}");
        }
    }
}

fn at(bytes: &[u8], what: &[u8]) -> usize {
    let found = bytes.windows(what.len()).rposition(|seen| seen == what);
    found.expect("it is in there")
}

#[test]
fn twelve_bad_bundles_are_refused_each_in_its_own_words_and_the_good_one_is_taken() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let mut door = Door::new(&workshop.folder, workshop.rauc());
    let good = workshop.bundle("good", GOOD);
    let made = |name: &str, recipe| workshop.bundle(name, recipe);

    // 1: never signed, as mksquashfs makes it.
    let unsigned = workshop.folder.join("unsigned.raucb");
    crate::workshop::run(
        std::process::Command::new("mksquashfs")
            .args([&workshop.folder.join("good.content"), &unsigned])
            .args(["-quiet", "-no-progress"]),
    );
    door.refuses(&unsigned, "unsigned", "nobody has signed");
    // 2
    let foreign = made(
        "foreign",
        Recipe {
            signed_by: "foreign",
            ..GOOD
        },
    );
    door.refuses(&foreign, "wrong_key", "a key that this door does not know");
    // 3
    let expired = made(
        "expired",
        Recipe {
            signed_by: "expired",
            ..GOOD
        },
    );
    door.refuses(&expired, "expired", "has expired");
    // 4: at several places, the last one within the signature's length.
    let whole = fs::read(&good).unwrap().len();
    for left in [40, 50_000, IMAGE, whole - 2000, whole - 1] {
        let short = workshop.changed(&good, "short", |bytes| bytes.truncate(left));
        door.refuses(&short, "truncated", "the end of the file is missing");
    }
    // 5: RAUC's own look at a bundle does not find this; the kernel would, half-way.
    for place in [4096, 150_000, IMAGE] {
        let flipped = workshop.changed(&good, "flipped", |bytes| bytes[place] ^= 4);
        assert!(
            workshop.rauc().contents(&flipped).is_ok(),
            "RAUC finds it by now"
        );
        door.refuses(&flipped, "damaged", "not what was signed");
    }
    // The tree of hashes itself.
    let flipped = workshop.changed(&good, "tree", |bytes| {
        let manifest = at(bytes, b"[update]");
        let tree = manifest / 4096 * 4096 - 4096;
        bytes[tree] ^= 4;
    });
    door.refuses(&flipped, "damaged", "not what was signed");
    // 6
    let manifest = workshop.changed(&good, "manifest", |bytes| {
        let version = at(bytes, b"version=0.2.0") + b"version=".len();
        bytes[version] = b'9';
    });
    door.refuses(&manifest, "altered", "changed after it was signed");
    // 7
    let older = made(
        "older",
        Recipe {
            version: "0.1.8",
            ..GOOD
        },
    );
    door.refuses(&older, "older", "0.1.9 runs, which is newer");
    // 8
    let other = made(
        "other",
        Recipe {
            compatible: "garage-gate",
            ..GOOD
        },
    );
    door.refuses(&other, "incompatible", "is for 'garage-gate'");
    // 9
    let plain = made(
        "plain",
        Recipe {
            format: "plain",
            ..GOOD
        },
    );
    door.refuses(&plain, "format", "'plain'");
    // 10: larger than any bundle, and larger than the slot.
    let large = workshop.changed(&good, "large", |_| {});
    let file = fs::File::options().write(true).open(&large).unwrap();
    file.set_len(LARGEST + 1).unwrap();
    door.refuses(&large, "too_large", "no bundle has more than");
    // 11: the file, and a folder on the way to it.
    let link = workshop.folder.join("link.raucb");
    symlink(&good, &link).unwrap();
    door.refuses(&link, "link", "symbolic link");
    let beside = workshop.folder.join("beside");
    symlink(&workshop.folder, &beside).unwrap();
    door.refuses(&beside.join("good.raucb"), "link", "symbolic link");
    door.refuses(&workshop.folder, "not_a_file", "a folder");
    door.refuses(Path::new("/dev/zero"), "not_a_file", "a device");
    // 12
    let empty = workshop.changed(&good, "empty", Vec::clear);
    door.refuses(&empty, "empty", "the file is empty");

    // What is left is good, and installed.
    door.install(&good, false).unwrap();
    let slots = door.card.slots().unwrap();
    let other = slots.other().unwrap();
    assert_eq!(other.version.as_deref(), Some("0.2.0"));
    assert!(other.next && !slots.running().unwrap().next);
    let written = fs::read(door.slots.join("B")).unwrap();
    assert_eq!(written, fs::read(&good).unwrap());
    assert_eq!(fs::read(door.slots.join("A")).unwrap(), vec![BEFORE; SLOT]);
}

#[test]
fn an_older_version_is_installed_by_force_and_a_slot_that_is_too_small_by_nothing() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let mut door = Door::new(&workshop.folder, workshop.rauc());
    let older = workshop.bundle(
        "older",
        Recipe {
            version: "0.1.8",
            ..GOOD
        },
    );
    door.install(&older, true).unwrap();
    let slots = door.card.slots().unwrap();
    assert_eq!(slots.other().unwrap().version.as_deref(), Some("0.1.8"));

    let small = workshop.folder.join("small");
    fs::create_dir(&small).unwrap();
    let rauc = workshop.rauc();
    let read = Box::new(move |bundle: &Path| rauc.contents(bundle));
    let mut card = Sim::new(&small, DOOR, RUNS, IMAGE as u64 - 1, read).unwrap();
    let good = workshop.bundle("good", GOOD);
    let error = update::install(&mut card, &good, true, &mut |_| {}).unwrap_err();
    assert_eq!(error.code(), "no_room", "{error}");
    let written = fs::read(small.join("B")).unwrap();
    assert!(written.iter().all(|byte| *byte == 0));
}
