//! One webrtc-rs connection with one m-line.

use std::sync::Arc;
use std::time::Duration;

use rtc::ice::mdns::MulticastDnsMode;
use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, RTCConfigurationBuilder, RTCIceServer,
    RTCSdpType, RTCSessionDescription, Registry, SettingEngine, SettingEngineBuilder,
};
use webrtc::rtp_transceiver::{RTCRtpTransceiverDirection, RtpSender, RtpTransceiver};

use super::codecs::{self, Medium};
use super::figures::Counters;
use super::handler::{Handler, Transport};
use super::path::Surveyor;
use super::receiver;
use super::runtime::{HurriedRuntime, Hurry};
use super::sdp::split::event_clocks;
use super::sdp::{Description, Direction};
use super::sender::{self, Negotiated};
use super::watcher::{self, Notice};
use super::{Context, Error, GATHERING, Settings};
use crate::call::{Digits, Flow};
use crate::ice;
use crate::media::VideoCodec;
use crate::tasks::Tasks;

/// How a session calls its m-line; the wire's name is put in when sections are
/// joined.
pub(crate) const SESSION_MID: &str = "0";

/// A remote track is announced once per negotiation at most.
const TRACKS: usize = 4;

/// Orders for digits that wait: each is sent at 160 ms a digit. One more is refused.
const DIGITS: usize = 4;

/// What a session is made of.
pub(crate) struct Make<'a> {
    /// Audio or video.
    pub(crate) medium: Medium,
    /// Video codecs, best first; not used for audio.
    pub(crate) pictures: &'a [VideoCodec],
    /// The `msid` stream that all lines of the leg share.
    pub(crate) stream: &'a str,
    /// Which m-line of the leg it is, for notices.
    pub(crate) line: usize,
    /// What may pass.
    pub(crate) flow: watch::Receiver<Flow>,
    /// Of the leg.
    pub(crate) surveyor: &'a Arc<Surveyor>,
    /// Where news goes.
    pub(crate) notices: mpsc::Sender<Notice>,
}

/// One live m-line's connection. It is closed when it is dropped, too.
pub(crate) struct Session {
    pub(crate) medium: Medium,
    connection: Guard,
    transceiver: Arc<dyn RtpTransceiver>,
    sender: Arc<dyn RtpSender>,
    hurry: Arc<Hurry>,
    transport: watch::Receiver<Transport>,
    /// The camera's codecs, best first.
    pictures: Vec<VideoCodec>,
    /// What the sender may send.
    negotiated: watch::Sender<Option<Negotiated>>,
    digits: mpsc::Sender<Digits>,
    /// What is counted.
    pub(crate) counters: Arc<Counters>,
}

impl Session {
    /// Opens the sockets and starts the tasks of a session.
    ///
    /// # Errors
    ///
    /// When no socket can be opened.
    pub(crate) async fn new(context: &Context, make: Make<'_>) -> Result<Self, Error> {
        let codecs = codecs::codecs(make.medium, make.pictures);
        let hurry = Arc::new(Hurry::default());
        let counters = Arc::new(Counters::default());
        let (transport_tx, transport) = watch::channel(Transport::default());
        if make.medium == Medium::Video {
            make.surveyor.begin();
        }
        let (tracks_tx, tracks) = mpsc::channel(TRACKS);
        let handler = Handler {
            transport: transport_tx,
            tracks: tracks_tx,
            hurry: Arc::clone(&hurry),
            _census: Arc::clone(&context.census),
        };
        let interceptors = codecs::engine(make.medium, &codecs, &counters, make.surveyor)
            .map_err(Error::session("register its codecs"))?;
        let connection = Guard::new(
            connect(&context.settings, interceptors, handler).await?,
            context.tasks.child(),
        );
        let track = codecs::local_track(make.medium, make.stream, &codecs);
        let ssrc = track.1;
        let track = Arc::new(TrackLocalStaticRTP::new(track.0));
        let sender = connection
            .get()
            .add_track(Arc::clone(&track) as Arc<dyn TrackLocal>)
            .await
            .map_err(Error::session("take a track"))?;
        let transceiver = connection
            .get()
            .get_transceivers()
            .await
            .into_iter()
            .next()
            .ok_or(Error::NoSession("send with"))?;
        transceiver
            .set_codec_preferences(codecs)
            .await
            .map_err(Error::session("prefer codecs"))?;

        let (negotiated, negotiated_rx) = watch::channel(None);
        let (digits, digits_rx) = mpsc::channel(DIGITS);
        let session = Self {
            medium: make.medium,
            connection,
            transceiver,
            sender,
            hurry,
            transport,
            pictures: make.pictures.to_vec(),
            negotiated,
            digits,
            counters,
        };
        let out = sender::Out {
            track,
            ssrc,
            negotiated: negotiated_rx,
            transport: session.transport.clone(),
            path: make.surveyor.path(),
            flow: make.flow.clone(),
            digits: digits_rx,
            counters: Arc::clone(&session.counters),
            notices: make.notices.clone(),
        };
        let tasks = &session.connection.tasks;
        watcher::spawn(tasks, &session, make.line, make.notices.clone());
        sender::spawn(tasks, context, make.medium, out);
        let incoming = receiver::Incoming {
            tracks,
            negotiated: session.negotiated.subscribe(),
            counters: Arc::clone(&session.counters),
            flow: make.flow,
            notices: make.notices,
        };
        receiver::spawn(tasks, context, make.medium, incoming);
        Ok(session)
    }

    pub(crate) fn transport(&self) -> watch::Receiver<Transport> {
        self.transport.clone()
    }

    /// Pictures are to be sent, in this codec.
    pub(crate) fn picture(&self) -> Option<VideoCodec> {
        let negotiated = self.negotiated.borrow();
        let sending = negotiated.filter(|negotiated| negotiated.sending)?;
        sending.picture
    }

    pub(crate) fn sender(&self) -> Arc<dyn RtpSender> {
        Arc::clone(&self.sender)
    }

    /// Makes an offer; the text has the session's candidates.
    ///
    /// # Errors
    ///
    /// When webrtc-rs refuses, or there is no network.
    pub(crate) async fn offer(&self, direction: Direction) -> Result<String, Error> {
        self.take_back_offers().await?;
        self.direct(direction).await?;
        let offer = self
            .connection
            .get()
            .create_offer(None)
            .await
            .map_err(Error::session("make an offer"))?;
        Ok(event_clocks(self.describe(offer).await?)?)
    }

    /// Lets the next offer begin ICE anew (RFC 8445, section 2.4), over the same
    /// sockets and the same DTLS.
    ///
    /// # Errors
    ///
    /// When webrtc-rs refuses.
    pub(crate) async fn look_for_another_way(&self) -> Result<(), Error> {
        tracing::info!(
            medium = self.medium.name(),
            "looking for another way to the far end"
        );
        self.hurry.setting_up(true);
        self.connection
            .get()
            .restart_ice()
            .await
            .map_err(Error::session("look for another way"))
    }

    /// Takes the far end's offer and answers it.
    ///
    /// # Errors
    ///
    /// When the offer is refused, or there is no network.
    pub(crate) async fn answer(&self, offer: String, answer: Direction) -> Result<String, Error> {
        self.take_back_offers().await?;
        let offer = RTCSessionDescription::offer(offer).map_err(|e| self.refused(e))?;
        self.connection
            .get()
            .set_remote_description(offer)
            .await
            .map_err(|e| self.refused(e))?;
        // webrtc-rs does not mirror the offered direction by itself.
        self.direct(answer).await?;
        let made = self
            .connection
            .get()
            .create_answer(None)
            .await
            .map_err(Error::session("make an answer"))?;
        let text = event_clocks(self.describe(made).await?)?;
        self.hurry.early.described();
        self.keep_sender().await?;
        self.settle(&text, answer.sends())?;
        Ok(text)
    }

    /// Takes the far end's answer to our latest offer. `sending` is what both
    /// sides agreed on.
    ///
    /// # Errors
    ///
    /// When it is refused.
    pub(crate) async fn apply(&self, answer: String, sending: bool) -> Result<(), Error> {
        let described =
            RTCSessionDescription::answer(answer.clone()).map_err(|e| self.refused(e))?;
        if !self.transport.borrow().connected() {
            self.hurry.setting_up(true);
        }
        self.connection
            .get()
            .set_remote_description(described)
            .await
            .map_err(|e| self.refused(e))?;
        self.hurry.early.described();
        self.keep_sender().await?;
        self.settle(&answer, sending)
    }

    /// Sends digits after those that are being sent.
    ///
    /// # Errors
    ///
    /// When the far end takes none, or too many wait.
    pub(crate) fn send_digits(&self, digits: Digits) -> Result<(), Error> {
        let takes = |n: &Option<Negotiated>| n.is_some_and(|n| n.event_to_send().is_some());
        if !takes(&self.negotiated.borrow()) {
            return Err(Error::NoDigits);
        }
        self.digits
            .try_send(digits)
            .map_err(|_| Error::TooManyDigits)
    }

    /// Ends the tasks, closes the sockets, tells the far end.
    pub(crate) async fn close(mut self) {
        self.connection.close().await;
    }

    /// An offer that came to nothing must not be in the way of the next one: ours
    /// that was never answered (glare), or the far end's that was refused.
    async fn take_back_offers(&self) -> Result<(), Error> {
        let connection = self.connection.get();
        let take_back = Error::session("take back an offer");
        if connection.pending_local_description().await.is_some() {
            let result = connection.set_local_description(rollback()).await;
            result.map_err(take_back)
        } else if connection.pending_remote_description().await.is_some() {
            let result = connection.set_remote_description(rollback()).await;
            result.map_err(take_back)
        } else {
            Ok(())
        }
    }

    async fn direct(&self, direction: Direction) -> Result<(), Error> {
        let direction = match direction {
            Direction::SendRecv => RTCRtpTransceiverDirection::Sendrecv,
            Direction::SendOnly => RTCRtpTransceiverDirection::Sendonly,
            // An inactive transceiver is stopped for good; the wire says
            // `inactive` for it, and the sender sends nothing.
            Direction::RecvOnly | Direction::Inactive => RTCRtpTransceiverDirection::Recvonly,
        };
        self.transceiver
            .set_direction(direction)
            .await
            .map_err(Error::session("change its direction"))
    }

    /// After an exchange in which we do not send, webrtc-rs hides the sender, and
    /// with it the only way to the state of the transport. The direction counts
    /// when a description is made, and is written then each time.
    async fn keep_sender(&self) -> Result<(), Error> {
        self.direct(Direction::SendRecv).await
    }

    /// Sets our description and waits for its candidates.
    async fn describe(&self, made: RTCSessionDescription) -> Result<String, Error> {
        let answers = made.sdp_type == RTCSdpType::Answer;
        if !self.transport.borrow().connected() {
            self.hurry.setting_up(true);
        }
        self.connection
            .get()
            .set_local_description(made)
            .await
            .map_err(Error::session("take its own description"))?;
        let mut transport = self.transport.clone();
        let gathered = transport.wait_for(|t| t.gathered);
        if tokio::time::timeout(GATHERING, gathered).await.is_err() {
            tracing::debug!("candidates are not complete: going on with those there are");
        }
        if !answers {
            // The far end may think about an offer for a minute.
            self.hurry.setting_up(false);
        }
        tokio::time::timeout(GATHERING, self.candidates())
            .await
            .unwrap_or(Err(Error::NoCandidates))
    }

    /// Our description with its candidates. When ICE begins anew they come a moment
    /// after the description, and no state tells of it.
    async fn candidates(&self) -> Result<String, Error> {
        let mut look = tokio::time::interval(Duration::from_millis(5));
        loop {
            look.tick().await;
            let described = self.connection.get().local_description().await;
            let text = described.ok_or(Error::NoSession("describe"))?.sdp;
            if text.contains("a=candidate:") {
                return Ok(text);
            }
        }
    }

    /// Publishes what may be sent after an exchange. `answer` is the description
    /// that settled it.
    fn settle(&self, answer: &str, sending: bool) -> Result<(), Error> {
        let answer = Description::parse(answer)?;
        let negotiated = Negotiated::of(&answer, self.medium, &self.pictures, sending);
        if let (Some(negotiated), Medium::Audio) = (&negotiated, self.medium) {
            self.counters.clock(negotiated.sound_to_send().clock());
        }
        self.negotiated.send_replace(negotiated);
        Ok(())
    }

    fn refused(&self, source: webrtc::error::Error) -> Error {
        Error::Refused {
            medium: self.medium.name(),
            source,
        }
    }
}

fn rollback() -> RTCSessionDescription {
    let mut rollback = RTCSessionDescription::default();
    rollback.sdp_type = RTCSdpType::Rollback;
    rollback
}

/// Closes its connection, whatever path the session takes: a connection that is
/// only dropped leaves its driver, socket and memory behind.
struct Guard {
    connection: Option<Arc<dyn PeerConnection>>,
    /// The session's tasks end with it.
    tasks: Tasks,
}

impl Guard {
    fn new(connection: Arc<dyn PeerConnection>, tasks: Tasks) -> Self {
        Self {
            connection: Some(connection),
            tasks,
        }
    }

    fn get(&self) -> &Arc<dyn PeerConnection> {
        self.connection
            .as_ref()
            .expect("it is taken by close, which consumes the session, and by drop")
    }

    async fn close(&mut self) {
        self.tasks.cancelled().cancel();
        if let Some(connection) = self.connection.take() {
            shut(connection).await;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.tasks.cancelled().cancel();
        let Some(connection) = self.connection.take() else {
            return;
        };
        if tokio::runtime::Handle::try_current().is_ok() {
            self.tasks.spawn_draining("rtc-close", shut(connection));
        }
    }
}

async fn shut(connection: Arc<dyn PeerConnection>) {
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "closing a session");
    }
}

async fn connect(
    settings: &Settings,
    (engine, registry): (MediaEngine, Registry),
    handler: Handler,
) -> Result<Arc<dyn PeerConnection>, Error> {
    let server = |server: ice::Server| {
        let login = server.login.map(|login| (login.username, login.password));
        let (username, password) = login.unzip();
        RTCIceServer {
            urls: vec![server.url],
            username: username.unwrap_or_default(),
            credential: password.map_or_else(String::new, |p| p.expose().to_owned()),
        }
    };
    let servers = settings.ice.fresh().await.into_iter().map(server).collect();
    let runtime = HurriedRuntime::new(Arc::clone(&handler.hurry));
    let connection = PeerConnectionBuilder::new()
        .with_configuration(
            RTCConfigurationBuilder::new()
                .with_ice_servers(servers)
                .build(),
        )
        .with_media_engine(engine)
        .with_setting_engine(ice_settings())
        .with_interceptor_registry(registry)
        .with_runtime(Arc::new(runtime))
        .with_handler(Arc::new(handler))
        .with_udp_addrs(settings.bind.clone())
        .build()
        .await
        .map_err(Error::session("open its socket"))?;
    Ok(Arc::new(connection))
}

/// ICE without waits: checks each 20 ms for up to 10 s, and the first pair that
/// works is taken, whatever kind it is. No multicast DNS: names of candidates are not
/// looked up (`sdp::split` leaves them out), and joining its group fails the whole session where
/// the network has no router.
fn ice_settings() -> SettingEngine {
    const CHECK: Duration = Duration::from_millis(20);
    const CHECKS: u16 = 500;
    SettingEngineBuilder::new()
        .with_ice_connection_attempts(Some(CHECK), Some(CHECKS))
        .with_srflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_relay_acceptance_min_wait(Some(Duration::ZERO))
        .with_sdp_media_level_fingerprints(true)
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .build()
}
