//! The texts of one configuration: the file, and over it those in `conf.d` beside it.
//!
//! Places are counted through all of them, as if they stood one behind the other, so
//! that the reader of the tables needs to know of one document only.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Faults};
use super::{LARGEST, text_of};

/// The folder beside the file.
const FOLDER: &str = "conf.d";
/// The most files that are read from it (our choice): more are a mistake of a program.
const MOST_FILES: usize = 64;

/// The texts, in the order in which they count: what comes later goes over it.
#[derive(Debug)]
pub(super) struct Sources(Vec<Source>);

#[derive(Debug)]
struct Source {
    path: PathBuf,
    text: String,
}

impl Sources {
    /// A text that stands alone.
    pub(super) fn one(path: &Path, text: &str) -> Self {
        Self(vec![Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }])
    }

    /// Reads the file at `path`, and what is in `conf.d` beside it; `help` is for people
    /// who have no such file.
    ///
    /// # Errors
    /// Every file that cannot be read, and what is too much.
    pub(super) fn read(path: &Path, help: &str) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let mut sources = Vec::new();
        let mut length = 0;
        let folder = path.parent().unwrap_or(Path::new("")).join(FOLDER);
        let others = names(&folder).map_err(|what| Faults::whole_file(&folder, what))?;
        let others = others.iter().map(|name| folder.join(name));
        for path in std::iter::once(path.to_owned()).chain(others) {
            match text_of(&path, help) {
                Ok(text) => {
                    length += text.len() as u64;
                    sources.push(Source { path, text });
                }
                Err(what) => faults.push(Fault::of_file(&path, what)),
            }
        }
        if length > LARGEST {
            let what = format!("is larger than {LARGEST} bytes with the files in {FOLDER}");
            faults.push(Fault::of_file(path, what));
        }
        match faults.is_empty() {
            true => Ok(Self(sources)),
            false => Err(Faults::of_files(faults)),
        }
    }

    /// The tables of all texts, each over those before it. Texts that are no TOML are
    /// told in `faults`, and nothing is given: what follows from half of them would only
    /// hide what is wrong.
    pub(super) fn document(&self, faults: &mut Vec<Fault>) -> Option<DeTable<'_>> {
        let mut document = DeTable::new();
        let mut broken = false;
        for (source, start) in self.with_starts() {
            let (table, errors) = DeTable::parse_recoverable(&source.text);
            broken |= !errors.is_empty();
            for error in errors {
                let what = format!("is not TOML: {}", error.message());
                let span = error.span().unwrap_or(0..0);
                let span = Some(moved(span, start));
                faults.push(Fault::new(span, "the file".to_owned(), what));
            }
            lay_over(&mut document, table_moved(table.into_inner(), start));
        }
        (!broken).then_some(document)
    }

    /// The file, line and column, from 1, of a place.
    pub(super) fn place(&self, at: usize) -> (&Path, usize, usize) {
        let Some((source, start)) = self.at(at) else {
            return (Path::new(""), 0, 0);
        };
        let before = source.text.get(..at - start).unwrap_or(&source.text);
        let line = before.matches('\n').count() + 1;
        let begin = before.rfind('\n').map_or(0, |newline| newline + 1);
        (&source.path, line, before[begin..].chars().count() + 1)
    }

    /// The first file: the one that was named.
    pub(super) fn main(&self) -> &Path {
        self.paths().next().unwrap_or(Path::new(""))
    }

    /// Every file, in the order in which they count.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|source| source.path.as_path())
    }

    /// What is written at `span`.
    pub(super) fn written(&self, span: Range<usize>) -> &str {
        self.at(span.start)
            .and_then(|(source, start)| source.text.get(span.start - start..span.end - start))
            .unwrap_or_default()
    }

    fn at(&self, at: usize) -> Option<(&Source, usize)> {
        self.with_starts()
            .take_while(|(_, start)| *start <= at)
            .last()
    }

    /// Each text with the place at which it begins. One lies between two, so that the end
    /// of a text is not the begin of the next.
    fn with_starts(&self) -> impl Iterator<Item = (&Source, usize)> {
        self.0.iter().scan(0, |next, source| {
            let start = *next;
            *next += source.text.len() + 1;
            Some((source, start))
        })
    }
}

/// The names of the files in `folder` that are read, in the order of their bytes.
fn names(folder: &Path) -> Result<Vec<OsString>, String> {
    let told = |error: std::io::Error| format!("cannot be read: {error}");
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(told(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(told)?.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.ends_with(b".toml") && !bytes.starts_with(b".") {
            names.push(name);
        }
    }
    if names.len() > MOST_FILES {
        let here = names.len();
        return Err(format!(
            "holds {here} files, at most {MOST_FILES} are read: make one of some"
        ));
    }
    names.sort();
    Ok(names)
}

/// Keys replace, tables merge, lists of tables add.
fn lay_over<'t>(under: &mut DeTable<'t>, over: DeTable<'t>) {
    for (key, value) in over {
        let span = value.span();
        let there = under.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut);
        match (there, value.into_inner()) {
            (Some(DeValue::Table(there)), DeValue::Table(more)) => lay_over(there, more),
            (Some(DeValue::Array(there)), DeValue::Array(more))
                if is_of_tables(there) && is_of_tables(&more) =>
            {
                more.into_iter().for_each(|item| there.push(item));
            }
            (_, value) => {
                // The key's place is that of the value that counts.
                under.remove(key.get_ref().as_ref());
                under.insert(key, Spanned::new(span, value));
            }
        }
    }
}

/// Whether these are tables, `[[gateway.user]]`.
pub(super) fn is_of_tables(items: &[Spanned<DeValue<'_>>]) -> bool {
    !items.is_empty() && items.iter().all(|item| item.get_ref().is_table())
}

fn moved(span: Range<usize>, by: usize) -> Range<usize> {
    span.start + by..span.end + by
}

fn table_moved(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    let entries = table.into_iter().map(|(key, value)| {
        let span = moved(key.span(), by);
        (Spanned::new(span, key.into_inner()), value_moved(value, by))
    });
    entries.collect()
}

fn value_moved(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = moved(value.span(), by);
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(table_moved(table, by)),
        DeValue::Array(items) => {
            let items = items.into_iter().map(|item| value_moved(item, by));
            DeValue::Array(items.collect())
        }
        other => other,
    };
    Spanned::new(span, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(texts: &[&str]) -> Sources {
        let texts = texts.iter().enumerate();
        let sources = texts.map(|(n, text)| Source {
            path: PathBuf::from(n.to_string()),
            text: (*text).to_owned(),
        });
        Sources(sources.collect())
    }

    #[test]
    fn places_count_from_one_in_characters_of_their_file() {
        let first = "a = 1\nname = \"Tür\" x";
        let sources = sources(&[first, "b\nc"]);
        let place = |at| {
            let (path, line, column) = sources.place(at);
            (path.to_str().unwrap().to_owned(), line, column)
        };
        assert_eq!(place(0), ("0".to_owned(), 1, 1));
        assert_eq!(place(first.find('x').unwrap()), ("0".to_owned(), 2, 14));
        assert_eq!(place(first.len()), ("0".to_owned(), 2, 15));
        assert_eq!(place(first.len() + 1), ("1".to_owned(), 1, 1));
        assert_eq!(place(first.len() + 3), ("1".to_owned(), 2, 1));
        assert_eq!(place(10_000), ("1".to_owned(), 2, 2));
    }

    #[test]
    fn keys_replace_tables_merge_and_lists_of_tables_add() {
        let sources = sources(&[
            "a = 1\nlist = [1, 2]\n[t]\nb = 1\nc = 1\n[[u]]\nn = 1\n",
            "list = [3]\n[t]\nc = 2\nd = 2\n[[u]]\nn = 2\n",
            "t.d = 3\nu = [{ n = 3 }]\n",
        ]);
        let mut faults = Vec::new();
        let document = sources.document(&mut faults).unwrap();
        let number = |value: &Spanned<DeValue<'_>>| sources.written(value.span()).to_owned();
        let of = |table: &DeTable<'_>, key: &str| number(table.get(key).unwrap());
        assert_eq!(of(&document, "a"), "1");
        assert_eq!(of(&document, "list"), "[3]");
        let table = document.get("t").unwrap().get_ref().as_table().unwrap();
        assert_eq!(["b", "c", "d"].map(|key| of(table, key)), ["1", "2", "3"]);
        let users = document.get("u").unwrap().get_ref().as_array().unwrap();
        let users = users
            .iter()
            .map(|user| of(user.get_ref().as_table().unwrap(), "n"));
        assert_eq!(users.collect::<Vec<_>>(), ["1", "2", "3"]);
    }
}
