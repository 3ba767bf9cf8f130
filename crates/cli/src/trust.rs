//! Where our certificate authority is kept, and what makes a client trust it.

use crate::failure::Failure;
use crate::recording::{absolute, set};
use claude_trace_net::authority::{certificate_file, put};
use claude_trace_net::trust::of_machine;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

const DIRECTORY: &str = "claude-trace";
/// Each names a file in the place of all other certificates: OpenSSL's, Go's and Rust's; Python's `requests`; curl.
const REPLACING: [&str; 3] = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];
const NODE: &str = "NODE_EXTRA_CA_CERTS";

/// The user's folder for it.
pub fn folder() -> Result<PathBuf, Failure> {
    if let Some(folder) = set("CLAUDE_TRACE_CA_DIR") {
        return absolute(Path::new(&folder));
    }
    if let Some(folder) = set("XDG_DATA_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute()) {
        return Ok(folder.join(DIRECTORY));
    }
    let home = std::env::home_dir()
        .filter(|home| home.is_absolute())
        .ok_or_else(|| Failure::new("there is no home folder for the authority: set CLAUDE_TRACE_CA_DIR"))?;
    let data = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" };
    Ok(home.join(data).join(DIRECTORY))
}

/// What a client is told, so that it trusts the authority of `folder` beside what it trusts without us. Second: whether that is
/// Node alone, because the machine's own certificates were not found.
pub fn variables(folder: &Path) -> Result<(Vec<(String, String)>, bool), Failure> {
    let failed = |error| Failure::new(format_args!("cannot use {}: {error}", folder.display()));
    let ca =
        certificate_file(folder).ok_or_else(|| Failure::new("the authority's certificate is missing"))?;
    let own = std::fs::read(&ca).map_err(failed)?;
    // Node would pass over one that it cannot read, too.
    let of_user = set(NODE).and_then(|file| std::fs::read(file).ok());
    let machine = of_machine();
    let all = [machine.as_slice(), of_user.as_deref().unwrap_or_default(), &own].join(&b'\n');
    let mut hasher = DefaultHasher::new();
    all.hash(&mut hasher);
    let bundle = folder.join(format!("bundle-{:016x}.pem", hasher.finish()));
    if !bundle.is_file() {
        put(&bundle, &all, 0o644).map_err(failed)?;
    }
    let text = |file: &Path| file.to_string_lossy().into_owned();
    let for_node = if of_user.is_some() { text(&bundle) } else { text(&ca) };
    let mut variables = vec![(NODE.to_owned(), for_node)];
    if !machine.is_empty() {
        variables.extend(REPLACING.map(|name| (name.to_owned(), text(&bundle))));
    }
    Ok((variables, machine.is_empty()))
}

/// Removes the authority, and says whether there was one.
pub fn remove(folder: &Path) -> Result<bool, Failure> {
    let failed = |error| Failure::new(format_args!("cannot remove {}: {error}", folder.display()));
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(false) };
    let mut any = false;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("ca") && name.ends_with(".pem") || name.starts_with("bundle-") {
            std::fs::remove_file(entry.path()).map_err(failed)?;
            any = true;
        }
    }
    // It stays if there is something else in it.
    let _ = std::fs::remove_dir(folder);
    Ok(any)
}
