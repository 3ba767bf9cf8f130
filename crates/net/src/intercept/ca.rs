//! The certificate authority of this user: a key and a certificate in a folder of theirs.
//!
//! **Who trusts it.** Only programs that were told to: a launched client gets its certificate through variables of its
//! environment. Nothing is put into the system's store.
//!
//! **The key** is the user's alone (0600, in a folder of 0700). One that others could read is refused: it may have been
//! copied. It signs certificates of servers and nothing else, and none below them (`pathlen:0`). It has no name constraints:
//! it outlives the run whose hosts they would name.
//!
//! **Age.** A year; [`RENEW_BEFORE`] the end a new one takes its place, and so it does if the clock says that the old one
//! is not valid yet. Both are backdated: clients in containers and virtual machines have clocks of their own.
//!
//! **Two at once.** Whoever creates or removes it holds a lock. Files appear whole, by renaming; a key and a certificate that
//! do not belong together (power was lost between the two) are replaced.

use crate::error::{Error, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData,
};
use rustix::fs::{FlockOperation, flock};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use x509_parser::prelude::{FromDer, X509Certificate};

pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const LIFE: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Before the end: longer than any run.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca-key.pem";
const LOCK: &str = "ca.lock";

/// A key that signs, and its certificate.
#[derive(Debug)]
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    path: PathBuf,
    /// It was not there, or had to be replaced, a moment ago.
    pub is_new: bool,
}

impl Ca {
    /// The one in `folder`; it is made if there is none, or if it has come to the end of its life.
    pub fn open(folder: &Path) -> Result<Self> {
        let wrong = |why: String| Error::Ca { path: folder.join(CERTIFICATE), why };
        let failed = |error: io::Error| wrong(error.to_string());
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let _lock = lock(folder).map_err(failed)?;
        if let Some(ca) = Self::load(folder, SystemTime::now())? {
            return Ok(ca);
        }
        let (certificate, key) = make().map_err(|error| wrong(error.to_string()))?;
        write(folder, KEY, 0o600, &key).map_err(failed)?;
        write(folder, CERTIFICATE, 0o644, &certificate).map_err(failed)?;
        let made = Self::load(folder, SystemTime::now())?;
        made.map(|ca| Self { is_new: true, ..ca })
            .ok_or_else(|| wrong("it was lost as it was written".into()))
    }

    /// Deletes what lies in `folder`, and says what it was.
    pub fn remove(folder: &Path) -> Result<Vec<PathBuf>> {
        let failed =
            |path: &Path, error: io::Error| Error::Ca { path: path.to_owned(), why: error.to_string() };
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let _lock = lock(folder).map_err(|error| failed(folder, error))?;
        let mut removed = Vec::new();
        for path in [KEY, CERTIFICATE].map(|name| folder.join(name)) {
            match fs::remove_file(&path) {
                Ok(()) => removed.push(path),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(failed(&path, error)),
            }
        }
        Ok(removed)
    }

    /// Where its certificate lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// What signs.
    pub(super) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    /// `None`: there is none that is of use at `now`.
    fn load(folder: &Path, now: SystemTime) -> Result<Option<Self>> {
        let (path, key_path) = (folder.join(CERTIFICATE), folder.join(KEY));
        let Some(key) = read_key(&key_path)? else { return Ok(None) };
        let pem = match fs::read_to_string(&path) {
            Ok(pem) => pem,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::Ca { path, why: error.to_string() }),
        };
        let Ok(key) = KeyPair::from_pem(&key) else { return Ok(None) };
        let Some(der) =
            CertificateDer::from_pem_slice(pem.as_bytes()).ok().filter(|der| serves(der, &key, now))
        else {
            return Ok(None);
        };
        Ok(Issuer::from_ca_cert_der(&der, key).ok().map(|issuer| Self { issuer, pem, path, is_new: false }))
    }
}

/// Whether a certificate is the key's, and valid for long enough.
fn serves(certificate: &CertificateDer<'_>, key: &KeyPair, now: SystemTime) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let seconds = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    };
    let validity = certificate.validity();
    certificate.public_key().raw == key.subject_public_key_info()
        && validity.not_before.timestamp() <= seconds(now)
        && validity.not_after.timestamp() > seconds(now + RENEW_BEFORE)
}

fn read_key(path: &Path) -> Result<Option<String>> {
    let wrong = |why: &str| Err(Error::Ca { path: path.to_owned(), why: why.into() });
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return wrong(&error.to_string()),
    };
    if !metadata.is_file() {
        return wrong("it is no regular file");
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return wrong("it belongs to another user");
    }
    if metadata.mode() & 0o077 != 0 {
        return wrong(
            "others can read it, so it is no secret: `claude-trace ca remove` deletes it, and the next run makes a new one",
        );
    }
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) => wrong(&error.to_string()),
    }
}

fn make() -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let now = SystemTime::now();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    // Two that were made one after the other have the same name otherwise, and verifiers take one for the other.
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    params.distinguished_name.push(DnType::CommonName, format!("claude-trace local CA {seconds}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - 2 * DAY).into();
    params.not_after = (now + LIFE).into();
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// Others wait until it is dropped.
fn lock(folder: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(folder.join(LOCK))?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// A file that is there whole or not at all.
fn write(folder: &Path, name: &str, mode: u32, text: &str) -> io::Result<()> {
    let mut file =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(mode)).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(folder.join(name))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn it_is_made_once_and_its_key_is_the_users_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        let first = Ca::open(&folder).unwrap();
        assert!(first.is_new && first.path() == folder.join(CERTIFICATE));
        assert_eq!((mode(&folder), mode(&folder.join(KEY)), mode(first.path())), (0o700, 0o600, 0o644));
        let second = Ca::open(&folder).unwrap();
        assert!(!second.is_new);
        assert_eq!(second.pem(), first.pem());
    }

    #[test]
    fn many_at_once_have_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let pems: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| Ca::open(folder.path()).unwrap().pem().to_owned())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(pems.iter().all(|pem| *pem == pems[0]));
    }

    #[test]
    fn one_at_the_end_of_its_life_or_from_the_future_is_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        Ca::open(folder.path()).unwrap();
        let at = |now| Ca::load(folder.path(), now).unwrap().is_some();
        let now = SystemTime::now();
        assert!(at(now) && at(now - DAY) && at(now + LIFE - RENEW_BEFORE - DAY));
        assert!(!at(now - 3 * DAY) && !at(now + LIFE - RENEW_BEFORE + DAY));
    }

    #[test]
    fn a_pair_that_is_broken_or_does_not_belong_together_is_replaced() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Ca::open(other.path()).unwrap();
        for (name, text) in [
            (KEY, fs::read_to_string(other.path().join(KEY)).unwrap()),
            (CERTIFICATE, String::new()),
            (CERTIFICATE, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into()),
            (KEY, "nonsense".into()),
        ] {
            let before = Ca::open(one.path()).unwrap().pem().to_owned();
            fs::write(one.path().join(name), text).unwrap();
            let after = Ca::open(one.path()).unwrap();
            assert!(after.is_new && after.pem() != before, "{name}");
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        Ca::open(folder.path()).unwrap();
        fs::set_permissions(folder.path().join(KEY), fs::Permissions::from_mode(0o640)).unwrap();
        let error = Ca::open(folder.path()).unwrap_err();
        assert_eq!(error.code(), "TRACE_ERR_CA");
        assert!(error.to_string().contains("ca remove"), "{error}");
        assert_eq!(Ca::remove(folder.path()).unwrap().len(), 2);
        assert!(Ca::open(folder.path()).unwrap().is_new);
    }

    #[test]
    fn what_is_not_there_is_removed_in_silence() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Ca::remove(folder.path()).unwrap().is_empty());
        assert!(Ca::remove(&folder.path().join("no")).unwrap().is_empty());
        assert!(!folder.path().join("no").exists());
    }
}
