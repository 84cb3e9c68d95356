//! Connections: accept, TLS, HTTP/1.1, and an end to each of them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::guesses::network;
use super::stall::Stall;
use crate::tasks::{BEAT, Tasks};

const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Also the longest idle time between two requests of a connection.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// Request line and headers together, as hyper reads them before anybody can reply in
/// the form of the path. [`super::reply::headers`] has the limit of the protocol.
const MAX_HEADERS: usize = 64 * 1024;
/// A client that takes nothing of its replies for this long is cut off.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// After a failed accept (no file descriptors left): time for some to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long connections may take to end when the gateway stops.
const GRACE: Duration = Duration::from_secs(1);

/// The part of all connections that one host may have, loopback excepted: a
/// single machine on the network must not keep everybody else out.
const SHARE: usize = 4;

/// The connection of a request: where it comes from, and its place among those that
/// may be open.
#[derive(Clone)]
pub(super) struct Connection {
    peer: IpAddr,
    _place: Arc<Place>,
}

impl Connection {
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }
}

/// The connections that may be open at one time.
struct Places {
    all: Arc<Semaphore>,
    max: usize,
    by_peer: Mutex<HashMap<IpAddr, usize>>,
}

/// One of them, until it is dropped.
struct Place {
    places: Arc<Places>,
    peer: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(max)),
            max,
            by_peer: Mutex::default(),
        })
    }

    /// A place for `peer`, unless it has its share already.
    fn take(self: &Arc<Self>, peer: IpAddr, permit: OwnedSemaphorePermit) -> Option<Place> {
        let local = peer.to_canonical().is_loopback();
        let peer = network(peer);
        let mut by_peer = self.lock();
        let taken = by_peer.entry(peer).or_default();
        if *taken >= (self.max / SHARE).max(1) && !local {
            return None;
        }
        *taken += 1;
        Some(Place {
            places: self.clone(),
            peer,
            _permit: permit,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_peer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_peer = self.places.lock();
        if let Some(taken) = by_peer.get_mut(&self.peer) {
            *taken -= 1;
            if *taken == 0 {
                by_peer.remove(&self.peer);
            }
        }
    }
}

/// Serves `router` until `tasks` is cancelled, then ends every connection.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    max_connections: usize,
    tasks: &Tasks,
) {
    let places = Places::new(max_connections);
    let stopped = tasks.cancelled();
    // A gateway that is full waits here as well, and is not stuck.
    let pulse = tasks.pulse("gateway-accept");
    let mut tick = tokio::time::interval(BEAT);
    loop {
        let (stream, peer, place) = tokio::select! {
            biased;
            () = stopped.cancelled() => break,
            _ = tick.tick() => {
                pulse.beat();
                continue;
            }
            accepted = accept(&listener, &places) => accepted,
        };
        let connection = Connection {
            peer: peer.ip(),
            _place: Arc::new(place),
        };
        let (tls, router, cancel) = (tls.clone(), router.clone(), stopped.clone());
        tasks.spawn_draining("gateway-connection", async move {
            let Some(tls) = tls else {
                http(stream, connection, router, &cancel).await;
                return;
            };
            let handshake = tokio::time::timeout(HANDSHAKE_TIME, tls.accept(stream));
            match cancel.run_until_cancelled(handshake).await {
                Some(Ok(Ok(stream))) => http(stream, connection, router, &cancel).await,
                Some(Ok(Err(error))) => {
                    tracing::debug!(address = %peer, %error, "TLS handshake failed");
                }
                Some(Err(_)) | None => {}
            }
        });
    }
    drop(listener);
    let everybody = places
        .all
        .acquire_many(u32::try_from(max_connections).unwrap_or(u32::MAX));
    if tokio::time::timeout(GRACE, everybody).await.is_err() {
        tracing::debug!("some connections did not end in time");
    }
}

/// The next connection that there is a place for. Without a place it waits: the
/// kernel's queue holds the newcomers back.
async fn accept(listener: &TcpListener, places: &Arc<Places>) -> (TcpStream, SocketAddr, Place) {
    loop {
        let permit = places.all.clone().acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Some(place) = places.take(peer.ip(), permit) else {
                    tracing::debug!(address = %peer, "too many connections of one address");
                    continue;
                };
                // Notifications are small and must not wait for more to say.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "cannot switch Nagle's algorithm off");
                }
                return (stream, peer, place);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    connection: Connection,
    router: Router,
    cancel: &tokio_util::sync::CancellationToken,
) {
    let peer = connection.peer();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(connection.clone());
        router.clone().oneshot(request.map(Body::new))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(MAX_HEADERS)
        .serve_connection(TokioIo::new(Stall::new(stream, WRITE_TIME)), service)
        .with_upgrades();
    let mut served = std::pin::pin!(served);
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = cancel.cancelled() => {
            served.as_mut().graceful_shutdown();
            match tokio::time::timeout(GRACE, served).await {
                Ok(result) => result,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(address = %peer, %error, "connection failed");
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Places, SHARE};

    #[test]
    fn one_address_cannot_take_every_place_but_this_machine_can() {
        let places = Places::new(8);
        let permit = || places.all.clone().try_acquire_owned().unwrap();
        let stranger: IpAddr = [192, 168, 0, 7].into();
        let held: Vec<_> = (0..8 / SHARE)
            .map(|_| places.take(stranger, permit()).unwrap())
            .collect();
        assert!(places.take(stranger, permit()).is_none());
        let other = places.take([192, 168, 0, 8].into(), permit());
        assert!(other.is_some());
        let loopback = [IpAddr::from([127, 0, 0, 1]), "::1".parse().unwrap()];
        let here: Vec<_> = (0..5)
            .map(|n| places.take(loopback[n % 2], permit()).unwrap())
            .collect();
        assert_eq!(places.all.available_permits(), 0);
        // A host on the network has more IPv6 addresses than there are places.
        let host = |n| IpAddr::from([0xfd00, 0, 0, 7, 0, 0, 0, n]);
        drop(here);
        let many: Vec<_> = (1..=2).map(|n| places.take(host(n), permit())).collect();
        assert!(many.iter().all(Option::is_some));
        assert!(places.take(host(3), permit()).is_none());
        drop((held, many, other));
        assert_eq!(places.all.available_permits(), 8);
        assert!(places.lock().is_empty());
    }
}
