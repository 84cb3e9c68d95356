//! Every way in which a call ends without a talk, through real HTTP and WebSocket,
//! as pages of both generations and the door's panel see it.

#[path = "common/mod.rs"]
mod common;

use anyhow::{Result, ensure};
use common::peer::{Generation, Options, Peer};
use common::scene::{Scene, check_code, play};
use common::station::{DOOR, Demo, PASSWORD};
use serde_json::json;

const ALICE: &str = "alice@demo.local";
const BOB: &str = "bob@demo.local";
const CAROL: &str = "carol@demo.local";

#[tokio::test]
async fn nobody_talks_rejected_cancelled() -> Result<()> {
    let set_up = |demo: Demo| demo.user(ALICE).ring(ALICE);
    play(set_up, async |scene| {
        let alice = scene.peer(ALICE, &Options::new(Generation::Three)).await?;

        eprintln!("the page rejects");
        rings(scene, &alice).await?;
        alice.act("reject").await?;
        alice.wait_state("ENDED").await?;
        check_code(&alice.last_step().await?, "603")?;
        check_code(&scene.ended().await?, "603")?;

        eprintln!("the visitor changes their mind");
        rings(scene, &alice).await?;
        scene.station.panel("end").await?;
        alice.wait_state("ENDED").await?;
        check_code(&alice.last_step().await?, "487")?;
        scene.ended().await?;

        eprintln!("and the station still works");
        rings(scene, &alice).await?;
        alice.act("answer").await?;
        scene.station.wait_state("IN_CALL").await?;
        scene.prove_sound(&alice).await?;
        alice.act("end").await?;
        scene.ended().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn nobody_answers_and_both_are_told() -> Result<()> {
    let set_up = |demo: Demo| demo.user(ALICE).ring(ALICE).option("--ring-time", "3");
    play(set_up, async |scene| {
        let alice = scene.peer(ALICE, &Options::new(Generation::Three)).await?;
        scene.station.mark();
        scene.station.panel("press bell").await?;
        // Both ring for 3 s, but the station leaves the end to the gateway, which tells
        // both sides the same.
        check_code(&scene.ended().await?, "480")?;
        let call = alice.wait_state("ENDED").await?;
        // A busy machine may look only after the ringing.
        ensure!(
            call["history"][0]["state"] == "RINGING",
            "it did not ring: {call}"
        );
        check_code(&alice.last_step().await?, "480")?;
        scene.station.wait_state("RINGING").await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn two_pages_call_each_other_through_the_gateway() -> Result<()> {
    let set_up = |demo: Demo| demo.user(ALICE).user(BOB).ring(ALICE);
    play(set_up, async |scene| {
        let with_camera = |generation| Options {
            camera: true,
            ..Options::new(generation)
        };
        let alice = scene.peer(ALICE, &with_camera(Generation::Three)).await?;
        let bob = scene.peer(BOB, &with_camera(Generation::Five)).await?;
        for (caller, callee, to) in [(&alice, &bob, BOB), (&bob, &alice, ALICE)] {
            caller.hears_a_page().await?;
            callee.hears_a_page().await?;
            caller.make(to).await?;
            callee.wait_for_call().await?;
            callee.act("answer").await?;
            caller.wait_state("IN_CALL").await?;
            sees_and_hears(caller).await?;
            sees_and_hears(callee).await?;

            caller.act("hold").await?;
            callee.wait_state("ON_REMOTE_HOLD").await?;
            caller.act("unhold").await?;
            callee.wait_state("IN_CALL").await?;
            sees_and_hears(caller).await?;
            sees_and_hears(callee).await?;

            callee.act("end").await?;
            caller.wait_state("ENDED").await?;
            check_code(&caller.last_step().await?, "200")?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_page_calls_and_nobody_talks() -> Result<()> {
    let set_up = |demo: Demo| demo.user(ALICE).user(BOB).user(CAROL).ring(ALICE);
    play(set_up, async |scene| {
        let alice = scene.peer(ALICE, &Options::new(Generation::Three)).await?;
        let bob = scene.peer(BOB, &Options::new(Generation::Five)).await?;

        eprintln!("nobody has that name");
        alice.make("nobody@demo.local").await?;
        alice.wait_state("ENDED").await?;
        check_code(&alice.last_step().await?, "404")?;

        eprintln!("carol has an account and no page");
        alice.make(CAROL).await?;
        alice.wait_state("ENDED").await?;
        check_code(&alice.last_step().await?, "480")?;

        eprintln!("the door's button rejects");
        scene.station.mark();
        alice.make(DOOR).await?;
        alice.wait_state("RINGING").await?;
        scene.station.panel("reject").await?;
        alice.wait_state("ENDED").await?;
        check_code(&alice.last_step().await?, "603")?;
        // "Rejected by local user" (protocol section 6.5).
        check_code(&scene.ended().await?, "9902")?;

        eprintln!("the page gives up");
        scene.station.mark();
        alice.make(DOOR).await?;
        alice.wait_state("RINGING").await?;
        alice.act("end").await?;
        alice.wait_state("ENDED").await?;
        check_code(&alice.last_step().await?, "487")?;
        check_code(&scene.ended().await?, "487")?;

        eprintln!("the door talks to somebody else");
        alice.make(DOOR).await?;
        alice.wait_state("RINGING").await?;
        scene.station.panel("answer").await?;
        alice.wait_state("IN_CALL").await?;
        bob.make(DOOR).await?;
        bob.wait_state("ENDED").await?;
        check_code(&bob.last_step().await?, "486")?;
        scene.prove_sound(&alice).await?;
        alice.act("end").await
    })
    .await
}

#[tokio::test]
async fn the_second_page_sees_that_the_first_one_answered() -> Result<()> {
    let set_up = |demo: Demo| demo.user(ALICE).user(BOB).ring(ALICE).ring(BOB);
    play(set_up, async |scene| {
        let alice = scene.peer(ALICE, &Options::new(Generation::Three)).await?;
        let bob = scene.peer(BOB, &Options::new(Generation::Five)).await?;
        rings(scene, &alice).await?;
        bob.wait_state("RINGING").await?;
        bob.act("answer").await?;
        scene.station.wait_state("IN_CALL").await?;
        alice.wait_state("ENDED").await?;
        scene.prove_sound(&bob).await?;

        eprintln!("alice's page can still not take the call");
        let late = alice.act("answer").await;
        eprintln!("a late answer: {late:?}");
        bob.run(
            "if (peer.call.state !== 'IN_CALL') throw new Error(peer.call.state)",
            json!(null),
        )
        .await?;
        scene.station.mark();
        bob.act("end").await?;
        scene.ended().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_same_user_on_two_devices_answers_on_one() -> Result<()> {
    let set_up = |demo: Demo| demo.user(ALICE).ring(ALICE);
    play(set_up, async |scene| {
        let phone = scene.peer(ALICE, &Options::new(Generation::Three)).await?;
        // A second log-in of the same user; the page knows it by another name.
        scene
            .browser
            .run(
                "const { gateway, password, voice, remoteVoice } = peers['alice@demo.local'];
                 const tablet = new Peer3({ gateway, user: 'alice@demo.local', password, voice, remoteVoice });
                 await tablet.connect();
                 peers.tablet = tablet;",
                json!(null),
            )
            .await?;
        rings(scene, &phone).await?;
        scene
            .browser
            .run("await peers.tablet.waitState('RINGING')", json!(null))
            .await?;
        phone.act("answer").await?;
        scene.station.wait_state("IN_CALL").await?;
        let step = scene
            .browser
            .run(
                "await peers.tablet.waitState('ENDED'); return peers.tablet.call.history.at(-1)",
                json!(null),
            )
            .await?;
        check_code(&step, "9904")?;
        scene.prove_sound(&phone).await?;
        phone.act("end").await
    })
    .await
}

#[tokio::test]
async fn a_wrong_password_is_refused_in_the_form_that_the_sdks_read() -> Result<()> {
    let set_up = |demo: Demo| demo.user(ALICE).ring(ALICE);
    play(set_up, async |scene| {
        for (generation, password) in [("Peer3", "wrong"), ("Peer5", "")] {
            let refused = scene
                .browser
                .run(
                    &format!(
                        "const peer = new {generation}(args);
                         try {{ await peer.connect(); }} catch (error) {{
                             return {{ status: error.status, statusCode: error.statusCode }};
                         }}
                         throw new Error('let in with a wrong password');"
                    ),
                    json!({
                        "gateway": scene.station.url(),
                        "user": ALICE,
                        "password": password,
                    }),
                )
                .await?;
            ensure!(
                refused == json!({ "status": 401, "statusCode": 4 }),
                "not refused as the SDKs want it: {refused}"
            );
        }
        let options = Options::new(Generation::Three);
        let alice = scene.peer(ALICE, &options).await;
        ensure!(alice.is_ok(), "the right password {PASSWORD:?} is refused");
        Ok(())
    })
    .await
}

/// Presses the bell and waits until `peer` and the station ring.
async fn rings(scene: &mut Scene, peer: &Peer) -> Result<()> {
    scene.station.mark();
    scene.station.panel("press bell").await?;
    peer.wait_for_call().await?;
    scene.station.wait_state("RINGING").await?;
    Ok(())
}

/// Thirty pictures and two marks of the other page, from now on.
async fn sees_and_hears(peer: &Peer) -> Result<()> {
    peer.run(
        "const { call } = peer;
         await measure.until('sound track', () => call.ear);
         const marks = call.ear.onsets.length;
         const frames = await measure.decodedFrames(call.pc);
         await measure.until('marks', () => call.ear.onsets.length >= marks + 2);
         await measure.until('pictures', async () =>
             await measure.decodedFrames(call.pc) >= frames + 30);",
        json!(null),
    )
    .await?;
    Ok(())
}
