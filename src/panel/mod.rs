//! The panel seam: buttons and lights.
//!
//! Lights are a function of the published [`View`] and of nothing else: first a
//! [`Sign`], then a [`Pattern`]. The door's tones follow the same view
//! ([`tone()`]), but the station orders them from the media engine.
//!
//! A backend gives a [`Lights`] and a [`Buttons`]; [`Panel::run`] serves both and
//! knows nothing of pins. It does not debounce (a backend does), decides nothing
//! about calls, and never opens a door.
//!
//! * [`sim`] is standard input and output.
//! * [`lines`] is the logic of every panel of wires: [`debounce`], [`action`] and
//!   patterns in time, over lines that [`cdev`] or [`rppal`] opens.
//!   [`open()`] chooses.

pub mod action;
pub mod cdev;
pub mod debounce;
pub mod light_pattern;
pub mod lines;
pub mod look;
mod open;
pub mod rppal;
pub mod settings;
pub mod sign;
pub mod sim;
pub mod tone;
pub mod trial;

pub use open::open;
pub use sign::of as sign;
pub use tone::of as tone;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::call::{Button, Device, Input, Sensor, View};
use crate::clock;
use action::{Actions, Deed};
use light_pattern::Pattern;
use look::Looks;
use sign::Sign;

/// What shows signs to a visitor.
#[async_trait]
pub trait Lights: Send {
    /// Shows `pattern`, which means `sign`, until told otherwise. Called at changes
    /// only, within 50 ms of the change of the view; it must not wait for longer
    /// than that itself.
    async fn show(&mut self, sign: Sign, pattern: Pattern);

    /// Keeps what is shown moving, for lights that do not move by themselves. It does
    /// not end; it is dropped whenever something else is to be shown.
    async fn animate(&mut self) {
        std::future::pending().await
    }

    /// Lights the entrance for a while, where there is such a light.
    fn light_entrance(&mut self) {}
}

/// Where presses come from.
#[async_trait]
pub trait Buttons: Send {
    /// The next press, debounced; `None` when no more can come. Cancel safe: a
    /// press is never lost when the future is dropped.
    async fn next(&mut self) -> Option<Press>;
}

/// What happened at the panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Press {
    /// Somebody pressed a button of this meaning.
    Button(Button),
    /// Somebody pressed a button whose meaning depends on where the station stands.
    Wired(Actions),
    /// A sensor is active, or at rest; once at start, and at each change.
    Sensor(Sensor, bool),
    /// Something of the panel does not work, and what; `None`: it works again.
    Fault(Option<String>),
    /// Asked the whole program to end: only a simulated panel can.
    Quit,
}

/// How a running panel is tied to the station.
#[derive(Debug)]
pub struct Links {
    /// The snapshot that the lights follow.
    pub view: watch::Receiver<View>,
    /// Where presses go, as [`Input::Pressed`].
    pub inbox: mpsc::Sender<Input>,
    /// Cancelled by the panel when somebody asks the program to end.
    pub quit: CancellationToken,
    /// Ends the panel; its lights are switched off first.
    pub stop: CancellationToken,
}

/// One backend's lights and buttons.
pub struct Panel {
    lights: Box<dyn Lights>,
    buttons: Box<dyn Buttons>,
    looks: Looks,
    wish: mpsc::Sender<()>,
    entrance: mpsc::Receiver<()>,
}

impl Panel {
    /// A panel of these parts.
    pub fn new(lights: impl Lights + 'static, buttons: impl Buttons + 'static) -> Self {
        // One wish waits; more would light the same light.
        let (wish, entrance) = mpsc::channel(1);
        Self {
            lights: Box::new(lights),
            buttons: Box::new(buttons),
            looks: Looks::default(),
            wish,
            entrance,
        }
    }

    /// Where others than the buttons ask for the light of the entrance.
    pub fn entrance(&self) -> mpsc::Sender<()> {
        self.wish.clone()
    }

    /// The same panel, whose signs look like this.
    pub fn with_looks(self, looks: Looks) -> Self {
        Self { looks, ..self }
    }

    /// Serves lights and buttons until `links.stop` is cancelled or the station's
    /// end of the view is dropped. The lights are off afterwards.
    pub async fn run(self, links: Links) {
        let Links {
            view,
            inbox,
            quit,
            stop,
        } = links;
        // Two loops side by side: a light never waits for an inbox that is full.
        let told = view.clone();
        let presses = async {
            let to = To {
                view: told,
                inbox,
                quit,
                entrance: self.wish,
            };
            pass_presses(self.buttons, &to).await;
            // The wish must stay: an end of it would be news to the lights.
            let _to = to;
            std::future::pending::<()>().await;
        };
        let lights = follow(self.lights, self.looks, view, self.entrance, stop);
        tokio::select! {
            () = lights => {}
            () = presses => {}
        }
    }
}

/// Where what happens at the panel goes.
struct To {
    view: watch::Receiver<View>,
    inbox: mpsc::Sender<Input>,
    quit: CancellationToken,
    entrance: mpsc::Sender<()>,
}

/// Hands presses to the station. An inbox that is full makes the press wait: it is
/// not lost, and the buttons cannot outrun the station.
async fn pass_presses(mut buttons: Box<dyn Buttons>, to: &To) {
    while let Some(press) = buttons.next().await {
        tracing::debug!(?press, "at the panel");
        let input = match press {
            Press::Button(button) => Input::Pressed(button),
            Press::Wired(actions) => match action::of(actions, &to.view.borrow()) {
                Deed::Press(button) => Input::Pressed(button),
                Deed::Light => {
                    // Full: it is about to be lit.
                    let _ = to.entrance.try_send(());
                    continue;
                }
                Deed::Nothing => continue,
            },
            Press::Sensor(sensor, active) => Input::Sensor(sensor, active),
            Press::Fault(fault) => Input::Device(Device::Panel, fault),
            Press::Quit => {
                to.quit.cancel();
                continue;
            }
        };
        if to.inbox.send(input).await.is_err() {
            return;
        }
    }
}

/// Shows the view's sign at every change of it, and switches off at the end.
async fn follow(
    mut lights: Box<dyn Lights>,
    looks: Looks,
    mut view: watch::Receiver<View>,
    mut entrance: mpsc::Receiver<()>,
    stop: CancellationToken,
) {
    let mut shown = None;
    while !stop.is_cancelled() {
        let sign = sign(&view.borrow_and_update());
        let next = (sign, looks.of(sign, clock::minute_of_day()));
        if shown != Some(next) {
            lights.show(next.0, next.1).await;
            shown = Some(next);
        }
        tokio::select! {
            () = stop.cancelled() => break,
            changed = view.changed() => if changed.is_err() { break },
            Some(()) = entrance.recv() => lights.light_entrance(),
            () = nightfall(&looks) => {}
            () = lights.animate() => {}
        }
    }
    if shown.is_none_or(|(sign, _)| sign != Sign::Stopping) {
        let dark = light_pattern::of(Sign::Stopping);
        lights.show(Sign::Stopping, dark).await;
    }
}

/// Ready when it is time to look at the clock again.
async fn nightfall(looks: &Looks) {
    match looks.night {
        Some(_) => tokio::time::sleep(std::time::Duration::from_secs(20)).await,
        None => std::future::pending().await,
    }
}
