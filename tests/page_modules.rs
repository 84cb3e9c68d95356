//! Runs the checks of the indoor page's modules (`tests/page/checks.js`) in Chromium.
//!
//! They need no station, no server and no driver: the browser opens the file and
//! prints the document that the checks leave behind.

use std::path::Path;
use std::process::{Command, Stdio};

/// Names under which the browser is installed, the lightest one first.
const BROWSERS: [&str; 4] = [
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
];

#[test]
fn every_check_of_the_page_passes() {
    let Some(browser) = BROWSERS.into_iter().find(|name| installed(name)) else {
        eprintln!("skipped: no Chromium (apt install chromium)");
        return;
    };
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/checks.html");
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        // Modules of one directory may import each other.
        .arg("--allow-file-access-from-files")
        // Milliseconds of the page's own time; the stories wait for about three hours.
        .args(["--virtual-time-budget=100000000", "--dump-dom"])
        .arg(format!("file://{}", page.display()))
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("data-result=\"passed\""), "{report}");
    assert!(
        !report.contains("data-stray"),
        "a promise was left alone: {report}"
    );
}

fn installed(browser: &str) -> bool {
    let mut version = Command::new(browser);
    version
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}
