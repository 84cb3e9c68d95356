//! A stage for one story: a station, a browser with the peer page open, and the sound
//! that both made.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::browser::{Browser, Programs};
use super::indoor::{Indoor, check_picture};
use super::pages::Pages;
use super::peer::{Options, Peer};
use super::sound::Recording;
use super::station::{Demo, Station};
use super::{DOOR_VOICE, PAGE_VOICE, PATIENCE, clock, picture_clock};

/// How often the growing recording of the speaker is read.
const READ_EVERY: Duration = Duration::from_millis(250);

/// Everything that a story needs.
#[derive(Debug)]
pub(crate) struct Scene {
    /// The station.
    pub(crate) station: Station,
    /// The browser, with the peer page open.
    pub(crate) browser: Browser,
    /// The server of the peer page.
    pub(crate) pages: Pages,
    folder: TempDir,
}

/// Plays `story` on a station that `set_up` has given its options; tells what each
/// side saw if it fails. Passes without having run where there is no browser.
pub(crate) async fn play(
    set_up: impl FnOnce(Demo) -> Demo,
    story: impl AsyncFnOnce(&mut Scene) -> Result<()>,
) -> Result<()> {
    let Some(programs) = Programs::find()? else {
        return Ok(());
    };
    let folder = TempDir::with_prefix("doorstation-scene-")?;
    let door = folder.path().join("door.wav");
    let page = folder.path().join("page.wav");
    DOOR_VOICE.write(&door)?;
    PAGE_VOICE.write(&page)?;
    let demo = Demo::new()
        .microphone(&door)
        .speaker(&folder.path().join("speaker.wav"));
    let pages = Pages::serve().await?;
    let (station, browser) =
        tokio::try_join!(set_up(demo).start(), Browser::start(&programs, &page))?;
    let mut scene = Scene {
        station,
        browser,
        pages,
        folder,
    };
    scene.browser.goto(&scene.pages.url("peer.html")).await?;
    if let Err(error) = story(&mut scene).await {
        scene.tell().await;
        return Err(error);
    }
    scene.browser.close().await?;
    scene.station.stop().await
}

impl Scene {
    /// A peer page of the user `name`, logged in.
    pub(crate) async fn peer(&self, name: &str, options: &Options) -> Result<Peer> {
        Peer::connect(self.browser.tab(), self.station.url(), name, options).await
    }

    /// The recording of the door's speaker.
    pub(crate) fn speaker(&self) -> PathBuf {
        self.folder.path().join("speaker.wav")
    }

    /// Waits until `count` marks of the person indoors were played at the door, all
    /// at least `from_ms` after the beginning of the recording.
    pub(crate) async fn heard_at_door(&self, count: usize, from_ms: f64) -> Result<()> {
        let deadline = clock::now() + PATIENCE;
        loop {
            let recording = Recording::read(&self.speaker())?;
            let marks = recording.onsets_ms(PAGE_VOICE.mark_hz);
            let heard = marks.iter().filter(|onset| **onset >= from_ms).count();
            if heard >= count {
                return Ok(());
            }
            if clock::now() > deadline {
                bail!(
                    "the door's speaker played {heard} of {count} marks of the page; it \
                     recorded {} ms",
                    recording.length_ms()
                );
            }
            tokio::time::sleep(READ_EVERY).await;
        }
    }

    /// How long the recording of the speaker is now: what comes later is new.
    pub(crate) fn speaker_now_ms(&self) -> Result<f64> {
        Ok(Recording::read(&self.speaker())?.length_ms())
    }

    /// Proves sound in both directions of the newest call of `peer`, from now on.
    pub(crate) async fn prove_sound(&self, peer: &Peer) -> Result<()> {
        let from_ms = self.speaker_now_ms()?;
        peer.run(
            "await measure.until('sound track', () => peer.call.ear);
             const before = peer.call.ear.onsets.length;
             await measure.until('tone of the door', () => peer.call.ear.onsets.length >= before + 2);",
            Value::Null,
        )
        .await?;
        self.heard_at_door(2, from_ms).await
    }

    /// Proves the picture of the newest call of `peer`, from now on, and that it came
    /// as `codec` (`"video/VP8"`).
    pub(crate) async fn prove_picture(&self, peer: &Peer, codec: &str) -> Result<Value> {
        let figures = peer
            .run(
                "peer.watch(args);
                 await measure.until('picture', () => peer.picture.frames > 15);
                 const rate = await measure.steadyFrameRate(peer.call.pc);
                 return { ...rate, ...peer.picture.report() };",
                picture_clock(),
            )
            .await?;
        check_picture(&figures)?;
        ensure!(figures["codec"] == codec, "not {codec}: {figures}");
        Ok(figures)
    }

    /// The door's panel holds the call with the indoor page and takes it back; both
    /// sides show it.
    pub(crate) async fn door_holds(&mut self, page: &Indoor) -> Result<()> {
        self.station.mark();
        self.station.panel("hold").await?;
        page.wait_state("held").await?;
        self.station.wait_state("ON_HOLD").await?;
        self.station.mark();
        self.station.panel("unhold").await?;
        page.wait_state("talking").await?;
        self.station.wait_state("IN_CALL").await?;
        Ok(())
    }

    /// Waits until the station's call is over, and gives its last change of state.
    pub(crate) async fn ended(&mut self) -> Result<Value> {
        Ok(self.station.wait_state("ENDED").await?.value)
    }

    /// Prints what the pages know.
    async fn tell(&self) {
        let stories = self
            .browser
            .run(
                "return Object.values(window.peers ?? {}).map((peer) =>
                     ({ user: peer.user, story: peer.story(), calls: peer.calls.map((call) =>
                        ({ history: call.history, failure: call.failure })) }))
                     .concat(window.observed ? [{ states: observed.states }] : [])",
                Value::Null,
            )
            .await
            .unwrap_or_else(|error| json!(error.to_string()));
        eprintln!("---- what the pages saw\n{stories:#}");
        match self.browser.console().await {
            Ok(lines) => eprintln!("---- the browser's console\n{}", lines.join("\n")),
            Err(error) => eprintln!("---- no console: {error:#}"),
        }
    }
}

/// The last step of a call must carry this code.
pub(crate) fn check_code(step: &Value, code: &str) -> Result<()> {
    if step["code"] == code {
        return Ok(());
    }
    Err(anyhow!("the call did not end with {code}: {step}"))
}
