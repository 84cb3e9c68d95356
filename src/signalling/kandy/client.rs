//! The client at work: carries out what [`Session`] and [`Legs`] ask for.
//!
//! One loop owns all state. It never waits for the network, the station or the
//! socket inside: requests run side by side in a set of futures, the socket has a
//! task of its own, and what the station has no room for yet waits in an outbox.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustls::ClientConfig;
use tokio::sync::mpsc;

use super::legs::{self, Legs};
use super::notice::{Notice, Reader, Refusal};
use super::request::Reply;
use super::rest::Rest;
use super::session::{self, Fact, Granted, Session, Ticket};
use super::trouble::Trouble;
use super::ws;
use crate::call::{AccountId, Connection, Input, LegId};
use crate::ice;
use crate::signalling::Order;
use crate::tasks::{BEAT, Tasks};

/// Everything at the end of the client's life fits into this.
const GRACE: Duration = Duration::from_secs(2);
/// Of that, how long calls may take to end before we log out anyway.
const CALLS_GRACE: Duration = Duration::from_millis(1500);
/// Frames that wait for the loop. It takes them at once unless the outbox is full;
/// then the socket stops reading and TCP holds the server back.
const EVENTS: usize = 16;
/// Orders for the socket: a ping and a probe are all that can meet. When full, the
/// socket's task is stuck in a write and will notice by itself.
const SOCKET_ORDERS: usize = 4;
/// News that wait for the station. Above this no more frames are read; replies to
/// our own requests, few by nature, still get in.
const OUTBOX: usize = 256;

/// What the loop works with.
pub(super) struct Parts {
    pub(super) account: AccountId,
    pub(super) rest: Arc<Rest>,
    /// `wss://host:port`.
    pub(super) websocket: String,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) session: Session,
    pub(super) legs: Legs,
    pub(super) inbox: mpsc::Sender<Input>,
    pub(super) tasks: Tasks,
}

/// The loop; see the module.
pub(super) struct Runner {
    parts: Parts,
    reader: Reader,
    requests: FuturesUnordered<Pin<Box<dyn Future<Output = Done> + Send>>>,
    socket: Option<mpsc::Sender<ws::Order>>,
    /// Of TURN credentials, while the server can be asked for some.
    demand: Option<ice::Demand>,
    events: mpsc::Sender<(Ticket, ws::Event)>,
    incoming: mpsc::Receiver<(Ticket, ws::Event)>,
    outbox: VecDeque<Input>,
}

/// A request that came to its end.
enum Done {
    Subscribed(Ticket, Result<Granted, Trouble>),
    Renewed(Ticket, Result<Duration, Trouble>),
    Unsubscribed(Result<(), Trouble>),
    Opened(Ticket, Result<Box<ws::Socket>, Trouble>),
    Leg(LegId, Result<Reply, Trouble>),
}

/// What one turn of the loop brought.
enum Turn {
    Cancelled,
    Order(Option<Order>),
    Done(Done),
    Socket(Ticket, ws::Event),
    Room(Option<mpsc::OwnedPermit<Input>>),
    /// A call wants new TURN credentials.
    Stale,
    Time,
}

impl Runner {
    pub(super) fn new(parts: Parts) -> Self {
        let (events, incoming) = mpsc::channel(EVENTS);
        Self {
            parts,
            reader: Reader::default(),
            requests: FuturesUnordered::new(),
            socket: None,
            demand: None,
            events,
            incoming,
            outbox: VecDeque::new(),
        }
    }

    /// Serves until the tasks are cancelled, then ends what is up within
    /// [`GRACE`].
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let cancelled = self.parts.tasks.cancelled().clone();
        let mut listening = true;
        let pulse = self.parts.tasks.pulse("signalling-turns");
        let mut tick = tokio::time::interval(BEAT);
        loop {
            let turn = tokio::select! {
                biased;
                () = cancelled.cancelled() => Turn::Cancelled,
                _ = tick.tick() => {
                    pulse.beat();
                    continue;
                }
                order = orders.recv(), if listening => Turn::Order(order),
                turn = self.turn() => turn,
            };
            match turn {
                Turn::Cancelled => break,
                Turn::Order(None) => listening = false,
                Turn::Order(Some((leg, order))) => self.order(leg, order),
                turn => self.take(turn),
            }
        }
        self.stop(orders).await;
    }

    /// Ends every call, logs out, closes the socket.
    async fn stop(mut self, mut orders: mpsc::Receiver<Order>) {
        let began = crate::clock::now();
        // Orders given before the end have better reasons than ours.
        while let Ok((leg, order)) = orders.try_recv() {
            self.order(leg, order);
        }
        let acts = self
            .parts
            .legs
            .stop("The door station is going down", began);
        self.carry_out_legs(acts);
        self.serve_until(began + CALLS_GRACE, |runner| runner.parts.legs.is_empty())
            .await;
        self.session(Fact::Stop);
        self.serve_until(began + GRACE, |runner| {
            runner.parts.session.is_over() && runner.requests.is_empty()
        })
        .await;
    }

    async fn serve_until(&mut self, end: Instant, done: impl Fn(&Self) -> bool) {
        let end = tokio::time::sleep_until(end.into());
        tokio::pin!(end);
        while !done(self) {
            tokio::select! {
                () = &mut end => {
                    tracing::debug!("no more time to end everything in order");
                    return;
                }
                turn = self.turn() => self.take(turn),
            }
        }
    }

    /// Waits for whatever comes next; cancelling it loses nothing.
    async fn turn(&mut self) -> Turn {
        let deadline = [self.parts.session.deadline(), self.parts.legs.deadline()]
            .into_iter()
            .flatten()
            .min();
        let room = !self.outbox.is_empty();
        tokio::select! {
            Some(done) = self.requests.next(), if !self.requests.is_empty() => Turn::Done(done),
            Some((ticket, event)) = self.incoming.recv(), if self.outbox.len() < OUTBOX => {
                Turn::Socket(ticket, event)
            }
            permit = self.parts.inbox.clone().reserve_owned(), if room => Turn::Room(permit.ok()),
            () = demanded(&mut self.demand) => Turn::Stale,
            () = until(deadline) => Turn::Time,
        }
    }

    fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Done(done) => self.done(done),
            Turn::Socket(ticket, event) => self.event(ticket, event),
            Turn::Room(Some(permit)) => {
                if let Some(news) = self.outbox.pop_front() {
                    permit.send(news);
                }
            }
            // The station is gone; whoever ended it cancels us too.
            Turn::Room(None) => self.outbox.clear(),
            Turn::Stale => self.session(Fact::Stale),
            Turn::Time => {
                self.session(Fact::Time);
                self.hurry();
                let acts = self.parts.legs.tick(crate::clock::now());
                self.carry_out_legs(acts);
            }
            Turn::Cancelled | Turn::Order(_) => {}
        }
    }

    fn order(&mut self, leg: LegId, order: crate::call::SignalOrder) {
        let acts = self.parts.legs.order(leg, order, crate::clock::now());
        self.carry_out_legs(acts);
        self.hurry();
    }

    /// Calls want to hear what becomes of them.
    fn hurry(&mut self) {
        if !self.parts.legs.is_empty() {
            self.session(Fact::Needed);
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Subscribed(ticket, result) => self.session(Fact::Subscribed(ticket, result)),
            Done::Renewed(ticket, result) => self.session(Fact::Renewed(ticket, result)),
            Done::Unsubscribed(Ok(())) => {}
            Done::Unsubscribed(Err(trouble)) => {
                tracing::debug!(%trouble.message, "the server did not take the log-out");
            }
            Done::Opened(ticket, Ok(socket)) => self.opened(ticket, *socket),
            Done::Opened(ticket, Err(trouble)) => self.session(Fact::Opened(ticket, Err(trouble))),
            Done::Leg(leg, result) => {
                let acts = self.parts.legs.replied(&leg, result, crate::clock::now());
                self.carry_out_legs(acts);
            }
        }
    }

    fn opened(&mut self, ticket: Ticket, socket: ws::Socket) {
        let now = crate::clock::now();
        let acts = self.parts.session.handle(Fact::Opened(ticket, Ok(())), now);
        // Otherwise it comes too late; dropping it closes it.
        if self.parts.session.socket() == Some(ticket) {
            let (orders, taken) = mpsc::channel(SOCKET_ORDERS);
            let served = ws::serve(socket, ticket, taken, self.events.clone());
            self.parts.tasks.spawn_draining("kandy socket", served);
            self.socket = Some(orders);
        }
        self.carry_out_session(acts);
    }

    fn event(&mut self, ticket: Ticket, event: ws::Event) {
        let socket = ticket;
        match event {
            ws::Event::Frame(frame) => {
                self.session(Fact::Heard {
                    socket,
                    pong: false,
                });
                // What an old socket still had may be old news.
                if self.parts.session.socket() == Some(ticket) {
                    self.frame(&frame);
                }
            }
            ws::Event::Alive { pong } => self.session(Fact::Heard { socket, pong }),
            ws::Event::Closed(code) => {
                self.session(Fact::Closed(ticket, code));
                self.hurry();
            }
        }
    }

    fn frame(&mut self, frame: &str) {
        tracing::trace!(target: "wire::kandy", bytes = frame.len(), "frame");
        let now = crate::clock::now();
        let notice = match self.reader.read(frame) {
            Ok(notice) => notice,
            Err(Refusal::Repeated) => {
                tracing::debug!("dropping a repeated notification");
                return;
            }
            Err(reason) => {
                tracing::warn!(account = %self.parts.account, %reason, "dropping a notification");
                return;
            }
        };
        let acts = match notice {
            Notice::Gone { retry_after } => {
                self.session(Fact::Gone { retry_after });
                return self.hurry();
            }
            Notice::Ignored(kind) => {
                tracing::debug!(kind, "ignoring a notification");
                return;
            }
            Notice::Call(call) => self.parts.legs.called(call, now),
            Notice::Leg(session, news) => self.parts.legs.heard(session, news, now),
        };
        self.carry_out_legs(acts);
    }

    fn session(&mut self, fact: Fact) {
        let acts = self.parts.session.handle(fact, crate::clock::now());
        self.carry_out_session(acts);
    }

    fn carry_out_session(&mut self, acts: Vec<session::Act>) {
        use session::Act;
        for act in acts {
            let rest = Arc::clone(&self.parts.rest);
            match act {
                Act::Subscribe(ticket) => {
                    self.send(async move { Done::Subscribed(ticket, rest.subscribe().await) })
                }
                Act::Renew(ticket, path) => {
                    self.send(async move { Done::Renewed(ticket, rest.renew(&path).await) })
                }
                Act::Unsubscribe(path) => {
                    self.send(async move { Done::Unsubscribed(rest.unsubscribe(&path).await) })
                }
                Act::Open(ticket, channel) => {
                    let server = self.parts.websocket.clone();
                    let query = rest.channel_query();
                    let url = format!("{server}{}{query}", channel.expose());
                    let tls = Arc::clone(&self.parts.tls);
                    self.send(async move {
                        let opened = ws::open(url, &server, tls).await;
                        Done::Opened(ticket, opened.map(Box::new))
                    });
                }
                Act::Ping => self.tell_socket(ws::Order::Ping),
                Act::Probe => self.tell_socket(ws::Order::Probe),
                Act::Close => self.socket = None,
                Act::Resync => {
                    let acts = self.parts.legs.resync();
                    self.carry_out_legs(acts);
                }
                Act::Tell(news) => {
                    tracing::debug!(?news, "connection");
                    let turn = rest.turn.as_ref().filter(|_| news == Connection::Connected);
                    self.demand = turn.map(ice::Servers::demand);
                    let account = self.parts.account.clone();
                    self.outbox.push_back(Input::Connection(account, news));
                }
            }
        }
    }

    fn carry_out_legs(&mut self, acts: Vec<legs::Act>) {
        for act in acts {
            match act {
                legs::Act::Tell(news) => self.outbox.push_back(news),
                legs::Act::Send {
                    leg,
                    session,
                    request,
                } => {
                    let rest = Arc::clone(&self.parts.rest);
                    self.send(async move {
                        let result = rest.leg(&session, &request).await;
                        Done::Leg(leg, result)
                    });
                }
            }
        }
    }

    fn send(&mut self, request: impl Future<Output = Done> + Send + 'static) {
        self.requests.push(Box::pin(request));
    }

    fn tell_socket(&self, order: ws::Order) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.try_send(order)
        {
            tracing::debug!(%error, "the socket takes no orders");
        }
    }
}

async fn demanded(demand: &mut Option<ice::Demand>) {
    match demand {
        Some(demand) => demand.next().await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
