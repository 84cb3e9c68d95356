//! A text that must not reach a log: passwords, tokens, keys.
//!
//! It keeps a secret out of `Debug` and `Display`, and so out of logs and error
//! messages. It does not protect the memory of the process.

use std::fmt;

use serde::Deserialize;

/// A secret text. `Debug` shows `[secret]`; only [`Secret::expose`] shows more.
///
/// It has no `Serialize` or `Display`: a secret is not written out. Comparing takes a
/// time that tells nothing but its length: one that stopped early would tell how much of
/// a guess was right.
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

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), other.0.as_bytes());
        let pairs = ours.iter().zip(theirs);
        let different = pairs.fold(0, |different, (a, b)| different | (a ^ b));
        ours.len() == theirs.len() && different == 0
    }
}

impl Eq for Secret {}

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
    fn secrets_are_the_same_if_every_byte_is() {
        let secret = Secret::new("hunter2");
        assert_eq!(secret, Secret::new("hunter2"));
        for other in ["", "hunter", "hunter22", "Hunter2", "hunter3"] {
            assert_ne!(secret, Secret::new(other));
        }
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
