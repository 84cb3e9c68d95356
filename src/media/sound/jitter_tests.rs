//! The jitter buffer in virtual time.

use super::*;

const FRAME: u32 = 960;

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

fn named(index: u32) -> Bytes {
    Bytes::copy_from_slice(&index.to_be_bytes())
}

/// A sender that numbers its packets from a start of our choice.
struct Sender {
    sequence: u16,
    timestamp: u32,
}

impl Sender {
    fn send(&self, buffer: &mut JitterBuffer, index: u32, arrived: Duration) -> Pushed {
        let sequence = self.sequence.wrapping_add(index as u16);
        let timestamp = self.timestamp.wrapping_add(index.wrapping_mul(FRAME));
        buffer.push(arrived, sequence, timestamp, FRAME, named(index))
    }
}

const PLAIN: Sender = Sender {
    sequence: 100,
    timestamp: 5000,
};

/// Plays `count` packets' worth: `arrivals` says when packet n comes, if at all.
fn run(
    sender: &Sender,
    count: u32,
    arrivals: impl Fn(u32) -> Option<u64>,
) -> (Vec<Next>, JitterBuffer) {
    let mut buffer = JitterBuffer::new();
    let mut played = Vec::new();
    let mut coming: Vec<(u64, u32)> = (0..count)
        .filter_map(|index| Some((arrivals(index)?, index)))
        .collect();
    coming.sort_unstable();
    let mut coming = coming.into_iter().peekable();
    let mut held = 0;
    for now in (10..u64::from(count) * 20).step_by(10) {
        while let Some((arrived, index)) = coming.next_if(|(arrived, _)| *arrived <= now) {
            sender.send(&mut buffer, index, ms(arrived));
        }
        // A speaker that takes 10 ms at a time and follows every advice.
        if held == 0 {
            let next = buffer.next(ms(now));
            let change = match (&next, buffer.advice()) {
                (Next::Silence, _) => -480,
                (_, Advice::Keep) => 0,
                (_, Advice::Shorten | Advice::ShortenNow) => -480,
                (_, Advice::Lengthen | Advice::LengthenNow) => 480,
            };
            if next != Next::Silence {
                buffer.adjusted(-change);
            }
            held = i64::from(FRAME) + change;
            played.push(next);
        }
        held -= 480;
    }
    (played, buffer)
}

fn packets(played: &[Next]) -> Vec<u32> {
    played
        .iter()
        .filter_map(|next| match next {
            Next::Packet(payload) => {
                let bytes: [u8; 4] = payload[..].try_into().expect("four bytes");
                Some(u32::from_be_bytes(bytes))
            }
            _ => None,
        })
        .collect()
}

/// Milliseconds that were made up.
fn concealed(played: &[Next]) -> usize {
    let samples = played.iter().map(|next| match next {
        Next::Conceal(samples) => *samples,
        _ => 0,
    });
    samples.sum::<usize>() / 48
}

#[test]
fn an_even_stream_plays_in_order_at_once_and_loses_nothing() {
    let (played, buffer) = run(&PLAIN, 500, |index| Some(u64::from(index) * 20));
    let order = packets(&played);
    assert_eq!(order, (0..order.len() as u32).collect::<Vec<_>>());
    assert!(order.len() >= 499, "{}", order.len());
    assert_eq!(concealed(&played), 0);
    assert_eq!(buffer.target_ms(), 20.0);
}

#[test]
fn reordered_packets_play_in_order() {
    // Each pair swapped: 1 0 3 2 5 4 ...
    let (played, _) = run(&PLAIN, 200, |index| Some(u64::from(index ^ 1) * 20 + 1));
    let order = packets(&played);
    assert!(order.is_sorted());
    assert!(order.len() > 190);
}

#[test]
fn reordering_up_to_300_ms_stays_in_order_and_costs_only_what_is_late() {
    let late = |index: u32| match index % 50 {
        25 => 300,
        _ => 0,
    };
    let (played, _) = run(&PLAIN, 500, |index| {
        Some(u64::from(index) * 20 + late(index))
    });
    let order = packets(&played);
    assert!(order.is_sorted());
    assert!(order.len() >= 485, "{}", order.len());
}

/// Plays two hundred packets of a line that loses every eighth, and `lost` of them.
fn lossy(lost: std::ops::Range<u32>) -> (Vec<Next>, JitterBuffer) {
    run(&PLAIN, 200, |index| {
        let comes = index % 8 != 7 && !lost.contains(&index);
        comes.then_some(u64::from(index) * 20)
    })
}

#[test]
fn on_a_lossy_line_a_lost_packet_is_corrected_from_the_next_one() {
    let (played, buffer) = lossy(0..0);
    assert_eq!(
        buffer.target_ms(),
        40.0,
        "one packet more than without loss"
    );
    let place = played
        .iter()
        .rposition(|next| matches!(next, Next::Correct(..)))
        .expect("a correction");
    let Next::Correct(payload, samples) = &played[place] else {
        unreachable!("found as one");
    };
    assert_eq!((payload, *samples), (&named(192), FRAME as usize));
    assert_eq!(played[place - 1], Next::Packet(named(190)));
    assert_eq!(played[place + 1], Next::Packet(named(192)));
    // The first ones come before the line is known to lose.
    assert!(concealed(&played) <= 80, "{}", concealed(&played));
}

#[test]
fn one_lost_packet_is_made_up_and_delays_nothing() {
    let (played, buffer) = run(&PLAIN, 200, |index| {
        (index != 100).then_some(u64::from(index) * 20)
    });
    assert_eq!(concealed(&played), 20);
    assert_eq!(buffer.target_ms(), 20.0);
    assert!(packets(&played).len() >= 197, "{}", packets(&played).len());
}

#[test]
fn three_lost_packets_are_made_up_twice_and_corrected_once() {
    let (played, _) = lossy(147..150);
    let before = played.iter().position(|n| *n == Next::Packet(named(146)));
    let after = played.iter().position(|n| *n == Next::Packet(named(150)));
    let gap = &played[before.expect("played") + 1..after.expect("it goes on")];
    assert_eq!(concealed(gap), 40, "{gap:?}");
    assert!(matches!(gap.last(), Some(Next::Correct(..))), "{gap:?}");
}

#[test]
fn late_and_doubled_packets_are_dropped() {
    let mut buffer = JitterBuffer::new();
    for index in 0..4 {
        assert_eq!(PLAIN.send(&mut buffer, index, ms(0)), Pushed::Taken);
    }
    assert_eq!(PLAIN.send(&mut buffer, 3, ms(1)), Pushed::Doubled);
    assert_eq!(buffer.next(ms(10)), Next::Packet(named(0)));
    assert_eq!(PLAIN.send(&mut buffer, 0, ms(11)), Pushed::Late);
    assert_eq!(buffer.next(ms(30)), Next::Packet(named(1)));
}

#[test]
fn sequence_and_time_stamp_wrap_without_a_trace() {
    let sender = Sender {
        sequence: u16::MAX - 20,
        timestamp: u32::MAX - 20 * FRAME,
    };
    let (played, _) = run(&sender, 100, |index| Some(u64::from(index) * 20));
    assert!(packets(&played).len() >= 98);
    assert_eq!(concealed(&played), 0);
}

#[test]
fn an_hour_of_sound_wraps_and_stays_in_order() {
    let mut buffer = JitterBuffer::new();
    // 20 ms packets: two wraps of the sequence number; the time stamp starts just
    // before its own wrap.
    let sender = Sender {
        sequence: 0,
        timestamp: u32::MAX - FRAME,
    };
    let mut made_up = 0;
    for index in 0..3600 * 50_u32 {
        let now = ms(u64::from(index) * 20);
        sender.send(&mut buffer, index, now);
        if !matches!(buffer.next(now), Next::Packet(_)) {
            made_up += 1;
        }
    }
    assert!(made_up <= 3, "{made_up}");
    assert_eq!(buffer.target_ms(), 20.0);
}

#[test]
fn another_sender_begins_anew_and_one_stray_packet_does_not() {
    let mut buffer = JitterBuffer::new();
    for index in 0..10 {
        PLAIN.send(&mut buffer, index, ms(u64::from(index) * 20));
        buffer.next(ms(u64::from(index) * 20 + 10));
    }
    let other = Sender {
        sequence: 40_000,
        timestamp: 3_000_000_000,
    };
    assert_eq!(other.send(&mut buffer, 0, ms(200)), Pushed::Strange);
    assert_eq!(PLAIN.send(&mut buffer, 10, ms(200)), Pushed::Taken);
    assert_eq!(other.send(&mut buffer, 1, ms(220)), Pushed::Strange);
    assert_eq!(other.send(&mut buffer, 2, ms(240)), Pushed::NewStream);
    assert_eq!(other.send(&mut buffer, 3, ms(260)), Pushed::Taken);
    assert_eq!(buffer.next(ms(280)), Next::Packet(named(2)));
}

#[test]
fn the_depth_grows_with_the_jitter_and_comes_back() {
    // Every tenth packet takes 80 ms longer.
    let jitter = |index: u32| if index % 10 == 5 { 80 } else { 0 };
    let (played, mut buffer) = run(&PLAIN, 1000, |index| {
        Some(u64::from(index) * 20 + jitter(index))
    });
    assert!(
        (80.0..=120.0).contains(&buffer.target_ms()),
        "{}",
        buffer.target_ms()
    );
    // After the first seconds next to nothing is lost.
    let late: usize = concealed(&played[500..])
        + played[500..]
            .iter()
            .filter(|next| matches!(next, Next::Correct(..)))
            .count()
            * 20;
    assert!(late <= 100, "{late} ms");
    for index in 1000..1600 {
        PLAIN.send(&mut buffer, index, ms(u64::from(index) * 20));
        buffer.next(ms(u64::from(index) * 20));
    }
    assert_eq!(buffer.target_ms(), 20.0);
    assert!(matches!(
        buffer.advice(),
        Advice::Shorten | Advice::ShortenNow
    ));
}

#[test]
fn a_delay_that_stays_loses_no_packet_and_becomes_depth() {
    // From packet 100 on everything takes 60 ms longer.
    let (played, _) = run(&PLAIN, 300, |index| {
        Some(u64::from(index) * 20 + if index < 100 { 0 } else { 60 })
    });
    let order = packets(&played);
    assert_eq!(order, (0..order.len() as u32).collect::<Vec<_>>());
    assert!(
        (20..=80).contains(&concealed(&played)),
        "{}",
        concealed(&played)
    );
}

#[test]
fn a_pause_of_the_sender_is_silence_and_then_goes_on() {
    let mut buffer = JitterBuffer::new();
    let mut played = Vec::new();
    for now in (0..4000_u64).step_by(20) {
        let index = (now / 20) as u32;
        // One second of nothing: the time stamp goes on, the numbers do not.
        let sequence = match now {
            0..1000 => Some(index),
            2000.. => Some(index - 50),
            _ => None,
        };
        if let Some(sequence) = sequence {
            buffer.push(ms(now), sequence as u16, index * FRAME, FRAME, named(index));
        }
        played.push(buffer.next(ms(now)));
    }
    assert!(packets(&played).len() >= 148);
    assert!(concealed(&played) <= 100);
    let silent = played.iter().filter(|next| **next == Next::Silence).count();
    assert!((40..=50).contains(&silent), "{silent}");
}

#[test]
fn a_flood_is_bounded() {
    let mut buffer = JitterBuffer::new();
    for index in 0..10_000 {
        PLAIN.send(&mut buffer, index, ms(0));
    }
    assert!(buffer.packets.len() < LIMIT);
    assert!(matches!(buffer.next(ms(1)), Next::Packet(_)));
}

#[test]
fn any_bits_are_taken_without_a_panic() {
    let mut buffer = JitterBuffer::new();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for now in 0..100_000 {
        // xorshift: the same "random" numbers each time.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let samples = [120, 240, 480, 960, 1920, 2880, 5760][(state >> 60) as usize % 7];
        let near = now as u16;
        let sequence = if state & 7 == 0 { state as u16 } else { near };
        let timestamp = if state & 24 == 0 {
            (state >> 8) as u32
        } else {
            now * 960
        };
        buffer.push(
            ms(u64::from(now)),
            sequence,
            timestamp,
            samples,
            Bytes::new(),
        );
        buffer.next(ms(u64::from(now)));
        assert!(buffer.packets.len() < LIMIT);
        assert!((20.0..=200.0).contains(&buffer.target_ms()));
    }
}

/// A speaker whose card is `ppm` fast, at the end of an even network: an hour and more
/// in which only times are reckoned, no samples.
struct Clocked {
    buffer: JitterBuffer,
    drift: crate::media::sound::drift::Drift,
    /// Samples that were taken and not played.
    held: f64,
    made_up: usize,
    silent: usize,
    spliced: usize,
    /// From the sender's clock to the speaker, ms, of the latest packet.
    delay_ms: f64,
}

impl Clocked {
    fn new() -> Self {
        Self {
            buffer: JitterBuffer::new(),
            drift: Default::default(),
            held: 0.0,
            made_up: 0,
            silent: 0,
            spliced: 0,
            delay_ms: 0.0,
        }
    }

    /// One block of 10 ms at `now`.
    fn play(&mut self, now: Duration) {
        let speed = 1.0 + self.drift.trim(self.buffer.surplus_ms(), 0.01) * 1e-6;
        let mut wanted = 480.0;
        while wanted * speed > self.held {
            wanted -= self.held / speed;
            self.held = 0.0;
            let time = now + Duration::from_secs_f64((480.0 - wanted) / 48_000.0);
            match self.buffer.next(time) {
                Next::Packet(payload) => {
                    let bytes: [u8; 4] = payload[..].try_into().expect("four bytes");
                    let sent = f64::from(u32::from_be_bytes(bytes)) * 20.0;
                    self.delay_ms = time.as_secs_f64() * 1000.0 - sent;
                    self.held = f64::from(FRAME);
                    self.spliced += usize::from(matches!(
                        self.buffer.advice(),
                        Advice::ShortenNow | Advice::LengthenNow
                    ));
                }
                Next::Correct(_, samples) | Next::Conceal(samples) => {
                    self.made_up += 1;
                    self.held = samples as f64;
                }
                Next::Silence => {
                    self.silent += 1;
                    return;
                }
            }
        }
        self.held -= wanted * speed;
    }
}

#[test]
fn an_hour_with_a_card_200_ppm_off_changes_the_delay_by_less_than_20_ms() {
    for ppm in [-200.0, 200.0] {
        let mut door = Clocked::new();
        let mut index = 0_u32;
        let (mut least, mut most) = (f64::MAX, f64::MIN);
        for block in 0..3600 * 100_u32 {
            // The jitter of a good network, up to 4 ms, the same each time.
            let now = Duration::from_secs_f64(f64::from(block) * 0.01 * (1.0 - ppm * 1e-6));
            loop {
                let late = u64::from(index.wrapping_mul(2_654_435_761) >> 20) % 4001;
                let arrived = ms(u64::from(index) * 20) + Duration::from_micros(late);
                if arrived > now {
                    break;
                }
                PLAIN.send(&mut door.buffer, index, arrived);
                index += 1;
            }
            door.play(now);
            // What the start costs is over after half a minute.
            if block == 3000 {
                assert!(door.made_up <= 1, "{ppm} ppm: {} x 10 ms", door.made_up);
                door.made_up = 0;
            } else if block > 3000 {
                least = least.min(door.delay_ms);
                most = most.max(door.delay_ms);
            }
        }
        let change = most - least;
        assert!(change < 20.0, "{ppm} ppm: {least:.1} to {most:.1} ms");
        assert_eq!((door.spliced, door.made_up), (0, 0), "{ppm} ppm");
        let learned = door.drift.clocks_ppm();
        assert!((learned + ppm).abs() < 20.0, "{ppm} ppm: learned {learned}");
    }
}

#[test]
fn a_day_of_silence_is_a_pause_like_any_other() {
    const DAY: u32 = 24 * 3600 * 50;
    let mut door = Clocked::new();
    for index in (0..100).chain(DAY..DAY + 100) {
        let now = ms(u64::from(index) * 20);
        // A sender that is silent sends nothing: its time goes on, its numbers do not.
        let sequence = if index < DAY {
            index
        } else {
            index - DAY + 100
        };
        let timestamp = index.wrapping_mul(FRAME);
        door.buffer
            .push(now, sequence as u16, timestamp, FRAME, named(index));
        door.play(now);
        door.play(now + ms(10));
        if index == 99 {
            for quiet in 0..200 {
                door.play(now + ms(20 + quiet * 10));
            }
            assert!(door.silent > 150);
            door.silent = 0;
        }
    }
    // The time stamp went around: it takes a second packet to believe it.
    assert!(door.silent <= 8, "{}", door.silent);
    assert!(door.made_up <= 10, "{} x 10 ms", door.made_up);
    assert!(door.delay_ms < 60.0, "{}", door.delay_ms);
}
