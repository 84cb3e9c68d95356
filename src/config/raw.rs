//! The file as written: tables whose keys are taken one by one, each value with
//! its place.
//!
//! A [`Table`] remembers which keys were asked for; [`Table::finish`] reports the
//! ones that nobody wanted, with the nearest one that somebody did. Every mistake
//! is noted and reading goes on, so nothing here returns an error.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, nearest};
use super::people::Letters;
use super::sources::Sources;

/// What several tables note at once, on one thread.
struct Notes<'f> {
    faults: RefCell<&'f mut Vec<Fault>>,
    asked: RefCell<Vec<Asked>>,
}

/// A key that the reader asked for.
pub(super) struct Asked {
    /// With the tables above it: `gateway.user[0].name`.
    pub(super) key: String,
    pub(super) kind: Kind,
}

/// What the reader takes for a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Text,
    /// A text of these letters; who asks for it says what is wrong with another.
    Letters(Letters),
    /// A text of so many characters at most, not empty, without control characters.
    Line(usize),
    Boolean,
    /// A whole number, and what it is a multiple of.
    Number(RangeInclusive<u32>, u32),
    /// One of these words.
    Words(Vec<&'static str>),
    Texts,
    /// A list of texts of these letters.
    ListOf(Letters),
    Table,
    Tables,
    /// Nothing: it is asked for to say why it must not be there.
    Nothing,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
    pub(super) key: String,
}

impl<T> At<T> {
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> At<U> {
        At {
            value: f(self.value),
            span: self.span,
            key: self.key,
        }
    }
}

/// Parses the texts and lets `read` take what it wants; mistakes go to `faults`. Where
/// they are no TOML, nothing is read.
pub(super) fn with_document<T>(
    sources: &Sources,
    faults: &mut Vec<Fault>,
    read: impl FnOnce(&mut Table<'_, '_>) -> T,
) -> Option<T> {
    noted(sources, faults, read).map(|(read, _)| read)
}

/// Every key that `read` asks for, as far as the texts lead it to one.
pub(super) fn asked<T>(
    sources: &Sources,
    read: impl FnOnce(&mut Table<'_, '_>) -> T,
) -> Vec<Asked> {
    let noted = noted(sources, &mut Vec::new(), read);
    noted.map_or_else(Vec::new, |(_, asked)| asked)
}

fn noted<T>(
    sources: &Sources,
    faults: &mut Vec<Fault>,
    read: impl FnOnce(&mut Table<'_, '_>) -> T,
) -> Option<(T, Vec<Asked>)> {
    let document = sources.document(faults)?;
    let notes = Notes {
        faults: RefCell::new(faults),
        asked: RefCell::default(),
    };
    let read = read(&mut Table {
        table: Some(&document),
        span: None,
        path: String::new(),
        asked: Vec::new(),
        notes: &notes,
    });
    Some((read, notes.asked.into_inner()))
}

/// One table of the file; a table that is not there is an empty one.
pub(super) struct Table<'t, 'f> {
    table: Option<&'t DeTable<'t>>,
    /// `None` for the whole file and for a table that is not there.
    span: Option<Range<usize>>,
    path: String,
    asked: Vec<&'static str>,
    notes: &'t Notes<'f>,
}

impl<'t, 'f> Table<'t, 'f> {
    /// Whether the file holds this table.
    pub(super) fn is_there(&self) -> bool {
        self.table.is_some()
    }

    /// Whether this table holds `key`; asking this does not make it known.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<At<String>> {
        self.text_of(key, Kind::Text)
    }

    /// A text that shall be of these letters; the caller looks.
    pub(super) fn letters(&mut self, key: &'static str, letters: Letters) -> Option<At<String>> {
        self.text_of(key, Kind::Letters(letters))
    }

    /// A text on one line, 1 to `most` characters.
    pub(super) fn line(
        &mut self,
        key: &'static str,
        most: usize,
        otherwise: &str,
    ) -> Option<At<String>> {
        let line = self.text_of(key, Kind::Line(most))?;
        let length = line.value.chars().count();
        if !(1..=most).contains(&length) || line.value.contains(char::is_control) {
            self.note(&line, otherwise);
        }
        Some(line)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &'static str) -> Option<At<bool>> {
        self.typed(key, Kind::Boolean, "true or false", DeValue::as_bool)
    }

    /// A whole number within `range`, of `unit`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
        unit: &str,
    ) -> Option<At<u32>> {
        self.number_of(key, range, 1, unit)
    }

    /// An even whole number within `range`, of `unit`.
    pub(super) fn even_number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
        unit: &str,
    ) -> Option<At<u32>> {
        let number = self.number_of(key, range, 2, unit)?;
        if number.value % 2 == 1 {
            self.note(&number, format!("must be even, is {}", number.value));
        }
        Some(number)
    }

    fn number_of(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
        step: u32,
        unit: &str,
    ) -> Option<At<u32>> {
        let (least, most) = (*range.start(), *range.end());
        let kind = Kind::Number(range.clone(), step);
        let number = self.typed(key, kind, "a whole number", |value| {
            let integer = value.as_integer()?;
            i128::from_str_radix(integer.as_str(), integer.radix()).ok()
        })?;
        match u32::try_from(number.value) {
            Ok(value) if range.contains(&value) => Some(number.map(|_| value)),
            Ok(_) | Err(_) => {
                let what = format!("must be {least} to {most}{unit}, is {}", number.value);
                self.note(&number, what);
                None
            }
        }
    }

    /// One of some words; what each means stands beside it.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<At<T>> {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let written = self.text_of(key, Kind::Words(known.clone()))?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == written.value) {
            return Some(written.map(|_| *meaning));
        }
        let what = format!(
            "'{}' is not one of {}",
            short(&written.value),
            known.join(", ")
        );
        self.note_with(&written, what, nearest(&written.value, known).map(meant));
        None
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<At<String>>> {
        self.texts_of(key, Kind::Texts)
    }

    /// A list of texts that shall be of these letters; the caller looks.
    pub(super) fn list_of(
        &mut self,
        key: &'static str,
        letters: Letters,
    ) -> Option<Vec<At<String>>> {
        self.texts_of(key, Kind::ListOf(letters))
    }

    fn texts_of(&mut self, key: &'static str, kind: Kind) -> Option<Vec<At<String>>> {
        let list = self.take(key, kind)?;
        let Some(items) = list.value.as_array() else {
            self.note(&list, wrong_type(list.value, "a list of texts"));
            return None;
        };
        let mut texts = Vec::new();
        for (n, item) in items.iter().enumerate() {
            let at = At {
                value: item.get_ref(),
                span: item.span(),
                key: format!("{}[{n}]", list.key),
            };
            match at.value.as_str() {
                Some(text) => texts.push(at.clone().map(|_| text.to_owned())),
                None => self.note(&at, wrong_type(at.value, "a text in quotes")),
            }
        }
        Some(texts)
    }

    /// A table within this one.
    pub(super) fn table(&mut self, key: &'static str) -> Table<'t, 'f> {
        let found = self.take(key, Kind::Table);
        let table = found.as_ref().and_then(|at| {
            let table = at.value.as_table();
            if table.is_none() {
                self.note(at, wrong_type(at.value, &format!("a table, [{}]", at.key)));
            }
            table
        });
        let span = found.map(|at| at.span);
        self.within(table, span, self.name(key))
    }

    /// A list of tables within this one.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Table<'t, 'f>> {
        let Some(list) = self.take(key, Kind::Tables) else {
            return Vec::new();
        };
        let expected = format!("a list of tables, [[{}]]", list.key);
        let Some(items) = list.value.as_array() else {
            self.note(&list, wrong_type(list.value, &expected));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (n, item) in items.iter().enumerate() {
            let key = format!("{}[{n}]", list.key);
            match item.get_ref().as_table() {
                Some(table) => tables.push(self.within(Some(table), Some(item.span()), key)),
                None => {
                    let at = At {
                        value: (),
                        span: item.span(),
                        key,
                    };
                    self.note(&at, wrong_type(item.get_ref(), &expected));
                }
            }
        }
        tables
    }

    /// The place of a key that must not be here, if it is.
    pub(super) fn refused(&mut self, key: &'static str) -> Option<At<()>> {
        self.take(key, Kind::Nothing).map(|at| at.map(|_| ()))
    }

    /// Reports a key that must be there and is not, at the table's own place.
    pub(super) fn missing(&self, key: &str, help: &str) {
        let what = "is missing".to_owned();
        self.push(
            self.span.clone(),
            self.name(key),
            what,
            Some(help.to_owned()),
        );
    }

    /// Reports a mistake in the table as a whole.
    pub(super) fn whole(&self, what: &str, help: &str) {
        let help = Some(help.to_owned());
        self.push(self.span.clone(), self.path.clone(), what.to_owned(), help);
    }

    /// Reports a mistake in a value.
    pub(super) fn note<T>(&self, at: &At<T>, what: impl Into<String>) {
        self.note_with(at, what, None);
    }

    /// Reports a mistake in a value, and what to write instead.
    pub(super) fn note_with<T>(&self, at: &At<T>, what: impl Into<String>, help: Option<String>) {
        self.push(Some(at.span.clone()), at.key.clone(), what.into(), help);
    }

    /// Reports what the station's first start cures.
    pub(super) fn note_until_started<T>(&self, at: &At<T>, what: impl Into<String>) {
        let mut fault = Fault::new(Some(at.span.clone()), at.key.clone(), what.into());
        fault.until_started = true;
        self.notes.faults.borrow_mut().push(fault);
    }

    /// How many mistakes were noted so far, in the whole file.
    pub(super) fn noted(&self) -> usize {
        self.notes.faults.borrow().len()
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(&self) {
        let written = self.table.into_iter().flatten();
        for (key, _) in written {
            let name: &str = key.get_ref();
            if !self.asked.contains(&name) {
                let help = nearest(name, self.asked.iter().copied()).map(meant);
                let help = help.unwrap_or_else(|| format!("known here: {}", self.asked.join(", ")));
                let what = "is not a key of this version".to_owned();
                self.push(Some(key.span()), self.name(name), what, Some(help));
            }
        }
    }

    fn text_of(&mut self, key: &'static str, kind: Kind) -> Option<At<String>> {
        self.typed(key, kind, "a text in quotes", |value| {
            value.as_str().map(str::to_owned)
        })
    }

    fn typed<T>(
        &mut self,
        key: &'static str,
        kind: Kind,
        expected: &str,
        convert: impl FnOnce(&DeValue<'t>) -> Option<T>,
    ) -> Option<At<T>> {
        let at = self.take(key, kind)?;
        match convert(at.value) {
            Some(value) => Some(at.map(|_| value)),
            None => {
                self.note(&at, wrong_type(at.value, expected));
                None
            }
        }
    }

    fn take(&mut self, key: &'static str, kind: Kind) -> Option<At<&'t DeValue<'t>>> {
        self.asked.push(key);
        self.notes.asked.borrow_mut().push(Asked {
            key: self.name(key),
            kind,
        });
        let value: &'t Spanned<DeValue<'t>> = self.table?.get(key)?;
        Some(At {
            value: value.get_ref(),
            span: value.span(),
            key: self.name(key),
        })
    }

    fn within(
        &self,
        table: Option<&'t DeTable<'t>>,
        span: Option<Range<usize>>,
        path: String,
    ) -> Table<'t, 'f> {
        Table {
            table,
            span,
            path,
            asked: Vec::new(),
            notes: self.notes,
        }
    }

    fn name(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    fn push(&self, span: Option<Range<usize>>, key: String, what: String, help: Option<String>) {
        let mut fault = Fault::new(span, key, what);
        fault.help = help;
        self.notes.faults.borrow_mut().push(fault);
    }
}

/// `did you mean 'ring'?`
pub(super) fn meant(word: impl fmt::Display) -> String {
    format!("did you mean '{word}'?")
}

/// What was written, cut to what fits a sentence.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn wrong_type(value: &DeValue<'_>, expected: &str) -> String {
    format!("must be {expected}, is {}", article(value.type_str()))
}

fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}
