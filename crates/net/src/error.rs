//! What keeps a proxy from starting, with a stable code for each kind. What goes wrong with a single exchange is no error
//! of ours: it is answered and recorded (`failure`).

use std::net::SocketAddr;
use std::path::PathBuf;
use thiserror::Error;

/// An error of this crate.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened at.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others than this machine's programs could use the proxy.
    #[error("{address} can be reached by other machines: allow that explicitly, with a token")]
    Remote {
        /// The address.
        address: SocketAddr,
    },
    /// That is no base URL.
    #[error("{url:?} is no base URL: {why}; allowed: http(s)://host[:port][/prefix]")]
    Upstream {
        /// What was given, without what may be a secret in it.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A token that cannot be sent in a URL's path, or is guessed too easily.
    #[error("the token is not 16 to 200 letters, digits, `-` or `_`")]
    Token,
    /// A file of certificates cannot be used.
    #[error("cannot read certificates from {path}: {why}")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The certificate authority of this user cannot be used.
    #[error("cannot use {path}: {why}")]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// That names no hosts.
    #[error("{rule:?} names no host; allowed: host, host:port, *.suffix or http(s)://host[:port][/prefix]")]
    HostRule {
        /// What was given.
        rule: String,
    },
    /// There is no TLS to be had.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl Error {
    /// The stable name of this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Listen { .. } => "TRACE_ERR_LISTEN",
            Self::Remote { .. } => "TRACE_ERR_REMOTE",
            Self::Upstream { .. } => "TRACE_ERR_UPSTREAM",
            Self::Token => "TRACE_ERR_TOKEN",
            Self::Certificates { .. } => "TRACE_ERR_CERTIFICATES",
            Self::Ca { .. } => "TRACE_ERR_CA",
            Self::HostRule { .. } => "TRACE_ERR_HOST_RULE",
            Self::Tls(_) => "TRACE_ERR_TLS",
        }
    }
}

/// This crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;
