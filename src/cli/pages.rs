//! What a package installs besides the program: shell completions and man pages.

use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Arguments;

/// The completions for `shell`.
pub(super) fn completions(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "doorstation", &mut text);
    text
}

/// The main man page.
pub(super) fn man() -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(Arguments::command()).render(&mut text)?;
    Ok(text)
}

/// A page for each command, into `folder`.
pub(super) fn man_to(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Arguments::command(), folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_shell_completes_and_every_command_has_a_page() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = String::from_utf8(completions(shell)).unwrap();
            assert!(text.contains("status"), "{shell}");
        }
        assert!(String::from_utf8(man().unwrap()).unwrap().contains(".TH"));
        let folder = tempfile::tempdir().unwrap();
        man_to(folder.path()).unwrap();
        for page in [
            "doorstation.1",
            "doorstation-status.1",
            "doorstation-call.1",
        ] {
            assert!(folder.path().join(page).exists(), "{page}");
        }
    }
}
