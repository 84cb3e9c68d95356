//! Buttons, sensors and lights on wires: one logic for every backend, here on fake
//! lines in virtual time.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod panel_bench;

use std::time::Duration;

use doorstation::call::{Button, CallId, CallView, Device, Direction, Input, Sensor, State, View};
use doorstation::clock;
use doorstation::panel::action::{Action, Actions};
use doorstation::panel::lines::Channel;
use doorstation::panel::look::Looks;
use doorstation::panel::sign;
use panel_bench::{Bench, board, paused, ready, sleep_ms};
use proptest::prelude::*;

/// The lines of the board pi4, in the order in which they are opened.
const BELL: usize = 0;
const LIGHT: usize = 1;
const REQUEST_TO_EXIT: usize = 2;
const DOOR_CONTACT: usize = 3;
/// Its light at the entrance.
const ENTRANCE: usize = 5;

const RING: Input = Input::Pressed(Button::Bell);

#[test]
fn two_hundred_edges_in_twenty_milliseconds_are_one_press_and_ten_milliseconds_none() {
    paused(async {
        let mut bench = begun().await;
        for n in 0..200 {
            bench.hand.set(BELL, n % 2 == 0);
            if n % 10 == 9 {
                sleep_ms(1).await;
            }
        }
        bench.hand.set(BELL, true);
        sleep_ms(29).await;
        assert_eq!(bench.told(), []);
        sleep_ms(2).await;
        assert_eq!(bench.told(), [RING]);
        bench.hand.set(BELL, false);
        sleep_ms(1000).await;

        bench.hand.press(BELL, 10).await;
        sleep_ms(1000).await;
        assert_eq!(bench.told(), []);
        bench.stop().await;
    });
}

#[test]
fn two_buttons_at_once_are_two_presses() {
    paused(async {
        let mut settings = board("pi4");
        settings.buttons[LIGHT].actions = Actions::always(Action::End);
        let mut bench = begun_on(&settings).await;
        bench.hand.set(BELL, true);
        bench.hand.set(LIGHT, true);
        sleep_ms(100).await;
        assert_eq!(bench.told(), [RING, Input::Pressed(Button::End)]);
        bench.stop().await;
    });
}

#[test]
fn a_stuck_button_is_one_call_and_one_fault_and_the_others_live() {
    paused(async {
        let mut settings = board("pi4");
        settings.buttons[LIGHT].actions = Actions::always(Action::End);
        let mut bench = begun_on(&settings).await;
        bench.hand.set(BELL, true);
        for minute in 0..10 {
            sleep_ms(60_000).await;
            bench.hand.press(LIGHT, 200).await;
            sleep_ms(200).await;
            let told = bench.told();
            let (last, first) = told.split_last().unwrap();
            assert_eq!(*last, Input::Pressed(Button::End));
            match first {
                [RING, Input::Device(Device::Panel, Some(what))] if minute == 0 => {
                    assert!(what.contains("'bell' is closed for 30 s"), "{what}");
                }
                told => assert_eq!((told, minute > 0), (&[][..], true)),
            }
        }
        bench.hand.set(BELL, false);
        sleep_ms(100).await;
        assert_eq!(bench.told(), [Input::Device(Device::Panel, None)]);
        the_bell_rings(&mut bench).await;
        bench.stop().await;
    });
}

#[test]
fn a_button_that_is_down_at_the_start_does_not_ring() {
    paused(async {
        let mut bench = Bench::with_levels(&board("pi4"), vec![true, false, false, true, false]);
        sleep_ms(10_000).await;
        let sensors = |contact| {
            [
                Input::Sensor(Sensor::RequestToExit, false),
                Input::Sensor(Sensor::DoorContact, contact),
                Input::Sensor(Sensor::Tamper, false),
            ]
        };
        assert_eq!(bench.told(), sensors(true));
        bench.hand.set(BELL, false);
        sleep_ms(100).await;
        assert_eq!(bench.told(), []);
        the_bell_rings(&mut bench).await;
        bench.stop().await;
    });
}

#[test]
fn a_babbling_line_does_not_hold_up_the_others() {
    paused(async {
        let mut bench = begun().await;
        bench.hand.set(BELL, true);
        let now = clock::now();
        for n in 0..100 {
            // They wait in the kernel, so the panel never comes to look at its clock.
            let at = now + Duration::from_millis(n);
            bench.hand.set_at(REQUEST_TO_EXIT, n % 2 == 0, at);
        }
        sleep_ms(1).await;
        assert_eq!(bench.told(), [RING]);
        bench.stop().await;
    });
}

#[test]
fn after_lost_edges_the_levels_are_read_again() {
    paused(async {
        let mut bench = begun().await;
        bench.hand.press(REQUEST_TO_EXIT, 1).await;
        // The press of the bell is lost; the next edge tells that something was.
        bench.hand.lose(BELL, true);
        bench.hand.set(DOOR_CONTACT, true);
        sleep_ms(100).await;
        let contact = Input::Sensor(Sensor::DoorContact, true);
        assert_eq!(bench.told(), [RING, contact]);

        bench.hand.lose(BELL, false);
        bench.hand.set(DOOR_CONTACT, false);
        sleep_ms(100).await;
        bench.hand.press(BELL, 100).await;
        sleep_ms(100).await;
        assert_eq!(
            bench.told(),
            [Input::Sensor(Sensor::DoorContact, false), RING]
        );
        bench.stop().await;
    });
}

#[test]
fn lines_that_go_away_are_a_fault_until_they_are_back() {
    paused(async {
        let mut bench = begun().await;
        bench.hand.break_off();
        sleep_ms(10_000).await;
        let told = bench.told();
        assert!(
            matches!(&told[..], [Input::Device(Device::Panel, Some(what))] if what.contains("cannot be read")),
            "{told:?}"
        );
        *bench.hand.broken.lock().unwrap() = false;
        sleep_ms(1500).await;
        assert_eq!(bench.told(), [Input::Device(Device::Panel, None)]);
        the_bell_rings(&mut bench).await;
        bench.stop().await;
    });
}

#[test]
fn a_long_press_means_something_else_than_a_short_one() {
    paused(async {
        let mut settings = board("pi4");
        settings.buttons[BELL].long_press = Some((Duration::from_secs(1), Action::End));
        let mut bench = begun_on(&settings).await;
        bench.hand.set(BELL, true);
        sleep_ms(500).await;
        assert_eq!(bench.told(), []);
        bench.hand.set(BELL, false);
        sleep_ms(100).await;
        assert_eq!(bench.told(), [RING]);

        bench.hand.set(BELL, true);
        sleep_ms(1001).await;
        assert_eq!(bench.told(), [Input::Pressed(Button::End)]);
        bench.hand.set(BELL, false);
        sleep_ms(1000).await;
        assert_eq!(bench.told(), []);
        bench.stop().await;
    });
}

#[test]
fn a_button_follows_the_state_and_rings_by_its_own_plan() {
    paused(async {
        let mut settings = board("pi4");
        settings.buttons[BELL].actions = Actions::always(Action::Toggle(Some(1)));
        let mut bench = begun_on(&settings).await;
        for (view, want) in [
            (ready(), Button::BellWith(1)),
            (
                in_call(State::Ringing, Direction::Outgoing),
                Button::BellWith(1),
            ),
            (in_call(State::Ringing, Direction::Incoming), Button::Answer),
            (in_call(State::InCall, Direction::Outgoing), Button::End),
        ] {
            bench.view.send_replace(view);
            bench.hand.press(BELL, 100).await;
            sleep_ms(100).await;
            assert_eq!(bench.told(), [Input::Pressed(want)]);
        }
        bench.stop().await;
    });
}

#[test]
fn the_entrance_is_lit_for_a_while_and_dark_at_the_end() {
    paused(async {
        let mut bench = begun().await;
        bench.hand.press(LIGHT, 100).await;
        assert_eq!(bench.duty_at(ENTRANCE, clock::now()), 255);
        sleep_ms(20_000).await;
        // A press in between begins anew.
        bench.hand.press(LIGHT, 100).await;
        sleep_ms(29_000).await;
        assert_eq!(bench.duty_at(ENTRANCE, clock::now()), 255);
        sleep_ms(1_000).await;
        assert_eq!(bench.duty_at(ENTRANCE, clock::now()), 0);

        bench.hand.press(LIGHT, 100).await;
        assert_eq!(bench.told(), [], "the station is not asked");
        bench.stop.cancel();
        sleep_ms(50).await;
        for line in 0..=ENTRANCE {
            assert_eq!(bench.duty_at(line, clock::now()), 0, "{line}");
        }
        bench.running.await.unwrap();
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// For a minute the lines do anything. All that reaches the station is what their
    /// buttons and sensors may say: no pattern configures, pairs, resets, or opens.
    #[test]
    fn no_pattern_on_the_lines_says_more_than_its_buttons_may(
        moves in prop::collection::vec((0_usize..5, any::<bool>(), 0_u64..1200), 100),
    ) {
        paused(async {
            let mut bench = begun().await;
            let mut spent = 0;
            let mut told = Vec::new();
            for (line, active, gap) in moves {
                bench.hand.set(line, active);
                sleep_ms(gap).await;
                spent += gap;
                told.extend(bench.told());
            }
            sleep_ms(60_000_u64.saturating_sub(spent) + 100).await;
            told.extend(bench.told());
            for input in told {
                match input {
                    Input::Pressed(Button::Bell)
                    | Input::Sensor(..)
                    | Input::Device(Device::Panel, _) => {}
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            bench.stop().await;
            Ok(())
        })?;
    }

    /// At every moment, 50 ms after a change at the latest, every line of every light
    /// is driven as the published view wants it.
    #[test]
    fn every_light_is_a_function_of_the_view_at_every_moment(
        name in prop::sample::select(vec!["pi4", "zero2w", "generic"]),
        changes in prop::collection::vec((any_view(), 0_u64..2500), 1..8),
    ) {
        const WITHIN: u64 = 50;
        paused(async {
            let settings = board(name);
            let channels: Vec<_> =
                settings.wiring.lights.iter().flat_map(Channel::of).collect();
            let bench = begun_on(&settings).await;
            let looks = Looks::default();
            let mut shown = sign::of(&ready());
            let mut since = None;
            for (view, lasts) in changes {
                bench.view.send_replace(view.clone());
                if since.is_none() || sign::of(&view) != shown {
                    (shown, since) = (sign::of(&view), Some(clock::now()));
                }
                let since = since.unwrap();
                let pattern = looks.of(shown, 0);
                let until = clock::now() + Duration::from_millis(lasts);
                while clock::now() < until {
                    sleep_ms(7).await;
                    let now = clock::now();
                    let elapsed = now - since;
                    if elapsed < Duration::from_millis(WITHIN) {
                        continue;
                    }
                    for (n, channel) in channels.iter().enumerate() {
                        let duty = bench.duty_at(n, now);
                        let due = (0..=WITHIN).any(|late| {
                            let at = elapsed - Duration::from_millis(late);
                            channel.duty(&pattern, at, false) == duty
                        });
                        prop_assert!(due, "{shown:?} {n} is {duty} after {elapsed:?}");
                    }
                }
            }
            bench.stop().await;
            Ok(())
        })?;
    }
}

/// A running pi4 whose sensors have said where they stand.
async fn begun() -> Bench {
    begun_on(&board("pi4")).await
}

async fn begun_on(settings: &doorstation::panel::settings::Settings) -> Bench {
    let mut bench = Bench::new(settings);
    sleep_ms(1).await;
    let told = bench.told();
    assert_eq!(told.len(), settings.wiring.sensors.len());
    assert!(
        told.iter()
            .all(|told| matches!(told, Input::Sensor(_, false)))
    );
    bench
}

/// A press of the bell, and no more than that, is told.
async fn the_bell_rings(bench: &mut Bench) {
    bench.hand.press(BELL, 100).await;
    sleep_ms(100).await;
    assert_eq!(bench.told(), [RING]);
}

fn in_call(state: State, direction: Direction) -> View {
    View {
        call: Some(CallView {
            id: CallId::new("c1"),
            direction,
            state,
            peers: Vec::new(),
            made: clock::now(),
            started: None,
        }),
        ..ready()
    }
}

fn any_view() -> impl Strategy<Value = View> {
    let state = prop::sample::select(vec![
        State::Initiated,
        State::Ringing,
        State::InCall,
        State::OnHold,
        State::Ended,
    ]);
    let call = prop::option::of(state);
    (call, any::<[bool; 4]>()).prop_map(|(state, [open, fault, lost, updating])| {
        let mut view = match state {
            Some(state) => in_call(state, Direction::Outgoing),
            None => ready(),
        };
        view.door_open = open && fault;
        view.updating = updating;
        if fault {
            view.faults.insert(Device::Panel, "stuck".into());
        }
        if lost && !fault {
            view.connections.clear();
        }
        view
    })
}
