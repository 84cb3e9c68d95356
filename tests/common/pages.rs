//! A small server for the peer pages, on a port of its own: to the gateway they are
//! pages of another origin, as a page that uses Kandy.js is.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::browser_files;

/// The server; it ends with this handle.
#[derive(Debug)]
pub(crate) struct Pages {
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Pages {
    /// Serves `tests/browser/` on a free port of the loopback interface.
    pub(crate) async fn serve() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let routes = Router::new().route("/{file}", get(file));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            axum::serve(listener, routes)
                .await
                .expect("axum::serve never ends by itself");
        });
        Ok(Self {
            address,
            _serving: serving,
        })
    }

    /// The address of one file.
    pub(crate) fn url(&self, file: &str) -> String {
        format!("http://{}/{file}", self.address)
    }
}

/// The source of one script of the peer pages.
pub(crate) fn source(file: &str) -> Result<String> {
    let path = browser_files().join(file);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

async fn file(Path(name): Path<String>) -> Response {
    let kind = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        // Browsers ask for it by themselves.
        Some((_, "ico")) => return StatusCode::NO_CONTENT.into_response(),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match source(&name) {
        Ok(text) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
