//! Whatever happens, the light that is shown is the light of the view.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use doorstation::call::{
    AccountId, Button, CallId, CallView, Connection, Device, Direction, Failure, Input, State, View,
};
use doorstation::panel::light_pattern::{self, Pattern};
use doorstation::panel::sign::{self, Sign};
use doorstation::panel::{Buttons, Lights, Links, Panel, Press};
use proptest::prelude::*;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

proptest! {
    #[test]
    fn after_every_change_the_light_is_the_views_and_never_anything_else(
        views in prop::collection::vec(any_view(), 1..20),
        hurried in prop::collection::vec(any::<bool>(), 20),
    ) {
        paused(async {
            let mut bench = Bench::new();
            for (view, hurried) in views.iter().zip(hurried) {
                bench.view.send_replace(view.clone());
                if hurried {
                    continue;
                }
                bench.settle().await;
                let want = (sign::of(view), light_pattern::of(sign::of(view)));
                prop_assert_eq!(bench.shown().last().copied(), Some(want));
            }
            bench.settle().await;
            let last = views.last().expect("at least one view");
            prop_assert_eq!(bench.shown().last().map(|(sign, _)| *sign), Some(sign::of(last)));

            let signs: Vec<_> = bench.shown().iter().map(|(sign, _)| *sign).collect();
            for pair in signs.windows(2) {
                prop_assert_ne!(pair[0], pair[1], "shown again without a change");
            }
            for sign in &signs {
                let published = views.iter().any(|view| sign::of(view) == *sign);
                prop_assert!(published || *sign == Sign::Starting, "{sign:?} was never due");
            }
            bench.stop().await;
            prop_assert_eq!(bench.shown().last().map(|(sign, _)| *sign), Some(Sign::Stopping));
            Ok(())
        })?;
    }
}

#[test]
fn lights_follow_while_the_station_takes_no_press() {
    paused(async {
        let mut bench = Bench::new();
        for _ in 0..10 {
            bench.press.send(Press::Button(Button::Bell)).await.unwrap();
        }
        bench.settle().await;
        bench.view.send_replace(ready());
        bench.settle().await;
        assert_eq!(
            bench.shown().last().map(|(sign, _)| *sign),
            Some(Sign::Idle)
        );

        // Nothing was lost meanwhile.
        for _ in 0..10 {
            assert_eq!(bench.inbox.recv().await, Some(Input::Pressed(Button::Bell)));
        }
        bench.stop().await;
    });
}

#[test]
fn quit_asks_the_program_to_end_and_the_panel_goes_on_until_it_does() {
    paused(async {
        let mut bench = Bench::new();
        bench.press.send(Press::Quit).await.unwrap();
        bench.quit.cancelled().await;
        bench.view.send_replace(ready());
        bench.settle().await;
        assert_eq!(
            bench.shown().last().map(|(sign, _)| *sign),
            Some(Sign::Idle)
        );
        bench.stop().await;
    });
}

#[test]
fn the_light_goes_out_when_the_station_is_gone() {
    paused(async {
        let bench = Bench::new();
        bench.settle().await;
        drop(bench.view);
        bench.running.await.unwrap();
        let shown = bench.shown.lock().unwrap();
        assert_eq!(shown.last().map(|(sign, _)| *sign), Some(Sign::Stopping));
    });
}

/// A running panel with lights that remember and buttons that are pressed by hand.
struct Bench {
    view: watch::Sender<View>,
    inbox: mpsc::Receiver<Input>,
    press: mpsc::Sender<Press>,
    quit: CancellationToken,
    stop: CancellationToken,
    shown: Shown,
    running: tokio::task::JoinHandle<()>,
}

type Shown = Arc<Mutex<Vec<(Sign, Pattern)>>>;

impl Bench {
    fn new() -> Self {
        let (view, follow) = watch::channel(View::default());
        let (tell, inbox) = mpsc::channel(1);
        let (press, presses) = mpsc::channel(16);
        let (quit, stop) = (CancellationToken::new(), CancellationToken::new());
        let shown = Shown::default();
        let panel = Panel::new(Remembering(shown.clone()), ByHand(presses));
        let links = Links {
            view: follow,
            inbox: tell,
            quit: quit.clone(),
            stop: stop.clone(),
        };
        let running = tokio::task::spawn_local(panel.run(links));
        Self {
            view,
            inbox,
            press,
            quit,
            stop,
            shown,
            running,
        }
    }

    fn shown(&self) -> Vec<(Sign, Pattern)> {
        self.shown.lock().unwrap().clone()
    }

    /// Paused time only advances when every task waits: then all is done.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    async fn stop(&mut self) {
        self.stop.cancel();
        (&mut self.running).await.unwrap();
    }
}

struct Remembering(Shown);

#[async_trait]
impl Lights for Remembering {
    async fn show(&mut self, sign: Sign, pattern: Pattern) {
        self.0.lock().unwrap().push((sign, pattern));
    }
}

struct ByHand(mpsc::Receiver<Press>);

#[async_trait]
impl Buttons for ByHand {
    async fn next(&mut self) -> Option<Press> {
        self.0.recv().await
    }
}

/// Runs on one thread in virtual time.
fn paused<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

fn ready() -> View {
    View {
        connections: [(AccountId::new("home"), Connection::Connected)].into(),
        ..View::default()
    }
}

fn any_view() -> impl Strategy<Value = View> {
    let connections = prop::collection::btree_map(
        prop::sample::select(vec!["home", "cloud"]).prop_map(AccountId::new),
        prop::sample::select(vec![
            Connection::Connecting,
            Connection::Connected,
            Connection::Lost(failure()),
            Connection::Refused(failure()),
        ]),
        0..3,
    );
    let device = prop::sample::select(vec![Device::Camera, Device::Microphone, Device::Speaker]);
    let faults = prop::collection::btree_map(device, Just("broken".to_owned()), 0..3);
    (
        connections,
        faults,
        prop::option::of(any_call()),
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(connections, faults, call, stopping): (BTreeMap<_, _>, BTreeMap<_, _>, _, _)| View {
                connections,
                faults,
                call,
                stopping,
                ..View::default()
            },
        )
}

fn any_call() -> impl Strategy<Value = CallView> {
    let state = prop::sample::select(vec![
        State::Initiating,
        State::Initiated,
        State::Ringing,
        State::EarlyMedia,
        State::InCall,
        State::OnHold,
        State::OnRemoteHold,
        State::Cancelled,
        State::Ended,
    ]);
    let direction = prop::sample::select(vec![Direction::Incoming, Direction::Outgoing]);
    (state, direction).prop_map(|(state, direction)| CallView {
        id: CallId::new("c1"),
        direction,
        state,
        peers: Vec::new(),
        made: doorstation::clock::now(),
        started: None,
    })
}

fn failure() -> Failure {
    Failure {
        code: "authentication:2".into(),
        message: "no answer".into(),
    }
}
