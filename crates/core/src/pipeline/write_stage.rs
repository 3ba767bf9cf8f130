//! The stage that writes: records in, in any order; batches out to the log, in the order of their tickets.
//!
//! Sleep: it waits for the first record of a batch, and then until the batch is due. The records in between wake it only when
//! they fill the batch or their queue, since a wake-up costs more than making a small record.

use super::gate::{Gate, UnderWay};
use crate::writer::log::Line;
use crate::writer::{BATCH_BYTES, Batch, Writer};
use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Message {
    /// A record and its ticket.
    Line(u64, Line),
    /// Look at `Progress::wanted`.
    Look,
}

/// What the writer has come to.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// All tickets below are in the log.
    pub(super) below: u64,
    /// Writes that have failed.
    pub(super) failures: u64,
}

/// How far the writer is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    state: Mutex<Written>,
    pub(super) changed: Condvar,
    /// Somebody waits for the tickets below this one: they are not to wait for a batch to fill.
    wanted: AtomicU64,
}

impl Progress {
    /// Has those below this ticket written without waiting for more.
    pub(super) fn want(&self, ticket: u64) {
        self.wanted.fetch_max(ticket, Ordering::AcqRel);
    }

    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, Written> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether so many records fill a batch.
pub(super) fn is_batch(under_way: UnderWay, batch_size: usize) -> bool {
    under_way.records >= batch_size || under_way.bytes >= BATCH_BYTES
}

/// What the thread works with.
pub(super) struct WriterStage {
    pub(super) writer: Writer,
    pub(super) batch: Batch,
    pub(super) lines: Receiver<Message>,
    pub(super) gate: Arc<Gate>,
    pub(super) progress: Arc<Progress>,
    pub(super) flush_after: Duration,
}

impl WriterStage {
    pub(super) fn run(&mut self) {
        let mut due: Option<Instant> = None;
        loop {
            let next = [due, self.writer.sync_due()].into_iter().flatten().min();
            let message = self.next_message(next);
            // Somebody waits for an answer, which a log that cannot be written has to give too.
            let mut asked = false;
            match message {
                Ok(Message::Line(ticket, line)) => {
                    self.batch.add(ticket, line);
                    asked = self.take_more();
                }
                Ok(Message::Look) => asked = true,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    // The last try: what is not written now stays in the spool.
                    let _ = self.flush();
                    self.writer.sync();
                    return;
                }
            }
            let now = Instant::now();
            if self.writer.sync_due().is_some_and(|at| now >= at) {
                self.writer.sync();
            }
            if self.batch.is_empty() {
                due = None;
                continue;
            }
            let late = now >= *due.get_or_insert(now + self.flush_after);
            let ready =
                late || asked || (!self.writer.is_failing() && (self.batch.is_full() || self.is_wanted()));
            if ready {
                due = self.flush().err().map(|delay| Instant::now() + delay);
            }
        }
    }

    /// Adds what else is there, up to a full batch. Whether somebody asks for an answer.
    fn take_more(&mut self) -> bool {
        let mut asked = false;
        while !self.batch.is_full()
            && let Ok(message) = self.lines.try_recv()
        {
            match message {
                Message::Line(ticket, line) => self.batch.add(ticket, line),
                Message::Look => asked = true,
            }
        }
        asked
    }

    /// The next message; a timeout when there is none by then.
    fn next_message(&self, next: Option<Instant>) -> Result<Message, RecvTimeoutError> {
        let Some(next) = next else { return self.lines.recv().map_err(|_| RecvTimeoutError::Disconnected) };
        if self.batch.is_empty() {
            return self.lines.recv_deadline(next);
        }
        match self.lines.try_recv() {
            Ok(message) => Ok(message),
            Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
            Err(TryRecvError::Empty) => {
                // Not in the channel, where each record would wake it. Whoever wakes it has sent before: nothing is missed.
                std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
                self.lines.try_recv().map_err(|error| match error {
                    TryRecvError::Empty => RecvTimeoutError::Timeout,
                    TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
                })
            }
        }
    }

    fn is_wanted(&self) -> bool {
        self.progress.lock().below < self.progress.wanted.load(Ordering::Acquire)
    }

    fn flush(&mut self) -> Result<(), Duration> {
        let under_way = UnderWay { records: self.batch.lines().len(), bytes: self.batch.bytes() };
        let done = self.writer.write(&mut self.batch);
        let mut state = self.progress.lock();
        if done.is_ok() {
            state.below = self.batch.next_ticket();
            self.gate.leave(under_way, state.below);
        } else {
            state.failures += 1;
        }
        self.progress.changed.notify_all();
        done
    }
}
