//! Any bytes as what a forward proxy reads of strangers and of its user: first bytes of a tunnel, credentials, authorities, URLs,
//! host rules. `crates/net/src/intercept` holds the same with text that looks like them.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| claude_trace_net::intercept::outside::read(data));
