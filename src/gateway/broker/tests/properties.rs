//! Whatever clients do in whatever order: every leg that heard of a call hears its
//! end once, ringing comes before the answer, and nothing stays behind.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// One step of one of four clients (two of them of the same user).
#[derive(Clone, Debug)]
enum Step {
    Call(usize, usize),
    Ringing(usize),
    Answer(usize),
    Reject(usize),
    Forward(usize, usize),
    End(usize, usize),
    Offer(usize, usize),
    Respond(usize, usize),
    Lose(usize),
    Reopen(usize),
    Renew(usize),
    Unsubscribe(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..4usize;
    let leg = 0..4usize;
    prop_oneof![
        4 => (who.clone(), 0..3usize).prop_map(|(who, to)| Step::Call(who, to)),
        2 => who.clone().prop_map(Step::Ringing),
        4 => who.clone().prop_map(Step::Answer),
        1 => who.clone().prop_map(Step::Reject),
        1 => (who.clone(), 0..3usize).prop_map(|(who, to)| Step::Forward(who, to)),
        2 => (who.clone(), leg.clone()).prop_map(|(who, leg)| Step::End(who, leg)),
        2 => (who.clone(), leg.clone()).prop_map(|(who, leg)| Step::Offer(who, leg)),
        2 => (who.clone(), leg).prop_map(|(who, leg)| Step::Respond(who, leg)),
        1 => who.clone().prop_map(Step::Lose),
        2 => who.clone().prop_map(Step::Reopen),
        2 => who.clone().prop_map(Step::Renew),
        1 => who.prop_map(Step::Unsubscribe),
        3 => (1..90_000u64).prop_map(Step::Pass),
    ]
}

/// A client as it sees itself.
struct Watcher {
    client: Client,
    /// Legs that it made or was offered, newest last.
    legs: Vec<String>,
    /// All that it has received, without repeats.
    heard: Vec<Notification>,
    seen: BTreeSet<String>,
}

impl Watcher {
    fn listen(&mut self, world: &mut World) {
        for notification in world.received(&self.client) {
            if !self.seen.insert(notification.event_id.clone()) {
                continue;
            }
            if notification.event_type == EventType::Call {
                let session = notification.session_params.clone().unwrap();
                self.legs.push(session.session_data);
            }
            self.heard.push(notification);
        }
    }

    /// The `back`th last leg, or one that never was.
    fn leg(&self, back: usize) -> String {
        let leg = self.legs.iter().rev().nth(back);
        leg.cloned().unwrap_or_else(|| "none".to_owned())
    }

    fn story_of(&self, leg: &str) -> Vec<&EventType> {
        let of_leg = |n: &&Notification| {
            let session = n.session_params.as_ref();
            session.is_some_and(|session| session.session_data == leg)
        };
        let events = self.heard.iter().filter(of_leg);
        events.map(|n| &n.event_type).collect()
    }
}

const USERS: [&str; 4] = [DOOR, ALICE, ALICE, BOB];
const CALLEES: [&str; 3] = [DOOR, ALICE, "nobody@demo.local"];

fn take(world: &mut World, watchers: &mut [Watcher], step: Step) {
    let update = |text: &str| Some(text.to_owned());
    match step {
        Step::Call(who, to) => {
            let watcher = &mut watchers[who];
            if let Reply::Started { leg } = world.try_call(&watcher.client, CALLEES[to]) {
                watcher.legs.push(leg);
            }
        }
        Step::Ringing(who) => {
            let leg = watchers[who].leg(0);
            world.control(&watchers[who].client, &leg, CallControlRequest::Ringing {});
        }
        Step::Answer(who) => {
            let leg = watchers[who].leg(0);
            world.answer(&watchers[who].client, &leg);
        }
        Step::Reject(who) => {
            let leg = watchers[who].leg(0);
            world.request(USERS[who], Request::Reject { leg });
        }
        Step::Forward(who, to) => {
            let (leg, to) = (watchers[who].leg(0), CALLEES[to].to_owned());
            world.request(USERS[who], Request::Forward { leg, to });
        }
        Step::End(who, back) => {
            let leg = watchers[who].leg(back);
            world.end(&watchers[who].client, &leg);
        }
        Step::Offer(who, back) => {
            let leg = watchers[who].leg(back);
            let sdp = update("offer");
            let request = CallControlRequest::StartCallUpdate { sdp };
            world.control(&watchers[who].client, &leg, request);
        }
        Step::Respond(who, back) => {
            let leg = watchers[who].leg(back);
            let sdp = update("answer");
            let request = CallControlRequest::RespondCallUpdate { sdp };
            world.control(&watchers[who].client, &leg, request);
        }
        Step::Lose(who) => world.lose(&watchers[who].client.clone()),
        Step::Reopen(who) => {
            watchers[who].listen(world);
            let channel = watchers[who].client.channel.clone();
            match world.open(&channel) {
                Some(socket) => watchers[who].client.socket = socket,
                // A new subscription starts afresh: what was told to the others
                // before it existed cannot be expected of it.
                None => {
                    watchers[who].client = world.subscribe(USERS[who]);
                    watchers[who].legs.clear();
                }
            }
        }
        Step::Renew(who) => {
            let name = SubscriptionName::Id(watchers[who].client.channel.clone());
            let wishes = Wishes {
                expires: Duration::from_secs(300),
                ..Wishes::default()
            };
            world.request(USERS[who], Request::Renew(name, wishes));
        }
        Step::Unsubscribe(who) => {
            let name = SubscriptionName::Id(watchers[who].client.channel.clone());
            world.request(USERS[who], Request::Unsubscribe(name));
        }
        Step::Pass(milliseconds) => world.pass(Duration::from_millis(milliseconds)),
    }
    for watcher in watchers {
        watcher.listen(world);
    }
}

fn check(watcher: &Watcher) {
    for leg in &watcher.legs {
        let story = watcher.story_of(leg);
        let count = |event: EventType| story.iter().filter(|e| ***e == event).count();
        let place = |event: EventType| story.iter().position(|e| **e == event);
        let over = count(EventType::CallEnd) + count(EventType::CallCancel);
        assert!(over <= 1, "{leg} ended {over} times: {story:?}");
        assert!(count(EventType::Ringing) <= 1, "{story:?}");
        assert!(count(EventType::Call) <= 1, "{story:?}");
        let answered = place(EventType::RespondCallUpdate);
        let is_caller = count(EventType::Call) == 0;
        if let (true, Some(answered)) = (is_caller, answered) {
            let ringing = place(EventType::Ringing);
            assert!(ringing.is_some_and(|at| at < answered), "{story:?}");
        }
        if let Some(end) = place(EventType::CallEnd) {
            assert_eq!(end + 1, story.len(), "something after the end: {story:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_call_ends_once_for_everybody(
        steps in prop::collection::vec(step(), 1..80)
    ) {
        let mut world = World::new();
        let mut watchers = USERS.map(|user| Watcher {
            client: world.subscribe(user),
            legs: Vec::new(),
            heard: Vec::new(),
            seen: BTreeSet::new(),
        });
        for step in steps {
            take(&mut world, &mut watchers, step);
        }
        // Nobody audits any more, nobody renews.
        world.pass(Duration::from_secs(10));
        for watcher in &mut watchers {
            watcher.listen(&mut world);
            check(watcher);
        }
        world.pass(Duration::from_secs(3 * 3600));
        prop_assert_eq!(world.broker.calls(), 0);
        prop_assert_eq!(world.broker.deadline(), None);
    }
}
