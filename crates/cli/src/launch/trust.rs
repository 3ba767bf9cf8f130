//! What a client is told so that it trusts our certificate authority beside all that it trusts already.
//!
//! Some variables add to what a client trusts, others take its place: so the files that the latter name hold the machine's roots
//! too, or what the user's own variable names. The files are named by what is in them, lie beside the authority, and
//! serve any number of runs.

use super::routes::Surroundings;
use crate::failure::Failure;
use claude_trace_net::Ca;
use claude_trace_net::connect::system_roots;
use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// They add to what a client trusts.
const ADDING: [&str; 2] = ["NODE_EXTRA_CA_CERTS", "DENO_CERT"];
/// They take its place. OpenSSL and Rust, Python's requests, curl, Git.
const REPLACING: [&str; 4] = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"];
/// The same, for clients that heed one of those unless these are set.
const IF_SET: [&str; 9] = [
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "CODEX_CA_CERTIFICATE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "HTTPLIB2_CA_CERTS",
    "NIX_SSL_CERT_FILE",
    "PIP_CERT",
    "npm_config_cafile",
];
const FOLDER: &str = "trust";
const END: &str = "-----END CERTIFICATE-----";

/// What is told.
#[derive(Debug, Default)]
pub struct Trust {
    pub variables: Vec<(String, String)>,
    pub warnings: Vec<String>,
}

/// Writes the files, and names them.
pub fn variables(ca: &Ca, around: &Surroundings) -> Result<Trust, Failure> {
    let folder = ca.path().with_file_name(FOLDER);
    let mut trust = Trust::default();
    let machines = system_roots();
    if machines.is_empty() {
        let words = "this machine has no root certificates: programs that are told of ours by a variable trust nothing else";
        trust.warnings.push(words.into());
    }
    let is_set = |name: &&str| around.get(name).is_some();
    for name in ADDING.into_iter().chain(REPLACING).chain(IF_SET.into_iter().filter(is_set)) {
        let own = around.get(name).map(PathBuf::from).and_then(|path| {
            let text = read(&path);
            if text.is_none() {
                trust.warnings.push(format!("{name} names {}, which cannot be read", path.display()));
            }
            text
        });
        let others = match own {
            Some(own) => own,
            None if ADDING.contains(&name) => String::new(),
            None => machines.clone(),
        };
        let file = write(&folder, &joined(&others, ca.pem()))?;
        trust.variables.push((name.to_owned(), file));
    }
    Ok(trust)
}

/// Deletes the files.
pub fn forget(folder: &Path) -> Result<Option<PathBuf>, Failure> {
    let folder = folder.join(FOLDER);
    match fs::remove_dir_all(&folder) {
        Ok(()) => Ok(Some(folder)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new(format_args!("cannot remove {}: {error}", folder.display()))),
    }
}

/// A file of certificates, or a folder of such files.
fn read(path: &Path) -> Option<String> {
    if !path.is_dir() {
        return fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    }
    let mut files: Vec<_> = fs::read_dir(path).ok()?.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let texts = files.iter().filter(|file| file.is_file()).filter_map(|file| fs::read_to_string(file).ok());
    Some(texts.collect::<Vec<_>>().join("\n"))
}

/// Both, each certificate once: a folder of roots has them under several names, and a run inside a run would add ours again.
fn joined(others: &str, ours: &str) -> String {
    let mut seen = HashSet::new();
    let mut text = String::with_capacity(others.len() + ours.len());
    for part in others.split_inclusive(END).chain(ours.split_inclusive(END)) {
        let body = part.find("-----BEGIN").map_or(part, |at| &part[at..]).trim();
        if part.ends_with(END) && seen.insert(body.to_owned()) {
            text.push_str(body);
            text.push('\n');
        }
    }
    text
}

fn write(folder: &Path, text: &str) -> Result<String, Failure> {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let path = folder.join(format!("{:016x}.pem", hasher.finish()));
    let failed = |error| Failure::new(format_args!("cannot write {}: {error}", path.display()));
    if fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(path.to_string_lossy().into_owned());
    }
    fs::create_dir_all(folder).map_err(failed)?;
    let readable = fs::Permissions::from_mode(0o644);
    let file = tempfile::Builder::new().permissions(readable).tempfile_in(folder);
    let mut file = file.map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.persist(&path).map_err(|error| failed(error.error))?;
    Ok(path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(body: &str) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{body}\n{END}\n")
    }

    #[test]
    fn ours_is_added_once_and_nothing_of_theirs_is_lost() {
        let (one, two, ours) = (certificate("one"), certificate("two"), certificate("ours"));
        let theirs = format!("# a comment\n{one}\n\n{two}{one}# the end");
        let text = joined(&theirs, &ours);
        assert_eq!(text, format!("{one}{two}{ours}"));
        assert_eq!(joined(&text, &ours), text);
        assert_eq!(joined("", &ours), ours);
        assert_eq!(joined(one.trim_end(), &ours), format!("{one}{ours}"), "no line feed at its end");
    }

    #[test]
    fn a_folder_of_roots_is_read_file_by_file() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.pem", "a.0"] {
            fs::write(folder.path().join(name), certificate(name)).unwrap();
        }
        let text = read(folder.path()).unwrap();
        assert_eq!(joined(&text, ""), format!("{}{}", certificate("a.0"), certificate("b.pem")));
        assert_eq!(read(&folder.path().join("none")), None);
    }

    #[test]
    fn a_file_is_named_by_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("trust");
        let path = write(&folder, "x").unwrap();
        assert_eq!(write(&folder, "x").unwrap(), path);
        fs::write(&path, "damaged").unwrap();
        assert_eq!(write(&folder, "x").unwrap(), path);
        assert_eq!(fs::read_to_string(&path).unwrap(), "x");
        assert_ne!(write(&folder, "y").unwrap(), path);
        assert_eq!(forget(folder.parent().unwrap()).unwrap(), Some(folder.clone()));
        assert_eq!(forget(folder.parent().unwrap()).unwrap(), None);
    }
}
