//! The runtime that a session's driver runs on: tokio, with timers that can be
//! hurried and sockets that lose less (see [`super::early`], [`super::repeat`]).
//!
//! webrtc 0.21.1 starts the DTLS handshake when ICE has chosen a pair, but
//! leaves the first message in a queue until some timer fires, which is the ICE
//! tick: 200 ms later. [`Hurry`] lets the driver's next sleep be empty at that
//! moment, and caps its sleeps while a connection is being set up. A timer that
//! fires early only flushes: ICE and DTLS look at their own deadlines.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime,
    TokioRuntime,
};

use super::early::{Early, EarlySocket};
use super::repeat::RepeatingSocket;

/// The longest sleep of a driver while its connection is being set up. Measured
/// over TURN, where each flight otherwise waits for a tick: 4.2 s become 0.1 s
/// (22 November 2026).
const SET_UP_SLEEP: Duration = Duration::from_millis(5);

/// What a session tells its driver's timers and sockets.
#[derive(Debug, Default)]
pub(crate) struct Hurry {
    /// How far it is, for the sockets.
    pub(crate) early: Arc<Early>,
    /// The next sleep ends at once.
    once: AtomicBool,
    /// A connection is being set up: no sleep is longer than [`SET_UP_SLEEP`].
    setting_up: AtomicBool,
}

impl Hurry {
    /// Lets the driver's next sleep end at once.
    pub(crate) fn kick(&self) {
        self.once.store(true, Ordering::Release);
    }

    /// Begins or ends the time of short sleeps. They cost 200 wake-ups a second,
    /// so they are for seconds, not for the time a phone rings.
    pub(crate) fn setting_up(&self, on: bool) {
        self.setting_up.store(on, Ordering::Release);
    }

    fn shorten(&self, wanted: Duration) -> Duration {
        if self.once.swap(false, Ordering::AcqRel) {
            Duration::ZERO
        } else if self.setting_up.load(Ordering::Acquire) {
            wanted.min(SET_UP_SLEEP)
        } else {
            wanted
        }
    }
}

/// [`TokioRuntime`] with a [`Hurry`].
#[derive(Debug)]
pub(crate) struct HurriedRuntime {
    hurry: Arc<Hurry>,
    tokio: TokioRuntime,
}

impl HurriedRuntime {
    pub(crate) fn new(hurry: Arc<Hurry>) -> Self {
        Self {
            hurry,
            tokio: TokioRuntime,
        }
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Runtime for HurriedRuntime {
    fn spawn(&self, future: Boxed<'static, ()>) -> Box<dyn JoinHandle> {
        self.tokio.spawn(future)
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let socket = Arc::new(RepeatingSocket::new(self.tokio.wrap_udp_socket(socket)?));
        let early = Arc::clone(&self.hurry.early);
        Ok(Arc::new(EarlySocket::new(socket, early)))
    }

    fn wrap_tcp_listener(
        &self,
        listener: std::net::TcpListener,
    ) -> io::Result<Arc<dyn AsyncTcpListener>> {
        self.tokio.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote_addr: SocketAddr,
    ) -> Boxed<'a, io::Result<Arc<dyn AsyncTcpStream>>> {
        self.tokio.connect_tcp(remote_addr)
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> Boxed<'a, io::Result<Vec<SocketAddr>>> {
        self.tokio.resolve_host(host)
    }

    fn now(&self) -> Instant {
        crate::clock::now()
    }

    fn sleep(&self, duration: Duration) -> Boxed<'static, ()> {
        self.tokio.sleep(self.hurry.shorten(duration))
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.tokio.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.tokio.block_on(future);
    }

    fn yield_now(&self) -> Boxed<'static, ()> {
        self.tokio.yield_now()
    }

    fn name(&self) -> &'static str {
        "tokio, hurried"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kick_shortens_one_sleep_only() {
        let hurry = Hurry::default();
        let tick = Duration::from_millis(200);
        assert_eq!(hurry.shorten(tick), tick);
        hurry.kick();
        assert_eq!(hurry.shorten(tick), Duration::ZERO);
        assert_eq!(hurry.shorten(tick), tick);
    }

    #[test]
    fn sleeps_are_short_while_setting_up() {
        let hurry = Hurry::default();
        hurry.setting_up(true);
        assert_eq!(hurry.shorten(Duration::from_secs(1)), SET_UP_SLEEP);
        assert_eq!(
            hurry.shorten(Duration::from_millis(1)),
            Duration::from_millis(1)
        );
        hurry.setting_up(false);
        assert_eq!(
            hurry.shorten(Duration::from_secs(1)),
            Duration::from_secs(1)
        );
    }
}
