//! The panel seam: buttons and lights.
//!
//! Lights are a function of the published [`View`] and of nothing else: first a
//! [`Sign`], then a [`Pattern`]. The door's tones follow the same view
//! ([`tone()`]), but the station orders them from the media engine.
//!
//! A backend gives a [`Lights`] and a [`Buttons`]; [`Panel::run`] serves both and
//! knows nothing of pins. It does not debounce (a backend does), decides nothing
//! about calls, and never opens a door.

pub mod light_pattern;
pub mod sign;
pub mod sim;
pub mod tone;

pub use sign::of as sign;
pub use tone::of as tone;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::call::{Button, Input, View};
use light_pattern::Pattern;
use sign::Sign;

/// What shows signs to a visitor.
#[async_trait]
pub trait Lights: Send {
    /// Shows `pattern`, which means `sign`, until told otherwise. Called at changes
    /// only, within 50 ms of the change of the view; it must not wait for longer
    /// than that itself.
    async fn show(&mut self, sign: Sign, pattern: Pattern);
}

/// Where presses come from.
#[async_trait]
pub trait Buttons: Send {
    /// The next press, debounced; `None` when no more can come. Cancel safe: a
    /// press is never lost when the future is dropped.
    async fn next(&mut self) -> Option<Press>;
}

/// What a person did at the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// Pressed a button.
    Button(Button),
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
}

impl Panel {
    /// A panel of these parts.
    pub fn new(lights: impl Lights + 'static, buttons: impl Buttons + 'static) -> Self {
        Self {
            lights: Box::new(lights),
            buttons: Box::new(buttons),
        }
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
        let presses = async {
            pass_presses(self.buttons, inbox, quit).await;
            std::future::pending::<()>().await;
        };
        let lights = follow(self.lights, view, stop);
        tokio::select! {
            () = lights => {}
            () = presses => {}
        }
    }
}

/// Hands presses to the station. An inbox that is full makes the press wait: it is
/// not lost, and the buttons cannot outrun the station.
async fn pass_presses(
    mut buttons: Box<dyn Buttons>,
    inbox: mpsc::Sender<Input>,
    quit: CancellationToken,
) {
    while let Some(press) = buttons.next().await {
        match press {
            Press::Button(button) => {
                tracing::debug!(?button, "pressed");
                if inbox.send(Input::Pressed(button)).await.is_err() {
                    return;
                }
            }
            Press::Quit => quit.cancel(),
        }
    }
}

/// Shows the view's sign at every change of it, and switches off at the end.
async fn follow(
    mut lights: Box<dyn Lights>,
    mut view: watch::Receiver<View>,
    stop: CancellationToken,
) {
    let mut shown = None;
    while !stop.is_cancelled() {
        let sign = sign(&view.borrow_and_update());
        if shown != Some(sign) {
            lights.show(sign, light_pattern::of(sign)).await;
            shown = Some(sign);
        }
        tokio::select! {
            () = stop.cancelled() => break,
            changed = view.changed() => if changed.is_err() { break },
        }
    }
    if shown != Some(Sign::Stopping) {
        lights
            .show(Sign::Stopping, light_pattern::of(Sign::Stopping))
            .await;
    }
}
