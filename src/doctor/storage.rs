//! How the card or disk is: what it says of its own wear, and whether the file system on it
//! is whole.

use std::fs;
use std::path::Path;

use super::Finding;

/// A card says how much of its life is used, in tenths: from here on it warns.
const WORN: u32 = 9;

/// `root` is as in [`Patient`](super::Patient).
pub(super) fn examine(root: &Path, note: &mut dyn FnMut(Finding)) {
    for folder in folders(&root.join("sys/block")) {
        let device = folder.join("device");
        // Of eMMC 5.0 and later: two estimates, for two kinds of its memory.
        if let Ok(life) = fs::read_to_string(device.join("life_time")) {
            note(wear(&name(&folder), &life));
        }
    }
    let mounts = fs::read_to_string(root.join("proc/mounts")).unwrap_or_default();
    for folder in folders(&root.join("sys/fs/ext4")) {
        let errors = fs::read_to_string(folder.join("errors_count"));
        if let Some(errors) = errors.ok().and_then(|count| count.trim().parse().ok()) {
            note(whole(&name(&folder), errors, &mounts));
        }
    }
}

fn folders(parent: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut folders: Vec<_> = entries.map(|entry| entry.path()).collect();
    folders.sort_unstable();
    folders
}

fn name(folder: &Path) -> String {
    folder
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// `0x02 0x01` (JEDEC eMMC 5.0, EXT_CSD 268 and 269): tenths of its life, the first being 1;
/// 0 is not told, 11 is more than all.
fn wear(device: &str, life: &str) -> Finding {
    let tenths = life.split_whitespace().filter_map(|word| {
        let digits = word.strip_prefix("0x").unwrap_or(word);
        u32::from_str_radix(digits, 16).ok()
    });
    let worst = tenths.max().unwrap_or(0);
    let check = format!("wear {device}");
    let remedy =
        "copy the configuration (doorstation support-bundle packs it), and put another card in";
    match worst {
        0 => Finding::ok(check, "not told by the card"),
        worst if worst > 10 => {
            Finding::failure(check, "more than its planned life is used", remedy)
        }
        worst if worst > WORN => Finding::warning(
            check,
            format!("up to {} % of its life is used", worst * 10),
            remedy,
        ),
        worst => Finding::ok(check, format!("up to {} % of its life is used", worst * 10)),
    }
}

/// Errors that the kernel found since the file system was last checked, and whether it
/// stopped writing because of them.
fn whole(device: &str, errors: u64, mounts: &str) -> Finding {
    let check = format!("file system {device}");
    let source = format!("/dev/{device} ");
    let stopped = errors > 0
        && mounts
            .lines()
            .filter(|line| line.starts_with(&source))
            .filter_map(|line| line.split_whitespace().nth(3))
            .any(|options| options.split(',').any(|option| option == "ro"));
    let remedy = format!(
        "the card may be dying: save what matters, then check it at the next start \
         (fsck.mode=force in the kernel's command line), journalctl -k | grep {device}"
    );
    match (errors, stopped) {
        (0, _) => Finding::ok(check, "no errors"),
        (errors, true) => Finding::failure(
            check,
            format!("{errors} errors, and nothing is written any more"),
            remedy,
        ),
        (errors, false) => Finding::failure(check, format!("{errors} errors"), remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Grade;

    #[test]
    fn a_card_says_how_worn_it_is() {
        let grade = |life| wear("mmcblk0", life).grade;
        assert_eq!(grade("0x01 0x02\n"), Grade::Ok);
        assert_eq!(grade("0x00 0x00\n"), Grade::Ok);
        assert_eq!(grade("0x01 0x0a\n"), Grade::Warning);
        let over = wear("mmcblk0", "0x0b 0x01\n");
        assert_eq!(over.grade, Grade::Failure);
        assert!(over.remedy.unwrap().contains("another card"));
    }

    #[test]
    fn a_file_system_with_errors_fails_and_says_whether_it_still_writes() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("sys/block/mmcblk0/device/life_time", "0x02 0x01\n");
        put("sys/fs/ext4/mmcblk0p1/errors_count", "0\n");
        put("sys/fs/ext4/mmcblk0p2/errors_count", "3\n");
        put("sys/fs/ext4/features/lazy", "");
        put(
            "proc/mounts",
            "/dev/mmcblk0p1 /boot ext4 rw 0 0\n/dev/mmcblk0p2 / ext4 ro,noatime 0 0\n",
        );
        let mut findings = Vec::new();
        examine(root.path(), &mut |finding| findings.push(finding));
        let seen: Vec<_> = findings
            .iter()
            .map(|finding| (finding.check.as_str(), finding.grade))
            .collect();
        assert_eq!(
            seen,
            [
                ("wear mmcblk0", Grade::Ok),
                ("file system mmcblk0p1", Grade::Ok),
                ("file system mmcblk0p2", Grade::Failure),
            ]
        );
        assert!(
            findings[2].seen.contains("nothing is written"),
            "{findings:?}"
        );
    }
}
