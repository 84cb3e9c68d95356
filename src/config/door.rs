//! `[door]`: the relay, and who may open.

use std::path::PathBuf;

use super::checked::{Door, Gateway};
use super::people::{self, Server};
use super::raw::Table;
use super::read::{flag, path, seconds};
use super::servers::handed_over;
use super::{Surroundings, secrets};
use crate::call::{Code, DoorSettings};
use crate::secret::Secret;

/// Where the relay guardian's unit has its socket.
const SOCKET: &str = "/run/doorstation-relay/socket";

/// The door, if the file has one.
pub(super) fn door(
    table: &mut Table<'_, '_>,
    gateway: Option<&Gateway>,
    servers: &[Server],
    around: &Surroundings,
) -> Option<Door> {
    let socket = path(table, "relay_socket", around).map(|at| at.value);
    // 10 s: the guardian's cap, which no configuration moves.
    let pulse = seconds(table, "pulse_s", 1..=10, 5);
    let hang_up_after = seconds(table, "hang_up_after_s", 0..=60, 5);
    let open_too_long = seconds(table, "open_too_long_s", 5..=3600, 60);
    let forced_alarm = flag(table, "forced_alarm", true);
    let parties = parties(table, servers);
    let code = code(table, around);
    if parties.is_some() && code.is_none() && !table.has("code_file") && !table.has("credential") {
        table.missing("code_file", "who opens from a call dials a code for it");
    }
    table.finish();
    let users = gateway.into_iter().flat_map(|gateway| &gateway.users);
    let users = users.filter(|user| user.may_open);
    table.is_there().then(|| Door {
        socket: socket.unwrap_or_else(|| PathBuf::from(SOCKET)),
        rules: DoorSettings {
            pulse,
            hang_up_after: (!hang_up_after.is_zero()).then_some(hang_up_after),
            open_too_long,
            forced_alarm,
            users: users.map(|user| user.address.clone()).collect(),
            parties: parties.into_iter().flatten().collect(),
            code,
        },
    })
}

/// `may_open`: who may open from a call; `None` if nobody is named.
fn parties(table: &mut Table<'_, '_>, servers: &[Server]) -> Option<Vec<crate::call::Target>> {
    let written = table.texts("may_open")?;
    let mut parties = Vec::new();
    for name in &written {
        match people::target(&name.value, servers) {
            Ok(target) => parties.push(target),
            Err((what, help)) => table.note_with(name, what, help),
        }
    }
    (!written.is_empty()).then_some(parties)
}

/// `code_file` or `credential`. What is wrong with a code is told without the code.
fn code(table: &mut Table<'_, '_>, around: &Surroundings) -> Option<Code> {
    if let Some(written) = table.refused("code") {
        let what = "does not stand in this file: write it to a file of mode 0600";
        let help = "name that file with 'code_file'";
        table.note_with(&written, what, Some(help.into()));
    }
    let file = path(table, "code_file", around);
    let credential = table.letters("credential", people::NAME);
    if let (Some(file), Some(_)) = (&file, &credential) {
        table.note(file, "is one way too many to give the code; keep one");
        return None;
    }
    let (at, secret) = match (file, credential) {
        (Some(file), _) => {
            let secret = secrets::from_file(&file.value);
            (file.map(|_| ()), secret)
        }
        (None, Some(credential)) => {
            let secret = handed_over(table, &credential, around)?;
            (credential.map(|_| ()), Ok(secret))
        }
        (None, None) => return None,
    };
    let read = |secret: Secret| {
        Code::parse(secret.expose())
            .ok_or_else(|| "holds no code: 4 to 16 of the keys 0-9, *, # and A-D".to_owned())
    };
    secret
        .and_then(read)
        .map_err(|what| table.note(&at, what))
        .ok()
}
