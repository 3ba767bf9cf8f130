//! Requests that are answered in a stream of events.

use super::*;
use crate::exchange::{Earlier, Unanswered, Waiting};
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
    let waits = Waiting { element: 0, method: "tools/call".into(), id: "3".into() };
    let waits = Unanswered { requests: vec![waits], batch: None };
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

const BATCH: &[u8] =
    br#"[{"jsonrpc":"2.0","id":"a","method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"},
    {"jsonrpc":"2.0","id":2,"method":"tools/call"},7,{"jsonrpc":"2.0","id":3,"method":"tools/list"}]"#;
const OK_A: &str = r#"{"jsonrpc":"2.0","id":"\u0061","result":{}}"#;
const NO_2: &str = r#"{"jsonrpc":"2.0","id":2.0,"error":{"code":-32602,"message":"no \"x\""}}"#;
const NO_3: &str = r#"{"jsonrpc":"2.0","id":3,"error":{"code":-3,"message":"nor that"}}"#;
const NAMELESS: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"7 is none"}}"#;

fn of_batch(more: Value) -> Value {
    let mut told = json!({ "from": "client", "kind": "batch", "size": 5 });
    told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    told
}

/// What the record says of an answer of JSON.
fn answered(request: &'static [u8], answer: &str) -> Value {
    let mut exchange = exchange(&[request], &[answer.as_bytes()]);
    exchange.response.as_mut().unwrap().head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let mut out = Vec::new();
    assert!(write_line(&exchange, &OPTIONS, &mut out).is_none());
    serde_json::from_slice::<Value>(&out).unwrap()["trace"]["jsonrpc"].clone()
}

#[test]
fn errors_of_a_batch_are_found_in_its_answer() {
    let errors = json!([
        { "code": -32600, "message": "7 is none" },
        { "element": 2, "method": "tools/call", "id": 2, "code": -32602, "message": "no \"x\"" },
    ]);
    let first = json!({ "code": -32600, "message": "7 is none" });
    assert_eq!(
        answered(BATCH, &format!("[{NAMELESS},{NO_2} , {OK_A}]")),
        of_batch(json!({ "answered": 2, "error": first, "errors": errors }))
    );
    assert_eq!(answered(BATCH, &format!("[{OK_A}]")), of_batch(json!({ "answered": 1 })));
    assert_eq!(answered(BATCH, ""), of_batch(json!({ "answered": 0 })));
    // Refused whole, under an id of the server's own.
    let refused = r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"no batches"}}"#;
    let error = json!({ "code": -32600, "message": "no batches" });
    assert_eq!(
        answered(BATCH, refused),
        of_batch(json!({ "answered": 0, "error": error, "errors": [error] }))
    );
    assert_eq!(answered(CALL, refused), told(json!({ "error": error })));
    // One by itself may have its answer in a batch, and a batch that asks for nothing has none.
    assert_eq!(
        answered(CALL, &format!("[{NO_2},{NO_3}]")),
        told(json!({ "error": { "code": -3, "message": "nor that" } }))
    );
    let tells = br#"[{"jsonrpc":"2.0","method":"notifications/x"}]"#;
    assert_eq!(answered(tells, NO_2), json!({ "from": "client", "kind": "batch", "size": 1 }));
}

#[test]
fn errors_of_a_batch_are_found_in_a_stream_and_where_it_goes_on() {
    let other = r#"{"jsonrpc":"2.0","id":9,"error":{"code":1,"message":"of another request"}}"#;
    let stream = format!("{}data: [{NO_3},{other}]\n\ndata: {OK_A}\n\n", BEFORE[0]);
    let third = json!({ "element": 4, "method": "tools/list", "id": 3, "answer_event": 1, "code": -3, "message": "nor that" });
    let (trace, unanswered) = written(BATCH, &stream, None);
    let error = json!({ "code": -3, "message": "nor that" });
    assert_eq!(trace, of_batch(json!({ "answered": 2, "error": error, "errors": [third] })));
    let waits = Waiting { element: 2, method: "tools/call".into(), id: "2".into() };
    assert_eq!(unanswered, Some(Unanswered { requests: vec![waits], batch: Some(5) }));
    let earlier = Earlier { unanswered, ..streams::earlier(&["s-2"]) };
    let (trace, rest) = written(b"", &format!("data: {NO_2}\n\n"), Some(&earlier));
    let error = json!({ "code": -32602, "message": "no \"x\"" });
    let second = json!({ "element": 2, "method": "tools/call", "id": 2, "answer_event": 0, "code": -32602, "message": "no \"x\"" });
    let resumed = json!({ "kind": "resumed", "answered": 1, "error": error, "errors": [second] });
    assert_eq!((trace, rest), (of_batch(resumed), None));
}

#[test]
fn what_is_told_and_kept_of_a_batch_is_bounded() {
    let many =
        |one: &dyn Fn(usize) -> String| format!("[{}]", (0..250).map(one).collect::<Vec<_>>().join(","));
    let asks = many(&|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#));
    let asks: &'static [u8] = Box::leak(asks.into_boxed_str()).as_bytes();
    let errors = many(&|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{id},"message":""}}}}"#));
    let trace = answered(asks, &errors);
    assert_eq!((&trace["answered"], &trace["more_errors"]), (&json!(250), &json!(150)));
    assert_eq!(trace["errors"].as_array().unwrap().len(), 100);
    let (_, unanswered) = written(asks, ": nothing\n\n", None);
    let kept: Vec<_> = unanswered.unwrap().requests.iter().map(|request| request.element).collect();
    assert_eq!(kept, (0..64).collect::<Vec<_>>());
}

proptest::proptest! {
    /// However the answers come: which are errors, and to which element.
    #[test]
    fn answers_to_a_batch_are_matched_like_by_a_list(
        asked in proptest::collection::vec(0_u8..6, 1..8),
        came in proptest::collection::vec((0_u8..6, proptest::bool::ANY), 0..8),
        in_array in proptest::bool::ANY,
    ) {
        let asks: Vec<_> =
            asked.iter().map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": "m" })).collect();
        let asks: &'static [u8] = Box::leak(json!(asks).to_string().into_boxed_str()).as_bytes();
        let answers: Vec<_> = came.iter().map(|(id, fails)| {
            let error = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": 1, "message": "" } });
            if *fails { error } else { json!({ "jsonrpc": "2.0", "id": id, "result": {} }) }
        }).collect();
        let stream = if in_array {
            format!("data: {}\n\n", json!(answers))
        } else {
            answers.iter().map(|answer| format!("data: {answer}\n\n")).collect()
        };
        let mut waiting: Vec<_> = (0..asked.len()).filter(|at| !asked[..*at].contains(&asked[*at])).collect();
        let (mut count, mut failed) = (0, Vec::new());
        for (id, fails) in came {
            let Some(at) = waiting.iter().position(|at| asked[*at] == id) else { continue };
            count += 1;
            let element = waiting.remove(at);
            if fails {
                failed.push(element as u64);
            }
        }
        let (trace, unanswered) = written(asks, &stream, None);
        let told: Vec<_> = trace["errors"].as_array().into_iter().flatten()
            .map(|error| error["element"].as_u64().unwrap()).collect();
        proptest::prop_assert_eq!((&trace["answered"], told), (&json!(count), failed));
        let left: Vec<_> =
            unanswered.into_iter().flat_map(|rest| rest.requests).map(|request| request.element).collect();
        proptest::prop_assert_eq!(left, waiting);
    }
}
