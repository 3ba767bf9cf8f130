//! Standard mode, and what is left when no thread or spool can be had: the pushing thread does the work itself, and each
//! pair is in the log when the push that ends it returns.

use super::Cut;
use super::assembler::Assembler;
use crate::assembly::Recipe;
use crate::spool::chain::Chain;
use crate::stats::Counters;
use crate::writer::{Batch, Writer};
use std::sync::Arc;
use std::time::Instant;

/// Records of that many bytes may wait for a log that cannot be written; then the spool fills up.
const WAITING_BYTES: usize = 8 * 1024 * 1024;

/// The stages as one step.
#[derive(Debug)]
pub struct Inline {
    assembler: Assembler,
    recipe: Recipe,
    writer: Writer,
    batch: Batch,
    counters: Arc<Counters>,
    ticket: u64,
    /// A log that could not be written is not tried again by every push, but after this.
    not_before: Option<Instant>,
}

impl Inline {
    /// The stages, with nothing read yet.
    pub fn new(assembler: Assembler, recipe: Recipe, writer: Writer, counters: Arc<Counters>) -> Self {
        let batch = Batch::new(1, Arc::clone(&counters));
        Self { assembler, recipe, writer, batch, counters, ticket: 0, not_before: None }
    }

    /// Reads a chain from now on.
    pub fn attach(&mut self, chain: Arc<Chain>) {
        self.assembler.add_chain(chain);
    }

    /// Writes what is finished.
    pub fn pump(&mut self) {
        if self.not_before.is_none_or(|at| Instant::now() >= at) {
            self.work(None, false);
        }
    }

    /// Ends the open exchanges of a chain, without waiting for interceptors.
    pub fn cut(&mut self, cut: Cut) {
        self.work(Some(cut), false);
    }

    /// Writes what is finished, open exchanges of a chain too if so asked. Whether all of it is in the log.
    pub fn settle(&mut self, cut: Option<Cut>) -> bool {
        self.work(cut, true)
    }

    fn work(&mut self, cut: Option<Cut>, settles: bool) -> bool {
        let Self { assembler, recipe, batch, counters, ticket, .. } = self;
        let mut make = |finished| {
            counters.queued.add(1);
            batch.add(*ticket, recipe.make(finished, counters, || {}));
            *ticket += 1;
        };
        assembler.consume(&mut make);
        if let Some((chain, why)) = cut {
            assembler.cut(chain, why, &mut make);
        }
        if settles {
            assembler.settle(cut.and_then(|(chain, _)| chain), Instant::now(), &mut make);
        }
        let done = self.writer.write(&mut self.batch);
        self.not_before = done.err().map(|delay| Instant::now() + delay);
        self.writer.sync();
        done.is_ok()
    }

    /// Whether there is room for more records.
    pub fn has_room(&self) -> bool {
        self.batch.bytes() < WAITING_BYTES
    }
}
