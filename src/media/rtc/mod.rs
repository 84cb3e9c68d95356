//! WebRTC sessions of a leg, by webrtc-rs.
//!
//! A leg is an ordered list of m-lines; each live one has a session of its own
//! (socket, ICE, DTLS, certificate), whatever the far end could bundle: Kandy.js
//! 3.x never does (protocol section 7.1), and one way for all is easier to trust
//! than two.
//!
//! ```text
//!              +-- Line 0 audio -- Session -- sender <- microphone
//!  Leg --------+                           `- receiver -> Voice (speaker)
//!  (SDP, hold, `-- Line 1 video -- Session -- sender <- PictureFeed
//!   figures)                               `- receiver -> nowhere
//! ```
//!
//! It deliberately does not capture, encode, decode or mix, and knows no call:
//! [`super::engine`] feeds it orders.

mod codecs;
mod dtmf;
mod early;
mod estimator;
mod figures;
mod handler;
mod leg;
mod limiter;
mod line;
mod pace;
mod path;
mod plan;
mod reading;
mod receiver;
mod repeat;
mod reports;
mod requests;
mod runtime;
mod sampler;
mod sdp;
mod sender;
mod session;
mod tap;
mod watcher;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use leg::Leg;
pub(crate) use watcher::Notice;

use crate::call::Failure;
use crate::ice;
use crate::media::feed::{Pictures, Voices};
use crate::tasks::Tasks;

/// How sessions are made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where sessions open their UDP sockets. An unspecified address means
    /// every interface but loopback; port 0 means any.
    pub bind: Vec<SocketAddr>,
    /// STUN and TURN servers, asked for each session anew; none are needed on a LAN.
    pub ice: ice::Servers,
    /// Send a picture to Kandy.js 3.x pages that called without their camera, by
    /// a trick (protocol section 7.2). A server on the way that removes unknown
    /// attributes makes such calls fail: then switch it off, and they have sound
    /// alone.
    pub decoy: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bind: vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))],
            ice: ice::Servers::default(),
            decoy: true,
        }
    }
}

/// What every session of the process shares.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) pictures: Arc<dyn Pictures>,
    pub(crate) voices: Arc<dyn Voices>,
    pub(crate) tasks: Tasks,
    /// One clone lives in each session's event handler: what is left after all
    /// legs are closed is a leak.
    pub(crate) census: Arc<()>,
}

/// The longest wait for candidates: a dead ICE server must not stop the
/// offer.
const GATHERING: Duration = Duration::from_secs(2);

/// Why an offer or answer could not be made or taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The far end's description cannot be read.
    #[error("the far end's session description makes no sense: {0}")]
    Description(#[from] sdp::SdpError),
    /// The session refuses the far end's description.
    #[error("the far end's {medium} description was refused: {source}")]
    Refused {
        /// Audio or video.
        medium: &'static str,
        /// Why.
        source: webrtc::error::Error,
    },
    /// The call wants neither sound nor a picture that there is.
    #[error("no media specified for the call: it wants neither sound nor a picture")]
    NoMedia,
    /// Nothing in common.
    #[error("the far end offers no audio or video that this station can use")]
    NothingInCommon,
    /// The far end's answer rejects everything.
    #[error("the far end rejected both sound and picture")]
    Rejected,
    /// The order does not fit the leg's state.
    #[error("the leg has no session to {0}")]
    NoSession(&'static str),
    /// The far end takes no telephone events, or its sound is gone.
    #[error("digits cannot be sent: the far end does not take them")]
    NoDigits,
    /// Digits are ordered faster than they can be sent.
    #[error("digits cannot be sent: too many are waiting")]
    TooManyDigits,
    /// A session of ours failed.
    #[error("a media session could not {doing}: {source}")]
    Session {
        /// What it was doing.
        doing: &'static str,
        /// Why.
        source: webrtc::error::Error,
    },
    /// No candidate was found: no network.
    #[error("no network address for media was found; check the network connection")]
    NoCandidates,
}

impl Error {
    /// Makes `Session` from webrtc-rs's error.
    fn session(doing: &'static str) -> impl FnOnce(webrtc::error::Error) -> Self {
        move |source| Self::Session { doing, source }
    }
}

impl From<&Error> for Failure {
    /// With the codes of Kandy.js (protocol section 8.6).
    fn from(error: &Error) -> Self {
        let code = match error {
            Error::Description(_) | Error::Refused { .. } => "call:9",
            Error::NothingInCommon | Error::Rejected | Error::NoDigits => "call:5",
            Error::NoMedia => "call:7",
            Error::NoSession(_) | Error::TooManyDigits => "call:6",
            Error::Session { .. } => "call:3",
            Error::NoCandidates => "call:10",
        };
        Self {
            code: code.to_owned(),
            message: error.to_string(),
        }
    }
}
