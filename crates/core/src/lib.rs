//! The engine of claude-trace-native: spool, pipeline, records. Knows neither Node nor sockets.
//! `docs/architecture.md` draws the whole picture.

pub mod assembly;
pub mod civil;
pub mod clock;
pub mod config;
pub mod decode;
pub mod disk;
pub mod error;
pub mod exchange;
pub mod frames;
pub mod head;
pub mod interceptor;
pub mod jsonrpc;
pub mod message;
pub mod notice;
pub mod pipeline;
pub mod record;
pub mod recover;
pub mod redact;
pub mod spool;
pub mod sse;
pub mod stats;
pub mod writer;
