//! A door without panel and signalling, for `script/bench`: the station's media in a
//! process of their own, driven by lines.
//!
//! The lines are those of `benches/peer/webrtcbin.py`, which stands for the rival.
//! `ALSA_CONFIG_PATH` names the virtual card of whoever starts it; what `RUST_LOG` asks
//! for is told on standard error.

#![allow(clippy::print_stdout, reason = "a program whose purpose is to print")]

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use doorstation::call::{Flow, Input, LegId, Media, MediaOrder, Sdp, Wish};
use doorstation::clock;
use doorstation::media::engine::{Engine, Settings};
use doorstation::media::feed::{Encoded, PictureFeed, Pictures};
use doorstation::media::gst::{Camera, CameraSettings, Source};
use doorstation::media::sound::virtual_card::VirtualCard;
use doorstation::media::sound::{EchoSettings, Sound, SoundSettings};
use doorstation::media::{Order, VideoCodec};
use doorstation::tasks::Tasks;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};
use tokio::sync::mpsc;
use tracing_subscriber::EnvFilter;

/// How long the camera settles before its cost is measured, and how long it is.
const SETTLING: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_secs(2);

#[derive(Debug, Parser)]
struct Arguments {
    /// `h264` or `vp8`.
    #[arg(long, default_value = "h264")]
    codec: String,

    /// The microphone's sound is left as it is.
    #[arg(long)]
    echo_off: bool,
}

/// A camera that encodes only one codec.
struct Only(Camera, VideoCodec);

impl Pictures for Only {
    fn codecs(&self) -> Vec<VideoCodec> {
        vec![self.1]
    }

    fn subscribe(&self, codec: VideoCodec) -> PictureFeed {
        self.0.subscribe(codec)
    }

    fn request_key_frame(&self, codec: VideoCodec) {
        self.0.request_key_frame(codec);
    }

    fn encoded(&self, codec: VideoCodec) -> Option<Encoded> {
        self.0.encoded(codec)
    }
}

struct Door {
    orders: mpsc::Sender<Order>,
    leg: LegId,
    calls: u32,
    /// Seconds of processor time that its drawing takes in a second.
    drawing_cost: f64,
}

/// What the test picture costs while nobody wants it, and so nothing but drawing is
/// done: seconds of processor time in a second.
async fn drawing_cost() -> f64 {
    // Loading GStreamer's plug-ins is over by then.
    tokio::time::sleep(SETTLING).await;
    let (began, used) = (clock::now(), clock::cpu());
    tokio::time::sleep(LOOK).await;
    let used = clock::cpu().saturating_sub(used);
    used.as_secs_f64() / began.elapsed().as_secs_f64()
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let codec = match arguments.codec.as_str() {
        "h264" => VideoCodec::H264,
        "vp8" => VideoCodec::Vp8,
        other => bail!("'{other}' is not a codec: h264 or vp8"),
    };
    let tasks = Tasks::new();
    // A call tells some thirty things, each of which is read at once.
    let (inbox, mut news) = mpsc::channel(64);
    let camera = Camera::start(CameraSettings::new(Source::Test), inbox.clone(), &tasks)?;
    let drawing_cost = drawing_cost().await;
    let mut settings = VirtualCard::settings();
    if arguments.echo_off {
        settings = SoundSettings {
            echo: EchoSettings::OFF,
            ..settings
        };
    }
    let sound = Arc::new(Sound::start(settings, inbox.clone(), &tasks)?);
    let camera = Arc::new(Only(camera, codec));
    let engine = Engine::new(Settings::default(), camera, sound, inbox, tasks.clone());
    let (orders, queue) = mpsc::channel(16);
    tasks.spawn_draining("engine", engine.run(queue));

    let mut door = Door {
        orders,
        leg: LegId::new("call-0"),
        calls: 0,
        drawing_cost,
    };
    let mut lines = BufReader::new(stdin()).lines();
    println!("{}", json!({ "ready": true }));
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) if !door.obey(&line).await? => break,
                Some(_) => {}
                None => break,
            },
            Some(input) = news.recv() => door.tell(input).await?,
        }
    }
    tasks.stop().await;
    Ok(())
}

impl Door {
    /// Carries out an order; `false` is the last.
    async fn obey(&mut self, line: &str) -> Result<bool> {
        let order: Value = serde_json::from_str(line).context("an order is JSON")?;
        match order["do"].as_str() {
            Some("offer") => {
                self.calls += 1;
                self.leg = LegId::new(format!("call-{}", self.calls));
                self.order(MediaOrder::Offer(Wish {
                    audio: true,
                    receive_video: false,
                    send_video: true,
                }))
                .await?;
            }
            Some("answer") => {
                let sdp = order["sdp"].as_str().context("an answer has an SDP")?;
                self.order(MediaOrder::Apply(Sdp::new(sdp))).await?;
            }
            Some("end") => self.order(MediaOrder::Close).await?,
            Some("cost") => println!("{}", json!({ "cost": self.drawing_cost })),
            Some("quit") => return Ok(false),
            _ => bail!("not an order: {line}"),
        }
        Ok(true)
    }

    async fn order(&self, order: MediaOrder) -> Result<()> {
        let order = Order::Leg(self.leg.clone(), order);
        self.orders.send(order).await.context("the engine runs")
    }

    /// Tells what happens to the call.
    async fn tell(&self, input: Input) -> Result<()> {
        let reply = match input {
            Input::Media(leg, media) if leg == self.leg => match media {
                Media::OfferReady(offer) => json!({ "offer": offer.as_str() }),
                Media::AnswerApplied { .. } => {
                    self.order(MediaOrder::Flow(Flow {
                        microphone: true,
                        speaker: true,
                        picture: true,
                    }))
                    .await?;
                    json!({ "applied": true })
                }
                Media::Connected => json!({ "connected": true }),
                Media::Figures(figures) => json!({ "ended": true, "figures": figures.0 }),
                Media::Failed(failure) => bail!("the call failed: {failure:?}"),
                _ => return Ok(()),
            },
            Input::Device(device, Some(reason)) => bail!("{device:?}: {reason}"),
            _ => return Ok(()),
        };
        println!("{reply}");
        Ok(())
    }
}
