//! Leaves out events that came before, by their id. Equal events without ids are different events: two equal deltas in a
//! row are what a model said.

use crate::interceptor::{EventBatch, Failed, Interceptor};
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

/// Remembers the latest ids of its stream.
#[derive(Debug)]
pub struct Deduplicate {
    capacity: usize,
    hasher: RandomState,
    seen: HashSet<u64>,
    /// The oldest first.
    order: VecDeque<u64>,
    /// The id of the event before: it holds until another one is set, so an event that has the same is not known to have one.
    last: Vec<u8>,
}

impl Default for Deduplicate {
    /// 4096 ids: 100 KB.
    fn default() -> Self {
        Self::new(4096)
    }
}

impl Deduplicate {
    /// Remembers that many ids.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            hasher: RandomState::new(),
            seen: HashSet::new(),
            order: VecDeque::new(),
            last: Vec::new(),
        }
    }

    /// Whether an id was there before.
    fn is_known(&mut self, id: &[u8]) -> bool {
        let hash = self.hasher.hash_one(id);
        if !self.seen.insert(hash) {
            return true;
        }
        self.order.push_back(hash);
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        false
    }
}

impl Interceptor for Deduplicate {
    fn on_events(&mut self, batch: &mut EventBatch) -> Result<(), Failed> {
        let mut duplicates = Vec::new();
        for (index, event) in batch.iter().enumerate() {
            // Without an id of its own an event has that of the one before: then it says nothing of itself.
            if event.id.is_empty() || event.id == self.last {
                continue;
            }
            self.last.clear();
            self.last.extend_from_slice(event.id);
            if self.is_known(event.id) {
                duplicates.push(index);
            }
        }
        duplicates.into_iter().for_each(|index| batch.drop_duplicate(index));
        Ok(())
    }
}
