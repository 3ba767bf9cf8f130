//! Any bytes as the body of a stream that interceptors change, encoded or not, in any pieces: the record has the events that
//! were kept, those that stand for others, and nothing else; and no input is a panic.

#![no_main]

use claude_trace_core::interceptor::{
    Editor, EventBatch, Failed, Hooks, Interceptor, Limits, Maker, Outcome, Registration, Registry,
    Replacement, Rule, Stage, Verdict,
};
use claude_trace_core::sse::Parser;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

/// Leaves out one event in three, and changes another.
struct Thirds;

impl Interceptor for Thirds {
    fn on_events(&mut self, batch: &mut EventBatch) -> Result<(), Failed> {
        for index in 0..batch.len() {
            match batch.get(index).map(|event| event.number % 3) {
                Some(0) => batch.decide(index, Verdict::Drop),
                Some(1) => {
                    let data = Some(b"other".to_vec());
                    batch.decide(index, Verdict::Replace(Replacement { data, ..Replacement::default() }));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The same bytes as messages of MCP, asked and answered: what is wanted of them is done where they stand.
fn as_messages(registry: &Registry, body: &[u8], size: usize, encoding: &str) {
    let mut stage = Stage::new(Arc::clone(registry.totals()), 1 << 20);
    let watch = registry.watch(None, b"POST", b"mcp+stdio://x/").expect("it is for all");
    let encoding = format!("content-type: application/json\r\ncontent-encoding: {encoding}\r\n");
    stage.request((0, 1), watch, format!("POST mcp+stdio://x/\r\n{encoding}").into_bytes(), 0, false, 0);
    body.chunks(size).for_each(|piece| stage.request_body((0, 1), piece, 0, 0));
    stage.request_end((0, 1), 0);
    stage.response((0, 1), format!("HTTP/1.1 200\r\n{encoding}").into_bytes(), 0, 0);
    body.chunks(size).for_each(|piece| stage.body((0, 1), piece, 0, 0));
    stage.end((0, 1), Outcome::Complete, 0, 0);
    let done = stage.take_done();
    assert_eq!((done.len(), stage.buffered()), (1, 0));
    let changes = done[0].1.as_ref().expect("it had a part");
    let edits = changes.request_body.iter().chain(&changes.body);
    assert_eq!(edits.count() as u64, changes.account.dropped + changes.account.replaced);
    for edits in [&changes.request_body, &changes.body] {
        assert!(edits.windows(2).all(|pair| pair[0].end <= pair[1].start), "apart, and in order");
        let is_plain = encoding.ends_with(": \r\n");
        assert!(!is_plain || edits.iter().all(|edit| edit.start <= edit.end && edit.end <= body.len() as u64));
    }
}

// The first byte chooses the encoding, the second the pieces.
fuzz_target!(|data: &[u8]| {
    let [how, size, body @ ..] = data else { return };
    let encoding = ["", "", "gzip", "deflate", "br", "zstd", "gzip, br", "x"][usize::from(how % 8)];
    let registry = Registry::default();
    registry.add(Registration {
        name: "thirds".into(),
        order: 0,
        rule: Rule::default(),
        scope: None,
        hooks: Hooks::ALL,
        limits: Limits { max_events: 1 + usize::from(how / 8 % 4), ..Limits::default() },
        maker: Maker::Local(Box::new(|| Box::new(Thirds))),
    });
    as_messages(&registry, body, usize::from(*size).max(1), encoding);
    let mut stage = Stage::new(Arc::clone(registry.totals()), 1 << 20);
    let watch = registry.watch(None, b"GET", b"http://x/").expect("it is for all");
    stage.request((0, 1), watch, b"GET http://x/ HTTP/1.1\r\n".to_vec(), 0, false, 0);
    let head = format!("HTTP/1.1 200\r\ncontent-type: text/event-stream\r\ncontent-encoding: {encoding}\r\n");
    stage.response((0, 1), head.into_bytes(), 0, 0);
    for piece in body.chunks(usize::from(*size).max(1)) {
        stage.body((0, 1), piece, 0, 0);
    }
    stage.end((0, 1), Outcome::Complete, 0, 0);
    let done = stage.take_done();
    assert_eq!((done.len(), stage.buffered()), (1, 0));
    let changes = done[0].1.as_ref().expect("it had a part");
    if !encoding.is_empty() {
        return;
    }
    let count = |body: &[u8]| {
        let mut events = 0_u64;
        Parser::default().push(body, |_| events += 1);
        events
    };
    let (mut record, mut editor) = (Vec::new(), Editor::new(&changes.body));
    for piece in body.chunks(usize::from(*size).max(1)) {
        editor.push(piece, |bytes| record.extend_from_slice(bytes));
    }
    assert_eq!(changes.account.events, count(body));
    // A mark of the byte order that stood inside is one at the start now, if all before it was left out.
    if !record.starts_with(b"\xef\xbb\xbf") {
        assert_eq!(count(&record), changes.account.events - changes.account.dropped);
    }
});
