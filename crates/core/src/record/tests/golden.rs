//! One line for each kind of exchange, byte for byte, in `fixtures/records/v1.jsonl`: what readers in other languages are
//! tested with. `BLESS=1 cargo test` writes the file anew.

use super::*;
use crate::exchange::{Earlier, Unanswered, Waiting};
use crate::interceptor::{Account, Annotation, Changes, Edit, Failure};
use crate::record::write_changed_line;

const HEAD_OF_MANY_FIELDS: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: [REDACTED]\r\n\
    vary: Accept\r\nset-cookie: [REDACTED]\r\nVary: Origin\r\nx-latin: caf\u{e9}\r\n";

const EVENTS: [&[u8]; 4] = [
    b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":{\"input_tokens\":12}}}\n\n",
    b"event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"Héllo 😀\"}}\r\n\r\n".as_bytes(),
    b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
];

const PROMPT: &[u8] =
    b"{ \"model\": \"claude-mock-1\", \"stream\": true, \"temperature\": 1.0,\n  \"messages\": [] }";

/// A ping that was left out, an event that stands there otherwise, and a header.
fn intercepted() -> String {
    let mut exchange = exchange(&[PROMPT], &EVENTS);
    exchange.id = "intercepted";
    let ping = EVENTS[0].len() as u64..(EVENTS[0].len() + EVENTS[1].len()) as u64;
    let delta = ping.end..ping.end + EVENTS[2].len() as u64;
    let text = b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"***\"}}\n\n";
    let note = |json: &str| serde_json::value::RawValue::from_string(json.into()).unwrap();
    let by = || "tidy".to_string();
    let changes = Changes {
        response_head: Some(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nx-tenant: a\r\n".to_vec(),
        ),
        body: vec![
            Edit { start: ping.start, end: ping.end, text: Vec::new() },
            Edit { start: delta.start, end: delta.end - 1, text: text.to_vec() },
        ],
        account: Account {
            by: vec![by(), "tag".into()],
            events: 4,
            dropped: 1,
            replaced: 1,
            headers: vec!["response"],
            failed: vec![Failure { by: "audit".into(), reason: "TypeError: no".into() }],
            late: vec!["tag".into()],
            annotations: vec![
                Annotation { by: by(), event: Some(2), value: note("{\"masked\":1}") },
                Annotation { by: by(), event: None, value: note("\"reviewed\"") },
            ],
            ..Account::default()
        },
        ..Changes::default()
    };
    let mut out = Vec::new();
    write_changed_line(&exchange, Some(&changes), &OPTIONS, &mut out);
    String::from_utf8(out).unwrap()
}

fn written() -> String {
    let mut lines = String::new();
    let mut add = |id: &'static str, change: &dyn Fn(&mut Exchange<'static>)| {
        let mut exchange = exchange(&[PROMPT], &EVENTS);
        exchange.id = id;
        change(&mut exchange);
        lines.push_str(&line_of(
            &exchange,
            &RecordOptions { derive: ["derived", "resumed"].contains(&id), ..OPTIONS },
        ));
    };
    let answer = |exchange: &mut Exchange<'static>, head: &'static str, body: &[&'static [u8]]| {
        let response = exchange.response.as_mut().unwrap();
        response.head = head.as_bytes();
        response.chunks = chunks(12, body);
    };

    add("event-stream", &|_| {});
    add("zero-latency", &|exchange| exchange.zero_latency = true);
    add("json", &|exchange| {
        answer(exchange, HEAD_OF_MANY_FIELDS, &[b"{\"id\": \"msg_1\",", b" \"n\": 1e400}"])
    });
    add("rate-limited", &|exchange| {
        answer(
            exchange,
            "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after: 1\r\n",
            &[b"{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow down\"}}"],
        );
    });
    add("no-bodies", &|exchange| {
        exchange.request_head = b"GET https://api.anthropic.com/v1/models HTTP/1.1\r\n";
        exchange.request_chunks.clear();
        answer(exchange, "HTTP/1.1 204 No Content\r\n", &[]);
    });
    add("text-request", &|exchange| exchange.request_chunks = chunks(1, &[b"\"quoted\"\tand \\ \x1f"]));
    add("binary", &|exchange| {
        exchange.request_chunks = chunks(1, &[b"\x00\xff"]);
        answer(exchange, "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n", &[b"\x89PNG\r\n"]);
    });
    // zstd's own frame of "data: 1\n\n", uncompressed, so that no compressor's version shows in this file.
    add("zstd", &|exchange| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: zstd\r\n";
        answer(exchange, head, &[b"\x28\xb5\x2f\xfd\x20\x09\x49\x00\x00", b"data: 1\n\n"]);
    });
    add("unknown-encoding", &|exchange| {
        answer(exchange, "HTTP/1.1 200 OK\r\ncontent-encoding: x-own\r\n", &[b"\xffown"]);
    });
    add("trailers", &|exchange| exchange.response.as_mut().unwrap().trailers = b"X-Checksum: abc\r\n");
    add("http2", &|exchange| exchange.source = Source::Http2);
    add("reset-in-a-character", &|exchange| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
        answer(exchange, head, &[b"data: \xf0\x9f", b"\x98"]);
        exchange.end = End::Error { code: "ECONNRESET", message: "read ECONNRESET" };
    });
    add("websocket", &|exchange| {
        exchange.request_head =
            b"GET https://api.openai.com/v1/realtime?model=x HTTP/1.1\r\nupgrade: websocket\r\n";
        exchange.request_chunks = chunks(15, &[b"\x81\x82\x00\x00\x00\x00hi", b"\x88\x80\x00\x00\x00\x00"]);
        answer(
            exchange,
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n",
            &[b"\x81\x02yo", b"\x88\x00"],
        );
    });
    add("killed", &|exchange| {
        exchange.response.as_mut().unwrap().chunks.truncate(2);
        exchange.end = End::Cut("the process ended");
        exchange.recovered = true;
    });
    add("gap", &|exchange| {
        exchange.response.as_mut().unwrap().chunks.remove(1);
        exchange.gap = true;
    });
    add("refused", &|exchange| {
        exchange.response = None;
        exchange.request_sent_at = None;
        exchange.end = End::Error { code: "ECONNREFUSED", message: "connect ECONNREFUSED 127.0.0.1:9" };
    });
    add("orphan", &|exchange| {
        exchange.response = None;
        exchange.end = End::Cut("the process ended");
    });
    add("derived", &|exchange| {
        exchange.response.as_mut().unwrap().chunks = chunks(12, &derived::EVENTS.map(str::as_bytes));
    });
    let earlier: &'static Earlier = Box::leak(Box::new(streams::earlier(&["1", "2"])));
    add("resumed", &|exchange| {
        exchange.request_head = b"GET https://api.example/events HTTP/1.1\r\nlast-event-id: 1\r\n";
        exchange.request_chunks.clear();
        exchange.response.as_mut().unwrap().chunks =
            chunks(12, &[b"id: 2\ndata: again\n\n", b"id: 3\ndata: new\n\n"]);
        exchange.earlier = Some(earlier);
    });
    let asked = |exchange: &mut Exchange<'static>, target: &'static str, message: &'static [u8]| {
        exchange.source = Source::McpClient;
        exchange.request_head = target.as_bytes();
        exchange.request_chunks = chunks(0, &[message]);
    };
    add("mcp-call", &|exchange| {
        let message = br#"{"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2},"_meta":{"progressToken":3}},"jsonrpc":"2.0","id":3}"#;
        asked(exchange, "POST mcp+stdio://sums/tools/call\r\ncontent-type: application/json\r\n", message);
        let answer_of_it = br#"{"result":{"content":[{"type":"text","text":"3"}]},"jsonrpc":"2.0","id":3}"#;
        answer(exchange, JSON_HEAD, &[answer_of_it]);
    });
    add("mcp-notification", &|exchange| {
        let message = br#"{"method":"notifications/progress","params":{"progress":1,"progressToken":3},"jsonrpc":"2.0"}"#;
        let target = "POST mcp+stdio://sums/notifications/progress\r\ncontent-type: application/json\r\n";
        asked(exchange, target, message);
        exchange.source = Source::McpServer;
        answer(exchange, "HTTP/1.1 202 Accepted\r\n", &[]);
    });
    add("mcp-error", &|exchange| {
        let message = br#"{"method":"tools/call","params":{"name":"none"},"jsonrpc":"2.0","id":"a-1"}"#;
        asked(exchange, "POST mcp+stdio://sums/tools/call\r\ncontent-type: application/json\r\n", message);
        let error = br#"{"jsonrpc":"2.0","id":"a-1","error":{"code":-32602,"message":"unknown tool"}}"#;
        answer(exchange, JSON_HEAD, &[error]);
    });
    add("mcp-other", &|exchange| {
        asked(exchange, "POST mcp+stdio://sums/\r\n", b"listening on stdio");
        exchange.source = Source::McpServer;
        answer(exchange, "HTTP/1.1 202 Accepted\r\n", &[]);
    });
    add("mcp-over-http", &|exchange| {
        exchange.request_head =
            b"POST http://127.0.0.1:3000/mcp HTTP/1.1\r\ncontent-type: application/json\r\n";
        let batch = br#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"none"}}]"#;
        exchange.request_chunks = chunks(1, &[batch]);
        let answers = br#"[{"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"unknown tool"}},{"jsonrpc":"2.0","id":1,"result":{}}]"#;
        answer(exchange, JSON_HEAD, &[answers]);
    });
    add("ruled", &|exchange| {
        exchange.source = Source::Proxy;
        exchange.rules =
            br#"[{"name":"mask","replaced":2},{"name":"slow","delayed_ms":250,"headers":["request"]}]"#;
    });
    let progress = b"id: a-1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progress\":1}}\n\n";
    let error = b"id: a-2\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32602,\"message\":\"unknown tool\"}}\n\n";
    add("mcp-streamed-error", &|exchange| {
        exchange.request_head =
            b"POST http://127.0.0.1:3000/mcp HTTP/1.1\r\ncontent-type: application/json\r\n";
        let call = br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"none"}}"#;
        exchange.request_chunks = chunks(0, &[call]);
        exchange.response.as_mut().unwrap().chunks = chunks(12, &[progress, error]);
    });
    let mut earlier = streams::earlier(&["a-1"]);
    let waits = Waiting { element: 0, method: "tools/call".into(), id: "7".into() };
    earlier.unanswered = Some(Unanswered { requests: vec![waits], batch: None });
    let earlier: &'static Earlier = Box::leak(Box::new(earlier));
    add("mcp-resumed", &|exchange| {
        exchange.request_head = b"GET http://127.0.0.1:3000/mcp HTTP/1.1\r\nlast-event-id: a-1\r\n";
        exchange.request_chunks.clear();
        exchange.response.as_mut().unwrap().chunks = chunks(12, &[error]);
        exchange.earlier = Some(earlier);
    });
    lines.push_str(&intercepted());
    lines
}

#[test]
fn writes_the_golden_lines() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/records/v1.jsonl");
    let written = written();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &written).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    for (ours, golden) in written.lines().zip(golden.lines()) {
        assert_eq!(ours, golden);
    }
    assert_eq!(written.lines().count(), golden.lines().count());
}
