//! What to answer to each m-line of an offer (protocol section 7.2).

use super::codecs::{self, Medium};
use super::line::Line;
use super::sdp::{Description, Direction, Section};
use crate::call::Wish;
use crate::media::VideoCodec;
use crate::media::feed::SoundCodec;

/// The answer to one m-line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Port 0.
    Reject,
    /// Take it so.
    Accept {
        /// Our direction.
        direction: Direction,
        /// Hide a `sendonly` from the SDK's rewriting.
        decoy: bool,
    },
}

/// What the plan depends on besides the offer.
pub(crate) struct Policy<'a> {
    pub(crate) wish: Wish,
    /// What the camera can encode; empty without camera.
    pub(crate) pictures: &'a [VideoCodec],
    /// The setting of this name.
    pub(crate) decoy: bool,
    /// We hold the far end.
    pub(crate) holding: bool,
}

impl Policy<'_> {
    /// One plan for each m-line of `offer`; `lines` are those known so far.
    pub(crate) fn plans(&self, offer: &Description, lines: &[Line]) -> Vec<Plan> {
        let sections = offer.sections();
        (0..sections.len())
            .map(|index| {
                let medium = Medium::of(sections[index].media());
                // The first line of a medium is the one we use. A third line is
                // what 3.x adds for a picture in the middle of a call.
                let first = sections[..index]
                    .iter()
                    .all(|s| Medium::of(s.media()) != medium);
                match medium {
                    Some(medium) if first => {
                        self.plan(offer, &sections[index], medium, lines.get(index))
                    }
                    _ => Plan::Reject,
                }
            })
            .collect()
    }

    fn plan(
        &self,
        offer: &Description,
        section: &Section,
        medium: Medium,
        line: Option<&Line>,
    ) -> Plan {
        let offered = offer.direction(section);
        if section.port() == 0 || !self.speaks(section, medium) {
            return Plan::Reject;
        }
        if line.is_none_or(|l| !l.is_live()) && offer.is_carried(section) {
            return Plan::Reject;
        }
        // 3.x offers `sendonly` for a line that we rejected when it holds; a
        // session for that makes its unhold fail.
        if line.is_some_and(|l| !l.is_live()) && offered != Direction::SendRecv {
            return Plan::Reject;
        }
        if medium == Medium::Audio && !self.wish.audio {
            return Plan::Reject;
        }
        if medium == Medium::Audio {
            return self.accept(offered, (true, true), false);
        }
        // A line whose picture we took back is kept: it may come again.
        let send = self.wish.send_video;
        if !send && line.is_none_or(|l| !l.is_live()) {
            return Plan::Reject;
        }
        if offer.bundles() {
            return self.accept(offered, (send, self.wish.receive_video), false);
        }
        // No BUNDLE: a 3.x page. What it sends we take, for it makes `sendrecv`
        // of our `sendonly`. And it could not take back a hold on a line on which we
        // do not even promise to send.
        if offered == Direction::RecvOnly && !self.decoy {
            return Plan::Reject;
        }
        self.accept(offered, (true, true), self.decoy)
    }

    fn accept(&self, offered: Direction, (send, receive): (bool, bool), decoy: bool) -> Plan {
        let receive = receive && offered.sends() && !self.holding;
        Plan::Accept {
            direction: Direction::new(send && offered.receives(), receive),
            decoy,
        }
    }

    fn speaks(&self, section: &Section, medium: Medium) -> bool {
        match medium {
            Medium::Audio => SoundCodec::ALL
                .iter()
                .any(|codec| section.payload_type(codecs::sound_name(*codec)).is_some()),
            Medium::Video => self
                .pictures
                .iter()
                .any(|codec| section.payload_type(codecs::name(*codec)).is_some()),
        }
    }
}
