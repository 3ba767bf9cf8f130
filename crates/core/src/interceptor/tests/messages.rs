//! Messages of MCP, as bodies and in streams: the same events.

use super::*;

const CALL: &str = r#"{"method":"tools/call","params":{"name":"add"},"jsonrpc":"2.0","id":3}"#;
const TOLD: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
const RESULT: &str = r#"{"jsonrpc":"2.0","id":3,"result":{}}"#;
const OVER_HTTP: &str = "POST http://127.0.0.1:3000/mcp HTTP/1.1\r\n\
    content-type: application/json\r\naccept: application/json, text/event-stream\r\n";
const OVER_STREAMS: &str = "POST mcp+stdio://sums/tools/call\r\ncontent-type: application/json\r\n";
const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\n";
const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\n";

/// An exchange with these bodies in pieces of that size, a millisecond after each other.
fn run(bench: &mut Bench, head: &str, asks: &str, answer_head: &str, answer: &str, size: usize) -> Changes {
    let watch = bench.registry.watch(None, b"POST", b"http://x/").unwrap();
    bench.stage.request(KEY, watch, head.into(), 0, false, 0);
    let stage = &mut bench.stage;
    let mut times = (1..).map(|ms| ms * MS);
    for (piece, now) in asks.as_bytes().chunks(size).zip(&mut times) {
        stage.request_body(KEY, piece, now, now);
    }
    stage.request_end(KEY, 90 * MS);
    stage.response(KEY, answer_head.into(), 90 * MS, 90 * MS);
    for (piece, now) in answer.as_bytes().chunks(size).zip(&mut times) {
        stage.body(KEY, piece, now, now);
    }
    bench.finish(1000 * MS)
}

#[test]
fn one_interceptor_sees_both_transports_alike() {
    let streamed = format!("event: message\ndata: {TOLD}\n\nevent: message\nid: 2\ndata: {RESULT}\n\n");
    for size in [1, 7, 10_000] {
        for (head, answer_head, answer, answers) in [
            (OVER_STREAMS, JSON, RESULT, RESULT.to_owned()),
            (OVER_HTTP, JSON, RESULT, RESULT.to_owned()),
            (OVER_HTTP, std::str::from_utf8(RESPONSE).unwrap(), &streamed, format!("{TOLD},{RESULT}")),
        ] {
            let mut bench = Bench::new();
            bench.spy("a", 0, limits(100, 10_000), nothing());
            let changes = run(&mut bench, head, CALL, answer_head, answer, size);
            let count = if answers.len() > RESULT.len() { 3 } else { 2 };
            assert_eq!(
                bench.seen(),
                [
                    "a request POST",
                    &format!("a events {CALL}"),
                    "a response 200",
                    &format!("a events {answers}"),
                    &format!("a end {count}"),
                ]
            );
            assert_eq!((changes.account.events, changes.account.passed), (count, 0));
            assert!(changes.body.is_empty() && changes.request_body.is_empty());
        }
    }
}

/// What is wanted of messages is done to the body that each stands in.
#[test]
fn messages_are_changed_where_they_stand() {
    let masks: Act = Arc::new(|batch: &mut EventBatch| {
        let of_request = batch.is_of_request();
        for index in 0..batch.len() {
            let text = String::from_utf8_lossy(batch.get(index).unwrap().data).into_owned();
            assert_eq!(of_request, text.contains("\"method\":\"tools/call\""));
            if text.contains("progress") {
                batch.decide(index, Verdict::Drop);
            } else {
                let data = Some(text.replace("add", "***").replace("{}", "\"***\"").into_bytes());
                batch.decide(index, Verdict::Replace(Replacement { data, ..Replacement::default() }));
            }
        }
        Ok(())
    });
    let (call, result) = (CALL.replace("add", "***"), RESULT.replace("{}", "\"***\""));
    let streamed = format!("data: {TOLD}\n\nid: 2\ndata: {RESULT}\n\n");
    let batch = format!("[ {TOLD}, {RESULT} ]");
    for (asks, answer_head, answer, asked, answered, dropped) in [
        (format!(" {CALL}\n"), JSON, RESULT, call.clone(), result.clone(), 0),
        (
            CALL.into(),
            std::str::from_utf8(RESPONSE).unwrap(),
            &*streamed,
            call.clone(),
            format!("id: 2\ndata: {result}\n\n"),
            1,
        ),
        (
            format!("[{CALL},\n{CALL}]"),
            JSON,
            &*batch,
            format!("[{call},\n{call}]"),
            format!("[ null, {result} ]"),
            1,
        ),
        (CALL.into(), JSON, TOLD, call, String::new(), 1),
    ] {
        for size in [3, 10_000] {
            let mut bench = Bench::new();
            bench.spy("a", 0, Limits::default(), Arc::clone(&masks));
            let changes = run(&mut bench, OVER_HTTP, &asks, answer_head, answer, size);
            assert_eq!(edited(&asks, &changes.request_body, size), asked);
            assert_eq!(edited(answer, &changes.body, size), answered, "{answer}");
            assert_eq!(changes.account.dropped, dropped);
        }
    }
}

#[test]
fn a_notification_is_a_message_without_an_answer() {
    let mut bench = Bench::new();
    bench.spy("a", 0, Limits::default(), nothing());
    run(&mut bench, OVER_STREAMS, TOLD, ACCEPTED, "", 10);
    assert_eq!(bench.seen(), ["a request POST", &format!("a events {TOLD}"), "a response 202", "a end 1"]);
}

/// An answer may overtake the end of what asked for it: it is whole by then.
#[test]
fn a_request_is_whole_when_it_is_answered() {
    let mut bench = Bench::new();
    bench.spy("a", 0, Limits::default(), nothing());
    let watch = bench.registry.watch(None, b"POST", b"http://x/").unwrap();
    bench.stage.request(KEY, watch, OVER_STREAMS.into(), 0, false, 0);
    bench.stage.request_body(KEY, CALL.as_bytes(), 1, 1);
    bench.stage.response(KEY, JSON.into(), 2, 2);
    bench.stage.request_end(KEY, 3);
    bench.stage.body(KEY, RESULT.as_bytes(), 4, 4);
    bench.finish(5);
    assert_eq!(bench.seen_events(), [format!("a events {CALL}"), format!("a events {RESULT}")]);
}

#[test]
fn what_is_no_message_is_no_event() {
    for (head, asks, answer) in [
        (OVER_HTTP, r#"{"model":"m"}"#, RESULT),
        (OVER_STREAMS, "listening on stdio", ""),
        (OVER_HTTP, &CALL[..CALL.len() - 1], RESULT),
        ("POST http://x/ HTTP/1.1\r\ncontent-type: application/json\r\n", CALL, RESULT),
    ] {
        let mut bench = Bench::new();
        bench.spy("a", 0, Limits::default(), nothing());
        let changes = run(&mut bench, head, asks, JSON, answer, 10);
        assert_eq!((bench.seen_events(), changes.account.events), (Vec::new(), 0), "{head}");
    }
}

/// A message that has no room is passed over and counted; what follows is given, and stays a stream.
#[test]
fn messages_are_bounded() {
    let mut bench = Bench::new();
    let drops: Act = Arc::new(|batch: &mut EventBatch| {
        batch
            .decide(0, Verdict::Replace(Replacement { data: Some(b"x".to_vec()), ..Replacement::default() }));
        Ok(())
    });
    bench.spy("a", 0, Limits::default(), drops);
    let large = format!("{}{}", " ".repeat(MAX_BUFFERED_BYTES), CALL);
    let streamed = format!("data: {RESULT}\n\n");
    let head = std::str::from_utf8(RESPONSE).unwrap();
    let changes = run(&mut bench, OVER_HTTP, &large, head, &streamed, 1 << 20);
    assert_eq!((changes.account.events, changes.account.passed), (2, 1));
    assert_eq!(edited(&streamed, &changes.body, 10), "data: x\n\n");
    assert!(changes.request_body.is_empty());
    // An exchange that is forgotten in the middle of a message holds nothing.
    let watch = bench.registry.watch(None, b"POST", b"http://x/").unwrap();
    bench.stage.request(KEY, watch, OVER_HTTP.into(), 0, false, 0);
    bench.stage.request_body(KEY, &CALL.as_bytes()[..9], 0, 0);
    assert_eq!(bench.stage.buffered(), 9);
    bench.stage.forget(KEY);
    assert_eq!(bench.stage.buffered(), 0);
}

#[test]
fn encoded_bodies_are_read() {
    use std::io::Write;
    let encode = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let mut bench = Bench::new();
    bench.spy("a", 0, Limits::default(), nothing());
    let watch = bench.registry.watch(None, b"POST", b"http://x/").unwrap();
    let encoded = "content-encoding: gzip\r\n";
    bench.stage.request(KEY, watch, format!("{OVER_HTTP}{encoded}").into(), 0, false, 0);
    for piece in encode(CALL).chunks(5) {
        bench.stage.request_body(KEY, piece, 0, 0);
    }
    bench.stage.response(KEY, format!("{JSON}{encoded}").into(), 0, 0);
    for piece in encode(RESULT).chunks(5) {
        bench.stage.body(KEY, piece, 0, 0);
    }
    bench.finish(0);
    assert_eq!(bench.seen_events(), [format!("a events {CALL}"), format!("a events {RESULT}")]);
}

#[test]
fn messages_are_counted_by_what_is_asked_for() {
    use crate::interceptor::builtin::{Asked, MessageMetrics, Messages};
    let metrics = Arc::<MessageMetrics>::default();
    let mut bench = Bench::new();
    let into = Arc::clone(&metrics);
    bench.local("messages", move || Messages::new(Arc::clone(&into)));
    let error = r#"{"jsonrpc":"2.0","id":3,"error":{"code":1,"message":"no"}}"#;
    let streamed = format!("data: {TOLD}\n\ndata: {RESULT}\n\n");
    let ping = r#"{"jsonrpc":"2.0","id":4,"method":"ping"}"#;
    let stream = std::str::from_utf8(RESPONSE).unwrap();
    for (asks, head, answer) in [
        (CALL, JSON, RESULT),
        (CALL, JSON, error),
        (CALL, stream, &*streamed),
        (ping, stream, ""),
        (TOLD, ACCEPTED, ""),
        (RESULT, ACCEPTED, ""),
    ] {
        run(&mut bench, OVER_HTTP, asks, head, answer, 1000);
    }
    let counts = [&metrics.requests, &metrics.notifications, &metrics.responses, &metrics.errors];
    assert_eq!(counts.map(crate::stats::Counter::get), [4, 2, 4, 1]);
    let bytes = 3 * CALL.len() + 3 * RESULT.len() + 2 * TOLD.len() + error.len() + ping.len();
    assert_eq!(metrics.bytes.get(), bytes as u64);
    let methods = metrics.methods();
    let told: Vec<_> = methods
        .iter()
        .map(|of| (of.asked.method.as_str(), of.asked.tool.as_deref(), of.requests, of.errors, of.unanswered))
        .collect();
    assert_eq!(told, [("ping", None, 1, 0, 1), ("tools/call", Some("add"), 3, 1, 0)]);
    assert_eq!((methods[1].took_ms.count, methods[1].took_ms.max.round()), (3, 1002.0));
    // Names come from outside: there are not more of them than there is room for.
    for number in 0..300 {
        let asks = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{number}{}"}}"#, "m".repeat(number));
        run(&mut bench, OVER_HTTP, &asks, JSON, RESULT, 1000);
    }
    let methods = metrics.methods();
    assert_eq!(methods.len(), 257);
    assert_eq!(methods[0].asked, Asked::default());
    assert!(methods.iter().all(|of| of.asked.method.len() <= 128));
    assert_eq!(methods.iter().map(|of| of.requests).sum::<u64>(), 304);
}
