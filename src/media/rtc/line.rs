//! One m-line of a leg: live with a session, or rejected.

use super::Error;
use super::codecs::Medium;
use super::plan::Plan;
use super::sdp::split::{Kind, session_text};
use super::sdp::wire::{self, Shown};
use super::sdp::{Description, Direction, Section};
use super::session::{SESSION_MID, Session};

/// One m-line, in the place that the first description gave it.
pub(crate) struct Line {
    /// Its name on the wire.
    pub(crate) mid: String,
    /// `None`: neither audio nor video, always rejected.
    pub(crate) medium: Option<Medium>,
    /// `None`: rejected.
    pub(crate) session: Option<Session>,
    /// Our direction while nobody holds.
    pub(crate) usual: Direction,
    /// Our direction in the latest offer.
    pub(crate) offered: Direction,
    /// Our DTLS role, once the first exchange has settled it. webrtc-rs answers
    /// `active` to every later offer, whatever its role is; a browser then tries
    /// to begin a new DTLS association, and the media end.
    pub(crate) setup: Option<String>,
    /// How the wire showed it last: ours, or the far end's of a rejected line.
    pub(crate) shown: Option<Section>,
    pub(crate) connected: bool,
    /// Nothing came of late: the next offer looks for another way.
    pub(crate) away: bool,
    pub(crate) closed_by_peer: bool,
}

impl Line {
    /// A line without session.
    pub(crate) fn rejected(mid: String, medium: Option<Medium>) -> Self {
        Self {
            mid,
            medium,
            session: None,
            usual: Direction::Inactive,
            offered: Direction::Inactive,
            setup: None,
            shown: None,
            connected: false,
            away: false,
            closed_by_peer: false,
        }
    }

    /// A line that we are about to offer.
    pub(crate) fn offered(mid: String, medium: Medium, direction: Direction) -> Self {
        Self {
            usual: direction,
            ..Self::rejected(mid, Some(medium))
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.session.is_some()
    }

    /// Takes the session out: the line is rejected from now on.
    pub(crate) fn reject(&mut self) -> Option<Session> {
        self.connected = false;
        self.away = false;
        self.closed_by_peer = false;
        self.setup = None;
        self.session.take()
    }

    /// Learns our DTLS role from the first answer's `setup`.
    pub(crate) fn learn_setup(&mut self, role: Option<&str>) {
        if self.setup.is_none() {
            self.setup = role.map(str::to_owned);
        }
    }
}

/// Our role, when the far end's answer has this one.
pub(crate) fn opposite_setup(theirs: &str) -> &'static str {
    if theirs == "passive" {
        "active"
    } else {
        "passive"
    }
}

/// Carries out the plan for this m-line of an offer. `usual`: nobody holds.
///
/// # Errors
///
/// When the session refuses.
pub(crate) async fn answer_line(
    line: &mut Line,
    offer: &Description,
    index: usize,
    plan: Plan,
    usual: bool,
) -> Result<(), Error> {
    let (Some(session), Plan::Accept { direction, decoy }) = (&line.session, plan) else {
        return Ok(());
    };
    let text = session_text(offer, index, SESSION_MID, Kind::Offer);
    let text = session.answer(text, direction).await?;
    let shown = Shown {
        mid: &line.mid,
        direction,
        setup: line.setup.as_deref(),
        decoy,
    };
    let section = wire::section_of(&text, shown)?;
    let role = section.attribute("setup").map(str::to_owned);
    line.learn_setup(role.as_deref());
    line.shown = Some(section);
    if usual || line.usual == Direction::Inactive {
        line.usual = direction;
    }
    Ok(())
}
