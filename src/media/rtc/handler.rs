//! What a session's driver tells us: states into a `watch`, tracks into a
//! channel. It holds no session, so that it cannot keep one alive.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    PeerConnectionEventHandler, RTCIceConnectionState, RTCIceGatheringState, RTCPeerConnectionState,
};

use super::runtime::Hurry;

/// The states of a session's transport; the latest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transport {
    /// Every candidate of ours is known.
    pub(crate) gathered: bool,
    /// ICE.
    pub(crate) ice: RTCIceConnectionState,
    /// ICE and DTLS together.
    pub(crate) connection: RTCPeerConnectionState,
}

impl Transport {
    /// Media can pass.
    pub(crate) fn connected(&self) -> bool {
        self.connection == RTCPeerConnectionState::Connected
    }

    /// Both descriptions are known: it looks for a way to the far end.
    pub(crate) fn begun(&self) -> bool {
        !matches!(
            self.ice,
            RTCIceConnectionState::Unspecified | RTCIceConnectionState::New
        )
    }

    /// It will not come back by itself.
    pub(crate) fn failed(&self) -> bool {
        self.connection == RTCPeerConnectionState::Failed
            || self.ice == RTCIceConnectionState::Failed
    }

    /// Nothing was heard of the far end for a while (5 s).
    pub(crate) fn disconnected(&self) -> bool {
        self.connection == RTCPeerConnectionState::Disconnected
            || self.ice == RTCIceConnectionState::Disconnected
    }
}

/// The event handler of one session.
pub(crate) struct Handler {
    pub(crate) transport: watch::Sender<Transport>,
    pub(crate) tracks: mpsc::Sender<Arc<dyn TrackRemote>>,
    pub(crate) hurry: Arc<Hurry>,
    /// See [`super::Context::census`].
    pub(crate) _census: Arc<()>,
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.transport.send_modify(|t| t.gathered = true);
        }
    }

    async fn on_ice_connection_state_change(&self, state: RTCIceConnectionState) {
        // Runs inside the driver, just before it works out how long to sleep.
        if state == RTCIceConnectionState::Connected {
            self.hurry.early.chosen();
            self.hurry.kick();
        }
        self.transport.send_modify(|t| t.ice = state);
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let settled = matches!(
            state,
            RTCPeerConnectionState::Connected
                | RTCPeerConnectionState::Failed
                | RTCPeerConnectionState::Closed
        );
        if settled {
            self.hurry.setting_up(false);
            self.hurry.early.connected();
        }
        self.transport.send_modify(|t| t.connection = state);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        // The driver must not wait here; a session has one track, a few at most
        // after renegotiations.
        if self.tracks.try_send(track).is_err() {
            tracing::debug!("a track of the far end is ignored: too many");
        }
    }
}
