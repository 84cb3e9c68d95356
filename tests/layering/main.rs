//! The direction of dependencies, held by reading the sources.
//!
//! `main -> app -> station -> adapters -> call`; adapters never know each other,
//! and each foreign crate has one place ([`rules`]). Code in tests may know more,
//! and is not looked at.
//!
//! When this test fails, move the code to where it belongs, or change a rule and
//! say why beside it.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod rules;
mod scan;

use std::fs;
use std::path::Path;

use scan::Source;

#[test]
fn every_arrow_points_the_right_way() {
    let sources = read_all();
    let faults = rules::check(&sources);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_module_of_the_crate_is_looked_at() {
    let sources = read_all();
    for module in ["call", "config", "panel::sim", "report::json", "wire"] {
        let path: Vec<_> = module.split("::").collect();
        let found = sources.iter().any(|source| source.module == path);
        assert!(found, "{module} was not read");
    }
}

fn read_all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), root, &mut files);
    files.sort();
    scan::sources(&files)
}

fn collect(directory: &Path, root: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, root, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}
