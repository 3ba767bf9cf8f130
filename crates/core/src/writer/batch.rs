//! Records on their way to one write.

use super::BATCH_BYTES;
use super::log::Line;
use crate::stats::Counters;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records put back in the order of their tickets, and gathered until there are enough for a write.
#[derive(Debug)]
pub struct Batch {
    /// Records whose turn has not come: a ticket before theirs is missing.
    early: BTreeMap<u64, Line>,
    /// The ticket whose turn it is.
    next: u64,
    lines: Vec<Line>,
    bytes: usize,
    size: usize,
    counters: Arc<Counters>,
}

impl Batch {
    /// A batch that is full with `size` records.
    pub fn new(size: usize, counters: Arc<Counters>) -> Self {
        Self { early: BTreeMap::new(), next: 0, lines: Vec::new(), bytes: 0, size, counters }
    }

    /// Adds the record of a ticket.
    pub fn add(&mut self, ticket: u64, line: Line) {
        self.counters.buffered.add(1);
        self.counters.buffered_bytes.add(line.bytes.len() as i64);
        self.early.insert(ticket, line);
        while let Some(line) = self.early.remove(&self.next) {
            self.next += 1;
            self.bytes += line.bytes.len();
            self.lines.push(line);
        }
    }

    /// The ticket whose turn it is: all before it are in the batch or written.
    pub fn next_ticket(&self) -> u64 {
        self.next
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether it need not wait for more.
    pub fn is_full(&self) -> bool {
        self.lines.len() >= self.size || self.bytes >= BATCH_BYTES
    }

    /// What is to be written.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Records among the lines; the others stand for exchanges of which there is none.
    pub fn records(&self) -> u64 {
        self.lines.iter().filter(|line| !line.bytes.is_empty()).count() as u64
    }

    /// Notes that an exchange which could not be made into a record has been kept.
    pub fn kept_dead(&mut self, index: usize) {
        self.lines[index].dead = None;
    }

    /// Forgets one line, of which others have taken care.
    pub fn give_up(&mut self, index: usize) {
        let line = &mut self.lines[index];
        self.counters.buffered_bytes.add(-(line.bytes.len() as i64));
        self.bytes -= line.bytes.len();
        line.bytes.clear();
        line.dead = None;
    }

    /// Its bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets what has been written.
    pub fn clear(&mut self) {
        let count = self.lines.len() as i64;
        self.counters.buffered.add(-count);
        self.counters.buffered_bytes.add(-(self.bytes as i64));
        self.counters.queued.add(-count);
        self.lines.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line { bytes: text.into(), place: None, holds: Vec::new(), dead: None }
    }

    #[test]
    fn records_leave_in_the_order_of_their_tickets() {
        let mut batch = Batch::new(10, Arc::default());
        for ticket in [2, 0, 3, 1] {
            batch.add(ticket, line(&ticket.to_string()));
        }
        let order: Vec<_> = batch.lines().iter().map(|l| l.bytes.clone()).collect();
        assert_eq!(order, [b"0", b"1", b"2", b"3"]);
    }

    #[test]
    fn a_missing_ticket_holds_back_what_comes_after_it() {
        let mut batch = Batch::new(1, Arc::default());
        batch.add(1, line("b"));
        assert!(batch.is_empty() && !batch.is_full());
        batch.add(0, line("a"));
        assert_eq!((batch.records(), batch.next_ticket()), (2, 2));
    }
}
