//! File operations, each of which a test can make fail.
//!
//! Everything the engine does to files goes through a [`Disk`], so that the n-th write, the n-th rename, … can be made to
//! fail for every n, and what is promised of a failing disk is tested rather than hoped for.

use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::Path;
use std::sync::Arc;

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum Op {
    CreateFolder,
    Create,
    Open,
    Lock,
    Allocate,
    Map,
    Write,
    Truncate,
    Sync,
    Rename,
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done.
    Done,
    /// It fails.
    Fails(rustix::io::Errno),
    /// A write puts that many bytes down and then fails.
    StopsAfter(usize, rustix::io::Errno),
}

/// Decides what becomes of operations; for tests.
pub trait Faults: Send + Sync + fmt::Debug {
    /// What becomes of this one.
    fn fate(&self, op: Op, path: &Path) -> Fate;
}

/// The way to files.
#[derive(Clone, Debug, Default)]
pub struct Disk(Option<Arc<dyn Faults>>);

impl PartialEq for Disk {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

impl Eq for Disk {}

impl Disk {
    /// A disk that fails as `faults` say.
    pub fn with_faults(faults: Arc<dyn Faults>) -> Self {
        Self(Some(faults))
    }

    fn check(&self, op: Op, path: &Path) -> io::Result<()> {
        match self.0.as_ref().map_or(Fate::Done, |faults| faults.fate(op, path)) {
            Fate::Done => Ok(()),
            Fate::Fails(errno) | Fate::StopsAfter(_, errno) => Err(errno.into()),
        }
    }

    /// Creates a folder and those it lies in; the new ones with this mode.
    pub fn create_folders(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.check(Op::CreateFolder, path)?;
        std::fs::DirBuilder::new().recursive(true).mode(mode).create(path)
    }

    /// Creates a folder that is not there yet.
    pub fn create_folder(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.check(Op::CreateFolder, path)?;
        std::fs::DirBuilder::new().mode(mode).create(path)
    }

    /// Opens a file, following no link and handing it to no child process; a new one is 0600.
    pub fn open(&self, path: &Path, flags: OFlags) -> io::Result<File> {
        self.check(if flags.contains(OFlags::CREATE) { Op::Create } else { Op::Open }, path)?;
        let flags = flags | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Locks a file for this process alone, or fails at once.
    pub fn lock(&self, file: &File, path: &Path) -> io::Result<()> {
        self.check(Op::Lock, path)?;
        Ok(rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)?)
    }

    /// Gives a new file its size, with the space allocated where the system can do that. Whether it can.
    pub fn allocate(&self, file: &File, path: &Path, bytes: u64) -> io::Result<bool> {
        self.check(Op::Allocate, path)?;
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{FallocateFlags, fallocate};
            match fallocate(file, FallocateFlags::empty(), 0, bytes) {
                Ok(()) => return Ok(true),
                Err(rustix::io::Errno::OPNOTSUPP) => {}
                Err(error) => return Err(error.into()),
            }
        }
        file.set_len(bytes).map(|()| false)
    }

    /// Asked before a file is mapped.
    pub fn may_map(&self, path: &Path) -> io::Result<()> {
        self.check(Op::Map, path)
    }

    /// Appends bytes. After an error some of them may be there.
    pub fn append(&self, mut file: &File, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.stop_early(path, bytes, |part| file.write_all(part))?;
        file.write_all(bytes)
    }

    /// Writes bytes at a place. After an error some of them may be there.
    pub fn write_at(&self, file: &File, path: &Path, bytes: &[u8], at: u64) -> io::Result<()> {
        self.stop_early(path, bytes, |part| file.write_all_at(part, at))?;
        file.write_all_at(bytes, at)
    }

    fn stop_early(
        &self,
        path: &Path,
        bytes: &[u8],
        mut write: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.0.as_ref().map_or(Fate::Done, |faults| faults.fate(Op::Write, path)) {
            Fate::Done => Ok(()),
            Fate::Fails(errno) => Err(errno.into()),
            Fate::StopsAfter(count, errno) => {
                write(&bytes[..count.min(bytes.len())])?;
                Err(errno.into())
            }
        }
    }

    /// Cuts a file off.
    pub fn truncate(&self, file: &File, path: &Path, length: u64) -> io::Result<()> {
        self.check(Op::Truncate, path)?;
        file.set_len(length)
    }

    /// Waits until a file's bytes are on the medium.
    pub fn sync(&self, file: &File, path: &Path) -> io::Result<()> {
        self.check(Op::Sync, path)?;
        file.sync_data()
    }

    /// Renames a file or folder.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check(Op::Rename, from)?;
        std::fs::rename(from, to)
    }
}
