//! What JS tells of a recorder. Validated in `lib/config.js` already, where the user's words for a field are known; the
//! core checks again.

use claude_trace_core::config::{Config, Durability, Retry, WhenFull, Workers, runtime_dir};
use claude_trace_core::disk::Disk;
use claude_trace_core::notice::Level;
use napi_derive::napi;
use std::path::PathBuf;

/// Options of `open`. Bytes and milliseconds.
#[napi(object, object_to_js = false)]
pub struct OpenOptions {
    /// Folder of the log, absolute.
    pub log_directory: String,
    /// Name of the log without `.jsonl`; by default made of the time.
    pub log_base_name: Option<String>,
    /// Least level of notices on stderr: `debug`, `info`, `warn`, `error` or `silent`.
    pub log_level: Option<String>,
    /// Threads do the work (`true`), or each pair is written through.
    pub zero_latency: bool,
    /// Threads that make records; by default as many as the queue needs.
    pub background_workers: Option<u32>,
    /// Records gathered before a write.
    pub write_buffer_size: u32,
    /// How long a record may wait for others.
    pub write_buffer_flush_ms: u32,
    /// Bytes of spool that are kept and used again.
    pub memory_pool_size: f64,
    /// Bytes of spool, overflow included.
    pub max_spool_bytes: f64,
    /// A body that would decode to more is kept encoded.
    pub max_decoded_bytes: f64,
    /// Messages, tokens and times of streams are left to the reader of the log (`true`, the default), or written as well.
    pub deferred_parsing: Option<bool>,
    /// When the pool is full: `spill` (the default) or `drop-newest`.
    pub when_full: Option<String>,
    /// When the log is forced to the medium: `os` (the default), `interval` or `always`.
    pub durability: Option<String>,
    /// For `interval`.
    pub fsync_interval_ms: Option<u32>,
    /// Attempts at a write after which records go to the dead letters; 0, the default: no limit.
    pub retry_max_attempts: Option<u32>,
    /// Before the first repetition of a failed write.
    pub retry_base_delay_ms: Option<u32>,
    /// Before any repetition, at most.
    pub retry_max_delay_ms: Option<u32>,
    /// Folder of the spool, absolute; by default chosen.
    pub spool_dir: Option<String>,
    /// The user's folder in shared memory, absolute; by default `/dev/shm/claude-trace-<uid>`.
    pub runtime_dir: Option<String>,
}

impl OpenOptions {
    /// The least level of notices; `None`: nothing is said.
    pub fn level(&self) -> Option<Level> {
        match self.log_level.as_deref() {
            Some("debug") => Some(Level::Debug),
            Some("info") => Some(Level::Info),
            None | Some("warn") => Some(Level::Warn),
            Some("silent") => None,
            Some(_) => Some(Level::Error),
        }
    }

    /// The core's configuration.
    pub fn into_config(self) -> Config {
        let Retry { max_attempts, base_delay_ms, max_delay_ms } = Retry::default();
        Config {
            when_full: match self.when_full.as_deref() {
                Some("drop-newest") => WhenFull::DropNewest,
                _ => WhenFull::Spill,
            },
            durability: match self.durability.as_deref() {
                Some("always") => Durability::Always,
                Some("interval") => Durability::Interval(self.fsync_interval_ms.unwrap_or(1000).into()),
                _ => Durability::Os,
            },
            retry: Retry {
                max_attempts: self.retry_max_attempts.unwrap_or(max_attempts),
                base_delay_ms: self.retry_base_delay_ms.map_or(base_delay_ms, u64::from),
                max_delay_ms: self.retry_max_delay_ms.map_or(max_delay_ms, u64::from),
            },
            log_directory: PathBuf::from(self.log_directory),
            log_base_name: self.log_base_name,
            zero_latency: self.zero_latency,
            background_workers: self.background_workers.map_or(Workers::Auto, |n| Workers::Fixed(n as usize)),
            write_buffer_size: self.write_buffer_size as usize,
            write_buffer_flush_ms: u64::from(self.write_buffer_flush_ms),
            memory_pool_size: self.memory_pool_size as u64,
            max_spool_bytes: self.max_spool_bytes as u64,
            max_decoded_bytes: self.max_decoded_bytes as usize,
            deferred_parsing: self.deferred_parsing.unwrap_or(true),
            spool_dir: self.spool_dir.map(PathBuf::from),
            runtime_dir: self.runtime_dir.map_or_else(runtime_dir, PathBuf::from),
            disk: Disk::default(),
        }
    }
}
