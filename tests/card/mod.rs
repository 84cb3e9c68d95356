//! A virtual sound card for one test.
//!
//! alsa-lib reads its configuration's place from the environment of the process, once:
//! such a test starts itself again with that variable set.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod rig;

use std::path::PathBuf;
use std::process::Command;

use doorstation::media::sound::virtual_card::VirtualCard;

/// Tells the inner run where its card is.
const INNER: &str = "DOORSTATION_TEST_CARD";

/// Runs `test`, which is called `name`, in a process of its own whose ALSA has the card
/// of the fresh directory that `test` is given.
pub(crate) fn with_card(name: &str, test: impl FnOnce(PathBuf)) {
    with_card_and(name, &[], test);
}

/// Like [`with_card`], with more variables in the environment of that process.
pub(crate) fn with_card_and(name: &str, more: &[(&str, &str)], test: impl FnOnce(PathBuf)) {
    if let Some(directory) = std::env::var_os(INNER) {
        return test(directory.into());
    }
    let directory = tempfile::tempdir().expect("a directory");
    // As in the state directory of a station.
    let card = directory.path().join("card");
    std::fs::create_dir(&card).expect("a directory");
    let (variable, value) = VirtualCard::environment(&card);
    let status = Command::new(std::env::current_exe().expect("this program"))
        .args([name, "--exact", "--include-ignored", "--nocapture"])
        .env(variable, value)
        .envs(more.iter().copied())
        .env(INNER, &card)
        .status()
        .expect("it runs again");
    assert!(status.success());
}

/// A runtime of several threads runs `test` to its end.
pub(crate) fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test);
}
