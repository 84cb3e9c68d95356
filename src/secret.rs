//! A text that must not reach a log: passwords, tokens, keys.
//!
//! It keeps a secret out of `Debug` and `Display`, and so out of logs and error
//! messages. It does not protect the memory of the process.

use std::fmt;

use serde::Deserialize;

/// A secret text. `Debug` shows `[secret]`; only [`Secret::expose`] shows more.
///
/// It has no `Serialize`, `Display` or `PartialEq`: a secret is neither written
/// out nor compared byte by byte (a comparison that stops early tells how much of
/// a guess was right).
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(Box<str>);

impl Secret {
    /// Takes the text as it is.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the one place that sends or verifies it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_never_shows_the_text() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert_eq!(format!("{:#?}", Some(secret.clone())).find("hunter2"), None);
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_configuration_file_can_hold_it() {
        #[derive(serde::Deserialize, Debug)]
        struct File {
            password: Secret,
        }
        let file: File = toml::from_str("password = 'hunter2'").unwrap();
        assert_eq!(file.password.expose(), "hunter2");
        assert!(!format!("{file:?}").contains("hunter2"));
    }
}
