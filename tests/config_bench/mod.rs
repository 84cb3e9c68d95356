//! A directory with a configuration and its secrets, for the tests of `config`.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its part of this"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use doorstation::config::{self, Checked, Faults};
use tempfile::TempDir;

pub const ONE_USER: &str = "[[gateway.user]]\nname = 'alice'\npassword_file = 'p'\n";
pub const ACCOUNT: &str = "[[account]]\nname = 'cloud'\nuser = 'door@example.org'\npassword_file = 'p'\nrest = 'https://kandy.example.org'\n";

pub fn one_user(rest: &str) -> String {
    format!("{ONE_USER}\n{rest}\n")
}

pub fn with_gateway(keys: &str) -> String {
    format!("[gateway]\n{keys}\n{ONE_USER}")
}

/// An account with one key replaced or added.
pub fn account(key: &str) -> String {
    let name = key.split('=').next().unwrap();
    let others = ACCOUNT
        .lines()
        .skip(1)
        .filter(|line| !line.starts_with(name.trim_end()));
    let others: Vec<_> = others.collect();
    format!(
        "[call]\n[[account]]\n{key}\n{}\n{ONE_USER}",
        others.join("\n")
    )
}

pub fn targets(checked: &Checked) -> Vec<String> {
    let targets = checked.call.ring.iter().flat_map(|step| &step.targets);
    targets
        .map(|target| format!("{} {}", target.account, target.to))
        .collect()
}

/// What is told, without the file's name.
pub fn lines(faults: &Told) -> Vec<String> {
    let told = faults.to_string();
    let lines = told.lines();
    lines
        .map(|line| {
            line.trim_start_matches("DIR/doorstation.toml:")
                .trim_start()
                .to_owned()
        })
        .collect()
}

/// A directory with a configuration and its secrets.
pub struct Bench(TempDir);

impl Bench {
    pub fn new() -> Self {
        let bench = Self(TempDir::new().unwrap());
        fs::create_dir(bench.path("credentials")).unwrap();
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn secret(&self, name: &str, content: &str) {
        self.file(name, content, 0o600);
    }

    pub fn file(&self, name: &str, content: &str, mode: u32) {
        let path = self.path(name);
        if path.exists() {
            fs::remove_file(&path).unwrap();
        }
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn write(&self, config: &str) -> PathBuf {
        let path = self.path("doorstation.toml");
        fs::write(&path, config).unwrap();
        path
    }

    pub fn load(&self, config: &str) -> Result<Checked, Faults> {
        config::load_with(&self.write(config), Some(&self.path("credentials")))
    }

    /// The faults, with this directory named `DIR`.
    pub fn faults(&self, config: &str) -> Told {
        let faults = self.load(config).unwrap_err();
        let directory = self.0.path().to_str().unwrap();
        Told {
            count: faults.count(),
            text: faults.to_string().replace(directory, "DIR"),
        }
    }
}

/// Faults as a person sees them.
pub struct Told {
    count: usize,
    text: String,
}

impl Told {
    pub fn count(&self) -> usize {
        self.count
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
