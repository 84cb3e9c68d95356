//! A voice from packets to samples.

use super::*;
use crate::media::sound::encoder::{Encoder, Loss, OpusSettings};

fn tone(index: usize) -> f32 {
    ((index as f64 * 0.05).sin() * 0.5) as f32
}

fn opus_packets(count: usize) -> Vec<Bytes> {
    let mut encoder = Encoder::new(OpusSettings::default()).expect("an encoder");
    let mut into = [0; 1500];
    (0..count)
        .map(|packet| {
            let samples: Vec<f32> = (0..960).map(|index| tone(packet * 960 + index)).collect();
            let length = encoder
                .encode(&samples, &Loss::default(), &mut into)
                .expect("a packet");
            Bytes::copy_from_slice(&into[..length])
        })
        .collect()
}

fn loudness(block: &[f32; BLOCK]) -> f32 {
    (block.iter().map(|sample| sample * sample).sum::<f32>() / BLOCK as f32).sqrt()
}

#[test]
fn a_voice_is_heard_once_it_is_audible_and_written() {
    let meters = Arc::default();
    let (mut end, mut player) = pair(&meters).expect("a voice");
    let heard = end.heard();
    let push = |end: &mut VoiceEnd, range: std::ops::Range<usize>| {
        for (index, packet) in opus_packets(20).into_iter().enumerate() {
            if range.contains(&index) {
                end.push(SoundCodec::Opus, index as u16, index as u32 * 960, packet);
            }
        }
    };
    push(&mut end, 0..5);
    let mut block = [0.0; BLOCK];
    assert!(player.receive());
    player.add_to(&mut block);
    player.written();
    assert_eq!(loudness(&block), 0.0);
    assert!(!*heard.borrow());

    end.set_audible(true);
    push(&mut end, 5..20);
    assert!(player.receive());
    let mut loud = 0;
    for _ in 0..30 {
        let mut block = [0.0; BLOCK];
        player.add_to(&mut block);
        player.written();
        loud += usize::from(loudness(&block) > 0.2);
    }
    assert!(*heard.borrow());
    // Fifteen packets, less what the depth is shortened by.
    assert!((15..=30).contains(&loud), "{loud}");
    drop(end);
    assert!(!player.receive());
}

/// A far end whose tone comes over the network to a card that is `ppm` fast.
/// Gives what is played, and the meters.
fn drifting(ppm: f64, seconds: usize) -> (Vec<f32>, Arc<Meters>) {
    let meters = Arc::default();
    let (end, mut player) = pair(&meters).expect("a voice");
    player.audible.store(true, Relaxed);
    let packets = opus_packets(seconds * 50);
    let mut coming = packets.into_iter().enumerate().peekable();
    let mut played = Vec::with_capacity(seconds * RATE as usize);
    let block_us = 10_000.0 * (1.0 - ppm * 1e-6);
    for number in 0..seconds * 100 - 10 {
        let now = Duration::from_micros(5_000 + (number as f64 * block_us) as u64);
        while let Some((index, payload)) =
            coming.next_if(|(index, _)| Duration::from_millis(*index as u64 * 20) <= now)
        {
            player.take(Arrival {
                codec: SoundCodec::Opus,
                sequence: index as u16,
                timestamp: index as u32 * 960,
                payload,
                arrived: player.began + Duration::from_millis(index as u64 * 20),
            });
        }
        let mut block = [0.0; BLOCK];
        player.add_at(now, &mut block);
        played.extend_from_slice(&block);
    }
    drop(end);
    (played, meters)
}

#[test]
fn a_card_whose_clock_is_off_costs_no_click_and_no_splice() {
    for ppm in [-200.0, 200.0] {
        let (played, meters) = drifting(ppm, 40);
        let figures = meters.figures();
        for splice in ["voice_shortened_ms", "voice_lengthened_ms"] {
            assert_eq!(figures[splice], 0.0, "{ppm}: {splice}");
        }
        assert_eq!(figures["voice_concealed_ms"], 0.0, "{ppm}");
        // The tone bends by 0.5 * 0.05^2 a sample; the codec adds a little.
        let bend = played[2 * RATE as usize..]
            .windows(3)
            .fold(0.0_f32, |most, x| {
                most.max((x[0] - 2.0 * x[1] + x[2]).abs())
            });
        assert!(bend < 0.01, "{ppm}: {bend}");
    }
}

#[test]
fn nonsense_is_counted_and_dropped() {
    let meters: Arc<Meters> = Arc::default();
    let (mut end, mut player) = pair(&meters).expect("a voice");
    end.set_audible(true);
    for (index, payload) in [&b""[..], &[0xff; 3000], &[0xff, 0xff]]
        .into_iter()
        .enumerate()
    {
        end.push(
            SoundCodec::Opus,
            index as u16,
            0,
            Bytes::copy_from_slice(payload),
        );
    }
    // Looks like a packet of 20 ms and is noise.
    end.push(
        SoundCodec::Opus,
        9,
        960,
        Bytes::from_static(&[0x78, 1, 2, 3, 4, 5]),
    );
    assert!(player.receive());
    for _ in 0..20 {
        player.add_to(&mut [0.0; BLOCK]);
    }
    assert_eq!(meters.voice_bad.load(Relaxed), 3);
}

#[test]
fn a_queue_that_nobody_empties_is_bounded() {
    let meters: Arc<Meters> = Arc::default();
    let (mut end, _player) = pair(&meters).expect("a voice");
    for index in 0..QUEUE as u16 + 10 {
        end.push(
            SoundCodec::Opus,
            index,
            u32::from(index) * 960,
            Bytes::new(),
        );
    }
    assert_eq!(meters.voice_overflow.load(Relaxed), 10);
}

#[test]
fn folding_and_repeating_leave_no_step() {
    let meters = Arc::default();
    let (_end, mut player) = pair(&meters).expect("a voice");
    let step = |player: &Player| {
        player.decoded[..player.held]
            .windows(2)
            .fold(0.0_f32, |step, pair| step.max((pair[1] - pair[0]).abs()))
    };
    for index in 0..2 * BLOCK {
        player.decoded[index] = tone(index);
    }
    player.held = 2 * BLOCK;
    player.lengthen(0);
    assert_eq!(player.held, 3 * BLOCK);
    assert!(step(&player) < 0.06, "{}", step(&player));
    player.shorten(BLOCK);
    assert_eq!(player.held, 2 * BLOCK);
    assert!(step(&player) < 0.06, "{}", step(&player));
}

/// What is played of PCMU packets of a tone, without those of `lost`.
fn narrow(lost: &[usize]) -> (Vec<f32>, Arc<Meters>) {
    let meters = Arc::default();
    let (end, mut player) = pair(&meters).expect("a voice");
    player.audible.store(true, Relaxed);
    let mut encoder = speech::PcmuEncoder::new();
    let mut played = Vec::new();
    for number in 0..400_usize {
        let block = std::array::from_fn(|index| tone(number * BLOCK + index));
        let packet = encoder.take(&block).copied();
        let index = number / 2;
        if let Some(packet) = packet.filter(|_| !lost.contains(&index)) {
            player.take(Arrival {
                codec: SoundCodec::Pcmu,
                sequence: index as u16,
                // The clock of 8 kHz runs over in the middle.
                timestamp: (index as u32 * 160).wrapping_sub(16_000),
                payload: Bytes::copy_from_slice(&packet),
                arrived: player.began + Duration::from_millis(number as u64 * 10),
            });
        }
        let mut block = [0.0; BLOCK];
        player.add_at(Duration::from_millis(number as u64 * 10 + 5), &mut block);
        played.extend_from_slice(&block);
    }
    drop(end);
    (played, meters)
}

#[test]
fn pcmu_is_played_without_a_gap_also_where_its_clock_runs_over() {
    let (played, meters) = narrow(&[]);
    let figures = meters.figures();
    assert_eq!(figures["voice_packets"], 200.0);
    assert_eq!(figures["voice_concealed_ms"], 0.0);
    let blocks = played[BLOCK * 50..].as_chunks::<BLOCK>().0;
    let softest = blocks.iter().map(loudness).fold(1.0, f32::min);
    assert!(softest > 0.3, "{softest}");
}

#[test]
fn a_lost_packet_of_pcmu_is_made_up() {
    let (played, meters) = narrow(&[120]);
    let figures = meters.figures();
    assert_eq!(figures["voice_concealed_ms"], 20.0);
    assert_eq!(figures["voice_corrected_ms"], 0.0);
    let blocks = played[BLOCK * 50..].as_chunks::<BLOCK>().0;
    let softest = blocks.iter().map(loudness).fold(1.0, f32::min);
    assert!(softest > 0.1, "{softest}");
}

#[test]
fn a_far_end_that_changes_its_codec_is_heard_on() {
    let meters: Arc<Meters> = Arc::default();
    let (_end, mut player) = pair(&meters).expect("a voice");
    player.audible.store(true, Relaxed);
    let opus = opus_packets(3).pop().expect("a packet");
    let pcmu = Bytes::from_static(&[0x90; 160]);
    for (sequence, codec, payload) in [
        (1, SoundCodec::Opus, opus.clone()),
        (2, SoundCodec::Pcmu, pcmu.clone()),
        (3, SoundCodec::Opus, opus),
        (4, SoundCodec::Pcmu, pcmu),
        (5, SoundCodec::Pcmu, Bytes::new()),
        (6, SoundCodec::Pcmu, Bytes::from_static(&[0; 1000])),
    ] {
        player.take(Arrival {
            codec,
            sequence,
            timestamp: u32::from(sequence) * 160,
            payload,
            arrived: player.began,
        });
    }
    assert_eq!(meters.voice_packets.load(Relaxed), 4);
    assert_eq!(meters.voice_bad.load(Relaxed), 2);
    for _ in 0..20 {
        player.add_at(Duration::from_millis(100), &mut [0.0; BLOCK]);
    }
}
