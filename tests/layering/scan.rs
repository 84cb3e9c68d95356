//! Rust source as a list of paths that it names, with their lines.
//!
//! This is a tokeniser, not a parser: it knows comments, literals, `use` trees and
//! where test modules begin and end, and that is enough.

use std::collections::BTreeSet;

/// One file of the crate.
pub(crate) struct Source {
    /// `src/panel/sim.rs`
    pub(crate) file: String,
    /// `["panel", "sim"]`; empty for `lib.rs`, `["main"]` for `main.rs`.
    pub(crate) module: Vec<String>,
    /// Every path that is named outside of tests.
    pub(crate) paths: Vec<Named>,
    /// Every macro that is called outside of tests.
    pub(crate) macros: Vec<(usize, String)>,
    /// Lines of the file, tests in it included.
    pub(crate) lines: usize,
}

/// A path, resolved as far as its first segment tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    /// `["crate", "call", "View"]` for our own, `["tokio", "sync"]` for others.
    pub(crate) path: Vec<String>,
    /// It stands in a `use` item or begins with `::`.
    pub(crate) imported: bool,
}

/// Scans the files given as name and text; modules that exist for tests only are
/// left out.
pub(crate) fn sources(files: &[(String, String)]) -> Vec<Source> {
    let mut for_tests = BTreeSet::new();
    let mut sources = Vec::new();
    for (file, text) in files {
        let module = module_of(file);
        let (tokens, test_modules) = without_tests(tokens(text));
        for name in test_modules {
            for_tests.insert([module.clone(), vec![name]].concat());
        }
        let mut source = Source {
            file: file.clone(),
            paths: Vec::new(),
            macros: Vec::new(),
            lines: text.lines().count(),
            module,
        };
        read(&tokens, &mut source);
        sources.push(source);
    }
    sources.retain(|source| {
        let within = |test: &Vec<String>| source.module.starts_with(test);
        !for_tests.iter().any(within)
    });
    sources
}

fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let mut module: Vec<_> = path.split('/').map(str::to_owned).collect();
    if module
        .last()
        .is_some_and(|last| last == "mod" || last == "lib")
    {
        module.pop();
    }
    module
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    line: usize,
    text: String,
}

impl Token {
    fn is_name(&self) -> bool {
        self.text
            .starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// Names, `::` and single other characters; no comments, literals and numbers.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let (mut at, mut line, mut tokens) = (0, 1, Vec::new());
    let peek = |at: usize| chars.get(at).copied().unwrap_or('\0');
    while at < chars.len() {
        let start = at;
        let c = chars[at];
        if c == '/' && peek(at + 1) == '/' {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if c == '/' && peek(at + 1) == '*' {
            at = end_of_comment(&chars, at);
        } else if let Some(end) = end_of_literal(&chars, at) {
            at = end;
        } else if c.is_alphanumeric() || c == '_' {
            while peek(at).is_alphanumeric() || peek(at) == '_' {
                at += 1;
            }
            let text = chars[start..at].iter().collect();
            tokens.push(Token { line, text });
        } else if c == ':' && peek(at + 1) == ':' {
            at += 2;
            tokens.push(Token {
                line,
                text: "::".into(),
            });
        } else {
            at += 1;
            if !c.is_whitespace() {
                tokens.push(Token {
                    line,
                    text: c.into(),
                });
            }
        }
        line += chars[start..at].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

fn end_of_comment(chars: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0usize);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The end of a string or character that begins at `at`, if one does.
fn end_of_literal(chars: &[char], at: usize) -> Option<usize> {
    let before = at.checked_sub(1).map(|before| chars[before]);
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let mut quote = at;
    while quote < at + 2 && matches!(chars.get(quote), Some('b' | 'c' | 'r')) {
        quote += 1;
    }
    let raw = chars[at..quote].contains(&'r');
    let hashes = chars[quote..].iter().take_while(|c| **c == '#').count();
    match chars.get(quote + if raw { hashes } else { 0 }) {
        Some('"') if raw => {
            let end: Vec<char> = std::iter::once('"')
                .chain(std::iter::repeat_n('#', hashes))
                .collect();
            let from = quote + hashes + 1;
            let length = chars[from..].windows(end.len()).position(|w| w == end)?;
            Some(from + length + end.len())
        }
        Some('"') => {
            let mut end = quote + 1;
            while *chars.get(end)? != '"' {
                end += if chars[end] == '\\' { 2 } else { 1 };
            }
            Some(end + 1)
        }
        // A character; a lifetime has no second quote.
        Some('\'') if chars.get(quote + 1) == Some(&'\\') => {
            let rest = chars.get(quote + 3..)?;
            Some(quote + 4 + rest.iter().position(|c| *c == '\'')?)
        }
        Some('\'') if chars.get(quote + 2) == Some(&'\'') => Some(quote + 3),
        _ => None,
    }
}

/// Cuts out `#[cfg(test)] mod x { .. }`, and names each `#[cfg(test)] mod x;`.
fn without_tests(tokens: Vec<Token>) -> (Vec<Token>, Vec<String>) {
    let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut names, mut at) = (Vec::new(), Vec::new(), 0);
    while at < tokens.len() {
        let text = |n: usize| tokens.get(at + n).map_or("", |token| token.text.as_str());
        let is_test = attribute
            .iter()
            .enumerate()
            .all(|(n, want)| text(n) == *want);
        let mut next = attribute.len();
        if is_test && text(next) == "pub" {
            next += 1;
        }
        // `(crate)`
        if is_test && text(next) == "(" {
            next += 3;
        }
        if !is_test || text(next) != "mod" {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        if text(next + 2) == ";" {
            names.push(text(next + 1).to_owned());
            at += next + 3;
        } else {
            at = end_of_block(&tokens, at + next + 2);
        }
    }
    (kept, names)
}

fn end_of_block(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" if depth <= 1 => return at + 1,
            "}" => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

fn read(tokens: &[Token], source: &mut Source) {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let (mut at, mut in_use) = (0, false);
    while at < tokens.len() {
        let token = &tokens[at];
        match token.text.as_str() {
            "use" => in_use = true,
            ";" => in_use = false,
            _ => {}
        }
        let rooted = text(at) == "::" && at.checked_sub(1).is_none_or(|n| !tokens[n].is_name());
        if token.is_name() && text(at + 1) == "!" && text(at + 2) != "=" {
            source.macros.push((token.line, token.text.clone()));
        }
        let begins = token.is_name() && text(at + 1) == "::";
        if !begins && !rooted {
            at += 1;
            continue;
        }
        let mut found = Vec::new();
        at = tree(tokens, at + usize::from(rooted), &[], &mut found);
        for (line, path) in found {
            source.paths.push(Named {
                line,
                path: resolve(&path, &source.module),
                imported: in_use || rooted,
            });
        }
    }
}

/// Reads one path or `use` tree at `at`; returns where it ends.
fn tree(
    tokens: &[Token],
    mut at: usize,
    before: &[String],
    found: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut path = before.to_vec();
    let line = tokens.get(at).map_or(0, |token| token.line);
    loop {
        if text(at) == "{" {
            at += 1;
            while at < tokens.len() && text(at) != "}" {
                let start = at;
                at = tree(tokens, at, &path, found);
                if text(at) == "as" {
                    at += 2;
                }
                if text(at) == "," || at == start {
                    at += 1;
                }
            }
            return at + 1;
        }
        if !tokens
            .get(at)
            .is_some_and(|token| token.is_name() || token.text == "*")
        {
            break;
        }
        path.push(text(at).to_owned());
        at += 1;
        if text(at) != "::" {
            break;
        }
        at += 1;
    }
    found.push((line, path));
    at
}

/// `super::x` and `self::x` from the crate's root; `doorstation::x` is `crate::x`.
fn resolve(path: &[String], module: &[String]) -> Vec<String> {
    let ours = |rest: &[String], base: &[String]| {
        let root = ["crate".to_owned()];
        [&root[..], base, rest].concat()
    };
    match path.first().map(String::as_str) {
        Some("crate" | "doorstation") => ours(&path[1..], &[]),
        Some("self") => ours(&path[1..], module),
        Some("super") => {
            let ups = path
                .iter()
                .take_while(|segment| *segment == "super")
                .count();
            let base = module.len().saturating_sub(ups);
            ours(&path[ups..], &module[..base])
        }
        _ => path.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_trees_are_taken_apart() {
        let text = "use crate::{call::{View, State as S}, media};\nuse super::super::x::*;";
        assert_eq!(
            paths("src/a/b.rs", text),
            [
                "1 crate::call::View",
                "1 crate::call::State",
                "1 crate::media",
                "2 crate::x::*"
            ]
        );
    }

    #[test]
    fn paths_in_code_count_and_those_in_comments_and_literals_do_not() {
        let text = r##"
            // use webrtc::a;
            /* webrtc::b /* webrtc::c */ */
            const A: &str = "webrtc::d \" webrtc::e";
            const B: &str = r#"webrtc::f " webrtc::g"#;
            const C: char = '"';
            fn f<'a>(x: &'a str) -> webrtc::H { ::alsa::pcm::PCM::new() }
        "##;
        assert_eq!(
            paths("src/a.rs", text),
            ["7 webrtc::H", "7 alsa::pcm::PCM::new"]
        );
    }

    #[test]
    fn tests_are_left_out_and_what_follows_them_is_not() {
        let text = "#[cfg(test)]\nmod tests {\n use webrtc::a; fn f() { {} }\n}\nuse alsa::b;";
        assert_eq!(paths("src/a.rs", text), ["5 alsa::b"]);
        let files = [
            (
                "src/a/mod.rs".to_owned(),
                "#[cfg(test)]\nmod tests;".to_owned(),
            ),
            ("src/a/tests.rs".to_owned(), "use webrtc::a;".to_owned()),
            (
                "src/a/tests/more.rs".to_owned(),
                "use webrtc::a;".to_owned(),
            ),
        ];
        let left: Vec<_> = sources(&files)
            .into_iter()
            .map(|source| source.file)
            .collect();
        assert_eq!(left, ["src/a/mod.rs"]);
    }

    #[test]
    fn macros_are_found_and_comparisons_are_none() {
        let files = [(
            "src/a.rs".to_owned(),
            "fn f() {\n println!(\"x\"); if a != b {} }".to_owned(),
        )];
        assert_eq!(sources(&files)[0].macros, [(2, "println".to_owned())]);
    }

    fn paths(file: &str, text: &str) -> Vec<String> {
        let sources = sources(&[(file.to_owned(), text.to_owned())]);
        let paths = sources.into_iter().flat_map(|source| source.paths);
        paths
            .map(|named| format!("{} {}", named.line, named.path.join("::")))
            .collect()
    }
}
