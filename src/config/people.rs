//! Names and addresses of people, and whom the bell rings.

use super::checked::{Account, Gateway, HOME};
use super::fault::nearest;
use super::raw::{meant, short};
use crate::call::{AccountId, Address, Target};

/// A server that can reach somebody, as far as names are concerned.
pub(super) struct Server {
    /// The account at it.
    pub(super) id: AccountId,
    domain: String,
    /// All its users, where they are known: the embedded gateway's.
    users: Option<Vec<Address>>,
}

impl Server {
    pub(super) fn of_gateway(gateway: &Gateway) -> Self {
        let users = gateway.users.iter().map(|user| user.address.clone());
        Self {
            id: AccountId::new(HOME),
            domain: gateway.domain.clone(),
            users: Some(users.collect()),
        }
    }

    pub(super) fn of_account(account: &Account) -> Self {
        let user = account.user.as_str();
        Self {
            id: account.id.clone(),
            domain: user
                .split_once('@')
                .map_or("", |(_, domain)| domain)
                .to_owned(),
            users: None,
        }
    }

    /// Everybody who is known at this server.
    pub(super) fn everybody(&self) -> impl Iterator<Item = Target> {
        self.users.iter().flatten().map(|to| Target {
            account: self.id.clone(),
            to: to.clone(),
        })
    }
}

/// What is wrong, and what to write instead.
type Refused = (String, Option<String>);

/// Who is meant by an entry of a ring list: `alice`, `alice@domain`,
/// `account:alice` or `account:alice@domain`.
pub(super) fn target(written: &str, servers: &[Server]) -> Result<Target, Refused> {
    let (account, person) = match written.split_once(':') {
        Some((account, person)) => (Some(account), person),
        None => (None, written),
    };
    let server = server(written, account, person, servers)?;
    let to = address(person, &server.domain).map_err(|what| (what, None))?;
    if let Some(users) = &server.users
        && !users.contains(&to)
    {
        let known = users.iter().map(Address::as_str);
        let what = format!("the embedded gateway has no user '{to}'");
        return Err((what, nearest(to.as_str(), known).map(meant)));
    }
    Ok(Target {
        account: server.id.clone(),
        to,
    })
}

/// Through which server: the named one, the one of the domain, the embedded
/// gateway for a bare name, or the only one there is.
fn server<'s>(
    written: &str,
    account: Option<&str>,
    person: &str,
    servers: &'s [Server],
) -> Result<&'s Server, Refused> {
    if let Some(account) = account {
        let found = servers.iter().find(|server| server.id.as_str() == account);
        return found.ok_or_else(|| {
            let known = servers.iter().map(|server| server.id.as_str());
            let what = format!("there is no account '{}'", short(account));
            (what, nearest(account, known).map(meant))
        });
    }
    let mut fitting = match person.split_once('@') {
        Some((_, domain)) => {
            let of_domain: Vec<_> = servers.iter().filter(|s| s.domain == domain).collect();
            if of_domain.is_empty() {
                servers.iter().collect()
            } else {
                of_domain
            }
        }
        None => {
            let home: Vec<_> = servers.iter().filter(|s| s.users.is_some()).collect();
            if home.is_empty() {
                servers.iter().collect()
            } else {
                home
            }
        }
    };
    match (fitting.pop(), fitting.is_empty()) {
        (Some(server), true) => Ok(server),
        (Some(_), false) => {
            let example = servers
                .last()
                .map_or("account", |server| server.id.as_str());
            let what = format!(
                "'{}' could be reached through several accounts",
                short(written)
            );
            let help = format!("write which one: \"{example}:{}\"", short(person));
            Err((what, Some(help)))
        }
        (None, _) => Err((
            format!(
                "'{}' cannot be reached: there is no account",
                short(written)
            ),
            None,
        )),
    }
}

/// `person` as an address, with `domain` if it has none.
pub(super) fn address(person: &str, domain: &str) -> Result<Address, String> {
    let (local, domain) = person.split_once('@').unwrap_or((person, domain));
    if is_name(local) && is_domain(domain) {
        Ok(Address::new(format!("{local}@{domain}")))
    } else {
        Err(format!(
            "'{}' is not a name: letters, digits and - . _ are, with or without @domain",
            short(person)
        ))
    }
}

/// What every Kandy.js and a URL path take unescaped.
pub(super) const NAME: Letters = Letters {
    anywhere: "-._",
    inside: "",
};
/// The name of a machine, or of many.
pub(super) const DOMAIN: Letters = Letters {
    anywhere: "",
    inside: "-.",
};
/// The most characters of either.
const LONGEST: usize = 64;

/// Letters and digits of ASCII, and a few characters more: 1 to 64. What the reader takes
/// and the pattern of the schema are both made of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Letters {
    /// What else may stand anywhere.
    anywhere: &'static str,
    /// What else may stand neither first nor last.
    inside: &'static str,
}

impl Letters {
    pub(super) fn fit(self, text: &str) -> bool {
        let at_ends = |c: char| c.is_ascii_alphanumeric() || self.anywhere.contains(c);
        (1..=LONGEST).contains(&text.len())
            && text.starts_with(at_ends)
            && text.ends_with(at_ends)
            && text.chars().all(|c| at_ends(c) || self.inside.contains(c))
    }

    /// As a regular expression of JSON Schema.
    pub(super) fn pattern(self) -> String {
        // What has a meaning between brackets.
        let escaped = |more: &str| more.replace('-', r"\-");
        let (anywhere, inside) = (escaped(self.anywhere), escaped(self.inside));
        let at_ends = format!("[A-Za-z0-9{anywhere}]");
        let most = LONGEST - 2;
        format!("^{at_ends}([A-Za-z0-9{anywhere}{inside}]{{0,{most}}}{at_ends})?$")
    }
}

pub(super) fn is_name(text: &str) -> bool {
    NAME.fit(text)
}

pub(super) fn is_domain(text: &str) -> bool {
    DOMAIN.fit(text)
}
