//! What the source gave: counted, and handed to whoever wants a picture as it is.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use gstreamer as gst;
use tokio::sync::broadcast;

/// Raw pictures that wait for whoever takes a snapshot: the latest will do, and each is
/// 1.4 MB that the camera may want back. Older ones are dropped.
const RAW: usize = 1;

/// What the source gave.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) began: Instant,
    pub(super) pictures: AtomicU64,
    pub(super) restarts: AtomicU64,
    /// Raw pictures, while somebody wants one.
    pub(super) raw: broadcast::Sender<gst::Buffer>,
}

impl Progress {
    pub(super) fn new(began: Instant) -> Self {
        Self {
            began,
            pictures: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            raw: broadcast::Sender::new(RAW),
        }
    }

    pub(super) fn picture(&self, picture: Option<&gst::Buffer>) {
        self.pictures.fetch_add(1, Relaxed);
        if let Some(picture) = picture
            && self.raw.receiver_count() > 0
        {
            // The last one may have gone in this moment.
            let _ = self.raw.send(picture.clone());
        }
    }
}
