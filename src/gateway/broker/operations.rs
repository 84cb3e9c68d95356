//! What users do with calls (section 5).

use std::time::Instant;

use super::calls::{Announcement, Call, CallKey, Fork, PendingOffer, Stage};
use super::notice::{self, Ending, Parties, Party, Side};
use super::{Broker, Refusal, Reply, Start};
use crate::wire::{CallControlRequest, CustomParameter, EventType, address};

/// A call that was forwarded this often goes round in circles.
const MAX_FORWARDS: u8 = 4;
/// Free name/value pairs of one request, and the bytes of all of them.
const MAX_CUSTOM_PARAMETERS: usize = 32;
const MAX_CUSTOM_BYTES: usize = 8 * 1024;
/// Characters of a name or a reason that are shown to people, and of an address.
const MAX_SHOWN: usize = 128;

impl Broker {
    /// 5.1. The reply comes before anything rings: whom it cannot reach, the caller
    /// learns from `callEnd`.
    pub(super) fn start(
        &mut self,
        user: &str,
        start: Start,
        now: Instant,
    ) -> Result<Reply, Refusal> {
        self.check_sdp(start.sdp.as_deref())?;
        check_custom(&start.custom_parameters)?;
        if self.registrations.of_user(user).is_empty() {
            return Err(Refusal::NoSubscription);
        }
        if self.calls.len() >= self.rules.max_calls {
            return Err(Refusal::NoRoom);
        }
        self.registrations.reply_first(user, now);
        let parties = self.parties(user, &start);
        let leg = self.registrations.ids.leg();
        match self.ring(user, &start.to) {
            Ok(forks) => {
                self.announce_call(&parties, &forks, &start, now);
                self.calls.add(Call {
                    parties,
                    caller_leg: leg.clone(),
                    forks,
                    stage: self.ringing(now),
                    offer: start.sdp,
                    forwards: 0,
                });
            }
            Err(ending) => {
                let end = notice::call_end(&parties, Side::Caller, &leg, &ending);
                self.registrations.tell_user(user, &end, now);
                self.calls.remember_ended(leg.clone(), user.to_owned());
            }
        }
        Ok(Reply::Started { leg })
    }

    fn ringing(&self, now: Instant) -> Stage {
        Stage::Ringing {
            until: now + self.rules.ring_time,
            announcement: Announcement::Undelivered,
        }
    }

    fn parties(&self, user: &str, start: &Start) -> Parties {
        let mut caller = self.party(user);
        if let Some(name) = &start.display_name {
            caller.name = shown(name);
        }
        Parties {
            caller,
            callee: self.party(&start.to),
        }
    }

    /// How `text` is shown: as the directory has it, else as the client wrote it.
    fn party(&self, text: &str) -> Party {
        match self.directory.find(text) {
            Some(person) => Party {
                address: person.address.clone(),
                name: person.name.clone(),
            },
            None => {
                let address = shown(address::bare(text));
                let name = address.split('@').next().unwrap_or_default().to_owned();
                Party { address, name }
            }
        }
    }

    /// A leg for each client of the user that `to` means, or why there is none.
    fn ring(&mut self, caller: &str, to: &str) -> Result<Vec<Fork>, Ending> {
        let callee = self.directory.find(to).ok_or_else(Ending::unknown)?;
        let subscriptions = self.registrations.of_user(&callee.address);
        if subscriptions.is_empty() {
            return Err(Ending::unavailable());
        }
        // Whoever calls is not free to answer.
        if callee.address == caller || self.calls.of_user(&callee.address) >= callee.max_calls {
            return Err(Ending::busy());
        }
        let fork = |subscription| Fork {
            leg: self.registrations.ids.leg(),
            subscription,
            user: callee.address.clone(),
        };
        Ok(subscriptions.into_iter().map(fork).collect())
    }

    fn announce_call(&mut self, parties: &Parties, forks: &[Fork], start: &Start, now: Instant) {
        for fork in forks {
            let sdp = start.sdp.clone();
            let custom = start.custom_parameters.clone();
            let call = notice::call(parties, &fork.leg, sdp, custom);
            self.registrations.tell(&fork.subscription, call, now);
        }
    }

    /// 5.3: tells the caller, once, that the callee rings.
    pub(super) fn announce(&mut self, key: CallKey, now: Instant) {
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        let Stage::Ringing { announcement, .. } = &mut call.stage else {
            return;
        };
        if std::mem::replace(announcement, Announcement::Made) == Announcement::Made {
            return;
        }
        let ringing = notice::notice(
            EventType::Ringing,
            &call.parties,
            Side::Caller,
            &call.caller_leg,
        );
        let caller = call.parties.caller.address.clone();
        self.registrations.tell_user(&caller, &ringing, now);
    }

    /// 5.3, 5.4, 5.7 to 5.9, 5.11 and 5.12.
    pub(super) fn control(
        &mut self,
        user: &str,
        leg: &str,
        request: CallControlRequest,
        now: Instant,
    ) -> Result<Reply, Refusal> {
        let (owner, call) = self.calls.find(user, leg).ok_or(Refusal::NoSession)?;
        let (key, side) = (owner.call, owner.side);
        if let Stage::Up {
            caller_heard,
            callee_heard,
            ..
        } = &mut call.stage
        {
            match side {
                Side::Caller => *caller_heard = now,
                Side::Callee => *callee_heard = now,
            }
        }
        match request {
            CallControlRequest::CallStart { .. } => Err(Refusal::WrongState),
            CallControlRequest::Ringing {} => {
                if side == Side::Callee {
                    self.announce(key, now);
                }
                Ok(Reply::Done)
            }
            CallControlRequest::CallAnswer {
                sdp,
                custom_parameters,
            } => self.answer(key, side, leg, sdp, custom_parameters, now),
            CallControlRequest::StartCallUpdate { sdp } => self.offer(key, side, sdp, now),
            CallControlRequest::RespondCallUpdate { sdp } => self.respond(key, side, sdp, now),
            CallControlRequest::UpdateIceCandidate { ice_candidates } => {
                self.trickle(key, side, ice_candidates, now)
            }
            // There is no event that carries custom headers alone (5.12), and an
            // audit is over with being heard.
            CallControlRequest::Audit {} | CallControlRequest::SendCustomHeaders { .. } => {
                Ok(Reply::Done)
            }
        }
    }

    /// 5.4.
    fn answer(
        &mut self,
        key: CallKey,
        side: Side,
        leg: &str,
        sdp: Option<String>,
        custom: Vec<CustomParameter>,
        now: Instant,
    ) -> Result<Reply, Refusal> {
        self.check_sdp(sdp.as_deref())?;
        check_custom(&custom)?;
        if sdp.as_ref().is_none_or(String::is_empty) {
            return Err(Refusal::Incomplete);
        }
        let call = self.calls.get_mut(key).ok_or(Refusal::NoSession)?;
        if side == Side::Caller {
            return Err(Refusal::WrongState);
        }
        if call.is_up() {
            // The same answer once more: its reply was lost.
            return Ok(Reply::Done);
        }
        self.announce(key, now);

        let call = self.calls.get_mut(key).ok_or(Refusal::NoSession)?;
        let slow = call.offer.is_none();
        call.stage = Stage::Up {
            pending: slow.then(|| PendingOffer::new(Side::Callee, false, now)),
            caller_heard: now,
            callee_heard: now,
        };
        let parties = call.parties.clone();
        let caller_leg = call.caller_leg.clone();
        let winner: Vec<_> = call
            .forks
            .iter()
            .filter(|fork| fork.leg == leg)
            .cloned()
            .collect();
        let mut answered = notice::with_sdp(
            notice::notice(
                EventType::RespondCallUpdate,
                &parties,
                Side::Caller,
                &caller_leg,
            ),
            sdp,
        );
        answered.custom_parameters = custom;
        let caller = &parties.caller.address;
        self.registrations.tell_user(caller, &answered, now);
        let losers = self.calls.replace_forks(key, winner);
        self.cancel_forks(&parties, &losers, now);
        Ok(Reply::Done)
    }

    fn cancel_forks(&mut self, parties: &Parties, forks: &[Fork], now: Instant) {
        for fork in forks {
            let cancel = notice::notice(EventType::CallCancel, parties, Side::Callee, &fork.leg);
            self.registrations.tell(&fork.subscription, cancel, now);
        }
    }

    /// 5.5. One client rejects for all the callee's clients.
    pub(super) fn reject(&mut self, user: &str, leg: &str, now: Instant) -> Result<Reply, Refusal> {
        let key = self.ringing_fork(user, leg)?;
        self.finish(key, &Ending::declined(), now);
        Ok(Reply::Done)
    }

    /// 5.5. The callee's clients stop ringing, those of `to` begin.
    pub(super) fn forward(
        &mut self,
        user: &str,
        leg: &str,
        to: &str,
        now: Instant,
    ) -> Result<Reply, Refusal> {
        let key = self.ringing_fork(user, leg)?;
        let call = self.calls.get_mut(key).ok_or(Refusal::NoSession)?;
        let caller = call.parties.caller.address.clone();
        let parties = call.parties.clone();
        let start = Start {
            display_name: None,
            to: to.to_owned(),
            sdp: call.offer.clone(),
            custom_parameters: Vec::new(),
        };
        call.forwards += 1;
        if call.forwards > MAX_FORWARDS {
            self.finish(key, &Ending::busy(), now);
            return Ok(Reply::Done);
        }
        let forks = match self.ring(&caller, to) {
            Ok(forks) => forks,
            Err(ending) => {
                self.finish(key, &ending, now);
                return Ok(Reply::Done);
            }
        };
        let old = self.calls.replace_forks(key, forks.clone());
        let (forwarder, others): (Vec<_>, Vec<_>) =
            old.into_iter().partition(|fork| fork.leg == leg);
        self.cancel_forks(&parties, &others, now);
        for fork in forwarder {
            let ending = Ending::hung_up(Some("Call Forwarded".to_owned()));
            let end = notice::call_end(&parties, Side::Callee, &fork.leg, &ending);
            self.registrations.tell(&fork.subscription, end, now);
        }
        self.announce_call(&parties, &forks, &start, now);
        let fresh_until = now + self.rules.ring_time;
        if let Some(Stage::Ringing { until, .. }) =
            self.calls.get_mut(key).map(|call| &mut call.stage)
        {
            *until = fresh_until;
        }
        Ok(Reply::Done)
    }

    fn ringing_fork(&mut self, user: &str, leg: &str) -> Result<CallKey, Refusal> {
        let (owner, call) = self.calls.find(user, leg).ok_or(Refusal::NoSession)?;
        if owner.side == Side::Caller || call.is_up() {
            return Err(Refusal::WrongState);
        }
        Ok(owner.call)
    }

    /// 5.6.
    pub(super) fn end(
        &mut self,
        user: &str,
        leg: &str,
        reason: Option<String>,
        now: Instant,
    ) -> Result<Reply, Refusal> {
        let Some((owner, call)) = self.calls.find(user, leg) else {
            let was = self.calls.was(user, leg);
            return was.then_some(Reply::Done).ok_or(Refusal::NoSession);
        };
        let ending = match (call.is_up(), owner.side) {
            (true, _) => Ending::hung_up(reason.as_deref().map(shown)),
            (false, Side::Caller) => Ending::cancelled(),
            (false, Side::Callee) => Ending::declined(),
        };
        self.finish(owner.call, &ending, now);
        Ok(Reply::Done)
    }

    /// 5.10.
    pub(super) fn state(&mut self, user: &str, leg: &str) -> Result<Reply, Refusal> {
        let found = self.calls.find(user, leg);
        let (_, call) = found.ok_or(Refusal::SessionExpired)?;
        Ok(Reply::State(match call.stage {
            Stage::Ringing { .. } => "RINGING",
            Stage::Up { .. } => "ANSWERED",
        }))
    }

    /// Ends a call: `callEnd` to every leg of it, whoever ended it (section 5.6).
    pub(super) fn finish(&mut self, key: CallKey, ending: &Ending, now: Instant) {
        let Some(call) = self.calls.remove(key) else {
            return;
        };
        let end = |side, leg: &str| notice::call_end(&call.parties, side, leg, ending);
        self.registrations.tell_user(
            &call.parties.caller.address,
            &end(Side::Caller, &call.caller_leg),
            now,
        );
        for fork in &call.forks {
            let notification = end(Side::Callee, &fork.leg);
            self.registrations
                .tell(&fork.subscription, notification, now);
        }
    }

    pub(super) fn check_sdp(&self, sdp: Option<&str>) -> Result<(), Refusal> {
        match sdp {
            Some(sdp) if sdp.len() > self.rules.max_sdp => Err(Refusal::TooLarge),
            Some(_) | None => Ok(()),
        }
    }
}

fn check_custom(parameters: &[CustomParameter]) -> Result<(), Refusal> {
    let bytes: usize = parameters
        .iter()
        .map(|parameter| parameter.name.len() + parameter.value.len())
        .sum();
    let fits = parameters.len() <= MAX_CUSTOM_PARAMETERS && bytes <= MAX_CUSTOM_BYTES;
    if fits { Ok(()) } else { Err(Refusal::TooLarge) }
}

/// `text` without control characters, cut to what fits a screen.
fn shown(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MAX_SHOWN)
        .collect()
}
