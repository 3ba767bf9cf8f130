//! The spool: a chain of memory-mapped segments per JS environment that holds what the hooks have copied until it is in
//! the log.
//!
//! **Survives.** What [`chain::Producer::push`] has copied when it returns is in the page cache of a shared file: SIGKILL,
//! `abort()` and heap exhaustion do not touch it. In plain memory (no folder could be had) it dies with the process.
//!
//! **Order.** Entries of a chain carry one rising sequence number; across chains there is no order but their times.
//!
//! **Room.** `memory_pool_size` bytes of segments are kept and used again; past them overflow segments are made on the log
//! folder's disk up to `max_spool_bytes`; past those an entry is dropped, counted, and its exchange marked.
//!
//! **Freed** is a segment when every exchange with bytes in it is in the log ([`pool::Hold`]); bytes of open exchanges
//! are copied forward when the pool runs short, so one slow stream does not hold a whole pool.
//!
//! **Trust.** Folders are checked to be the user's own before anything in them is believed ([`root`]); a session is an
//! orphan when its lock is free ([`session`]), whatever its process id says.
//!
//! Checksums: an entry's header is checksummed as it is written; its payload by the reader thread, since that would
//! cost the JS thread as much as the copy. A payload without one was published by a process that died within
//! milliseconds, and publishing comes after copying.

pub mod chain;
pub mod layout;
pub mod pool;
pub mod root;
pub mod segment;
pub mod session;
