//! Answers HTTP/1.1 requests, one a connection; all of it bounded.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::{Sources, exposition, figures, not_ready};
use crate::tasks::Tasks;

/// Connections at one time: some monitors. Others wait in the kernel's queue.
const CONNECTIONS: usize = 16;
/// How long one may last, request and reply together.
const TIME: Duration = Duration::from_secs(10);
/// Request line and headers together, bytes; the least that hyper takes.
const MAX_HEADERS: usize = 8 * 1024;
/// After a failed accept (no file descriptors left): time for some to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `tasks` are cancelled.
pub(super) async fn serve(listener: &TcpListener, sources: &Arc<Sources>, tasks: &Tasks) {
    let stopped = tasks.cancelled();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let accept = async || {
        let place = places.clone().acquire_owned().await;
        (listener.accept().await, place)
    };
    while let Some((accepted, place)) = stopped.run_until_cancelled(accept()).await {
        match accepted {
            Ok((stream, _)) => {
                let sources = sources.clone();
                tasks.spawn("metrics-connection", async move {
                    if tokio::time::timeout(TIME, http(stream, sources))
                        .await
                        .is_err()
                    {
                        debug!("a monitor's connection took too long");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection of a monitor");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn http(stream: TcpStream, sources: Arc<Sources>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = answer(request.method(), request.uri().path(), &sources);
        async { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .max_buf_size(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        debug!(%error, "a monitor's connection failed");
    }
}

/// What a request gets; of a body that comes along nothing is read.
fn answer(method: &Method, path: &str, sources: &Sources) -> Response<String> {
    let page = match path {
        "/metrics" => (StatusCode::OK, figures::page(sources)),
        "/healthz" => (StatusCode::OK, "alive\n".to_owned()),
        "/readyz" => match not_ready(&sources.view.borrow()) {
            None => (StatusCode::OK, "ready\n".to_owned()),
            Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        },
        _ => {
            let there = "there are /metrics, /healthz and /readyz\n".to_owned();
            (StatusCode::NOT_FOUND, there)
        }
    };
    let may = [Method::GET, Method::HEAD].contains(method);
    let (status, text) = match may {
        true => page,
        false => (
            StatusCode::METHOD_NOT_ALLOWED,
            "this is only read\n".to_owned(),
        ),
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(CACHE_CONTROL, fixed("no-store"));
    let kind = match path == "/metrics" && status == StatusCode::OK {
        true => exposition::CONTENT_TYPE,
        false => "text/plain; charset=utf-8",
    };
    headers.insert(CONTENT_TYPE, fixed(kind));
    if !may {
        headers.insert(ALLOW, fixed("GET, HEAD"));
    }
    response
}
