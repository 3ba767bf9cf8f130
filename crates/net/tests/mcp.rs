//! The ears of an MCP relay: what comes of what they hear, cut anywhere.

mod support;

use claude_trace_core::config::Config as Recording;
use claude_trace_core::notice::Notices;
use claude_trace_core::pipeline::Pipeline;
use claude_trace_net::Tape;
use claude_trace_net::mcp::{Ear, Ears, End, MAX_LINE, pump};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::time::Instant;

struct Heard {
    ears: Ears,
    tape: Tape,
    _folder: tempfile::TempDir,
}

impl Heard {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recording = Recording {
            spool_dir: Some(folder.path().join("spool")),
            runtime_dir: folder.path().join("runtime"),
            write_buffer_flush_ms: 1,
            ..Recording::new(folder.path().join("log"))
        };
        let tape = Tape::new(&Pipeline::new(recording, Notices::silent()).unwrap(), 1).unwrap();
        Self { ears: Ears::new(&tape, "sums", None), tape, _folder: folder }
    }

    fn client(&mut self, text: impl AsRef<[u8]>) {
        say(&mut self.ears.client, text.as_ref());
    }

    fn server(&mut self, text: impl AsRef<[u8]>) {
        say(&mut self.ears.server, text.as_ref());
    }

    /// Ends the relay, and reads its log.
    fn records(self) -> Vec<Value> {
        assert!(self.tape.close("the server ended before it answered", Instant::now() + support::STUCK));
        let stats = self.tape.stats();
        assert_eq!((stats.drops, stats.failed, stats.pending_requests), (0, 0, 0));
        let text = std::fs::read_to_string(stats.log_file).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn say(ear: &mut Ear, bytes: &[u8]) {
    ear.hear(bytes);
    ear.passed();
}

fn request(id: Value, method: &str) -> String {
    json!({ "method": method, "params": {}, "jsonrpc": "2.0", "id": id }).to_string() + "\n"
}

fn answer(id: Value) -> String {
    json!({ "result": { "of": id }, "jsonrpc": "2.0", "id": id }).to_string() + "\n"
}

fn notification(method: &str, params: Value) -> String {
    json!({ "method": method, "params": params, "jsonrpc": "2.0" }).to_string() + "\n"
}

/// What a record says in short.
fn brief(record: &Value) -> String {
    let rpc = &record["trace"]["jsonrpc"];
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let status = record["response"]["status_code"].as_i64().unwrap_or(0);
    format!(
        "{} {} {} {} {status}",
        text(&rpc["from"]),
        text(&rpc["kind"]),
        text(&rpc["method"]),
        text(&rpc["id"])
    )
}

fn briefs(records: &[Value]) -> Vec<String> {
    records.iter().map(brief).collect()
}

#[test]
fn requests_meet_their_answers_in_both_directions_whatever_their_order() {
    let mut heard = Heard::new();
    heard.client(request(json!(1), "tools/call"));
    heard.client(request(json!("1"), "tools/list"));
    // The server has an id of the same spelling.
    heard.server(request(json!(1), "sampling/createMessage"));
    heard.server(answer(json!("1")));
    heard.client(answer(json!(1)));
    heard.server(answer(json!(1)));
    let records = heard.records();
    assert_eq!(
        briefs(&records),
        [
            "client request tools/list 1 200",
            "server request sampling/createMessage 1 200",
            "client request tools/call 1 200"
        ]
    );
    assert_eq!(
        records[0]["response"]["body"],
        json!({ "result": { "of": "1" }, "jsonrpc": "2.0", "id": "1" })
    );
    assert_eq!(records[2]["request"]["url"], "mcp+stdio://sums/tools/call");
    assert_eq!(records[2]["request"]["headers"], json!({ "content-type": "application/json" }));
    assert!(records.iter().all(|record| record.get("note").is_none()));
}

#[test]
fn what_wants_no_answer_and_what_nobody_waits_for_stand_alone() {
    let mut heard = Heard::new();
    heard.client(notification("notifications/initialized", json!({})));
    heard.server(answer(json!(9)));
    heard.server("listening on stdio\n\n{\"level\":30,\"msg\":\"x\"}\r\n");
    heard.server(
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"Parse error\"}}\n",
    );
    assert_eq!(heard.ears.strays.load(Ordering::Relaxed), 2);
    let records = heard.records();
    assert_eq!(
        briefs(&records),
        [
            "client notification notifications/initialized null 202",
            "server response null 9 202",
            "server other null null 202",
            "server other null null 202",
            "server response null null 202"
        ]
    );
    assert_eq!(records[2]["request"]["body"], "listening on stdio");
    assert_eq!(records[4]["trace"]["jsonrpc"]["error"], json!({ "code": -32700, "message": "Parse error" }));
}

#[test]
fn the_elements_of_a_batch_are_exchanges_of_their_own() {
    let mut heard = Heard::new();
    let parts = [request(json!(1), "a"), notification("b", json!({})), request(json!(2), "c"), "7".into()];
    heard.client(format!("[{}]\n", parts.join(",").replace('\n', "")));
    let refused = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no a"}}"#;
    heard.server(format!("[{},{refused}]\n", answer(json!(2)).trim()));
    let mut records = heard.records();
    records.sort_by_key(|record| record["request"]["headers"]["mcp-batch"].to_string());
    assert_eq!(
        briefs(&records),
        [
            "client request a 1 200",
            "client notification b null 202",
            "client request c 2 200",
            "client other null null 202"
        ]
    );
    assert_eq!(records[2]["request"]["headers"]["mcp-batch"], "3/4");
    assert_eq!(records[0]["trace"]["jsonrpc"]["error"], json!({ "code": -32601, "message": "no a" }));
    assert!(records[2]["trace"]["jsonrpc"].get("error").is_none());
}

#[test]
fn what_is_taken_back_or_never_answered_says_so() {
    let mut heard = Heard::new();
    heard.client(request(json!(1), "slow"));
    heard.client(request(json!(2), "slower"));
    heard.client(notification("notifications/cancelled", json!({ "requestId": 1, "reason": "late" })));
    heard.client(request(json!(2), "again"));
    // Too late: nobody waits for it any more.
    heard.server(answer(json!(1)));
    let records = heard.records();
    let notes: Vec<_> =
        records.iter().map(|r| (brief(r), r["note"].as_str().unwrap_or("").to_owned())).collect();
    let note = |text: &str| notes.iter().find(|(brief, _)| brief.contains(text)).unwrap().1.as_str();
    assert_eq!(note("slow 1"), "REQUEST_FAILED - ERR_CANCELLED: the side that asked has taken it back");
    assert_eq!(
        note("slower"),
        "REQUEST_FAILED - ERR_UNANSWERED: its id was used again before it was answered"
    );
    assert_eq!(note("again"), "ORPHANED_REQUEST - No matching response received");
    assert_eq!(note("server response null 1 202"), "");
    let cancelled = records.iter().find(|record| brief(record).contains("cancelled")).unwrap();
    assert_eq!(cancelled["trace"]["jsonrpc"]["cancels"], 1);
    let open = records.iter().find(|record| brief(record).contains("again")).unwrap();
    assert_eq!(open["trace"]["cut"], "the server ended before it answered");
}

#[test]
fn a_line_that_is_not_whole_is_on_record_until_it_is() {
    let mut heard = Heard::new();
    let text = request(json!(1), "x");
    heard.client(&text[..10]);
    heard.client(&text[10..20]);
    assert_eq!(heard.tape.stats().pending_requests, 1, "the part");
    heard.client(&text[20..]);
    assert_eq!(heard.tape.stats().pending_requests, 1, "the request");
    heard.server("{\"jsonrpc\":\"2.0\"");
    heard.ears.server.end();
    heard.client("x\n");
    let records = heard.records();
    assert_eq!(
        briefs(&records),
        ["server other null null 0", "client other null null 202", "client request x 1 0"]
    );
    assert_eq!(records[0]["note"], "REQUEST_FAILED - the stream ended in the middle of a line");
    assert_eq!(records[0]["request"]["body"], "{\"jsonrpc\":\"2.0\"");
}

#[test]
fn a_line_that_is_too_long_is_on_record_by_itself_and_the_next_is_heard() {
    let mut heard = Heard::new();
    let piece = vec![b'a'; 1 << 20];
    heard.server("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"");
    for _ in 0..=MAX_LINE >> 20 {
        heard.server(&piece);
    }
    heard.server("\"}\n");
    heard.server(notification("next", json!({})));
    let records = heard.records();
    assert_eq!(briefs(&records), ["server response null 1 202", "server notification next null 202"]);
    assert!(records[0]["trace"]["request_bytes"].as_u64().unwrap() > MAX_LINE as u64);
}

#[test]
fn what_the_other_side_did_not_take_is_no_whole_exchange() {
    let (client, far_client) = UnixStream::pair().unwrap();
    let (server, far_server) = UnixStream::pair().unwrap();
    let Heard { ears, tape, _folder } = Heard::new();
    drop(far_server);
    let mut far_client = File::from(OwnedFd::from(far_client));
    far_client.write_all(request(json!(1), "x").as_bytes()).unwrap();
    assert!(matches!(pump(client, server, ears.client), End::OfOutput(_)));
    // Who is behind the input hears of it.
    assert!(matches!(far_client.read(&mut [0]), Ok(0) | Err(_)));
    let records = Heard { ears: Ears::new(&tape, "x", None), tape, _folder }.records();
    assert!(records[0]["note"].as_str().unwrap().starts_with("REQUEST_FAILED - EPIPE"), "{}", records[0]);
}

/// What either side may say: with the answer's text, if there is one.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..4_u8).prop_map(|id| request(json!(id), "m")),
        (0..4_u8).prop_map(|id| answer(json!(id))),
        Just(notification("n", json!({ "progressToken": 1 }))),
        Just("stray\n".to_owned()),
        Just("\n".to_owned()),
        "[\\[\\]{}\",:a1]{0,12}".prop_map(|text| text + "\n"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The same records however the streams are cut: all that is said is on record once.
    #[test]
    fn no_split_changes_what_is_on_record(
        lines in prop::collection::vec((any::<bool>(), line()), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 12),
    ) {
        let mut whole = Heard::new();
        let mut cut = Heard::new();
        for ((is_client, text), at) in lines.iter().zip(cuts) {
            let (start, end) = text.split_at(at.index(text.len()));
            for (heard, pieces) in [(&mut whole, &[text.as_str(), ""]), (&mut cut, &[start, end])] {
                for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
                    if *is_client { heard.client(piece) } else { heard.server(piece) }
                }
            }
        }
        let plain = |records: Vec<Value>| {
            let mut plain: Vec<_> = records
                .iter()
                .map(|r| format!("{} {} {} {}", brief(r), r["request"]["body"], r["response"], r["note"]))
                .map(|text| text.split("\"timestamp\"").next().unwrap().to_owned())
                .collect();
            plain.sort();
            plain
        };
        prop_assert_eq!(plain(whole.records()), plain(cut.records()));
    }
}
