//! Mistakes in a configuration, and how they are told.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where in the file, in bytes; `None` means the file as a whole.
    pub(super) span: Option<Range<usize>>,
    /// The dotted name of the key, `gateway.listen`; empty for the file.
    pub key: String,
    /// What is wrong, as the end of a sentence that begins with the key.
    pub what: String,
    /// What to write instead, where that can be told.
    pub help: Option<String>,
    /// Line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// Column in characters, from 1; 0 for the file as a whole.
    pub column: usize,
    /// The station's first start cures it: before that it is no mistake.
    pub until_started: bool,
}

impl Fault {
    pub(super) fn new(span: Option<Range<usize>>, key: String, what: String) -> Self {
        Self {
            span,
            key,
            what,
            help: None,
            line: 0,
            column: 0,
            until_started: false,
        }
    }
}

/// Every mistake in one file, in the order of its lines.
///
/// `Display` prints one a line, as compilers do:
/// `doorstation.toml:7:1: call.rng: unknown key; did you mean 'ring'?`
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults {
    path: PathBuf,
    faults: Vec<Fault>,
}

impl Faults {
    /// The file cannot be used at all.
    pub(super) fn whole_file(path: &Path, what: String) -> Self {
        Self {
            path: path.to_owned(),
            faults: vec![Fault::new(None, String::new(), what)],
        }
    }

    /// Finds the lines of `faults` in `text` and sorts by them.
    pub(super) fn new(path: &Path, text: &str, mut faults: Vec<Fault>) -> Self {
        for fault in &mut faults {
            if let Some(span) = &fault.span {
                (fault.line, fault.column) = place(text, span.start);
            }
        }
        faults.sort_by_key(|fault| (fault.line, fault.column));
        Self {
            path: path.to_owned(),
            faults,
        }
    }

    /// The mistakes; at least one.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.faults.len()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.faults.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:", self.path.display())?;
            if fault.line > 0 {
                write!(f, "{}:{}:", fault.line, fault.column)?;
            }
            if !fault.key.is_empty() {
                write!(f, " {}:", fault.key)?;
            }
            write!(f, " {}", fault.what)?;
            if let Some(help) = &fault.help {
                write!(f, "; {help}")?;
            }
        }
        Ok(())
    }
}

/// Line and column, from 1, of a place in bytes.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[start..].chars().count() + 1)
}

/// The one of `known` that `written` was probably meant to be.
///
/// At most a third of the letters may differ: `bitrate` is not `listen`.
pub(super) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let written = written.to_lowercase();
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&written, word), word))
        .filter(|(distance, word)| *distance <= word.len().max(written.len()).div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_from_one_in_characters() {
        let text = "a = 1\nname = \"Tür\" x";
        assert_eq!(place(text, 0), (1, 1));
        assert_eq!(place(text, text.find('x').unwrap()), (2, 14));
        assert_eq!(place(text, 10_000), (2, 15));
    }

    #[test]
    fn the_nearest_word_is_named_only_if_it_is_near() {
        let known = ["ring", "ring_timeout_s", "max_call_s"];
        assert_eq!(nearest("rng", known), Some("ring"));
        assert_eq!(nearest("ring_timeout", known), Some("ring_timeout_s"));
        assert_eq!(nearest("Ring", known), Some("ring"));
        assert_eq!(nearest("bitrate", known), None);
    }
}
