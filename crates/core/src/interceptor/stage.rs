//! All exchanges that interceptors watch. No thread, no clock: both belong to whoever runs it.

use super::changes::Changes;
use super::hooks::Outcome;
use super::intake::Shared;
use super::measure::Totals;
use super::registry::Watch;
use super::remote::Answer;
use super::watched::Watched;
use std::collections::HashMap;
use std::sync::Arc;

/// What an exchange is known by: its chain and its number there.
pub type Key = (u32, u64);

/// Watched exchanges, and what became of those that are over. Times are nanoseconds on one clock, that of the entries.
pub struct Stage {
    open: HashMap<Key, Watched>,
    serials: HashMap<u64, Key>,
    done: Vec<(Key, Option<Box<Changes>>)>,
    buffered: usize,
    next_ticket: u64,
    next_serial: u64,
    max_decoded_bytes: u64,
    totals: Arc<Totals>,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("open", &self.open.len())
            .field("buffered", &self.buffered)
            .finish_non_exhaustive()
    }
}

impl Stage {
    /// A stage without exchanges. Of a content-encoded body no more than `max_decoded_bytes` is decoded.
    pub fn new(totals: Arc<Totals>, max_decoded_bytes: usize) -> Self {
        Self {
            open: HashMap::new(),
            serials: HashMap::new(),
            done: Vec::new(),
            buffered: 0,
            next_ticket: 1,
            next_serial: 1,
            max_decoded_bytes: max_decoded_bytes as u64,
            totals,
        }
    }

    /// An exchange begins that `watch` is for. `is_decoded`: its body will come decoded, whatever its head says.
    pub fn request(&mut self, key: Key, watch: Watch, head: Vec<u8>, at: u64, is_decoded: bool, now: u64) {
        let serial = self.next_serial;
        self.next_serial += 1;
        let max = self.max_decoded_bytes;
        let watched =
            self.with_shared(now, |_, shared| Watched::new(serial, watch, head, at, is_decoded, max, shared));
        self.serials.insert(serial, key);
        self.open.insert(key, watched);
        self.change(key, now, |_, _| {});
    }

    /// A piece of the request's body. Wanted of what [`super::may_be_mcp`] alone.
    pub fn request_body(&mut self, key: Key, piece: &[u8], at: u64, now: u64) {
        self.change(key, now, |watched, shared| watched.request_body(piece, at, shared));
    }

    /// The request's body is whole. Without that it is when an answer comes.
    pub fn request_end(&mut self, key: Key, now: u64) {
        self.change(key, now, |watched, shared| watched.request_end(shared));
    }

    /// Its response's head.
    pub fn response(&mut self, key: Key, head: Vec<u8>, at: u64, now: u64) {
        self.change(key, now, |watched, shared| watched.response(head, at, shared));
    }

    /// A piece of its response's body.
    pub fn body(&mut self, key: Key, piece: &[u8], at: u64, now: u64) {
        self.change(key, now, |watched, shared| watched.body(piece, at, shared));
    }

    /// It is over.
    pub fn end(&mut self, key: Key, outcome: Outcome, at: u64, now: u64) {
        self.change(key, now, |watched, shared| watched.end(outcome, at, shared));
    }

    /// It is not to be watched any more: nothing comes of it.
    pub fn forget(&mut self, key: Key) {
        if let Some(mut watched) = self.open.remove(&key) {
            self.serials.remove(&watched.serial);
            self.with_shared(0, |_, shared| watched.release(shared));
        }
    }

    /// What became of a delivery.
    pub fn answer(&mut self, answer: Answer, now: u64) {
        if let Some(key) = self.serials.get(&answer.exchange).copied() {
            self.change(key, now, |watched, shared| watched.answer(answer, shared));
        }
    }

    /// Does what is due. When it is to be asked next; `None`: not before something happens.
    pub fn poll(&mut self, now: u64) -> Option<u64> {
        let due: Vec<Key> = self
            .open
            .iter()
            .filter(|(_, watched)| watched.due().is_some_and(|due| due <= now))
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            self.change(key, now, |_, _| {});
        }
        self.open.values().filter_map(Watched::due).min()
    }

    /// Those that are over, of one chain or of all, are waited for no longer.
    pub fn hurry(&mut self, chain: Option<u32>, now: u64) {
        let keys: Vec<Key> =
            self.open.keys().filter(|key| chain.is_none_or(|chain| chain == key.0)).copied().collect();
        for key in keys {
            self.change(key, now, |watched, shared| watched.hurry(shared.now));
        }
    }

    /// What became of exchanges that are over; `None`: no interceptor had a part in it.
    pub fn take_done(&mut self) -> Vec<(Key, Option<Box<Changes>>)> {
        std::mem::take(&mut self.done)
    }

    /// Whether an exchange is watched.
    pub fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// Bytes in batches.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    fn change(&mut self, key: Key, now: u64, change: impl FnOnce(&mut Watched, &mut Shared<'_>)) {
        let is_over = self.with_shared(now, |open, shared| {
            let Some(watched) = open.get_mut(&key) else { return false };
            change(watched, shared);
            watched.advance(shared)
        });
        if is_over && let Some(watched) = self.open.remove(&key) {
            self.serials.remove(&watched.serial);
            let changes = watched.finish(&self.totals);
            self.done.push((key, changes));
        }
    }

    fn with_shared<T>(
        &mut self,
        now: u64,
        act: impl FnOnce(&mut HashMap<Key, Watched>, &mut Shared<'_>) -> T,
    ) -> T {
        let Self { open, buffered, next_ticket, totals, .. } = self;
        act(open, &mut Shared { totals, buffered, next_ticket, now })
    }
}
