//! The hand of a test on one peer of a page (`tests/browser/peer.js`).

use anyhow::Result;
use serde_json::{Value, json};

use super::browser::Tab;
use super::station::PASSWORD;
use super::{DOOR_VOICE, PAGE_VOICE};

/// Which kind of page the peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// Never bundles, rewrites SDP: Kandy.js 3.x.
    Three,
    /// Bundles, no H264: the 4.x/5.x line.
    Five,
}

impl Generation {
    fn class(self) -> &'static str {
        match self {
            Self::Three => "Peer3",
            Self::Five => "Peer5",
        }
    }
}

/// One user's page.
#[derive(Debug)]
pub(crate) struct Peer {
    tab: Tab,
    name: String,
}

/// What a peer can be told to be.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Which kind of page.
    pub(crate) generation: Generation,
    /// Calls and answers with its own camera.
    pub(crate) camera: bool,
    /// Takes this video codec only.
    pub(crate) codec: Option<&'static str>,
    /// Wants no picture in either direction.
    pub(crate) sound_only: bool,
}

impl Options {
    /// A page of `generation` without a camera, with every codec it has.
    pub(crate) fn new(generation: Generation) -> Self {
        Self {
            generation,
            camera: false,
            codec: None,
            sound_only: false,
        }
    }
}

impl Peer {
    /// Lets the user `name` log in at `gateway` from the peer page that is open.
    pub(crate) async fn connect(
        tab: Tab,
        gateway: &str,
        name: &str,
        options: &Options,
    ) -> Result<Self> {
        let class = options.generation.class();
        tab.run(
            &format!(
                "const peer = new {class}(args);
                     await peer.connect();
                     peers[args.user] = peer;"
            ),
            json!({
                "gateway": gateway,
                "user": name,
                "password": PASSWORD,
                "voice": { "mark_hz": PAGE_VOICE.mark_hz },
                "remoteVoice": { "mark_hz": DOOR_VOICE.mark_hz },
                "camera": options.camera,
                "codec": options.codec,
                "soundOnly": options.sound_only,
            }),
        )
        .await?;
        Ok(Self {
            tab,
            name: name.to_owned(),
        })
    }

    /// Runs `body` in the page; `peer` is this peer and `args` are the arguments.
    pub(crate) async fn run(&self, body: &str, args: Value) -> Result<Value> {
        let body = format!("const peer = peers[{:?}]; {body}", self.name);
        self.tab.run(&body, args).await
    }

    /// Does one of `make`, `answer`, `reject`, `end`, `hold`, `unhold`, `disconnect`.
    pub(crate) async fn act(&self, what: &str) -> Result<()> {
        self.run(&format!("await peer.{what}()"), Value::Null)
            .await?;
        Ok(())
    }

    /// Calls `to`.
    pub(crate) async fn make(&self, to: &str) -> Result<()> {
        self.run("await peer.make(args)", json!(to)).await?;
        Ok(())
    }

    /// Waits until a new call rings here.
    pub(crate) async fn wait_for_call(&self) -> Result<()> {
        self.run(
            "await measure.until('a new call', () => peer.call && !peer.call.over)",
            Value::Null,
        )
        .await?;
        self.wait_state("RINGING").await?;
        Ok(())
    }

    /// From now on the other side of its calls is a page, not the door.
    pub(crate) async fn hears_a_page(&self) -> Result<()> {
        self.run("peer.remoteVoice = peer.voice", Value::Null)
            .await?;
        Ok(())
    }

    /// Waits until the newest call is in `state`, and gives its summary.
    pub(crate) async fn wait_state(&self, state: &str) -> Result<Value> {
        self.run("return peer.waitState(args)", json!(state)).await
    }

    /// The last step of the newest call: `{state, code, reason}`.
    pub(crate) async fn last_step(&self) -> Result<Value> {
        self.run("return peer.call.history.at(-1)", Value::Null)
            .await
    }
}
