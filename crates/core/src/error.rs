//! What can go wrong, with a stable code for each kind.

use std::any::Any;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// An error of the engine. [`Error::code`] reaches JS as `err.code`.
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
    /// A folder for spool files is not safely ours.
    #[error("{path} cannot hold the spool: {why}")]
    UnsafeFolder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A thread could not be started.
    #[error("cannot start the thread {name}: {source}")]
    Thread {
        /// The thread's name.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A value in the configuration is not allowed.
    #[error("{field} is {value}; allowed: {allowed}")]
    Config {
        /// The option's name as users know it.
        field: &'static str,
        /// What was given.
        value: String,
        /// What may be given.
        allowed: &'static str,
    },
    /// A spool file does not say what it should.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl Error {
    /// The stable name of this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "TRACE_ERR_IO",
            Self::UnsafeFolder { .. } => "TRACE_ERR_UNSAFE_FOLDER",
            Self::Thread { .. } => "TRACE_ERR_THREAD",
            Self::Config { .. } => "TRACE_ERR_CONFIG",
            Self::Damaged { .. } => "TRACE_ERR_SPOOL_DAMAGED",
        }
    }

    /// Wraps what the system said of a file operation; for `map_err`.
    pub fn io<E: Into<std::io::Error>>(action: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source: source.into() }
    }
}

/// The engine's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a panic said.
pub fn words_of(panic: &(dyn Any + Send)) -> &str {
    let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    words.unwrap_or("without words")
}
