//! Whom the client trusts: the public authorities, and one more if asked.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::Error;

/// TLS settings with ring, whatever provider the process has installed; trusts
/// Mozilla's list and the certificates of `extra_ca_pem`.
pub(super) fn config(extra_ca_pem: Option<&[u8]>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(pem) = extra_ca_pem {
        add(pem, &mut roots)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
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
    use super::config;

    #[test]
    fn without_an_installed_provider_it_still_works() {
        assert!(config(None).is_ok());
    }

    #[test]
    fn a_made_certificate_is_taken_and_nonsense_is_not() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["door.local".to_owned()]).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        assert!(config(Some(pem.as_bytes())).is_ok());
        for nonsense in [
            "",
            "hello",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            assert!(config(Some(nonsense.as_bytes())).is_err(), "{nonsense:?}");
        }
    }
}
