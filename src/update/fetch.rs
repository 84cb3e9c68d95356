//! A bundle over HTTPS: into a file on the data partition, which goes on where it was
//! interrupted, and has its name only when all of it is there and on the disk.
//!
//! ```text
//!   FOLDER/bundle.part        what came so far
//!   FOLDER/bundle.part.json   of which address, which state of it (ETag), how long
//!   FOLDER/bundle.raucb       all of it
//! ```
//!
//! It is continued by `Range` with `If-Range`: a server with another file by now sends all
//! of that one. What the server says is believed for nothing but this: the signature
//! decides what is installed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};

use super::bundle::sync;
use crate::usage;

/// Until a connection is there (our choice).
const CONNECT: Duration = Duration::from_secs(15);
/// Without a byte (our choice): longer than a radio takes to come back.
const SILENCE: Duration = Duration::from_secs(60);
/// Tries without a new byte in between, and the pause before the second; each is twice as
/// long as the one before. 1 + 2 + 4 + 8 + 16 s.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_secs(1);
/// Redirections that are followed; each to HTTPS again.
const REDIRECTIONS: usize = 5;
/// What stays free on the data partition: the station goes on writing.
const SPARE: u64 = 32 << 20;

/// What is fetched.
#[derive(Clone, Debug)]
pub struct Order {
    /// `https://...`
    pub url: String,
    /// Where it is kept; made where it is missing.
    pub folder: PathBuf,
    /// Certificates to trust besides the public authorities', PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// The most bytes that are taken: [`LARGEST`](super::LARGEST).
    pub largest: u64,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Bytes that are here.
    pub bytes: u64,
    /// Of so many, where the server says it.
    pub of: Option<u64>,
}

/// Why it could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not `https://`.
    #[error("'{0}' does not begin with https://, and nothing else is fetched")]
    Address(String),
    /// The certificate file.
    #[error("the certificate to trust: {0}")]
    Certificate(String),
    /// The server's own certificate.
    #[error(
        "the server cannot be trusted ({0}): is the address right, and the door's clock (date)? \
         --ca FILE trusts an authority of your own"
    )]
    Untrusted(String),
    /// Another fetch runs.
    #[error("a bundle is being fetched already: wait until that is done")]
    Busy,
    /// The server says no.
    #[error("{server} answers {status}: is the address right?")]
    Refused {
        /// Which one.
        server: String,
        /// `404 Not Found`.
        status: StatusCode,
    },
    /// Too much.
    #[error("the server sends more than {0} bytes, and no bundle is as large")]
    TooLarge(u64),
    /// No room for it.
    #[error("{need} bytes are missing on the disk of {}: fetch it elsewhere and take a USB stick (--usb)", folder.display())]
    NoRoom {
        /// How many.
        need: u64,
        /// Where.
        folder: PathBuf,
    },
    /// Interrupted, and not mended by trying again.
    #[error(
        "the connection breaks ({0}); what came so far is kept, the same command goes on from there"
    )]
    Interrupted(String),
    /// The disk.
    #[error("{}: {source}", file.display())]
    Disk {
        /// Which file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Error {
    /// In a word, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Address(_) => "address",
            Error::Certificate(_) => "certificate",
            Error::Untrusted(_) => "untrusted",
            Error::Busy => "busy",
            Error::Refused { .. } => "server",
            Error::TooLarge(_) => "too_large",
            Error::NoRoom { .. } => "no_room",
            Error::Interrupted(_) => "interrupted",
            Error::Disk { .. } => "disk",
        }
    }
}

/// Of what the part is a part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Origin {
    url: String,
    etag: String,
    of: Option<u64>,
}

/// How one try ended that was no error of ours.
enum Try {
    Done,
    /// Why; worth another try.
    Broken(String),
}

/// Fetches, or goes on fetching, and says where the file is. `told` hears how far it is.
///
/// # Errors
/// See [`Error`]; what came is kept.
pub async fn fetch(
    order: &Order,
    told: &mut (dyn FnMut(Fetched) + Send),
) -> Result<PathBuf, Error> {
    if !order.url.starts_with("https://") {
        return Err(Error::Address(order.url.clone()));
    }
    let client = client(order.extra_ca_pem.as_deref())?;
    let mut part = Part::open(order)?;
    let mut left = TRIES;
    loop {
        let before = part.bytes;
        match part.go_on(&client, order, told).await? {
            Try::Done => return part.finish(),
            Try::Broken(_) if part.bytes > before => left = TRIES,
            Try::Broken(why) => {
                left -= 1;
                if left == 0 {
                    return Err(Error::Interrupted(why));
                }
            }
        }
        let waits = TRIES.saturating_sub(left).saturating_sub(1);
        tokio::time::sleep(PAUSE * 2_u32.saturating_pow(waits)).await;
    }
}

/// Removes what [`fetch`] left: a bundle that was installed is not needed any more.
pub fn forget(folder: &Path) {
    for name in [DONE, PART, ORIGIN] {
        // What is not there is what was wanted.
        let _ = fs::remove_file(folder.join(name));
    }
}

const DONE: &str = "bundle.raucb";
const PART: &str = "bundle.part";
const ORIGIN: &str = "bundle.part.json";

/// The file that grows; its lock keeps a second fetch out.
struct Part {
    file: File,
    folder: PathBuf,
    origin: Origin,
    bytes: u64,
}

impl Part {
    fn open(order: &Order) -> Result<Self, Error> {
        let folder = &order.folder;
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder);
        made.map_err(disk(folder))?;
        let path = folder.join(PART);
        let flags = rustix::fs::OFlags::NOFOLLOW;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
            .open(&path)
            .map_err(disk(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(Error::Busy),
            Err(fs::TryLockError::Error(source)) => return Err(Error::Disk { file: path, source }),
        }
        let origin: Origin = fs::read(folder.join(ORIGIN))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        let bytes = file.metadata().map_err(disk(&path))?.len();
        let mut part = Self {
            file,
            folder: folder.clone(),
            bytes,
            origin,
        };
        if part.origin.url != order.url || part.origin.etag.is_empty() {
            part.begin(Origin {
                url: order.url.clone(),
                ..Origin::default()
            })?;
        }
        Ok(part)
    }

    /// Forgets what came: it is of something else.
    fn begin(&mut self, origin: Origin) -> Result<(), Error> {
        let path = self.folder.join(PART);
        self.file.set_len(0).map_err(disk(&path))?;
        self.file.seek(SeekFrom::Start(0)).map_err(disk(&path))?;
        let text = serde_json::to_vec(&origin).unwrap_or_default();
        let path = self.folder.join(ORIGIN);
        fs::write(&path, text).map_err(disk(&path))?;
        self.origin = origin;
        self.bytes = 0;
        Ok(())
    }

    async fn go_on(
        &mut self,
        client: &Client,
        order: &Order,
        told: &mut (dyn FnMut(Fetched) + Send),
    ) -> Result<Try, Error> {
        let mut request = client.get(&order.url);
        if self.bytes > 0 {
            request = request
                .header(RANGE, format!("bytes={}-", self.bytes))
                .header(IF_RANGE, &self.origin.etag);
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return failed(&error),
        };
        match self.take_up(&response, order)? {
            None => {}
            Some(broken) => return Ok(broken),
        }
        self.is_room()?;
        loop {
            told(Fetched {
                bytes: self.bytes,
                of: self.origin.of,
            });
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => return Ok(Try::Broken(innermost(&error))),
            };
            if self.bytes + chunk.len() as u64 > order.largest {
                return Err(Error::TooLarge(order.largest));
            }
            let path = self.folder.join(PART);
            self.file.write_all(&chunk).map_err(disk(&path))?;
            self.bytes += chunk.len() as u64;
        }
        Ok(match self.origin.of {
            Some(of) if of != self.bytes => Try::Broken("it ended early".to_owned()),
            _ => Try::Done,
        })
    }

    /// Goes to where the answer goes on; an answer that is no part of it is another try.
    fn take_up(&mut self, response: &Response, order: &Order) -> Result<Option<Try>, Error> {
        let refused = |status| Error::Refused {
            server: response.url().host_str().unwrap_or_default().to_owned(),
            status,
        };
        let headers = response.headers();
        match response.status() {
            StatusCode::PARTIAL_CONTENT if range(headers) == Some((self.bytes, self.origin.of)) => {
                let path = self.folder.join(PART);
                self.file.seek(SeekFrom::End(0)).map_err(disk(&path))?;
            }
            StatusCode::OK => self.begin(Origin {
                url: order.url.clone(),
                etag: strong_etag(headers),
                of: response.content_length(),
            })?,
            // What we have is no beginning of what the server has.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                self.begin(Origin {
                    url: order.url.clone(),
                    ..Origin::default()
                })?;
                return Ok(Some(Try::Broken("the server has another file".to_owned())));
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Ok(Some(Try::Broken(format!("the server answers {status}"))));
            }
            status => return Err(refused(status)),
        }
        if self.origin.of.is_some_and(|of| of > order.largest) {
            return Err(Error::TooLarge(order.largest));
        }
        Ok(None)
    }

    fn is_room(&self) -> Result<(), Error> {
        let (Some(of), Some(free)) = (self.origin.of, usage::free_space(&self.folder)) else {
            return Ok(());
        };
        let need = of.saturating_sub(self.bytes).saturating_add(SPARE);
        match need.checked_sub(free) {
            Some(need) if need > 0 => Err(Error::NoRoom {
                need,
                folder: self.folder.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Gives it its name, when it is on the disk.
    fn finish(self) -> Result<PathBuf, Error> {
        let (part, done) = (self.folder.join(PART), self.folder.join(DONE));
        self.file.sync_all().map_err(disk(&part))?;
        fs::rename(&part, &done).map_err(disk(&done))?;
        sync(&self.file, &done).map_err(disk(&done))?;
        // Of no part any more.
        let _ = fs::remove_file(self.folder.join(ORIGIN));
        Ok(done)
    }
}

/// Where a part begins, and how long the whole is: `bytes 100-199/200`.
fn range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (span, whole) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = span.split_once('-')?;
    Some((first.parse().ok()?, whole.parse().ok()))
}

/// The ETag, if it stands for every byte (RFC 9110, section 8.8.1); else nothing, and
/// what is interrupted begins anew.
fn strong_etag(headers: &HeaderMap) -> String {
    let etag = headers.get(ETAG).and_then(|etag| etag.to_str().ok());
    let strong = etag.filter(|etag| etag.starts_with('"') && etag.len() < 256);
    strong.unwrap_or_default().to_owned()
}

/// Trusts Mozilla's list and `extra_ca_pem`.
fn client(extra_ca_pem: Option<&[u8]>) -> Result<Client, Error> {
    let wrong = |error: &dyn std::fmt::Display| Error::Certificate(error.to_string());
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for certificate in extra_ca_pem
        .into_iter()
        .flat_map(CertificateDer::pem_slice_iter)
    {
        let certificate = certificate.map_err(|error| wrong(&error))?;
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        // As the station's own connections.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::limited(REDIRECTIONS))
        .user_agent(concat!("doorstation/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .build()
        .map_err(|error| wrong(&error))
}

/// A server that nobody vouches for is none to be tried again.
fn failed(error: &reqwest::Error) -> Result<Try, Error> {
    let why = innermost(error);
    match why.contains("certificate") {
        true => Err(Error::Untrusted(why)),
        false => Ok(Try::Broken(why)),
    }
}

/// What is at the bottom of an error: the sentence that names the cause.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

fn disk(file: &Path) -> impl FnOnce(io::Error) -> Error {
    let file = file.to_owned();
    move |source| Error::Disk { file, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn a_range_says_where_it_begins_and_how_long_the_whole_is() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_RANGE, HeaderValue::from_static(value));
            range(&headers)
        };
        assert_eq!(read("bytes 100-199/200"), Some((100, Some(200))));
        assert_eq!(read("bytes 100-199/*"), Some((100, None)));
        for odd in ["", "bytes", "bytes */200", "bytes x-1/2", "lines 1-2/3"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_weak_etag_stands_for_nothing() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ETAG, HeaderValue::from_static(value));
            strong_etag(&headers)
        };
        assert_eq!(read("\"a1\""), "\"a1\"");
        assert_eq!(read("W/\"a1\""), "");
        assert_eq!(read(""), "");
    }
}
