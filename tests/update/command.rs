//! The commands where there is no image, and where nobody is there to ask.

use std::process::{Command, Output, Stdio};

fn doorstation(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_doorstation"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_door_that_is_a_package_says_how_it_is_updated() {
    for arguments in [
        &["update", "status"][..],
        &["update", "check", "/nothing.raucb"],
        &["update", "install", "/nothing.raucb"],
        &["update", "rollback"],
    ] {
        let output = doorstation(arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(errors(&output).contains("update it with apt"), "{output:?}");
        let output = doorstation(&[arguments, &["--json"]].concat());
        let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&line["ok"], &line["code"]),
            (&false.into(), &"package".into())
        );
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn a_bundle_has_to_be_named_once() {
    for arguments in [
        &["update", "check"][..],
        &["update", "install", "--usb", "file.raucb"],
    ] {
        let output = doorstation(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

#[test]
fn nobody_resets_the_door_unasked() {
    let output = doorstation(&["factory-reset"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let words = errors(&output);
    let asked = words.contains("nobody is there to ask");
    assert!(asked || words.contains("only root"), "{words}");
}
