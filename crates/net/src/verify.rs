//! Whether a server is who it should be.
//!
//! As rustls says, with one case more. A server may show the very certificate that the user trusts: what `openssl req -x509` makes for
//! a gateway on a desk is an authority of its own, and OpenSSL, so Node, curl and Python, take it. rustls refuses any
//! authority in a server's place (`CaUsedAsEndEntity`), so a client would be told that its server cannot be trusted, which it
//! trusts. Name, dates and the possession of the key are checked as ever.

use crate::error::Result;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::collections::HashSet;
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Roots, and the certificates among them that this machine or its user has named.
#[derive(Debug)]
pub struct Verifier {
    roots: Arc<WebPkiServerVerifier>,
    named: HashSet<CertificateDer<'static>>,
}

impl Verifier {
    pub fn new(
        roots: RootCertStore,
        named: HashSet<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self> {
        let roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let roots = roots.map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { roots, named })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.named.contains(shown) {
            return self.roots.verify_server_cert(shown, between, name, ocsp, now);
        }
        verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
        let Ok((_, certificate)) = X509Certificate::from_der(shown) else {
            return Err(CertificateError::BadEncoding.into());
        };
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let validity = certificate.validity();
        match () {
            () if now < validity.not_before.timestamp() => Err(CertificateError::NotValidYet.into()),
            () if now > validity.not_after.timestamp() => Err(CertificateError::Expired.into()),
            () => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.roots.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.roots.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.roots.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use std::time::Duration;

    const DAY: u64 = 24 * 60 * 60;

    fn own_authority() -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["gw.example".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    /// 2026-01-01 and so many days.
    fn on_day(day: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(1_767_225_600 + day * DAY))
    }

    fn verify(
        named: &CertificateDer<'static>,
        shown: &CertificateDer<'static>,
        name: &str,
        day: u64,
    ) -> Result<(), Error> {
        let mut roots = RootCertStore::empty();
        roots.add(named.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new(roots, HashSet::from([named.clone()]), provider).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(shown, &[], &name, &[], on_day(day)).map(|_| ())
    }

    #[test]
    fn a_certificate_that_is_trusted_itself_serves_for_its_names_and_its_time() {
        let (mine, other) = (own_authority(), own_authority());
        assert_eq!(verify(&mine, &mine, "gw.example", 10), Ok(()));
        assert!(verify(&mine, &mine, "other.example", 10).is_err());
        assert_eq!(verify(&mine, &mine, "gw.example", 400), Err(CertificateError::Expired.into()));
        assert!(verify(&mine, &other, "gw.example", 10).is_err());
    }
}
