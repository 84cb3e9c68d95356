//! One contract for both engines: RAUC with slots that are files, and the simulated card.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use doorstation::clock;
use doorstation::update::rauc::Rauc;
use doorstation::update::sim::Sim;
use doorstation::update::{self, Engine, Mark};

use crate::workshop::{DOOR, GOOD, IMAGE, Recipe, Workshop, has};

const RUNS: &str = "0.1.0";
const SLOT: u64 = 4 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// What every engine does with a card whose slot A runs and whose slot B is empty.
/// `bundle` has version 0.2.0.
fn keeps_the_contract(engine: &mut dyn Engine, bundle: &Path) {
    let slots = engine.slots().unwrap();
    assert_eq!(slots.compatible, DOOR);
    assert_eq!(slots.slots.len(), 2);
    let running = slots.running().unwrap();
    assert_eq!((running.slot.as_str(), running.next), ("A", true));
    assert_eq!(running.version.as_deref(), Some(RUNS));
    let other = slots.other().unwrap();
    assert!(
        !other.good && !other.next && other.version.is_none(),
        "{other:?}"
    );
    assert_eq!(other.size, Some(SLOT));
    let error = update::roll_back(engine).unwrap_err();
    assert_eq!(error.code(), "nothing_before", "{error}");

    let contents = engine.contents(bundle).unwrap();
    assert_eq!(
        (contents.compatible.as_str(), contents.version.as_str()),
        (DOOR, "0.2.0")
    );
    assert_eq!(contents.image, IMAGE as u64);

    let mut seen = Vec::new();
    engine
        .install(bundle, &mut |progress| seen.push(progress.percent))
        .unwrap();
    assert_eq!((seen.first(), seen.last()), (Some(&0), Some(&100)));
    assert!(seen.is_sorted(), "{seen:?}");
    let slots = engine.slots().unwrap();
    let other = slots.other().unwrap();
    assert_eq!(other.version.as_deref(), Some("0.2.0"));
    assert!(other.next && other.good, "{other:?}");
    assert!(
        slots
            .running()
            .is_some_and(|slot| !slot.next && slot.slot == "A")
    );

    // As after a restart that was not made: back to what runs, and to the other again.
    let name = slots.running().unwrap().name.clone();
    engine.mark(&Mark::Next(name)).unwrap();
    assert!(engine.slots().unwrap().running().unwrap().next);
    let slot = update::roll_back(engine).unwrap();
    assert_eq!(
        (slot.slot.as_str(), slot.version.as_deref()),
        ("B", Some("0.2.0"))
    );
    assert!(engine.slots().unwrap().other().unwrap().next);
    engine.mark(&Mark::Good).unwrap();
    assert!(engine.slots().unwrap().running().unwrap().good);
    assert!(engine.mark(&Mark::Next("rootfs.7".to_owned())).is_err());
}

#[test]
fn the_simulated_card_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let mut card = Sim::new(folder.path(), DOOR, RUNS, SLOT, Sim::json_reader()).unwrap();
    let bundle = folder.path().join("bundle");
    let contents = update::Contents {
        compatible: DOOR.to_owned(),
        version: "0.2.0".to_owned(),
        format: "verity".to_owned(),
        image: IMAGE as u64,
        tree: None,
    };
    fs::write(&bundle, serde_json::to_vec(&contents).unwrap()).unwrap();
    keeps_the_contract(&mut card, &bundle);
    assert_eq!(
        fs::read(folder.path().join("B")).unwrap(),
        fs::read(&bundle).unwrap()
    );
}

#[test]
fn rauc_keeps_the_contract() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let loops = Path::new("/dev/loop-control").exists();
    if !doorstation::peer::we_are_root() || !loops || !has("dbus-daemon") {
        eprintln!(
            "skipped: RAUC mounts a bundle, which takes root and loop devices, and is asked \
             over D-Bus"
        );
        return;
    }
    let service = Service::start(&workshop);
    // The kernel of a test machine may have no dm-verity: the other format needs none.
    let bundle = workshop.bundle(
        "plain",
        Recipe {
            format: "plain",
            ..GOOD
        },
    );
    keeps_the_contract(&mut service.rauc(), &bundle);
    let image = fs::read(workshop.folder.join("plain.content/root.img")).unwrap();
    let slot = fs::read(workshop.folder.join("b")).unwrap();
    assert!(slot.starts_with(&image), "the image is not in slot B");
    let other = fs::read(workshop.folder.join("a")).unwrap();
    assert!(other.iter().all(|byte| *byte == 0), "slot A was written");

    let foreign = workshop.bundle(
        "foreign",
        Recipe {
            format: "plain",
            signed_by: "foreign",
            ..GOOD
        },
    );
    let error = service.rauc().install(&foreign, &mut |_| {}).unwrap_err();
    assert_eq!(error.code(), "wrong_key", "{error}");
}

#[test]
fn what_a_card_came_with_can_be_gone_back_to_and_an_empty_slot_cannot() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    if !has("dbus-daemon") {
        eprintln!("skipped: RAUC is asked over D-Bus, and there is no dbus-daemon");
        return;
    }
    let service = Service::start(&workshop);
    // U-Boot gives an empty slot three tries, too.
    fs::write(workshop.folder.join("state.B"), "good\n").unwrap();
    let mut rauc = service.rauc();
    let error = update::roll_back(&mut rauc).unwrap_err();
    assert_eq!(error.code(), "nothing_before", "{error}");
    let known = workshop.folder.join("slots");
    fs::create_dir(&known).unwrap();
    fs::write(known.join("B"), "0.0.9\n").unwrap();
    let slot = update::roll_back(&mut rauc).unwrap();
    assert_eq!(slot.version.as_deref(), Some("0.0.9"));
    assert!(rauc.slots().unwrap().other().unwrap().next);
}

#[test]
fn without_its_service_rauc_is_no_answer_and_says_so() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let nowhere = "unix:path=/nowhere/bus";
    let rauc = Rauc::with(
        &workshop.config(),
        &workshop.folder,
        [("DBUS_SYSTEM_BUS_ADDRESS", nowhere)],
    );
    let error = rauc.slots().unwrap_err();
    assert_eq!(error.code(), "engine", "{error}");
    assert!(error.to_string().contains("D-Bus"), "{error}");
}

/// RAUC's service on a bus of its own, with two files for slots and a script for U-Boot.
struct Service {
    processes: [Child; 2],
    config: PathBuf,
    folder: PathBuf,
    bus: String,
}

impl Service {
    fn start(workshop: &Workshop) -> Self {
        let folder = &workshop.folder;
        for slot in ["a", "b"] {
            let file = fs::File::create(folder.join(slot)).unwrap();
            file.set_len(SLOT).unwrap();
        }
        let config = configure(workshop);
        let release = folder.join("doorstation-release");
        fs::write(release, format!("VERSION={RUNS}\n")).unwrap();
        let socket = folder.join("bus");
        let bus = format!("unix:path={}", socket.display());
        let daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile"])
            .arg(format!("--address={bus}"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the bus", || socket.exists());
        let log = fs::File::create(folder.join("rauc.log")).unwrap();
        let rauc = Command::new("rauc")
            .arg("--conf")
            .arg(&config)
            .args(["--override-boot-slot=A", "--mount"])
            .arg(folder.join("mount"))
            .arg("service")
            .env("DBUS_SYSTEM_BUS_ADDRESS", &bus)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let service = Self {
            processes: [rauc, daemon],
            config,
            folder: folder.clone(),
            bus,
        };
        wait_until("RAUC", || service.rauc().slots().is_ok());
        service
    }

    fn rauc(&self) -> Rauc {
        let variables = [("DBUS_SYSTEM_BUS_ADDRESS", self.bus.as_str())];
        Rauc::with(&self.config, &self.folder, variables)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn configure(workshop: &Workshop) -> PathBuf {
    let folder = &workshop.folder;
    let script = folder.join("boot");
    // What U-Boot's environment holds, in files.
    let text = format!(
        "#!/bin/sh\ncd {}\ncase $1 in\nget-primary) cat primary ;;\n\
         set-primary) echo \"$2\" >primary; echo good >\"state.$2\" ;;\n\
         get-state) cat \"state.$2\" ;;\nset-state) echo \"$3\" >\"state.$2\" ;;\n\
         get-current) echo A ;;\nesac\n",
        folder.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    for (file, text) in [("primary", "A"), ("state.A", "good"), ("state.B", "bad")] {
        fs::write(folder.join(file), format!("{text}\n")).unwrap();
    }
    for name in ["data", "mount"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let config = folder.join("service.conf");
    let at = folder.display();
    let text = format!(
        "[system]\ncompatible={DOOR}\nbootloader=custom\nbundle-formats=verity plain\n\
         data-directory={at}/data\nmountprefix={at}/mount\n\
         [keyring]\npath={at}/ours/authority.crt\ncheck-purpose=codesign\n\
         [handlers]\nbootloader-custom-backend={at}/boot\n\
         [slot.rootfs.0]\ndevice={at}/a\ntype=raw\nbootname=A\n\
         [slot.rootfs.1]\ndevice={at}/b\ntype=raw\nbootname=B\n"
    );
    fs::write(&config, text).unwrap();
    config
}

fn wait_until(what: &str, ready: impl Fn() -> bool) {
    let until = clock::now() + PATIENCE;
    while !ready() {
        assert!(
            clock::now() < until,
            "{what} is not there after {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
