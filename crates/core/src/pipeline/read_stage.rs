//! The stage that reads: entries of all chains in, finished exchanges out to whoever makes records of them.
//!
//! Sleep: while entries come in it looks every [`POLL`] and producers need not wake it. After [`QUIET_POLLS`] looks without
//! anything new it parks, and the next entry wakes it: an idle process has no timers.

use super::Cut;
use super::assembler::Assembler;
use super::crew::Crew;
use super::write_stage::{Message, Progress};
use crate::assembly::Finished;
use crate::spool::chain::{Chain, Waker};
use crate::spool::pool::Pool;
use crate::stats::Counters;
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use std::sync::Arc;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(10);
const QUIET_POLLS: u32 = 20;
/// Share of the pool from which on records are not held back for a fuller batch.
const PRESSURE: f64 = 0.9;

/// What the assembler is asked to do besides reading.
#[derive(Debug)]
pub(super) enum Command {
    /// Read this chain too.
    Attach(Arc<Chain>),
    /// Read all that is there, end the open exchanges of a chain if so asked, and say which ticket comes next.
    Settle { cut: Option<Cut>, until: Instant, reply: Sender<u64> },
    /// Read all that is there and end the open exchanges of a chain, without waiting for interceptors.
    Cut { cut: Cut, reply: Sender<u64> },
}

/// An exchange whose record is to be made, and its place in the log.
pub(super) type Job = (u64, Finished);

/// What the thread works with.
pub(super) struct AssemblerStage {
    pub(super) assembler: Assembler,
    pub(super) progress: Arc<Progress>,
    pub(super) lines: Sender<Message>,
    pub(super) writer: Arc<Waker>,
    pub(super) pool: Arc<Pool>,
    pub(super) commands: Receiver<Command>,
    pub(super) jobs: Crew<Job>,
    pub(super) counters: Arc<Counters>,
    /// Of the next exchange that finishes.
    pub(super) ticket: u64,
}

impl AssemblerStage {
    pub(super) fn run(&mut self, waker: &Waker) {
        let mut quiet = 0;
        self.pool.make_ready();
        loop {
            let mut busy = self.read();
            loop {
                match self.commands.try_recv() {
                    Ok(command) => {
                        self.obey(command);
                        busy = true;
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            busy |= self.assembler.is_waiting();
            if busy {
                self.pool.make_ready();
                if self.pool.utilization() > PRESSURE {
                    self.hurry_writer();
                }
                quiet = 0;
            } else {
                quiet += 1;
            }
            if quiet < QUIET_POLLS {
                std::thread::park_timeout(POLL);
            } else {
                self.pool.trim();
                waker.park_unless(|| self.assembler.has_more() || !self.commands.is_empty());
                quiet = 0;
            }
        }
    }

    /// Has written what is ready, so that its segments come back.
    fn hurry_writer(&self) {
        self.progress.want(self.ticket);
        let _ = self.lines.try_send(Message::Look);
        self.writer.wake();
    }

    fn read(&mut self) -> bool {
        let Self { assembler, jobs, counters, ticket, .. } = self;
        assembler.consume(|finished| submit(jobs, counters, ticket, finished))
    }

    fn cut(&mut self, (chain, why): Cut) {
        let Self { assembler, jobs, counters, ticket, .. } = self;
        assembler.cut(chain, why, |finished| submit(jobs, counters, ticket, finished));
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Attach(chain) => self.assembler.add_chain(chain),
            Command::Settle { cut, until, reply } => {
                self.read();
                if let Some(cut) = cut {
                    self.cut(cut);
                }
                let chain = cut.and_then(|(chain, _)| chain);
                let Self { assembler, jobs, counters, ticket, .. } = self;
                assembler.settle(chain, until, |finished| submit(jobs, counters, ticket, finished));
                let _ = reply.send(self.ticket);
            }
            Command::Cut { cut, reply } => {
                self.read();
                self.cut(cut);
                let _ = reply.send(self.ticket);
            }
        }
    }
}

fn submit(jobs: &mut Crew<Job>, counters: &Counters, ticket: &mut u64, finished: Finished) {
    counters.queued.add(1);
    jobs.submit((*ticket, finished));
    *ticket += 1;
}
