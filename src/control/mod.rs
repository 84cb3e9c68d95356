//! The control socket: what an operator on this machine asks of the running station.
//!
//! ```text
//!   doorstation status ──┐                    ┌─► station's loop (asks, waits for what came of it)
//!   doorstation watch ───┼─► socket ─► desk ──┼─► view, ledger (reads)
//!   doorstation call ... ┘                    └─► report (listens)
//! ```
//!
//! * [`message`] is what is said over it, a JSON object a line.
//! * `desk` carries a request out; `names` knows whom and what it may name.
//! * [`client`] is the other end, for the commands.
//!
//! Root, our own user and the operators' group may connect ([`Control::bind`]); the
//! kernel says who it is. Nobody opens the door over it, and it hands out no
//! secret. It cannot hurt the station: connections, lines and times are bounded, a
//! client that does not read is cut off, and the station's loop never waits for it.

pub mod client;
mod desk;
pub mod message;
mod names;
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use futures_util::future::BoxFuture;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tracing::warn;

use crate::call::{AccountId, Parameter, RingStep, Target, View, Wish};
use crate::ledger::Ledger;
use crate::panel::action::Actions;
use crate::peer::{self, Allowed};
use crate::report::Report;
use crate::station::Question;
use crate::tasks::Tasks;
use crate::telemetry::Dial;

/// Where the socket is on an installed station.
pub const SOCKET: &str = "/run/doorstation/control.sock";
/// The group whose members may use it, as `systemd/` sets it up.
pub const GROUP: &str = "doorstation-operator";

/// Questions that may wait for the station's loop: one a connection.
pub const QUESTIONS: usize = server::CONNECTIONS;

/// What is asked, and whom to ask.
pub struct Desk {
    /// Where the station stands.
    pub view: watch::Receiver<View>,
    /// The station's loop.
    pub questions: mpsc::Sender<Question>,
    /// Its calls.
    pub ledger: Ledger,
    /// What is told as it happens.
    pub report: Report,
    /// Asks for the light of the entrance.
    pub entrance: mpsc::Sender<()>,
    /// The level of the log.
    pub dial: Dial,
    /// Takes a picture of who stands at the door, one at a time.
    pub photographer: tokio::sync::Mutex<Photographer>,
    /// The station itself.
    pub about: About,
    /// What can be called.
    pub callees: Callees,
    /// The buttons of the panel and what they do.
    pub buttons: Vec<(String, Actions)>,
}

/// Gives a JPEG file, or a sentence why not.
pub type Photographer = Box<dyn Fn() -> BoxFuture<'static, Result<Vec<u8>, String>> + Send>;

/// The station itself: what no call changes.
pub struct About {
    /// What people call the door.
    pub name: String,
    /// When the station was started.
    pub started: Instant,
    /// Where browsers find the page: asked each time, since a station may start before
    /// its network does.
    pub page: Option<Box<dyn Fn() -> String + Send + Sync>>,
    /// Our address at each account.
    pub accounts: BTreeMap<AccountId, String>,
    /// The station has a door to open.
    pub has_door: bool,
    /// What camera, microphone, speaker and panel are; `None` where there is none.
    pub devices: [(crate::call::Device, Option<String>); 4],
    /// Where the station keeps its state.
    pub state_dir: Option<PathBuf>,
    /// Until when the page's certificate is good.
    pub certificate_end: Option<Box<dyn Fn() -> Option<SystemTime> + Send + Sync>>,
}

/// Who can be called over the socket: ring plans, and people by name.
pub struct Callees {
    /// Whom the bell rings.
    pub ring: Vec<RingStep>,
    /// Further ring plans, with their names.
    pub plans: Vec<(String, Vec<RingStep>)>,
    /// People besides those of the plans.
    pub people: Vec<Target>,
    /// Media of the calls.
    pub wish: Wish,
    /// What the other end is told besides.
    pub parameters: Vec<Parameter>,
}

/// The socket that listens; [`Control::run`] serves.
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    allowed: Allowed,
    desk: Arc<Desk>,
}

impl Control {
    /// Listens at `path`, in place of whatever a dead predecessor left there, for root,
    /// our own user (mode 0600), and the members of `group` (0660).
    ///
    /// A group that is not there, or that we may not give the socket to, is left out, with
    /// a warning in the log.
    ///
    /// # Errors
    ///
    /// The folder is not there or not ours, or another station listens at `path`.
    pub fn bind(path: &Path, group: Option<&str>, desk: Desk) -> io::Result<Self> {
        make_room(path)?;
        let listener = UnixListener::bind(path)?;
        let mut allowed = Allowed::default();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        if let Some(group) = group {
            match share(path, group) {
                Ok(()) => allowed.groups.push(group.to_owned()),
                Err(error) => {
                    warn!(group, %error, "the control socket is not shared with the operators")
                }
            }
        }
        Ok(Self {
            listener,
            path: path.to_owned(),
            allowed,
            desk: Arc::new(desk),
        })
    }

    /// Serves until `tasks` are cancelled.
    pub async fn run(self, tasks: Tasks) {
        server::serve(&self.listener, self.allowed, &self.desk, &tasks).await;
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the control socket cannot be removed");
        }
    }
}

/// Gives the socket to the members of `group`.
fn share(path: &Path, group: &str) -> io::Result<()> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "there is no such group");
    let gid = peer::group_id(group).ok_or_else(missing)?;
    chown(path, None, Some(gid))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))
}

/// Takes away a socket that nobody listens at; nothing else is touched.
fn make_room(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a file of this name that is no socket",
            ));
        }
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another station listens there",
        )),
        Err(_) => fs::remove_file(path),
    }
}
