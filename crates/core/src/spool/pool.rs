//! Segments, used again and again. Up to `memory_pool_size` they live in the session's folder and stay mapped; past it
//! overflow segments are made on the log folder's disk, up to `max_spool_bytes`, and removed when they are free.

use super::root;
use super::segment::Segment;
use crate::config::{Config, WhenFull};
use crate::disk::Disk;
use crate::error::Result;
use crate::stats::Counters;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Warm segments that are kept ready: a body of the size of a segment crosses into a second one.
const READY: usize = 2;

/// Where segments come from and go back to.
#[derive(Debug)]
pub struct Pool {
    /// The session's folder; `None`: plain memory.
    folder: Option<PathBuf>,
    /// Where overflow goes; `None` where the pool is plain memory or already on the log folder's disk.
    overflow: Option<PathBuf>,
    disk: Disk,
    segment_bytes: usize,
    pooled_limit: usize,
    total_limit: usize,
    free: Mutex<Vec<Arc<Segment>>>,
    /// Segments in existence, free ones included.
    pooled: AtomicUsize,
    spilled: AtomicUsize,
    generation: AtomicU32,
    /// Nothing is used again any more.
    frozen: AtomicBool,
    counters: Arc<Counters>,
}

impl Pool {
    /// A pool with no segments yet.
    pub fn new(
        config: &Config,
        folder: Option<PathBuf>,
        overflow: Option<PathBuf>,
        counters: Arc<Counters>,
    ) -> Self {
        let segment_bytes = config.segment_bytes();
        let segments = |bytes: u64| (bytes / segment_bytes as u64).max(1) as usize;
        Self {
            folder,
            overflow,
            disk: config.disk.clone(),
            segment_bytes,
            pooled_limit: segments(config.memory_pool_size),
            total_limit: match config.when_full {
                WhenFull::Spill => segments(config.max_spool_bytes),
                WhenFull::DropNewest => segments(config.memory_pool_size),
            },
            free: Mutex::new(Vec::new()),
            pooled: AtomicUsize::new(0),
            spilled: AtomicUsize::new(0),
            generation: AtomicU32::new(0),
            frozen: AtomicBool::new(false),
            counters,
        }
    }

    /// A segment to write to; `None` when the limit is reached or the disk is full.
    pub fn take(&self) -> Option<Arc<Segment>> {
        if let Some(segment) = self.pop_free() {
            self.counters.pool_reused.add(1);
            return Some(segment);
        }
        self.map_pooled().or_else(|| self.map_overflow())
    }

    /// Maps and touches segments until enough are ready. Not for the JS thread.
    pub fn make_ready(&self) {
        while self.lock_free().len() < READY {
            let Some(segment) = self.map_pooled() else { return };
            segment.touch();
            self.lock_free().push(segment);
        }
    }

    /// Lets go of free segments beyond those that are kept ready. For quiet times.
    pub fn trim(&self) {
        let mut free = self.lock_free();
        let surplus = free.len().saturating_sub(READY);
        for segment in free.drain(..surplus) {
            if let Some(path) = segment.path() {
                let _ = std::fs::remove_file(path);
            }
            self.pooled.fetch_sub(1, Ordering::Relaxed);
            self.counters.trims.add(1);
        }
    }

    /// From now on segments stay as they are. The claims on them go with the threads that end, and do not say that what was
    /// in them is in the log.
    pub fn freeze(&self) {
        self.frozen.store(true, Ordering::SeqCst);
    }

    /// Takes back a segment of which nothing is needed any more.
    pub fn give_back(&self, segment: Arc<Segment>) {
        if self.frozen.load(Ordering::SeqCst) {
            return;
        }
        if !segment.is_spilled() {
            match Segment::recycle(segment, self.next_generation()) {
                Ok(segment) => self.lock_free().push(Arc::new(segment)),
                // Somebody still holds it, which `Hold` rules out, or its file cannot be written: leave it alone.
                Err(segment) => {
                    segment.clear();
                    self.pooled.fetch_sub(1, Ordering::Relaxed);
                }
            }
        } else {
            segment.clear();
            if let Some(path) = segment.path() {
                let _ = std::fs::remove_file(path);
            }
            self.spilled.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether fewer than half of the pooled segments are left.
    pub fn is_short(&self) -> bool {
        let in_use = self.pooled.load(Ordering::Relaxed)
            - self.lock_free().len().min(self.pooled.load(Ordering::Relaxed));
        in_use * 2 > self.pooled_limit
    }

    /// Share of the pool that holds entries, 0 to 1.
    pub fn utilization(&self) -> f64 {
        let pooled = self.pooled.load(Ordering::Relaxed);
        let in_use = pooled.saturating_sub(self.lock_free().len()) + self.spilled.load(Ordering::Relaxed);
        (in_use as f64 / self.pooled_limit as f64).min(1.0)
    }

    /// Segments in existence.
    pub fn segments(&self) -> usize {
        self.pooled.load(Ordering::Relaxed) + self.spilled.load(Ordering::Relaxed)
    }

    /// Their bytes.
    pub fn bytes(&self) -> usize {
        self.segments() * self.segment_bytes
    }

    fn pop_free(&self) -> Option<Arc<Segment>> {
        self.lock_free().pop()
    }

    fn lock_free(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Segment>>> {
        // A list of whole segments is in order whatever its holder did when it panicked.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn map_pooled(&self) -> Option<Arc<Segment>> {
        let made = reserve(&self.pooled, self.pooled_limit)?;
        let segment = self.map(self.folder.as_deref());
        self.settle(segment, made, &self.counters.pool_mapped)
    }

    fn map_overflow(&self) -> Option<Arc<Segment>> {
        let folder = self.overflow.as_deref().or(self.folder.as_deref());
        let made = reserve(&self.spilled, self.total_limit.saturating_sub(self.pooled_limit))?;
        if let Some(folder) = &self.overflow {
            let _ = root::prepare(&self.disk, folder);
        }
        let segment = self.map(folder).map(Segment::spilled);
        self.settle(segment, made, &self.counters.spills)
    }

    fn settle(
        &self,
        segment: Result<Segment>,
        reserved: &AtomicUsize,
        counter: &crate::stats::Counter,
    ) -> Option<Arc<Segment>> {
        match segment {
            Ok(segment) => {
                counter.add(1);
                Some(Arc::new(segment))
            }
            Err(error) => {
                tracing::warn!(%error, "no spool segment");
                reserved.fetch_sub(1, Ordering::Relaxed);
                None
            }
        }
    }

    fn map(&self, folder: Option<&Path>) -> Result<Segment> {
        let generation = self.next_generation();
        let Some(folder) = folder else { return Segment::in_memory(self.segment_bytes, generation) };
        let path = folder.join(format!("{generation}.seg"));
        let file = root::create_file(&self.disk, &path)?;
        let bytes = self.segment_bytes;
        let made = root::allocate(&self.disk, &file, &path, bytes as u64)
            .and_then(|mapped| Segment::in_file(&self.disk, file, path.clone(), bytes, mapped, generation));
        if made.is_err() {
            let _ = std::fs::remove_file(&path);
        }
        made
    }

    fn next_generation(&self) -> u32 {
        // 0 means "free". After 2^32 uses of 1 MiB, 4 PiB of traffic, a stale entry could be taken for a new one.
        let next = self.generation.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if next == 0 { self.next_generation() } else { next }
    }
}

fn reserve(count: &AtomicUsize, limit: usize) -> Option<&AtomicUsize> {
    let below = |n: usize| (n < limit).then_some(n + 1);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).ok().map(|_| count)
}

/// A claim on a segment: it goes back to its pool when the last one is dropped.
#[derive(Debug)]
pub struct Hold(Arc<Held>);

#[derive(Debug)]
struct Held {
    /// Taken out when the last hold goes.
    segment: Option<Arc<Segment>>,
    pool: Option<Arc<Pool>>,
}

impl Hold {
    /// The first claim on a segment.
    pub fn new(segment: Arc<Segment>, pool: Arc<Pool>) -> Self {
        Self(Arc::new(Held { segment: Some(segment), pool: Some(pool) }))
    }

    /// A claim on a segment that belongs to no pool: one of an orphan.
    pub fn of_orphan(segment: Arc<Segment>) -> Self {
        Self(Arc::new(Held { segment: Some(segment), pool: None }))
    }

    /// The segment.
    pub fn segment(&self) -> &Arc<Segment> {
        self.0.segment.as_ref().expect("a segment is there until its last hold goes")
    }

    /// Whether both are claims on one segment.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Claims on this segment, this one included.
    pub fn count(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl Clone for Hold {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let (Some(segment), Some(pool)) = (self.segment.take(), self.pool.take()) {
            pool.give_back(segment);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(config: Config, folder: Option<PathBuf>) -> Arc<Pool> {
        Arc::new(Pool::new(&config, folder, None, Arc::default()))
    }

    fn small() -> Config {
        Config { memory_pool_size: 65536, max_spool_bytes: 131_072, ..Config::new("/nowhere") }
    }

    #[test]
    fn a_segment_that_nobody_holds_is_used_again() {
        let pool = pool(small(), None);
        let hold = Hold::new(pool.take().unwrap(), Arc::clone(&pool));
        let again = hold.clone();
        drop(hold);
        assert_eq!(pool.counters.pool_reused.get(), 0);
        drop(again);
        let segment = pool.take().unwrap();
        assert_eq!((pool.segments(), pool.counters.pool_reused.get()), (1, 1));
        assert_eq!(segment.generation(), 2, "under a new generation");
    }

    #[test]
    fn the_limit_holds_and_overflow_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let pool = pool(small(), Some(dir.path().to_owned()));
        let taken: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(taken.len(), 8, "131072 bytes in segments of 16384");
        assert_eq!(pool.counters.spills.get(), 4);
        assert_eq!(pool.bytes(), 131_072);
    }
}
