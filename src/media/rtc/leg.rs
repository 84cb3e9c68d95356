//! A leg's media: its m-lines in order, its descriptions, its hold.

mod measured;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use tokio::sync::{mpsc, watch};

use super::codecs::Medium;
use super::figures::Values;
use super::line::{self, Line, opposite_setup};
use super::path::Surveyor;
use super::plan::{Plan, Policy};
use super::sampler::Sampler;
use super::sdp::split::{Kind, session_text};
use super::sdp::wire::{self, Shown};
use super::sdp::{Description, Direction, SdpError, Section};
use super::session::{Make, SESSION_MID, Session};
use super::watcher::Notice;
use super::{Context, Error};
use crate::call::{Digits, Flow, Media, Sdp, Wish};
use crate::clock;
use crate::media::VideoCodec;

/// How long a search for another way has before the next one.
const LOOKING: Duration = Duration::from_secs(5);

/// The media of one leg.
pub(crate) struct Leg {
    context: Arc<Context>,
    /// The camera's codecs when the leg began, best first.
    pictures: Vec<VideoCodec>,
    wish: Wish,
    lines: Vec<Line>,
    /// The `msid` stream of all lines, so that a page makes one stream of them.
    stream: String,
    /// Session id and version of our `o=` line.
    origin: (u64, u64),
    flow: watch::Sender<Flow>,
    notices: mpsc::Sender<Notice>,
    surveyor: Arc<Surveyor>,
    /// The far end insists on BUNDLE (protocol section 7.1): we name a group of the
    /// first live line alone, which it takes, and it goes without the others. A
    /// group that was named once can never be left again, so nobody else gets one.
    grouped: bool,
    /// We hold the far end.
    holding: bool,
    /// The hold of our offer under way.
    offering_hold: Option<bool>,
    /// When the first answer was given or taken.
    answered: Option<Instant>,
    told_connected: bool,
    told_closed: bool,
    /// When the latest search for another way began.
    looked: Option<Instant>,
    values: Values,
    sampler: Sampler,
}

impl Leg {
    /// A leg without lines. It tells what happens to `notices`.
    pub(crate) fn new(context: Arc<Context>, notices: mpsc::Sender<Notice>) -> Self {
        Self {
            pictures: context.pictures.codecs(),
            context,
            wish: Wish {
                audio: false,
                receive_video: false,
                send_video: false,
            },
            lines: Vec::new(),
            stream: format!("doorstation-{:08x}", rand::random::<u32>()),
            // Browsers read it as a signed number of 64 bits.
            origin: (rand::random::<u64>() >> 2, 0),
            flow: watch::Sender::new(Flow::default()),
            notices,
            surveyor: Arc::default(),
            grouped: false,
            holding: false,
            offering_hold: None,
            answered: None,
            told_connected: false,
            told_closed: false,
            looked: None,
            values: Values::new(),
            sampler: Sampler::default(),
        }
    }

    /// Makes the first offer: sound, and a picture if it is wished and there is
    /// a camera.
    ///
    /// # Errors
    ///
    /// When a session cannot be made, or there is no network.
    pub(crate) async fn offer(&mut self, wish: Wish) -> Result<Sdp, Error> {
        let began = clock::now();
        self.wish = wish;
        let mut lines = Vec::new();
        if wish.audio {
            let direction = Direction::SendRecv;
            lines.push(Line::offered("0".into(), Medium::Audio, direction));
        }
        if wish.send_video && !self.pictures.is_empty() {
            let direction = Direction::new(true, wish.receive_video);
            lines.push(Line::offered("1".into(), Medium::Video, direction));
        }
        if lines.is_empty() {
            return Err(Error::NoMedia);
        }
        let sessions = lines.iter().enumerate().filter_map(|(index, line)| {
            let medium = line.medium?;
            Some(self.session(index, medium))
        });
        let sessions = try_join_all(sessions).await?;
        for (line, session) in lines.iter_mut().zip(sessions) {
            line.session = Some(session);
        }
        self.lines = lines;
        let offer = self.offer_lines(false).await?;
        self.took("offer_ms", began);
        Ok(offer)
    }

    /// Offers anew over the same sessions: to hold, or to take back.
    ///
    /// # Errors
    ///
    /// When there is no session, or one refuses.
    pub(crate) async fn reoffer(&mut self, hold: bool) -> Result<Sdp, Error> {
        if !self.lines.iter().any(Line::is_live) {
            return Err(Error::NoSession("offer with"));
        }
        if let Some(index) = self.lines.iter().position(Line::is_new) {
            let session = self.session(index, Medium::Video).await?;
            self.lines[index].session = Some(session);
        }
        self.offer_lines(hold).await
    }

    /// Our picture is part of the next offer, or is not. Where there never was a line
    /// for it, one is added; a line that the far end rejected stays rejected.
    pub(crate) fn set_picture(&mut self, on: bool) {
        self.wish.send_video = on;
        let filmed = !self.pictures.is_empty();
        line::want_picture(&mut self.lines, self.wish, filmed);
    }

    async fn offer_lines(&mut self, hold: bool) -> Result<Sdp, Error> {
        let texts = join_all(self.lines.iter_mut().map(|line| async move {
            let Some(session) = &line.session else {
                return Ok(());
            };
            if std::mem::take(&mut line.away) {
                session.look_for_another_way().await?;
            }
            line.offered = if hold {
                Direction::SendOnly
            } else {
                line.usual
            };
            let text = session.offer(line.offered).await?;
            let shown = Shown {
                mid: &line.mid,
                direction: line.offered,
                setup: None,
                decoy: false,
            };
            line.shown = Some(wire::section_of(&text, shown)?);
            Ok(())
        }))
        .await;
        texts.into_iter().collect::<Result<(), Error>>()?;
        self.offering_hold = Some(hold);
        Ok(self.join())
    }

    /// Takes the far end's answer to the latest offer; tells whether it holds us.
    ///
    /// # Errors
    ///
    /// When it makes no sense, or leaves nothing.
    pub(crate) async fn apply(&mut self, answer: &Sdp) -> Result<bool, Error> {
        let answer = Description::parse(answer.as_str())?;
        tracing::debug!(?answer, "answer taken");
        if answer.sections().len() != self.lines.len() {
            return Err(Error::Description(SdpError::Mismatch {
                offered: self.lines.len(),
                answered: answer.sections().len(),
            }));
        }
        self.answered.get_or_insert_with(clock::now);
        let mut rejected = Vec::new();
        let mut applied = Vec::new();
        for (index, (line, section)) in self.lines.iter_mut().zip(answer.sections()).enumerate() {
            if section.port() == 0 {
                rejected.extend(line.reject());
            } else if line.is_live() {
                line.learn_setup(section.attribute("setup").map(opposite_setup));
                let text = session_text(&answer, index, SESSION_MID, Kind::Answer);
                let sending = line.offered.sends() && answer.direction(section).receives();
                applied.push((&*line, text, sending));
            }
        }
        let results = join_all(applied.into_iter().map(|(line, text, sending)| async move {
            match &line.session {
                Some(session) => session.apply(text, sending).await,
                None => Ok(()),
            }
        }))
        .await;
        for session in rejected {
            self.retire(session).await;
        }
        results.into_iter().collect::<Result<(), Error>>()?;
        if !self.lines.iter().any(Line::is_live) {
            return Err(Error::Rejected);
        }
        if let Some(hold) = self.offering_hold.take() {
            self.holding = hold;
        }
        Ok(answer.holds())
    }

    /// Answers the far end's first offer; tells whether it holds us.
    ///
    /// # Errors
    ///
    /// When it makes no sense, or there is nothing in common.
    pub(crate) async fn answer(&mut self, offer: &Sdp, wish: Wish) -> Result<(Sdp, bool), Error> {
        let began = clock::now();
        self.wish = wish;
        let answer = self.reanswer(offer).await?;
        self.took("answer_ms", began);
        Ok(answer)
    }

    /// Answers an offer over the same sessions; lines may come and go.
    ///
    /// # Errors
    ///
    /// As [`Leg::answer`].
    pub(crate) async fn reanswer(&mut self, offer: &Sdp) -> Result<(Sdp, bool), Error> {
        let offer = Description::parse(offer.as_str())?;
        tracing::debug!(?offer, "offer taken");
        let sections = offer.sections();
        // The far end does not know a line of ours that it never answered.
        while self.lines.len() > sections.len()
            && self.lines.last().is_some_and(Line::is_unanswered)
        {
            if let Some(session) = self.lines.pop().and_then(|line| line.session) {
                self.retire(session).await;
            }
        }
        if sections.len() < self.lines.len() {
            return Err(Error::Description(SdpError::Mismatch {
                offered: sections.len(),
                answered: self.lines.len(),
            }));
        }
        let policy = Policy {
            wish: self.wish,
            pictures: &self.pictures,
            decoy: self.context.settings.decoy,
            holding: self.holding,
        };
        let plans = policy.plans(&offer, &self.lines);
        let known = self.lines.len();
        line::name_lines(&mut self.lines, sections);
        let held = offer.holds();
        if let Err(error) = self.answer_lines(&offer, &plans, held).await {
            // The far end takes a refused offer back, with the lines that it added.
            for line in self.lines.split_off(known) {
                if let Some(session) = line.session {
                    self.retire(session).await;
                }
            }
            return Err(error);
        }
        self.offering_hold = None;
        self.answered.get_or_insert_with(clock::now);
        self.grouped |= sections.iter().zip(&plans).any(|(section, plan)| {
            *plan == Plan::Reject && section.port() != 0 && offer.is_carried(section)
        });
        Ok((self.join(), held))
    }

    /// Carries out `plans`, one for each m-line of `offer`.
    async fn answer_lines(
        &mut self,
        offer: &Description,
        plans: &[Plan],
        held: bool,
    ) -> Result<(), Error> {
        self.open_and_close(plans).await?;
        let usual = !held && !self.holding;
        let answers = join_all(self.lines.iter_mut().enumerate().map(|(index, line)| {
            let plan = plans[index];
            async move { line.answer(offer, index, plan, usual).await }
        }))
        .await;
        answers.into_iter().collect::<Result<(), Error>>()?;
        for (line, section) in self.lines.iter_mut().zip(offer.sections()) {
            if !line.is_live() {
                line.shown = Some(section.clone());
            }
        }
        if self.lines.iter().any(Line::is_live) {
            Ok(())
        } else {
            Err(Error::NothingInCommon)
        }
    }

    /// Makes the sessions that the plans need, and closes those that they end.
    async fn open_and_close(&mut self, plans: &[Plan]) -> Result<(), Error> {
        let wanted: Vec<(usize, Medium)> = self
            .lines
            .iter()
            .enumerate()
            .filter(|(index, line)| plans[*index] != Plan::Reject && !line.is_live())
            .filter_map(|(index, line)| Some((index, line.medium?)))
            .collect();
        let opened = wanted
            .iter()
            .map(|(index, medium)| self.session(*index, *medium));
        let opened = try_join_all(opened).await?;
        for ((index, _), session) in wanted.into_iter().zip(opened) {
            self.lines[index].session = Some(session);
        }
        let ended: Vec<Session> = self
            .lines
            .iter_mut()
            .zip(plans)
            .filter(|(_, plan)| **plan == Plan::Reject)
            .filter_map(|(line, _)| line.reject())
            .collect();
        for session in ended {
            self.retire(session).await;
        }
        Ok(())
    }

    async fn session(&self, line: usize, medium: Medium) -> Result<Session, Error> {
        let make = Make {
            medium,
            pictures: &self.pictures,
            stream: &self.stream,
            line,
            surveyor: &self.surveyor,
            flow: self.flow.subscribe(),
            notices: self.notices.clone(),
        };
        Session::new(&self.context, make).await
    }

    /// One description of all lines. A rejected one borrows the transport of the
    /// sound.
    fn join(&mut self) -> Sdp {
        let live = || self.lines.iter().filter(|l| l.is_live());
        let carrier = live()
            .find(|l| l.medium == Some(Medium::Audio))
            .or_else(|| live().next());
        let transport = carrier.and_then(|l| l.shown.as_ref());
        let group: Vec<&str> = carrier
            .filter(|_| self.grouped)
            .map(|l| l.mid.as_str())
            .into_iter()
            .collect();
        let sections: Vec<Section> = self
            .lines
            .iter()
            .filter_map(|line| {
                let shown = line.shown.as_ref()?;
                Some(if line.is_live() {
                    shown.clone()
                } else {
                    wire::rejection(shown, &line.mid, transport)
                })
            })
            .collect();
        let (id, version) = (self.origin.0, self.origin.1 + 1);
        let text = wire::join(id, version, &group, &sections);
        self.origin.1 = version;
        Sdp::new(text)
    }

    /// Lets media through, or stops it.
    pub(crate) fn set_flow(&self, flow: Flow) {
        self.flow.send_replace(flow);
    }

    /// Sends digits in the sound.
    ///
    /// # Errors
    ///
    /// When the far end takes none.
    pub(crate) fn send_digits(&self, digits: Digits) -> Result<(), Error> {
        let sessions = self.lines.iter().filter_map(|line| line.session.as_ref());
        let mut sounds = sessions.filter(|session| session.medium == Medium::Audio);
        let sound = sounds.next().ok_or(Error::NoDigits)?;
        sound.send_digits(digits)
    }

    /// What a notice means for the whole leg.
    pub(crate) fn note(&mut self, notice: Notice) -> Option<Media> {
        match notice {
            Notice::Connected(index) => {
                if let Some(line) = self.lines.get_mut(index) {
                    line.connected = line.is_live();
                }
                self.connected()
            }
            Notice::Away(index) => {
                self.lines.get(index).filter(|line| line.is_live())?;
                self.away()
            }
            Notice::Lost(index, reason) => {
                let line = self.lines.get(index)?;
                let medium = line.medium.map_or("media", Medium::name);
                (line.is_live() && !line.closed_by_peer)
                    .then(|| Media::Lost(format!("{reason} ({medium})")))
            }
            Notice::Closed(index) => {
                if let Some(line) = self.lines.get_mut(index) {
                    line.closed_by_peer = line.is_live();
                }
                let all = self.all_live(|line| line.closed_by_peer);
                (all && !std::mem::replace(&mut self.told_closed, true))
                    .then_some(Media::FarEndClosed)
            }
            Notice::Digit(digit) => Some(Media::Digit(digit)),
            Notice::FirstPictureSent => Some(Media::FirstPictureSent),
            Notice::FirstSound => Some(Media::FirstSound),
        }
    }

    /// One line's way is gone: the others' are likely to be, and notice it a moment
    /// later.
    fn away(&mut self) -> Option<Media> {
        let now = clock::now();
        let looking = self.looked.is_some_and(|then| now < then + LOOKING);
        if looking {
            return None;
        }
        self.looked = Some(now);
        for line in self.lines.iter_mut().filter(|line| line.is_live()) {
            line.away = true;
        }
        Some(Media::Away)
    }

    /// `Connected`, once, when every live line is. A line that is given up can
    /// make it true as well.
    pub(crate) fn connected(&mut self) -> Option<Media> {
        if self.told_connected || !self.all_live(|line| line.connected) {
            return None;
        }
        self.told_connected = true;
        if let Some(answered) = self.answered {
            self.took("connect_ms", answered);
        }
        Some(Media::Connected)
    }

    fn all_live(&self, holds: impl Fn(&Line) -> bool) -> bool {
        let mut live = self.lines.iter().filter(|l| l.is_live()).peekable();
        live.peek().is_some() && live.all(holds)
    }
}
