//! The broker in virtual time: one story a test.

mod calls;
mod properties;
mod registrations;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{
    Broker, Close, Directory, Event, Granted, Ids, Output, Person, Refusal, Reply, Request, Rules,
    SocketId, Start, SubscriptionName, Wishes,
};
use crate::clock;
use crate::wire::{CallControlRequest, EventType, Notification};

const ALICE: &str = "alice@demo.local";
const BOB: &str = "bob@demo.local";
const DOOR: &str = "door@demo.local";
const RING_TIME: Duration = Duration::from_secs(60);

/// Ids that count up.
#[derive(Default)]
struct Counting(u64);

impl Counting {
    fn next(&mut self, kind: &str) -> String {
        self.0 += 1;
        format!("{kind}{}", self.0)
    }
}

impl Ids for Counting {
    fn leg(&mut self) -> String {
        self.next("leg")
    }

    fn channel(&mut self) -> String {
        self.next("channel")
    }

    fn event(&mut self) -> String {
        self.next("event")
    }
}

/// A broker, the time, and what its clients have received.
struct World {
    broker: Broker,
    now: Instant,
    next_socket: u64,
    received: BTreeMap<SocketId, Vec<Notification>>,
    closed: Vec<(SocketId, Close)>,
    last_sequence: BTreeMap<SocketId, u64>,
}

/// A client with its subscription and socket.
#[derive(Clone)]
struct Client {
    user: &'static str,
    channel: String,
    socket: SocketId,
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Rules)) -> Self {
        let person = |address: &str, max_calls| Person {
            address: address.to_owned(),
            name: address.split('@').next().unwrap().to_owned(),
            max_calls,
        };
        let people = [person(ALICE, 2), person(BOB, 2), person(DOOR, 1)];
        let mut rules = Rules {
            ring_time: RING_TIME,
            grant_expires: Duration::from_secs(60)..=Duration::from_secs(3600),
            max_sdp: 64 * 1024,
            max_calls: 100,
            max_subscriptions: 32,
        };
        change(&mut rules);
        let directory = Directory::new("demo.local", people);
        Self {
            broker: Broker::new(rules, directory, Box::<Counting>::default()),
            now: clock::now(),
            next_socket: 0,
            received: BTreeMap::new(),
            closed: Vec::new(),
            last_sequence: BTreeMap::new(),
        }
    }

    fn take_in(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Notify {
                    socket,
                    sequence,
                    notification,
                } => {
                    self.last_sequence.insert(socket, sequence);
                    self.received.entry(socket).or_default().push(*notification);
                }
                Output::Close(socket, why) => self.closed.push((socket, why)),
            }
        }
    }

    fn request(&mut self, user: &str, request: Request) -> Reply {
        let (reply, outputs) = self.broker.request(user, request, self.now);
        self.take_in(outputs);
        reply
    }

    fn event(&mut self, event: Event) {
        let outputs = self.broker.event(event, self.now);
        self.take_in(outputs);
    }

    /// Lets `time` pass, waking the broker whenever it is due.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut wakes = 0;
        while let Some(at) = self.broker.deadline().filter(|&at| at <= end) {
            wakes += 1;
            assert!(wakes < 1000, "the broker asks to be woken for nothing");
            self.now = self.now.max(at);
            self.event(Event::Timeout);
        }
        self.now = end;
    }

    fn subscribe(&mut self, user: &'static str) -> Client {
        let wishes = Wishes {
            expires: Duration::from_secs(3600),
            ..Wishes::default()
        };
        self.subscribe_with(user, wishes)
    }

    fn subscribe_with(&mut self, user: &'static str, wishes: Wishes) -> Client {
        let granted = self.granted(user, wishes);
        let socket = self.open(&granted.id).unwrap();
        Client {
            user,
            channel: granted.id,
            socket,
        }
    }

    fn granted(&mut self, user: &str, wishes: Wishes) -> Granted {
        match self.request(user, Request::Subscribe(wishes)) {
            Reply::Subscribed(granted) => granted,
            other => panic!("{other:?}"),
        }
    }

    fn open(&mut self, channel: &str) -> Option<SocketId> {
        let socket = SocketId(self.next_socket);
        self.next_socket += 1;
        let outputs = self.broker.open(channel, socket, self.now)?;
        self.take_in(outputs);
        Some(socket)
    }

    fn lose(&mut self, client: &Client) {
        self.event(Event::Lost(client.socket));
    }

    fn reopen(&mut self, client: &mut Client) {
        client.socket = self.open(&client.channel).unwrap();
    }

    /// The client tells that it has everything.
    fn confirm(&mut self, client: &Client) {
        if let Some(&sequence) = self.last_sequence.get(&client.socket) {
            self.event(Event::Confirmed(client.socket, sequence));
        }
    }

    /// What `client` has received since it was asked last.
    fn received(&mut self, client: &Client) -> Vec<Notification> {
        self.received.remove(&client.socket).unwrap_or_default()
    }

    /// The same, as `event` or `callEnd code`.
    fn story(&mut self, client: &Client) -> Vec<String> {
        self.received(client).iter().map(in_short).collect()
    }

    fn call(&mut self, caller: &Client, to: &str) -> String {
        match self.try_call(caller, to) {
            Reply::Started { leg } => leg,
            other => panic!("{other:?}"),
        }
    }

    fn try_call(&mut self, caller: &Client, to: &str) -> Reply {
        let start = Start {
            display_name: None,
            to: to.to_owned(),
            sdp: Some("offer".to_owned()),
            custom_parameters: Vec::new(),
        };
        self.request(caller.user, Request::Start(start))
    }

    /// The leg of the `call` that `client` has just received.
    fn incoming(&mut self, client: &Client) -> String {
        let mut received = self.received(client);
        assert_eq!(received.len(), 1, "{received:?}");
        let notification = received.remove(0);
        assert_eq!(notification.event_type, EventType::Call);
        notification.session_params.unwrap().session_data
    }

    fn control(&mut self, client: &Client, leg: &str, request: CallControlRequest) -> Reply {
        let leg = leg.to_owned();
        self.request(client.user, Request::Control { leg, request })
    }

    fn answer(&mut self, client: &Client, leg: &str) -> Reply {
        let answer = CallControlRequest::CallAnswer {
            sdp: Some("answer".to_owned()),
            custom_parameters: Vec::new(),
        };
        self.control(client, leg, answer)
    }

    fn end(&mut self, client: &Client, leg: &str) -> Reply {
        let leg = leg.to_owned();
        let reason = None;
        self.request(client.user, Request::End { leg, reason })
    }

    /// `caller` calls `callee` and is answered; nothing of it is left to be received.
    fn talk(&mut self, caller: &Client, callee: &Client) -> (String, String) {
        let mine = self.call(caller, callee.user);
        let theirs = self.incoming(callee);
        assert_eq!(self.answer(callee, &theirs), Reply::Done);
        self.settle();
        let story = self.story(caller);
        assert_eq!(story, ["ringing", "respondCallUpdate answer"]);
        (mine, theirs)
    }

    /// Lets what was held back for the replies leave.
    fn settle(&mut self) {
        self.pass(Duration::from_millis(20));
    }
}

fn in_short(notification: &Notification) -> String {
    let kind = serde_json::to_value(&notification.event_type).unwrap();
    let kind = kind.as_str().unwrap().to_owned();
    let session = notification.session_params.as_ref();
    let detail = session.and_then(|s| s.status_code.clone().or_else(|| s.sdp.clone()));
    match detail {
        Some(detail) => format!("{kind} {detail}"),
        None => kind,
    }
}
