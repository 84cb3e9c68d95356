//! The control socket and the metrics of a station: what they may know of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::call::{self, AccountId, Address, Device, RingStep, Target, View};
use crate::control::{self, About, Callees, Control, Desk, Photographer};
use crate::gateway::{self, Gateway};
use crate::ledger::Ledger;
use crate::media::engine::Gauge;
use crate::media::gst::{Camera, Source};
use crate::media::sound::Sound;
use crate::metrics::{Metrics, Sources};
use crate::panel::action::{Action, Actions};
use crate::report::Report;
use crate::station::Question;
use crate::supervisor::Supervisor;
use crate::tasks::Tasks;
use crate::telemetry::Dial;

use super::{HomeAccount, MediaPlan};

/// How operators and monitors reach a station, and what they call its parts.
#[derive(Clone, Debug)]
pub struct Operations {
    /// Where the control socket is; `None`: there is none.
    pub socket: Option<PathBuf>,
    /// Whose members may use it, besides root and our own user.
    pub group: Option<String>,
    /// Where the metrics are told; `None`: nowhere.
    pub metrics: Option<SocketAddr>,
    /// What people call the door.
    pub name: String,
    /// The names of `call::Settings::plans`, in their order.
    pub plans: Vec<String>,
    /// The buttons of the panel, and what they do.
    pub buttons: Vec<(String, Actions)>,
    /// What the panel is: a board, or the simulated one.
    pub panel: String,
    /// Where the station keeps its state, if it does.
    pub state_dir: Option<PathBuf>,
    /// The level of the log.
    pub dial: Dial,
}

impl Operations {
    /// What the simulated panel has: a bell.
    pub fn simulated_buttons() -> Vec<(String, Actions)> {
        vec![("bell".to_owned(), Actions::always(Action::Call(None)))]
    }
}

/// What is known of a station before its parts are made.
pub(super) struct Known {
    operations: Operations,
    started: Instant,
    people: Vec<Target>,
    devices: [(Device, Option<String>); 4],
    has_door: bool,
}

/// What is known when they are.
pub(super) struct Made<'s> {
    pub(super) view: watch::Receiver<View>,
    pub(super) ledger: Ledger,
    pub(super) report: Report,
    pub(super) entrance: mpsc::Sender<()>,
    pub(super) call: &'s call::Settings,
    pub(super) gateway: Option<&'s Gateway>,
    pub(super) sound: Arc<Sound>,
    pub(super) camera: Camera,
    pub(super) sessions: Gauge,
}

/// The parts, ready to be started.
#[derive(Default)]
pub(super) struct Parts {
    control: Option<Control>,
    metrics: Option<Metrics>,
}

impl Known {
    pub(super) fn new(
        operations: Operations,
        started: Instant,
        gateway: Option<&(gateway::Settings, HomeAccount)>,
        media: &MediaPlan,
        has_door: bool,
    ) -> Self {
        let source = match &media.camera.source {
            Source::Test | Source::Trial(_) => "test picture".to_owned(),
            Source::V4l2(device) => device.clone(),
            Source::Libcamera(id) => format!("libcamera {id}").trim_end().to_owned(),
            Source::File(file) => file.display().to_string(),
        };
        let devices = [
            (Device::Camera, Some(source)),
            (Device::Microphone, media.sound.capture.clone()),
            (Device::Speaker, media.sound.playback.clone()),
            (Device::Panel, Some(operations.panel.clone())),
        ];
        Self {
            operations,
            started,
            people: gateway.map_or_else(Vec::new, |(gateway, home)| people(gateway, home)),
            devices,
            has_door,
        }
    }

    /// Makes the parts that are wanted. One that cannot be made is missed by operators
    /// and not by visitors: the station goes on without it, and says so.
    pub(super) async fn make(self, made: Made<'_>) -> (Parts, mpsc::Receiver<Question>) {
        let (asked, questions) = mpsc::channel(control::QUESTIONS);
        let mut parts = Parts::default();
        if let Some(address) = self.operations.metrics {
            parts.metrics = self.metrics(address, &made).await;
        }
        if let Some(path) = self.operations.socket.clone() {
            let group = self.operations.group.clone();
            let desk = self.desk(made, asked);
            match Control::bind(&path, group.as_deref(), desk) {
                Ok(control) => parts.control = Some(control),
                Err(error) => {
                    let path = path.display();
                    warn!(%path, %error, "there is no control socket: `doorstation status` cannot reach this station");
                }
            }
        }
        (parts, questions)
    }

    async fn metrics(&self, address: SocketAddr, made: &Made<'_>) -> Option<Metrics> {
        let (sound, sessions) = (made.sound.clone(), made.sessions.clone());
        let door = [Device::Door, Device::Relay].into_iter();
        let there = self.devices.iter();
        let there = there.filter_map(|(device, source)| source.as_ref().map(|_| *device));
        let sources = Sources {
            view: made.view.clone(),
            ledger: made.ledger.clone(),
            started: self.started,
            accounts: made.call.users.keys().cloned().collect(),
            devices: there.chain(door.filter(|_| self.has_door)).collect(),
            sessions: Box::new(move || sessions.sessions()),
            sound: Box::new(move || sound.figures()),
        };
        match Metrics::bind(address, sources).await {
            Ok(metrics) => {
                if let Ok(address) = metrics.local_addr() {
                    info!(%address, "metrics are told");
                }
                Some(metrics)
            }
            Err(error) => {
                warn!(%address, %error, "metrics cannot be told there; choose another [metrics] listen");
                None
            }
        }
    }

    fn desk(self, made: Made<'_>, questions: mpsc::Sender<Question>) -> Desk {
        let end = made.gateway.and_then(Gateway::certificate_end);
        let page = made.gateway.map(Gateway::page);
        let accounts = made.call.users.iter();
        let accounts = accounts.map(|(id, user)| (id.clone(), user.to_string()));
        let plans = made.call.plans.iter().cloned();
        Desk {
            view: made.view,
            questions,
            ledger: made.ledger,
            report: made.report,
            entrance: made.entrance,
            dial: self.operations.dial,
            photographer: photographer(made.camera).into(),
            about: About {
                name: self.operations.name,
                started: self.started,
                page: page.map(|page| Box::new(move || page.url()) as _),
                accounts: accounts.collect(),
                has_door: self.has_door,
                devices: self.devices,
                state_dir: self.operations.state_dir,
                certificate_end: end.map(|end| Box::new(move || end.get()) as _),
            },
            callees: Callees {
                ring: made.call.ring.clone(),
                plans: self
                    .operations
                    .plans
                    .into_iter()
                    .zip(plans)
                    .collect::<Vec<(_, Vec<RingStep>)>>(),
                people: self.people,
                wish: made.call.wish,
                parameters: made.call.parameters.clone(),
            },
            buttons: self.operations.buttons,
        }
    }
}

impl Parts {
    pub(super) fn start(self, supervisor: &mut Supervisor) {
        if let Some(control) = self.control {
            let tasks = Tasks::new();
            supervisor.start("control", tasks.clone(), control.run(tasks));
        }
        if let Some(metrics) = self.metrics {
            let tasks = Tasks::new();
            supervisor.start("metrics", tasks.clone(), metrics.run(tasks));
        }
    }
}

fn photographer(camera: Camera) -> Photographer {
    Box::new(move || {
        let camera = camera.clone();
        Box::pin(async move {
            let taken = camera.snapshot().await;
            let taken = taken.map_err(|error| error.to_string())?;
            Ok(taken.jpeg.to_vec())
        })
    })
}

/// Everybody at the gateway but the door itself.
fn people(gateway: &gateway::Settings, home: &HomeAccount) -> Vec<Target> {
    let users = gateway.users.iter();
    let users = users.filter(|user| user.address != home.user);
    let target = |user: &gateway::User| Target {
        account: AccountId::clone(&home.account),
        to: Address::new(user.address.as_str()),
    };
    users.map(target).collect()
}
