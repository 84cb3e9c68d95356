//! Sound over the real ALSA library and the virtual card.
//!
//! Each test has a process of its own: see [`card`].

use std::collections::BTreeMap;
use std::f32::consts::TAU;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use doorstation::call::{Device, Input};
use doorstation::clock;
use doorstation::media::Tone;
use doorstation::media::feed::{SoundCodec, Voices};
use doorstation::media::sound::virtual_card::{MICROPHONE, MicSource, SPEAKER, VirtualCard};
use doorstation::media::sound::{EchoSettings, SoundSettings};
use tokio::time::timeout;

mod card;
use card::rig::{GENEROUS, RATE, amplitude, read, start, track, with_card, write};

#[test]
fn what_the_microphone_hears_comes_out_of_the_speaker() {
    with_card(
        "what_the_microphone_hears_comes_out_of_the_speaker",
        |directory| async move {
            // A tone of 440 Hz for 300 ms at the begin of each second.
            let wav = directory.join("in.wav");
            let out = directory.join("out.wav");
            let sample = |index: usize| {
                let on = index < 300 * RATE / 1000;
                if on {
                    0.4 * (TAU * 440.0 * index as f32 / RATE as f32).sin()
                } else {
                    0.0
                }
            };
            write(&wav, (0..RATE).map(sample));
            let card = VirtualCard::prepare(&directory, MicSource::Wav(wav), Some(out.clone()))
                .expect("a card");
            // What is heard twice would count as echo, and a long tone as noise.
            let mut rig = start(SoundSettings {
                echo: EchoSettings::OFF,
                ..VirtualCard::settings()
            });
            rig.loop_back(6 * 100).await;
            println!("{:?}", rig.sound.figures());
            assert!(rig.news.try_recv().is_err(), "no fault");
            rig.stop().await;
            drop(card);

            let heard = read(&out);
            let levels = track(&heard, 440.0);
            // The file's time line is the card's: both begin together.
            let mut delays: Vec<f32> = (1..heard.len() / RATE)
                .filter_map(|second| {
                    let from = second * RATE;
                    let onset = heard[from..]
                        .iter()
                        .take(RATE / 2)
                        .position(|sample| sample.abs() > 0.1)?;
                    Some(onset as f32 / 48.0)
                })
                .collect();
            delays.sort_by(f32::total_cmp);
            assert!(delays.len() >= 3, "{delays:?}");
            let median = delays[delays.len() / 2];
            println!("microphone to speaker: {median:.1} ms of {delays:?}");
            assert!((20.0..250.0).contains(&median), "{median} ms");
            let loud = levels.iter().filter(|level| **level > 0.25).count();
            assert!(loud >= 3 * 20, "440 Hz in {loud} blocks");
            let other = amplitude(&heard, 1234.0);
            assert!(other < 0.01, "{other} at 1234 Hz");
        },
    );
}

#[test]
fn nothing_is_encoded_while_nobody_listens() {
    with_card(
        "nothing_is_encoded_while_nobody_listens",
        |directory| async move {
            let _card = VirtualCard::prepare(&directory, MicSource::Voice, None).expect("a card");
            let rig = start(VirtualCard::settings());
            rig.until("microphone_blocks", 50.0).await;
            assert_eq!(rig.sound.figures()["microphone_packets"], 0.0);
            let mut microphone = rig.sound.microphone(SoundCodec::Opus);
            let first = microphone.recv().await.expect("a packet");
            let second = microphone.recv().await.expect("a packet");
            assert_eq!(second.timestamp.wrapping_sub(first.timestamp), 480);
            assert!(!second.data.is_empty());
            rig.stop().await;
        },
    );
}

#[test]
fn the_chime_and_then_the_ring_back_are_heard() {
    with_card(
        "the_chime_and_then_the_ring_back_are_heard",
        |directory| async move {
            let out = directory.join("out.wav");
            let card = VirtualCard::prepare(&directory, MicSource::Silence, Some(out.clone()))
                .expect("a card");
            let rig = start(VirtualCard::settings());
            rig.until("speaker_blocks", 20.0).await;
            rig.sound.play(Some(Tone::Chime));
            rig.sound.play(Some(Tone::RingBack));
            let blocks = rig.sound.figures()["speaker_blocks"];
            rig.until("speaker_blocks", blocks + 150.0).await;
            rig.sound.play(Some(Tone::Talk));
            rig.until("speaker_blocks", blocks + 190.0).await;
            rig.stop().await;
            drop(card);

            let heard = read(&out);
            let first = |hertz: f32| {
                let levels = track(&heard, hertz);
                levels
                    .iter()
                    .position(|level| *level > 0.12)
                    .expect("it is heard")
            };
            let [e, c, ring, talk] = [659.26, 523.25, 425.0, 783.99].map(first);
            println!("E5 at {e}0 ms, C5 {c}0 ms, ring-back {ring}0 ms, talk {talk}0 ms");
            assert!(e < c && c < ring && ring < talk);
            // Machine load may stretch what is heard; it never shortens it.
            assert!(c - e >= 30 && ring - c >= 30 && talk - ring >= 50);
        },
    );
}

#[test]
fn a_card_that_vanishes_comes_back() {
    with_card("a_card_that_vanishes_comes_back", |directory| async move {
        let prepare = || VirtualCard::prepare(&directory, MicSource::Voice, None).expect("a card");
        let card = prepare();
        let mut rig = start(VirtualCard::settings());
        rig.until("microphone_blocks", 20.0).await;
        rig.until("speaker_blocks", 20.0).await;
        drop(card);
        let reasons = rig.both().await;
        println!("{reasons:?}");
        let named =
            |reason: &Option<String>, name| reason.as_ref().is_some_and(|it| it.contains(name));
        assert!(named(&reasons[0], MICROPHONE) && named(&reasons[1], SPEAKER));

        let card = prepare();
        let began = clock::now();
        assert_eq!(rig.both().await, [None, None]);
        println!("back after {:?}", began.elapsed());
        rig.loop_back(100).await;
        rig.stop().await;
        drop(card);
    });
}

#[test]
fn a_station_whose_cards_are_missing_says_so_and_takes_voices_all_the_same() {
    with_card(
        "a_station_whose_cards_are_missing_says_so_and_takes_voices_all_the_same",
        |_| async move {
            let mut rig = start(SoundSettings {
                capture: Some("no_such_microphone".into()),
                playback: Some("no_such_speaker".into()),
                ..SoundSettings::default()
            });
            let reasons = rig.both().await;
            println!("{reasons:?}");
            let mut voice = rig.sound.speaker();
            voice.set_audible(true);
            for sequence in 0..500_u16 {
                voice.push(
                    SoundCodec::Opus,
                    sequence,
                    u32::from(sequence) * 960,
                    vec![0x78, 0, 0].into(),
                );
            }
            assert!(!*voice.heard().borrow());
            rig.stop().await;
        },
    );
}

#[test]
fn a_station_without_cards_is_no_fault() {
    with_card("a_station_without_cards_is_no_fault", |_| async move {
        let mut rig = start(SoundSettings::default());
        let mut voice = rig.sound.speaker();
        voice.set_audible(true);
        voice.push(SoundCodec::Opus, 0, 0, vec![0x78, 0, 0].into());
        rig.sound.play(Some(Tone::Chime));
        // The voice is drained although there is no speaker.
        rig.until("voice_packets", 1.0).await;
        assert!(rig.news.try_recv().is_err());
        rig.stop().await;
    });
}

#[test]
fn a_card_that_hangs_is_reported() {
    with_card("a_card_that_hangs_is_reported", |directory| async move {
        // The card's FIFOs and configuration without its clock: the microphone's
        // file never ends and never goes on.
        let card = VirtualCard::prepare(&directory, MicSource::Silence, None).expect("a card");
        let fifo = directory.join("mic.fifo");
        let silent = directory.join("silent.fifo");
        let made = Command::new("mkfifo")
            .arg(&silent)
            .status()
            .expect("mkfifo");
        assert!(made.success());
        let held = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&silent)
            .expect("both ends");
        std::fs::remove_file(&fifo).expect("it was there");
        std::fs::rename(&silent, &fifo).expect("same directory");
        let mut rig = start(SoundSettings {
            playback: None,
            ..VirtualCard::settings()
        });
        let Some(Input::Device(Device::Microphone, Some(reason))) =
            timeout(GENEROUS, rig.news.recv()).await.expect("news")
        else {
            panic!("a fault of the microphone");
        };
        println!("{reason}");
        // Closing the other end lets the thread go.
        drop(held);
        rig.stop().await;
        drop(card);
    });
}

#[test]
fn the_speakers_file_can_be_read_while_it_grows() {
    with_card(
        "the_speakers_file_can_be_read_while_it_grows",
        |directory| async move {
            let out = directory.join("out.wav");
            let _card = VirtualCard::prepare(&directory, MicSource::Silence, Some(out.clone()))
                .expect("a card");
            let grown = async {
                while hound::WavReader::open(&out).map_or(0, |wav| wav.duration()) < RATE as u32 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            timeout(GENEROUS, grown).await.expect("a second of sound");
        },
    );
}

#[test]
fn a_microphone_file_that_does_not_go_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let missing = MicSource::Wav(directory.path().join("missing.wav"));
    let refused = VirtualCard::prepare(directory.path(), missing, None).expect_err("no file");
    assert!(refused.to_string().contains("missing.wav"), "{refused}");
}

#[test]
fn sound_that_stops_leaves_no_thread_and_no_file() {
    with_card(
        "sound_that_stops_leaves_no_thread_and_no_file",
        |directory| async move {
            let _card = VirtualCard::prepare(&directory, MicSource::Voice, None).expect("a card");
            let files = || std::fs::read_dir("/proc/self/fd").expect("procfs").count();
            let names = || {
                let tasks = std::fs::read_dir("/proc/self/task").expect("procfs");
                let name = |task: std::fs::DirEntry| {
                    std::fs::read_to_string(task.path().join("comm")).unwrap_or_default()
                };
                let names = tasks.map(|task| name(task.expect("procfs")));
                names.filter(|name| name.starts_with("sound-")).count()
            };
            let mut most = None;
            for _ in 0..10 {
                let rig = start(VirtualCard::settings());
                rig.until("microphone_blocks", 2.0).await;
                rig.until("speaker_blocks", 2.0).await;
                assert_eq!(names(), 2);
                rig.stop().await;
                assert_eq!(names(), 0);
                let now = files();
                assert!(now <= *most.get_or_insert(now), "{now} files");
            }
        },
    );
}

/// The microphone's level in a room that gives back what the far end says: dBFS, the
/// median of tenths of a second, after two seconds for the canceller to learn.
async fn echo_level(directory: &Path, echo: EchoSettings) -> (f32, BTreeMap<&'static str, f64>) {
    let room = MicSource::Room {
        delay_ms: 20,
        gain: 0.5,
    };
    let card = VirtualCard::prepare(directory, room, None).expect("a card");
    let rig = start(SoundSettings {
        echo,
        ..VirtualCard::settings()
    });
    let mono = opus::Channels::Mono;
    let mut encoder =
        opus::Encoder::new(RATE as u32, mono, opus::Application::Voip).expect("an encoder");
    let mut decoder = opus::Decoder::new(RATE as u32, mono).expect("a decoder");
    let mut microphone = rig.sound.microphone(SoundCodec::Opus);
    let mut voice = rig.sound.speaker();
    voice.set_audible(true);
    let (mut state, mut low) = (1_u32, 0.0);
    let mut heard = Vec::new();
    for sequence in 0..350_u16 {
        // The microphone is the clock. What a busy machine misses is not heard.
        let packet = timeout(GENEROUS, microphone.recv()).await.expect("in time");
        if let Ok(packet) = packet {
            let mut samples = [0.0; 960];
            decoder
                .decode_float(&packet.data, &mut samples, false)
                .expect("samples");
            heard.extend_from_slice(&samples);
        }
        // Syllables of noise, five a second.
        let samples: Vec<f32> = (0..960)
            .map(|index| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
                low += (noise - low) * 0.2;
                let time = (usize::from(sequence) * 960 + index) as f32 / RATE as f32;
                0.6 * low * (time * 2.5 * TAU).sin().abs()
            })
            .collect();
        let payload = encoder.encode_vec_float(&samples, 1500).expect("a packet");
        voice.push(
            SoundCodec::Opus,
            sequence,
            u32::from(sequence) * 960,
            payload.into(),
        );
    }
    let figures = rig.sound.figures();
    rig.stop().await;
    drop(card);
    let power = |window: &[f32]| window.iter().map(|x| x * x).sum::<f32>() / window.len() as f32;
    let mut levels: Vec<f32> = heard[3 * RATE..]
        .chunks_exact(RATE / 10)
        .map(|window| 10.0 * power(window).max(1e-10).log10())
        .collect();
    levels.sort_by(f32::total_cmp);
    (levels[levels.len() / 2], figures)
}

#[test]
fn the_far_end_does_not_hear_itself_through_the_real_sound_path() {
    with_card(
        "the_far_end_does_not_hear_itself_through_the_real_sound_path",
        |directory| async move {
            let (raw, figures) = echo_level(&directory, EchoSettings::OFF).await;
            assert_eq!(figures["echo_blocks"], 0.0);
            let (clean, figures) = echo_level(&directory, EchoSettings::default()).await;
            println!("{raw:.1} dBFS without, {clean:.1} dBFS with echo control; {figures:?}");
            assert!(raw > -45.0, "the room gives back: {raw}");
            assert!(raw - clean >= 20.0, "{raw} to {clean} dBFS");
            assert_eq!(figures["echo_half_duplex"], 0.0);
            assert!((20.0..=300.0).contains(&figures["echo_delay_ms"]));
        },
    );
}
