//! From records to the log.
//!
//! Records come in with tickets, in which order the exchanges finished; workers may overtake each other, so they are put
//! back in order here. A batch is written when it has `write_buffer_size` records or [`BATCH_BYTES`], when its first
//! record has waited `write_buffer_flush_ms`, or when somebody waits for it. A write that fails is tried again after 50 ms,
//! doubling to 5 s, for as long as the process lives: the spool holds the exchanges, and keeps them for the next start.

mod batch;
pub mod log;

pub use batch::Batch;

use crate::disk::Disk;
use crate::error::Error;
use crate::notice::{Level, Notices};
use crate::spool::session::{Record, Session};
use crate::stats::Counters;
use log::{Log, Target};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A batch of this size does not wait for more.
pub const BATCH_BYTES: usize = 1024 * 1024;

/// Writes batches to the log, which it opens for the first of them.
#[derive(Debug)]
pub struct Writer {
    disk: Disk,
    target: Target,
    log: Option<Log>,
    session: Option<(Arc<Session>, Record)>,
    path: Arc<LogPath>,
    counters: Arc<Counters>,
    notices: Notices,
    /// The last write failed, and that has been said.
    failing: bool,
}

/// Where the log is, for whoever asks.
#[derive(Debug)]
pub struct LogPath(Mutex<PathBuf>);

impl LogPath {
    /// The path that will be tried first.
    pub fn planned(target: &Target) -> Arc<Self> {
        Arc::new(Self(Mutex::new(target.planned())))
    }

    /// The path as it is known now.
    pub fn get(&self) -> PathBuf {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, path: PathBuf) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = path;
    }
}

impl Writer {
    /// A writer that has not opened anything yet.
    pub fn new(
        disk: Disk,
        target: Target,
        session: Option<(Arc<Session>, Record)>,
        path: Arc<LogPath>,
        counters: Arc<Counters>,
        notices: Notices,
    ) -> Self {
        Self { disk, target, log: None, session, path, counters, notices, failing: false }
    }

    /// Writes a batch and lets go of what it was made from. After an error the batch is as it was.
    pub fn write(&mut self, batch: &mut Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        match self.try_write(batch) {
            Ok(bytes) => {
                self.counters.written.add(batch.records());
                self.counters.bytes_written.add(bytes);
                self.counters.flushes.add(1);
                if std::mem::take(&mut self.failing) {
                    self.notices
                        .say(Level::Warn, || format!("writing to {} again", self.path.get().display()));
                }
                batch.clear();
                Ok(())
            }
            Err(error) => {
                self.counters.retries.add(1);
                if !std::mem::replace(&mut self.failing, true) {
                    self.notices
                        .say(Level::Error, || format!("{error}; what is recorded is kept and tried again"));
                }
                Err(error)
            }
        }
    }

    fn try_write(&mut self, batch: &Batch) -> Result<u64, Error> {
        if self.log.as_ref().is_some_and(Log::is_gone) {
            self.log = None;
        }
        let log = match &mut self.log {
            Some(log) => log,
            None => {
                let log = Log::open(&self.disk, &self.target)?;
                self.path.set(log.path().to_owned());
                if let Some((session, record)) = &mut self.session {
                    record.log_file = Some(log.path().to_owned());
                    // Without it a recovery cannot look up intents, and would write twice: so it comes before any line.
                    session.update(record)?;
                }
                self.log.insert(log)
            }
        };
        log.append(batch.lines()).map_err(Error::io("write to", log.path()))
    }
}
