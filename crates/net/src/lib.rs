//! Everything of claude-trace-native that has a socket. The recorder in a client's process sees its calls; what runs here
//! stands between a client and the network, for those that no hook reaches (native executables, other languages).
//!
//! ```text
//!  client ──► proxy (reverse or TLS) ──► upstream
//!                │ copies what passes
//!                └► tape ─► core's Recorder ─► spool ─► assembler ─► … ─► log
//! ```
//!
//! **One exchange model.** Whatever the transport, what passes is told to a [`tape::Exchange`], which keeps the order that
//! the core expects: a head, bytes, one end, nothing after it. From there on it is the pipeline of the hooks: redaction
//! before the spool, and a spool that outlives this process, so that an exchange stays on record when the proxy or its
//! client is killed. Later transports (MCP's stdio) bring their own ears and tell the same tape.
//!
//! **Nothing is changed on the way.** A transport forwards first of all; recording can fail (no room, no folder) without
//! any effect on the traffic. Live interceptors, which may change it, are a layer around bodies and heads that does not
//! exist unless somebody asks for it (`proxy::ruled`).
//!
//! `proxy/mod.rs` has the reverse proxy's own constraints, `intercept/mod.rs` the forward proxy's.

pub mod connect;
pub mod credential;
pub mod error;
mod failure;
pub mod intercept;
pub mod mcp;
pub mod proxy;
pub mod tape;
pub mod upstream;
mod verify;
mod wire;

pub use error::{Error, Result};
pub use intercept::{Ca, ForwardProxy, HostRule, Rules};
pub use proxy::{Access, Config, Proxy, Selection};
pub use tape::Tape;
pub use upstream::Upstream;
