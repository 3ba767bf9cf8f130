//! Any bytes as what one side of an MCP connection says, in any pieces: lines are what a naive split makes of them, and what
//! is taken for a JSON-RPC message is one. `crates/net/tests/mcp.rs` holds the same of what is on record.

#![no_main]

use claude_trace_core::jsonrpc::{Id, Kind, Message, batch};
use claude_trace_net::mcp::{Lines, Piece};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

// The first byte is the limit of a line, the second the length of the pieces.
fuzz_target!(|data: &[u8]| {
    let [limit, piece, stream @ ..] = data else { return };
    let max = usize::from(*limit) * 4;
    let mut lines = Lines::new(max);
    let (mut seen, mut parts) = (Vec::new(), Vec::new());
    for piece in stream.chunks(usize::from(*piece) + 1) {
        lines.push(piece, |piece| match piece {
            Piece::Line(line) => {
                assert!(line.starts_with(&parts) && line.len() <= max);
                parts.clear();
                look(line);
                seen.push(line.to_vec());
            }
            Piece::Part(part) => parts.extend_from_slice(part),
            Piece::End => {
                assert!(parts.len() > max);
                seen.push(std::mem::take(&mut parts));
            }
        });
    }
    let mut naive: Vec<_> = stream.split(|byte| *byte == b'\n').collect();
    assert_eq!(naive.pop().unwrap_or_default(), parts);
    assert_eq!(naive, seen);
});

fn look(line: &[u8]) {
    for element in batch(line).unwrap_or_default() {
        look_at_message(element);
    }
    look_at_message(line);
}

fn look_at_message(text: &[u8]) {
    let Some(message) = Message::parse(text) else { return };
    let value: Value = serde_json::from_slice(text).expect("a message is valid JSON");
    assert_eq!(value["jsonrpc"], "2.0");
    assert_eq!(message.method.as_deref(), value["method"].as_str());
    if let Some(id) = message.id {
        let spelled: Value = serde_json::from_str(id).expect("an id is valid JSON");
        assert_eq!(spelled, value["id"]);
        assert_eq!(Id::parse(id).is_some(), !spelled.is_null());
        assert!(!spelled.is_null() || message.kind == Kind::Response);
    }
    let tool = value["params"]["name"].as_str().filter(|_| message.method.as_deref() == Some("tools/call"));
    assert!(message.tool().is_none_or(|own| message.kind == Kind::Request && tool == Some(&*own)));
    let told = [message.progress_token(), message.cancels(), message.error().map(|(code, _)| code)];
    for spelled in told.into_iter().flatten() {
        assert!(!spelled.contains('\n'), "it goes into a line");
    }
}
