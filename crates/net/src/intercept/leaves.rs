//! Certificates for the hosts that are decrypted, made as they are needed and kept for a while.
//!
//! They live for a week at most and only in memory, as does the key that they share. Their configurations are kept too, one
//! for each host and protocol: so a client that comes back resumes its TLS session.

use super::ca::{Ca, DAY};
use crate::error::{Error, Result};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

const LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// A client that visits unboundedly many hosts must not make us grow with them.
const MAX_KEPT: usize = 256;
/// The longest name that fits the subject.
const MAX_COMMON_NAME: usize = 64;

/// A host, and what is spoken to it.
type Key = (String, Option<Vec<u8>>);

/// Makes and keeps what a server of a host needs.
#[derive(Debug)]
pub struct Leaves {
    ca: Ca,
    key: KeyPair,
    kept: Mutex<HashMap<Key, Kept>>,
}

#[derive(Clone, Debug)]
struct Kept {
    config: Arc<ServerConfig>,
    until: SystemTime,
}

impl Leaves {
    pub fn new(ca: Ca) -> Result<Self> {
        let key = KeyPair::generate().map_err(|error| failed(&ca, &error))?;
        Ok(Self { ca, key, kept: Mutex::default() })
    }

    pub fn ca(&self) -> &Ca {
        &self.ca
    }

    /// To stand in for `host`, with `protocol` (ALPN) or none.
    pub fn config(&self, host: &str, protocol: Option<&[u8]>) -> Result<Arc<ServerConfig>> {
        self.config_at(host, protocol, SystemTime::now())
    }

    fn config_at(&self, host: &str, protocol: Option<&[u8]>, now: SystemTime) -> Result<Arc<ServerConfig>> {
        let key = (host.to_owned(), protocol.map(Into::into));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.get(&key).filter(|found| found.until > now) {
            return Ok(Arc::clone(&found.config));
        }
        let config = Arc::new(self.make(host, protocol, now)?);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(key, Kept { config: Arc::clone(&config), until: now + LIFE - 2 * DAY });
        Ok(config)
    }

    fn make(&self, host: &str, protocol: Option<&[u8]>, now: SystemTime) -> Result<ServerConfig> {
        let wrong = |error: rcgen::Error| failed(&self.ca, &error);
        let mut params = CertificateParams::new([host.to_owned()]).map_err(wrong)?;
        params.distinguished_name = DistinguishedName::new();
        if host.len() <= MAX_COMMON_NAME {
            params.distinguished_name.push(DnType::CommonName, host);
        }
        params.not_before = (now - DAY).into();
        params.not_after = (now + LIFE).into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&self.key, self.ca.issuer()).map_err(wrong)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)?;
        config.alpn_protocols = protocol.map(<[u8]>::to_vec).into_iter().collect();
        Ok(config)
    }
}

fn failed(ca: &Ca, error: &rcgen::Error) -> Error {
    Error::Ca { path: ca.path().to_owned(), why: format!("nothing can be signed with it: {error}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves() -> (tempfile::TempDir, Leaves) {
        let folder = tempfile::tempdir().unwrap();
        let leaves = Leaves::new(Ca::open(folder.path()).unwrap()).unwrap();
        (folder, leaves)
    }

    #[test]
    fn one_for_each_host_and_protocol_until_it_is_old() {
        let (_folder, leaves) = leaves();
        let now = SystemTime::now();
        let h2 = Some(&b"h2"[..]);
        let first = leaves.config_at("a.b", h2, now).unwrap();
        assert_eq!(first.alpn_protocols, [b"h2"]);
        assert!(Arc::ptr_eq(&first, &leaves.config_at("a.b", h2, now + 4 * DAY).unwrap()));
        for (host, protocol, at) in [("a.c", h2, now), ("a.b", None, now), ("a.b", h2, now + 6 * DAY)] {
            assert!(!Arc::ptr_eq(&first, &leaves.config_at(host, protocol, at).unwrap()), "{host}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (_folder, leaves) = leaves();
        for n in 0..=MAX_KEPT {
            leaves.config(&format!("h{n}.example"), None).unwrap();
        }
        assert!(leaves.kept.lock().unwrap().len() <= MAX_KEPT);
    }

    #[test]
    fn addresses_and_long_names_have_certificates_too() {
        let (_folder, leaves) = leaves();
        for host in ["127.0.0.1", "::1", &format!("{}.example", "a".repeat(63))] {
            leaves.config(host, None).unwrap();
        }
    }
}
