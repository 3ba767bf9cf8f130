//! A session: the spool of one pipeline of one process, as a folder with a locked record and segments.
//!
//! The lock (`flock`) says whether the process lives: process ids are used again, and containers that share a folder do
//! not share them. The folder is made under another name and renamed once the lock is held, so nobody can find it
//! unlocked while it is being made. The record has two slots, the second for the log's path, which is known only when
//! the writer has opened it: a crash between the two finds the first.

use super::root;
use crate::disk::Disk;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

const RECORD: &str = "session";
const UNFINISHED: &str = "new-";
const SLOT: u64 = 8192;

/// What a recoverer must know of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of this layout of record, segments and entries.
    pub version: u32,
    /// The process.
    pub pid: u32,
    /// Nanoseconds since the Unix epoch.
    pub started_at: u64,
    /// Folder of the log.
    pub log_directory: PathBuf,
    /// The name that was asked for, if any.
    pub log_base_name: Option<String>,
    /// The log, once it has been opened.
    pub log_file: Option<PathBuf>,
    /// Where segments lie for which there was no room here.
    pub overflow: Option<PathBuf>,
    /// See [`crate::config::Config::runtime_dir`].
    pub runtime_dir: PathBuf,
    /// Whether records are to carry the mark of zero-latency mode.
    pub zero_latency: bool,
    /// See [`crate::config::Config::max_decoded_bytes`].
    pub max_decoded_bytes: usize,
}

/// The layout this code writes and can read.
pub const VERSION: u32 = 2;

/// A session whose lock we hold.
#[derive(Debug)]
pub struct Session {
    /// Its folder's name; unique among all sessions.
    pub id: String,
    folder: PathBuf,
    lock: File,
    disk: Disk,
}

impl Session {
    /// Makes a session in a root that [`root::prepare`] has passed.
    pub fn create(disk: &Disk, root: &Path, record: &Record) -> Result<Self> {
        // Somebody who cleans up may take a folder away in the moment before it is locked: then another name is tried.
        Self::try_create(disk, root, record).or_else(|_| {
            root::prepare(disk, root)?;
            Self::try_create(disk, root, record)
        })
    }

    fn try_create(disk: &Disk, root: &Path, record: &Record) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:x}-{}-{count}", record.started_at, record.pid);
        let unfinished = root.join(format!("{UNFINISHED}{id}"));
        disk.create_folder(&unfinished, 0o700).map_err(Error::io("create", &unfinished))?;
        let made = Self::fill(disk, &unfinished, record).and_then(|lock| {
            let folder = root.join(&id);
            disk.rename(&unfinished, &folder).map_err(Error::io("rename", &unfinished))?;
            Ok(Self { id, folder, lock, disk: disk.clone() })
        });
        if made.is_err() {
            let _ = std::fs::remove_dir_all(&unfinished);
        }
        made
    }

    fn fill(disk: &Disk, folder: &Path, record: &Record) -> Result<File> {
        let path = folder.join(RECORD);
        let file = root::create_file(disk, &path)?;
        disk.lock(&file, &path).map_err(Error::io("lock", &path))?;
        write_slot(disk, &file, &path, 0, record)?;
        Ok(file)
    }

    /// The way to its files.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Where its segments lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Notes what is known now that the log has been opened.
    pub fn update(&self, record: &Record) -> Result<()> {
        write_slot(&self.disk, &self.lock, &self.folder.join(RECORD), 1, record)
    }

    /// What the session says of itself; `None` if neither slot can be read.
    pub fn record(&self) -> Option<Record> {
        read_slot(&self.lock, 1).or_else(|| read_slot(&self.lock, 0)).filter(|r| r.version == VERSION)
    }

    /// How long ago its record was last written.
    pub fn age(&self) -> std::time::Duration {
        let made = self.lock.metadata().and_then(|is| is.modified());
        made.ok().and_then(|at| at.elapsed().ok()).unwrap_or_default()
    }

    /// Removes the session with all that is in it. The lock is held until `self` is dropped.
    pub fn remove(&self, overflow: Option<&Path>) {
        // What is farthest from the record goes first: until the record goes, whoever comes can still tell whose the rest is.
        for folder in overflow.into_iter().chain([self.folder.as_path()]) {
            for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if file.file_name() != RECORD {
                    let _ = std::fs::remove_file(file.path());
                }
            }
            if folder == self.folder {
                let _ = std::fs::remove_file(folder.join(RECORD));
            }
            remove_folder(folder);
        }
    }
}

/// Removes an empty folder, and a root in a log folder that is empty then: it should not outlive its last session.
fn remove_folder(folder: &Path) {
    let _ = std::fs::remove_dir(folder);
    if let Some(root) = folder.parent().filter(|root| root::is_in_log_folder(root)) {
        let _ = std::fs::remove_dir(root);
    }
}

/// The sessions in a root whose processes are dead, each with its lock now ours.
pub fn orphans(disk: &Disk, root: &Path) -> Vec<Session> {
    if root::check(root).is_err() {
        return Vec::new();
    }
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut found: Vec<Session> = entries.filter_map(|entry| adopt(disk, &entry.path())).collect();
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found
}

fn adopt(disk: &Disk, folder: &Path) -> Option<Session> {
    let id = folder.file_name()?.to_str()?.to_owned();
    if id.starts_with(root::OVERFLOW_PREFIX) || root::check(folder).is_err() {
        return None;
    }
    let path = folder.join(RECORD);
    let lock = match root::open_own_file(disk, &path) {
        Ok(lock) => lock,
        Err(_) => {
            // An empty folder is what a removal leaves that was killed at its very end, or a creation at its very start; any
            // other is not ours to judge.
            remove_folder(folder);
            return None;
        }
    };
    disk.lock(&lock, &path).ok()?;
    // Whoever held the lock until now may have removed the session: then what we hold is a file without a name.
    let still_there =
        root::open_own_file(disk, &path).ok().and_then(|f| f.metadata().ok()).zip(lock.metadata().ok());
    use std::os::unix::fs::MetadataExt;
    still_there.filter(|(a, b)| (a.dev(), a.ino()) == (b.dev(), b.ino()))?;
    let session = Session { id, folder: folder.to_owned(), lock, disk: disk.clone() };
    if session.id.starts_with(UNFINISHED) {
        // Its process died before it had anything to tell.
        session.remove(None);
        return None;
    }
    Some(session)
}

fn write_slot(disk: &Disk, file: &File, path: &Path, slot: u64, record: &Record) -> Result<()> {
    let text = serde_json::to_vec(record).map_err(|e| Error::io("write", path)(std::io::Error::from(e)))?;
    if text.len() + 8 > SLOT as usize {
        return Err(Error::Damaged { path: path.to_owned(), why: "the log's path is too long".into() });
    }
    let mut bytes = Vec::with_capacity(text.len() + 8);
    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&text).to_le_bytes());
    bytes.extend_from_slice(&text);
    disk.write_at(file, path, &bytes, slot * SLOT).map_err(Error::io("write", path))
}

fn read_slot(file: &File, slot: u64) -> Option<Record> {
    let mut start = [0; 8];
    file.read_exact_at(&mut start, slot * SLOT).ok()?;
    let length = u32::from_le_bytes(*start.first_chunk()?) as usize;
    if length + 8 > SLOT as usize {
        return None;
    }
    let mut text = vec![0; length];
    file.read_exact_at(&mut text, slot * SLOT + 8).ok()?;
    (crc32c::crc32c(&text).to_le_bytes() == start[4..]).then(|| serde_json::from_slice(&text).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            version: VERSION,
            pid: std::process::id(),
            started_at: 1,
            log_directory: "/logs".into(),
            log_base_name: None,
            log_file: None,
            overflow: None,
            runtime_dir: "/run".into(),
            zero_latency: true,
            max_decoded_bytes: 1,
        }
    }

    fn root() -> tempfile::TempDir {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        dir
    }

    #[test]
    fn a_session_is_an_orphan_once_its_lock_is_gone() {
        let root = root();
        let session = Session::create(&Disk::default(), root.path(), &record()).unwrap();
        let second = Record { log_file: Some("/logs/a.jsonl".into()), ..record() };
        session.update(&second).unwrap();
        assert!(orphans(&Disk::default(), root.path()).is_empty(), "its process lives");
        drop(session);
        let found = orphans(&Disk::default(), root.path());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].record(), Some(second));
        assert!(orphans(&Disk::default(), root.path()).is_empty(), "one recoverer at a time");
    }

    #[test]
    fn a_torn_second_slot_leaves_the_first() {
        let root = root();
        let session = Session::create(&Disk::default(), root.path(), &record()).unwrap();
        session.update(&Record { log_file: Some("/logs/a.jsonl".into()), ..record() }).unwrap();
        session.lock.write_all_at(b"\xff", SLOT + 20).unwrap();
        assert_eq!(session.record(), Some(record()));
    }

    #[test]
    fn a_removed_session_leaves_nothing() {
        let root = root();
        let session = Session::create(&Disk::default(), root.path(), &record()).unwrap();
        std::fs::write(session.folder().join("0.seg"), b"x").unwrap();
        session.remove(None);
        drop(session);
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
