//! Echo control in made-up rooms, offline.

use super::rooms::{Dice, Room, speech};
use super::*;

const SECOND: usize = RATE as usize;

/// What went on, sample by sample.
struct Heard {
    /// The microphone before.
    microphone: Vec<f32>,
    /// What is sent.
    sent: Vec<f32>,
    control: EchoControl,
}

/// Plays `far` and lets the microphone hear what `echo` makes of it, and `near`, and
/// a room that is never quite silent (-75 dBFS).
fn run(
    settings: EchoSettings,
    far: &[f32],
    near: &[f32],
    echo: impl Fn(&[f32], usize) -> f32,
) -> Heard {
    let mut control = EchoControl::new(settings);
    let mut dice = Dice::new(99);
    let microphone: Vec<f32> = (0..far.len())
        .map(|index| {
            let hiss = 0.0003 * (dice.next() - 0.5);
            echo(far, index) + near.get(index).copied().unwrap_or(0.0) + hiss
        })
        .collect();
    let mut sent = Vec::with_capacity(far.len());
    let mut played = [0.0; BLOCK];
    let mut block = [0.0; BLOCK];
    for (out, heard) in far.chunks_exact(BLOCK).zip(microphone.chunks_exact(BLOCK)) {
        played.copy_from_slice(out);
        control.played(&played);
        block.copy_from_slice(heard);
        control.captured(&mut block);
        sent.extend_from_slice(&block);
    }
    Heard {
        microphone,
        sent,
        control,
    }
}

fn level(samples: &[f32]) -> f32 {
    let sum: f64 = samples.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    (10.0 * (sum / samples.len() as f64).max(1e-12).log10()) as f32
}

impl Heard {
    /// Echo return loss enhancement from one second to another, dB.
    fn loss(&self, from: f32, to: f32) -> f32 {
        let range = (from * SECOND as f32) as usize..(to * SECOND as f32) as usize;
        level(&self.microphone[range.clone()]) - level(&self.sent[range])
    }

    /// Likeness of what is sent to `clean`, at the lag of the stages' own delay:
    /// looked for in a quarter of a second, measured in all.
    fn likeness(&self, clean: &[f32], from: usize, to: usize) -> f32 {
        let (start, end) = (from * SECOND, to * SECOND);
        let at = |lag: usize, end: usize| {
            let (mut ab, mut aa, mut bb) = (0.0_f32, 0.0_f32, 0.0_f32);
            for (a, b) in clean[start..end].iter().zip(&self.sent[start + lag..]) {
                ab += a * b;
                aa += a * a;
                bb += b * b;
            }
            ab / (aa * bb).sqrt().max(1e-9)
        };
        let best = (0..20 * 48)
            .max_by(|one, two| {
                at(*one, start + SECOND / 4).total_cmp(&at(*two, start + SECOND / 4))
            })
            .unwrap_or_default();
        at(best, end)
    }
}

const CANCEL: EchoSettings = EchoSettings {
    echo_control: true,
    noise_suppression: false,
    automatic_gain: false,
};
const NO_GAIN: EchoSettings = EchoSettings {
    automatic_gain: false,
    ..all()
};

const fn all() -> EchoSettings {
    EchoSettings {
        echo_control: true,
        noise_suppression: true,
        automatic_gain: true,
    }
}

#[test]
fn echo_is_gone_after_two_seconds_in_every_room() {
    let far = speech(1, 120.0, 5);
    for (delay, level_db) in [(5, -6.0), (20, 0.0), (55, -7.0), (120, -3.0), (250, -20.0)] {
        let room = Room::new(delay as u64, delay, level_db);
        let heard = run(all(), &far, &[], |far, index| room.hear(far, index));
        let report = heard.control.report();
        let (early, loss) = (heard.loss(1.0, 2.0), heard.loss(2.0, 4.9));
        println!("{delay} ms, {level_db} dB: {early:.1} dB, then {loss:.1} dB; {report:?}");
        assert!(loss >= 35.0, "{delay} ms, {level_db} dB: {loss} dB");
        assert!(!report.half_duplex);
        assert_eq!(report.delay_jumps, 0);
    }
}

#[test]
fn a_voice_at_the_door_alone_loses_nothing() {
    let near = speech(2, 190.0, 5);
    let silence = vec![0.0; near.len()];
    for settings in [CANCEL, NO_GAIN, all()] {
        let heard = run(settings, &silence, &near, |_, _| 0.0);
        let loss = heard.loss(1.0, 4.9);
        let likeness = heard.likeness(&near, 1, 4);
        println!("{settings:?}: {loss:.2} dB lost, likeness {likeness:.2}");
        assert!(loss <= 1.0, "{loss} dB");
        // The filter that takes rumble out turns the phase of the pitch.
        assert!(likeness > 0.5, "{likeness}");
    }
}

#[test]
fn two_voices_at_once_leave_the_near_one() {
    let far = speech(3, 110.0, 9);
    let mut near = speech(4, 200.0, 9);
    near[..4 * SECOND].fill(0.0);
    // Compared with the same voice alone, sent through the same stages.
    let silence = vec![0.0; near.len()];
    let clean = run(all(), &silence, &near, |_, _| 0.0).sent;
    for (delay, level_db) in [(20, -12.0), (55, -7.0), (120, -10.0)] {
        let room = Room::new(delay as u64, delay, level_db);
        let heard = run(all(), &far, &near, |far, index| room.hear(far, index));
        let likeness = heard.likeness(&clean, 5, 8);
        let lost =
            level(&clean[5 * SECOND..8 * SECOND]) - level(&heard.sent[5 * SECOND..8 * SECOND]);
        println!("{delay} ms, {level_db} dB: likeness {likeness:.2}, {lost:.1} dB lost");
        assert!(likeness >= 0.7, "{delay} ms: {likeness}");
        assert!(!heard.control.report().half_duplex);
    }
}

#[test]
fn an_echo_that_drifts_stays_away() {
    // The microphone's clock is 200 ppm slow: 2 ms in 10 s.
    let far = speech(5, 130.0, 10);
    let room = Room::new(5, 60, -7.0);
    let heard = run(all(), &far, &[], |far, index| {
        let exact = index as f64 * (1.0 - 200e-6);
        let part = exact.fract() as f32;
        let place = exact as usize;
        let next = (place + 1).min(far.len() - 1);
        room.hear(far, place) * (1.0 - part) + room.hear(far, next) * part
    });
    let (loss, end) = (heard.loss(2.0, 6.0), heard.loss(6.0, 9.9));
    println!(
        "{loss:.1} dB, then {end:.1} dB; {:?}",
        heard.control.report()
    );
    assert!(loss >= 35.0 && end >= 35.0, "{loss} dB, {end} dB");
    assert!(!heard.control.report().half_duplex);
}

#[test]
fn a_jump_of_the_delay_is_noticed_and_followed() {
    let far = speech(6, 125.0, 10);
    for (before, after) in [(40, 130), (130, 40)] {
        let rooms = [Room::new(7, before, -7.0), Room::new(7, after, -7.0)];
        let heard = run(all(), &far, &[], |far, index| {
            rooms[usize::from(index >= 5 * SECOND)].hear(far, index)
        });
        let report = heard.control.report();
        let losses = [heard.loss(2.0, 5.0), heard.loss(7.0, 9.9)];
        println!("{before} to {after} ms: {losses:?}, {report:?}");
        assert!(losses.iter().all(|loss| *loss >= 35.0), "{losses:?}");
        assert_eq!(report.delay_jumps, 1);
        assert!(!report.half_duplex);
    }
}

#[test]
fn where_nothing_helps_the_microphone_is_shut_while_the_far_end_speaks() {
    // A loudspeaker system with a mind of its own: no linear way back.
    let far = speech(8, 120.0, 12);
    let mut control = EchoControl::new(EchoSettings {
        echo_control: true,
        ..EchoSettings::OFF
    });
    // The canceller is told of another sound than the one that is played.
    let other = speech(9, 170.0, 12);
    let mut sent = Vec::new();
    for (out, told) in far.chunks_exact(BLOCK).zip(other.chunks_exact(BLOCK)) {
        let mut reference = [0.0; BLOCK];
        let envelope = (power(out.try_into().expect("a block")) / 0.01).sqrt();
        for (sample, told) in reference.iter_mut().zip(told) {
            *sample = envelope * told.signum() * 0.1;
        }
        control.played(&reference);
        let mut block: [f32; BLOCK] = out.try_into().expect("a block");
        control.captured(&mut block);
        sent.extend_from_slice(&block);
    }
    let early = level(&far[..2 * SECOND]) - level(&sent[..2 * SECOND]);
    let late = level(&far[8 * SECOND..]) - level(&sent[8 * SECOND..]);
    println!("{early:.1} dB, then {late:.1} dB, {:?}", control.report());
    assert!(late >= 25.0, "{late} dB");
}

#[test]
fn without_stages_the_microphone_is_sent_as_it_is() {
    let near = speech(10, 150.0, 1);
    let silence = vec![0.0; near.len()];
    let heard = run(EchoSettings::OFF, &silence, &near, |_, _| 0.0);
    assert_eq!(heard.sent, heard.microphone);
    assert!(!heard.control.is_awake());
}
