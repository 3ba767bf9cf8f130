//! Half of the bytes are a file of rules; the other half is a stream that goes through rules, in pieces.
#![no_main]

use claude_trace_core::interceptor::live::{EventStream, Live};
use claude_trace_core::interceptor::rules::Rules;
use libfuzzer_sys::fuzz_target;

/// A file that replaces, leaves out and delays.
const ALWAYS: &str = "
[[rule]]
name = \"a\"
events.replace = [{ regex = 'a(.)', with = '${1}b' }]
[[rule]]
name = \"b\"
events = { types = \"p*\", drop = true }
[[rule]]
name = \"c\"
events = { types = \"s\", delay = \"1ms\" }
";

fn through(rules: &Rules, pieces: &[&[u8]]) -> Option<Vec<u8>> {
    let mut live = Live::of(&rules.registry(), b"GET", b"http://a/")?;
    let mut stream = EventStream::with_limit(64);
    let mut out = Vec::new();
    for piece in pieces {
        stream.push(&mut live, piece, 0).iter().for_each(|piece| out.extend_from_slice(&piece.bytes));
    }
    out.extend_from_slice(&stream.finish());
    live.mark();
    Some(out)
}

fuzz_target!(|data: &[u8]| {
    let (size, rest) = data.split_first().map_or((1, data), |(size, rest)| (usize::from(*size).max(1), rest));
    let (file, stream) = rest.split_at(rest.len() / 2);
    let always = Rules::parse("always", ALWAYS).expect("they are rules");
    let pieces: Vec<&[u8]> = stream.chunks(size).collect();
    assert_eq!(through(&always, &pieces), through(&always, &[stream]));
    match Rules::read("fuzz", file) {
        // What a rule that fails has let pass depends on the batch that it failed in.
        Ok(rules) => drop(through(&rules, &pieces)),
        Err(mistakes) => assert!(!mistakes.to_string().is_empty()),
    }
});
