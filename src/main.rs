//! The `doorstation` command.

fn main() {}
