//! The door over random inputs: 10^6 short sequences, made by hand because a
//! shrinking generator would take minutes for so many.

use super::door::{bench, door};
use super::*;

/// xorshift64*: a million sequences need no better.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize].clone()
    }
}

const BUTTONS: [Button; 7] = [
    Button::Bell,
    Button::BellWith(0),
    Button::Answer,
    Button::Reject,
    Button::End,
    Button::Hold,
    Button::Unhold,
];

const SEQUENCES: u32 = 1_000_000;

/// Where a sequence begins.
fn begin(dice: &mut Dice) -> Bench {
    let ring: &[&str] = dice.of(&[&[ALICE][..], &[BOB], &[ALICE, BOB]]);
    let mut bench = bench(ring, door());
    if dice.below(3) > 0 {
        let leg = leg(1, 0);
        bench.press(Button::Bell);
        bench.media(&leg, Media::OfferReady(sdp("o")));
        bench.signal(&leg, Signal::Started);
        if dice.below(2) > 0 {
            bench.signal(&leg, Signal::Responded(sdp("a")));
            bench.media(&leg, Media::AnswerApplied { held: false });
        }
    }
    bench.out.clear();
    bench
}

/// Whether Alice talks to the door now, seen from outside.
fn alice_talks(bench: &Bench) -> bool {
    let call = bench.calls.view().call;
    call.is_some_and(|call| call.state == State::InCall && call.peers == [Address::new(ALICE)])
}

/// Anything but a command of somebody who may: the right code comes, too, whenever
/// it must not open.
fn unauthorised(dice: &mut Dice, bench: &mut Bench) {
    let leg = match dice.below(3) {
        0 => LegId::new("home/in/1"),
        n => leg(1, n as u32 - 1),
    };
    match dice.below(20) {
        0..3 => bench.press(dice.of(&BUTTONS)),
        3..6 => {
            // Those of the code but one.
            let key = Digit::new(dice.of(&['4', '7', '0', '#'])).expect("a key");
            bench.media(&leg, Media::Digit(key));
        }
        6..9 if !alice_talks(bench) => {
            for key in "4711".chars() {
                bench.media(&leg, Media::Digit(Digit::new(key).expect("a key")));
            }
        }
        9..11 if !alice_talks(bench) => {
            let told = vec![named(OPEN_PARAMETER, "4711")];
            bench.signal(&leg, Signal::Told(told));
        }
        11 => {
            let user = Address::new(dice.of(&[BOB, "", "alice", "alice@demo.local.evil"]));
            bench.feed(Input::OpenDoor { ticket: 0, user });
        }
        12 => bench.feed(Input::Incoming(call_from_bob(&leg, Some("o")))),
        13 => {
            let sensor = dice.of(&[Sensor::DoorContact, Sensor::Tamper]);
            bench.feed(Input::Sensor(sensor, dice.below(2) > 0));
        }
        14 => bench.feed(Input::Sensor(Sensor::RequestToExit, false)),
        15 => {
            let number = dice.below(2) as u32;
            let refused = Refused::Busy;
            let open = dice.below(2) > 0;
            bench.feed(Input::Relay(dice.of(&[
                Relay::Opened { number },
                Relay::Refused { number, refused },
                Relay::State { open },
            ])));
        }
        16 => bench.signal(&leg, Signal::UpdateOffered(Some(sdp("h")))),
        17 => {
            let held = dice.below(2) > 0;
            let answer = sdp("a");
            bench.media(&leg, Media::AnswerReady { answer, held });
        }
        18 => bench.signal(&leg, Signal::Responded(sdp("a"))),
        19 => bench.signal(&leg, ended("200")),
        _ => bench.wait(Duration::from_millis(dice.below(6_000))),
    }
}

#[test]
fn sequences_without_an_authorised_command_open_nothing() {
    let mut dice = Dice(0x0d00_7d00_0001);
    let (mut refused, mut talking) = (0u32, 0u32);
    for sequence in 0..SEQUENCES {
        let mut bench = begin(&mut dice);
        for _ in 0..2 + dice.below(4) {
            unauthorised(&mut dice, &mut bench);
        }
        talking += u32::from(alice_talks(&bench));
        let orders = bench.pulses();
        assert!(orders.is_empty(), "sequence {sequence}: {:?}", bench.out);
        refused += u32::from(
            bench
                .out
                .iter()
                .any(|output| matches!(output, Output::Event(Event::Door(DoorNews::Refused(..))))),
        );
    }
    // Otherwise the test tests nothing.
    assert!(refused > SEQUENCES / 10, "only {refused} with a refusal");
    assert!(
        talking > SEQUENCES / 20,
        "only {talking} with Alice talking"
    );
}

#[test]
fn one_authorised_command_among_them_is_exactly_one_pulse() {
    let mut dice = Dice(0x0d00_7d00_0002);
    for sequence in 0..SEQUENCES / 4 {
        let mut bench = begin(&mut dice);
        let steps = 2 + dice.below(4);
        let at = dice.below(steps);
        for step in 0..steps {
            unauthorised(&mut dice, &mut bench);
            if step == at {
                authorised(&mut dice, &mut bench);
            }
        }
        let pulses = bench.pulses().len();
        assert_eq!(pulses, 1, "sequence {sequence}: {:?}", bench.out);
    }
}

fn authorised(dice: &mut Dice, bench: &mut Bench) {
    match dice.below(3) {
        0 if alice_talks(bench) => {
            // From the leg that talks: of two the one with media.
            let told = vec![named(OPEN_PARAMETER, "4711")];
            let before = bench.pulses().len();
            for leg in [leg(1, 0), leg(1, 1)] {
                if bench.pulses().len() == before {
                    bench.signal(&leg, Signal::Told(told.clone()));
                }
            }
        }
        1 => {
            bench.feed(Input::Sensor(Sensor::RequestToExit, false));
            bench.feed(Input::Sensor(Sensor::RequestToExit, true));
        }
        _ => {
            let user = Address::new(ALICE);
            bench.feed(Input::OpenDoor { ticket: 1, user });
        }
    }
}
