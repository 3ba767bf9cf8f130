//! From records to the log.
//!
//! Records come in with tickets, in which order the exchanges finished; workers may overtake each other, so they are put
//! back in order here. A batch is written when it has `write_buffer_size` records or [`BATCH_BYTES`], when its first
//! record has waited `write_buffer_flush_ms`, or when somebody waits for it. A write that fails is tried again with
//! [`Backoff`]: the spool holds the exchanges meanwhile, and keeps them for the next start. What can never be written goes
//! to the [`dead`] letters.

mod backoff;
mod batch;
pub mod dead;
pub mod log;

pub use backoff::Backoff;
pub use batch::Batch;

use crate::config::{Config, Durability};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::notice::{Level, Notices};
use crate::spool::session::{Record, Session};
use crate::stats::Counters;
use dead::{Content, DeadLetters};
use log::{Log, Target};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A batch of this size does not wait for more.
pub const BATCH_BYTES: usize = 1024 * 1024;

/// Writes batches to the log, which it opens for the first of them.
#[derive(Debug)]
pub struct Writer {
    disk: Disk,
    target: Target,
    log: Option<Log>,
    dead_letters: DeadLetters,
    session: Option<(Arc<Session>, Record)>,
    /// To be waited for before the log is opened: a recovery may be completing it.
    before_open: Option<BeforeOpen>,
    path: Arc<LogPath>,
    counters: Arc<Counters>,
    notices: Notices,
    durability: Durability,
    /// The oldest write that has not been forced to the medium.
    unsynced: Option<Instant>,
    backoff: Backoff,
}

/// Waits for something.
pub struct BeforeOpen(pub Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for BeforeOpen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BeforeOpen")
    }
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
        config: &Config,
        target: Target,
        session: Option<(Arc<Session>, Record)>,
        before_open: BeforeOpen,
        path: Arc<LogPath>,
        counters: Arc<Counters>,
        notices: Notices,
    ) -> Self {
        let seed = target.started_at ^ u64::from(std::process::id());
        Self {
            disk: config.disk.clone(),
            dead_letters: DeadLetters::new(config.disk.clone(), &target.directory, &config.runtime_dir),
            target,
            log: None,
            session,
            before_open: Some(before_open),
            path,
            counters,
            notices,
            durability: config.durability,
            unsynced: None,
            backoff: Backoff::new(config.retry, seed),
        }
    }

    /// Writes a batch and lets go of what it was made from. After an error the batch is as it was, and `Err` says how long
    /// to wait before it is tried again.
    pub fn write(&mut self, batch: &mut Batch) -> Result<(), Duration> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut written = self.try_write(batch);
        if let Err(error) = &written {
            let delay = self.failed(error);
            if !self.backoff.is_exhausted() || !self.give_up(batch, &error.to_string()) {
                return Err(delay);
            }
            written = Ok(0);
        } else if self.backoff.is_failing() {
            self.notices.say(Level::Warn, || format!("writing to {} again", self.path.get().display()));
        }
        self.backoff.succeeded();
        self.counters.written.add(batch.records());
        self.counters.bytes_written.add(written.unwrap_or_default());
        self.counters.flushes.add(1);
        batch.clear();
        Ok(())
    }

    /// Whether the last write has failed.
    pub fn is_failing(&self) -> bool {
        self.backoff.is_failing()
    }

    /// When the log is to be forced to the medium.
    pub fn sync_due(&self) -> Option<Instant> {
        match self.durability {
            Durability::Interval(ms) => self.unsynced.map(|since| since + Duration::from_millis(ms)),
            Durability::Os | Durability::Always => None,
        }
    }

    /// Forces what was written to the medium. A failure is said and no more: the lines stand in the file, and writing them
    /// again would put them there twice.
    pub fn sync(&mut self) {
        if let (Some(log), Some(_)) = (&self.log, self.unsynced.take())
            && let Err(error) = log.sync()
        {
            self.notices
                .say(Level::Warn, || format!("cannot force {} to the disk: {error}", log.path().display()));
        }
    }

    fn failed(&mut self, error: &Error) -> Duration {
        self.counters.retries.add(1);
        if !self.backoff.is_failing() {
            self.notices.say(Level::Error, || format!("{error}; what is recorded is kept and tried again"));
        }
        self.backoff.failed()
    }

    fn try_write(&mut self, batch: &mut Batch) -> Result<u64> {
        self.keep_dead(batch)?;
        if self.log.as_ref().is_some_and(Log::is_gone) {
            self.log = None;
        }
        let log = match &mut self.log {
            Some(log) => log,
            None => {
                if let Some(BeforeOpen(wait)) = self.before_open.take() {
                    wait();
                }
                let session = &mut self.session;
                let log = Log::open(&self.disk, &self.target, |path| match session {
                    // A recovery looks up intents there: so the path is noted before the file has a line.
                    Some((session, record)) => {
                        record.log_file = Some(path.to_owned());
                        session.update(record)
                    }
                    None => Ok(()),
                })?;
                self.path.set(log.path().to_owned());
                self.log.insert(log)
            }
        };
        let written = log.append(batch.lines()).map_err(Error::io("write to", log.path()))?;
        if self.durability != Durability::Os {
            self.unsynced.get_or_insert_with(Instant::now);
        }
        if self.durability == Durability::Always {
            self.sync();
        }
        Ok(written)
    }

    /// Keeps what could not be made into records, before their lines are written.
    fn keep_dead(&mut self, batch: &mut Batch) -> Result<()> {
        let log = self.path.get();
        for index in 0..batch.lines().len() {
            if let Some((reason, exchange)) = &batch.lines()[index].dead {
                self.dead_letters.keep(&Content::Exchange(exchange), reason, 0, &log)?;
                self.counters.dead_letters.add(1);
                batch.kept_dead(index);
            }
        }
        Ok(())
    }

    /// Puts the batch to the dead letters. Whether that could be done.
    fn give_up(&mut self, batch: &mut Batch, reason: &str) -> bool {
        let log = self.path.get();
        let attempts = self.backoff.attempts();
        for index in 0..batch.lines().len() {
            let line = &batch.lines()[index];
            if line.bytes.is_empty() {
                continue;
            }
            let Ok(text) = std::str::from_utf8(&line.bytes) else { continue };
            match self.dead_letters.keep(&Content::Record(text), reason, attempts, &log) {
                Ok(_) => {
                    self.counters.dead_letters.add(1);
                    batch.give_up(index);
                }
                Err(_) => return false,
            }
        }
        true
    }
}
