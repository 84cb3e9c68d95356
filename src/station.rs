//! The one loop: feeds the core and carries out what it asks.
//!
//! Everything that happens arrives in one bounded inbox as a
//! [`call::Input`](crate::call::Input); every order leaves for exactly one
//! adapter. The loop never waits for an adapter: an adapter whose queue is full
//! is stuck, and the core's timers end the call.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, warn};

use crate::call::{
    AccountId, CallId, Calls, DoorOrder, Event, Input, LegId, Output, Record, Refused, Relay,
    SignalOrder, Timer, View,
};
use crate::media::{self, Tone};
use crate::tasks::{BEAT, Tasks};
use crate::{clock, panel, signalling, story};

/// Inputs that may wait. A call makes some ten; the rest is room for a storm of
/// buttons and connections. Full: the sender waits.
pub const INBOX: usize = 256;
/// Orders that may wait at an adapter. A call change makes at most three a leg.
pub const ORDERS: usize = 64;
/// How long the figures of the last call are waited for when stopping.
const LAST_FIGURES: Duration = Duration::from_secs(2);

/// The station's loop and what it holds.
pub struct Station {
    /// The core.
    pub calls: Calls,
    /// Where everything arrives.
    pub inbox: mpsc::Receiver<Input>,
    /// Where applications ask.
    pub questions: mpsc::Receiver<Question>,
    /// The adapter of each account.
    pub accounts: BTreeMap<AccountId, mpsc::Sender<signalling::Order>>,
    /// The media engine.
    pub media: mpsc::Sender<media::Order>,
    /// The client of the door's relay, if there is a door.
    pub relay: Option<mpsc::Sender<DoorOrder>>,
    /// Where answers to [`Input::OpenDoor`] go, if anybody can send it.
    pub answers: Option<mpsc::Sender<Answer>>,
    /// What lights and page follow.
    pub view: watch::Sender<View>,
    /// Who is told what happens.
    pub listener: Listener,
}

/// What became of the wish with this ticket.
pub type Answer = (u64, Result<(), Refused>);

/// What an application asks.
#[derive(Debug)]
pub enum Question {
    /// To see a call (`getById`).
    Call {
        /// Its id.
        call: CallId,
        /// Where the record goes; `None` for a call that is not remembered.
        reply: oneshot::Sender<Option<Record>>,
    },
    /// To take an input, and to say what came of it.
    Take {
        /// The input.
        input: Input,
        /// Where that goes, after the view is published.
        reply: oneshot::Sender<Outcome>,
    },
}

/// What came of an input at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Anything at all was ordered or told; else it was under way already.
    pub acted: bool,
    /// What was told.
    pub events: Vec<Event>,
}

/// Hears every piece of news, in order; it must not block.
pub type Listener = Box<dyn FnMut(&News) + Send>;

/// What the listener hears.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// A call event.
    Event(Event),
    /// The speaker is told to play this by itself.
    Tone(Option<Tone>),
}

impl Station {
    /// Runs until `tasks` are cancelled, then ends the call and waits a moment
    /// for its figures.
    pub async fn run(mut self, tasks: Tasks) {
        let cancelled = tasks.cancelled().clone();
        let mut legs = Legs::default();
        let pulse = tasks.pulse("station-inputs");
        let mut tick = tokio::time::interval(BEAT);
        loop {
            let input = tokio::select! {
                biased;
                () = cancelled.cancelled() => break,
                _ = tick.tick() => {
                    pulse.beat();
                    continue;
                }
                input = self.inbox.recv() => input,
                input = due(self.calls.deadline()) => Some(input),
                // The last: however many ask, the station works.
                Some(question) = self.questions.recv() => {
                    self.answer_question(question, &mut legs);
                    continue;
                }
            };
            let Some(input) = input else {
                return error!("every part that could tell the station something is gone");
            };
            self.step(input, &mut legs);
        }
        self.step(Input::Shutdown, &mut legs);
        let settled = async {
            while !self.calls.is_settled() {
                let Some(input) = self.inbox.recv().await else {
                    return;
                };
                self.step(input, &mut legs);
            }
        };
        if tokio::time::timeout(LAST_FIGURES, settled).await.is_err() {
            warn!("the media of the last call did not close in time");
        }
    }

    /// Whoever asked may have gone.
    fn answer_question(&mut self, question: Question, legs: &mut Legs) {
        match question {
            Question::Call { call, reply } => {
                let _ = reply.send(self.calls.call(&call).cloned());
            }
            Question::Take { input, reply } => {
                let _ = reply.send(self.step(input, legs));
            }
        }
    }

    fn step(&mut self, input: Input, legs: &mut Legs) -> Outcome {
        if let Input::Incoming(incoming) = &input {
            legs.0
                .insert(incoming.leg.clone(), incoming.account.clone());
        }
        let mut denied = false;
        let pressed = if let Input::Pressed(button) = &input {
            Some(*button)
        } else {
            None
        };
        let mut outputs = VecDeque::from(self.calls.handle(input, clock::now()));
        let mut outcome = Outcome {
            acted: !outputs.is_empty(),
            events: Vec::new(),
        };
        if let Some(button) = pressed {
            // After the core knows it, so that the line names the call it began.
            let view = self.calls.view();
            story::pressed(button, view.call.as_ref().map(|call| &call.id));
        }
        while let Some(output) = outputs.pop_front() {
            match output {
                Output::Door(order) => {
                    // What the core hears of it is that it was refused.
                    if let Some(back) = self.order_relay(order) {
                        outputs.extend(self.calls.handle(back, clock::now()));
                    }
                }
                Output::Answer(ticket, result) => self.answer(ticket, result),
                Output::Signal(leg, order) => self.signal(leg, order, legs),
                Output::Media(leg, order) => self.order_media(media::Order::Leg(leg, order)),
                Output::Event(event) => {
                    story::tell(&event);
                    denied |= matches!(event, Event::Denied(_));
                    let news = News::Event(event.clone());
                    (self.listener)(&news);
                    outcome.events.push(event);
                }
            }
        }
        self.publish(legs);
        // A press that cannot be carried out changes no view, and still the visitor
        // must hear it.
        if denied && let Some(tone) = panel::tone::of_denied(&self.calls.view()) {
            self.play(Some(tone));
        }
        outcome
    }

    fn signal(&mut self, leg: LegId, order: SignalOrder, legs: &mut Legs) {
        let account = match &order {
            SignalOrder::Start { target, .. } => {
                legs.0.insert(leg.clone(), target.account.clone());
                Some(target.account.clone())
            }
            SignalOrder::End(_) | SignalOrder::Reject | SignalOrder::Forget => legs.0.remove(&leg),
            SignalOrder::Ring
            | SignalOrder::Answer(_)
            | SignalOrder::Update(_)
            | SignalOrder::Respond(_) => legs.0.get(&leg).cloned(),
        };
        let adapter = account
            .as_ref()
            .and_then(|account| self.accounts.get(account));
        let Some(adapter) = adapter else {
            return error!(call_id = leg.call(), %leg, "no account carries this leg; the order is lost");
        };
        if let Err(refused) = adapter.try_send((leg, order)) {
            error!(account = ?account, %refused, "the account does not take orders");
        }
    }

    fn order_media(&self, order: media::Order) {
        if let Err(refused) = self.media.try_send(order) {
            error!(%refused, "the media engine does not take orders");
        }
    }

    /// Hands an order to the relay's client; what it cannot take is refused at once.
    fn order_relay(&self, order: DoorOrder) -> Option<Input> {
        let relay = self.relay.as_ref()?;
        let refused = relay.try_send(order).err()?;
        error!(%refused, "the client of the door's relay does not take orders");
        match refused.into_inner() {
            DoorOrder::Pulse { number, .. } => Some(Input::Relay(Relay::Refused {
                number,
                refused: Refused::NoRelay,
            })),
            // It is told again with the next change.
            DoorOrder::Tampered(_) => None,
        }
    }

    fn answer(&self, ticket: u64, result: Result<(), Refused>) {
        let Some(answers) = &self.answers else { return };
        if let Err(refused) = answers.try_send((ticket, result)) {
            error!(%refused, "whoever wanted the door open takes no answer");
        }
    }

    /// Publishes the view if it changed, and the tone that follows from it.
    fn publish(&mut self, legs: &mut Legs) {
        let view = self.calls.view();
        if view.call.is_none() {
            legs.0.clear();
        }
        let tone = panel::tone::on_change(&self.view.borrow(), &view);
        self.view.send_if_modified(|published| {
            let changed = *published != view;
            *published = view;
            changed
        });
        if let Some(tone) = tone {
            self.play(tone);
        }
    }

    fn play(&mut self, tone: Option<Tone>) {
        self.order_media(media::Order::Tone(tone));
        (self.listener)(&News::Tone(tone));
    }
}

/// Which account carries which leg of the call that is up.
#[derive(Default)]
struct Legs(BTreeMap<LegId, AccountId>);

/// Ready when the core's next timer is due; never while there is none.
async fn due(deadline: Option<(Instant, Timer)>) -> Input {
    match deadline {
        Some((at, _)) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
    Input::Tick
}
