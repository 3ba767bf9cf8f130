//! `cargo bench -p claude-trace-core` measures the steps of an exchange one by one; `-- --test` runs each once.
//! `benchmark/pipeline/README.md` says what the figures mean.

mod assembler;
mod decode;
#[allow(dead_code, reason = "shared with the example that replays them")]
#[path = "../../examples/replay/exchanges.rs"]
mod exchanges;
mod record;
mod redact;
mod spool;

use criterion::{criterion_group, criterion_main};

criterion_group!(steps, redact::heads, spool::push, assembler::consume, decode::bodies, record::lines);
criterion_main!(steps);
