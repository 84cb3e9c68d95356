//! GPIO lines of a real kernel: those of its simulator, gpio-sim. Where this machine's
//! kernel has none, the test runs once more in a virtual machine that has.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = "/sys/kernel/config/gpio-sim";

/// A chip of the kernel's simulator: its lines are moved and read by files.
pub(crate) struct GpioSim {
    pub(crate) label: String,
    config: PathBuf,
    lines: PathBuf,
}

impl GpioSim {
    /// A chip for the test of this name, if there can be one here. `None`: the test ran
    /// in the virtual machine and passed there, or is skipped with a word, which is a
    /// failure where nothing may be skipped.
    pub(crate) fn of_test(name: &str) -> Option<Self> {
        if Path::new(ROOT).is_dir() {
            return Some(Self::build());
        }
        let inside = std::env::var_os("DOORSTATION_GPIO_SIM").is_some();
        assert!(!inside, "the virtual machine has no {ROOT}");
        if let Err(missing) = machine() {
            let must_run = ["CI", "DOORSTATION_TEST_ALL"]
                .iter()
                .any(|name| std::env::var_os(name).is_some());
            assert!(!must_run, "{missing}");
            eprintln!("skipped: {missing}");
            return None;
        }
        let run = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/script/machine"))
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", name])
            .output()
            .unwrap();
        let (said, complaints) = (
            String::from_utf8_lossy(&run.stdout),
            String::from_utf8_lossy(&run.stderr),
        );
        eprintln!("{said}{complaints}");
        assert!(run.status.success(), "it failed in the virtual machine");
        assert!(
            said.contains("1 passed"),
            "the machine ran another number of tests"
        );
        None
    }

    fn build() -> Self {
        let name = format!("doorstation-{}", std::process::id());
        let config = Path::new(ROOT).join(&name);
        let bank = config.join("bank0");
        std::fs::create_dir(&config).unwrap();
        std::fs::create_dir(&bank).unwrap();
        std::fs::write(bank.join("num_lines"), "32").unwrap();
        std::fs::write(bank.join("label"), &name).unwrap();
        std::fs::write(config.join("live"), "1").unwrap();
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap().trim().to_owned();
        let device = read(config.join("dev_name"));
        let chip = read(bank.join("chip_name"));
        Self {
            label: name,
            lines: Path::new("/sys/devices/platform").join(device).join(chip),
            config,
        }
    }

    /// `pull` moves an input, `value` tells how a line stands.
    pub(crate) fn file(&self, line: u32, name: &str) -> PathBuf {
        self.lines.join(format!("sim_gpio{line}")).join(name)
    }
}

impl Drop for GpioSim {
    fn drop(&mut self) {
        let _ = std::fs::write(self.config.join("live"), "0");
        let _ = std::fs::remove_dir(self.config.join("bank0"));
        let _ = std::fs::remove_dir(&self.config);
    }
}

/// What `script/machine` needs, as far as it can be missing.
fn machine() -> Result<(), String> {
    if !cfg!(target_arch = "x86_64") {
        return Err(format!(
            "{ROOT} is missing, and script/machine is for x86-64"
        ));
    }
    for file in [
        "/usr/bin/qemu-system-x86_64",
        "/bin/busybox",
        "/usr/sbin/depmod",
    ] {
        if !Path::new(file).exists() {
            return Err(format!(
                "{ROOT} is missing, and so is {file}: run script/setup"
            ));
        }
    }
    Ok(())
}
