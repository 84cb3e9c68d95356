//! What the documents point at is there.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::fs;
use std::path::{Path, PathBuf};

/// Every Markdown file of the project: its top folder's and those of `docs`.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in [root.to_owned(), root.join("docs")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The targets of the links and pictures of `text`: what stands in `](...)`.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0))
}

#[test]
fn links_lead_to_files_of_the_project() {
    let mut lost = Vec::new();
    let mut followed = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for target in targets(&text) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            if !document.with_file_name(file).exists() {
                lost.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(followed > 10, "only {followed} links were found");
    assert!(lost.is_empty(), "links to nothing:\n{}", lost.join("\n"));
}

#[test]
fn targets_are_what_markdown_takes_for_them() {
    let text = "see [a](docs/a.md#part), ![b](b.png) and [c][1] (not this)";
    assert_eq!(
        targets(text).collect::<Vec<_>>(),
        ["docs/a.md#part", "b.png"]
    );
}
