//! What the installer puts on the boot partition, as the image's `card` script takes it
//! over: into folders of this test, with this build's `doorstation config check`.
//! `script/vm-test` has it run by systemd, from a real FAT file system.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/board/image/files/usr/lib/doorstation/card"
);
const BEFORE: &str = "[station]\nname = \"Before\"\n[gateway]\nlisten = \"127.0.0.1:8443\"\n";
const SECRET: &str = "a-secret-of-the-house";

/// A card, and the folders of a station.
struct Card {
    folder: TempDir,
}

impl Card {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["card", "config", "wifi", "leds/ACT"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let card = Self { folder };
        fs::write(card.path("config/doorstation.toml"), BEFORE).unwrap();
        for file in ["trigger", "delay_on", "delay_off"] {
            fs::write(card.path("leds/ACT").join(file), "none\n").unwrap();
        }
        card
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, text: &str) -> &Self {
        fs::write(self.path("card").join(name), text).unwrap();
        self
    }

    fn holds(&self, name: &str) -> bool {
        self.path("card").join(name).exists()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs the script; gives the report that it leaves on the card.
    fn start(&self) -> String {
        let program = Path::new(env!("CARGO_BIN_EXE_doorstation"));
        let path = format!(
            "{}:{}",
            program.parent().unwrap().display(),
            std::env::var("PATH").unwrap()
        );
        let run = Command::new(SCRIPT)
            .env("PATH", path)
            .env("CARD", self.path("card"))
            .env("CONFIG", self.path("config"))
            .env("KEYS", self.path("authorized_keys"))
            .env("WIFI", self.path("wifi"))
            .env("LEDS", self.path("leds"))
            .output()
            .unwrap();
        assert!(run.status.success(), "{run:?}");
        fs::read_to_string(self.path("card/doorstation-report.txt")).unwrap_or_default()
    }
}

/// A configuration whose one user has a password file, with the line ends of Windows.
fn configuration(name: &str) -> String {
    format!(
        "[station]\r\nname = \"{name}\"\r\n[gateway]\r\nlisten = \"127.0.0.1:8443\"\r\n\
         [[gateway.user]]\r\nname = \"anna\"\r\npassword_file = \"anna.password\"\r\n"
    )
}

fn public_key(card: &Card) -> String {
    let file = card.path("key");
    let run = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&file)
        .output()
        .expect("ssh-keygen, which script/setup installs");
    assert!(run.status.success(), "{run:?}");
    card.read("key.pub")
}

#[test]
fn what_is_right_is_taken_over_and_gone_from_the_card() {
    let card = Card::new();
    let key = public_key(&card);
    card.put("doorstation.toml", &configuration("After"))
        .put("anna.password", SECRET)
        .put("anna.pub", &key);
    let report = card.start();

    assert!(report.contains("all of it is taken over"), "{report}");
    assert!(card.read("config/doorstation.toml").contains("\"After\""));
    assert_eq!(card.read("config/anna.password"), SECRET);
    let mode = fs::metadata(card.path("config/anna.password")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    assert_eq!(card.read("authorized_keys").trim(), key.trim());
    for gone in ["doorstation.toml", "anna.password", "anna.pub"] {
        assert!(!card.holds(gone), "{gone} is still there");
    }
    assert!(!report.contains(SECRET), "{report}");
    assert_eq!(card.read("leds/ACT/trigger"), "none\n");
    assert!(!card.path("config/.card").exists());
}

#[test]
fn a_mistake_changes_nothing_is_named_and_flashes() {
    let card = Card::new();
    let wrong = configuration("After").replace("[station]", "[station]\r\nnmae = \"x\"");
    card.put("doorstation.toml", &wrong)
        .put("anna.password", SECRET);
    let report = card.start();

    assert!(report.contains("MISTAKE"), "{report}");
    assert!(
        report.contains("nmae") && report.contains("name"),
        "{report}"
    );
    assert!(!report.contains("all of it"), "{report}");
    assert_eq!(card.read("config/doorstation.toml"), BEFORE);
    assert!(!card.path("config/anna.password").exists());
    assert!(!card.path("config/.card").exists());
    assert!(card.holds("doorstation.toml") && card.holds("anna.password"));
    assert_eq!(card.read("leds/ACT/trigger"), "timer\n");

    // Mended, it goes through.
    card.put("doorstation.toml", &configuration("After"));
    let report = card.start();
    assert!(report.contains("all of it is taken over"), "{report}");
    assert!(card.read("config/doorstation.toml").contains("\"After\""));
}

#[test]
fn only_public_keys_are_taken() {
    let card = Card::new();
    let key = public_key(&card);
    card.put("private.pub", &card.read("key"))
        .put("letter.pub", "Dear door, let me in.\n")
        .put("authorized_keys", &key);
    let report = card.start();

    assert!(
        report.contains("private.pub is a private key") && report.contains("letter.pub is no"),
        "{report}"
    );
    assert_eq!(card.read("authorized_keys").trim(), key.trim());
    assert!(!card.holds("authorized_keys"));
}

#[test]
fn mistakes_in_the_wifi_are_named_without_its_password() {
    for (text, named) in [
        ("name=home\npassword=longenough\n", "country="),
        (
            "country=de\nname=home\npassword=longenough\n",
            "two capital letters",
        ),
        ("country=DE\nname=home\npassword=short\n", "password="),
        ("country=DE\npassword=longenough\n", "name="),
    ] {
        let card = Card::new();
        let report = card.put("wifi.txt", text).start();
        assert!(
            report.contains("MISTAKE: wifi.txt") && report.contains(named),
            "{text:?}: {report}"
        );
        assert!(!report.contains("longenough") && !report.contains("short"));
        assert!(card.holds("wifi.txt"));
        assert_eq!(fs::read_dir(card.path("wifi")).unwrap().count(), 0);
    }
}

#[test]
fn what_was_overwritten_when_the_power_went_is_not_taken_over_again() {
    let card = Card::new();
    fs::write(card.path("config/anna.password"), SECRET).unwrap();
    fs::set_permissions(
        card.path("config/anna.password"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    card.put("doorstation.toml", &configuration("After"))
        .put("anna.password", &"\0".repeat(SECRET.len()));
    let report = card.start();

    assert!(report.contains("all of it is taken over"), "{report}");
    assert!(card.read("config/doorstation.toml").contains("\"After\""));
    assert_eq!(card.read("config/anna.password"), SECRET);
    assert!(!card.holds("anna.password"));

    // Nothing else on it: as if nothing were there.
    card.put("doorstation.toml", &"\0".repeat(300));
    fs::remove_file(card.path("card/doorstation-report.txt")).unwrap();
    assert_eq!(card.start(), "");
    assert!(!card.holds("doorstation.toml"));
    assert!(card.read("config/doorstation.toml").contains("\"After\""));
}

#[test]
fn a_configuration_whose_copying_was_cut_off_is_a_mistake() {
    let card = Card::new();
    let report = card.put("doorstation.toml", "").start();
    assert!(report.contains("doorstation.toml is empty"), "{report}");
    assert_eq!(card.read("config/doorstation.toml"), BEFORE);
}

#[test]
fn a_card_with_nothing_new_gets_no_report() {
    let card = Card::new();
    assert_eq!(card.start(), "");
    assert_eq!(card.read("config/doorstation.toml"), BEFORE);
}
