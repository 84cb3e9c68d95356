//! Sound cards that do one format or one rate alone, over the real ALSA library.
//!
//! Each test has a process of its own: see [`card`].

use std::f32::consts::TAU;
use std::path::Path;

use doorstation::media::sound::virtual_card::{MICROPHONE, MicSource, SPEAKER, VirtualCard};
use doorstation::media::sound::{EchoSettings, SoundSettings};

mod card;
use card::rig::{RATE, read, start, track, with_card, write};

/// Adds PCMs to the card in `directory`, before anything in this process uses ALSA.
fn add(directory: &Path, pcms: &str) {
    let (_, path) = VirtualCard::environment(directory);
    let mut text = std::fs::read_to_string(&path).expect("the card's configuration");
    text.push_str(pcms);
    std::fs::write(&path, text).expect("the card's configuration");
}

/// A tone at the microphone comes out of the speaker, by a card of which `pcm` writes both
/// halves, given a name and a PCM of S16_LE at 48 kHz.
fn keeps_tone_and_level(test: &str, pcm: impl Fn(&str, &str) -> String) {
    with_card(test, |directory| async move {
        let (wav, out) = (directory.join("in.wav"), directory.join("out.wav"));
        let sample = |index: usize| 0.4 * (TAU * 440.0 * index as f32 / RATE as f32).sin();
        write(&wav, (0..RATE).map(sample));
        let card = VirtualCard::prepare(&directory, MicSource::Wav(wav), Some(out.clone()))
            .expect("a card");
        add(&directory, &pcm("microphone", MICROPHONE));
        add(&directory, &pcm("speaker", SPEAKER));
        let mut rig = start(SoundSettings {
            capture: Some("microphone".into()),
            playback: Some("speaker".into()),
            echo: EchoSettings::OFF,
            ..SoundSettings::default()
        });
        rig.loop_back(3 * 100).await;
        assert!(rig.news.try_recv().is_err(), "no fault");
        rig.stop().await;
        drop(card);

        let mut levels = track(&read(&out), 440.0);
        levels.retain(|level| *level > 0.1);
        levels.sort_by(f32::total_cmp);
        assert!(levels.len() > 100, "440 Hz in {} blocks", levels.len());
        let median = levels[levels.len() / 2];
        assert!((0.36..0.44).contains(&median), "{median} of 0.4");
    });
}

#[test]
fn a_card_that_only_does_floating_point_keeps_tone_and_level() {
    let test = "a_card_that_only_does_floating_point_keeps_tone_and_level";
    // In front of a PCM of integers this plug-in takes FLOAT_LE, and only that.
    keeps_tone_and_level(test, |name, slave| {
        format!("pcm.{name} {{ type lfloat slave {{ pcm \"{slave}\" format S16_LE }} }}\n")
    });
}

/// The outer plug-in does one rate for whoever wants no conversion of alsa-lib's; the
/// inner one stands for the clock of such a card.
fn of_one_rate(name: &str, slave: &str, rate: u32) -> String {
    format!(
        "pcm.{name} {{ type plug slave {{ rate {rate} pcm {{ \
         type rate slave {{ pcm \"{slave}\" rate {RATE} }} }} }} }}\n"
    )
}

#[test]
fn a_card_of_16_khz_keeps_tone_and_level() {
    let test = "a_card_of_16_khz_keeps_tone_and_level";
    keeps_tone_and_level(test, |name, slave| of_one_rate(name, slave, 16_000));
}

#[test]
fn a_card_of_44_1_khz_keeps_tone_and_level() {
    let test = "a_card_of_44_1_khz_keeps_tone_and_level";
    keeps_tone_and_level(test, |name, slave| of_one_rate(name, slave, 44_100));
}

#[test]
fn a_card_of_another_format_says_what_it_offers() {
    with_card(
        "a_card_of_another_format_says_what_it_offers",
        |directory| async move {
            let _card = VirtualCard::prepare(&directory, MicSource::Silence, None).expect("a card");
            // In front of a PCM of integers this plug-in takes MU_LAW, and only that.
            let law = |name, slave| {
                format!("pcm.{name} {{ type mulaw slave {{ pcm \"{slave}\" format S16_LE }} }}\n")
            };
            add(&directory, &law("law_microphone", MICROPHONE));
            add(&directory, &law("law_speaker", SPEAKER));
            let mut rig = start(SoundSettings {
                capture: Some("law_microphone".into()),
                playback: Some("law_speaker".into()),
                ..SoundSettings::default()
            });
            for reason in rig.both().await {
                let reason = reason.expect("a fault");
                println!("{reason}");
                assert!(reason.contains("it offers MU_LAW;"), "{reason}");
                assert!(reason.contains("plughw:"), "{reason}");
            }
            rig.stop().await;
        },
    );
}
