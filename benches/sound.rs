//! What the sound path costs for each 10 ms: jitter buffer, resampler, echo control.
//!
//! `cargo bench --bench sound`. The budget of a block is 10 ms on the smallest board.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use doorstation::media::sound::EchoSettings;
use doorstation::media::sound::echo::EchoControl;
use doorstation::media::sound::jitter::{JitterBuffer, Next};
use doorstation::media::sound::resample::Resampler;

const BLOCK: usize = 480;

fn jitter_buffer(criterion: &mut Criterion) {
    let mut buffer = JitterBuffer::new();
    let mut index = 0_u32;
    criterion.bench_function("jitter buffer, a packet in and out", |bencher| {
        bencher.iter(|| {
            // Jitter of up to 16 ms, so that packets wait.
            let late = u64::from(index.wrapping_mul(2_654_435_761) >> 28);
            let now = Duration::from_millis(u64::from(index) * 20 + late);
            let payload = Bytes::from_static(&[0x78, 1, 2, 3]);
            buffer.push(now, index as u16, index.wrapping_mul(960), 960, payload);
            index += 1;
            matches!(black_box(buffer.next(now)), Next::Packet(_))
        });
    });
}

fn resampler(criterion: &mut Criterion) {
    let input: Vec<f32> = (0..2 * BLOCK).map(|n| (n as f32 * 0.05).sin()).collect();
    let mut output = [0.0; BLOCK];
    for (name, from, to) in [
        ("resampler, a block, drift", 48_000, 48_000),
        ("resampler, a block, from 44.1 kHz", 44_100, 48_000),
    ] {
        let mut resampler = Resampler::new(from, to);
        resampler.set_trim(150.0);
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| resampler.process(black_box(&input), &mut output));
        });
    }
}

fn echo(criterion: &mut Criterion) {
    let canceller = EchoSettings {
        echo_control: true,
        ..EchoSettings::OFF
    };
    for (name, settings) in [
        ("echo control, a block, canceller", canceller),
        ("echo control, a block, all stages", EchoSettings::default()),
    ] {
        let mut control = EchoControl::new(settings);
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 * 0.2 - 0.1
        };
        let played: [f32; BLOCK] = std::array::from_fn(|_| noise());
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                control.played(black_box(&played));
                let mut block: [f32; BLOCK] = std::array::from_fn(|n| played[n] * 0.3);
                control.captured(&mut block);
                block[0]
            });
        });
    }
}

criterion_group!(benches, jitter_buffer, resampler, echo);
criterion_main!(benches);
