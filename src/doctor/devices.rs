//! Camera, sound and panel, tried with the parts that the station itself uses.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, interval, sleep_until, timeout_at};

use super::Finding;
use crate::call::{Device, Input};
use crate::config::Checked;
use crate::config::checked;
use crate::media::feed::{Pictures, SoundCodec, Voices};
use crate::media::gst::{Appearance, Camera, CameraSettings};
use crate::media::sound::{EchoSettings, Sound, SoundSettings};
use crate::media::{Tone, VideoCodec};
use crate::panel::trial;
use crate::run;
use crate::tasks::Tasks;

/// How long pictures are counted.
const COUNT: Duration = Duration::from_secs(3);
/// How long a device may take to begin: a camera whose driver wakes up.
const BEGIN: Duration = Duration::from_secs(5);
/// How long the microphone listens to the room, and then to the tone: twice what its
/// level is smoothed over.
const LISTEN: Duration = Duration::from_secs(2);
/// How often levels are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Below this no microphone is: the noise of a 16-bit converter is at -96 dBFS.
const SILENT: f64 = -95.0;
/// The tone must stand out by so much to be heard at all.
const HEARD: f64 = 6.0;
/// Mean luma below which a picture is black: 16 is black itself, a street lamp's night some 25.
const BLACK: f64 = 20.0;
/// Percent of a picture that may be as good as white: a window behind the visitor is less.
const WHITE: f64 = 60.0;
/// Deviation of luma below which nothing is seen but one surface; noise alone makes 1 to 2.
const EVEN: f64 = 3.0;
/// Five edges in a line of 1280 pixels, each smeared over twenty, make this.
const BLURRED: f64 = 0.0006;
/// News of devices: each tells at most twice.
const NEWS: usize = 16;

/// What to do about a device, by its name in reports.
pub(super) fn remedy(device: &str) -> &'static str {
    match device {
        "camera" => {
            "is it plugged in (v4l2-ctl --list-devices), named right in [camera], and in no other \
             program's hands?"
        }
        "microphone" => {
            "is it named right in [sound] (arecord -L), plugged in, and in no other program's \
             hands (fuser -v /dev/snd/*)?"
        }
        "speaker" => {
            "is it named right in [sound] (aplay -L), plugged in, and in no other program's hands \
             (fuser -v /dev/snd/*)?"
        }
        _ => {
            "doorstation board show tells what is wired where; is the station's user in the group gpio?"
        }
    }
}

/// Tries each; to be called when no station holds them.
pub(super) async fn examine(config: Checked, note: &mut (dyn FnMut(Finding) + Send)) {
    note(panel(&config.panel).await);
    match run::camera_settings(&config.camera) {
        Ok(settings) => camera(settings, note).await,
        Err(error) => note(Finding::failure(
            "camera",
            format!("{error:#}"),
            remedy("camera"),
        )),
    }
    sound(&config.sound, note).await;
}

/// Takes the lines, reads the contacts and lights each light in turn.
async fn panel(panel: &checked::Panel) -> Finding {
    match trial::open(&panel.settings) {
        Ok(Some((mut inputs, mut outputs))) => {
            let tried = match inputs.levels() {
                Ok(levels) => trial::light_each(outputs.as_mut(), &panel.settings)
                    .await
                    .map(|lit| (levels.len(), lit)),
                Err(error) => Err(error),
            };
            match tried {
                Ok((contacts, lit)) => Finding::ok(
                    "panel",
                    format!("{contacts} contacts read, {lit} lights lit in turn: did each shine?"),
                ),
                Err(error) => Finding::failure("panel", error.to_string(), remedy("panel")),
            }
        }
        Ok(None) => Finding::ok("panel", "simulated, by the configuration"),
        Err(error) => Finding::failure("panel", error.to_string(), remedy("panel")),
    }
}

/// The first fault that each device told.
fn faults(news: &mut mpsc::Receiver<Input>) -> BTreeMap<Device, String> {
    let mut faults = BTreeMap::new();
    while let Ok(input) = news.try_recv() {
        if let Input::Device(device, Some(reason)) = input {
            faults.entry(device).or_insert(reason);
        }
    }
    faults
}

async fn camera(settings: CameraSettings, note: &mut (dyn FnMut(Finding) + Send)) {
    let (inbox, mut news) = mpsc::channel(NEWS);
    let tasks = Tasks::new();
    let wanted = f64::from(settings.fps);
    match Camera::start(settings, inbox, &tasks) {
        Ok(camera) => {
            let mut rates = BTreeMap::new();
            for codec in camera.codecs() {
                rates.insert(codec, rate(&camera, codec).await);
            }
            match faults(&mut news).remove(&Device::Camera) {
                Some(reason) => note(Finding::failure("camera", reason, remedy("camera"))),
                None => {
                    note(pictures(
                        rates.values().copied().fold(0.0, f64::max),
                        wanted,
                    ));
                    if let Some(seen) = camera.appearance().await {
                        note(picture(seen));
                    }
                }
            }
            for codec in rates.into_keys() {
                note(encoder(&camera, codec, wanted));
            }
        }
        Err(error) => note(Finding::failure(
            "camera",
            error.to_string(),
            remedy("camera"),
        )),
    }
    tasks.stop().await;
}

/// Encoded pictures a second, from the first one on.
async fn rate(camera: &Camera, codec: VideoCodec) -> f64 {
    let mut feed = camera.subscribe(codec);
    let until = Instant::now() + BEGIN;
    let Ok(Ok(_)) = timeout_at(until, feed.next()).await else {
        return 0.0;
    };
    let until = Instant::now() + COUNT;
    let mut count = 0u32;
    while let Ok(picture) = timeout_at(until, feed.next()).await {
        match picture {
            Ok(_) => count += 1,
            Err(_) => break,
        }
    }
    f64::from(count) / COUNT.as_secs_f64()
}

fn pictures(rate: f64, wanted: f64) -> Finding {
    let seen = format!("{rate:.1} pictures a second of {wanted}");
    if rate == 0.0 {
        Finding::failure("camera", "no picture within 5 s", remedy("camera"))
    } else if rate < 0.9 * wanted {
        Finding::warning(
            "camera",
            seen,
            "more light (a dark picture is exposed longer), a faster bus, or a smaller picture",
        )
    } else {
        Finding::ok("camera", seen)
    }
}

fn picture(picture: Appearance) -> Finding {
    let Appearance {
        brightness,
        clipped,
        contrast,
        sharpness,
    } = picture;
    let seen = format!(
        "brightness {brightness:.0} of 16 to 235, {clipped:.0} % white, contrast {contrast:.0}, sharpness {sharpness:.4}"
    );
    let wrong = if brightness < BLACK {
        Some((
            "black",
            "is the lens covered, and is there light at the door? A camera for the night has a lamp",
        ))
    } else if clipped > WHITE {
        Some((
            "over-exposed",
            "turn the camera away from the sun or the lamp, or set its exposure (v4l2-ctl --list-ctrls)",
        ))
    } else if contrast < EVEN {
        Some(("one even surface", "is the lens covered or steamed up?"))
    } else if sharpness < BLURRED {
        Some((
            "blurred",
            "wipe the lens, take its film off, and turn its focus until this figure is highest",
        ))
    } else {
        None
    };
    match wrong {
        Some((word, remedy)) => Finding::warning("picture", format!("{word}: {seen}"), remedy),
        None => Finding::ok("picture", seen),
    }
}

fn encoder(camera: &Camera, codec: VideoCodec, fps: f64) -> Finding {
    let name = match codec {
        VideoCodec::Vp8 => "encoder VP8",
        VideoCodec::H264 => "encoder H264",
    };
    let figure = match codec {
        VideoCodec::Vp8 => "vp8_encode_ms",
        VideoCodec::H264 => "h264_encode_ms",
    };
    let took = camera.figures().get(figure).copied().unwrap_or(0.0);
    speed(
        name,
        camera.encoder(codec).unwrap_or("none"),
        took,
        1000.0 / fps,
    )
}

fn speed(name: &str, element: &str, took: f64, room: f64) -> Finding {
    let seen = format!("{element}, {took:.1} ms a picture of {room:.0} ms");
    if took > room {
        let remedy = "a smaller picture or fewer a second ([camera] width, height, frames_per_s)";
        Finding::warning(name, seen, remedy)
    } else {
        Finding::ok(name, seen)
    }
}

/// A packet of Opus is 20 ms of voice, and on the same thread is echo control.
fn speed_of_voice(took: f64) -> Finding {
    let seen = format!("Opus, {took:.1} ms a packet of 20 ms");
    match took {
        took if took > 10.0 => Finding::warning(
            "encoder voice",
            seen,
            "what else runs on this machine? top shows it; a smaller picture gives it room",
        ),
        _ => Finding::ok("encoder voice", seen),
    }
}

/// What microphone and speaker did while a tone was played.
#[derive(Clone, Copy, Debug)]
struct Heard {
    /// The room, dBFS.
    room: f64,
    /// The loudest moment of the tone at the microphone, dBFS.
    tone: f64,
    /// What the speaker was given at its loudest moment, dBFS.
    given: f64,
    /// From the speaker to the microphone, ms; 0 where that was not found.
    delay: f64,
}

async fn sound(sound: &checked::Sound, note: &mut (dyn FnMut(Finding) + Send)) {
    let settings = SoundSettings {
        echo: EchoSettings {
            echo_control: true,
            ..EchoSettings::OFF
        },
        ..run::sound_settings(sound)
    };
    let names = [("microphone", &sound.capture), ("speaker", &sound.playback)];
    for (device, name) in names {
        if name.is_none() {
            note(Finding::ok(device, "none, by the configuration"));
        }
    }
    if sound.capture.is_none() && sound.playback.is_none() {
        return;
    }
    let (inbox, mut news) = mpsc::channel(NEWS);
    let tasks = Tasks::new();
    match Sound::start(settings, inbox, &tasks) {
        Ok(running) => {
            // Levels are measured while somebody listens.
            let listener = running.microphone(SoundCodec::Opus);
            let heard = listen(&running).await;
            drop(listener);
            let figure = |name| running.figures().get(name).copied().unwrap_or(0.0);
            let faults = faults(&mut news);
            if let Some(name) = &sound.playback {
                let fault = faults.get(&Device::Speaker);
                note(card("speaker", name, fault, figure("speaker_blocks")));
            }
            if let Some(name) = &sound.capture {
                let fault = faults.get(&Device::Microphone);
                note(speed_of_voice(figure("microphone_encode_ms")));
                note(
                    match card("microphone", name, fault, figure("microphone_blocks")) {
                        finding if finding.remedy.is_some() => finding,
                        _ => microphone(heard),
                    },
                );
            }
            if faults.is_empty() && sound.capture.is_some() && sound.playback.is_some() {
                note(loop_back(heard));
            }
        }
        Err(error) => note(Finding::failure(
            "sound",
            error.to_string(),
            "restart the machine",
        )),
    }
    tasks.stop().await;
}

/// Listens to the room, then plays a tone and listens to it.
async fn listen(sound: &Sound) -> Heard {
    sleep_until(Instant::now() + LISTEN).await;
    let level = |name| sound.figures().get(name).copied();
    let room = level("microphone_dbfs").unwrap_or(f64::NEG_INFINITY);
    sound.play(Some(Tone::RingBack));
    let (until, mut look) = (Instant::now() + LISTEN, interval(LOOK));
    let (mut tone, mut given) = (room, f64::NEG_INFINITY);
    while Instant::now() < until {
        look.tick().await;
        tone = tone.max(level("microphone_dbfs").unwrap_or(room));
        given = given.max(level("speaker_dbfs").unwrap_or(given));
    }
    sound.play(None);
    let delay = sound.figures().get("echo_delay_ms").copied();
    Heard {
        room,
        tone,
        given,
        delay: delay.unwrap_or(0.0),
    }
}

fn card(device: &'static str, name: &str, fault: Option<&String>, blocks: f64) -> Finding {
    match fault {
        Some(reason) => Finding::failure(device, reason, remedy(device)),
        None if blocks == 0.0 => {
            Finding::failure(device, format!("{name}: no sound moves"), remedy(device))
        }
        None => Finding::ok(device, format!("{name}: {blocks:.0} blocks of 10 ms")),
    }
}

fn microphone(heard: Heard) -> Finding {
    if heard.room.max(heard.tone) < SILENT {
        return Finding::failure(
            "microphone",
            "gives digital silence: it is muted or not connected",
            "turn it on: alsamixer, F4, the space bar at Capture, then sudo alsactl store",
        );
    }
    Finding::ok(
        "microphone",
        format!("hears the room at {:.0} dBFS", heard.room),
    )
}

fn loop_back(heard: Heard) -> Finding {
    let Heard {
        room,
        tone,
        given,
        delay,
    } = heard;
    let seen =
        format!("a tone of the speaker reaches the microphone at {tone:.0} dBFS (room {room:.0})");
    if tone < room + HEARD {
        return Finding::warning(
            "loop",
            format!("the microphone does not hear the speaker ({tone:.0} dBFS, room {room:.0})"),
            "is the speaker connected and turned up (alsamixer, F3)? Far apart and quiet it is fine",
        );
    }
    if tone > -3.0 {
        let remedy = "turn the speaker or the microphone down: what clips cannot be cancelled";
        return Finding::warning("loop", seen, remedy);
    }
    // What of the speaker's sound comes back: the canceller takes away what is left.
    let back = tone - given;
    Finding::ok(
        "loop",
        format!("{seen}, {delay:.0} ms later, {back:+.0} dB of what was played"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Grade;

    #[test]
    fn a_muted_microphone_fails_and_names_the_mixer() {
        let muted = Heard {
            room: -120.0,
            tone: -120.0,
            given: -15.0,
            delay: 0.0,
        };
        let finding = microphone(muted);
        assert_eq!(finding.grade, Grade::Failure);
        assert!(finding.remedy.unwrap().contains("alsamixer"));
        let quiet = Heard {
            room: -80.0,
            tone: -40.0,
            given: -15.0,
            delay: 30.0,
        };
        assert_eq!(microphone(quiet).grade, Grade::Ok);
    }

    #[test]
    fn a_loop_that_is_not_heard_or_clips_warns() {
        let of = |room, tone| {
            loop_back(Heard {
                room,
                tone,
                given: -15.0,
                delay: 20.0,
            })
        };
        assert_eq!(of(-60.0, -58.0).grade, Grade::Warning);
        assert_eq!(of(-60.0, -1.0).grade, Grade::Warning);
        let fine = of(-60.0, -25.0);
        assert_eq!(fine.grade, Grade::Ok);
        assert!(fine.seen.contains("20 ms later, -10 dB"), "{fine:?}");
    }

    #[test]
    fn a_picture_that_shows_nothing_warns_and_says_what_to_look_at() {
        let good = Appearance {
            brightness: 110.0,
            clipped: 2.0,
            contrast: 50.0,
            sharpness: 0.02,
        };
        assert_eq!(picture(good).grade, Grade::Ok);
        let with = |change: fn(&mut Appearance)| {
            let mut seen = good;
            change(&mut seen);
            picture(seen)
        };
        for (finding, word, remedy) in [
            (with(|seen| seen.brightness = 17.0), "black", "lens covered"),
            (with(|seen| seen.clipped = 90.0), "over-exposed", "exposure"),
            (with(|seen| seen.contrast = 1.0), "even", "lens covered"),
            (with(|seen| seen.sharpness = 1e-4), "blurred", "focus"),
        ] {
            assert_eq!(finding.grade, Grade::Warning);
            assert!(
                finding.seen.starts_with(word) || finding.seen.contains(word),
                "{finding:?}"
            );
            assert!(finding.remedy.unwrap().contains(remedy));
        }
    }

    #[test]
    fn slow_pictures_and_encoders_warn() {
        assert_eq!(pictures(0.0, 30.0).grade, Grade::Failure);
        assert_eq!(pictures(20.0, 30.0).grade, Grade::Warning);
        assert_eq!(pictures(29.9, 30.0).grade, Grade::Ok);
        assert_eq!(
            speed("encoder VP8", "vp8enc", 50.0, 33.0).grade,
            Grade::Warning
        );
        assert_eq!(speed("encoder VP8", "vp8enc", 3.5, 33.0).grade, Grade::Ok);
    }
}
