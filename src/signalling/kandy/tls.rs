//! Whom the client trusts, as its settings say.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::{Error, Trust};
use crate::clock;

/// TLS settings with ring, whatever provider the process has installed. `local`: the
/// server is on this machine, and is reached though the clock was never set.
pub(super) fn config(trust: Trust, local: bool) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let time: Arc<dyn TimeProvider> = match local {
        true => Arc::new(SinceEarliest),
        false => Arc::new(DefaultTimeProvider),
    };
    let config = ClientConfig::builder_with_details(provider, time)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls(error.to_string()))?;
    let config = match trust {
        Trust::Public => config.with_root_certificates(public()),
        Trust::PublicAnd(pem) => {
            let mut roots = public();
            add(&pem, &mut roots)?;
            config.with_root_certificates(roots)
        }
        Trust::Only(certificate) => {
            let only = Only {
                certificate: certificate.into(),
                algorithms,
            };
            let config = config.dangerous();
            config.with_custom_certificate_verifier(Arc::new(only))
        }
    };
    Ok(config.with_no_client_auth())
}

/// Mozilla's list.
fn public() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    roots
}

/// Takes a server that shows this certificate and has its key, and no other.
#[derive(Debug)]
struct Only {
    certificate: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Only {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *shown == self.certificate {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::UnknownIssuer.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The time of day, or the earliest that can be, where the clock is before it: a board
/// without a battery begins in 1970. Nobody can use an old certificate against us within
/// one machine.
#[derive(Debug)]
struct SinceEarliest;

impl TimeProvider for SinceEarliest {
    fn current_time(&self) -> Option<UnixTime> {
        let since = clock::wall().duration_since(SystemTime::UNIX_EPOCH);
        let since = since.unwrap_or_default().max(clock::EARLIEST);
        Some(UnixTime::since_unix_epoch(since))
    }
}

fn add(pem: &[u8], roots: &mut RootCertStore) -> Result<(), Error> {
    let mut found = false;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| Error::Certificate(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| Error::Certificate(error.to_string()))?;
        found = true;
    }
    if found {
        Ok(())
    } else {
        Err(Error::Certificate("no certificate in the file".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Trust, config};

    #[test]
    fn without_an_installed_provider_it_still_works() {
        assert!(config(Trust::Public, false).is_ok());
    }

    #[test]
    fn a_made_certificate_is_taken_and_nonsense_is_not() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["door.local".to_owned()]).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        assert!(config(Trust::PublicAnd(pem.into()), true).is_ok());
        for nonsense in [
            "",
            "hello",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            assert!(
                config(Trust::PublicAnd(nonsense.into()), true).is_err(),
                "{nonsense:?}"
            );
        }
    }
}
