//! The composition root: puts a station together from a plan.
//!
//! `doorstation run` makes the plan from its configuration file, `doorstation
//! demo` from its options; from here on both are the same station.

mod operations;
mod page_door;
mod systemd;
mod visitors;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::call::{
    self, AccountId, Address, Button, CallId, Calls, Connection, Event, Input, Parameter, RingStep,
    Sensor, View,
};
use crate::clock;
use crate::door::client;
use crate::gateway::{self, Gateway};
use crate::ledger::Ledger;
use crate::media::engine::{self, Engine};
use crate::media::gst::{Camera, CameraSettings};
use crate::media::sound::{Sound, SoundSettings};
use crate::panel::{Links, Panel};
use crate::report::{Ready, Report};
use crate::service;
use crate::signalling::kandy;
use crate::station::{self, Listener, News, Station};
use crate::supervisor::Supervisor;
use crate::tasks::Tasks;
use crate::telemetry::kind;
pub use operations::Operations;
use operations::{Known, Made};
pub use systemd::{Notice, tell as tell_systemd};

/// News that may wait for the report's writer; a call makes about thirty.
const NEWS: usize = 256;
/// How much longer than its gateway a station rings, where both were to ring equally
/// long: the gateway's end is told to both sides in the same words, and a station that
/// gives up a moment earlier makes "cancelled" of "nobody answered" at the page.
const RING_GRACE: Duration = Duration::from_secs(2);
/// How long a part may take to stop that was begun in vain; as the supervisor's.
const GRACE: Duration = Duration::from_secs(3);
/// The subscription that the station asks of its own gateway.
const HOME_EXPIRES: Duration = Duration::from_secs(3600);

/// Everything that a station needs to start.
pub struct Plan {
    /// The core's settings.
    pub call: call::Settings,
    /// The embedded gateway, if there is one, and the account at it.
    pub gateway: Option<(gateway::Settings, HomeAccount)>,
    /// Accounts at other servers.
    pub accounts: Vec<kandy::Settings>,
    /// Those whose TURN credentials are for the ICE servers of the sessions.
    pub turn: BTreeSet<AccountId>,
    /// What this machine is called at its accounts, the same over restarts.
    pub correlators: BTreeMap<AccountId, String>,
    /// The socket of the door's relay guardian, if there is a door.
    pub relay: Option<PathBuf>,
    /// The panel has no sensors but what is typed: they begin at rest.
    pub sensors_at_rest: bool,
    /// The page's bell button presses the panel's bell: for a simulated panel.
    pub bell_on_page: bool,
    /// Camera, sound and sessions.
    pub media: MediaPlan,
    /// How many visitors' pictures are kept; 0 is none.
    pub visitors: usize,
    /// Where the station publishes what lights and reports follow.
    pub view: watch::Sender<View>,
    /// The panel.
    pub panel: Panel,
    /// Who is told what happens.
    pub report: Report,
    /// What is told first, as soon as the station can ring.
    pub ready: Introduction,
    /// How operators and monitors reach it.
    pub operations: Operations,
    /// What is remembered over its starts in this process.
    pub memory: Memory,
}

/// What a station remembers when it stops and starts again with another configuration.
#[derive(Clone, Debug)]
pub struct Memory {
    ledger: Ledger,
    started: Instant,
}

impl Memory {
    /// Of a process that begins: nothing.
    pub fn new() -> Self {
        Self {
            ledger: Ledger::default(),
            started: clock::now(),
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes the first thing that is told; takes where browsers find the page, if there
/// is a gateway.
pub type Introduction = Box<dyn FnOnce(Option<String>) -> Ready + Send>;

/// The media side of a plan.
#[derive(Clone, Debug)]
pub struct MediaPlan {
    /// Where the picture comes from.
    pub camera: CameraSettings,
    /// Which PCMs.
    pub sound: SoundSettings,
    /// How sessions are made.
    pub rtc: engine::Settings,
}

/// The station's own account at the embedded gateway.
#[derive(Clone, Debug)]
pub struct HomeAccount {
    /// Its name in ring plans and logs.
    pub account: call::AccountId,
    /// `door@demo.local`.
    pub user: String,
    /// Its password; known to this process only.
    pub password: crate::secret::Secret,
}

/// What a call of this door tells the people indoors: from which door it comes.
pub fn door_name(name: &str) -> Parameter {
    Parameter {
        name: "X-Door".to_owned(),
        value: name.to_owned(),
    }
}

/// A station that runs.
#[must_use]
pub struct Running(Supervisor);

impl Running {
    /// Watches over the station until `stop` is cancelled; afterwards nothing of it is
    /// left.
    ///
    /// # Errors
    ///
    /// A part ended by itself.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        Ok(self.0.run(stop).await?)
    }
}

/// Starts a station. Its panel may ask the whole program to end: it cancels `quit`.
///
/// # Errors
///
/// A part that could not start; nothing of the others is left.
pub async fn start(plan: Plan, quit: CancellationToken) -> anyhow::Result<Running> {
    let mut begun = Begun::default();
    match assemble(plan, quit, &mut begun).await {
        Ok(supervisor) => Ok(Running(supervisor)),
        Err(error) => {
            begun.stop().await;
            Err(error)
        }
    }
}

/// The tasks of parts that are not in a supervisor's hands yet.
#[derive(Default)]
struct Begun(Vec<Tasks>);

impl Begun {
    fn tasks(&mut self) -> Tasks {
        let tasks = Tasks::new();
        self.0.push(tasks.clone());
        tasks
    }

    async fn stop(self) {
        for tasks in self.0 {
            if tokio::time::timeout(GRACE, tasks.stop()).await.is_err() {
                warn!("a part of a station that could not start is left behind");
            }
        }
    }
}

/// Puts the parts together. All that can fail comes first; then they start.
async fn assemble(
    mut plan: Plan,
    quit: CancellationToken,
    begun: &mut Begun,
) -> anyhow::Result<Supervisor> {
    let mut supervisor = Supervisor::new();
    let (inbox, inputs) = mpsc::channel::<Input>(station::INBOX);
    let dial = plan.operations.dial.clone();
    let folder = plan.operations.state_dir.as_deref();
    let album = folder.filter(|_| plan.gateway.is_some());
    let album = album.and_then(|folder| visitors::album(folder, plan.visitors));
    let known = Known::new(
        plan.operations,
        plan.memory.started,
        plan.gateway.as_ref(),
        &plan.media,
        plan.call.door.is_some(),
    );

    // The gateway listens first, so that the station's own login finds it.
    let mut answers = None;
    let (gateway, home) = match plan.gateway {
        Some((mut settings, home)) => {
            let tasks = begun.tasks();
            let secure = !matches!(settings.tls, gateway::Tls::Off);
            outlast(&mut plan.call.ring, settings.ring_time);
            if plan.call.door.is_some() {
                let (wishes, told) = page_door::start(inbox.clone(), &tasks);
                settings.opening = Some(wishes);
                answers = Some(told);
            }
            settings.album = album.clone();
            settings.bell = plan.bell_on_page.then(|| page_bell(inbox.clone(), &tasks));
            let gateway = Gateway::bind(settings, tasks.clone())
                .await
                .context("the embedded gateway")?;
            let client = home_client(&gateway, secure, home);
            (Some((gateway, tasks)), Some(client))
        }
        None => (None, None),
    };
    let page = gateway.as_ref().map(|(gateway, _)| gateway.page());

    let ice = plan.media.rtc.ice.clone();
    let media_tasks = begun.tasks();
    let (media, media_orders) = mpsc::channel(station::ORDERS);
    let (engine, sound, camera) = start_media(plan.media, &inbox, &media_tasks)?;
    if let Some(album) = album {
        let view = plan.view.subscribe();
        media_tasks.spawn("visitors", visitors::follow(view, camera.clone(), album));
    }

    let mut accounts = BTreeMap::new();
    let mut clients = Vec::new();
    for settings in home.into_iter().chain(plan.accounts) {
        let account = settings.account.clone();
        let user = Address::new(settings.user.as_str());
        plan.call.users.insert(account.clone(), user);
        let tasks = begun.tasks();
        let mut client = kandy::Client::new(settings, inbox.clone(), tasks.clone())
            .with_context(|| format!("the account '{account}'"))?;
        if plan.turn.contains(&account) {
            client = client.with_turn(ice.clone());
        }
        if let Some(name) = plan.correlators.get(&account) {
            client = client.with_correlator(name);
        }
        let (orders, queue) = mpsc::channel(station::ORDERS);
        accounts.insert(account, orders);
        clients.push((client, queue, tasks));
    }

    let relay = plan.relay;
    let relay = relay.map(|socket| client::Client::new(socket, inbox.clone()));
    let (relay_client, relay) = relay.unzip();
    if plan.sensors_at_rest {
        for sensor in [Sensor::RequestToExit, Sensor::DoorContact] {
            // The inbox is empty yet.
            let _ = inbox.try_send(Input::Sensor(sensor, false));
        }
    }

    let report_tasks = Tasks::new();
    dial.tell_floods(&report_tasks);
    let ready = (plan.ready)(page.map(|page| page.url()));
    let ledger = plan.memory.ledger;
    let (listener, news) = telling(ledger.clone());
    let view = plan.view.subscribe();
    let made = Made {
        view: view.clone(),
        ledger,
        report: plan.report.clone(),
        entrance: plan.panel.entrance(),
        call: &plan.call,
        gateway: gateway.as_ref().map(|(gateway, _)| gateway),
        sound,
        camera,
        sessions: engine.gauge(),
    };
    let (operations, questions) = known.make(made).await;
    let station = Station {
        calls: Calls::new(plan.call, || CallId::new(uuid::Uuid::new_v4().to_string())),
        inbox: inputs,
        questions,
        accounts,
        media,
        relay,
        answers,
        view: plan.view,
        listener,
    };

    // In the order in which they stop: the station hangs up while signalling and
    // media still work, and the gateway is the last to go.
    let tasks = Tasks::new();
    supervisor.start("station", tasks.clone(), station.run(tasks));
    for (client, queue, tasks) in clients {
        supervisor.start("signalling", tasks, client.run(queue));
    }
    supervisor.start("media", media_tasks, engine.run(media_orders));
    if let Some(client) = relay_client {
        let tasks = Tasks::new();
        let stopped = tasks.cancelled().clone();
        supervisor.start("relay", tasks, async move {
            stopped.run_until_cancelled(client.run()).await;
        });
    }
    let tasks = Tasks::new();
    let links = Links {
        view,
        inbox,
        quit,
        stop: tasks.cancelled().clone(),
    };
    supervisor.start("panel", tasks, plan.panel.run(links));
    supervisor.start(
        "report",
        report_tasks.clone(),
        tell(plan.report, ready, news, report_tasks),
    );
    // After the report: who watches hears the last of it.
    operations.start(&mut supervisor);
    if let Some((gateway, tasks)) = gateway {
        supervisor.start("gateway", tasks, gateway.run());
    }

    info!(
        message_id = kind::STATION_UP,
        page = page.map(|page| page.url()),
        "the station is up"
    );
    if service::is_watched() {
        supervisor.watch(service::tell_alive);
    }
    Ok(supervisor)
}

/// Lets the gateway be the one that ends what rings as long as it lets calls ring.
fn outlast(ring: &mut [RingStep], gateway: Duration) {
    for step in ring {
        if step.time.abs_diff(gateway) < RING_GRACE {
            step.time = gateway + RING_GRACE;
        }
    }
}

fn start_media(
    plan: MediaPlan,
    inbox: &mpsc::Sender<Input>,
    tasks: &Tasks,
) -> anyhow::Result<(Engine, Arc<Sound>, Camera)> {
    let camera = Camera::start(plan.camera, inbox.clone(), tasks).context("the camera")?;
    let sound = Sound::start(plan.sound, inbox.clone(), tasks).context("the sound card")?;
    let sound = Arc::new(sound);
    let engine = Engine::new(
        plan.rtc,
        Arc::new(camera.clone()),
        sound.clone(),
        inbox.clone(),
        tasks.clone(),
    );
    Ok((engine, sound, camera))
}

/// Where the page's bell button ends up: the same input as the panel's.
fn page_bell(inbox: mpsc::Sender<Input>, tasks: &Tasks) -> mpsc::Sender<()> {
    // One press waits; more would ring the same call.
    let (sender, mut presses) = mpsc::channel(1);
    tasks.spawn("page-bell", async move {
        while presses.recv().await.is_some() {
            if inbox.send(Input::Pressed(Button::Bell)).await.is_err() {
                return;
            }
        }
    });
    sender
}

/// The client of the station's own account: an ordinary client over the network,
/// which trusts the gateway's own CA, or the certificate that it was given.
fn home_client(gateway: &Gateway, secure: bool, home: HomeAccount) -> kandy::Settings {
    let mut address = gateway.local_addr();
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let trust = match gateway.own_certificate() {
        Some(certificate) => kandy::Trust::Only(certificate),
        None => kandy::Trust::public_and(gateway.ca_pem().map(<[u8]>::to_vec)),
    };
    let (rest, websocket) = if secure {
        ("https", "wss")
    } else {
        ("http", "ws")
    };
    kandy::Settings {
        account: home.account,
        user: home.user,
        login: kandy::Login::Basic {
            password: home.password,
            authname: None,
        },
        rest: format!("{rest}://{address}"),
        websocket: format!("{websocket}://{address}"),
        expires: HOME_EXPIRES,
        trust,
        display_name: None,
    }
}

/// A listener that never blocks the station, and the queue behind it. The ledger is
/// written at once: it loses nothing.
fn telling(ledger: Ledger) -> (Listener, mpsc::Receiver<News>) {
    let (queue, news) = mpsc::channel(NEWS);
    let listener = move |news: &News| {
        if let News::Event(event) = news {
            ledger.write(event, clock::wall());
        }
        if let Err(refused) = queue.try_send(news.clone()) {
            warn!(%refused, "nobody reads the report; a line of it is lost");
        }
    };
    (Box::new(listener), news)
}

/// Tells the report what the station says, and first that it can ring.
async fn tell(report: Report, ready: Ready, mut news: mpsc::Receiver<News>, tasks: Tasks) {
    let next = async |news: &mut mpsc::Receiver<News>| match news.try_recv() {
        Ok(next) => Some(next),
        // What is queued is told before the stop counts.
        Err(_) => tasks
            .cancelled()
            .run_until_cancelled(news.recv())
            .await
            .flatten(),
    };
    let mut ready = Some(ready);
    while let Some(next) = next(&mut news).await {
        match next {
            News::Event(event) => {
                let can_ring = matches!(event, Event::Connection(_, Connection::Connected));
                report.event(event).await;
                if can_ring && let Some(ready) = ready.take() {
                    report.ready(ready).await;
                }
            }
            News::Tone(tone) => report.tone(tone).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::outlast;
    use crate::call::RingStep;

    #[test]
    fn of_equal_ring_times_the_gateways_is_over_first_and_others_stay() {
        let step = |seconds| RingStep {
            targets: Vec::new(),
            time: Duration::from_secs(seconds),
        };
        let mut ring = [step(20), step(59), step(60), step(61), step(90)];
        outlast(&mut ring, Duration::from_secs(60));
        let times = ring.map(|step| step.time.as_secs());
        assert_eq!(times, [20, 62, 62, 62, 90]);
    }
}
