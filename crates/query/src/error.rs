//! What can go wrong while a log is read or repaired, with a stable code for each kind. Damage in a log is no error: it
//! is what these tools report.

use std::path::{Path, PathBuf};
use thiserror::Error;

/// An error of a reader of logs.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A file operation failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that would be written is there already.
    #[error("{path} is there already: {hint}")]
    Exists {
        /// The file.
        path: PathBuf,
        /// What to do.
        hint: &'static str,
    },
    /// The log has a writer, so what looks torn may only be unfinished.
    #[error("{path} is being written by a living process: repair it when that has ended")]
    InUse {
        /// The log.
        path: PathBuf,
    },
    /// What was asked for cannot be done with this file.
    #[error("{path} {why}")]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Why not, and what to do instead.
        why: &'static str,
    },
}

impl Error {
    /// The stable name of this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "TRACE_ERR_IO",
            Self::Exists { .. } => "TRACE_ERR_EXISTS",
            Self::InUse { .. } => "TRACE_ERR_LOG_IN_USE",
            Self::Unfit { .. } => "TRACE_ERR_LOG_UNFIT",
        }
    }

    /// Wraps what the system said of a file operation; for `map_err`.
    pub fn io<E: Into<std::io::Error>>(action: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source: source.into() }
    }
}

/// The reader's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;
