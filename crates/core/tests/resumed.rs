//! Streams that are resumed, from outside: what is joined does not depend on which worker makes which record when.

use claude_trace_core::clock::monotonic_nanos;
use claude_trace_core::config::{Config, Workers};
use claude_trace_core::exchange::{Kind, Source};
use claude_trace_core::notice::Notices;
use claude_trace_core::pipeline::{Pipeline, Recorder};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

fn config(dir: &Path) -> Config {
    Config {
        spool_dir: Some(dir.join("spool")),
        runtime_dir: dir.join("run"),
        log_base_name: Some("log".into()),
        ..Config::new(dir.join("logs"))
    }
}

/// A stream from its head to its end.
fn stream(recorder: &mut Recorder, path: &str, last: Option<u32>, body: &str) {
    let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
    let head = format!("GET {path} HTTP/1.1\r\naccept: text/event-stream\r\n{last}");
    let now = monotonic_nanos;
    let id =
        recorder.begin(Source::Undici, "https://h", head.as_bytes(), now(), now()).expect("there is room");
    recorder.push(id, Kind::RequestEnd, b"", now());
    recorder.push(id, Kind::ResponseHead, b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n", now());
    recorder.push(id, Kind::ResponseBody, body.as_bytes(), now());
    recorder.push(id, Kind::ResponseEnd, b"", now());
}

fn records(dir: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(dir.join("logs/log.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_short_stream_that_resumes_a_long_one_finds_it_whatever_the_workers() {
    for (zero_latency, background_workers) in [
        (true, Workers::Fixed(4)),
        (true, Workers::Auto),
        (true, Workers::Fixed(1)),
        (false, Workers::Fixed(1)),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { zero_latency, background_workers, ..config(dir.path()) };
        let mut recorder = Recorder::new(&Pipeline::new(config, Notices::silent()).unwrap()).unwrap();
        // Its record takes far longer to be made than that of the one that resumes it.
        let long = format!("id: 1\ndata: {}\n\nid: 2\ndata: x\n\n", "long ".repeat(100_000));
        for n in 0..30 {
            stream(&mut recorder, &format!("/events/{n}"), None, &long);
            stream(
                &mut recorder,
                &format!("/events/{n}?again"),
                Some(1),
                "id: 2\ndata: x\n\nid: 3\ndata: y\n\n",
            );
        }
        assert!(recorder.close("done", Instant::now() + Duration::from_secs(20)));
        let records = records(dir.path());
        assert_eq!(records.len(), 60);
        for pair in records.chunks(2) {
            let expected = serde_json::json!({ "id": pair[0]["trace"]["id"], "replayed": [[0, 1]] });
            assert_eq!(pair[1]["trace"]["resumes"], expected, "{background_workers:?} workers");
            assert_eq!(pair[0]["trace"].get("resumes"), None);
        }
        let sse = recorder.stats().sse;
        assert_eq!((sse.streams, sse.events, sse.reconnects, sse.replayed_events), (60, 120, 30, 30));
    }
}
