//! The log file: one process writes to it, whole lines only, never over what is there.

use crate::civil::FileStamp;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::exchange::WallNanos;
use crate::spool::layout::{Intent, IntentState};
use crate::spool::pool::Hold;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::File;
use std::io;
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
    /// An append of ours has failed half way, and the half could not be cut off.
    torn: bool,
    buffer: Vec<u8>,
}

impl Log {
    /// Opens the log that `target` names, or the next free name: a name that was asked for is continued if nobody else
    /// writes to it; a default name is always a new file.
    /// `note` is told each path before it is tried: whoever completes the log of a process that dies here must know it.
    pub fn open(disk: &Disk, target: &Target, mut note: impl FnMut(&Path) -> Result<()>) -> Result<Self> {
        disk.create_folders(&target.directory, 0o777).map_err(Error::io("create", &target.directory))?;
        for attempt in 1..=NAMES {
            let path = target.path(attempt);
            note(&path)?;
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
        let file = match disk.open(path, flags) {
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
        if ends_in_half_a_line(&file)? {
            // Somebody died while appending: the recovery of that session completes the file.
            return Ok(None);
        }
        Ok(Some(Self { file, path: path.to_owned(), disk: disk.clone(), torn: false, buffer: Vec::new() }))
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
        for line in lines {
            let intent = Intent {
                offset: before + self.buffer.len() as u64,
                length: line.bytes.len() as u64,
                line_crc: crc32c::crc32c(&line.bytes),
                state: IntentState::Intended,
            };
            if let Some((hold, at)) = &line.place {
                hold.segment().set_intent(*at, &intent)?;
            }
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
        for (hold, at) in lines.iter().filter_map(|line| line.place.as_ref()) {
            // If this fails, a recovery finds the line by its intent.
            let _ = hold.segment().set_intent_state(*at, IntentState::Done);
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

    /// Opens this very file to go on with it; `None` if it is in use, gone, or not as it should be.
    pub fn reopen(disk: &Disk, path: &Path) -> Option<Self> {
        if !path.exists() {
            return None;
        }
        Self::open_path(disk, path, false).ok().flatten()
    }
}

/// A log as its recoverer looks at it: for what stands in it, and for half a line at its end.
#[derive(Debug)]
pub struct Reader {
    file: File,
}

impl Reader {
    /// Opens a log that a dead process has written to; `None` if it is gone.
    pub fn open(disk: &Disk, path: &Path) -> Result<Option<Self>> {
        match disk.open(path, OFlags::empty()) {
            Ok(file) => Ok(Some(Self { file })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("open", path)(error)),
        }
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
            && crc32c::crc32c(&bytes) == intent.line_crc
    }

    /// Cuts off the half line that an append has left which was interrupted by the death of its process. `intents` are
    /// those whose lines are not there: the half line is cut only if it begins where one of them was to stand, and only
    /// if nobody else has the file now.
    pub fn cut_half_line(&self, disk: &Disk, path: &Path, intents: &[Intent]) -> Result<()> {
        let failed = |error: io::Error| Error::io("repair", path)(error);
        let length = self.file.metadata().map_err(failed)?.len();
        let half = intents.iter().map(|i| i.offset).filter(|offset| *offset < length).find(|offset| {
            // Lines have no line feed inside, so the half one is what comes after the last.
            let Ok(size) = usize::try_from(length - offset) else { return false };
            let mut tail = vec![0; size.min(MAX_HALF_LINE)];
            let begins_a_line = *offset == 0 || byte_at(&self.file, offset - 1) == Some(b'\n');
            begins_a_line
                && size <= MAX_HALF_LINE
                && self.file.read_exact_at(&mut tail, *offset).is_ok()
                && !tail.contains(&b'\n')
        });
        if let Some(offset) = half
            && disk.lock(&self.file, path).is_ok()
        {
            disk.truncate(&self.file, path, offset).map_err(failed)?;
        }
        Ok(())
    }
}

/// No record is longer: bodies are bounded by the spool.
const MAX_HALF_LINE: usize = 4 * 1024 * 1024 * 1024 - 1;

fn byte_at(file: &File, at: u64) -> Option<u8> {
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).ok()?;
    Some(byte[0])
}

fn ends_in_half_a_line(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    Ok(length > 0 && byte_at(file, length - 1) != Some(b'\n'))
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
        let one = Log::open(&Disk::default(), &target, |_| Ok(())).unwrap();
        assert_eq!(one.path().file_name().unwrap(), "log-2026-11-20-20-28-09.jsonl");
        drop(one);
        let two = Log::open(&Disk::default(), &target, |_| Ok(())).unwrap();
        assert_eq!(two.path().file_name().unwrap(), "log-2026-11-20-20-28-09-2.jsonl");
        assert_eq!(two.file.metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_name_that_was_asked_for_is_continued_unless_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let target = target(&dir, Some("mine"));
        let mut one = Log::open(&Disk::default(), &target, |_| Ok(())).unwrap();
        one.append(&[line("a\n")]).unwrap();
        let two = Log::open(&Disk::default(), &target, |_| Ok(())).unwrap();
        assert_eq!(two.path().file_name().unwrap(), "mine-2.jsonl");
        drop(one);
        let mut again = Log::open(&Disk::default(), &target, |_| Ok(())).unwrap();
        again.append(&[line("b\n")]).unwrap();
        assert_eq!(std::fs::read_to_string(target.planned()).unwrap(), "a\nb\n");
    }

    #[test]
    fn a_file_that_ends_in_half_a_line_is_left_to_its_recovery() {
        let dir = tempfile::tempdir().unwrap();
        let target = target(&dir, Some("mine"));
        std::fs::create_dir(&target.directory).unwrap();
        std::fs::write(target.planned(), "{\"half").unwrap();
        let log = Log::open(&Disk::default(), &target, |_| Ok(())).unwrap();
        assert_eq!(log.path().file_name().unwrap(), "mine-2.jsonl");
    }

    #[test]
    fn an_intent_tells_whether_its_line_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&Disk::default(), &target(&dir, Some("mine")), |_| Ok(())).unwrap();
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
        let reader = Reader::open(&Disk::default(), log.path()).unwrap().unwrap();
        assert!(intent.state == IntentState::Done && reader.has(&intent));
        assert_eq!((intent.offset, intent.length), (6, 7));

        log.file.set_len(9).unwrap();
        assert!(!reader.has(&intent));
        reader.cut_half_line(&Disk::default(), log.path(), &[intent]).unwrap();
        assert_eq!(std::fs::read_to_string(log.path()).unwrap().len(), 9, "its process has the file still");
        let path = log.path().to_owned();
        drop(log);
        reader.cut_half_line(&Disk::default(), &path, &[intent]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first\n");
    }

    #[test]
    fn what_is_not_half_a_line_of_an_intent_is_never_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        for (content, offset) in
            [("first\nsecond\n", 6), ("first\nsecond\n", 3), ("first\nhalf", 3), ("", 0), ("first\n", 6)]
        {
            std::fs::write(&path, content).unwrap();
            let reader = Reader::open(&Disk::default(), &path).unwrap().unwrap();
            let intent = Intent { offset, length: 100, line_crc: 1, state: IntentState::Intended };
            reader.cut_half_line(&Disk::default(), &path, &[intent]).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
    }
}
