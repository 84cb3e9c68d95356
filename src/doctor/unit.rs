//! What the running service may do: the sandbox that systemd puts around it, as the kernel
//! keeps it, and as systemd judges it.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Finding;

/// The unit.
const UNIT: &str = "doorstation.service";
/// systemd's measure of what a service may do, 0 nothing to 10 all: ours is to stay
/// below this (our choice; the unit of the package has less).
const EXPOSED: f64 = 2.0;
/// What to do about a process without its sandbox.
const REMEDY: &str = "systemctl cat doorstation shows which drop-in takes it away; \
                      sudo systemctl revert doorstation, then restart it";

/// Looks at the service's process and unit, if systemd runs it. `root` is as in
/// [`Patient`](super::Patient).
pub(super) fn examine(root: &Path, note: &mut dyn FnMut(Finding)) {
    if !root.join("run/systemd/system").exists() {
        return;
    }
    let pid = said("systemctl", &["show", "-P", "MainPID", UNIT]);
    let pid: u32 = pid.and_then(|pid| pid.trim().parse().ok()).unwrap_or(0);
    if pid == 0 {
        return;
    }
    let status = root.join(format!("proc/{pid}/status"));
    note(match fs::read_to_string(&status) {
        Ok(status) => process(&status),
        Err(error) => Finding::warning(
            "sandbox",
            format!("{}: {error}", status.display()),
            "run the doctor with sudo",
        ),
    });
    if let Some(finding) =
        said("systemd-analyze", &["security", "--no-pager", UNIT]).and_then(|text| exposure(&text))
    {
        note(finding);
    }
}

/// What a program says; `None` where it is not there or fails.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// By proc(5), `/proc/pid/status`.
fn process(status: &str) -> Finding {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.strip_prefix(':')?.split_whitespace().next()
    };
    let mut open = Vec::new();
    if field("Uid") == Some("0") {
        open.push("it is root");
    }
    if field("NoNewPrivs") != Some("1") {
        open.push("it may get new rights (NoNewPrivs 0)");
    }
    // 2: a filter.
    if field("Seccomp") != Some("2") {
        open.push("it may make every system call (Seccomp 0)");
    }
    let rights = field("CapEff").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    if rights != Some(0) {
        open.push("it has capabilities (CapEff)");
    }
    match open.is_empty() {
        true => Finding::ok(
            "sandbox",
            "a user of its own, no capabilities, system calls filtered, no new rights",
        ),
        false => Finding::warning("sandbox", open.join("; "), REMEDY),
    }
}

/// The last line of `systemd-analyze security`, with the arrow that it begins with:
/// `Overall exposure level for doorstation.service: 1.3 OK :-)`.
fn exposure(text: &str) -> Option<Finding> {
    let line = text
        .lines()
        .rev()
        .find(|line| line.contains("exposure level"))?;
    let (_, after) = line.rsplit_once(": ")?;
    let level: f64 = after.split_whitespace().next()?.parse().ok()?;
    let seen = format!("systemd's measure of what it may do is {level:.1} of 10");
    Some(if level <= EXPOSED {
        Finding::ok("hardening", seen)
    } else {
        Finding::warning("hardening", format!("{seen}, above {EXPOSED:.1}"), REMEDY)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Grade;

    fn status(uid: u32, new: u32, seccomp: u32, rights: &str) -> String {
        format!(
            "Name:\tdoorstation\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nCapEff:\t{rights}\n\
             NoNewPrivs:\t{new}\nSeccomp:\t{seccomp}\nSeccomp_filters:\t9\n"
        )
    }

    const NONE: &str = "0000000000000000";

    #[test]
    fn a_process_without_its_sandbox_warns_of_each_hole() {
        assert_eq!(process(&status(990, 1, 2, NONE)).grade, Grade::Ok);
        for (open, word) in [
            (status(0, 1, 2, NONE), "root"),
            (status(990, 0, 2, NONE), "NoNewPrivs"),
            (status(990, 1, 0, NONE), "Seccomp"),
            (status(990, 1, 2, "00000000000000ff"), "CapEff"),
            (String::new(), "CapEff"),
        ] {
            let finding = process(&open);
            assert_eq!(finding.grade, Grade::Warning);
            assert!(finding.seen.contains(word), "{finding:?}");
            assert!(finding.remedy.unwrap().contains("systemctl revert"));
        }
    }

    #[test]
    fn the_measure_of_systemd_is_read_and_judged() {
        let of = |level: &str| {
            exposure(&format!(
                "  NAME DESCRIPTION\n\n→ Overall exposure level for {UNIT}: {level} OK 🙂\n"
            ))
        };
        assert_eq!(of("1.3").unwrap().grade, Grade::Ok);
        assert_eq!(of("9.6").unwrap().grade, Grade::Warning);
        assert_eq!(exposure("no such unit\n"), None);
    }
}
