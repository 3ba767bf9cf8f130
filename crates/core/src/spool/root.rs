//! Where spools live, and the checks that keep them ours.
//!
//! A root is a folder of one user (0700) with a sub-folder per session. In order: what the configuration names; `/dev/shm`,
//! which costs no disk and survives the process; the log's folder, in a container (whose `/dev/shm` dies with it) or
//! where `/dev/shm` has no room. Whoever starts looks for orphans in all the roots it can know of: its own, and those that
//! a pointer file in `/dev/shm` names.

use crate::config::Config;
use crate::disk::Disk;
use crate::error::{Error, Result};
use rustix::fs::OFlags;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The sub-folder of a log folder that holds spools and overflow.
const IN_LOG_FOLDER: &str = ".spool";
const POINTERS: &str = "elsewhere";
/// Names of folders with overflow segments begin so.
pub const OVERFLOW_PREFIX: &str = "overflow-";

/// What kind of file system a folder is on, as far as mappings care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Medium {
    /// Allocated space stays allocated: a store into a mapping cannot fail.
    Mappable,
    /// A network or copy-on-write file system, or one we do not know.
    WriteOnly,
}

/// The folder of spools and overflow that belongs to a log folder.
pub fn log_folder_root(log_directory: &Path) -> PathBuf {
    log_directory.join(IN_LOG_FOLDER)
}

/// Whether a root is the sub-folder of a log folder.
pub fn is_in_log_folder(root: &Path) -> bool {
    root.file_name() == Some(IN_LOG_FOLDER.as_ref())
}

/// The name of a session's folder for overflow segments.
pub fn overflow_name(started_at: u64, pid: u32) -> String {
    format!("{OVERFLOW_PREFIX}{started_at:x}-{pid}")
}

/// The roots to try for a new session, best first.
pub fn candidates(config: &Config) -> Vec<PathBuf> {
    if let Some(dir) = &config.spool_dir {
        return vec![dir.clone()];
    }
    let shared_memory = config.runtime_dir.clone();
    let log_folder = log_folder_root(&config.log_directory);
    if !has_room(&shared_memory, 2 * config.memory_pool_size) {
        return vec![log_folder];
    }
    // The other one is better than none: a log folder that cannot be written must not cost the spool too.
    if in_container() { vec![log_folder, shared_memory] } else { vec![shared_memory, log_folder] }
}

/// The roots in which sessions of dead processes may lie.
pub fn known(config: &Config) -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = config.spool_dir.iter().cloned().collect();
    roots.push(config.runtime_dir.clone());
    roots.push(log_folder_root(&config.log_directory));
    let pointers = config.runtime_dir.join(POINTERS);
    if check(&pointers).is_ok() {
        for pointer in std::fs::read_dir(&pointers).into_iter().flatten().flatten() {
            match std::fs::read_link(pointer.path()) {
                // What it leads to is checked like any other root before it is read.
                Ok(root) if root.is_dir() => roots.push(root),
                // The folder is gone, and with it what it held.
                _ => drop(std::fs::remove_file(pointer.path())),
            }
        }
    }
    roots.sort();
    roots.dedup();
    roots
}

/// Leaves word in shared memory of a root that others could not guess. Best effort: the root's own users find it anyway.
pub fn leave_pointer(config: &Config, root: &Path) {
    let pointers = config.runtime_dir.join(POINTERS);
    if root.starts_with(&config.runtime_dir)
        || prepare(&config.disk, &config.runtime_dir).is_err()
        || prepare(&config.disk, &pointers).is_err()
    {
        return;
    }
    let name = format!("{:08x}", crc32c::crc32c(root.as_os_str().as_encoded_bytes()));
    let _ = std::os::unix::fs::symlink(root, pointers.join(name));
}

/// Makes sure that a root is there and safely ours.
pub fn prepare(disk: &Disk, root: &Path) -> Result<()> {
    disk.create_folders(root, 0o700).map_err(Error::io("create", root))?;
    check(root)
}

/// Checks that nobody else can have put anything into a folder.
pub fn check(folder: &Path) -> Result<()> {
    let is = std::fs::symlink_metadata(folder).map_err(Error::io("look at", folder))?;
    let unsafe_because = |why| Err(Error::UnsafeFolder { path: folder.to_owned(), why });
    if !is.is_dir() {
        return unsafe_because("it is not a folder");
    }
    if is.uid() != rustix::process::geteuid().as_raw() {
        return unsafe_because("it belongs to another user");
    }
    if is.mode() & 0o077 != 0 {
        return unsafe_because("others have access to it");
    }
    Ok(())
}

/// Creates a file that must not be there yet.
pub fn create_file(disk: &Disk, path: &Path) -> Result<File> {
    disk.open(path, OFlags::CREATE | OFlags::EXCL).map_err(Error::io("create", path))
}

/// Opens a file that must be ours.
pub fn open_own_file(disk: &Disk, path: &Path) -> Result<File> {
    let file = disk.open(path, OFlags::empty()).map_err(Error::io("open", path))?;
    let is = file.metadata().map_err(Error::io("look at", path))?;
    if !is.is_file() || is.uid() != rustix::process::geteuid().as_raw() {
        return Err(Error::UnsafeFolder { path: path.to_owned(), why: "a file in it is not ours" });
    }
    Ok(file)
}

/// What kind of file system a file is on.
#[cfg(target_os = "linux")]
fn medium(file: &File) -> Medium {
    const TMPFS: u64 = 0x0102_1994;
    const EXT: u64 = 0xef53;
    const XFS: u64 = 0x5846_5342;
    match rustix::fs::fstatfs(file) {
        Ok(fs) if [TMPFS, EXT, XFS].contains(&(fs.f_type as u64)) => Medium::Mappable,
        _ => Medium::WriteOnly,
    }
}

/// What kind of file system a file is on. A mapping of APFS is not proven here, so it is not used.
#[cfg(not(target_os = "linux"))]
fn medium(_file: &File) -> Medium {
    Medium::WriteOnly
}

/// Gives a new file its size. Whether it may be mapped: a full disk must be an error here, and never a SIGBUS later.
pub fn allocate(disk: &Disk, file: &File, path: &Path, bytes: u64) -> Result<bool> {
    let allocated = disk.allocate(file, path, bytes).map_err(Error::io("allocate space for", path))?;
    Ok(allocated && medium(file) == Medium::Mappable)
}

fn has_room(folder: &Path, bytes: u64) -> bool {
    // The folder may not be there yet; its parent then tells.
    let folder = if folder.exists() { folder } else { folder.parent().unwrap_or(folder) };
    rustix::fs::statvfs(folder).is_ok_and(|fs| fs.f_bavail.saturating_mul(fs.f_frsize) >= bytes)
}

fn in_container() -> bool {
    Path::new("/.dockerenv").exists()
        || Path::new("/run/.containerenv").exists()
        || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_open_to_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        prepare(&Disk::default(), &root).unwrap();
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(check(&root).unwrap_err().code(), "TRACE_ERR_UNSAFE_FOLDER");
    }

    #[test]
    fn a_link_in_place_of_the_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        assert!(check(&link).is_err());
    }

    #[test]
    fn files_are_private_and_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let file = create_file(&Disk::default(), &path).unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        assert!(create_file(&Disk::default(), &path).is_err(), "it is there already");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(open_own_file(&Disk::default(), &link).is_err());
    }
}
