//! A sound path over a virtual card, and what comes out of it.

use std::f32::consts::TAU;
use std::path::{Path, PathBuf};
use std::time::Duration;

use doorstation::call::{Device, Input};
use doorstation::media::feed::{SoundCodec, Voices};
use doorstation::media::sound::{Sound, SoundSettings};
use doorstation::tasks::Tasks;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Far more than anything here takes; a slow machine is slow, not red.
pub(crate) const GENEROUS: Duration = Duration::from_secs(30);
pub(crate) const RATE: usize = 48_000;

/// As [`super::with_card`], for what waits.
pub(crate) fn with_card<F: Future<Output = ()>>(name: &str, test: impl FnOnce(PathBuf) -> F) {
    super::with_card(name, |directory| super::block_on(test(directory)));
}

pub(crate) struct Rig {
    pub(crate) sound: Sound,
    pub(crate) news: mpsc::Receiver<Input>,
    pub(crate) tasks: Tasks,
}

pub(crate) fn start(settings: SoundSettings) -> Rig {
    let (inbox, news) = mpsc::channel(16);
    let tasks = Tasks::new();
    let sound = Sound::start(settings, inbox, &tasks).expect("sound");
    Rig { sound, news, tasks }
}

impl Rig {
    pub(crate) async fn stop(self) {
        timeout(GENEROUS, self.tasks.stop())
            .await
            .expect("the threads end");
    }

    /// Waits for news of both cards: reasons, or that they work again.
    pub(crate) async fn both(&mut self) -> [Option<String>; 2] {
        let mut told = [None, None];
        while told.contains(&None) {
            let input = timeout(GENEROUS, self.news.recv())
                .await
                .expect("news in time")
                .expect("sound lives");
            match input {
                Input::Device(Device::Microphone, reason) => told[0] = Some(reason),
                Input::Device(Device::Speaker, reason) => told[1] = Some(reason),
                other => panic!("unexpected {other:?}"),
            }
        }
        told.map(Option::unwrap)
    }

    pub(crate) async fn until(&self, figure: &str, wanted: f64) {
        let reached = async {
            while self.sound.figures()[figure] < wanted {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(GENEROUS, reached).await.expect(figure);
    }

    /// Lets the microphone be heard at the speaker for so many packets of 10 ms.
    pub(crate) async fn loop_back(&self, packets: usize) {
        let mut microphone = self.sound.microphone(SoundCodec::Opus);
        let mut voice = self.sound.speaker();
        voice.set_audible(true);
        for sequence in 0..packets {
            let packet = timeout(GENEROUS, microphone.recv())
                .await
                .expect("a packet")
                .expect("no packet is missed");
            voice.push(
                SoundCodec::Opus,
                sequence as u16,
                packet.timestamp,
                packet.data.clone(),
            );
        }
        assert!(*voice.heard().borrow(), "it was heard");
    }
}

pub(crate) fn read(path: &Path) -> Vec<f32> {
    let mut reader = hound::WavReader::open(path).expect("a WAV file");
    assert_eq!(reader.spec().sample_rate as usize, RATE);
    reader
        .samples::<i16>()
        .map(|sample| f32::from(sample.expect("a sample")) / 32_768.0)
        .collect()
}

pub(crate) fn write(path: &Path, samples: impl Iterator<Item = f32>) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE as u32,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).expect("a file");
    for sample in samples {
        writer
            .write_sample((sample * 32_767.0) as i16)
            .expect("a sample");
    }
    writer.finalize().expect("a whole file");
}

/// The amplitude of one frequency (Goertzel).
pub(crate) fn amplitude(samples: &[f32], hertz: f32) -> f32 {
    let factor = 2.0 * (TAU * hertz / RATE as f32).cos();
    let (mut one, mut two) = (0.0_f32, 0.0_f32);
    for sample in samples {
        let now = sample + factor * one - two;
        (two, one) = (one, now);
    }
    let power = one * one + two * two - factor * one * two;
    2.0 * power.max(0.0).sqrt() / samples.len() as f32
}

/// How loud `hertz` is in each 10 ms.
pub(crate) fn track(samples: &[f32], hertz: f32) -> Vec<f32> {
    let blocks = samples.chunks_exact(RATE / 100);
    blocks.map(|block| amplitude(block, hertz)).collect()
}
