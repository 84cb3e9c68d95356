//! The part of a factory reset that the first program of an image does.

use std::fs;
use std::path::Path;
use std::process::Command;

/// `forget_owner` of `board/image/init`, to be run by a shell.
fn forget_owner() -> String {
    let init = Path::new(env!("CARGO_MANIFEST_DIR")).join("board/image/init");
    let init = fs::read_to_string(init).unwrap();
    let asked = "[ ! -e /root/data/factory-reset ] || forget_owner /root/data";
    let (before, after) = init.split_once(asked).expect("init asks for the file");
    assert!(
        before.contains("mount -t ext4"),
        "the data partition is mounted by then"
    );
    assert!(
        after.contains("/usr/lib/doorstation/keep"),
        "nothing of it is in use yet"
    );
    let begin = init.find("forget_owner() {").unwrap();
    let rest = &init[begin..];
    let end = rest.find("\n}\n").unwrap();
    rest[..end + 3].to_owned()
}

#[test]
fn the_next_start_leaves_nothing_on_the_data_partition() {
    assert_eq!(doorstation::reset::FLAG, "data/factory-reset");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    for file in [
        "factory-reset",
        "machine-id",
        "grown",
        ".hidden",
        "..odd",
        "keep/etc/doorstation/doorstation.toml",
        "keep/root/.ssh/authorized_keys",
        "slots/A",
        "update/bundle.part",
        "lost+found/#12",
        "a file with blanks/and * stars",
    ] {
        let path = data.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "of the owner").unwrap();
    }
    let script = format!(
        "say() {{ :; }}\nfstrim() {{ :; }}\n{}forget_owner \"$1\"\n",
        forget_owner()
    );
    // Twice: as after a loss of power.
    for _ in 0..2 {
        let ran = Command::new("sh")
            .args(["-c", &script, "sh"])
            .arg(data)
            .status()
            .unwrap();
        assert!(ran.success());
        let left: Vec<_> = fs::read_dir(data)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left, ["lost+found"]);
        assert_eq!(fs::read_dir(data.join("lost+found")).unwrap().count(), 0);
    }
}
