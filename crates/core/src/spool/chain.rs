//! The way in: one producer per JS environment, one reader for all of them.
//!
//! Pushing takes no lock that another thread can hold for long (the pool's list is locked for a `Vec::pop`, once per
//! segment) and makes no system call but to wake a parked reader.

use super::layout::{EntryHeader, FLAG_CONTINUES, FLAG_GAP, FLAG_INTENT};
use super::pool::{Hold, Pool};
use super::segment::SegmentWriter;
use crate::clock::{Clock, monotonic_nanos};
use crate::exchange::{Kind, Source};
use crate::stats::Counters;
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;

/// Lets the reader sleep, and producers wake it only when it does.
#[derive(Debug, Default)]
pub struct Waker {
    parked: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Waker {
    /// Names the thread to wake. Once.
    pub fn set_thread(&self, thread: Thread) {
        let _ = self.thread.set(thread);
    }

    /// Whether the reader said that it sleeps. The fence orders the entry before the look at `parked`; its twin in
    /// [`Self::park_unless`] orders `parked` before the reader's last look at the entries: one of the two sees the other.
    fn is_parked(&self) -> bool {
        fence(Ordering::SeqCst);
        self.parked.load(Ordering::Relaxed)
    }

    /// Wakes the reader from any sleep.
    pub fn wake(&self) {
        self.parked.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Sleeps until woken, unless there is something to read by now.
    pub fn park_unless(&self, anything: impl FnOnce() -> bool) {
        self.parked.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !anything() {
            std::thread::park();
        }
        self.parked.store(false, Ordering::Relaxed);
    }
}

/// What producer and reader of a chain share.
#[derive(Debug)]
pub struct Chain {
    /// The chain's number in its session.
    pub number: u32,
    /// Segments that the producer has begun and the reader has not, oldest first.
    handed_over: Mutex<VecDeque<Hold>>,
    /// The producer is gone.
    ended: AtomicBool,
    /// Exchanges of which an entry was dropped.
    lossy: Mutex<HashSet<u64>>,
}

impl Chain {
    /// A chain that nothing has been pushed into.
    pub fn new(number: u32) -> Arc<Self> {
        Arc::new(Self {
            number,
            handed_over: Mutex::default(),
            ended: AtomicBool::new(false),
            lossy: Mutex::default(),
        })
    }

    /// The next segment for the reader.
    pub fn next_segment(&self) -> Option<Hold> {
        self.handed_over.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Whether there is a next segment.
    pub fn has_segments(&self) -> bool {
        !self.handed_over.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whether entries of an exchange were dropped that no later entry could tell of. Forgets it.
    pub fn was_lossy(&self, exchange: u64) -> bool {
        self.lossy.lock().unwrap_or_else(PoisonError::into_inner).remove(&exchange)
    }

    /// Whether the producer is gone.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn hand_over(&self, segment: Hold) {
        self.handed_over.lock().unwrap_or_else(PoisonError::into_inner).push_back(segment);
    }
}

/// The writing end of a chain. Belongs to one thread.
#[derive(Debug)]
pub struct Producer {
    chain: Arc<Chain>,
    pool: Arc<Pool>,
    waker: Arc<Waker>,
    clock: Clock,
    counters: Arc<Counters>,
    writer: Option<SegmentWriter>,
    sequence: u64,
    exchanges: u64,
    /// Time of ours that came after an entry had been published, to be counted with the next one.
    late_ns: u64,
    /// Exchanges of which an entry was dropped that no later entry has told of yet.
    with_gap: HashSet<u64>,
}

/// Monotonic times of an entry: when the hook was entered, from which its cost is counted; and when what the entry tells of
/// happened.
#[derive(Clone, Copy)]
struct Times {
    started: u64,
    at: u64,
}

/// There was no room in the spool: the entry was dropped and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped;

impl Producer {
    /// The writing end of `chain`.
    pub fn new(
        chain: Arc<Chain>,
        pool: Arc<Pool>,
        waker: Arc<Waker>,
        clock: Clock,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            chain,
            pool,
            waker,
            clock,
            counters,
            writer: None,
            sequence: 0,
            exchanges: 0,
            late_ns: 0,
            with_gap: HashSet::new(),
        }
    }

    /// The chain it writes to.
    pub fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    /// Begins an exchange with its request head (already redacted). `asked` is when the request was made, `started` when
    /// the hook was entered, both on the monotonic clock. Gives the exchange's number.
    pub fn begin(&mut self, source: Source, head: &[u8], started: u64, asked: u64) -> Result<u64, Dropped> {
        let exchange = self.exchanges + 1;
        self.append(
            exchange,
            Kind::RequestHead,
            FLAG_INTENT,
            source as u8,
            head,
            Times { started, at: asked },
        )?;
        self.exchanges = exchange;
        self.counters.begun.add(1);
        Ok(exchange)
    }

    /// Adds to an exchange.
    pub fn push(&mut self, exchange: u64, kind: Kind, bytes: &[u8], started: u64) -> Result<(), Dropped> {
        let gap = !self.with_gap.is_empty() && self.with_gap.contains(&exchange);
        if kind.is_final() {
            self.counters.ended.add(1);
        }
        let done = self.append(
            exchange,
            kind,
            if gap { FLAG_GAP } else { 0 },
            0,
            bytes,
            Times { started, at: started },
        );
        match done {
            // The entry has told of it.
            Ok(()) if gap => {
                self.with_gap.remove(&exchange);
                self.chain.was_lossy(exchange);
            }
            Ok(()) => {}
            Err(Dropped) => {
                self.with_gap.insert(exchange);
                self.chain.lossy.lock().unwrap_or_else(PoisonError::into_inner).insert(exchange);
            }
        }
        done
    }

    fn append(
        &mut self,
        exchange: u64,
        kind: Kind,
        flags: u8,
        source: u8,
        mut payload: &[u8],
        Times { started, at }: Times,
    ) -> Result<(), Dropped> {
        let mut header = EntryHeader {
            generation: 0,
            exchange,
            sequence: 0,
            at: self.clock.wall(at),
            payload_len: 0,
            kind: kind as u8,
            flags,
            source,
            chain: self.chain.number,
            hook_ns: 0,
        };
        loop {
            let Some(writer) = &mut self.writer else {
                self.next_segment()?;
                continue;
            };
            let fits = writer.room(header.flags).is_some_and(|room| payload.len() <= room);
            let part =
                if fits { payload.len() } else { writer.split(header.flags, payload.len()).unwrap_or(0) };
            if !fits && part == 0 {
                self.next_segment()?;
                continue;
            }
            header.flags = if fits { header.flags & !FLAG_CONTINUES } else { header.flags | FLAG_CONTINUES };
            header.sequence = self.sequence;
            // The time is counted with the entry that completes the payload.
            let late = self.late_ns;
            let hook_ns = || {
                let spent = monotonic_nanos().saturating_sub(started) + late;
                if fits { spent.min(u64::from(u32::MAX)) as u32 } else { 0 }
            };
            if writer.append(header, &payload[..part], hook_ns).is_err() {
                // A file that cannot be written: go on in another segment.
                self.next_segment()?;
                continue;
            }
            self.sequence += 1;
            payload = &payload[part..];
            // Only the first part has a place for the intent.
            header.flags &= !(FLAG_INTENT | FLAG_GAP);
            if fits {
                break;
            }
        }
        self.late_ns = 0;
        if self.waker.is_parked() {
            let before = monotonic_nanos();
            self.waker.wake();
            self.late_ns = monotonic_nanos().saturating_sub(before);
        }
        Ok(())
    }

    fn next_segment(&mut self) -> Result<(), Dropped> {
        let Some(segment) = self.pool.take() else {
            self.counters.drops.add(1);
            return Err(Dropped);
        };
        let next = segment.claim();
        self.chain.hand_over(Hold::new(segment, Arc::clone(&self.pool)));
        // Handed over before it is sealed: a reader that sees the seal finds the next segment.
        if let Some(old) = self.writer.replace(next) {
            old.seal();
            self.waker.wake();
        }
        Ok(())
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.seal();
        }
        self.chain.ended.store(true, Ordering::Release);
        self.waker.wake();
    }
}
