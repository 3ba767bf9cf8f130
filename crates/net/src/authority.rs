//! The authority of our own that signs for hosts whose traffic is read: made on first use, in a folder of the user's, trusted by
//! the programs that are told of it and by nobody else.
//!
//! Key and certificate are one file, so that two programs that make them at the same time end up with the same pair:
//! whoever names the file first wins. `ca.pem` is the certificate alone, for clients.

use crate::error::{Error, Result};
use claude_trace_core::civil::Civil;
use claude_trace_core::clock::wall_nanos;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const KEY_FILE: &str = "ca-key.pem";
const CERTIFICATE_FILE: &str = "ca.pem";
const NAME: &str = "claude-trace (this user's, for recording)";
/// A clock may be behind by that much.
const BEFORE_DAYS: u64 = 2;
const AUTHORITY_DAYS: u64 = 3650;
/// Less than the 398 days that some clients allow. It is made anew with every process.
const LEAF_DAYS: u64 = 90;
const DAY: u64 = 86_400_000_000_000;

/// Signs for hosts.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    /// By host.
    signed: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

/// Where the certificate of the authority in `folder` is, if there is one.
pub fn certificate_file(folder: &Path) -> Option<PathBuf> {
    Some(folder.join(CERTIFICATE_FILE)).filter(|file| file.is_file())
}

impl Authority {
    /// That of `folder`, which is made if it is not there.
    pub fn open(folder: &Path) -> Result<Self> {
        let failed = |source| Error::Authority { path: folder.to_owned(), why: format!("{source}") };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let file = folder.join(KEY_FILE);
        if !file.exists() {
            make(&file)?;
        }
        let pem = std::fs::read(&file).map_err(failed)?;
        let wrong = |why: String| Error::Authority { path: file.clone(), why };
        let key = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|error| wrong(error.to_string()))?;
        let key = KeyPair::try_from(&key).map_err(|error| wrong(error.to_string()))?;
        let certificate = CertificateDer::from_pem_slice(&pem).map_err(|error| wrong(error.to_string()))?;
        let public = folder.join(CERTIFICATE_FILE);
        let text = certificate_part(&pem).ok_or_else(|| wrong("it holds no certificate".into()))?;
        if std::fs::read(&public).ok().as_deref() != Some(text) {
            put(&public, text, 0o644).map_err(failed)?;
        }
        let issuer = Issuer::new(params(), key);
        Ok(Self { issuer, certificate, signed: Mutex::default() })
    }

    /// What a TLS server by that name says. HTTP/2 is offered.
    pub fn server(&self, host: &str) -> Result<Arc<ServerConfig>> {
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = signed.get(host) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.sign(host)?);
        signed.insert(host.to_owned(), Arc::clone(&config));
        Ok(config)
    }

    fn sign(&self, host: &str) -> Result<ServerConfig> {
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let wrong = |error: rcgen::Error| Error::Authority { path: host.into(), why: error.to_string() };
        let mut leaf = CertificateParams::new(vec![name.clone()]).map_err(wrong)?;
        (leaf.not_before, leaf.not_after) = validity(LEAF_DAYS);
        leaf.distinguished_name.push(DnType::CommonName, name);
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages.push(KeyUsagePurpose::DigitalSignature);
        leaf.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        let key = KeyPair::generate().map_err(wrong)?;
        let certificate = leaf.signed_by(&key, &self.issuer).map_err(wrong)?;
        let chain = vec![certificate.der().clone(), self.certificate.clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = config.with_no_client_auth().with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// The same at each start, so that the issuer is that of the certificate.
fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Makes key and certificate, unless somebody else does.
fn make(file: &Path) -> Result<()> {
    let wrong = |why: String| Error::Authority { path: file.to_owned(), why };
    let key = KeyPair::generate().map_err(|error| wrong(error.to_string()))?;
    let mut params = params();
    (params.not_before, params.not_after) = validity(AUTHORITY_DAYS);
    let certificate = params.self_signed(&key).map_err(|error| wrong(error.to_string()))?;
    let text = key.serialize_pem() + &certificate.pem();
    let draft = draft(file);
    let written = write(&draft, text.as_bytes(), 0o600).and_then(|()| std::fs::hard_link(&draft, file));
    let _ = std::fs::remove_file(&draft);
    match written {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(wrong(error.to_string())),
        _ => Ok(()),
    }
}

/// From some days ago until in so many.
fn validity(days: u64) -> (time::OffsetDateTime, time::OffsetDateTime) {
    let date = |at| {
        let (year, month, day) = Civil::of(at).date;
        date_time_ymd(year as i32, month as u8, day as u8)
    };
    let now = wall_nanos();
    (date(now - BEFORE_DAYS * DAY), date(now + days * DAY))
}

fn certificate_part(pem: &[u8]) -> Option<&[u8]> {
    memchr::memmem::find(pem, b"-----BEGIN CERTIFICATE-----").map(|at| &pem[at..])
}

/// A name beside `file` that nobody else has at this moment.
fn draft(file: &Path) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    file.with_extension(format!("{}-{number}.new", std::process::id()))
}

/// Replaces a file whole.
pub fn put(file: &Path, text: &[u8], mode: u32) -> std::io::Result<()> {
    let draft = draft(file);
    write(&draft, text, mode).and_then(|()| std::fs::rename(&draft, file))
}

fn write(file: &Path, text: &[u8], mode: u32) -> std::io::Result<()> {
    // One that was left behind may be readable by others.
    let _ = std::fs::remove_file(file);
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?;
    file.write_all(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(file: PathBuf) -> u32 {
        file.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn it_is_made_once_and_its_key_is_the_users_alone() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        assert_eq!(certificate_file(&folder), None);
        let first = Authority::open(&folder).unwrap();
        let second = Authority::open(&folder).unwrap();
        assert_eq!(first.certificate, second.certificate);
        assert_eq!(certificate_file(&folder), Some(folder.join("ca.pem")));
        assert_eq!((mode(folder.join(KEY_FILE)), mode(folder.clone())), (0o600, 0o700));
        let public = std::fs::read_to_string(folder.join("ca.pem")).unwrap();
        assert!(public.starts_with("-----BEGIN CERTIFICATE-----") && !public.contains("KEY"));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "no drafts are left");
    }

    #[test]
    fn those_who_make_it_at_once_have_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let made = || Authority::open(folder.path()).unwrap().certificate;
        let certificates: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(made)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(certificates.windows(2).all(|two| two[0] == two[1]));
    }

    #[test]
    fn a_file_that_is_no_key_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(KEY_FILE), "nonsense").unwrap();
        let error = Authority::open(folder.path()).err().unwrap();
        assert_eq!(error.code(), "TRACE_ERR_AUTHORITY");
        assert!(error.to_string().contains(KEY_FILE), "{error}");
    }
}
