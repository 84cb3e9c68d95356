//! Mistakes in a configuration, and how they are told.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::sources::Sources;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where in the texts, in bytes; `None` means the file as a whole.
    pub(super) span: Option<Range<usize>>,
    /// In which file: the configuration's own, or one of `conf.d`.
    pub file: PathBuf,
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
            file: PathBuf::new(),
            key,
            what,
            help: None,
            line: 0,
            column: 0,
            until_started: false,
        }
    }

    /// The file at `path` cannot be used at all.
    pub(super) fn of_file(path: &Path, what: String) -> Self {
        Self {
            file: path.to_owned(),
            ..Self::new(None, String::new(), what)
        }
    }
}

/// Every mistake in a configuration, in the order of its files and lines.
///
/// `Display` prints one a line, as compilers do:
/// `doorstation.toml:7:1: call.rng: unknown key; did you mean 'ring'?`
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// The file cannot be used at all.
    pub(super) fn whole_file(path: &Path, what: String) -> Self {
        Self(vec![Fault::of_file(path, what)])
    }

    /// Faults of files that cannot be used at all.
    pub(super) fn of_files(faults: Vec<Fault>) -> Self {
        Self(faults)
    }

    /// Finds the lines of `faults` in `sources` and sorts by them.
    pub(super) fn new(sources: &Sources, mut faults: Vec<Fault>) -> Self {
        for fault in &mut faults {
            (fault.file, fault.line, fault.column) = match &fault.span {
                Some(span) => {
                    let (path, line, column) = sources.place(span.start);
                    (path.to_owned(), line, column)
                }
                None => (sources.main().to_owned(), 0, 0),
            };
        }
        faults.sort_by_key(|fault| fault.span.as_ref().map(|span| span.start));
        Self(faults)
    }

    /// The mistakes; at least one.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.what)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
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
    fn the_nearest_word_is_named_only_if_it_is_near() {
        let known = ["ring", "ring_timeout_s", "max_call_s"];
        assert_eq!(nearest("rng", known), Some("ring"));
        assert_eq!(nearest("ring_timeout", known), Some("ring_timeout_s"));
        assert_eq!(nearest("Ring", known), Some("ring"));
        assert_eq!(nearest("bitrate", known), None);
    }
}
