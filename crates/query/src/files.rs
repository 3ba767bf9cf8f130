//! Files that appear whole or not at all, for nobody else to read, and never in the place of another.

use crate::error::{Error, Result};
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const BUFFER: usize = 256 * 1024;

/// What to do when the name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfThere {
    Refuse,
    Replace,
}

/// A file that is being written under another name, beside the place it is for. Removed unless it is published.
pub(crate) struct Draft {
    file: BufWriter<File>,
    path: PathBuf,
    target: PathBuf,
    /// Bytes so far, holes included.
    length: u64,
}

impl Draft {
    pub(crate) fn create(target: &Path) -> Result<Self> {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.draft", std::process::id()));
        let path = target.with_file_name(name);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        let file =
            rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR).map_err(Error::io("create", &path))?;
        let file = BufWriter::with_capacity(BUFFER, file.into());
        Ok(Self { file, path, target: target.to_owned(), length: 0 })
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.length += bytes.len() as u64;
        self.file.write_all(bytes).map_err(Error::io("write", &self.path))
    }

    /// NUL bytes as a hole: they read the same and take no room.
    pub(crate) fn write_nuls(&mut self, count: u64) -> Result<()> {
        self.length += count;
        self.file.seek(SeekFrom::Start(self.length)).map(drop).map_err(Error::io("write", &self.path))
    }

    /// Gives the file its name, once its bytes are on the disk.
    pub(crate) fn publish(mut self, if_there: IfThere) -> Result<()> {
        let finish = |draft: &mut BufWriter<File>, length| {
            draft.flush()?;
            draft.get_ref().set_len(length)?;
            draft.get_ref().sync_all()
        };
        finish(&mut self.file, self.length).map_err(Error::io("write", &self.path))?;
        match if_there {
            IfThere::Replace => std::fs::rename(&self.path, &self.target),
            IfThere::Refuse => rename_new(&self.path, &self.target),
        }
        .map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => exists(&self.target),
            _ => Error::io("create", &self.target)(error),
        })?;
        sync_folder(&self.target)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After publishing there is nothing by this name.
        let _ = std::fs::remove_file(&self.path);
    }
}

pub(crate) fn exists(path: &Path) -> Error {
    Error::Exists { path: path.to_owned(), hint: "move it away, or replace it with --force" }
}

/// Refuses a name that is taken, before any work is done.
pub(crate) fn check_free(path: &Path, if_there: IfThere) -> Result<()> {
    match path.symlink_metadata() {
        Ok(_) if if_there == IfThere::Refuse => Err(exists(path)),
        Ok(is) if is.is_dir() => Err(Error::Unfit { path: path.to_owned(), why: "is a folder" }),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("look at", path)(error)),
        _ => Ok(()),
    }
}

/// Gives `path` a second name, which must be free; or is that already, by an attempt that was cut off.
pub(crate) fn link_as_backup(path: &Path, backup: &Path) -> Result<()> {
    match std::fs::hard_link(path, backup) {
        Ok(()) => sync_folder(backup),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if is_same(path, backup) {
                return Ok(());
            }
            let hint = "an earlier original: move it away first";
            Err(Error::Exists { path: backup.to_owned(), hint })
        }
        Err(error) => Err(Error::io("make the backup", backup)(error)),
    }
}

pub(crate) fn is_same(a: &Path, b: &Path) -> bool {
    let identity = |path: &Path| path.symlink_metadata().ok().map(|is| (is.dev(), is.ino()));
    identity(a).is_some_and(|a| Some(a) == identity(b))
}

/// Locks a log as its writers do; `false`: it has one. The lock lives as long as `file`.
pub(crate) fn try_lock(file: &File) -> bool {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => false,
        // A file system without locks, where writers do without, too.
        _ => true,
    }
}

/// Whether a living process writes this log. The lock that finds out is held for a moment alone, in which a recorder that is
/// asked to continue the log would take the next name: so ask only if something depends on it.
pub fn has_writer(file: &File) -> bool {
    let is_free = try_lock(file);
    if is_free {
        let _ = rustix::fs::flock(file, FlockOperation::Unlock);
    }
    !is_free
}

/// `rename` that does not replace. By a link, which every file system refuses when the name is taken; where there are no
/// links, by a look at the name.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::hard_link(from, to) {
        Ok(()) => std::fs::remove_file(from),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        Err(_) if to.symlink_metadata().is_ok() => Err(ErrorKind::AlreadyExists.into()),
        Err(_) => std::fs::rename(from, to),
    }
}

/// So that the name survives a power loss as well as the bytes.
fn sync_folder(of: &Path) -> Result<()> {
    let folder = of.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(Error::io("sync", folder))
}
