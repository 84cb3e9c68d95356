//! `[gateway]` and `[[account]]`: the servers, and the secrets for them.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::checked::{Account, Gateway, Password, Tls, User};
use super::raw::{At, Table, short};
use super::read::{flag, name, path, seconds};
use super::{Surroundings, people, secrets};
use crate::call::{AccountId, Address};
use crate::ice;
use crate::secret::Secret;

/// Where the gateway listens unless told otherwise: every address of the machine.
const LISTEN: &str = "0.0.0.0:8443";
/// Where systemd's `StateDirectory=doorstation` is.
const STATE_DIR: &str = "/var/lib/doorstation";
/// The longest list of users that one door has.
const MOST_USERS: usize = 64;

/// The embedded gateway, unless it is not wanted.
pub(super) fn gateway(table: &mut Table<'_, '_>, around: &Surroundings) -> Option<Gateway> {
    let enabled = flag(table, "enabled", true) && table.is_there();
    let listen = address(table, "listen", LISTEN);
    let domain = domain(table);
    let door = door(table, &domain);
    let state_dir = path(table, "state_dir", around).map(|at| at.value);
    let tls = tls(table, listen.as_ref(), around);
    let ring_time = seconds(table, "ring_time_s", 5..=300, 60);
    let users = users(table, &domain, &door, around);
    if enabled && users.is_empty() && table.noted() == 0 {
        table.missing(
            "user",
            "add [[gateway.user]] with a name for everybody who may answer",
        );
    }
    table.finish();
    enabled.then(|| Gateway {
        listen: listen.map_or_else(default_listen, |at| at.value),
        domain,
        door,
        state_dir: state_dir.unwrap_or_else(|| PathBuf::from(STATE_DIR)),
        tls,
        ring_time,
        users,
    })
}

fn default_listen() -> SocketAddr {
    LISTEN.parse().expect("an address and a port")
}

/// Where to listen; `example` is for people who write it wrong.
pub(super) fn address(
    table: &mut Table<'_, '_>,
    key: &'static str,
    example: &str,
) -> Option<At<SocketAddr>> {
    let written = table.text(key)?;
    match written.value.parse() {
        Ok(listen) => Some(written.map(|_| listen)),
        Err(_) => {
            let what = format!(
                "'{}' is not ADDRESS:PORT, such as \"{example}\"",
                short(&written.value)
            );
            table.note(&written, what);
            None
        }
    }
}

fn domain(table: &mut Table<'_, '_>) -> String {
    const DEFAULT: &str = "home.local";
    let Some(domain) = table.letters("domain", people::DOMAIN) else {
        return DEFAULT.into();
    };
    if !people::is_domain(&domain.value) {
        let what = format!(
            "'{}' is not a domain: letters, digits, - and . are",
            short(&domain.value)
        );
        table.note(&domain, what);
    }
    domain.value
}

/// The station's own name at its gateway.
fn door(table: &mut Table<'_, '_>, domain: &str) -> Address {
    let written = table.letters("door", people::NAME);
    let local = written.as_ref().map_or("door", |at| at.value.as_str());
    if let Some(at) = written.as_ref().filter(|_| !people::is_name(local)) {
        table.note(
            at,
            format!(
                "'{}' is not a name: letters, digits and - . _ are",
                short(local)
            ),
        );
    }
    Address::new(format!("{local}@{domain}"))
}

fn tls(table: &mut Table<'_, '_>, listen: Option<&At<SocketAddr>>, around: &Surroundings) -> Tls {
    let plain = table.boolean("plain_http").filter(|at| at.value);
    let certificate = path(table, "certificate_file", around);
    let key = path(table, "key_file", around);
    let names = table
        .list_of("certificate_names", people::DOMAIN)
        .unwrap_or_default();
    for name in names.iter().filter(|name| !people::is_domain(&name.value)) {
        let what = format!("'{}' is not the name of a machine", short(&name.value));
        table.note(name, what);
    }
    if let Some(plain) = &plain {
        let loopback = listen.is_some_and(|at| at.value.ip().is_loopback());
        if !loopback {
            let what = "would send passwords over the network in the clear";
            let help = "listen on 127.0.0.1, or leave it out";
            table.note_with(plain, what, Some(help.into()));
        }
    }
    let written = [&certificate, &key].map(|file| {
        let file = file.as_ref()?;
        let opened = std::fs::File::open(&file.value);
        match opened.and_then(|opened| opened.metadata()?.modified()) {
            Ok(written) => Some(written),
            Err(error) => {
                let what = format!("'{}' cannot be read: {error}", file.value.display());
                table.note(file, what);
                None
            }
        }
    });
    match (certificate, key) {
        (Some(certificate), Some(key)) => Tls::Files {
            certificate: certificate.value,
            key: key.value,
            written,
        },
        (Some(lonely), None) => {
            table.note(&lonely, "needs 'key_file' beside it");
            Tls::Off
        }
        (None, Some(lonely)) => {
            table.note(&lonely, "needs 'certificate_file' beside it");
            Tls::Off
        }
        (None, None) if plain.is_some() => Tls::Off,
        (None, None) => Tls::Local {
            names: names.into_iter().map(|name| name.value).collect(),
        },
    }
}

fn users(
    gateway: &mut Table<'_, '_>,
    domain: &str,
    door: &Address,
    around: &Surroundings,
) -> Vec<User> {
    let mut users: Vec<User> = Vec::new();
    for mut table in gateway.tables("user") {
        let user = user(&mut table, domain, around);
        table.finish();
        let Some((written, user)) = user else {
            continue;
        };
        if user.address == *door {
            table.note(&written, format!("'{}' is the door itself", written.value));
        } else if users.iter().any(|other| other.address == user.address) {
            table.note(
                &written,
                format!("there are two users named '{}'", written.value),
            );
        } else if users.len() == MOST_USERS {
            table.note(&written, format!("at most {MOST_USERS} users have room"));
        } else {
            users.push(user);
        }
    }
    users
}

fn user(
    table: &mut Table<'_, '_>,
    domain: &str,
    around: &Surroundings,
) -> Option<(At<String>, User)> {
    let written = table.letters("name", people::NAME);
    let display_name = name(table, "display_name");
    let password = user_password(table, around);
    let may_open = flag(table, "may_open", false);
    let Some(written) = written else {
        table.missing("name", "what this person logs in with, such as \"alice\"");
        return None;
    };
    if !people::is_name(&written.value) {
        let what = format!(
            "'{}' is not a name: letters, digits and - . _ are",
            short(&written.value)
        );
        table.note(&written, what);
        return None;
    }
    let user = User {
        address: Address::new(format!("{}@{domain}", written.value)),
        display_name: display_name.unwrap_or_else(|| written.value.clone()),
        // Without one the mistake is noted, and the user is not handed out.
        password: password.unwrap_or_else(|| Password::Plain(Secret::new(""))),
        may_open,
    };
    Some((written, user))
}

/// Exactly one of a hash, a file and a credential.
fn user_password(table: &mut Table<'_, '_>, around: &Surroundings) -> Option<Password> {
    let hash = table.text("password_hash");
    let given = secret(table, around, hash.is_some());
    let Some(hash) = hash else {
        return given.map(Password::Plain);
    };
    let is_argon2id = argon2::PasswordHash::new(&hash.value)
        .is_ok_and(|hash| hash.algorithm.as_str() == "argon2id");
    if !is_argon2id {
        // The value is a secret or next to one: it is not repeated.
        let what = "is not an argon2id hash in PHC form, \"$argon2id$v=19$...\"";
        table.note(&hash, what);
    }
    Some(Password::Hash(Secret::new(hash.value)))
}

/// `password_file` or `credential`: one of them, or none if `other` is given.
fn secret(table: &mut Table<'_, '_>, around: &Surroundings, other: bool) -> Option<Secret> {
    let file = path(table, "password_file", around);
    let credential = table.letters("credential", people::NAME);
    if let Some(written) = table.refused("password") {
        let what = "does not stand in this file: write it to a file of mode 0600";
        let help = "name that file with 'password_file'";
        table.note_with(&written, what, Some(help.into()));
        return None;
    }
    match (file, credential) {
        (Some(file), None) if !other && secrets::is_still_to_be_made(&file.value) => {
            let what = format!(
                "'{}' is not there yet: the service makes it at its first start",
                file.value.display()
            );
            table.note_until_started(&file, what);
            None
        }
        (Some(file), None) if !other => noted(table, &file, secrets::from_file(&file.value)),
        (None, Some(credential)) if !other => handed_over(table, &credential, around),
        (None, None) if other => None,
        (None, None) => {
            table.missing(
                "password_file",
                "name a file of mode 0600 that holds the password",
            );
            None
        }
        (Some(file), _) => {
            table.note(&file, "is one way too many to give a password; keep one");
            None
        }
        (None, Some(credential)) => {
            table.note(
                &credential,
                "is one way too many to give a password; keep one",
            );
            None
        }
    }
}

/// What systemd hands to the service by this name; what keeps it from us is noted.
pub(super) fn handed_over(
    table: &Table<'_, '_>,
    credential: &At<String>,
    around: &Surroundings,
) -> Option<Secret> {
    let name = &credential.value;
    if !people::is_name(name) {
        let what = "must be the name of a credential: letters, digits and - . _";
        table.note(credential, what);
        return None;
    }
    let Some(directory) = &around.credentials else {
        let what = format!(
            "the credential '{}' is not to be seen here: systemd hands it to the service, \
             by LoadCredential= in its unit",
            short(name)
        );
        table.note_until_started(credential, what);
        return None;
    };
    noted(table, credential, secrets::from_credential(directory, name))
}

fn noted<T>(table: &Table<'_, '_>, at: &At<T>, secret: Result<Secret, String>) -> Option<Secret> {
    secret.map_err(|what| table.note(at, what)).ok()
}

/// One account, with the place of its name.
pub(super) fn account(
    table: &mut Table<'_, '_>,
    around: &Surroundings,
) -> Option<(At<String>, Account)> {
    let id = table.letters("name", people::NAME);
    if id.is_none() && !table.has("name") {
        table.missing("name", "what ring lists and logs call this account");
    }
    let user = required(table, "user", "the login, such as \"door@example.org\"");
    let password = secret(table, around, false);
    let rest = required(
        table,
        "rest",
        "the service's address, such as \"https://kandy.example.org\"",
    )
    .and_then(|at| origin(table, at, "https", "http"));
    let websocket = table
        .text("websocket")
        .and_then(|at| origin(table, at, "wss", "ws"));
    let expires = seconds(table, "expires_s", 60..=86_400, 3600);
    let turn_credentials = flag(table, "server_turn_credentials", false);
    let ca = path(table, "ca_file", around).and_then(|file| certificates(table, &file));
    table.finish();

    let (id, user) = (id?, user?);
    if !people::is_name(&id.value) {
        table.note(
            &id,
            format!(
                "'{}' is not a name: letters, digits and - . _ are",
                short(&id.value)
            ),
        );
    }
    let address = match people::address(&user.value, "") {
        Ok(address) => address,
        Err(_) => {
            let what = format!("'{}' is not NAME@DOMAIN", short(&user.value));
            table.note(&user, what);
            return None;
        }
    };
    let (password, rest) = (password?, rest?);
    let account = Account {
        id: AccountId::new(id.value.as_str()),
        user: address,
        password,
        websocket: websocket.unwrap_or_else(|| rest.replacen("http", "ws", 1)),
        rest,
        expires,
        extra_ca_pem: ca,
        turn_credentials,
        correlator: around.correlator(&id.value),
    };
    Some((id, account))
}

/// The most servers for one call: each is asked by each session.
const MOST_ICE_SERVERS: usize = 4;

/// `[[call.ice_server]]`: help for media to find their way out of the house.
pub(super) fn ice_servers(call: &mut Table<'_, '_>, around: &Surroundings) -> Vec<ice::Server> {
    let mut servers = Vec::new();
    for mut table in call.tables("ice_server") {
        let url = required(
            &mut table,
            "url",
            "such as \"stun:stun.example.org:3478\" or \"turn:turn.example.org:3478?transport=udp\"",
        );
        let username = table.text("username");
        let login = username.and_then(|username| {
            let password = secret(&mut table, around, false)?;
            let username = username.value;
            Some(ice::Login { username, password })
        });
        table.finish();
        let Some(url) = url else { continue };
        if !is_ice_url(&url.value) {
            let what = format!(
                "'{}' is not stun:HOST:PORT or turn:HOST:PORT?transport=udp",
                short(&url.value)
            );
            table.note(&url, what);
        } else if servers.len() == MOST_ICE_SERVERS {
            let what = format!("at most {MOST_ICE_SERVERS} ICE servers are asked");
            table.note(&url, what);
        } else {
            let url = url.value;
            servers.push(ice::Server { url, login });
        }
    }
    servers
}

/// `stun:HOST[:PORT]` or `turn:HOST[:PORT][?transport=udp]`.
fn is_ice_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let (host, query) = rest.split_once('?').unwrap_or((rest, ""));
    let fits = match scheme {
        "stun" => query.is_empty(),
        "turn" => matches!(query, "" | "transport=udp"),
        _ => false,
    };
    fits && is_host(host)
}

fn required(table: &mut Table<'_, '_>, key: &'static str, help: &str) -> Option<At<String>> {
    let there = table.has(key);
    let text = table.text(key);
    if !there {
        table.missing(key, help);
    }
    text
}

/// `scheme://host[:port]` without anything behind it; `plain` only to ourselves.
fn origin(table: &Table<'_, '_>, at: At<String>, scheme: &str, plain: &str) -> Option<String> {
    let written = at.value.trim_end_matches('/');
    let parts = written.split_once("://").filter(|(_, host)| is_host(host));
    match parts {
        Some((s, _)) if s == scheme => Some(written.to_owned()),
        Some((s, host)) if s == plain && is_loopback(host) => Some(written.to_owned()),
        Some((s, _)) if s == plain => {
            let what =
                format!("would send the password over the network in the clear: write {scheme}://");
            table.note(&at, what);
            None
        }
        Some(_) | None => {
            let what = format!(
                "'{}' is not {scheme}://HOST or {scheme}://HOST:PORT",
                short(&at.value)
            );
            table.note(&at, what);
            None
        }
    }
}

fn is_host(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-.:[]_".contains(c);
    (1..=255).contains(&text.len()) && text.chars().all(fits)
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A PEM file with at least one certificate, at most 256 KiB.
fn certificates(table: &Table<'_, '_>, file: &At<PathBuf>) -> Option<Vec<u8>> {
    const LARGEST: u64 = 256 * 1024;
    let shown = file.value.display();
    let read = std::fs::metadata(&file.value).and_then(|metadata| match metadata.len() {
        0..=LARGEST => std::fs::read(&file.value),
        _ => Err(std::io::Error::other("it is too large for a certificate")),
    });
    match read {
        Ok(pem)
            if pem
                .windows(27)
                .any(|at| at == b"-----BEGIN CERTIFICATE-----") =>
        {
            Some(pem)
        }
        Ok(_) => {
            table.note(file, format!("'{shown}' holds no certificate in PEM form"));
            None
        }
        Err(error) => {
            table.note(file, format!("'{shown}' cannot be read: {error}"));
            None
        }
    }
}
