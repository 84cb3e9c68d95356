//! The contract over random inputs: 10^6 sequences, made by hand because a
//! shrinking generator would take minutes for so many.

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
}

/// Anything but an order.
fn harmless(dice: &mut Dice) -> Input {
    let client = Client(dice.below(3));
    match dice.below(12) {
        0..3 => Input::Joined(client),
        3..7 => Input::Said(client, Message::Beat { tampered: false }),
        7 => Input::Said(client, Message::Beat { tampered: true }),
        8 => Input::Left(client),
        9..11 => Input::Watched,
        _ => Input::Tick,
    }
}

fn order(dice: &mut Dice) -> Input {
    let length = Duration::from_millis(dice.below(12_000));
    let client = Client(dice.below(3));
    Input::Said(client, Message::Pulse { number: 1, length })
}

fn lines(out: &[Output]) -> impl Iterator<Item = bool> {
    out.iter().filter_map(|output| match output {
        Output::Line(on) => Some(*on),
        Output::Tell(..) | Output::Drop(_) | Output::Keep(_) => None,
    })
}

#[test]
fn a_million_sequences_without_an_order_open_nothing() {
    let mut dice = Dice(0x1d00_5747_1011);
    let begin = crate::clock::now();
    for sequence in 0..1_000_000 {
        let mut now = begin;
        let mut guardian = Guardian::new(Limits::default(), Duration::ZERO, now);
        for _ in 0..3 + dice.below(5) {
            now += Duration::from_millis(dice.below(1_500));
            let out = guardian.handle(harmless(&mut dice), now);
            assert_eq!(lines(&out).count(), 0, "sequence {sequence}");
            assert!(!guardian.is_on());
        }
    }
}

/// With orders among them: on and off alternate, never longer than the cap, never
/// within the gap, never more than ten in a minute, and always off in the end.
#[test]
fn whatever_is_ordered_the_limits_hold() {
    let mut dice = Dice(0x1d00_5747_2022);
    let begin = crate::clock::now();
    let mut opened = 0;
    for _ in 0..20_000 {
        let mut now = begin;
        let mut guardian = Guardian::new(Limits::default(), Duration::ZERO, now);
        let mut changes: Vec<(Instant, bool)> = Vec::new();
        let mut feed = |guardian: &mut Guardian, input, now| {
            let out = guardian.handle(input, now);
            changes.extend(lines(&out).map(|on| (now, on)));
        };
        for _ in 0..80 {
            let next = now + Duration::from_millis(dice.below(700));
            while let Some(at) = guardian.deadline().filter(|at| *at <= next) {
                now = now.max(at);
                feed(&mut guardian, Input::Tick, now);
            }
            now = next;
            let input = match dice.below(3) {
                0 => order(&mut dice),
                // Otherwise the lock of the first tampering decides everything.
                _ => match harmless(&mut dice) {
                    Input::Said(client, Message::Beat { .. }) if dice.below(40) > 0 => {
                        Input::Said(client, Message::Beat { tampered: false })
                    }
                    input => input,
                },
            };
            feed(&mut guardian, input, now);
        }
        while guardian.is_on() {
            now = now.max(guardian.deadline().expect("a pulse has an end"));
            feed(&mut guardian, Input::Tick, now);
        }
        assert!(!guardian.is_on());
        opened += check(begin, &changes);
    }
    assert!(
        opened > 20_000,
        "only {opened} pulses: the test tests nothing"
    );
}

fn check(begin: Instant, changes: &[(Instant, bool)]) -> usize {
    let mut free = begin + Limits::GAP;
    let mut starts: Vec<Instant> = Vec::new();
    let mut pairs = changes.chunks_exact(2);
    for pair in pairs.by_ref() {
        let [(on, true), (off, false)] = *pair else {
            panic!("on and off do not alternate: {changes:?}");
        };
        assert!(on >= free, "within the gap");
        assert!(off - on <= Limits::LONGEST, "longer than the cap");
        free = off + Limits::GAP;
        starts.push(on);
        let minute = starts.iter().filter(|start| on - **start < Limits::MINUTE);
        assert!(minute.count() <= Limits::PER_MINUTE);
    }
    assert!(pairs.remainder().is_empty(), "left on");
    starts.len()
}

#[test]
fn one_order_among_them_is_one_pulse() {
    let mut dice = Dice(0x1d00_5747_3033);
    let begin = crate::clock::now();
    for _ in 0..50_000 {
        let mut now = begin + Limits::GAP;
        let mut guardian = Guardian::new(Limits::default(), Duration::ZERO, begin);
        guardian.handle(Input::Joined(Client(9)), now);
        guardian.handle(Input::Watched, now);
        let order = Message::Pulse {
            number: 1,
            length: Duration::from_secs(5),
        };
        let at = dice.below(6);
        let mut changes = Vec::new();
        for step in 0..12 {
            now += Duration::from_millis(dice.below(200));
            let input = match harmless(&mut dice) {
                _ if step == at => Input::Said(Client(9), order.clone()),
                Input::Said(client, Message::Beat { .. }) => {
                    Input::Said(client, Message::Beat { tampered: false })
                }
                input => input,
            };
            changes.extend(lines(&guardian.handle(input, now)));
        }
        now += Limits::LONGEST;
        changes.extend(lines(&guardian.handle(Input::Tick, now)));
        assert_eq!(changes, [true, false]);
    }
}
