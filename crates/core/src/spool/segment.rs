//! One piece of spool: a fixed number of bytes in a file (mapped, or written with `pwrite` where a mapping is not safe)
//! or, when no file can be had, in plain memory.
//!
//! This is the one file of the crate with `unsafe` in it. What makes it sound:
//! - A segment has one [`SegmentWriter`] at a time ([`Segment::claim`] checks), which alone writes at and after its
//!   cursor; it moves `published` with `Release` after the bytes before it are complete.
//! - Readers see bytes before `published` alone ([`Segment::read`] checks, with `Acquire`).
//! - Of the published bytes two places change later: an entry's `payload_crc` and its intent. Both have one writer each
//!   (the reader thread; whoever appends to the log), and neither is ever lent out as a slice: they are copied.
//! - A segment is written anew only by [`Segment::recycle`], which takes the `Arc` by value and proves that it is the
//!   only one, so no slice into it is alive.

use super::layout::{
    EntryHeader, FLAG_CONTINUES, HEADER_LEN, INTENT_LEN, INTENT_STATE_AT, Intent, IntentState,
    SEGMENT_HEADER_LEN, SegmentHeader, entry_len, intent_len,
};
use crate::disk::Disk;
use crate::error::{Error, Result};
use memmap2::MmapRaw;
use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How a segment's bytes are kept.
#[derive(Debug)]
enum Storage {
    /// A shared mapping of a file, or anonymous memory.
    Memory(MmapRaw),
    /// A file written with `pwrite`: network and copy-on-write file systems, where a full disk would turn a store into a
    /// mapping into a SIGBUS.
    File(File, Disk),
}

/// A piece of spool.
#[derive(Debug)]
pub struct Segment {
    storage: Storage,
    size: usize,
    /// The file; `None` for memory that dies with the process.
    path: Option<PathBuf>,
    generation: u32,
    /// It was made past the pool's limit and is not kept.
    spilled: bool,
    /// Bytes that are complete, counted from the segment's start.
    published: AtomicUsize,
    /// The writer has gone on to the next segment.
    sealed: AtomicBool,
    /// There is a writer.
    claimed: AtomicBool,
}

impl Segment {
    /// A segment in a new file whose space is already allocated.
    pub fn in_file(
        disk: &Disk,
        file: File,
        path: PathBuf,
        size: usize,
        mapped: bool,
        generation: u32,
    ) -> Result<Self> {
        let storage = if mapped {
            let map = disk.may_map(&path).and_then(|()| MmapRaw::map_raw(&file));
            Storage::Memory(map.map_err(Error::io("map", &path))?)
        } else {
            Storage::File(file, disk.clone())
        };
        Self::start(storage, size, Some(path), generation)
    }

    /// A segment that lives and dies with the process.
    pub fn in_memory(size: usize, generation: u32) -> Result<Self> {
        let memory =
            memmap2::MmapMut::map_anon(size).map_err(Error::io("map memory for", Path::new("the spool")))?;
        Self::start(Storage::Memory(memory.into()), size, None, generation)
    }

    /// A segment that another process has left, opened to be read and to have its intents written. `None` if the file
    /// holds no segment in use.
    pub fn of_orphan(disk: &Disk, file: File, path: PathBuf) -> Result<Option<Self>> {
        let size = file.metadata().map_err(Error::io("read", &path))?.len() as usize;
        let mut start = [0; SEGMENT_HEADER_LEN];
        if size < SEGMENT_HEADER_LEN || file.read_exact_at(&mut start, 0).is_err() {
            return Ok(None);
        }
        let Some(header) = SegmentHeader::decode(&start).filter(|h| h.generation != 0) else {
            return Ok(None);
        };
        let size = size.min(header.size as usize);
        Ok(Some(Self {
            storage: Storage::File(file, disk.clone()),
            size,
            path: Some(path),
            generation: header.generation,
            spilled: false,
            published: AtomicUsize::new(size),
            sealed: AtomicBool::new(true),
            claimed: AtomicBool::new(true),
        }))
    }

    fn start(storage: Storage, size: usize, path: Option<PathBuf>, generation: u32) -> Result<Self> {
        let segment = Self {
            storage,
            size,
            path,
            generation,
            spilled: false,
            published: AtomicUsize::new(SEGMENT_HEADER_LEN),
            sealed: AtomicBool::new(false),
            claimed: AtomicBool::new(false),
        };
        segment.write_start()?;
        Ok(segment)
    }

    fn write_start(&self) -> Result<()> {
        let header = SegmentHeader { generation: self.generation, size: self.size as u64 };
        self.store(0, &header.encode()).map_err(Error::io("write", self.name()))
    }

    /// Makes a segment that nobody uses ready for use under a new generation. Gives it back if somebody does use it.
    pub fn recycle(this: Arc<Self>, generation: u32) -> Result<Self, Arc<Self>> {
        let mut segment = Arc::try_unwrap(this)?;
        segment.generation = generation;
        segment.published = AtomicUsize::new(SEGMENT_HEADER_LEN);
        segment.sealed = AtomicBool::new(false);
        segment.claimed = AtomicBool::new(false);
        match segment.write_start() {
            Ok(()) => Ok(segment),
            Err(_) => Err(Arc::new(segment)),
        }
    }

    /// Marks the file as holding nothing, so that a crash does not bring back what is already in the log.
    pub fn clear(&self) {
        let header = SegmentHeader { generation: 0, size: self.size as u64 };
        // A failure leaves committed entries to be looked at once more by a recovery: no harm.
        let _ = self.store(0, &header.encode());
    }

    /// The same segment, known as one that is not kept.
    pub fn spilled(self) -> Self {
        Self { spilled: true, ..self }
    }

    /// Whether it was made past the pool's limit.
    pub fn is_spilled(&self) -> bool {
        self.spilled
    }

    /// Becomes the segment's one writer.
    pub fn claim(self: &Arc<Self>) -> SegmentWriter {
        assert!(!self.claimed.swap(true, Ordering::AcqRel), "a segment has one writer");
        SegmentWriter { cursor: self.published.load(Ordering::Acquire), segment: Arc::clone(self) }
    }

    /// The generation that its entries carry.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Bytes of the segment.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Bytes that are complete, counted from the segment's start.
    pub fn published(&self) -> usize {
        self.published.load(Ordering::Acquire)
    }

    /// Whether nothing more will be published.
    pub fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// The file it lives in, if any.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Its path, or what stands for one in errors.
    pub fn name(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new("the spool"))
    }

    /// Writes to every page, so that a push does not meet a page fault. For use before the segment has a writer.
    pub fn touch(&self) {
        let Storage::Memory(map) = &self.storage else { return };
        #[cfg(target_os = "linux")]
        {
            // SAFETY: the range is the mapping itself; populating changes no byte of it.
            let done = unsafe {
                rustix::mm::madvise(
                    map.as_mut_ptr().cast(),
                    map.len(),
                    rustix::mm::Advice::LinuxPopulateWrite,
                )
            };
            if done.is_ok() {
                return;
            }
        }
        for page in (0..map.len()).step_by(4096) {
            // SAFETY: inside the mapping; adding 0 changes no byte, and an atomic cannot tear a concurrent store.
            unsafe {
                (*map.as_mut_ptr().add(page).cast::<std::sync::atomic::AtomicU8>())
                    .fetch_add(0, Ordering::Relaxed)
            };
        }
    }

    /// The published bytes from `start` to `end`: borrowed from a mapping, read from a file.
    ///
    /// # Panics
    /// If the range is not inside what is published.
    pub fn read(&self, start: usize, end: usize) -> std::io::Result<Cow<'_, [u8]>> {
        assert!(start <= end && end <= self.published(), "only published bytes may be read");
        match &self.storage {
            Storage::Memory(map) => {
                // SAFETY: the range is published, so nobody writes to it but for the two places named at the top, which
                // cannot be reached through here: they lie in headers, and `read` serves payloads.
                let bytes = unsafe { std::slice::from_raw_parts(map.as_ptr().add(start), end - start) };
                Ok(Cow::Borrowed(bytes))
            }
            Storage::File(file, _) => {
                let mut bytes = vec![0; end - start];
                file.read_exact_at(&mut bytes, start as u64)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    /// The entry at `at` and the stored checksum of its payload. `Ok(None)`: the entries end here. `Err`: what stands
    /// here was meant to be an entry and is not whole.
    pub fn entry(&self, at: usize) -> Result<Option<(EntryHeader, u32)>, &'static str> {
        let room = self.published().saturating_sub(at);
        if room < HEADER_LEN {
            return Ok(None);
        }
        let bytes: [u8; HEADER_LEN] = self.load(at).map_err(|_| "it cannot be read")?;
        let commit = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        let generation = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        if commit == 0 || generation != self.generation {
            return Ok(None);
        }
        let (header, payload_crc) = EntryHeader::decode(&bytes).ok_or("its checksum is wrong")?;
        if header.entry_len() != commit || commit > room {
            return Err("its length is wrong");
        }
        Ok(Some((header, payload_crc)))
    }

    /// Where, after `at`, the next whole entry of this generation starts, if there is one: for going on behind damage.
    pub fn next_entry(&self, at: usize) -> Option<usize> {
        let start = (at + 8).next_multiple_of(8);
        let bytes = self.read(start.min(self.published()), self.published()).ok()?;
        let generation = self.generation.to_le_bytes();
        let looks_right = |offset: &usize| bytes[offset + 4..offset + 8] == generation;
        let offsets = (0..bytes.len().saturating_sub(HEADER_LEN)).step_by(8).filter(looks_right);
        offsets.map(|offset| start + offset).find(|at| matches!(self.entry(*at), Ok(Some(_))))
    }

    /// Stores the checksum of the payload of the entry at `at`.
    pub fn set_payload_crc(&self, at: usize, crc: u32) -> std::io::Result<()> {
        self.store(at + 52, &crc.to_le_bytes())
    }

    /// The intent of the entry at `at`, which has FLAG_INTENT.
    pub fn intent(&self, at: usize) -> std::io::Result<Option<Intent>> {
        Ok(Intent::decode(&self.load::<INTENT_LEN>(at + HEADER_LEN)?))
    }

    /// Stores the intent of the entry at `at`, which has FLAG_INTENT.
    pub fn set_intent(&self, at: usize, intent: &Intent) -> std::io::Result<()> {
        self.store(at + HEADER_LEN, &intent.encode())
    }

    /// Changes what is known of the exchange whose head is the entry at `at`, which has an intent.
    pub fn set_intent_state(&self, at: usize, state: IntentState) -> std::io::Result<()> {
        self.store(at + HEADER_LEN + INTENT_STATE_AT, &[state as u8])
    }

    /// Takes back the intent of the entry at `at`, which has FLAG_INTENT.
    pub fn clear_intent(&self, at: usize) -> std::io::Result<()> {
        self.store(at + HEADER_LEN + INTENT_STATE_AT, &[0])
    }

    fn load<const N: usize>(&self, at: usize) -> std::io::Result<[u8; N]> {
        assert!(at + N <= self.size);
        let mut bytes = [0; N];
        match &self.storage {
            // SAFETY: inside the mapping (asserted).
            Storage::Memory(map) => unsafe {
                std::ptr::copy_nonoverlapping(map.as_ptr().add(at), bytes.as_mut_ptr(), N);
            },
            Storage::File(file, _) => file.read_exact_at(&mut bytes, at as u64)?,
        }
        Ok(bytes)
    }

    fn store(&self, at: usize, bytes: &[u8]) -> std::io::Result<()> {
        assert!(at + bytes.len() <= self.size);
        match &self.storage {
            // SAFETY: inside the mapping (asserted); callers in this file write to places of which they are the one
            // writer and which are never lent out (see the top of the file).
            Storage::Memory(map) => unsafe {
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), map.as_mut_ptr().add(at), bytes.len());
                Ok(())
            },
            Storage::File(file, disk) => disk.write_at(file, self.name(), bytes, at as u64),
        }
    }
}

/// The right to append to a segment.
#[derive(Debug)]
pub struct SegmentWriter {
    segment: Arc<Segment>,
    cursor: usize,
}

impl SegmentWriter {
    /// The segment it appends to.
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// The largest payload that still fits; `None` if not even an empty one does.
    pub fn room(&self, flags: u8) -> Option<usize> {
        (self.segment.size - self.cursor).checked_sub(HEADER_LEN + intent_len(flags))
    }

    /// Appends an entry. The header's generation and payload length are filled in here; its `hook_ns` by `hook_ns`, which
    /// is asked when the payload has been copied, so that it can say how long that took.
    ///
    /// # Panics
    /// If the entry does not fit (see [`Self::room`]).
    pub fn append(
        &mut self,
        mut header: EntryHeader,
        payload: &[u8],
        hook_ns: impl FnOnce() -> u32,
    ) -> std::io::Result<usize> {
        let at = self.cursor;
        let len = entry_len(header.flags, payload.len());
        // Padding may stand out of a segment whose size is a multiple of 8 by nothing: sizes are multiples of a page.
        assert!(at + len <= self.segment.size, "the entry fits");
        let payload_at = at + HEADER_LEN + intent_len(header.flags);
        header.generation = self.segment.generation;
        header.payload_len = payload.len() as u32;
        let commit = (len as u32).to_le_bytes();
        match &self.segment.storage {
            Storage::Memory(map) => {
                let base = map.as_mut_ptr();
                // SAFETY: all offsets are inside the mapping (asserted above), at and after the cursor, where this
                // writer alone writes; `commit` is 4-byte aligned, since entries start at multiples of 8 and mappings
                // at a page.
                unsafe {
                    let commit_at = &*base.add(at).cast::<std::sync::atomic::AtomicU32>();
                    // What an older generation left here must not look like this entry while it is half written.
                    commit_at.store(0, Ordering::Release);
                    std::ptr::copy_nonoverlapping(payload.as_ptr(), base.add(payload_at), payload.len());
                    std::ptr::write_bytes(base.add(at + HEADER_LEN), 0, intent_len(header.flags));
                    header.hook_ns = hook_ns();
                    let bytes = header.encode();
                    std::ptr::copy_nonoverlapping(bytes[4..].as_ptr(), base.add(at + 4), HEADER_LEN - 4);
                    commit_at.store(u32::from_le_bytes(commit).to_le(), Ordering::Release);
                }
            }
            Storage::File(file, disk) => {
                let mut bytes = Vec::with_capacity(len);
                bytes.resize(HEADER_LEN + intent_len(header.flags), 0);
                bytes.extend_from_slice(payload);
                bytes.resize(len, 0);
                header.hook_ns = hook_ns();
                bytes[..HEADER_LEN].copy_from_slice(&header.encode());
                disk.write_at(file, self.segment.name(), &bytes, at as u64)?;
                // A kill can split a write between two pages, so what says that it is whole is written after it.
                disk.write_at(file, self.segment.name(), &commit, at as u64)?;
            }
        }
        self.cursor = at + len;
        self.segment.published.store(self.cursor, Ordering::Release);
        Ok(at)
    }

    /// Whether the payload should be split here rather than moved whole to the next segment: only where at least a page
    /// of it fits, so that small entries stay whole.
    pub fn split(&self, header_flags: u8, payload: usize) -> Option<usize> {
        let room = self.room(header_flags | FLAG_CONTINUES)? & !7;
        if payload > room && room >= 4096 { Some(room) } else { None }
    }

    /// Says that nothing more comes.
    pub fn seal(self) {
        self.segment.sealed.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::FLAG_INTENT;
    use super::*;

    fn header(exchange: u64, flags: u8) -> EntryHeader {
        EntryHeader {
            generation: 0,
            exchange,
            sequence: exchange * 10,
            at: 5,
            payload_len: 0,
            kind: 1,
            flags,
            source: 1,
            chain: 0,
            hook_ns: 0,
        }
    }

    fn both() -> Vec<Arc<Segment>> {
        let path = PathBuf::from("test");
        let file = tempfile::tempfile().unwrap();
        file.set_len(8192).unwrap();
        vec![
            Arc::new(Segment::in_memory(8192, 3).unwrap()),
            Arc::new(Segment::in_file(&Disk::default(), file, path, 8192, false, 3).unwrap()),
        ]
    }

    #[test]
    fn what_was_appended_is_read_back() {
        for segment in both() {
            let mut writer = segment.claim();
            let first = writer.append(header(1, FLAG_INTENT), b"head", || 7).unwrap();
            let second = writer.append(header(2, 0), b"body!", || 8).unwrap();
            let (entry, crc) = segment.entry(first).unwrap().unwrap();
            assert_eq!((entry.exchange, entry.hook_ns, crc), (1, 7, 0));
            let payload = first + entry.payload_offset();
            assert_eq!(&*segment.read(payload, payload + 4).unwrap(), b"head");
            assert_eq!(first + entry.entry_len(), second);
            assert_eq!(segment.entry(second).unwrap().unwrap().0.payload_len, 5);
            assert_eq!(segment.entry(segment.published()).unwrap(), None);
        }
    }

    #[test]
    fn intents_and_checksums_are_stored_in_place() {
        for segment in both() {
            let mut writer = segment.claim();
            let at = writer.append(header(1, FLAG_INTENT), b"head", || 0).unwrap();
            assert_eq!(segment.intent(at).unwrap(), None);
            let intent = Intent { offset: 1, length: 2, line_crc: 3, state: IntentState::Intended };
            segment.set_intent(at, &intent).unwrap();
            segment.set_payload_crc(at, 99).unwrap();
            assert_eq!(segment.intent(at).unwrap(), Some(intent));
            segment.set_intent_state(at, IntentState::Done).unwrap();
            assert_eq!(segment.intent(at).unwrap(), Some(Intent { state: IntentState::Done, ..intent }));
            segment.clear_intent(at).unwrap();
            assert_eq!(segment.intent(at).unwrap(), None);
            assert_eq!(segment.entry(at).unwrap().unwrap().1, 99);
        }
    }

    #[test]
    fn entries_of_an_older_generation_do_not_come_back() {
        for segment in both() {
            let mut writer = segment.claim();
            writer.append(header(1, 0), b"old one", || 0).unwrap();
            writer.append(header(2, 0), b"old two", || 0).unwrap();
            drop(writer);
            let segment = Arc::new(Segment::recycle(segment, 4).unwrap());
            let mut writer = segment.claim();
            let at = writer.append(header(9, 0), b"new one", || 0).unwrap();
            let next = at + segment.entry(at).unwrap().unwrap().0.entry_len();
            segment.published.store(segment.size, Ordering::Release); // as a recoverer sees it
            assert_eq!(segment.entry(next).unwrap(), None);
        }
    }

    #[test]
    #[should_panic(expected = "a segment has one writer")]
    fn a_second_writer_is_refused() {
        let segment = Arc::new(Segment::in_memory(8192, 1).unwrap());
        let _one = segment.claim();
        let _two = segment.claim();
    }
}
