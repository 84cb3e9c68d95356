//! `doorstation logs` and `doorstation support-bundle`, with a journal that only says
//! what it was asked.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// A folder with a configuration and a journalctl that prints its arguments, a line each.
fn house() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let journal = folder.path().join("journalctl");
    fs::write(&journal, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n")?;
    fs::set_permissions(&journal, fs::Permissions::from_mode(0o755))?;
    let password = folder.path().join("alice.password");
    fs::write(&password, "hunter1hunter1")?;
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600))?;
    fs::write(
        folder.path().join("doorstation.toml"),
        "# hunter2\n[gateway]\nlisten = \"127.0.0.1:0\"\nstate_dir = \"state\"\n\
         [[gateway.user]]\nname = \"alice\"\npassword_file = \"alice.password\"\n\
         [[gateway.user]]\nname = \"bob\"\npassword = \"hunter3\"\n\
         [camera]\nsource = \"test\"\n[panel]\nkind = \"sim\"\n",
    )?;
    Ok(folder)
}

fn doorstation(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorstation"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", folder.display()));
    Ok(command.output()?)
}

#[test]
fn the_journal_is_asked_for_the_station_and_the_guardian() -> Result<()> {
    let folder = house()?;
    let asked = |arguments: &[&str]| -> Result<String> {
        let output = doorstation(folder.path(), arguments)?;
        ensure!(output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    ensure!(asked(&["logs"])? == "--unit=doorstation.service\n--unit=doorstation-relay.service\n");
    let all = asked(&[
        "logs",
        "-f",
        "--call",
        "c-1",
        "--since",
        "-1h",
        "--warnings",
        "--json",
    ])?;
    let rest: Vec<_> = all.lines().skip(2).collect();
    let wanted = [
        "--follow",
        "--priority=warning",
        "--output=json",
        "--since=-1h",
        "CALL_ID=c-1",
    ];
    ensure!(rest == wanted, "{rest:?}");

    let output = doorstation(folder.path(), &["logs", "--call", "a b"])?;
    ensure!(output.status.code() == Some(2), "{output:?}");
    Ok(())
}

#[test]
fn without_a_journal_it_says_so() -> Result<()> {
    let folder = house()?;
    let output = Command::new(env!("CARGO_BIN_EXE_doorstation"))
        .arg("logs")
        .env("PATH", folder.path().join("nothing"))
        .output()?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    let told = String::from_utf8(output.stderr)?;
    ensure!(told.contains("there is no journalctl"), "{told}");
    Ok(())
}

/// What is in a bundle, by its names.
fn unpacked(file: &Path) -> Result<BTreeMap<String, String>> {
    let mut tar = tar::Archive::new(fs::File::open(file)?);
    let mut content = BTreeMap::new();
    for entry in tar.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        content.insert(name, String::from_utf8_lossy(&bytes).into_owned());
    }
    Ok(content)
}

#[test]
fn a_bundle_has_what_helps_and_no_secret() -> Result<()> {
    let folder = house()?;
    let arguments = [
        "support-bundle",
        "out.tar",
        "--config",
        "doorstation.toml",
        "--socket",
        "no.sock",
    ];
    let output = doorstation(folder.path(), &arguments)?;
    ensure!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stderr)?;
    ensure!(told.contains("no passwords"), "{told}");
    let file = folder.path().join("out.tar");
    let mode = fs::metadata(&file)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{mode:o}");

    let content = unpacked(&file)?;
    for (name, text) in &content {
        ensure!(!text.contains("hunter"), "{name}: {text}");
    }
    for (name, piece) in [
        ("doorstation.toml", "127.0.0.1:0"),
        // The mistake in it is told.
        ("config-check.txt", "gateway.user[1]"),
        ("status.json", "not_running"),
        ("doctor.json", "\"configuration\""),
        ("journal.txt", "doorstation-relay.service"),
        ("kernel.txt", "--dmesg"),
        ("os-release.txt", "NAME="),
        ("version.txt", env!("CARGO_PKG_VERSION")),
    ] {
        let text = content
            .get(&format!("doorstation-support/{name}"))
            .with_context(|| format!("no {name} in {:?}", content.keys()))?;
        ensure!(text.contains(piece), "{name}: {text}");
    }

    let before = fs::read(&file)?;
    let output = doorstation(folder.path(), &arguments)?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    ensure!(fs::read(&file)? == before, "a bundle was written over");
    Ok(())
}

#[test]
fn a_configuration_is_shown_without_its_secrets() -> Result<()> {
    let folder = house()?;
    let output = doorstation(folder.path(), &["config", "show", "doorstation.toml"])?;
    ensure!(output.status.success(), "{output:?}");
    let shown = String::from_utf8(output.stdout)?;
    ensure!(shown.contains("alice.password"), "{shown}");
    ensure!(!shown.contains("hunter"), "{shown}");
    let output = doorstation(folder.path(), &["config", "show", "none.toml"])?;
    ensure!(output.status.code() == Some(2), "{output:?}");
    Ok(())
}
