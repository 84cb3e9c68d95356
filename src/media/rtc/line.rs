//! One m-line of a leg: live with a session, or rejected.

use super::Error;
use super::codecs::Medium;
use super::plan::Plan;
use super::sdp::split::{Kind, session_text};
use super::sdp::wire::{self, Shown};
use super::sdp::{Description, Direction, Section};
use super::session::{SESSION_MID, Session};
use crate::call::Wish;

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

    /// It was added and never offered.
    pub(crate) fn is_new(&self) -> bool {
        self.session.is_none() && self.shown.is_none()
    }

    pub(crate) fn is_live(&self) -> bool {
        self.session.is_some()
    }

    /// It was offered, and the far end has not answered.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.session.is_some() && self.setup.is_none()
    }

    /// Answers m-line `index` of `offer` as planned; `usual`: nobody holds.
    ///
    /// # Errors
    ///
    /// When the session refuses the offer.
    pub(crate) async fn answer(
        &mut self,
        offer: &Description,
        index: usize,
        plan: Plan,
        usual: bool,
    ) -> Result<(), Error> {
        let (Some(session), Plan::Accept { direction, decoy }) = (&self.session, plan) else {
            return Ok(());
        };
        let text = session_text(offer, index, SESSION_MID, Kind::Offer);
        let text = session.answer(text, direction).await?;
        let shown = Shown {
            mid: &self.mid,
            direction,
            setup: self.setup.as_deref(),
            decoy,
        };
        let section = wire::section_of(&text, shown)?;
        let role = section.attribute("setup").map(str::to_owned);
        self.learn_setup(role.as_deref());
        self.shown = Some(section);
        if usual || self.usual == Direction::Inactive {
            self.usual = direction;
        }
        Ok(())
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

/// Our picture is part of the next offer, or is not. Where there never was a line for it
/// and something is `filmed`, one is added; a line that the far end rejected stays so.
pub(crate) fn want_picture(lines: &mut Vec<Line>, wish: Wish, filmed: bool) {
    let mut videos = lines.iter_mut();
    match videos.find(|line| line.medium == Some(Medium::Video)) {
        Some(line) => line.usual = Direction::new(wish.send_video, line.usual.receives()),
        None if wish.send_video && filmed => {
            let direction = Direction::new(true, wish.receive_video);
            lines.push(Line::offered(free_mid(lines), Medium::Video, direction));
        }
        None => {}
    }
}

/// Takes over the names of lines that are not live: a browser that uses a
/// rejected m-line again gives it a new name, and perhaps another medium
/// (RFC 9429, section 5.2.2).
pub(crate) fn name_lines(lines: &mut Vec<Line>, sections: &[Section]) {
    for (index, section) in sections.iter().enumerate() {
        let mid = section.attribute("mid").map(str::to_owned);
        let medium = Medium::of(section.media());
        match lines.get_mut(index) {
            None => {
                let mid = mid.unwrap_or_else(|| index.to_string());
                lines.push(Line::rejected(mid, medium));
            }
            Some(line) if !line.is_live() => {
                line.mid = mid.unwrap_or_else(|| line.mid.clone());
                line.medium = medium;
            }
            Some(_) => {}
        }
    }
}

/// A name that no line has.
fn free_mid(lines: &[Line]) -> String {
    let taken = |mid: &String| lines.iter().any(|line| line.mid == *mid);
    let mut names = (lines.len()..).map(|n| n.to_string());
    // There are fewer lines than numbers.
    names.find(|mid| !taken(mid)).unwrap_or_default()
}
