//! A configuration to show to strangers: without what is secret in it.

use std::path::Path;

use toml::Value;

use super::text_of;

/// What stands where a secret stood.
const HIDDEN: &str = "(hidden)";

/// Parts of the names of keys whose values nobody else shall see, mistyped ones too
/// (`pasword`). Names of files are shown: what is in them stays in them.
const SECRET: [&str; 6] = ["pas", "pw", "secret", "token", "hash", "code"];

/// The file at `path` without its secrets and without its comments, which may hold
/// some.
///
/// # Errors
/// A sentence: it cannot be read, or it is no TOML, in which nobody can tell what is
/// secret.
pub fn redacted(path: &Path) -> Result<String, String> {
    let text = text_of(path, "--config FILE names it")?;
    without_secrets(&text)
}

fn without_secrets(text: &str) -> Result<String, String> {
    // The parser's own message quotes the line.
    let mut table: toml::Table =
        toml::from_str(text).map_err(|_| "it is not TOML: config check says where".to_owned())?;
    table.iter_mut().for_each(|(key, value)| hide(key, value));
    toml::to_string(&table).map_err(|error| error.to_string())
}

fn hide(key: &str, value: &mut Value) {
    match value {
        _ if is_secret(key) => *value = Value::String(HIDDEN.to_owned()),
        Value::Table(table) => table.iter_mut().for_each(|(key, value)| hide(key, value)),
        Value::Array(values) => values.iter_mut().for_each(|value| hide(key, value)),
        Value::String(text) if has_login(text) => *text = HIDDEN.to_owned(),
        _ => {}
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

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let shown = without_secrets(
            "# the old one was hunter1\n\
             [gateway]\nlisten = \"0.0.0.0:8443\"\n\
             [[gateway.user]]\nname = \"alice\"\npassword_hash = \"hunter2\"\n\
             [[gateway.user]]\nname = \"bob\"\nPasword = \"hunter3\"\npassword_file = \"bob.password\"\n\
             [[account]]\nrest = \"https://me:hunter4@kandy.example.org/rest\"\n\
             websocket = \"wss://kandy.example.org\"\n\
             [door]\ncode = 4711\ncodes = [\"hunter5\"]\npassword = { now = \"hunter6\" }\n",
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
            HIDDEN,
        ] {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
    }

    #[test]
    fn what_is_no_toml_is_not_shown_at_all() {
        let error = without_secrets("password = hunter2 hunter3").unwrap_err();
        assert!(!error.contains("hunter"), "{error}");
    }
}
