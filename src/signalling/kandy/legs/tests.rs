//! Legs in virtual time, against a server played by the test.

mod properties;
mod stories;
mod upkeep;

use std::time::{Duration, Instant};

use super::{Act, Legs, MOST_LEGS};
use crate::call::{AccountId, Address, Failure, Input, LegId, Sdp, Signal, SignalOrder, Target};
use crate::signalling::kandy::notice::{IncomingCall, News};
use crate::signalling::kandy::request::{Reply, Request};
use crate::signalling::kandy::trouble::Trouble;

const SECOND: Duration = Duration::from_secs(1);

/// The legs of one account, with what they did since we last looked.
struct Home {
    now: Instant,
    legs: Legs,
    sent: Vec<(String, String, Request)>,
    told: Vec<Input>,
}

impl Home {
    fn new() -> Self {
        let own = Address::new("alice@demo.local");
        Self {
            now: crate::clock::now(),
            legs: Legs::new(AccountId::new("home"), own, 1),
            sent: Vec::new(),
            told: Vec::new(),
        }
    }

    fn order(&mut self, leg: &str, order: SignalOrder) {
        let acts = self.legs.order(LegId::new(leg), order, self.now);
        self.take(acts);
    }

    fn heard(&mut self, session: &str, news: News) {
        let acts = self.legs.heard(session.to_owned(), news, self.now);
        self.take(acts);
    }

    fn reply(&mut self, leg: &str, result: Result<Reply, Trouble>) {
        let acts = self.legs.replied(&LegId::new(leg), result, self.now);
        self.take(acts);
    }

    /// A call arrives; its leg.
    fn called(&mut self, session: &str) -> String {
        let acts = self.legs.called(call(session), self.now);
        let [Act::Tell(Input::Incoming(incoming))] = &acts[..] else {
            panic!("{acts:?}");
        };
        assert_eq!(incoming.from.as_str(), "bob@demo.local");
        assert_eq!(incoming.to.as_str(), "alice@demo.local");
        incoming.leg.as_str().to_owned()
    }

    /// An outgoing call that was answered just now.
    fn up(&mut self, leg: &str, id: &str) {
        self.order(leg, start("bob@demo.local"));
        self.reply(leg, session(id));
        self.heard(id, News::Responded(sdp("answer")));
        self.sent();
        self.told();
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.legs.deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            let acts = self.legs.tick(self.now);
            self.take(acts);
            let again = self.legs.deadline();
            assert!(again.is_none_or(|again| again > self.now), "it would spin");
        }
        self.now = end;
    }

    fn take(&mut self, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Send {
                    leg,
                    session,
                    request,
                } => self.sent.push((leg.as_str().to_owned(), session, request)),
                Act::Tell(input) => self.told.push(input),
            }
        }
    }

    fn sent(&mut self) -> Vec<(String, String, Request)> {
        std::mem::take(&mut self.sent)
    }

    fn requests(&mut self) -> Vec<Request> {
        self.sent()
            .into_iter()
            .map(|(.., request)| request)
            .collect()
    }

    fn told(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.told)
    }
}

fn start(to: &str) -> SignalOrder {
    SignalOrder::Start {
        target: Target {
            account: AccountId::new("home"),
            to: Address::new(to),
        },
        offer: sdp("offer"),
        parameters: Vec::new(),
    }
}

fn call(session: &str) -> IncomingCall {
    IncomingCall {
        session: session.to_owned(),
        from: Address::new("bob@demo.local"),
        from_name: "Bob".to_owned(),
        to: String::new(),
        offer: Some(sdp("offer")),
        parameters: Vec::new(),
    }
}

fn sdp(text: &str) -> Sdp {
    Sdp::new(text)
}

fn session(id: &str) -> Result<Reply, Trouble> {
    Ok(Reply {
        session: Some(id.to_owned()),
        state: None,
    })
}

fn signal(leg: &str, signal: Signal) -> Input {
    Input::Signal(LegId::new(leg), signal)
}

fn ended(code: &str) -> News {
    News::Ended {
        code: code.to_owned(),
        reason: "because".to_owned(),
    }
}

fn trouble(http: u16, status: Option<i32>) -> Trouble {
    Trouble {
        http: Some(http),
        status,
        ..Trouble::unreachable("no route")
    }
}

fn failure(code: &str) -> Failure {
    Failure {
        code: code.to_owned(),
        message: "no route".to_owned(),
    }
}
