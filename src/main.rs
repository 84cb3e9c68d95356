//! The `doorstation` command; [`doorstation::cli`] is all of it.

use std::process::ExitCode;

fn main() -> ExitCode {
    doorstation::cli::run()
}
