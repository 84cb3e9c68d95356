//! A certificate authority of the station's own: made at the first start, kept for
//! the life of the station, trusted by hand on each phone once.
//!
//! It signs one leaf, which is replaced before it ends and when the station gets an
//! address that the leaf does not name. The CA is marked for server names only, and
//! may sign nothing below itself but leaves (path length 0).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Pair, files, names};
use crate::gateway::Error;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Browsers refuse leaves that hold longer than 398 days (CA/Browser Forum
/// ballot SC31).
const LEAF_TIME: Duration = DAY.saturating_mul(397);
/// A leaf is replaced this long before its end.
const RENEW_BEFORE: Duration = DAY.saturating_mul(30);
/// The CA must outlive the station: it cannot be replaced without a walk to every
/// phone.
const CA_TIME: Duration = DAY.saturating_mul(365 * 25);
/// Clocks of clients, and of a board without a battery, may be behind.
const BACKDATE: Duration = DAY;
/// Certificates do not begin before the clock was set.
const EARLIEST: Duration = crate::clock::EARLIEST;

pub(super) const CA_CERT: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
pub(super) const LEAF_CERT: &str = "leaf.crt";
const LEAF_KEY: &str = "leaf.key";

pub(super) struct LocalCa {
    dir: PathBuf,
    names: BTreeSet<String>,
    listen: IpAddr,
    pem: Vec<u8>,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl LocalCa {
    /// Opens the CA in `dir`, or makes it.
    ///
    /// # Errors
    ///
    /// `dir` is not ours, or half of the CA is missing or broken: a new one would
    /// silently lose the trust of every phone.
    pub(super) fn open(
        dir: &Path,
        extra_names: Vec<String>,
        listen: IpAddr,
        wall: SystemTime,
    ) -> Result<Self, Error> {
        files::create_dir(dir)?;
        let (cert_path, key_path) = (dir.join(CA_CERT), dir.join(CA_KEY));
        let cert = files::read_if_there(&cert_path)?;
        let key = files::read_if_there(&key_path)?;
        let (pem, key) = match (cert, key) {
            (Some(cert), Some(key)) => (cert, read_key(&key_path, &key)?),
            (Some(_), None) => {
                return Err(broken(
                    &key_path,
                    "is missing; restore it from a backup, or remove ca.crt beside it to make \
                     a new CA (every phone must then trust the new one)",
                ));
            }
            // A key alone is from a first start that was cut off: nobody has seen its
            // certificate.
            (None, Some(_) | None) => make_ca(&cert_path, &key_path, wall)?,
        };
        let der = CertificateDer::from_pem_slice(&pem)
            .map_err(|_| broken(&cert_path, "is not a PEM certificate; restore it"))?;
        let issuer = Issuer::from_ca_cert_der(&der, key)
            .map_err(|_| broken(&cert_path, "is not a CA certificate; restore it"))?;
        let mut all_names = names::host_names();
        let extra_names = extra_names.iter().map(|name| name.to_ascii_lowercase());
        all_names.extend(extra_names.filter(|name| names::is_name(name)));
        Ok(Self {
            dir: dir.to_owned(),
            names: all_names,
            listen,
            pem,
            der,
            issuer,
        })
    }

    pub(super) fn pem(&self) -> &[u8] {
        &self.pem
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// The leaf on disk if it still does, else a new one.
    pub(super) fn leaf(&self, wall: SystemTime) -> Result<Pair, Error> {
        match self.leaf_on_disk()? {
            Some((cert, key)) if self.still_does(&cert, wall) => {
                Ok((vec![cert, self.der.clone()], key))
            }
            Some(_) | None => self.issue(wall),
        }
    }

    /// A new leaf if the one on disk does not do any more.
    pub(super) fn renewed(&self, wall: SystemTime) -> Result<Option<Pair>, Error> {
        match self.leaf_on_disk()? {
            Some((cert, _)) if self.still_does(&cert, wall) => Ok(None),
            Some(_) | None => self.issue(wall).map(Some),
        }
    }

    /// Certificate and key; `None` if they are not there or make no sense.
    fn leaf_on_disk(
        &self,
    ) -> Result<Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>, Error> {
        let cert = files::read_if_there(&self.dir.join(LEAF_CERT))?;
        let key = files::read_if_there(&self.dir.join(LEAF_KEY))?;
        let (Some(cert), Some(key)) = (cert, key) else {
            return Ok(None);
        };
        let cert = CertificateDer::from_pem_slice(&cert).ok();
        let key_pair = std::str::from_utf8(&key)
            .ok()
            .and_then(|k| KeyPair::from_pem(k).ok());
        let (Some(cert), Some(key_pair)) = (cert, key_pair) else {
            return Ok(None);
        };
        // A power cut between the two files leaves a key of another certificate.
        let fits = X509Certificate::from_der(&cert).is_ok_and(|(_, x509)| {
            let public = &x509.public_key().subject_public_key.data;
            public.as_ref() == key_pair.public_key_raw()
        });
        let key = PrivatePkcs8KeyDer::from(key_pair.serialize_der());
        Ok(fits.then(|| (cert, key.into())))
    }

    fn still_does(&self, leaf: &CertificateDer<'_>, wall: SystemTime) -> bool {
        let Ok((_, x509)) = X509Certificate::from_der(leaf) else {
            return false;
        };
        let Ok((_, ca)) = X509Certificate::from_der(&self.der) else {
            return false;
        };
        let seconds = |time: SystemTime| OffsetDateTime::from(time).unix_timestamp();
        let validity = x509.validity();
        // An unset clock is no reason to make a certificate that has not begun.
        let wall = wall.max(SystemTime::UNIX_EPOCH + EARLIEST);
        validity.not_before.timestamp() <= seconds(wall)
            && validity.not_after.timestamp() > seconds(wall + RENEW_BEFORE)
            && x509.issuer().as_raw() == ca.subject().as_raw()
            && x509.verify_signature(Some(ca.public_key())).is_ok()
            && self.wanted().is_subset(&named(&x509))
    }

    fn wanted(&self) -> BTreeSet<String> {
        let addresses = names::listening_addresses(self.listen);
        let addresses = addresses.iter().map(IpAddr::to_string);
        self.names.iter().cloned().chain(addresses).collect()
    }

    fn issue(&self, wall: SystemTime) -> Result<Pair, Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        let name = "Doorstation";
        params.distinguished_name.push(DnType::CommonName, name);
        for name in &self.names {
            params
                .subject_alt_names
                .push(SanType::DnsName(name.as_str().try_into()?));
        }
        for address in names::listening_addresses(self.listen) {
            params.subject_alt_names.push(SanType::IpAddress(address));
        }
        params.use_authority_key_identifier_extension = true;
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ServerAuth);
        valid_for(&mut params, wall, LEAF_TIME);
        let cert = params.signed_by(&key, &self.issuer)?;
        files::write(
            &self.dir.join(LEAF_KEY),
            key.serialize_pem().as_bytes(),
            0o600,
        )?;
        files::write(&self.dir.join(LEAF_CERT), cert.pem().as_bytes(), 0o644)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((vec![cert.der().clone(), self.der.clone()], key.into()))
    }
}

fn make_ca(
    cert_path: &Path,
    key_path: &Path,
    wall: SystemTime,
) -> Result<(Vec<u8>, KeyPair), Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    // A name of its own, so that two stations in one trust store are told apart.
    let name = format!("Doorstation CA {:08x}", rand::random::<u32>());
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    params.key_usages.push(KeyUsagePurpose::CrlSign);
    params
        .extended_key_usages
        .push(ExtendedKeyUsagePurpose::ServerAuth);
    valid_for(&mut params, wall, CA_TIME);
    let cert = params.self_signed(&key)?;
    let pem = cert.pem().into_bytes();
    files::write(key_path, key.serialize_pem().as_bytes(), 0o600)?;
    files::write(cert_path, &pem, 0o644)?;
    tracing::info!("made a certificate authority of this station's own");
    Ok((pem, key))
}

fn valid_for(params: &mut CertificateParams, wall: SystemTime, time: Duration) {
    let begin = wall
        .checked_sub(BACKDATE)
        .unwrap_or(SystemTime::UNIX_EPOCH)
        .max(SystemTime::UNIX_EPOCH + EARLIEST);
    params.not_before = begin.into();
    params.not_after = (begin + time).into();
}

fn read_key(path: &Path, pem: &[u8]) -> Result<KeyPair, Error> {
    std::str::from_utf8(pem)
        .ok()
        .and_then(|pem| KeyPair::from_pem(pem).ok())
        .ok_or_else(|| broken(path, "is not a PEM private key; restore it from a backup"))
}

/// The names and addresses in a certificate, as text.
fn named(x509: &X509Certificate<'_>) -> BTreeSet<String> {
    let Ok(Some(extension)) = x509.subject_alternative_name() else {
        return BTreeSet::new();
    };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => <[u8; 4]>::try_from(*bytes)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from))
            .map(|address| address.to_string())
            .ok(),
        _ => None,
    };
    let names = &extension.value.general_names;
    names.iter().filter_map(text).collect()
}

fn broken(path: &Path, reason: &str) -> Error {
    Error::Certificate {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::time::SystemTime;

    use super::{DAY, LEAF_TIME, LocalCa, RENEW_BEFORE};
    use crate::clock;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn open(dir: &Path, names: &[&str], wall: SystemTime) -> LocalCa {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        LocalCa::open(dir, names, HERE, wall).unwrap()
    }

    #[test]
    fn the_ca_and_its_leaf_survive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let wall = clock::wall();
        let first = open(dir.path(), &[], wall);
        let (chain, _) = first.leaf(wall).unwrap();
        let second = open(dir.path(), &[], wall + DAY);
        assert_eq!(first.pem(), second.pem());
        assert_eq!(second.leaf(wall + DAY).unwrap().0, chain);
    }

    #[test]
    fn a_leaf_is_replaced_thirty_days_before_its_end_and_not_earlier() {
        let dir = tempfile::tempdir().unwrap();
        let wall = clock::wall();
        let ca = open(dir.path(), &[], wall);
        let (chain, _) = ca.leaf(wall).unwrap();
        let end = wall - DAY + LEAF_TIME;
        assert!(ca.renewed(end - RENEW_BEFORE - DAY).unwrap().is_none());
        let (new, _) = ca.renewed(end - RENEW_BEFORE).unwrap().unwrap();
        assert_ne!(new, chain);
        assert!(ca.renewed(end - RENEW_BEFORE).unwrap().is_none());
    }

    #[test]
    fn a_new_name_makes_a_new_leaf() {
        let dir = tempfile::tempdir().unwrap();
        let wall = clock::wall();
        let (chain, _) = open(dir.path(), &[], wall).leaf(wall).unwrap();
        let renamed = open(dir.path(), &["Front.Example.org"], wall);
        assert_ne!(renamed.leaf(wall).unwrap().0, chain);
    }

    #[test]
    fn a_torn_leaf_is_replaced_and_a_torn_ca_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let wall = clock::wall();
        let (chain, _) = open(dir.path(), &[], wall).leaf(wall).unwrap();
        std::fs::write(dir.path().join("leaf.key"), "torn").unwrap();
        assert_ne!(open(dir.path(), &[], wall).leaf(wall).unwrap().0, chain);

        std::fs::remove_file(dir.path().join("ca.key")).unwrap();
        let error = LocalCa::open(dir.path(), Vec::new(), HERE, wall).err();
        let error = error.unwrap().to_string();
        assert!(
            error.contains("ca.key") && error.contains("backup"),
            "{error}"
        );
    }

    #[test]
    fn a_clock_that_was_never_set_still_makes_certificates_for_today() {
        let dir = tempfile::tempdir().unwrap();
        let unset = SystemTime::UNIX_EPOCH;
        let ca = open(dir.path(), &[], unset);
        ca.leaf(unset).unwrap();
        assert!(ca.renewed(unset).unwrap().is_none(), "not again and again");
    }

    #[test]
    fn keys_are_for_our_user_only() {
        let dir = tempfile::tempdir().unwrap();
        let wall = clock::wall();
        open(dir.path(), &[], wall).leaf(wall).unwrap();
        for key in ["ca.key", "leaf.key"] {
            let mode = dir
                .path()
                .join(key)
                .metadata()
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
    }
}
