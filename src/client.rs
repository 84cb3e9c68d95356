//! Calls over one account as a library: no panel, no gateway, no page.
//!
//! The names and what they mean are those of Kandy.js (protocol section 8):
//!
//! ```no_run
//! # use std::time::Duration;
//! # use doorstation::client::{Client, Config, Devices};
//! # use doorstation::call::{AccountId, Event, Settings, Wish};
//! # use doorstation::signalling::kandy::{self, Login};
//! # use doorstation::secret::Secret;
//! # async fn quickstart() -> Result<(), doorstation::client::Error> {
//! let mut client = Client::connect(Config {
//!     account: kandy::Settings {
//!         account: AccountId::new("work"),
//!         user: "alice@example.com".to_owned(),
//!         login: Login::Basic { password: Secret::new("secret"), authname: None },
//!         rest: "https://kandy.example.com".to_owned(),
//!         websocket: "wss://kandy.example.com".to_owned(),
//!         expires: Duration::from_secs(3600),
//!         trust: kandy::Trust::Public,
//!         display_name: None,
//!     },
//!     calls: Settings::default(),
//!     devices: Devices::Simulated,
//!     rtc: Default::default(),
//!     server_turn_credentials: false,
//! })?;
//! let call = client.make("bob", Wish { audio: true, receive_video: true, send_video: true }).await;
//! while let Some(event) = client.event().await {
//!     match event {
//!         Event::Receive { call, .. } => client.answer(&call, client.defaults()).await,
//!         Event::Over { call: over, .. } if over == call => break,
//!         _ => {}
//!     }
//! }
//! client.disconnect().await;
//! # Ok(())
//! # }
//! ```
//!
//! It puts the same parts together as [`app`](crate::app): the core, its loop, one
//! signalling client, one media engine. `examples/kandy_call.rs` is a whole program.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::warn;

use crate::call::{
    self, AccountId, Address, CallId, Calls, Digits, Event, Input, Make, Parameter, Record,
    Request, RingStep, Target, View, Wish,
};
use crate::media::VideoCodec;
use crate::media::engine::{self, Engine};
use crate::media::feed::{Pictures, Voices};
use crate::media::gst::{self, Camera, CameraSettings};
use crate::media::sim::{SimPictures, SimVoices};
use crate::media::sound::{self, Sound, SoundSettings};
use crate::signalling::kandy;
use crate::station::{self, Listener, News, Question, Station};
use crate::tasks::Tasks;

/// Events that may wait for the application; a call makes about thirty. When it
/// is full, the newest is dropped with a warning: the station never waits.
const EVENTS: usize = 256;
/// Questions for a call's record that may wait; the station answers each at once.
const QUESTIONS: usize = 8;

/// What a client is made of.
pub struct Config {
    /// Where to log in, and as whom.
    pub account: kandy::Settings,
    /// Media of calls that name none, and how long things may take. `ring` is for
    /// a station's bell and is not used.
    pub calls: call::Settings,
    /// Where sound and picture come from.
    pub devices: Devices,
    /// How media sessions are made.
    pub rtc: engine::Settings,
    /// The service hands out the log-ins of the servers in `rtc.ice`, anew for each call
    /// (`serverProvidedTurnCredentials`, protocol section 8.1).
    pub server_turn_credentials: bool,
}

/// Where sound and picture come from.
pub enum Devices {
    /// Silence and a picture of nothing, in memory: for tests and first steps.
    Simulated,
    /// A camera by GStreamer, a sound card by ALSA.
    Real {
        /// Which camera.
        camera: CameraSettings,
        /// Which PCMs.
        sound: SoundSettings,
    },
}

/// Why a client could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The account cannot work as it is set up.
    #[error("the account: {0}")]
    Account(#[from] kandy::Error),
    /// The camera cannot work as it is set up.
    #[error("the camera: {0}")]
    Camera(#[from] gst::Error),
    /// The sound card cannot work as it is set up.
    #[error("the sound card: {0}")]
    Sound(#[from] sound::Error),
}

/// One account, ready to make and take calls; at most one call is up.
///
/// A wish that cannot be carried out is answered by [`Event::Denied`] or
/// [`Event::CallError`]. Dropping the client without [`Client::disconnect`] leaves
/// its tasks running until the runtime ends.
pub struct Client {
    account: AccountId,
    user: Address,
    defaults: Wish,
    inbox: mpsc::Sender<Input>,
    questions: mpsc::Sender<Question>,
    events: mpsc::Receiver<Event>,
    /// In the order in which they are stopped: the station hangs up while
    /// signalling and media still work.
    parts: [Tasks; 3],
}

impl Client {
    /// Starts everything and begins to log in. [`Event::Connection`] tells how that
    /// goes on; it is tried again for ever.
    ///
    /// To be called within a Tokio runtime with a rustls crypto provider installed.
    ///
    /// # Errors
    /// Something cannot work as it is set up.
    pub fn connect(config: Config) -> Result<Self, Error> {
        let (inbox, inputs) = mpsc::channel(station::INBOX);
        let (signalling_tasks, media_tasks) = (Tasks::new(), Tasks::new());
        let account = config.account.account.clone();
        let user = Address::new(config.account.user.as_str());
        let mut signalling =
            kandy::Client::new(config.account, inbox.clone(), signalling_tasks.clone())?;
        if config.server_turn_credentials {
            signalling = signalling.with_turn(config.rtc.ice.clone());
        }
        let (pictures, voices) = open(config.devices, &inbox, &media_tasks)?;
        let engine = Engine::new(
            config.rtc,
            pictures,
            voices,
            inbox.clone(),
            media_tasks.clone(),
        );
        let (to_signalling, signalling_orders) = mpsc::channel(station::ORDERS);
        let (to_media, media_orders) = mpsc::channel(station::ORDERS);
        let (listener, events) = telling();
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let defaults = config.calls.wish;
        let mut calls = config.calls;
        calls.users.insert(account.clone(), user.clone());
        let station = Station {
            calls: Calls::new(calls, || CallId::new(new_id())),
            inbox: inputs,
            questions: asked,
            accounts: BTreeMap::from([(account.clone(), to_signalling)]),
            media: to_media,
            relay: None,
            answers: None,
            view: watch::Sender::new(View::default()),
            listener,
        };
        let station_tasks = Tasks::new();
        media_tasks.spawn_draining("media", engine.run(media_orders));
        signalling_tasks.spawn_draining("signalling", signalling.run(signalling_orders));
        station_tasks.spawn_draining("station", station.run(station_tasks.clone()));
        Ok(Self {
            account,
            user,
            defaults,
            inbox,
            questions,
            events,
            parts: [station_tasks, signalling_tasks, media_tasks],
        })
    }

    /// Calls `callee` and returns the call's id at once; [`Event::StateChange`] tells
    /// the rest. The callee is normalised as Kandy.js 3.41 does with
    /// `normalizeAddress` (protocol section 1.1): `bob` is `bob` of our own domain,
    /// `+1 (613) 555-0100` is a number.
    pub async fn make(&self, callee: &str, wish: Wish) -> CallId {
        self.make_with(callee, wish, Vec::new()).await
    }

    /// The same, and tells the other end `parameters` (`customParameters`).
    pub async fn make_with(&self, callee: &str, wish: Wish, parameters: Vec<Parameter>) -> CallId {
        let id = CallId::new(new_id());
        let target = Target {
            account: self.account.clone(),
            to: kandy::normalise(callee, &self.user),
        };
        self.ask(Request::Make(Make {
            call: Some(id.clone()),
            plan: vec![RingStep {
                targets: vec![target],
                time: RingStep::TIME,
            }],
            wish,
            parameters,
        }))
        .await;
        id
    }

    /// Answers the incoming call `call`.
    pub async fn answer(&self, call: &CallId, wish: Wish) {
        self.ask(Request::Answer(call.clone(), wish)).await;
    }

    /// Refuses it.
    pub async fn reject(&self, call: &CallId) {
        self.ask(Request::Reject(call.clone())).await;
    }

    /// Stops ringing here and tells nobody.
    pub async fn ignore(&self, call: &CallId) {
        self.ask(Request::Ignore(call.clone())).await;
    }

    /// Ends or cancels it.
    pub async fn end(&self, call: &CallId) {
        self.ask(Request::End(call.clone())).await;
    }

    /// Puts it on hold.
    pub async fn hold(&self, call: &CallId) {
        self.ask(Request::Hold(call.clone())).await;
    }

    /// Takes it off hold.
    pub async fn unhold(&self, call: &CallId) {
        self.ask(Request::Unhold(call.clone())).await;
    }

    /// Begins to send our picture in the middle of a call (`startVideo`).
    pub async fn start_video(&self, call: &CallId) {
        self.ask(Request::Video(call.clone(), true)).await;
    }

    /// Ceases to send it (`stopVideo`).
    pub async fn stop_video(&self, call: &CallId) {
        self.ask(Request::Video(call.clone(), false)).await;
    }

    /// Silences our microphone towards the other end, or lets it speak again.
    pub async fn mute(&self, call: &CallId, on: bool) {
        self.ask(Request::Mute(call.clone(), on)).await;
    }

    /// Sends digits to the other end (`sendDTMF`).
    pub async fn send_digits(&self, call: &CallId, digits: Digits) {
        self.ask(Request::SendDigits(call.clone(), digits)).await;
    }

    /// The media of calls that name none (`callDefaults`).
    pub fn defaults(&self) -> Wish {
        self.defaults
    }

    /// The call with this id: the one that is up, or one of the latest 32
    /// (`getById`).
    pub async fn call(&self, id: &CallId) -> Option<Record> {
        let (reply, answer) = oneshot::channel();
        let question = Question::Call {
            call: id.clone(),
            reply,
        };
        self.questions.send(question).await.ok()?;
        answer.await.ok().flatten()
    }

    /// The next event; `None` after [`Client::disconnect`] alone.
    pub async fn event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Ends the call that is up, logs out and closes everything.
    pub async fn disconnect(self) {
        for part in &self.parts {
            part.stop().await;
        }
    }

    async fn ask(&self, request: Request) {
        // Without a station there is no call that could be meant.
        let _ = self.inbox.send(Input::Asked(request)).await;
    }
}

fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

type Opened = (Arc<dyn Pictures>, Arc<dyn Voices>);

fn open(devices: Devices, inbox: &mpsc::Sender<Input>, tasks: &Tasks) -> Result<Opened, Error> {
    Ok(match devices {
        Devices::Simulated => {
            let codecs = [VideoCodec::Vp8, VideoCodec::H264];
            (SimPictures::start(&codecs, tasks), SimVoices::start(tasks))
        }
        Devices::Real { camera, sound } => {
            let camera = Camera::start(camera, inbox.clone(), tasks)?;
            let sound = Sound::start(sound, inbox.clone(), tasks)?;
            (Arc::new(camera), Arc::new(sound))
        }
    })
}

/// A listener that never blocks the station, and the queue behind it.
fn telling() -> (Listener, mpsc::Receiver<Event>) {
    let (queue, events) = mpsc::channel(EVENTS);
    let listener = move |news: &News| {
        let News::Event(event) = news else { return };
        if let Err(refused) = queue.try_send(event.clone()) {
            warn!(%refused, "the application does not take events; one is lost");
        }
    };
    (Box::new(listener), events)
}
