//! Reads entries from all chains and gives finished exchanges to the workers.

use super::tap::Tap;
use crate::assembly::{Applied, Finished, Open, Table};
use crate::exchange::Kind;
use crate::spool::chain::Chain;
use crate::spool::layout::{
    EntryHeader, FLAG_CONTINUES, Intent, IntentState, SEGMENT_HEADER_LEN, payload_crc,
};
use crate::spool::pool::{Hold, Pool};
use crate::spool::segment::SegmentWriter;
use crate::stats::{Counters, Latencies};
use std::sync::Arc;
use std::time::Instant;

/// A segment with less than this share of bytes of open exchanges is copied forward when the pool is short.
const WORTH_COPYING: usize = 4;

/// Where a reader is in a chain.
#[derive(Debug)]
struct Reader {
    chain: Arc<Chain>,
    segment: Option<Hold>,
    position: usize,
}

impl Reader {
    fn has_more(&self) -> bool {
        match &self.segment {
            Some(hold) => hold.segment().published() > self.position || hold.segment().is_sealed(),
            None => self.chain.has_segments(),
        }
    }
}

/// The state between entries and finished exchanges. One thread's, or behind a lock in standard mode.
#[derive(Debug)]
pub struct Assembler {
    readers: Vec<Reader>,
    state: State,
}

/// What reading changes, but for where the readers are.
#[derive(Debug)]
struct State {
    table: Table,
    tap: Tap,
    pool: Arc<Pool>,
    carry: Option<SegmentWriter>,
    carry_hold: Option<Hold>,
    counters: Arc<Counters>,
    latencies: Arc<Latencies>,
    request_ns: Vec<u64>,
    chunk_ns: Vec<u64>,
}

impl Assembler {
    /// An assembler that reads nothing yet.
    pub fn new(pool: Arc<Pool>, tap: Tap, counters: Arc<Counters>, latencies: Arc<Latencies>) -> Self {
        let state = State {
            table: Table::default(),
            tap,
            pool,
            carry: None,
            carry_hold: None,
            counters,
            latencies,
            request_ns: Vec::new(),
            chunk_ns: Vec::new(),
        };
        Self { readers: Vec::new(), state }
    }

    /// Adds a chain to those that are read.
    pub fn add_chain(&mut self, chain: Arc<Chain>) {
        self.readers.push(Reader { chain, segment: None, position: 0 });
    }

    /// Whether there are entries that have not been read.
    pub fn has_more(&self) -> bool {
        self.readers.iter().any(Reader::has_more)
    }

    /// Reads all that is there. Gives each finished exchange to `finish`. Tells whether there was anything.
    pub fn consume(&mut self, mut finish: impl FnMut(Finished)) -> bool {
        let mut any = false;
        // Readers stay where they are: a panic in between must leave their claims.
        let Self { readers, state } = self;
        for index in 0..readers.len() {
            while state.step(readers, index, &mut finish) {
                any = true;
            }
        }
        state.measure();
        state.tap.collect(finish);
        any
    }

    /// Whether exchanges are kept back for their interceptors: then [`Self::consume`] is to be called though nothing comes.
    pub fn is_waiting(&self) -> bool {
        self.state.tap.is_waiting()
    }

    /// Finishes what is kept back, of one chain or of all, waiting no longer than until then.
    pub fn settle(&mut self, chain: Option<u32>, until: Instant, finish: impl FnMut(Finished)) {
        self.state.tap.settle(chain, until, finish);
    }

    /// Ends the open exchanges of one chain, or of all.
    pub fn cut(&mut self, chain: Option<u32>, why: &'static str, mut finish: impl FnMut(Finished)) {
        for mut finished in self.state.table.cut(chain, why) {
            let number = finished.open.number;
            if self.readers.iter().any(|r| r.chain.number == finished.open.chain && r.chain.was_lossy(number))
            {
                finished.open.mark_gap();
            }
            self.state.closed(&finished.open);
            if let Some(finished) = self.state.tap.finished(finished) {
                finish(finished);
            }
        }
        self.state.measure();
        // What has been read to its end is needed no more, now that it has been asked for gaps.
        self.readers.retain(|r| r.segment.is_some() || !r.chain.has_ended() || r.chain.has_segments());
    }
}

impl State {
    fn measure(&mut self) {
        if !self.request_ns.is_empty() || !self.chunk_ns.is_empty() {
            self.latencies.record(self.request_ns.drain(..), self.chunk_ns.drain(..));
        }
    }

    fn step(&mut self, readers: &mut [Reader], index: usize, finish: &mut impl FnMut(Finished)) -> bool {
        let reader = &mut readers[index];
        let Some(hold) = &reader.segment else {
            reader.segment = reader.chain.next_segment();
            reader.position = SEGMENT_HEADER_LEN;
            return reader.segment.is_some();
        };
        let segment = hold.segment();
        // Looked at before the entries: what was published before the seal is seen after it.
        let sealed = segment.is_sealed();
        match segment.entry(reader.position) {
            Ok(Some((header, _))) => {
                self.take_in(hold, reader.position, &header, finish);
                reader.position += header.entry_len();
                true
            }
            Ok(None) if sealed => {
                reader.segment = None;
                if self.pool.is_short() {
                    self.copy_forward(readers);
                }
                true
            }
            Ok(None) => false,
            Err(why) => {
                // Our own memory is not what we wrote: go on with what comes after it.
                tracing::error!(why, "an entry of the spool is damaged");
                self.counters.damaged.add(1);
                reader.position = segment.published();
                true
            }
        }
    }

    fn take_in(&mut self, hold: &Hold, at: usize, header: &EntryHeader, finish: &mut impl FnMut(Finished)) {
        let segment = hold.segment();
        let start = at + header.payload_offset();
        if segment.path().is_some()
            && let Ok(payload) = segment.read(start, start + header.payload_len as usize)
        {
            let _ = segment.set_payload_crc(at, payload_crc(&payload));
        }
        if header.kind == Kind::ResponseBody as u8 && header.flags & FLAG_CONTINUES == 0 {
            self.chunk_ns.push(u64::from(header.hook_ns));
        }
        let applied = self.table.apply(hold, at, header);
        if self.tap.is_interested() {
            self.tap.entry(hold, at, header);
        }
        match applied {
            Applied::Nothing => {}
            Applied::Opened => self.counters.open.add(1),
            Applied::Abandoned(open) => {
                // Before its claims go: a head without its end would come back as a pair.
                open.mark_done();
                self.counters.open.add(-1);
                self.counters.abandoned.add(1);
            }
            Applied::Finished(finished) => {
                self.closed(&finished.open);
                if let Some(finished) = self.tap.finished(*finished) {
                    finish(finished);
                }
            }
        }
    }

    fn closed(&mut self, open: &Open) {
        self.counters.open.add(-1);
        self.request_ns.push(open.hook_ns);
    }

    /// Copies what open exchanges have in nearly empty segments to a segment of our own, so that those can be freed: a
    /// stream that stays open for an hour would otherwise hold every segment in which it ever had a byte.
    fn copy_forward(&mut self, readers: &[Reader]) {
        let mut live: Vec<(Hold, usize)> = Vec::new();
        for open in self.table.iter_mut() {
            let mut bytes = vec![0; open.holds.len()];
            open.spans_mut()
                .for_each(|(_, span)| bytes[span.hold as usize] += (span.end - span.entry) as usize);
            for (hold, bytes) in open.holds.iter().zip(bytes) {
                match live.iter_mut().find(|(known, _)| known.is_same(hold)) {
                    Some((_, sum)) => *sum += bytes,
                    None => live.push((hold.clone(), bytes)),
                }
            }
        }
        let being_read: Vec<Hold> =
            readers.iter().filter_map(|r| r.segment.clone()).chain(self.carry_hold.clone()).collect();
        live.retain(|(hold, bytes)| {
            hold.segment().is_sealed()
                && bytes * WORTH_COPYING < hold.segment().size()
                && !being_read.iter().any(|read| read.is_same(hold))
        });
        for (hold, _) in live {
            if !self.carry_all(&hold) {
                return;
            }
        }
    }

    fn carry_all(&mut self, from: &Hold) -> bool {
        let Self { table, pool, carry, carry_hold, counters, .. } = self;
        table.iter_mut().filter(|open| open.holds.iter().any(|hold| hold.is_same(from))).all(|open| {
            let old_head = open.intent_place().filter(|(hold, _)| hold.is_same(from)).map(|(_, at)| at);
            let moved = open.relocate(from, |entry| {
                let (hold, at, length) = carry_one(pool, carry, carry_hold, from, entry)?;
                counters.copied_forward.add(length as u64);
                Some((hold, at))
            });
            let has_left = open.intent_place().is_none_or(|(hold, _)| !hold.is_same(from));
            if let Some(head) = old_head.filter(|_| has_left) {
                // The segment may live on for the sake of others, and must not speak for this exchange any more.
                let _ = from.segment().set_intent(head, &Intent::without_line(IntentState::Moved));
            }
            moved
        })
    }
}

/// Copies one entry, with its own sequence number, to the end of the carry segment.
fn carry_one(
    pool: &Arc<Pool>,
    carry: &mut Option<SegmentWriter>,
    carry_hold: &mut Option<Hold>,
    from: &Hold,
    entry: usize,
) -> Option<(Hold, usize, usize)> {
    let (header, _) = from.segment().entry(entry).ok()??;
    let start = entry + header.payload_offset();
    let payload = from.segment().read(start, start + header.payload_len as usize).ok()?;
    let fits = |writer: &SegmentWriter| writer.room(header.flags).is_some_and(|room| payload.len() <= room);
    if !carry.as_ref().is_some_and(fits) {
        let segment = pool.take()?;
        if let Some(old) = carry.replace(segment.claim()) {
            old.seal();
        }
        *carry_hold = Some(Hold::new(segment, Arc::clone(pool)));
    }
    let writer = carry.as_mut().filter(|writer| fits(writer))?;
    let at = writer.append(header, &payload, || header.hook_ns).ok()?;
    let _ = writer.segment().set_payload_crc(at, payload_crc(&payload));
    Some((carry_hold.clone()?, at, payload.len()))
}
