//! Tells the station when a device fails and when it works again: once each,
//! whoever noticed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tracing::debug;

use crate::call::{Device, Input};

/// The state of one device as the station knows it. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct DeviceNews {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    device: Device,
    inbox: mpsc::Sender<Input>,
    fault: Option<String>,
    /// The inbox was full: say it again with the next [`DeviceNews::flush`].
    unsent: bool,
}

impl DeviceNews {
    /// The device counts as working until somebody says otherwise.
    pub(crate) fn new(device: Device, inbox: mpsc::Sender<Input>) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Shared {
                device,
                inbox,
                fault: None,
                unsent: false,
            })),
        }
    }

    /// The device does not work, for this reason. Only the first reason of a
    /// fault is told: what the retries find is for the log.
    pub(crate) fn failed(&self, reason: &str) {
        let mut shared = self.lock();
        if shared.fault.is_some() {
            debug!(device = ?shared.device, reason, "device still fails");
            return;
        }
        // The station tells it, in words and with what to do.
        debug!(device = ?shared.device, reason, "device failed");
        shared.fault = Some(reason.to_owned());
        shared.send();
    }

    /// The device gave or took something just now.
    pub(crate) fn works(&self) {
        let mut shared = self.lock();
        if shared.fault.take().is_some() {
            debug!(device = ?shared.device, "device works again");
            shared.send();
        }
    }

    /// Tells again what a full inbox did not take.
    pub(crate) fn flush(&self) {
        let mut shared = self.lock();
        if shared.unsent {
            shared.send();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Never blocks: media threads must not wait for the station.
    fn send(&mut self) {
        let news = Input::Device(self.device, self.fault.clone());
        self.unsent = matches!(
            self.inbox.try_send(news),
            Err(mpsc::error::TrySendError::Full(_))
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_and_its_end_are_told_once_each_even_if_the_inbox_is_full() {
        let (inbox, mut news) = mpsc::channel(1);
        let camera = DeviceNews::new(Device::Camera, inbox);
        camera.works();
        assert!(news.try_recv().is_err());
        camera.failed("unplugged");
        camera.failed("still unplugged");
        camera.works();
        assert_eq!(
            news.try_recv(),
            Ok(Input::Device(Device::Camera, Some("unplugged".into())))
        );
        assert!(news.try_recv().is_err());
        camera.flush();
        assert_eq!(news.try_recv(), Ok(Input::Device(Device::Camera, None)));
        camera.flush();
        assert!(news.try_recv().is_err());
    }
}
