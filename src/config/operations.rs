//! `[control]` and `[metrics]`: how the machine's own people and programs look at the
//! station.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Surroundings;
use super::checked::Control;
use super::raw::{Table, short};
use super::read::flag;
use super::servers::address;

/// The socket's name in the service's runtime directory.
const SOCKET: &str = "control.sock";
/// The group whose members may use it, as `systemd/` sets it up.
const GROUP: &str = "doorstation-operator";

/// The control socket; `None` where there shall be none. Without a word it is where
/// systemd's `RuntimeDirectory=` is.
pub(super) fn control(table: &mut Table<'_, '_>, around: &Surroundings) -> Option<Control> {
    let written = table.text("socket");
    let group = table.text("group");
    table.finish();
    let socket = match written {
        None => around.runtime.as_ref().map(|runtime| runtime.join(SOCKET)),
        Some(at) if at.value == "none" => None,
        Some(at) if at.value.starts_with('/') && !at.value.contains('\0') => {
            Some(PathBuf::from(at.value))
        }
        Some(at) => {
            let what = format!(
                "'{}' is neither an absolute path nor none",
                short(&at.value)
            );
            table.note(&at, what);
            None
        }
    };
    let group = group.map_or_else(|| GROUP.to_owned(), |at| at.value);
    socket.map(|socket| Control {
        socket,
        group: (group != "none").then_some(group),
    })
}

/// Where the metrics are told; `None` without the table.
pub(super) fn metrics(table: &mut Table<'_, '_>) -> Option<SocketAddr> {
    const USUAL: &str = "127.0.0.1:9464";
    let listen = address(table, "listen", USUAL);
    let beyond = flag(table, "beyond_loopback", false);
    if let Some(listen) = &listen
        && !listen.value.ip().to_canonical().is_loopback()
        && !beyond
    {
        let what = "would tell the network how the house is used: there is no log-in";
        let help = "listen on 127.0.0.1, or say beyond_loopback = true";
        table.note_with(listen, what, Some(help.into()));
    }
    table.finish();
    let usual = || USUAL.parse().expect("an address and a port");
    table
        .is_there()
        .then(|| listen.map_or_else(usual, |at| at.value))
}
