//! The media engine: one task per leg, fed with the station's orders.
//!
//! It holds no device: pictures come from [`Pictures`], sound from and to
//! [`Voices`]. What happens to a leg goes to the station's inbox as
//! [`Input::Media`].

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::Order;
use super::feed::{Pictures, Voices};
pub use super::rtc::Settings;
use super::rtc::{Context, Leg, Notice};
use crate::call::{Figures, Input, LegId, Media, MediaOrder};
use crate::tasks::{BEAT, Tasks};

/// Orders that wait for one leg. The core has a handful under way at most, as it
/// waits for the answer to each description; `Close` does not wait here.
const ORDERS: usize = 16;

/// News of one leg's sessions that waits: a session has six kinds of it, each
/// told once, and digits, of which those that find no room are dropped.
const NOTICES: usize = 16;

/// How often a leg is sampled, for the summary of its call.
const SAMPLE: Duration = Duration::from_secs(1);

/// The latest values of each connected leg, a second old at most, by name.
pub type Live = BTreeMap<LegId, Figures>;

/// Runs the legs' media.
pub struct Engine {
    context: Arc<Context>,
    inbox: mpsc::Sender<Input>,
    legs: HashMap<LegId, Handle>,
    live: watch::Sender<Live>,
}

/// How the engine reaches a leg's task.
struct Handle {
    orders: mpsc::Sender<MediaOrder>,
    /// Ends the leg at once, whatever order it is carrying out.
    close: CancellationToken,
}

/// Counts an engine's sessions, also after the engine began to run.
#[derive(Clone, Debug)]
pub struct Gauge(Weak<()>);

impl Gauge {
    /// Sessions whose event handler is alive; 0 after all legs are closed.
    pub fn sessions(&self) -> usize {
        // One is the engine's own.
        self.0.strong_count().saturating_sub(1)
    }
}

impl Engine {
    /// An engine without legs. Nothing is opened until the first order.
    pub fn new(
        settings: Settings,
        pictures: Arc<dyn Pictures>,
        voices: Arc<dyn Voices>,
        inbox: mpsc::Sender<Input>,
        tasks: Tasks,
    ) -> Self {
        Self {
            context: Arc::new(Context {
                settings,
                pictures,
                voices,
                tasks,
                census: Arc::new(()),
            }),
            inbox,
            legs: HashMap::new(),
            live: watch::Sender::default(),
        }
    }

    /// What is measured while calls are up.
    pub fn live(&self) -> watch::Receiver<Live> {
        self.live.subscribe()
    }

    /// A counter of this engine's sessions, for tests and metrics.
    pub fn gauge(&self) -> Gauge {
        Gauge(Arc::downgrade(&self.context.census))
    }

    /// Carries out orders until the sender of `orders` is gone or the tasks are
    /// told to stop; then every leg is closed.
    ///
    /// It never waits for a leg, so that one slow leg cannot hold up another.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let cancelled = self.context.tasks.cancelled().clone();
        let pulse = self.context.tasks.pulse("media-orders");
        let mut tick = tokio::time::interval(BEAT);
        loop {
            let order = tokio::select! {
                biased;
                () = cancelled.cancelled() => break,
                _ = tick.tick() => {
                    pulse.beat();
                    continue;
                }
                order = orders.recv() => order,
            };
            let Some(order) = order else {
                break;
            };
            match order {
                Order::Tone(tone) => self.context.voices.play(tone),
                Order::Leg(leg, MediaOrder::Close) => self.close(leg).await,
                Order::Leg(leg, order) => self.pass(leg, order),
            }
        }
        for handle in self.legs.values() {
            handle.close.cancel();
        }
    }

    async fn close(&mut self, leg: LegId) {
        match self.legs.remove(&leg) {
            Some(handle) => handle.close.cancel(),
            // It never had media: the core gets its figures all the same.
            None => tell(&self.inbox, &leg, Media::Figures(Figures::default())).await,
        }
    }

    fn pass(&mut self, leg: LegId, order: MediaOrder) {
        let first = matches!(order, MediaOrder::Offer(_) | MediaOrder::Answer(..));
        if first && !self.legs.contains_key(&leg) {
            let handle = self.begin(leg.clone());
            self.legs.insert(leg.clone(), handle);
        }
        let Some(handle) = self.legs.get(&leg) else {
            tracing::debug!(call_id = leg.call(), %leg, "an order for a leg without media is ignored");
            return;
        };
        if handle.orders.try_send(order).is_err() {
            // Only a leg that hangs has a full queue: better no leg than a leg
            // that missed an order.
            tracing::warn!(call_id = leg.call(), %leg, "the media of a leg do not follow: they are closed");
            handle.close.cancel();
        }
    }

    fn begin(&self, id: LegId) -> Handle {
        let (orders_tx, orders) = mpsc::channel(ORDERS);
        let (notices_tx, notices) = mpsc::channel(NOTICES);
        // A child of the process's: stopping it closes the legs properly.
        let close = self.context.tasks.cancelled().child_token();
        // At every level: it is what `journalctl CALL_ID=` finds lines of media by.
        let span = tracing::error_span!("call", call_id = id.call(), leg = %id);
        let task = LegTask {
            leg: Leg::new(Arc::clone(&self.context), notices_tx),
            id,
            inbox: self.inbox.clone(),
            close: close.clone(),
            live: self.live.clone(),
        };
        self.context
            .tasks
            .spawn_draining("rtc-leg", task.run(orders, notices).instrument(span));
        Handle {
            orders: orders_tx,
            close,
        }
    }
}

/// One leg's task.
struct LegTask {
    id: LegId,
    leg: Leg,
    inbox: mpsc::Sender<Input>,
    close: CancellationToken,
    live: watch::Sender<Live>,
}

impl LegTask {
    async fn run(
        mut self,
        mut orders: mpsc::Receiver<MediaOrder>,
        mut notices: mpsc::Receiver<Notice>,
    ) {
        let close = self.close.clone();
        let mut sample = tokio::time::interval(SAMPLE);
        sample.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = close.cancelled() => break,
                _ = sample.tick() => self.sample(),
                order = orders.recv() => match order {
                    Some(order) => {
                        close.run_until_cancelled(self.carry_out(order)).await;
                    }
                    None => break,
                },
                Some(notice) = notices.recv() => {
                    if let Some(media) = self.leg.note(notice) {
                        self.tell(media).await;
                    }
                }
            }
        }
        self.live
            .send_if_modified(|live| live.remove(&self.id).is_some());
        let figures = self.leg.close().await;
        tell(&self.inbox, &self.id, Media::Figures(figures)).await;
    }

    fn sample(&mut self) {
        let values = self.leg.sample();
        if !values.is_empty() {
            self.live.send_modify(|live| {
                live.insert(self.id.clone(), Figures(values));
            });
        }
    }

    async fn carry_out(&mut self, order: MediaOrder) {
        let result = match order {
            MediaOrder::Offer(wish) => self.leg.offer(wish).await.map(Media::OfferReady),
            MediaOrder::Reoffer { hold } => self.leg.reoffer(hold).await.map(Media::OfferReady),
            MediaOrder::Apply(answer) => {
                let held = self.leg.apply(&answer).await;
                held.map(|held| Media::AnswerApplied { held })
            }
            MediaOrder::Answer(offer, wish) => {
                let answer = self.leg.answer(&offer, wish).await;
                answer.map(|(answer, held)| Media::AnswerReady { answer, held })
            }
            MediaOrder::Reanswer(offer) => {
                let answer = self.leg.reanswer(&offer).await;
                answer.map(|(answer, held)| Media::AnswerReady { answer, held })
            }
            MediaOrder::Picture(on) => {
                self.leg.set_picture(on);
                return;
            }
            MediaOrder::Flow(flow) => {
                self.leg.set_flow(flow);
                return;
            }
            MediaOrder::SendDigits(digits) => {
                if let Err(error) = self.leg.send_digits(digits) {
                    self.tell(Media::DigitsFailed((&error).into())).await;
                }
                return;
            }
            MediaOrder::Close => {
                self.close.cancel();
                return;
            }
        };
        match result {
            Ok(media) => self.tell(media).await,
            Err(error) => {
                tracing::debug!(%error, "an order could not be carried out");
                self.tell(Media::Failed((&error).into())).await;
            }
        }
        // A line that was given up can leave only connected ones.
        if let Some(media) = self.leg.connected() {
            self.tell(media).await;
        }
    }

    async fn tell(&self, media: Media) {
        tell(&self.inbox, &self.id, media).await;
    }
}

async fn tell(inbox: &mpsc::Sender<Input>, leg: &LegId, media: Media) {
    // Without a station there is nobody to tell.
    let _ = inbox.send(Input::Media(leg.clone(), media)).await;
}
