//! `leds test` and `buttons watch` on fake lines.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod panel_bench;

use std::sync::Arc;
use std::time::Duration;

use doorstation::clock;
use doorstation::panel::lines::Edge;
use doorstation::panel::trial::{self, Bounces};
use panel_bench::{Driven, FakeOutputs, board, fake_inputs, paused, sleep_ms};

#[test]
fn each_light_is_lit_in_its_turn_with_words_and_dark_afterwards() {
    paused(async {
        let driven = Driven::default();
        let mut outputs = FakeOutputs(Arc::clone(&driven));
        let mut said = Vec::new();
        let settings = board("zero2w");
        trial::test_lights(&mut outputs, &settings, &mut said)
            .await
            .unwrap();
        let order: Vec<_> = driven
            .lock()
            .unwrap()
            .iter()
            .map(|(_, n, duty)| (*n, *duty))
            .collect();
        assert_eq!(
            order,
            [(0, 255), (0, 0), (1, 255), (1, 0), (2, 255), (2, 0)]
        );
        let said = String::from_utf8(said).unwrap();
        let lights: Vec<_> = said.lines().take(3).collect();
        assert_eq!(
            lights,
            [
                "light 'sign': red",
                "light 'sign': green",
                "light 'sign': blue"
            ]
        );
        assert!(
            said.contains("  ringing        amber, pulse 1 s\n"),
            "{said}"
        );
        assert!(
            said.contains("  fault          red, flash 1x 3 s\n"),
            "{said}"
        );
    });
}

#[test]
fn edges_are_shown_as_they_come_and_bounce_is_counted() {
    paused(async {
        let settings = board("pi4");
        let (mut hand, mut inputs) = fake_inputs(vec![false, false, false, true, false]);
        let mut said = Vec::new();
        let presses = async {
            for ms in [0, 2, 2, 2, 400] {
                sleep_ms(ms).await;
                hand.set(0, ms == 0 || ms == 2);
            }
            sleep_ms(10).await;
        };
        trial::watch_buttons(&mut inputs, &settings, &mut said, presses)
            .await
            .unwrap();
        let said = String::from_utf8(said).unwrap();
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines[0], "bell             at rest");
        assert_eq!(lines[3], "door_contact     active");
        assert!(
            said.contains("    0.4060 s  bell             at rest\n"),
            "{said}"
        );
        let counts = lines.iter().rfind(|line| line.starts_with("bell")).unwrap();
        let counts: Vec<_> = counts.split_whitespace().skip(1).collect();
        assert_eq!(counts, ["0", "0", "0", "3", "0", "0", "1"]);
    });
}

#[test]
fn gaps_fall_into_their_classes() {
    let start = clock::now();
    let mut bounces = Bounces::new(1);
    let mut at = start;
    for micros in [0, 50, 200, 500, 2000, 5000, 20_000, 50_000] {
        at += Duration::from_micros(micros);
        let edge = Edge {
            line: 0,
            active: true,
            at,
            number: 0,
        };
        bounces.add(&edge);
    }
    assert_eq!(bounces.of(0), Some([1; 7]));
    assert_eq!(bounces.of(1), None);
}
