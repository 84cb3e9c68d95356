//! Hold and unhold, by either side: the media stop and come back, and both sides
//! show the same.

#[path = "common/mod.rs"]
mod common;

use anyhow::Result;
use common::peer::{Generation, Options, Peer};
use common::scene::{Scene, play};
use common::station::{DOOR, Demo};
use serde_json::Value;

const ALICE: &str = "alice@demo.local";

fn alice_rings(demo: Demo) -> Demo {
    demo.user(ALICE).ring(ALICE)
}

#[tokio::test]
async fn a_page_that_answered_without_a_camera_holds_and_gets_its_picture_back() -> Result<()> {
    play(alice_rings, async |scene| {
        let alice = scene.peer(ALICE, &Options::new(Generation::Three)).await?;
        door_called(scene, &alice).await?;
        page_holds(scene, &alice).await?;
        scene.prove_picture(&alice, "video/VP8").await?;
        door_holds(scene, &alice).await?;
        scene.prove_picture(&alice, "video/VP8").await?;
        page_holds(scene, &alice).await?;
        scene.prove_sound(&alice).await?;
        alice.act("end").await
    })
    .await
}

#[tokio::test]
async fn a_page_that_bundles_holds_and_is_held() -> Result<()> {
    play(alice_rings, async |scene| {
        let alice = scene.peer(ALICE, &Options::new(Generation::Five)).await?;
        door_called(scene, &alice).await?;
        page_holds(scene, &alice).await?;
        scene.prove_picture(&alice, "video/VP8").await?;
        door_holds(scene, &alice).await?;
        scene.prove_picture(&alice, "video/VP8").await?;
        scene.prove_sound(&alice).await?;
        alice.act("end").await
    })
    .await
}

#[tokio::test]
async fn a_page_that_called_holds_and_is_held() -> Result<()> {
    play(alice_rings, async |scene| {
        let options = Options {
            camera: true,
            ..Options::new(Generation::Three)
        };
        let alice = scene.peer(ALICE, &options).await?;
        alice.make(DOOR).await?;
        alice.wait_state("RINGING").await?;
        scene.station.panel("answer").await?;
        alice.wait_state("IN_CALL").await?;
        page_holds(scene, &alice).await?;
        door_holds(scene, &alice).await?;
        scene.prove_picture(&alice, "video/VP8").await?;
        scene.prove_sound(&alice).await?;
        alice.act("end").await
    })
    .await
}

async fn door_called(scene: &mut Scene, alice: &Peer) -> Result<()> {
    scene.station.panel("press bell").await?;
    alice.wait_state("RINGING").await?;
    alice.act("answer").await?;
    scene.station.wait_state("IN_CALL").await?;
    scene.prove_picture(alice, "video/VP8").await?;
    Ok(())
}

async fn page_holds(scene: &mut Scene, alice: &Peer) -> Result<()> {
    scene.station.mark();
    alice.act("hold").await?;
    alice.wait_state("ON_HOLD").await?;
    scene.station.wait_state("ON_REMOTE_HOLD").await?;
    stays_quiet(alice).await?;
    scene.station.mark();
    alice.act("unhold").await?;
    alice.wait_state("IN_CALL").await?;
    scene.station.wait_state("IN_CALL").await?;
    Ok(())
}

async fn door_holds(scene: &mut Scene, alice: &Peer) -> Result<()> {
    scene.station.mark();
    scene.station.panel("hold").await?;
    alice.wait_state("ON_REMOTE_HOLD").await?;
    scene.station.wait_state("ON_HOLD").await?;
    stays_quiet(alice).await?;
    scene.station.mark();
    scene.station.panel("unhold").await?;
    alice.wait_state("IN_CALL").await?;
    scene.station.wait_state("IN_CALL").await?;
    Ok(())
}

/// A held call brings no new pictures and no voice: a time is seen in which both stand
/// still, as long as 40 frames or more than one mark would take. What was on its way
/// when the hold began may come later on a busy machine.
async fn stays_quiet(alice: &Peer) -> Result<()> {
    alice
        .run(
            "const seen = async () => [
                 await measure.decodedFrames(peer.call.pc), peer.call.ear.onsets.length];
             await measure.until('silence and stillness', async () => {
                 const [frames, marks] = await seen();
                 await measure.sleep(1500);
                 const [moreFrames, moreMarks] = await seen();
                 return moreFrames === frames && moreMarks === marks;
             });",
            Value::Null,
        )
        .await?;
    Ok(())
}
