//! The image's recipe: what is written down in two places of it is the same in both.
//! Whether an image boots is `script/vm-test`'s to say.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A file of the recipe.
fn recipe(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("board/image")
        .join(name);
    fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// A file of the project.
fn project(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The lines that say something, without comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}

#[test]
fn linux_finds_the_environment_where_u_boot_writes_it() {
    let environment = recipe("files/etc/fw_env.config");
    let words: Vec<_> = lines(&environment)
        .flat_map(str::split_whitespace)
        .collect();
    let [device, offset, size] = words[..] else {
        panic!("one line of three words: {words:?}")
    };
    assert_eq!(device, "/dev/doorstation/card");

    let script = recipe("boot.cmd");
    let (first, count) = (hex(offset) / 512, hex(size) / 512);
    for command in ["read", "write"] {
        let sectors = format!("{command} ${{scratch}} {first:#x} {count:#x}");
        assert!(script.contains(&sectors), "boot.cmd has no '{sectors}'");
    }
    for command in ["env import -c ${scratch} ", "env export -c -s "] {
        assert!(
            script.contains(&format!("{command}{size} ")),
            "{command}{size}"
        );
    }
    // Behind the partition table, before the first partition.
    assert!(recipe("disk.cfg").contains("align = 1M"));
    assert!((512..=(1 << 20) - hex(size)).contains(&hex(offset)));
}

#[test]
fn the_kernel_has_the_room_that_mkcard_holds_it_to() {
    let script = recipe("boot.cmd");
    let room = script
        .lines()
        .find_map(|line| line.strip_prefix("setexpr ramdisk_addr_r ${kernel_addr_r} + "))
        .expect("boot.cmd leaves the initramfs where U-Boot puts it");
    // U-Boot moves the kernel up to the next 2 MiB.
    let most = (hex(room) >> 20) - 2;
    assert!(recipe("mkcard").contains(&format!("((size < {most}))")));
}

#[test]
fn devices_are_named_as_the_initramfs_names_them() {
    let init = recipe("init");
    assert!(init.contains("ln -s \"../$disk\" /dev/doorstation/card\n"));
    for (file, name) in [
        ("files/etc/fstab", "boot"),
        ("files/etc/rauc/system.conf", "a"),
        ("files/etc/rauc/system.conf", "b"),
    ] {
        let named = format!("/dev/doorstation/{name}");
        let mut words = recipe(file);
        words = words.replace('=', " ");
        assert!(words.split_whitespace().any(|word| word == named), "{file}");
        assert!(init.contains(&format!(") name={name} ;;")), "{name}");
    }
}

#[test]
fn units_that_are_switched_on_are_there() {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("board/image/files");
    let units = recipe("units");
    let mut ours = 0;
    for line in lines(&units) {
        let (what, unit) = line.split_once(' ').unwrap();
        assert!(["enable", "mask", "unasked"].contains(&what), "{line}");
        if unit.starts_with("doorstation-") {
            ours += 1;
            let text = fs::read_to_string(files.join("etc/systemd/system").join(unit)).unwrap();
            assert!(text.contains("[Install]"), "{unit} cannot be enabled");
        }
    }
    assert_eq!(ours, 4, "{units}");
}

#[test]
fn programs_of_the_image_are_where_its_units_look() {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("board/image/files");
    let mut seen = 0;
    for entry in fs::read_dir(files.join("etc/systemd/system")).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_file() {
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines() {
            let Some((_, command)) = line
                .split_once("/usr/lib/doorstation/")
                .filter(|(before, _)| before.starts_with("Exec"))
            else {
                continue;
            };
            seen += 1;
            let program = command.split(' ').next().unwrap();
            assert!(
                files.join("usr/lib/doorstation").join(program).is_file(),
                "{}: {program}",
                path.display()
            );
        }
    }
    assert_eq!(seen, 5);
}

#[test]
fn a_bundle_is_looked_at_before_a_slot_is_written() {
    let config = recipe("files/etc/rauc/system.conf");
    let handler = config
        .lines()
        .find_map(|line| line.strip_prefix("pre-install=/"))
        .expect("system.conf names no pre-install handler");
    assert!(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("board/image/files")
            .join(handler)
            .is_file(),
        "{handler}"
    );
    // Nothing but what can be checked block by block is taken.
    assert!(config.contains("bundle-formats=verity\n"));
    assert!(recipe("mkcard").contains("format=verity\n"));
}

#[test]
fn what_the_services_keep_is_on_the_data_partition() {
    let keep = recipe("keep");
    let kept: BTreeSet<_> = lines(&keep).collect();
    for unit in ["doorstation", "doorstation-relay"] {
        let text = project(&format!("systemd/{unit}.service"));
        for (key, folder) in [
            ("StateDirectory", "/var/lib"),
            ("CacheDirectory", "/var/cache"),
            ("ConfigurationDirectory", "/etc"),
        ] {
            for line in text.lines() {
                if let Some(name) = line.strip_prefix(&format!("{key}=")) {
                    let path = format!("{folder}/{name}");
                    assert!(kept.contains(path.as_str()), "{unit}: {path} is not kept");
                }
            }
        }
    }
}

#[test]
fn the_ports_that_are_open_are_the_ports_that_the_document_names() {
    let rules = recipe("files/etc/nftables.conf");
    let document = project("docs/image.md");
    for (rule, row) in [
        ("tcp dport { 22, 8443 } accept", "| TCP 22 |"),
        ("tcp dport { 22, 8443 } accept", "| TCP 8443 |"),
        ("udp dport 5353 accept", "| UDP 5353 |"),
        ("udp dport 32768-60999 accept", "| UDP 32768 to 60999 |"),
    ] {
        assert!(
            rules.contains(rule) && document.contains(row),
            "{rule}: {row}"
        );
    }
    let accepted = rules.lines().filter(|line| line.contains("dport"));
    // Those three, and DHCP's replies in both versions.
    assert_eq!(accepted.count(), 5, "{rules}");
    assert!(rules.contains("policy drop"));
}

/// What RAUC's look at a bundle says of version `new`, where `running` runs. Nothing is
/// mounted here, so one that is not too old ends at the look at its blocks.
fn checked(new: &str, running: &str, allowed: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    fs::write(file("manifest.raucm"), format!("[update]\nversion={new}\n")).unwrap();
    fs::write(file("release"), format!("VERSION={running}\n")).unwrap();
    if allowed {
        fs::write(file("allowed"), "").unwrap();
    }
    let hook = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("board/image/files/usr/lib/doorstation/check-bundle");
    let run = std::process::Command::new("sh")
        .arg(hook)
        .env("RAUC_BUNDLE_MOUNT_POINT", folder.path())
        .env("RAUC_TARGET_SLOTS", "")
        .env("RELEASE", file("release"))
        .env("ALLOWED", file("allowed"))
        .output()
        .unwrap();
    assert!(!run.status.success());
    String::from_utf8(run.stdout).unwrap()
}

#[test]
fn the_image_orders_versions_as_the_command_does() {
    let old = "is older than";
    for (new, running) in [
        ("0.1.0", "0.2.0"),
        ("0.2.0", "0.10.0"),
        ("0.2.0-rc.1", "0.2.0"),
        ("0.2.0-rc.2", "0.2.0-rc.10"),
    ] {
        let (back, on) = (checked(new, running, false), checked(running, new, false));
        assert!(back.contains(old), "{new} over {running}: {back}");
        assert!(on.contains("damaged"), "{running} over {new}: {on}");
        let forced = checked(new, running, true);
        assert!(forced.contains("damaged"), "{new} by force: {forced}");
    }
}
