//! Zero-latency mode: the three stages on threads of their own.
//!
//! ```text
//! producers ─► assembler ─jobs(256)─► workers ─lines(64) + gate(bytes)─► writer
//! ```
//! Every queue is bounded. A writer that stalls fills them from the right until the assembler stops reading; then the
//! spool grows to its limit, and past that entries are dropped and counted. The producers never wait.

use super::Cut;
use super::assembler::Assembler;
use super::crew::{Crew, Roster, Timing, Trade};
use super::gate::Gate;
use super::read_stage::{AssemblerStage, Command, Job};
use super::supervise::{Failure, supervise};
use super::turns::Turns;
use super::write_stage::{Message, Progress, WriterStage, is_batch};
use crate::assembly::Recipe;
use crate::config::Workers;
use crate::error::{Error, Result};
use crate::notice::Notices;
use crate::spool::chain::{Chain, Waker};
use crate::spool::pool::Pool;
use crate::stats::Counters;
use crate::writer::log::Line;
use crate::writer::{Batch, Writer};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded, unbounded};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Whoever waits for a thread looks that often whether it is still there.
const LOOK_AT_FAILURE: Duration = Duration::from_millis(50);
/// How long the assembler waits for interceptors when it settles. Remote ones are not asked any more: a local one may hang.
const INTERCEPTORS: Duration = Duration::from_millis(500);
const JOBS: usize = 256;
const LINES: usize = 64;

/// The running threads.
#[derive(Debug)]
pub struct Threads {
    /// Taken out when the threads are to end.
    queues: Mutex<Option<Queues>>,
    /// Of the assembler.
    waker: Arc<Waker>,
    writer: Arc<Waker>,
    progress: Arc<Progress>,
    /// Of assembler and writer.
    handles: Mutex<Vec<JoinHandle<()>>>,
    workers: Arc<Roster>,
    failure: Arc<Failure>,
}

#[derive(Clone, Debug)]
struct Queues {
    commands: Sender<Command>,
    lines: Sender<Message>,
}

/// What the threads are made of.
pub struct Parts {
    /// Reads the chains.
    pub assembler: Assembler,
    /// For making segments ready ahead of need.
    pub pool: Arc<Pool>,
    /// Makes records.
    pub recipe: Recipe,
    /// Writes them.
    pub writer: Writer,
    /// How many threads make records.
    pub workers: Workers,
    /// Records in a batch.
    pub batch_size: usize,
    /// How long a record may wait for others.
    pub flush_after: Duration,
    /// Bytes of records under way.
    pub record_bytes: usize,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Where panics are told.
    pub notices: Notices,
}

impl Threads {
    /// Starts them. When one cannot be started, those before it end by themselves: their queues are closed.
    pub fn start(parts: Parts, waker: Arc<Waker>) -> Result<Self> {
        let Parts { assembler, pool, recipe, writer, workers, batch_size, flush_after, record_bytes, .. } =
            parts;
        let (commands, commands_in) = unbounded();
        let (lines, lines_in) = bounded(LINES);
        let progress = Arc::new(Progress::default());
        let gate = Arc::new(Gate::new(record_bytes));
        let mut handles = Vec::with_capacity(2);
        let (counters, notices) = (parts.counters, parts.notices);
        let failure = Arc::<Failure>::default();
        let supervised = |name: &'static str| (name, Arc::clone(&failure), notices.clone());

        let stage = WriterStage {
            writer,
            batch: Batch::new(batch_size, Arc::clone(&counters)),
            lines: lines_in,
            gate: Arc::clone(&gate),
            progress: Arc::clone(&progress),
            flush_after,
        };
        let (name, failed, tell) = supervised("ct-writer");
        let handle = spawn(name.into(), move || supervise(name, &failed, &tell, stage, WriterStage::run))?;
        let writer_waker = Arc::<Waker>::default();
        writer_waker.set_thread(handle.thread().clone());
        handles.push(handle);
        let (of_workers, of_gate) = (lines.clone(), Arc::clone(&gate));
        let writer_of_workers = Arc::clone(&writer_waker);
        let (workers_counters, turns) = (Arc::clone(&counters), Turns::default());
        let work = move |(ticket, finished): Job| {
            let turn = turns.take(ticket);
            let make = || recipe.make(finished, &workers_counters, || turn.wait_for_earlier());
            let (line, panic) = match catch_unwind(AssertUnwindSafe(make)) {
                Ok(line) => (line, None),
                Err(panic) => {
                    workers_counters.failed.add(1);
                    // The writer waits for each ticket.
                    (Line { bytes: Vec::new(), place: None, holds: Vec::new(), dead: None }, Some(panic))
                }
            };
            // Before the gate, where it may have to wait for the writer.
            drop(turn);
            let under_way = of_gate.enter(ticket, line.bytes.len());
            // Fails when the writer is gone: then the spool keeps the exchange for the next start.
            let _ = of_workers.send(Message::Line(ticket, line));
            if is_batch(under_way, batch_size) || of_workers.len() >= LINES / 2 {
                writer_of_workers.wake();
            }
            if let Some(panic) = panic {
                resume_unwind(panic);
            }
        };
        let is_held_up = move || gate.is_half_full();
        let trade = Trade {
            work: Box::new(work),
            is_held_up: Box::new(is_held_up),
            now: Box::new(Instant::now),
            notices: notices.clone(),
        };
        let jobs = Crew::start(workers, JOBS, Timing::default(), trade)?;
        let workers = jobs.roster();
        let (progress_of_writer, to_writer) = (Arc::clone(&progress), lines.clone());
        let stage = AssemblerStage {
            assembler,
            progress: progress_of_writer,
            lines: to_writer,
            writer: Arc::clone(&writer_waker),
            pool,
            commands: commands_in,
            jobs,
            counters,
            ticket: 0,
        };
        let reader = Arc::clone(&waker);
        let (name, failed, tell) = supervised("ct-assembler");
        let run = move || supervise(name, &failed, &tell, stage, |stage| stage.run(&reader));
        let handle = spawn(name.into(), run)?;
        waker.set_thread(handle.thread().clone());
        handles.push(handle);
        let queues = Mutex::new(Some(Queues { commands, lines }));
        Ok(Self {
            queues,
            waker,
            writer: writer_waker,
            progress,
            handles: Mutex::new(handles),
            workers,
            failure,
        })
    }

    /// Reads a chain from now on.
    pub fn attach(&self, chain: Arc<Chain>) {
        self.command(Command::Attach(chain));
    }

    /// Waits until all that has been pushed up to now is in the log: `true`. `false`: it was not by the deadline, or the
    /// log was tried and cannot be written, which is no reason to keep a host waiting.
    pub fn settle(&self, cut: Option<Cut>, deadline: Instant) -> bool {
        // Whoever asks may not wait at all (an environment that was terminated): what it leaves is to be whole all the same.
        let until = Instant::now() + INTERCEPTORS;
        let Some(ticket) = self.ask(deadline, |reply| Command::Settle { cut, until, reply }) else {
            return false;
        };
        let mut state = self.progress.lock();
        let failures = state.failures;
        self.progress.want(ticket);
        // If there is no room the writer is at work, and looks at `wanted` before it waits again.
        if let Some(Queues { lines, .. }) = self.queues() {
            let _ = lines.try_send(Message::Look);
        }
        self.writer.wake();
        while state.below < ticket {
            let left = deadline.checked_duration_since(Instant::now());
            let Some(left) = left.filter(|_| state.failures == failures && !self.has_failed()) else {
                return false;
            };
            let left = left.min(LOOK_AT_FAILURE);
            state = self.progress.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Ends the open exchanges of a chain. Returns when their interceptors are about to be told, or at the deadline.
    pub fn cut(&self, cut: Cut, deadline: Instant) {
        self.ask(deadline, |reply| Command::Cut { cut, reply });
    }

    /// What the assembler answers to a command; `None`: nothing by the deadline.
    fn ask(&self, deadline: Instant, command: impl FnOnce(Sender<u64>) -> Command) -> Option<u64> {
        let (reply, answer) = bounded(1);
        self.command(command(reply));
        loop {
            match answer.recv_deadline(deadline.min(Instant::now() + LOOK_AT_FAILURE)) {
                Ok(ticket) => return Some(ticket),
                Err(RecvTimeoutError::Timeout) if !self.has_failed() && Instant::now() < deadline => {}
                Err(_) => return None,
            }
        }
    }

    /// Whether a thread has panicked beyond help.
    pub fn has_failed(&self) -> bool {
        self.failure.is_set()
    }

    /// Ends the threads and waits for them. Only after all has been settled: else this waits for a stalled disk.
    pub fn stop(&self) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.waker.wake();
        let handles = std::mem::take(&mut *self.handles.lock().unwrap_or_else(PoisonError::into_inner));
        for handle in handles {
            let _ = handle.join();
        }
        self.workers.join();
    }

    /// Threads that make records now.
    pub fn workers(&self) -> usize {
        self.workers.running()
    }

    fn queues(&self) -> Option<Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn command(&self, command: Command) {
        if let Some(Queues { commands, .. }) = self.queues() {
            // Fails when the thread is gone, and then whoever waits for its answer hears that.
            let _ = commands.send(command);
            self.waker.wake();
        }
    }
}

pub(super) fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name(name.clone()).stack_size(512 * 1024);
    thread.spawn(run).map_err(|source| Error::Thread { name, source })
}
