//! Any bytes as the body of a stream, of every framing and provider: nothing panics, and however the body is cut the same is
//! derived. `crates/core/src/message/tests/` holds the same with events that look like events.

#![no_main]

use claude_trace_core::message::{Derived, Hints, Stream};
use libfuzzer_sys::fuzz_target;

const TYPES: [&str; 4] =
    ["text/event-stream", "application/vnd.amazon.eventstream", "application/json", "text/event-stream"];
const URLS: [&str; 5] = [
    "https://x/v1/messages",
    "https://x/v1/chat/completions",
    "https://x/v1/responses",
    "https://x/models/m:streamGenerateContent",
    "https://x/model/m/converse-stream",
];

// The first byte chooses framing and URL, the second the size of the pieces, both what of the events is passed over. Of the
// fourth kind each line is an event, so that events need no luck to be ones.
fuzz_target!(|data: &[u8]| {
    let [how, size, rest @ ..] = data else { return };
    let kind = usize::from(how % 4);
    let hints = Hints {
        content_type: TYPES[kind].as_bytes(),
        url: URLS[if kind == 2 { 3 } else { usize::from(how / 4) % URLS.len() }].as_bytes(),
    };
    let body = if kind == 3 {
        rest.split(|byte| *byte == b'\n').flat_map(|line| [b"data:", line, b"\n\n"].concat()).collect()
    } else {
        rest.to_vec()
    };
    let replayed = [(u64::from(size % 4), u64::from(size / 64)), (u64::from(how / 4), u64::from(how % 3))];
    let whole = derive(&hints, &body, body.len().max(1), &replayed);
    assert_eq!(derive(&hints, &body, usize::from(*size) + 1, &replayed), whole);
    let json = serde_json::to_string(&whole).expect("it can be written");
    assert!(serde_json::from_str::<serde::de::IgnoredAny>(&json).is_ok());
});

fn derive(hints: &Hints, body: &[u8], size: usize, replayed: &[(u64, u64)]) -> Derived {
    let mut stream = Stream::of(hints).expect("a stream of events");
    stream.pass_over(replayed.to_vec());
    for piece in body.chunks(size) {
        stream.push(piece, None);
    }
    stream.finish()
}
