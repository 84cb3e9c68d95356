//! Connections: accept, TLS, HTTP/1.1, and an end to each of them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
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

use crate::tasks::Tasks;

const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Also the longest idle time between two requests of a connection.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// Request line and headers together; hyper's own least is 8 KiB.
const MAX_HEADERS: usize = 16 * 1024;
/// After a failed accept (no file descriptors left): time for some to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long connections may take to end when the gateway stops.
const GRACE: Duration = Duration::from_secs(1);

/// The connection of a request: where it comes from, and its place among those that
/// may be open.
#[derive(Clone)]
pub(super) struct Connection {
    peer: IpAddr,
    _place: Arc<OwnedSemaphorePermit>,
}

impl Connection {
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
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
    let places = Arc::new(Semaphore::new(max_connections));
    let stopped = tasks.cancelled();
    while let Some((stream, peer, place)) = stopped
        .run_until_cancelled(accept(&listener, &places))
        .await
    {
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
    let everybody = places.acquire_many(u32::try_from(max_connections).unwrap_or(u32::MAX));
    if tokio::time::timeout(GRACE, everybody).await.is_err() {
        tracing::debug!("some connections did not end in time");
    }
}

/// The next connection that there is a place for. Without a place it waits: the
/// kernel's queue holds the newcomers back.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let place = places.clone().acquire_owned().await;
    let place = place.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
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
        .serve_connection(TokioIo::new(stream), service)
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
