//! Whole calls between the station and pages of both generations in a real Chromium:
//! picture and sound are read back and must be what was sent.

#[path = "common/mod.rs"]
mod common;

use anyhow::{Result, ensure};
use common::peer::{Generation, Options, Peer};
use common::scene::{Scene, check_code, play};
use common::station::{DOOR, Demo};
use serde_json::Value;

const ALICE: &str = "alice@demo.local";

fn alice_rings(demo: Demo) -> Demo {
    demo.user(ALICE).ring(ALICE)
}

/// In the picture's own size: two calls measure it, one for each codec.
fn alice_rings_full(demo: Demo) -> Demo {
    alice_rings(demo).full_size()
}

/// Who ends a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ender {
    Door,
    Page,
}

#[tokio::test]
async fn the_door_calls_a_page_that_never_bundles() -> Result<()> {
    play(alice_rings, async |scene| {
        let options = Options::new(Generation::Three);
        let alice = scene.peer(ALICE, &options).await?;
        door_calls(scene, &alice, "video/VP8", Ender::Page).await
    })
    .await
}

#[tokio::test]
async fn the_door_calls_a_page_that_never_bundles_and_takes_h264_only() -> Result<()> {
    play(alice_rings_full, async |scene| {
        let options = Options {
            codec: Some("H264"),
            ..Options::new(Generation::Three)
        };
        let alice = scene.peer(ALICE, &options).await?;
        door_calls(scene, &alice, "video/H264", Ender::Door).await
    })
    .await
}

#[tokio::test]
async fn the_door_calls_a_page_that_bundles() -> Result<()> {
    play(alice_rings_full, async |scene| {
        let options = Options::new(Generation::Five);
        let alice = scene.peer(ALICE, &options).await?;
        door_calls(scene, &alice, "video/VP8", Ender::Page).await
    })
    .await
}

#[tokio::test]
async fn the_door_calls_a_page_that_answers_with_its_camera() -> Result<()> {
    play(alice_rings, async |scene| {
        let options = Options {
            camera: true,
            ..Options::new(Generation::Three)
        };
        let alice = scene.peer(ALICE, &options).await?;
        door_calls(scene, &alice, "video/VP8", Ender::Door).await
    })
    .await
}

#[tokio::test]
async fn a_page_that_never_bundles_calls_the_door_with_its_camera() -> Result<()> {
    play(alice_rings, async |scene| {
        let options = Options {
            camera: true,
            ..Options::new(Generation::Three)
        };
        let alice = scene.peer(ALICE, &options).await?;
        page_calls(scene, &alice, Some("video/VP8"), Ender::Page).await
    })
    .await
}

#[tokio::test]
async fn a_page_that_never_bundles_calls_the_door_with_its_camera_and_h264() -> Result<()> {
    play(alice_rings, async |scene| {
        let options = Options {
            camera: true,
            codec: Some("H264"),
            ..Options::new(Generation::Three)
        };
        let alice = scene.peer(ALICE, &options).await?;
        page_calls(scene, &alice, Some("video/H264"), Ender::Door).await
    })
    .await
}

#[tokio::test]
async fn a_page_that_never_bundles_calls_without_a_camera_and_sees_the_door() -> Result<()> {
    play(alice_rings, async |scene| {
        let options = Options::new(Generation::Three);
        let alice = scene.peer(ALICE, &options).await?;
        page_calls(scene, &alice, Some("video/VP8"), Ender::Door).await
    })
    .await
}

#[tokio::test]
async fn a_page_that_bundles_calls_the_door_with_its_camera() -> Result<()> {
    play(alice_rings, async |scene| {
        let options = Options {
            camera: true,
            ..Options::new(Generation::Five)
        };
        let alice = scene.peer(ALICE, &options).await?;
        page_calls(scene, &alice, Some("video/VP8"), Ender::Page).await
    })
    .await
}

#[tokio::test]
async fn a_page_that_bundles_calls_the_door_with_sound_only() -> Result<()> {
    play(alice_rings, async |scene| {
        let alice = scene.peer(ALICE, &Options::new(Generation::Five)).await?;
        page_calls(scene, &alice, None, Ender::Door).await
    })
    .await
}

#[tokio::test]
async fn a_page_that_never_bundles_calls_and_is_called_with_sound_only() -> Result<()> {
    play(alice_rings, async |scene| {
        let options = Options {
            sound_only: true,
            ..Options::new(Generation::Three)
        };
        let alice = scene.peer(ALICE, &options).await?;
        page_calls(scene, &alice, None, Ender::Page).await?;

        scene.station.mark();
        scene.station.panel("press bell").await?;
        alice.wait_for_call().await?;
        alice.act("answer").await?;
        scene.station.wait_state("IN_CALL").await?;
        scene.prove_sound(&alice).await?;
        let frames = alice
            .run("return measure.decodedFrames(peer.call.pc)", Value::Null)
            .await?;
        ensure!(frames == 0, "a picture came: {frames} frames");
        end(scene, &alice, Ender::Door).await
    })
    .await
}

/// The bell is pressed, the page answers, both prove what they get, `ender` ends.
async fn door_calls(scene: &mut Scene, alice: &Peer, codec: &str, ender: Ender) -> Result<()> {
    scene.station.mark();
    scene.station.panel("press bell").await?;
    let ringing = alice.wait_state("RINGING").await?;
    ensure!(ringing["from"] == DOOR, "not from the door: {ringing}");
    scene.station.wait_state("RINGING").await?;
    alice.act("answer").await?;
    scene.station.wait_state("IN_CALL").await?;
    let figures = scene.prove_picture(alice, codec).await?;
    eprintln!("{figures}");
    scene.prove_sound(alice).await?;
    end(scene, alice, ender).await
}

/// The page calls, the door's button answers, both prove what they get, `ender` ends.
async fn page_calls(
    scene: &mut Scene,
    alice: &Peer,
    codec: Option<&str>,
    ender: Ender,
) -> Result<()> {
    scene.station.mark();
    alice.make(DOOR).await?;
    let received = scene
        .station
        .wait("call:receive", |event| event["event"] == "call:receive")
        .await?;
    ensure!(
        received.value["from"]
            .as_str()
            .is_some_and(|from| from.contains(ALICE)),
        "not from alice: {}",
        received.value
    );
    alice.wait_state("RINGING").await?;
    scene.station.panel("answer").await?;
    alice.wait_state("IN_CALL").await?;
    scene.station.wait_state("IN_CALL").await?;
    if let Some(codec) = codec {
        let figures = scene.prove_picture(alice, codec).await?;
        eprintln!("{figures}");
    }
    scene.prove_sound(alice).await?;
    end(scene, alice, ender).await
}

/// Both sides must learn of the end, and in the same way.
async fn end(scene: &mut Scene, alice: &Peer, ender: Ender) -> Result<()> {
    scene.station.mark();
    match ender {
        Ender::Door => {
            scene.station.panel("end").await?;
            alice.wait_state("ENDED").await?;
            check_code(&alice.last_step().await?, "200")?;
        }
        Ender::Page => {
            alice.act("end").await?;
            // The reply to its request, or the `callEnd` that comes to both: which
            // is first is chance.
            let last = alice.last_step().await?;
            ensure!(
                last["state"] == "ENDED" && (last["code"] == "9901" || last["code"] == "200"),
                "not ended by the page: {last}"
            );
        }
    }
    let ended = scene.ended().await?;
    ensure!(
        ended["reason"].is_string(),
        "an end without a reason: {ended}"
    );
    let over = scene
        .station
        .wait("call:over", |event| event["event"] == "call:over")
        .await?;
    eprintln!("{}", over.value);
    let quiet = alice
        .run("return peer.call.auditFailure ?? null", Value::Null)
        .await?;
    ensure!(quiet.is_null(), "an audit was refused with {quiet}");
    Ok(())
}
