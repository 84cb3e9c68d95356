//! Updates of the image: what the two slots hold, whether a bundle may be installed, and
//! what installs it.
//!
//! ```text
//!   file ───┐
//!   stick ──┼─► bundle ─► verity ─► judge ─► Engine::install   the only writer of a slot
//!   HTTPS ──┘   (a file,  (every    (version,
//!               whole)     block)    slot, room)
//! ```
//!
//! * [`Engine`] is the seam: [`rauc`] is RAUC on the board, [`sim`] two slots in a folder.
//! * `words` reads what RAUC prints, `bundle` looks at a file before RAUC does, `verity`
//!   at every block of it, [`judge`](mod@judge) decides. None of them writes.
//! * [`fetch`] brings a bundle over HTTPS, [`stick`] finds one on a USB stick.
//! * [`confirm`] says whether the version that runs is good.
//!
//! It decides nothing by itself and runs nowhere but in the command `doorstation update`:
//! whoever may be root of the door says when it is updated.

mod bundle;
pub mod confirm;
pub mod fetch;
pub mod judge;
pub mod rauc;
pub mod sim;
pub mod stick;
mod verity;
mod words;

use std::path::{Path, PathBuf};

use serde::Serialize;

use bundle::Bundle;
pub use bundle::LARGEST;
pub use judge::{Refusal, Verdict, judge};
pub use verity::Tree;

/// What carries updates out.
pub trait Engine {
    /// What the slots hold.
    ///
    /// # Errors
    /// There is no engine, or it does not answer.
    fn slots(&self) -> Result<Slots, Error>;

    /// What a bundle says it holds, after its signature was found good.
    ///
    /// # Errors
    /// [`Error::Refused`]: the bundle is not one for this door; else the engine failed.
    fn contents(&self, bundle: &Path) -> Result<Contents, Error>;

    /// Writes a bundle to the slot that does not run, and lets that one start next. `told`
    /// hears how far it is.
    ///
    /// # Errors
    /// It was not installed; the slot that runs is what it was, and starts next.
    fn install(&mut self, bundle: &Path, told: &mut dyn FnMut(Progress)) -> Result<(), Error>;

    /// Tells an engine that looks at versions by itself that a bundle which is no newer
    /// is wanted.
    ///
    /// # Errors
    /// It cannot be told.
    fn allow_older(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Changes what starts next.
    ///
    /// # Errors
    /// It could not be changed.
    fn mark(&mut self, mark: &Mark) -> Result<(), Error>;
}

/// The slots of a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Slots {
    /// What bundles have to be made for, such as `doorstation-debian-arm64`.
    pub compatible: String,
    /// In the order of their names.
    pub slots: Vec<Slot>,
}

impl Slots {
    /// The one that runs.
    pub fn running(&self) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.runs)
    }

    /// The one beside it, which an update writes.
    pub fn other(&self) -> Option<&Slot> {
        self.slots.iter().find(|slot| !slot.runs)
    }
}

/// One slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Slot {
    /// As U-Boot calls it: `A` or `B`.
    pub slot: String,
    /// As the engine calls it: `rootfs.0`.
    pub name: String,
    /// Its partition.
    pub device: PathBuf,
    /// It is the one that runs now.
    pub runs: bool,
    /// It is tried first at the next start.
    pub next: bool,
    /// It has a try left.
    pub good: bool,
    /// How many starts it has left to prove itself; `None` where nobody counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tries_left: Option<u32>,
    /// Which version is in it; `None`: nothing was installed in it, or nobody wrote it down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When it was installed, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installed: Option<String>,
    /// Bytes of its partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// What a bundle holds, as its signed manifest says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Contents {
    /// What it was made for.
    pub compatible: String,
    /// Which version it is.
    pub version: String,
    /// `verity`, `plain` or `crypt`.
    pub format: String,
    /// Bytes of what is written to a slot.
    pub image: u64,
    /// How its blocks are proved; a bundle of the format `verity` has it.
    #[serde(skip)]
    pub tree: Option<Tree>,
}

/// How far an installation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Of the whole.
    pub percent: u8,
    /// What is done now.
    pub step: String,
}

/// What is changed of the slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The slot that runs has all its tries again.
    Good,
    /// This slot, by its [`Slot::name`], is tried first from now on.
    Next(String),
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not the image.
    #[error(
        "this door was installed as a Debian package: update it with apt \
         (sudo apt update && sudo apt install doorstation)"
    )]
    Package,
    /// The engine's program.
    #[error(
        "'{program}' cannot be started ({source}): it belongs to the image, is this one whole?"
    )]
    Program {
        /// Which program.
        program: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The engine failed, in its own words.
    #[error("the update engine says: {0}")]
    Engine(String),
    /// The engine said something else than it used to.
    #[error("what the update engine says cannot be read: {0}")]
    NotUnderstood(String),
    /// A file.
    #[error("{}: {source}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The bundle is not for this door.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no other slot to go back to.
    #[error("there is nothing to go back to: {0}")]
    NothingBefore(String),
}

impl Error {
    /// In a word, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Package => "package",
            Error::Program { .. } => "no_engine",
            Error::Engine(_) => "engine",
            Error::NotUnderstood(_) => "not_understood",
            Error::File { .. } => "file",
            Error::Refused(refusal) => refusal.code(),
            Error::NothingBefore(_) => "nothing_before",
        }
    }
}

/// What was found out of a bundle that may be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What it holds.
    pub contents: Contents,
    /// Newer than what runs, or wanted all the same.
    pub verdict: Verdict,
}

/// Looks at a bundle from all sides; writes nothing.
///
/// # Errors
/// [`Error::Refused`] says why it may not be installed; else it could not be looked at.
pub fn check(engine: &dyn Engine, file: &Path, force: bool) -> Result<Candidate, Error> {
    look(engine, file, force).map(|(_, candidate)| candidate)
}

/// Looks at a bundle and installs it.
///
/// # Errors
/// As [`check`], before a byte of a slot is written, and what [`Engine::install`] says.
pub fn install(
    engine: &mut dyn Engine,
    file: &Path,
    force: bool,
    told: &mut dyn FnMut(Progress),
) -> Result<Candidate, Error> {
    let (bundle, candidate) = look(engine, file, force)?;
    // A power cut must find it whole: what was just copied may still be in memory only.
    bundle.sync()?;
    if candidate.verdict == Verdict::Forced {
        engine.allow_older()?;
    }
    engine.install(file, told)?;
    Ok(candidate)
}

fn look(engine: &dyn Engine, file: &Path, force: bool) -> Result<(Bundle, Candidate), Error> {
    let slots = engine.slots()?;
    let mut bundle = Bundle::open(file)?;
    let contents = engine.contents(file)?;
    let verdict = judge(&contents, &slots, force)?;
    bundle.prove(&contents)?;
    Ok((bundle, Candidate { contents, verdict }))
}

/// Lets the other slot start next, if it can.
///
/// # Errors
/// There is nothing to go back to, or the engine failed.
pub fn roll_back(engine: &mut dyn Engine) -> Result<Slot, Error> {
    let slots = engine.slots()?;
    let no = |why: String| Err(Error::NothingBefore(why));
    let Some(other) = slots.other() else {
        return no("this card has one slot only".to_owned());
    };
    if slots.running().is_none() {
        return no("it is not known which slot runs".to_owned());
    }
    // U-Boot counts the tries of an empty slot as well.
    if !other.good || other.tries_left == Some(0) || other.version.is_none() {
        let slot = &other.slot;
        return no(format!(
            "slot {slot} holds no version that starts (doorstation update status)"
        ));
    }
    engine.mark(&Mark::Next(other.name.clone()))?;
    Ok(other.clone())
}
