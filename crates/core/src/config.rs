//! What the engine can be told. The guest's options are validated in `lib/config.js`, where they can name the field or
//! variable they came from; [`Config::validate`] holds for every other way in.

use crate::disk::Disk;
use crate::error::{Error, Result};
use std::path::PathBuf;

/// Settings of one pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Folder of the log, absolute.
    pub log_directory: PathBuf,
    /// The log's name without `.jsonl`; by default `log-YYYY-MM-DD-HH-MM-SS` (UTC).
    pub log_base_name: Option<String>,
    /// Threads do the work (`true`), or each pair is written through by the pushing thread (`false`).
    pub zero_latency: bool,
    /// Threads that decode bodies and make records.
    pub background_workers: Workers,
    /// Records gathered before a write.
    pub write_buffer_size: usize,
    /// How long a record may wait for others, milliseconds.
    pub write_buffer_flush_ms: u64,
    /// Bytes of spool that are kept mapped and used again.
    pub memory_pool_size: u64,
    /// Bytes of spool, overflow included, past which new entries are dropped and counted.
    pub max_spool_bytes: u64,
    /// A body that would decode to more than this is kept encoded.
    pub max_decoded_bytes: usize,
    /// Messages, tokens and times of streams are left to the reader of the log (`true`), or written into the records.
    pub deferred_parsing: bool,
    /// What happens to entries when the pool is full.
    pub when_full: WhenFull,
    /// When the log is forced to the medium.
    pub durability: Durability,
    /// How a failed write is tried again.
    pub retry: Retry,
    /// Folder of the spool; by default chosen where a session is made.
    pub spool_dir: Option<PathBuf>,
    /// The user's folder in shared memory, where spools live or are registered; by default [`runtime_dir`].
    pub runtime_dir: PathBuf,
    /// The way to files; tests make it fail.
    pub disk: Disk,
}

/// How many threads make records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// So many.
    Fixed(usize),
    /// As many as the queue needs: one, and more while it is behind.
    Auto,
}

/// What happens to entries when the pool is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// They go to overflow segments, up to `max_spool_bytes`; past those they are dropped and counted.
    Spill,
    /// They are dropped and counted.
    DropNewest,
}

/// When the log is forced to the medium. Whatever it is, the death of the process costs nothing; this is about power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the system sees fit.
    Os,
    /// At most that many milliseconds after a write.
    Interval(u64),
    /// With each write.
    Always,
}

/// How a failed write is tried again: after `base_delay_ms`, doubling to `max_delay_ms`, each shortened by up to half at
/// random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts after which records go to the dead letters; 0: no limit, the spool holds what cannot be written.
    pub max_attempts: u32,
    /// Before the first repetition.
    pub base_delay_ms: u64,
    /// The longest.
    pub max_delay_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { max_attempts: 0, base_delay_ms: 50, max_delay_ms: 5000 }
    }
}

/// 10 MiB.
pub const DEFAULT_MEMORY_POOL_SIZE: u64 = 10 * 1024 * 1024;
/// 512 MiB: what a disk stalled for a minute collects at 8 MB/s.
pub const DEFAULT_MAX_SPOOL_BYTES: u64 = 512 * 1024 * 1024;
/// 256 MiB: V8 cannot read back a longer string than 512 MiB, and escapes can double it.
pub const DEFAULT_MAX_DECODED_BYTES: usize = 256 * 1024 * 1024;

/// The user's folder in shared memory: costs no disk, and outlives the process.
pub fn runtime_dir() -> PathBuf {
    PathBuf::from(format!("/dev/shm/claude-trace-{}", rustix::process::geteuid().as_raw()))
}

impl Config {
    /// The defaults, for a log in `log_directory`.
    pub fn new(log_directory: impl Into<PathBuf>) -> Self {
        Self {
            log_directory: log_directory.into(),
            log_base_name: None,
            zero_latency: true,
            background_workers: Workers::Fixed(1),
            write_buffer_size: 100,
            write_buffer_flush_ms: 100,
            memory_pool_size: DEFAULT_MEMORY_POOL_SIZE,
            max_spool_bytes: DEFAULT_MAX_SPOOL_BYTES,
            max_decoded_bytes: DEFAULT_MAX_DECODED_BYTES,
            deferred_parsing: true,
            when_full: WhenFull::Spill,
            durability: Durability::Os,
            retry: Retry::default(),
            spool_dir: None,
            runtime_dir: runtime_dir(),
            disk: Disk::default(),
        }
    }

    /// Says which value is not allowed, if one is not.
    pub fn validate(&self) -> Result<()> {
        let wrong = |field, value: &dyn std::fmt::Debug, allowed| {
            Err(Error::Config { field, value: format!("{value:?}"), allowed })
        };
        if !self.log_directory.is_absolute() {
            return wrong("logDirectory", &self.log_directory, "an absolute path");
        }
        if let Some(name) = &self.log_base_name
            && (name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', '\0']))
        {
            return wrong("logBaseName", name, "a plain file name");
        }
        if let Workers::Fixed(number) = self.background_workers
            && !(1..=64).contains(&number)
        {
            return wrong("backgroundWorkers", &number, "1 to 64, or auto");
        }
        if self.write_buffer_size == 0 {
            return wrong("writeBufferSize", &self.write_buffer_size, "1 or more");
        }
        if self.memory_pool_size < MIN_POOL {
            return wrong("memoryPoolSize", &self.memory_pool_size, "65536 or more");
        }
        if self.max_spool_bytes < self.memory_pool_size {
            return wrong("maxSpoolBytes", &self.max_spool_bytes, "memoryPoolSize or more");
        }
        Ok(())
    }

    /// A tenth of the pool, so that a few long streams cannot hold all of it: 1 MiB by default.
    pub fn segment_bytes(&self) -> usize {
        let tenth = (self.memory_pool_size / 10).clamp(MIN_SEGMENT, MAX_SEGMENT);
        (tenth as usize).next_multiple_of(PAGE)
    }
}

const MIN_POOL: u64 = 64 * 1024;
const MIN_SEGMENT: u64 = 16 * 1024;
const MAX_SEGMENT: u64 = 4 * 1024 * 1024;
const PAGE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        let config = Config::new("/tmp/x");
        config.validate().unwrap();
        assert_eq!(config.segment_bytes(), 1024 * 1024);
    }

    #[test]
    fn a_name_that_leaves_the_folder_is_refused_by_name() {
        for name in ["../x", "a/b", "..", ""] {
            let config = Config { log_base_name: Some(name.into()), ..Config::new("/tmp/x") };
            let error = config.validate().unwrap_err();
            assert_eq!(error.code(), "TRACE_ERR_CONFIG");
            assert!(error.to_string().contains("logBaseName"), "{error}");
        }
    }
}
