//! Telephone events, told and read.

use proptest::prelude::*;

use super::*;

const CLOCK: u32 = 48_000;
/// RTP time of one packet.
const PACKET_TICKS: u16 = 960;

/// Everything that is sent for `text`, begun at `now`; pauses are `None`.
fn sent(text: &str, mut now: u32) -> Vec<Option<Packet>> {
    let mut tones = Tones::default();
    tones.push(&Digits::parse(text).expect("digits"));
    let mut sent = Vec::new();
    while !tones.is_idle() {
        sent.push(tones.next(now, CLOCK));
        now = now.wrapping_add(u32::from(PACKET_TICKS));
    }
    sent
}

fn pressed(decoder: &mut Decoder, packets: impl IntoIterator<Item = Packet>) -> String {
    let heard = packets
        .into_iter()
        .filter_map(|p| decoder.take(CLOCK, p.timestamp, p.marker, &p.payload));
    heard
        .filter_map(|heard| match heard {
            Heard::Pressed(digit) => Some(digit.as_char()),
            Heard::Released(_) => None,
        })
        .collect()
}

#[test]
fn a_digit_is_five_packets_of_100_ms_and_two_more_ends_and_a_gap() {
    let sent = sent("5", 1000);
    let packets: Vec<Packet> = sent.iter().copied().flatten().collect();
    let durations: Vec<u16> = packets
        .iter()
        .map(|p| u16::from_be_bytes([p.payload[2], p.payload[3]]))
        .collect();
    assert_eq!(durations, [960, 1920, 2880, 3840, 4800, 4800, 4800]);
    let ends: Vec<bool> = packets.iter().map(|p| p.payload[1] & END != 0).collect();
    assert_eq!(ends, [false, false, false, false, true, true, true]);
    let marks: Vec<bool> = packets.iter().map(|p| p.marker).collect();
    assert_eq!(marks, [true, false, false, false, false, false, false]);
    assert!(packets.iter().all(|p| p.timestamp == 1000));
    assert!(packets.iter().all(|p| p.payload[0] == 5));
    assert!(packets.iter().all(|p| p.payload[1] & 0x40 == 0));
}

#[test]
fn the_gap_between_two_digits_is_at_least_50_ms() {
    let begins: Vec<u32> = sent("11", 0)
        .into_iter()
        .flatten()
        .filter(|p| p.marker)
        .map(|p| p.timestamp)
        .collect();
    assert_eq!(begins.len(), 2);
    let gap_ms = (begins[1] - begins[0] - 4800) * 1000 / CLOCK;
    assert!((50..=80).contains(&gap_ms), "{gap_ms} ms");
}

#[test]
fn what_is_sent_is_read_once_each_with_its_duration() {
    let mut decoder = Decoder::default();
    let all = "0123456789*#ABCD11";
    // The RTP time runs over in the middle.
    let packets: Vec<Packet> = sent(all, u32::MAX - 50_000).into_iter().flatten().collect();
    assert_eq!(pressed(&mut decoder, packets.iter().copied()), all);

    let mut decoder = Decoder::default();
    let released: Vec<Heard> = sent("7", 0)
        .into_iter()
        .flatten()
        .filter_map(|p| decoder.take(CLOCK, p.timestamp, p.marker, &p.payload))
        .skip(1)
        .collect();
    assert_eq!(released, [Heard::Released(Duration::from_millis(100))]);
}

#[test]
fn a_duration_counts_in_the_clock_of_its_payload_type() {
    let mut decoder = Decoder::default();
    decoder.take(8_000, 0, true, &[1, VOLUME, 0, 160]);
    let end = decoder.take(8_000, 0, false, &[1, END | VOLUME, 3, 32]);
    assert_eq!(end, Some(Heard::Released(Duration::from_millis(100))));
}

#[test]
fn a_digit_whose_end_is_lost_does_not_swallow_the_next() {
    let no_ends = sent("1122", 0)
        .into_iter()
        .flatten()
        .filter(|p| p.payload[1] & END == 0);
    assert_eq!(pressed(&mut Decoder::default(), no_ends), "1122");
}

#[test]
fn a_digit_of_which_only_the_end_arrives_is_read() {
    let only_ends = sent("42", 0)
        .into_iter()
        .flatten()
        .filter(|p| p.payload[1] & END != 0);
    assert_eq!(pressed(&mut Decoder::default(), only_ends), "42");
}

#[test]
fn a_late_packet_of_an_old_digit_is_no_new_digit() {
    let packets: Vec<Packet> = sent("12", 0).into_iter().flatten().collect();
    let mut decoder = Decoder::default();
    assert_eq!(pressed(&mut decoder, packets.iter().copied()), "12");
    assert_eq!(pressed(&mut decoder, [packets[3]]), "");
}

#[test]
fn a_key_held_for_three_seconds_is_one_digit() {
    let mut decoder = Decoder::default();
    let mut heard = Vec::new();
    for part in 0..3u32 {
        for step in [960u16, 20_000, 0xffff] {
            let last = part == 2 && step == 0xffff;
            let [high, low] = step.to_be_bytes();
            let flags = VOLUME | if last { END } else { 0 };
            let first = part == 0 && step == 960;
            let timestamp = 500 + part * 0xffff;
            heard.extend(decoder.take(CLOCK, timestamp, first, &[9, flags, high, low]));
        }
    }
    let digit = Digit::new('9').expect("a key");
    let lasted = Duration::from_secs(3 * 0xffff) / CLOCK;
    assert_eq!(heard, [Heard::Pressed(digit), Heard::Released(lasted)]);
}

#[test]
fn events_that_are_no_digits_and_short_packets_are_nothing() {
    let mut decoder = Decoder::default();
    for payload in [&[16u8, 10, 0, 1][..], &[255, 0, 0, 0], &[1, 10, 0], &[]] {
        assert_eq!(decoder.take(CLOCK, 0, true, payload), None);
    }
}

proptest! {
    /// Of each digit any packets may be lost, as long as one arrives.
    #[test]
    fn any_loss_that_leaves_one_packet_of_each_digit_leaves_the_digits(
        text in "[0-9*#A-D]{1,8}",
        kept in prop::collection::vec(1..128u8, 8),
        start in any::<u32>(),
    ) {
        let packets = sent(&text, start);
        let arrived = packets
            .chunks(usize::from(PERIOD))
            .zip(kept)
            .flat_map(|(digit, kept)| {
                digit.iter().enumerate().filter_map(move |(n, packet)| {
                    packet.filter(|_| kept & (1 << n) != 0)
                }).collect::<Vec<_>>()
            });
        prop_assert_eq!(pressed(&mut Decoder::default(), arrived), text);
    }

    /// Nothing makes it panic.
    #[test]
    fn any_bytes_are_survived(
        packets in prop::collection::vec(
            (any::<u32>(), any::<u32>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..6)),
            0..20,
        )
    ) {
        let mut decoder = Decoder::default();
        for (clock, timestamp, marker, payload) in packets {
            decoder.take(clock, timestamp, marker, &payload);
        }
    }
}

#[test]
fn with_a_slow_clock_a_digit_lasts_as_long() {
    let mut tones = Tones::default();
    tones.push(&Digits::parse("7").expect("digits"));
    let packets: Vec<Packet> = (0..7).filter_map(|_| tones.next(0, 8_000)).collect();
    let mut decoder = Decoder::default();
    let heard: Vec<Heard> = packets
        .iter()
        .filter_map(|p| decoder.take(8_000, p.timestamp, p.marker, &p.payload))
        .collect();
    assert_eq!(heard[1..], [Heard::Released(Duration::from_millis(100))]);
}
