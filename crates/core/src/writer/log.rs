//! The log file: one process writes to it, whole lines only, never over what is there.

use crate::civil::FileStamp;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::exchange::WallNanos;
use crate::spool::layout::Intent;
use crate::spool::pool::Hold;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Names that are tried before giving up: `log.jsonl`, `log-2.jsonl`, …
const NAMES: u32 = 1000;

/// Which log to open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Its folder.
    pub directory: PathBuf,
    /// The name that was asked for; by default one made of the time.
    pub base_name: Option<String>,
    /// The time for the default name.
    pub started_at: WallNanos,
}

impl Target {
    /// The path that is tried first.
    pub fn planned(&self) -> PathBuf {
        self.path(1)
    }

    fn path(&self, attempt: u32) -> PathBuf {
        let base = match &self.base_name {
            Some(name) => name.clone(),
            None => format!("log-{}", FileStamp(self.started_at)),
        };
        let suffix = if attempt == 1 { String::new() } else { format!("-{attempt}") };
        self.directory.join(format!("{base}{suffix}.jsonl"))
    }
}

/// A line that is ready, and where its intent goes.
#[derive(Debug)]
pub struct Line {
    /// The line with its line feed; empty: there is nothing to write.
    pub bytes: Vec<u8>,
    /// The segment and entry with the place for the intent.
    pub place: Option<(Hold, usize)>,
    /// What the line was made from: let go once it is in the log.
    pub holds: Vec<Hold>,
    /// The exchange could not be made into a record as it should: the reason, and the exchange as JSON.
    pub dead: Option<(String, String)>,
}

/// An open log.
#[derive(Debug)]
pub struct Log {
    file: File,
    path: PathBuf,
    disk: Disk,
    /// The file ends in half a line that somebody else has left.
    torn: bool,
    buffer: Vec<u8>,
}

impl Log {
    /// Opens the log that `target` names, or the next free name: a name that was asked for is continued if nobody else
    /// writes to it; a default name is always a new file.
    pub fn open(disk: &Disk, target: &Target) -> Result<Self> {
        disk.create_folders(&target.directory, 0o777).map_err(Error::io("create", &target.directory))?;
        for attempt in 1..=NAMES {
            let path = target.path(attempt);
            match Self::open_path(disk, &path, target.base_name.is_none()) {
                Ok(Some(log)) => return Ok(log),
                Ok(None) => {}
                Err(error) => return Err(Error::io("open", &path)(error)),
            }
        }
        Err(Error::io("open", &target.planned())(io::Error::other("all names up to -1000 are in use")))
    }

    /// Opens a path; `None` if it is in use by another process or, for `new_only`, there already.
    fn open_path(disk: &Disk, path: &Path, new_only: bool) -> io::Result<Option<Self>> {
        let mut flags = OFlags::APPEND | OFlags::CREATE;
        flags.set(OFlags::EXCL, new_only);
        let in_use = |error: &io::Error, errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
        let mut file = match disk.open(path, flags) {
            Ok(file) => file,
            Err(error) if new_only && in_use(&error, Errno::EXIST) => return Ok(None),
            // A link: appending to where it leads is not ours to decide.
            Err(error) if in_use(&error, Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error),
        };
        match disk.lock(&file, path) {
            Err(error) if in_use(&error, Errno::WOULDBLOCK) => return Ok(None),
            // A file system without locks: the name was made for us alone, or is the user's own choice.
            Ok(()) | Err(_) => {}
        }
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let torn = file.seek(SeekFrom::End(-1)).is_ok() && {
            let mut last = [0];
            file.read_exact(&mut last)?;
            last != *b"\n"
        };
        Ok(Some(Self { file, path: path.to_owned(), disk: disk.clone(), torn, buffer: Vec::new() }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends lines in one write. Their intents stand in the spool before it begins. After an error nothing of them is
    /// in the file, and they can be appended again.
    pub fn append(&mut self, lines: &[Line]) -> io::Result<u64> {
        let before = self.file.metadata()?.len();
        self.buffer.clear();
        if self.torn {
            self.buffer.push(b'\n');
        }
        let mut intents = Vec::with_capacity(lines.len());
        for line in lines {
            let intent = Intent {
                offset: before + self.buffer.len() as u64,
                length: line.bytes.len() as u64,
                line_crc: crc32fast::hash(&line.bytes),
                committed: false,
            };
            if let Some((hold, at)) = &line.place {
                hold.segment().set_intent(*at, &intent)?;
            }
            intents.push(intent);
            self.buffer.extend_from_slice(&line.bytes);
        }
        if let Err(error) = self.disk.append(&self.file, &self.path, &self.buffer) {
            // What half a write has left would be taken for a torn line by every reader.
            if self.disk.truncate(&self.file, &self.path, before).is_err() {
                self.torn = self.file.metadata().is_ok_and(|is| is.len() > before);
            }
            return Err(error);
        }
        self.torn = false;
        for (line, intent) in lines.iter().zip(intents) {
            if let Some((hold, at)) = &line.place {
                // If this fails, a recovery finds the line by its intent.
                let _ = hold.segment().set_intent(*at, &Intent { committed: true, ..intent });
            }
        }
        let written = self.buffer.len() as u64;
        self.buffer.shrink_to(KEPT_BUFFER);
        Ok(written)
    }

    /// Appends bytes that have no intent.
    pub fn append_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.append(&self.file, &self.path, bytes)
    }

    /// Waits until what was appended is on the medium.
    pub fn sync(&self) -> io::Result<()> {
        self.disk.sync(&self.file, &self.path)
    }

    /// Whether the file has been deleted under us.
    pub fn is_gone(&self) -> bool {
        self.file.metadata().is_ok_and(|is| is.nlink() == 0)
    }

    /// Whether the line that an intent announces stands in the file.
    pub fn has(&self, intent: &Intent) -> bool {
        let Ok(length) = usize::try_from(intent.length) else { return false };
        // A length that was never written must not become an allocation.
        let end = intent.offset.checked_add(intent.length);
        if self.file.metadata().ok().zip(end).is_none_or(|(is, end)| is.len() < end) {
            return false;
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, intent.offset).is_ok()
            && crc32fast::hash(&bytes) == intent.line_crc
    }

    /// Cuts off what an append has left that was interrupted by the death of its process. `intents` are those whose lines
    /// are not there. Does nothing if what follows them is not theirs.
    pub fn cut_torn_tail(&mut self, intents: &[Intent]) -> io::Result<()> {
        let Some(start) = intents.iter().map(|i| i.offset).min() else { return Ok(()) };
        let end = intents.iter().filter_map(|i| i.offset.checked_add(i.length)).max().unwrap_or(start);
        let length = self.file.metadata()?.len();
        if (start..end).contains(&length) && length > start {
            self.disk.truncate(&self.file, &self.path, start)?;
            self.torn = false;
        }
        Ok(())
    }
}

/// Larger buffers are for single huge records and are not kept.
const KEPT_BUFFER: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::layout::{EntryHeader, FLAG_INTENT};
    use crate::spool::segment::Segment;
    use std::sync::Arc;

    fn target(dir: &tempfile::TempDir, name: Option<&str>) -> Target {
        Target {
            directory: dir.path().join("logs"),
            base_name: name.map(Into::into),
            started_at: 1_795_206_489_000_000_000,
        }
    }

    fn line(text: &str) -> Line {
        Line { bytes: text.into(), place: None, holds: Vec::new(), dead: None }
    }

    #[test]
    fn default_names_are_new_files_even_in_the_same_second() {
        let dir = tempfile::tempdir().unwrap();
        let target = target(&dir, None);
        let one = Log::open(&Disk::default(), &target).unwrap();
        assert_eq!(one.path().file_name().unwrap(), "log-2026-11-20-20-28-09.jsonl");
        drop(one);
        let two = Log::open(&Disk::default(), &target).unwrap();
        assert_eq!(two.path().file_name().unwrap(), "log-2026-11-20-20-28-09-2.jsonl");
        assert_eq!(two.file.metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_name_that_was_asked_for_is_continued_unless_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let target = target(&dir, Some("mine"));
        let mut one = Log::open(&Disk::default(), &target).unwrap();
        one.append(&[line("a\n")]).unwrap();
        let two = Log::open(&Disk::default(), &target).unwrap();
        assert_eq!(two.path().file_name().unwrap(), "mine-2.jsonl");
        drop(one);
        let mut again = Log::open(&Disk::default(), &target).unwrap();
        again.append(&[line("b\n")]).unwrap();
        assert_eq!(std::fs::read_to_string(target.planned()).unwrap(), "a\nb\n");
    }

    #[test]
    fn half_a_line_of_somebody_else_stays_a_line_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let target = target(&dir, Some("mine"));
        std::fs::create_dir(&target.directory).unwrap();
        std::fs::write(target.planned(), "{\"half").unwrap();
        Log::open(&Disk::default(), &target).unwrap().append(&[line("b\n")]).unwrap();
        assert_eq!(std::fs::read_to_string(target.planned()).unwrap(), "{\"half\nb\n");
    }

    #[test]
    fn an_intent_tells_whether_its_line_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&Disk::default(), &target(&dir, Some("mine"))).unwrap();
        let segment = Arc::new(Segment::in_memory(8192, 1).unwrap());
        let header = EntryHeader {
            generation: 0,
            exchange: 1,
            sequence: 1,
            at: 1,
            payload_len: 0,
            kind: 1,
            flags: FLAG_INTENT,
            source: 1,
            chain: 0,
            hook_ns: 0,
        };
        let at = segment.claim().append(header, b"head", || 0).unwrap();
        let place = Some((Hold::of_orphan(Arc::clone(&segment)), at));
        log.append(&[
            line("first\n"),
            Line { bytes: b"second\n".to_vec(), place, holds: Vec::new(), dead: None },
        ])
        .unwrap();
        let intent = segment.intent(at).unwrap().unwrap();
        assert!(intent.committed && log.has(&intent));
        assert_eq!((intent.offset, intent.length), (6, 7));
        log.file.set_len(9).unwrap();
        assert!(!log.has(&intent));
        log.cut_torn_tail(&[intent]).unwrap();
        assert_eq!(std::fs::read_to_string(log.path()).unwrap(), "first\n");
    }

    #[test]
    fn what_others_have_appended_is_never_cut() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&Disk::default(), &target(&dir, Some("mine"))).unwrap();
        log.append(&[line("something longer than the intent\n")]).unwrap();
        let intent = Intent { offset: 3, length: 4, line_crc: 1, committed: false };
        log.cut_torn_tail(&[intent]).unwrap();
        assert_eq!(log.file.metadata().unwrap().len(), 33);
    }
}
