//! A configuration to show to strangers: what counts of its files, without what is secret
//! in it.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Faults;
use super::sources::{Sources, is_of_tables};

/// What stands where a secret stood.
const HIDDEN: &str = "\"(hidden)\"";

/// Parts of the names of keys whose values nobody else shall see, mistyped ones too
/// (`pasword`). Names of files are shown: what is in them stays in them.
const SECRET: [&str; 6] = ["pas", "pw", "secret", "token", "hash", "code"];

/// The configuration at `path` with the pieces in `conf.d` beside it, without its secrets
/// and without its comments, which may hold some. What a piece says has the piece's name
/// behind it.
///
/// # Errors
/// A file cannot be read, or is no TOML, in which nobody can tell what is secret.
pub fn redacted(path: &Path) -> Result<String, Faults> {
    without_secrets(&Sources::read(path, "--config FILE names it")?)
}

fn without_secrets(sources: &Sources) -> Result<String, Faults> {
    // What the parser says may quote the line.
    let document = sources.document(&mut Vec::new()).ok_or_else(|| {
        let what = "is not TOML, or a piece in conf.d is not: config check says where";
        Faults::whole_file(sources.main(), what.to_owned())
    })?;
    let mut shown = Shown {
        sources,
        text: String::new(),
    };
    shown.table("", &document);
    Ok(shown.text)
}

struct Shown<'s> {
    sources: &'s Sources,
    text: String,
}

impl Shown<'_> {
    /// Values first, then what has a heading of its own.
    fn table(&mut self, path: &str, table: &DeTable<'_>) {
        let has_heading = |key: &str, value: &DeValue<'_>| {
            !is_secret(key)
                && match value {
                    DeValue::Table(_) => true,
                    DeValue::Array(items) => is_of_tables(items),
                    _ => false,
                }
        };
        for (key, value) in table {
            let name = key.get_ref();
            if !has_heading(name, value.get_ref()) {
                let shown = self.value(name, value);
                let line = format!("{} = {shown}", bare(name));
                self.line(&line, value.span());
            }
        }
        for (key, value) in table {
            let name = key.get_ref();
            let within = match path {
                "" => bare(name),
                path => format!("{path}.{}", bare(name)),
            };
            match value.get_ref() {
                other if !has_heading(name, other) => {}
                DeValue::Table(table) => {
                    self.line(&format!("\n[{within}]"), value.span());
                    self.table(&within, table);
                }
                DeValue::Array(items) => {
                    for item in items.iter() {
                        self.line(&format!("\n[[{within}]]"), item.span());
                        if let DeValue::Table(table) = item.get_ref() {
                            self.table(&within, table);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn value(&self, key: &str, value: &Spanned<DeValue<'_>>) -> String {
        match value.get_ref() {
            _ if is_secret(key) => HIDDEN.to_owned(),
            DeValue::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| self.value(key, item)).collect();
                format!("[{}]", items.join(", "))
            }
            DeValue::Table(table) => {
                let entries = table.iter().map(|(key, value)| {
                    let key = key.get_ref();
                    format!("{} = {}", bare(key), self.value(key, value))
                });
                format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
            }
            DeValue::String(text) if has_login(text) => HIDDEN.to_owned(),
            _ => self.sources.written(value.span()).to_owned(),
        }
    }

    /// A line, and behind it the piece that it comes from.
    fn line(&mut self, line: &str, span: Range<usize>) {
        self.text += line;
        let (path, ..) = self.sources.place(span.start);
        if let Some(piece) = path.file_name().filter(|_| path != self.sources.main()) {
            // Writing to a text does not fail.
            let _ = write!(self.text, "  # conf.d/{}", piece.display());
        }
        self.text.push('\n');
    }
}

/// A key as TOML has it: in quotes where it needs them.
fn bare(key: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    match !key.is_empty() && key.chars().all(fits) {
        true => key.to_owned(),
        false => toml::Value::String(key.to_owned()).to_string(),
    }
}

fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    !key.ends_with("_file") && SECRET.iter().any(|part| key.contains(part))
}

/// `https://user:password@host`.
fn has_login(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, rest)| {
        rest.split('/')
            .next()
            .is_some_and(|host| host.contains('@'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, Faults> {
        without_secrets(&Sources::one(Path::new("x.toml"), text))
    }

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let shown = shown(
            "# the old one was hunter1\n\
             [gateway]\nlisten = \"0.0.0.0:8443\"\n\
             [[gateway.user]]\nname = \"alice\"\npassword_hash = \"hunter2\"\n\
             [[gateway.user]]\nname = \"bob\"\nPasword = \"hunter3\"\npassword_file = \"bob.password\"\n\
             [[account]]\nrest = \"https://me:hunter4@kandy.example.org/rest\"\n\
             websocket = \"wss://kandy.example.org\"\n\
             [door]\ncode = 4711\ncodes = [\"hunter5\"]\npassword = { now = \"hunter6\" }\n\
             \"pass word\".x = \"hunter7\"\nring = [\n  'a', # hunter8\n  0x1F ]\n",
        )
        .unwrap();
        for secret in ["hunter", "4711"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        for kept in [
            "0.0.0.0:8443",
            "alice",
            "bob.password",
            "wss://kandy.example.org",
            "ring = ['a', 0x1F]\n",
            HIDDEN,
        ] {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
        toml::from_str::<toml::Table>(&shown).unwrap();
    }

    #[test]
    fn what_is_shown_means_the_same() {
        let text = "a = 1\n\"b c\" = [[1, 2], [{ d = 'e' }]]\n[f]\n[g.h]\ni = 1.5\n\
                    [[j]]\nk = 1979-05-27\n[[j.l]]\nm = '''n\no'''\n[[j]]\n";
        let shown = shown(text).unwrap();
        let table = |text: &str| toml::from_str::<toml::Table>(text).unwrap();
        assert_eq!(table(&shown), table(text), "{shown}");
    }

    #[test]
    fn what_is_no_toml_is_not_shown_at_all() {
        let error = shown("password = hunter2 hunter3").unwrap_err();
        assert!(!error.to_string().contains("hunter"), "{error}");
    }
}
