//! A station's media on loopback, driven by orders as the core would.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part"
)]

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use doorstation::call::{Flow, Input, LegId, Media, MediaOrder, Sdp, Wish};
use doorstation::media::engine::{Engine, Gauge, Live, Settings};
use doorstation::media::feed::{Pictures, Voices};
use doorstation::media::sim::{SimPictures, SimVoices};
use doorstation::media::{Order, VideoCodec};
use doorstation::tasks::Tasks;
use tokio::sync::{mpsc, watch};

/// Longer than any step takes on a slow machine; waits end at the event.
pub const GENEROUS: Duration = Duration::from_secs(60);

pub const EVERYTHING: Flow = Flow {
    microphone: true,
    speaker: true,
    picture: true,
};

pub const SEND: Wish = Wish {
    audio: true,
    receive_video: false,
    send_video: true,
};

pub const WATCH: Wish = Wish {
    audio: true,
    receive_video: true,
    send_video: true,
};

/// One engine with simulated devices.
pub struct Station {
    pub pictures: Arc<SimPictures>,
    pub voices: Arc<SimVoices>,
    pub gauge: Gauge,
    pub live: watch::Receiver<Live>,
    pub tasks: Tasks,
    orders: mpsc::Sender<Order>,
    inbox: mpsc::Receiver<Input>,
    waiting: VecDeque<(LegId, Media)>,
}

impl Station {
    pub fn new(codecs: &[VideoCodec]) -> Self {
        Self::with(codecs, settings())
    }

    pub fn with(codecs: &[VideoCodec], settings: Settings) -> Self {
        let tasks = Tasks::new();
        let pictures = SimPictures::start(codecs, &tasks);
        Self::before(pictures.clone(), pictures, |sim, _| sim, settings, tasks)
    }

    /// With a camera of its own; the simulated one does nothing.
    pub fn filmed_by(camera: Arc<dyn Pictures>, settings: Settings, tasks: Tasks) -> Self {
        Self::of(camera, |sim, _| sim, settings, tasks)
    }

    /// With a camera of its own, and with voices made of the simulated ones.
    pub fn of<V: Voices + 'static>(
        camera: Arc<dyn Pictures>,
        voices: impl FnOnce(Arc<SimVoices>, &Tasks) -> Arc<V>,
        settings: Settings,
        tasks: Tasks,
    ) -> Self {
        let none = SimPictures::start(&[], &tasks);
        Self::before(none, camera, voices, settings, tasks)
    }

    fn before<V: Voices + 'static>(
        pictures: Arc<SimPictures>,
        camera: Arc<dyn Pictures>,
        speak: impl FnOnce(Arc<SimVoices>, &Tasks) -> Arc<V>,
        settings: Settings,
        tasks: Tasks,
    ) -> Self {
        let voices = SimVoices::start(&tasks);
        let (inbox_tx, inbox) = mpsc::channel(64);
        let speech = speak(voices.clone(), &tasks);
        let engine = Engine::new(settings, camera, speech, inbox_tx, tasks.clone());
        let gauge = engine.gauge();
        let live = engine.live();
        let (orders, orders_rx) = mpsc::channel(16);
        tasks.spawn_draining("engine", engine.run(orders_rx));
        Self {
            pictures,
            voices,
            gauge,
            live,
            tasks,
            orders,
            inbox,
            waiting: VecDeque::new(),
        }
    }

    pub async fn order(&self, leg: &LegId, order: MediaOrder) {
        let order = Order::Leg(leg.clone(), order);
        self.orders.send(order).await.expect("the engine runs");
    }

    pub async fn tone(&self, tone: Option<doorstation::media::Tone>) {
        self.orders
            .send(Order::Tone(tone))
            .await
            .expect("the engine runs");
    }

    /// The next news of `leg` that `wanted` takes; other news stays for later.
    pub async fn until<T>(&mut self, leg: &LegId, wanted: impl Fn(&Media) -> Option<T>) -> T {
        let found = self
            .waiting
            .iter()
            .enumerate()
            .find_map(|(i, (id, media))| (id == leg).then(|| wanted(media).map(|t| (i, t)))?);
        if let Some((index, found)) = found {
            self.waiting.remove(index);
            return found;
        }
        let searched = async {
            loop {
                let input = self.inbox.recv().await.expect("the engine runs");
                let Input::Media(id, media) = input else {
                    panic!("the engine tells media news only: {input:?}");
                };
                if id == *leg
                    && let Some(found) = wanted(&media)
                {
                    return found;
                }
                self.waiting.push_back((id, media));
            }
        };
        match tokio::time::timeout(GENEROUS, searched).await {
            Ok(found) => found,
            Err(_) => panic!("what was waited for did not come; came: {:?}", self.waiting),
        }
    }

    pub async fn is(&mut self, leg: &LegId, expected: Media) {
        self.until(leg, |media| (*media == expected).then_some(()))
            .await;
    }

    pub async fn offer(&mut self, leg: &LegId, wish: Wish) -> Sdp {
        self.order(leg, MediaOrder::Offer(wish)).await;
        self.offer_ready(leg).await
    }

    pub async fn reoffer(&mut self, leg: &LegId, hold: bool) -> Sdp {
        self.order(leg, MediaOrder::Reoffer { hold }).await;
        self.offer_ready(leg).await
    }

    async fn offer_ready(&mut self, leg: &LegId) -> Sdp {
        self.until(leg, |media| match media {
            Media::OfferReady(offer) => Some(offer.clone()),
            Media::Failed(failure) => panic!("no offer: {failure:?}"),
            _ => None,
        })
        .await
    }

    pub async fn answer(&mut self, leg: &LegId, offer: Sdp, wish: Wish) -> (Sdp, bool) {
        self.order(leg, MediaOrder::Answer(offer, wish)).await;
        self.answer_ready(leg).await
    }

    pub async fn reanswer(&mut self, leg: &LegId, offer: Sdp) -> (Sdp, bool) {
        self.order(leg, MediaOrder::Reanswer(offer)).await;
        self.answer_ready(leg).await
    }

    async fn answer_ready(&mut self, leg: &LegId) -> (Sdp, bool) {
        self.until(leg, |media| match media {
            Media::AnswerReady { answer, held } => Some((answer.clone(), *held)),
            Media::Failed(failure) => panic!("no answer: {failure:?}"),
            _ => None,
        })
        .await
    }

    pub async fn apply(&mut self, leg: &LegId, answer: Sdp) -> bool {
        self.order(leg, MediaOrder::Apply(answer)).await;
        self.until(leg, |media| match media {
            Media::AnswerApplied { held } => Some(*held),
            Media::Failed(failure) => panic!("answer not taken: {failure:?}"),
            _ => None,
        })
        .await
    }

    pub async fn flow(&self, leg: &LegId, flow: Flow) {
        self.order(leg, MediaOrder::Flow(flow)).await;
    }

    /// Closes the leg and gives what it measured.
    pub async fn close(&mut self, leg: &LegId) -> std::collections::BTreeMap<&'static str, f64> {
        self.order(leg, MediaOrder::Close).await;
        self.until(leg, |media| match media {
            Media::Figures(figures) => Some(figures.0.clone()),
            _ => None,
        })
        .await
    }
}

/// As a station is by default: every interface but loopback, where browsers are.
pub fn any_interface() -> Settings {
    Settings::default()
}

/// On loopback, so that no network is needed.
pub fn settings() -> Settings {
    Settings {
        bind: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
        ..Settings::default()
    }
}

/// Waits until `condition` is true.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let waited = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(GENEROUS, waited)
        .await
        .unwrap_or_else(|_| panic!("never came true: {what}"));
}

/// The directions of a description's m-lines, with `-` for port 0.
pub fn directions(sdp: &Sdp) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in sdp.as_str().lines() {
        if let Some(media) = line.strip_prefix("m=") {
            let port = media.split(' ').nth(1).expect("an m-line has a port");
            found.push(if port == "0" {
                "-".into()
            } else {
                String::new()
            });
        }
        let direction = line
            .strip_prefix("a=")
            .filter(|d| ["sendrecv", "sendonly", "recvonly", "inactive"].contains(d));
        if let (Some(direction), Some(last)) = (direction, found.last_mut())
            && last.is_empty()
        {
            *last = direction.to_owned();
        }
    }
    found
}
