//! Any bytes as what the reverse proxy reads of strangers beyond HTTP itself: names, tokens, targets, fields that concern a
//! connection, lists in `Connection`, upgrades, what is recorded. `crates/net/src/proxy/outside.rs` says what must hold, and
//! holds it against text that looks like requests.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| claude_trace_net::proxy::outside::read(data));
