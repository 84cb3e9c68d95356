//! How the gateway is encrypted.
//!
//! rustls with ring, given explicitly: the process may have any default provider,
//! or none.

mod files;
mod local_ca;
mod names;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::Error;
use local_ca::LocalCa;
pub(super) use names::{host_names, outward_address};

/// How the gateway is encrypted.
#[derive(Clone, Debug)]
pub enum Tls {
    /// Not at all: HTTP and WS, on loopback addresses only.
    Off,
    /// With a certificate of a CA of our own, made at the first start.
    Local {
        /// Where the CA and its keys live; made if it is not there.
        dir: PathBuf,
        /// Names of the station besides its host name and `doorstation.local`.
        names: Vec<String>,
    },
    /// With a certificate of one's own.
    Files {
        /// PEM, the leaf first.
        cert: PathBuf,
        /// PEM (PKCS #8, PKCS #1 or SEC1).
        key: PathBuf,
    },
}

/// How often the local CA looks whether its leaf must be replaced: an address may
/// come from DHCP after the start.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What the gateway shows to clients.
pub(super) struct Identity {
    pub(super) config: Arc<ServerConfig>,
    current: Arc<Current>,
    local: Option<Arc<LocalCa>>,
}

impl Identity {
    /// The identity for `tls` while listening on `listen`; `None` without TLS.
    ///
    /// # Errors
    ///
    /// A file cannot be read or written or makes no sense.
    pub(super) fn open(
        tls: &Tls,
        listen: std::net::IpAddr,
        wall: SystemTime,
    ) -> Result<Option<Self>, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (key, local) = match tls {
            Tls::Off => return Ok(None),
            Tls::Local { dir, names } => {
                let ca = LocalCa::open(dir, names.clone(), listen, wall)?;
                let (chain, key) = ca.leaf(wall)?;
                (certified(chain, key, &provider)?, Some(Arc::new(ca)))
            }
            Tls::Files { cert, key } => {
                let (chain, key) = read_pair(cert, key)?;
                (certified(chain, key, &provider)?, None)
            }
        };
        let current = Arc::new(Current(RwLock::new(Arc::new(key))));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self {
            config: Arc::new(config),
            current,
            local,
        }))
    }

    /// The certificate of the local CA, in PEM.
    pub(super) fn ca_pem(&self) -> Option<&[u8]> {
        self.local.as_ref().map(|ca| ca.pem())
    }

    /// The same in DER.
    pub(super) fn ca_der(&self) -> Option<&[u8]> {
        self.local.as_ref().map(|ca| ca.der())
    }

    /// The certificate that clients are shown now.
    pub(super) fn leaf(&self) -> Arc<CertifiedKey> {
        self.current.get()
    }

    /// Where the end of the certificate in use can be asked for.
    pub(super) fn end(&self) -> CertificateEnd {
        CertificateEnd(self.current.clone())
    }

    /// Replaces the leaf of a local CA when it is about to end or when the station
    /// has a new address; runs until it is dropped.
    pub(super) async fn keep_fresh(&self) {
        let Some(ca) = self.local.clone() else {
            return;
        };
        let provider = rustls::crypto::ring::default_provider();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let ca = ca.clone();
            let look = move || ca.renewed(crate::clock::wall());
            let renewed = match tokio::task::spawn_blocking(look).await {
                Ok(Ok(Some((chain, key)))) => certified(chain, key, &provider),
                Ok(Ok(None)) => continue,
                Ok(Err(error)) => Err(error),
                Err(_) => continue,
            };
            match renewed {
                Ok(key) => {
                    tracing::debug!("replaced the certificate");
                    self.current.set(key);
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "cannot replace the certificate");
                }
            }
        }
    }
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Error> {
    Ok(CertifiedKey::from_der(chain, key, provider)?)
}

fn read_pair(cert: &std::path::Path, key: &std::path::Path) -> Result<Pair, Error> {
    let reason = |path: &std::path::Path, reason: &str| Error::Certificate {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let chain = CertificateDer::pem_slice_iter(&files::read(cert)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| reason(cert, "is not PEM"))?;
    if chain.is_empty() {
        return Err(reason(cert, "holds no certificate (PEM is expected)"));
    }
    let key = PrivateKeyDer::from_pem_slice(&files::read(key)?)
        .map_err(|_| reason(key, "holds no private key (PEM is expected)"))?;
    Ok((chain, key))
}

/// Where the certificate of [`Tls::Local`] is, in its folder.
pub fn certificate_of(dir: &Path) -> PathBuf {
    dir.join(local_ca::LEAF_CERT)
}

/// Where the certificate of its authority is, in the same folder: what a client trusts.
pub fn authority_of(dir: &Path) -> PathBuf {
    dir.join(local_ca::CA_CERT)
}

/// The first certificate of a PEM file, in DER.
///
/// # Errors
/// A sentence that names the file: it cannot be read, or holds no certificate.
pub fn first_certificate(file: &Path) -> Result<Vec<u8>, String> {
    let bytes = files::read(file).map_err(|error| error.to_string())?;
    match CertificateDer::from_pem_slice(&bytes) {
        Ok(leaf) => Ok(leaf.to_vec()),
        Err(_) => Err(no_certificate(file)),
    }
}

/// Until when the first certificate of a PEM file is good.
///
/// # Errors
/// As of [`first_certificate`].
pub fn certificate_end(file: &Path) -> Result<SystemTime, String> {
    let leaf = CertificateDer::from(first_certificate(file)?);
    end_of(&leaf).ok_or_else(|| no_certificate(file))
}

fn no_certificate(file: &Path) -> String {
    format!("{} holds no certificate (PEM is expected)", file.display())
}

/// The last moment of a certificate; `None` for one that cannot be read.
fn end_of(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let (_, leaf) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let seconds = u64::try_from(leaf.validity().not_after.timestamp()).ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Until when the page's certificate is good: of the one that is in use when it is
/// asked.
#[derive(Clone, Debug)]
pub struct CertificateEnd(Arc<Current>);

impl CertificateEnd {
    /// The last moment; `None` for a certificate that cannot be read.
    pub fn get(&self) -> Option<SystemTime> {
        end_of(self.0.get().cert.first()?)
    }
}

/// The certificate in use; connections made after a change get the new one.
struct Current(RwLock<Arc<CertifiedKey>>);

impl Current {
    fn get(&self) -> Arc<CertifiedKey> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Current")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get())
    }
}
