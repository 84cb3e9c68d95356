//! What the source gave, counted.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// What the source gave.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) began: Instant,
    pub(super) pictures: AtomicU64,
    pub(super) restarts: AtomicU64,
}

impl Progress {
    pub(super) fn new(began: Instant) -> Self {
        Self {
            began,
            pictures: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
        }
    }

    pub(super) fn picture(&self) {
        self.pictures.fetch_add(1, Relaxed);
    }
}
