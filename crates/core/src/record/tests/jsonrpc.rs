//! Requests that are answered in a stream of events.

use super::*;
use crate::exchange::{Earlier, Unanswered};
use serde_json::{Value, json};

const CALL: &[u8] = br#"{"method":"tools/call","params":{"name":"x"},"jsonrpc":"2.0","id":3}"#;
const ANSWER: &str = "id: s-3\ndata: {\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"error\":{}}}\n\n";
const ERROR: &str =
    "data: {\"jsonrpc\":\"2.0\",\"id\":3.0,\ndata: \"error\":{\"code\":-32602,\"message\":\"no\"}}\n\n";
/// What may come before an answer, and none of it is one.
const BEFORE: [&str; 6] = [
    "id: s-1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\n",
    "data: {\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"ping\"}\n\n",
    "data: {\"jsonrpc\":\"2.0\",\"id\":\"3\",\"result\":{}}\n\n",
    "event: other\ndata: {\"jsonrpc\":\"2.0\",\"id\":3,\"error\":{\"code\":1,\"message\":\"of another kind\"}}\n\n",
    ": a comment\nid: s-2\n\n",
    "data: {\"jsonrpc\":\"2.0\",\"id\":3,\"error\"\n\n",
];

fn written(request: &'static [u8], stream: &str, earlier: Option<&Earlier>) -> (Value, Option<Unanswered>) {
    let mut traces = Vec::new();
    // Whole, and in pieces that end anywhere.
    for size in [stream.len().max(1), 7, 1] {
        let pieces: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
        let mut exchange = exchange(&[request], &pieces);
        if request.is_empty() {
            exchange.request_chunks.clear();
        }
        exchange.earlier = earlier;
        let mut out = Vec::new();
        let streamed = write_line(&exchange, &OPTIONS, &mut out).unwrap();
        let record: Value = serde_json::from_slice(&out).unwrap();
        traces.push((record["trace"]["jsonrpc"].clone(), streamed.unanswered));
    }
    let first = traces[0].clone();
    assert!(traces.iter().all(|trace| *trace == first), "{traces:?}");
    first
}

fn told(more: Value) -> Value {
    let mut told = json!({ "from": "client", "kind": "request", "method": "tools/call", "id": 3 });
    told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    told
}

#[test]
fn the_answer_is_found_in_the_stream() {
    let before = BEFORE.concat();
    let (trace, unanswered) = written(CALL, &format!("{before}{ANSWER}"), None);
    assert_eq!((trace, unanswered), (told(json!({ "answer_event": 5 })), None), "a comment is no event");
    // The first answer counts, and an id is the same however it is spelled.
    let error = json!({ "answer_event": 5, "error": { "code": -32602, "message": "no" } });
    assert_eq!(written(CALL, &format!("{before}{ERROR}{ANSWER}"), None), (told(error), None));
    let nameless =
        "data: {\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"unreadable\"}}\n\n";
    let error = json!({ "answer_event": 0, "error": { "code": -32700, "message": "unreadable" } });
    assert_eq!(written(CALL, nameless, None), (told(error), None));
}

#[test]
fn an_answer_that_has_not_come_is_looked_for_where_the_stream_goes_on() {
    let (trace, unanswered) = written(CALL, &BEFORE.concat(), None);
    assert_eq!(trace, told(json!({})));
    let waits = Unanswered { method: "tools/call".into(), id: "3".into() };
    assert_eq!(unanswered.as_ref(), Some(&waits));
    let earlier = Earlier { unanswered, ..streams::earlier(&["s-2"]) };
    let resumed =
        json!({ "kind": "resumed", "answer_event": 1, "error": { "code": -32602, "message": "no" } });
    assert_eq!(written(b"", &format!("{}{ERROR}", BEFORE[0]), Some(&earlier)), (told(resumed), None));
    let still = written(b"", BEFORE[0], Some(&earlier));
    assert_eq!(still, (told(json!({ "kind": "resumed" })), Some(waits)));
}

#[test]
fn other_streams_are_not_looked_into() {
    let model = br#"{"model":"m","stream":true}"#;
    assert_eq!(written(model, ERROR, None), (Value::Null, None));
    assert_eq!(written(b"", ERROR, Some(&streams::earlier(&["s-2"]))), (Value::Null, None));
    let tells = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let (trace, unanswered) = written(tells, ERROR, None);
    assert_eq!((&trace["kind"], trace.get("error"), unanswered), (&json!("notification"), None, None));
}
