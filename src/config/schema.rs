//! What a file may hold, as JSON Schema (2020-12), for editors and programs.
//!
//! The reader itself is asked: it reads a file with every setting there is, and notes
//! which keys it looks for and what it takes for them. What they mean is taken from the
//! tables of `docs/configuration.md`. So a schema that differs from the reader or from the
//! documentation cannot be.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::raw::{self, Kind};
use super::sources::Sources;
use super::{Surroundings, all_switched_on, read};

/// What the keys mean.
const DOCUMENTATION: &str = include_str!("../../docs/configuration.md");

/// The schema of a whole file. A piece of `conf.d` fits it as well.
pub fn schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The configuration of a door station",
        "type": "object",
        "additionalProperties": false,
        "properties": {}
    });
    for (key, kind) in keys() {
        let (path, name) = key.rsplit_once('.').unwrap_or(("", &key));
        if let Some(known) = at(&mut schema, path).and_then(properties) {
            let known = known.entry(name).or_insert_with(|| node(&kind));
            widen(known, &kind);
        }
    }
    for described in descriptions(DOCUMENTATION) {
        described.apply(&mut schema);
    }
    schema
}

/// Every key that the reader knows, `gateway.user.name`, and what it takes for it.
fn keys() -> Vec<(String, Kind)> {
    let whole = all_switched_on();
    // The other board has no lines of its own, and more of them are possible.
    let others = whole.replace("board = \"pi4\"", "board = \"generic\"");
    // Nothing is there: no secret of this machine is read.
    let around = Surroundings {
        directory: PathBuf::from("/dev/null"),
        credentials: None,
        runtime: None,
        machine: None,
    };
    let asked = [whole, others].into_iter().flat_map(|text| {
        let sources = Sources::one(Path::new("doorstation.toml"), &text);
        raw::asked(&sources, |file| read::document(file, &around))
    });
    let known = asked.filter(|asked| asked.kind != Kind::Nothing);
    known
        .map(|asked| (unnumbered(&asked.key), asked.kind))
        .collect()
}

/// `gateway.user[0].name` as `gateway.user.name`.
fn unnumbered(key: &str) -> String {
    let parts = key.split('.');
    let parts: Vec<_> = parts
        .map(|part| part.split('[').next().unwrap_or(part))
        .collect();
    parts.join(".")
}

fn node(kind: &Kind) -> Value {
    match kind {
        Kind::Text | Kind::Nothing => json!({ "type": "string" }),
        Kind::Letters(letters) => json!({ "type": "string", "pattern": letters.pattern() }),
        Kind::Line(most) => json!({
            "type": "string", "minLength": 1, "maxLength": most, "pattern": "^\\P{Cc}*$"
        }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Number(range, step) => {
            let mut number = json!({
                "type": "integer", "minimum": range.start(), "maximum": range.end()
            });
            if *step > 1 {
                number["multipleOf"] = json!(step);
            }
            number
        }
        Kind::Words(words) => json!({ "type": "string", "enum": words }),
        Kind::Texts => json!({ "type": "array", "items": node(&Kind::Text) }),
        Kind::ListOf(letters) => {
            json!({ "type": "array", "items": node(&Kind::Letters(*letters)) })
        }
        Kind::Table => json!({
            "type": "object", "additionalProperties": false, "properties": {}
        }),
        Kind::Tables => json!({ "type": "array", "items": node(&Kind::Table) }),
    }
}

/// A key that is asked for again takes what it takes there, too.
fn widen(known: &mut Value, kind: &Kind) {
    if let Kind::Number(range, _) = kind {
        let (least, most) = (known["minimum"].as_u64(), known["maximum"].as_u64());
        known["minimum"] = json!(least.map_or(*range.start(), |least| {
            (*range.start()).min(u32::try_from(least).unwrap_or(u32::MAX))
        }));
        known["maximum"] = json!(most.map_or(*range.end(), |most| {
            (*range.end()).max(u32::try_from(most).unwrap_or(u32::MAX))
        }));
    }
}

/// The table at `path`; of a list, the one that its items are.
fn at<'s>(schema: &'s mut Value, path: &str) -> Option<&'s mut Value> {
    let mut names = path.split('.').filter(|name| !name.is_empty());
    names.try_fold(schema, |table, name| {
        let found = properties(table)?.get_mut(name)?;
        match found.get("items").is_some() {
            true => found.get_mut("items"),
            false => Some(found),
        }
    })
}

fn properties(table: &mut Value) -> Option<&mut Map<String, Value>> {
    table.get_mut("properties")?.as_object_mut()
}

/// A row of a table of the documentation.
#[derive(Debug, PartialEq)]
struct Described<'d> {
    /// The tables of the file that it is about; the last part may be `NAME`, for any.
    tables: Vec<&'d str>,
    keys: Vec<&'d str>,
    default: &'d str,
    meaning: String,
}

/// The rows below headings that name tables: `| key | default | meaning |`.
fn descriptions(text: &str) -> Vec<Described<'_>> {
    let mut described = Vec::new();
    let mut tables = Vec::new();
    for line in text.lines() {
        if line.starts_with('#') {
            tables = quoted(line).filter_map(table_name).collect();
        }
        let row = line
            .strip_prefix("| `")
            .map(|_| line.trim_matches(['|', ' ']));
        let cells: Vec<_> = row.into_iter().flat_map(|row| row.split(" | ")).collect();
        let [key, default, meaning] = cells.as_slice() else {
            continue;
        };
        // `[panel.night]` before its keys.
        let own: Vec<_> = quoted(key).filter_map(table_name).collect();
        described.push(Described {
            tables: if own.is_empty() { tables.clone() } else { own },
            keys: quoted(key).filter(|key| !key.starts_with('[')).collect(),
            default,
            meaning: without_links(meaning),
        });
    }
    described
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// `gateway.user` of `[[gateway.user]]`.
fn table_name(quoted: &str) -> Option<&str> {
    let name = quoted.strip_prefix('[')?.strip_suffix(']')?;
    Some(name.trim_matches(['[', ']']))
}

/// `[text](target)` as `text`.
fn without_links(text: &str) -> String {
    let mut parts = text.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |before, after| {
        let (from, to) = before.rsplit_once('[').unwrap_or(("", &before));
        let rest = after.split_once(')').map_or("", |(_, rest)| rest);
        format!("{from}{to}{rest}")
    })
}

impl Described<'_> {
    fn apply(&self, schema: &mut Value) {
        for table in &self.tables {
            for path in named(schema, table) {
                let Some(table) = at(schema, &path) else {
                    continue;
                };
                for key in &self.keys {
                    let known = properties(table).and_then(|known| known.get_mut(*key));
                    let Some(known) = known else { continue };
                    known["description"] = match self.default {
                        "required" => json!(self.meaning),
                        some if some.contains("required") => {
                            json!(format!("{}; {some}", self.meaning))
                        }
                        default => json!(format!("{}; default: {default}", self.meaning)),
                    };
                    if self.default == "required" {
                        let required = table.get("required").and_then(Value::as_array);
                        let mut required = required.cloned().unwrap_or_default();
                        required.push(json!(key));
                        table["required"] = Value::Array(required);
                    }
                }
            }
        }
    }
}

/// The tables that are meant: one, or with `NAME` each of its neighbours.
fn named(schema: &mut Value, table: &str) -> Vec<String> {
    let Some(parent) = table.strip_suffix(".NAME") else {
        return vec![table.to_owned()];
    };
    let known = at(schema, parent).and_then(properties);
    let names = known.into_iter().flat_map(|known| known.keys());
    names.map(|name| format!("{parent}.{name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key of the schema that holds a value: its path, and the schema of it.
    fn leaves(table: &Value, path: &str, found: &mut Vec<(String, Value)>) {
        for (name, node) in table["properties"].as_object().unwrap() {
            let path = format!("{path}{name}");
            let below = node.get("items").unwrap_or(node);
            match below.get("properties") {
                Some(_) => leaves(below, &format!("{path}."), found),
                None => found.push((path, node.clone())),
            }
        }
    }

    #[test]
    fn every_key_is_documented_and_has_a_place_in_the_default() {
        let mut keys = Vec::new();
        leaves(&schema(), "", &mut keys);
        assert!(keys.len() > 100, "{}", keys.len());
        let default = all_switched_on();
        for (key, node) in keys {
            assert!(
                node["description"].is_string(),
                "docs/configuration.md: {key}"
            );
            let name = key.rsplit('.').next().unwrap();
            let there = default
                .lines()
                .any(|line| line.starts_with(&format!("{name} = ")));
            assert!(there, "package/doorstation.toml: {key}");
        }
    }

    #[test]
    fn every_documented_key_is_known() {
        let mut schema = schema();
        let described = descriptions(DOCUMENTATION);
        assert!(described.len() > 60, "{}", described.len());
        for row in described {
            assert!(!row.tables.is_empty(), "{row:?} is below no table");
            for key in &row.keys {
                let tables: Vec<_> = row
                    .tables
                    .iter()
                    .flat_map(|table| named(&mut schema, table))
                    .collect();
                let known = tables.iter().any(|path| {
                    let known = at(&mut schema, path).and_then(properties);
                    known.is_some_and(|known| known.contains_key(*key))
                });
                assert!(known, "{key} of {:?} is documented, and no key", row.tables);
            }
        }
    }

    #[test]
    fn lists_of_tables_have_no_part_that_the_default_leaves_out() {
        fn check(table: &Value, path: &str) {
            for (name, node) in table["properties"].as_object().unwrap() {
                let below = node.get("items").unwrap_or(node);
                if let Some(properties) = below["properties"].as_object() {
                    assert!(!properties.is_empty(), "{path}{name} is empty");
                    check(below, &format!("{path}{name}."));
                }
            }
        }
        check(&schema(), "");
    }

    #[test]
    fn links_are_their_words() {
        assert_eq!(
            without_links("see [a](#b), [c `d`](e.md) too"),
            "see a, c `d` too"
        );
        assert_eq!(without_links("no link [x] (y)"), "no link [x] (y)");
    }
}
