//! Who may have an address here, and which of them an address written by a client
//! means.

use std::collections::BTreeMap;

use crate::wire::address;

/// One user of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Bare `user@domain`: the one spelling that goes on the wire (section 6.2).
    pub address: String,
    /// What others see.
    pub name: String,
    /// How many calls this user may be part of before callers hear "busy".
    pub max_calls: usize,
}

/// All users, by address in lower case.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    domain: String,
    people: BTreeMap<String, Person>,
}

impl Directory {
    /// A directory of `people` in `domain`.
    pub fn new(domain: &str, people: impl IntoIterator<Item = Person>) -> Self {
        let people = people
            .into_iter()
            .map(|person| (person.address.to_ascii_lowercase(), person))
            .collect();
        Self {
            domain: domain.to_ascii_lowercase(),
            people,
        }
    }

    /// The user that `text` means: any form of section 1, without a domain our own,
    /// with the doubled `sip:` and `@domain` of Kandy.js 3.1 cut, in any case.
    pub fn find(&self, text: &str) -> Option<&Person> {
        self.people.get(&self.spelling(text))
    }

    /// The one spelling that every form of a name comes to, whether there is such a
    /// user or not.
    pub fn spelling(&self, text: &str) -> String {
        let lower = address::bare(text).to_ascii_lowercase();
        // Slices only: a client may write a prefix sixty thousand times.
        let mut name = lower.as_str();
        while let Some(rest) = name.strip_prefix("sip:") {
            name = rest;
        }
        let suffix = format!("@{}", self.domain);
        while let Some(rest) = name.strip_suffix(&suffix)
            && rest.contains('@')
        {
            name = rest;
        }
        if name.contains('@') {
            name.to_owned()
        } else {
            format!("{name}{suffix}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Directory, Person};

    fn directory() -> Directory {
        let person = |address: &str| Person {
            address: address.to_owned(),
            name: String::new(),
            max_calls: 1,
        };
        Directory::new(
            "demo.local",
            [person("john.doe@demo.local"), person("x@other.org")],
        )
    }

    #[test]
    fn every_spelling_that_a_client_uses_finds_its_user() {
        for text in [
            "john.doe@demo.local",
            "John.Doe@Demo.Local",
            "john.doe",
            "sip:john.doe@demo.local",
            "John Doe<sip:john.doe@demo.local>",
            "\"John\" <sip:john.doe@demo.local>",
            "sip:john.doe@demo.local@demo.local",
            "sip:sip:john.doe@demo.local@demo.local",
        ] {
            let found = directory().find(text).map(|p| p.address.clone());
            assert_eq!(found.as_deref(), Some("john.doe@demo.local"), "{text}");
        }
        assert!(directory().find("x@other.org").is_some());
    }

    #[test]
    fn a_name_of_doubled_parts_alone_is_read_in_one_pass() {
        let long = "sip:".repeat(1 << 20) + "john.doe" + &"@demo.local".repeat(1 << 20);
        assert_eq!(directory().spelling(&long), "john.doe@demo.local");
    }

    #[test]
    fn anybody_else_is_unknown() {
        for text in ["", "@", "jane", "john.doe@other.org", "x", "sip:"] {
            assert_eq!(directory().find(text), None, "{text}");
        }
    }
}
