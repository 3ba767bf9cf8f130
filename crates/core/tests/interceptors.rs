//! Interceptors in the pipeline, from outside: what they want is in the record, and whatever they do there is a record.

use claude_trace_core::clock::monotonic_nanos;
use claude_trace_core::config::Config;
use claude_trace_core::exchange::{Kind, Source};
use claude_trace_core::interceptor::{
    Answer, End, EventBatch, Failed, Hooks, Interceptor, Limits, Mailbox, Maker, Pattern, Registration,
    Replacement, Rule, Said, Verdict,
};
use claude_trace_core::notice::Notices;
use claude_trace_core::pipeline::{Pipeline, Recorder};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const ORIGIN: &str = "https://api.anthropic.com";
const REQUEST: &[u8] = b"POST /v1/messages HTTP/1.1\r\ncontent-type: application/json\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
const GZIPPED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n";

const STREAM: [&str; 5] = [
    "data: {\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"content\":[]}}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"secret\"}}\n\n",
    "data: {\"type\":\"message_stop\"}\n\n",
];

fn config(dir: &Path) -> Config {
    Config {
        spool_dir: Some(dir.join("spool")),
        runtime_dir: dir.join("run"),
        ..Config::new(dir.join("logs"))
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn recorder(config: Config) -> Recorder {
    Recorder::new(&Pipeline::new(config, Notices::silent()).unwrap()).unwrap()
}

fn begin(recorder: &mut Recorder, head: &[u8]) -> u64 {
    let now = monotonic_nanos();
    let id = recorder.begin(Source::Undici, ORIGIN, REQUEST, now, now).expect("there is room");
    recorder.push(id, Kind::RequestEnd, b"", now);
    recorder.push(id, Kind::ResponseHead, head, now);
    id
}

fn exchange(recorder: &mut Recorder, head: &[u8], chunks: &[&[u8]]) {
    let id = begin(recorder, head);
    for chunk in chunks {
        recorder.push(id, Kind::ResponseBody, chunk, monotonic_nanos());
    }
    recorder.push(id, Kind::ResponseEnd, b"", monotonic_nanos());
}

fn records(dir: &Path) -> Vec<Value> {
    let Ok(files) = std::fs::read_dir(dir.join("logs")) else { return Vec::new() };
    let text: String = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn register(recorder: &Recorder, name: &str, maker: Maker) {
    let registration = Registration {
        name: name.into(),
        order: 0,
        rule: Rule { paths: vec![Pattern::new("/v1/*")], ..Rule::default() },
        scope: Some(recorder.scope()),
        hooks: Hooks::ALL,
        limits: Limits::default(),
        maker,
    };
    recorder.interceptors().add(registration);
}

fn local<I: Interceptor + 'static>(make: impl Fn() -> I + Send + Sync + 'static) -> Maker {
    Maker::Local(Box::new(move || Box::new(make())))
}

/// Drops pings, and hides a word.
struct Hide;

impl Interceptor for Hide {
    fn on_events(&mut self, batch: &mut EventBatch) -> Result<(), Failed> {
        for index in 0..batch.len() {
            let event = batch.get(index).unwrap();
            let data = String::from_utf8_lossy(event.data);
            if event.kind == b"ping" {
                batch.decide(index, Verdict::Drop);
            } else if data.contains("secret") {
                let data = Some(data.replace("secret", "******").into_bytes());
                batch.decide(index, Verdict::Replace(Replacement { data, ..Replacement::default() }));
            }
        }
        Ok(())
    }
}

fn gzip(parts: &[&str]) -> Vec<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut chunks: Vec<Vec<u8>> = parts
        .iter()
        .map(|part| {
            encoder.write_all(part.as_bytes()).unwrap();
            encoder.flush().unwrap();
            std::mem::take(encoder.get_mut())
        })
        .collect();
    chunks.push(encoder.finish().unwrap());
    chunks
}

#[test]
fn verdicts_are_in_the_body_and_in_what_is_derived_from_it() {
    for zero_latency in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = recorder(Config { zero_latency, deferred_parsing: false, ..config(dir.path()) });
        register(&recorder, "hide", local(|| Hide));
        let plain: Vec<&[u8]> = STREAM.iter().map(|part| part.as_bytes()).collect();
        exchange(&mut recorder, RESPONSE, &plain);
        // One byte at a time, all at once, and encoded.
        let whole = plain.concat();
        exchange(&mut recorder, RESPONSE, &whole.chunks(1).collect::<Vec<_>>());
        exchange(&mut recorder, RESPONSE, &[&whole]);
        let encoded = gzip(&STREAM);
        exchange(&mut recorder, GZIPPED, &encoded.iter().map(|chunk| &chunk[..]).collect::<Vec<_>>());
        assert!(recorder.drain(soon()));
        let expected = STREAM.concat().replace(STREAM[2], "").replace("secret", "******");
        let all = records(dir.path());
        assert_eq!(all.len(), 4);
        for (index, record) in all.iter().enumerate() {
            assert_eq!(record["response"]["body_raw"], expected, "{index}");
            assert_eq!(record["derived"]["message"]["content"][0]["text"], "******");
            assert_eq!(record["derived"]["events"]["count"], 4);
            assert_eq!(
                record["intercepted"],
                json!({ "by": ["hide"], "events": 5, "dropped": 1, "replaced": 1 })
            );
            let sizes = record["trace"]["chunks"]["bytes"].as_array().unwrap();
            let sum: u64 = sizes.iter().map(|size| size.as_u64().unwrap()).sum();
            assert_eq!(record["trace"]["response_bytes"], sum, "the trace tells of the wire");
        }
        let stats = recorder.interceptors().stats();
        assert_eq!((stats.exchanges, stats.events, stats.dropped, stats.replaced), (4, 20, 4, 4));
        recorder.close("done", soon());
    }
}

/// Events could be read while it came, and then the body turned out to be damaged.
#[test]
fn a_body_that_cannot_be_decoded_stands_there_as_it_came() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = recorder(config(dir.path()));
    register(&recorder, "hide", local(|| Hide));
    let mut encoded = gzip(&STREAM);
    encoded.push(b"this is no gzip at all, however long it is".to_vec());
    exchange(&mut recorder, GZIPPED, &encoded.iter().map(|chunk| &chunk[..]).collect::<Vec<_>>());
    assert!(recorder.close("done", soon()));
    let record = &records(dir.path())[0];
    assert_eq!(record["trace"]["decoding"], "corrupt");
    assert_eq!(record["response"]["body_encoding"], "base64");
    assert_eq!(record["intercepted"]["body_unchanged"], true);
}

#[test]
fn a_stream_that_is_cut_off_is_intercepted_as_far_as_it_came() {
    for zero_latency in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = recorder(Config { zero_latency, ..config(dir.path()) });
        register(&recorder, "hide", local(|| Hide));
        let id = begin(&mut recorder, RESPONSE);
        recorder.push(id, Kind::ResponseBody, STREAM[2].as_bytes(), monotonic_nanos());
        recorder.push(id, Kind::ResponseBody, &STREAM[3].as_bytes()[..20], monotonic_nanos());
        assert!(recorder.close("the test ended", soon()));
        let record = &records(dir.path())[0];
        assert_eq!(record["response"]["body_raw"], &STREAM[3][..20]);
        assert_eq!(record["trace"]["cut"], "the test ended");
    }
}

#[test]
fn one_environment_does_not_see_the_exchanges_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::new(config(dir.path()), Notices::silent()).unwrap();
    let [mut one, mut other] = [(); 2].map(|()| Recorder::new(&pipeline).unwrap());
    register(&one, "hide", local(|| Hide));
    exchange(&mut other, RESPONSE, &[STREAM[2].as_bytes()]);
    exchange(&mut one, RESPONSE, &[STREAM[2].as_bytes()]);
    assert!(one.drain(soon()));
    let mut bodies: Vec<Value> =
        records(dir.path()).iter().map(|record| record["response"]["body_raw"].clone()).collect();
    bodies.sort_by_key(ToString::to_string);
    assert_eq!(bodies, [json!(""), json!(STREAM[2])]);
}

/// Waits in its first batch until the test lets it go.
struct Hangs(Sender<()>, Arc<Mutex<Receiver<()>>>);

impl Interceptor for Hangs {
    fn on_events(&mut self, batch: &mut EventBatch) -> Result<(), Failed> {
        let _ = self.0.send(());
        let _ = self.1.lock().unwrap().recv();
        batch.decide(0, Verdict::Drop);
        Ok(())
    }
}

#[test]
fn one_that_hangs_costs_itself_and_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = recorder(config(dir.path()));
    let (entered, has_entered) = channel();
    let (let_go, gate) = channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    register(&recorder, "hangs", local(move || Hangs(entered.clone(), Arc::clone(&gate))));
    exchange(&mut recorder, RESPONSE, &[STREAM[2].as_bytes()]);
    has_entered.recv().unwrap();
    // More than the queue holds, of other exchanges too.
    let id = begin(&mut recorder, RESPONSE);
    for _ in 0..3000 {
        recorder.push(id, Kind::ResponseBody, STREAM[2].as_bytes(), monotonic_nanos());
    }
    recorder.push(id, Kind::ResponseEnd, b"", monotonic_nanos());
    assert!(recorder.drain(soon()));
    let all = records(dir.path());
    assert_eq!(all.len(), 2);
    for record in &all {
        assert!(record["response"]["body_raw"].as_str().unwrap().starts_with(STREAM[2]));
        assert_eq!(record.get("intercepted"), None, "without it");
    }
    let longest = all.iter().map(|record| record["response"]["body_raw"].as_str().unwrap().len()).max();
    assert_eq!(longest, Some(3000 * STREAM[2].len()));
    assert_eq!(recorder.interceptors().stats().overruns, 2);
    drop(let_go);
    assert!(recorder.close("done", soon()));
}

/// Wants no record of what was answered with a ping.
struct NoPings(bool);

impl Interceptor for NoPings {
    fn on_events(&mut self, batch: &mut EventBatch) -> Result<(), Failed> {
        self.0 |= batch.iter().any(|event| event.kind == b"ping");
        Ok(())
    }

    fn on_end(&mut self, end: &mut End<'_>) -> Result<(), Failed> {
        if self.0 {
            end.discard();
        }
        Ok(())
    }
}

#[test]
fn an_exchange_can_be_discarded() {
    for zero_latency in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = recorder(Config { zero_latency, ..config(dir.path()) });
        register(&recorder, "no pings", local(|| NoPings(false)));
        exchange(&mut recorder, RESPONSE, &[STREAM[2].as_bytes()]);
        exchange(&mut recorder, RESPONSE, &[STREAM[4].as_bytes()]);
        assert!(recorder.close("done", soon()));
        let all = records(dir.path());
        assert_eq!(all.len(), 1);
        assert_eq!(all[0]["response"]["body_raw"], STREAM[4]);
        assert_eq!(recorder.stats().total_pairs, 1);
    }
}

/// Answers whatever comes with a note, until nothing is watched any more.
fn answer_all(mailbox: &Mailbox, pump: impl Fn()) {
    while mailbox.wait(soon()) {
        for delivery in mailbox.take(9) {
            let note = serde_json::value::to_raw_value("seen").unwrap();
            let said = vec![(1, Said { notes: vec![note], ..Said::default() })];
            mailbox.answer(Answer { ticket: delivery.ticket, exchange: delivery.exchange, said });
        }
        pump();
    }
}

#[test]
fn a_record_waits_for_the_answers_of_remote_interceptors() {
    for zero_latency in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = recorder(Config { zero_latency, ..config(dir.path()) });
        let mailbox = recorder.interceptors().mailbox(|| {});
        register(&recorder, "remote", Maker::Remote(Arc::clone(&mailbox), 1));
        let id = begin(&mut recorder, RESPONSE);
        recorder.push(id, Kind::ResponseBody, STREAM[2].as_bytes(), monotonic_nanos());
        recorder.end_open("the test ended", soon());
        answer_all(&mailbox, || recorder.pump());
        assert!(recorder.close("never", soon()));
        let record = &records(dir.path())[0];
        assert_eq!(record["trace"]["cut"], "the test ended");
        let notes = record["intercepted"]["annotations"].as_array().unwrap();
        assert_eq!(notes.len(), 4, "request, response, events, end: {notes:?}");
        assert_eq!(record["intercepted"].get("late"), None);
    }
}

#[test]
fn closing_does_not_wait_for_answers() {
    for zero_latency in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = recorder(Config { zero_latency, ..config(dir.path()) });
        let mailbox = recorder.interceptors().mailbox(|| {});
        register(&recorder, "mute", Maker::Remote(Arc::clone(&mailbox), 1));
        exchange(&mut recorder, RESPONSE, &[STREAM[2].as_bytes()]);
        assert!(recorder.close("done", soon()));
        let record = &records(dir.path())[0];
        assert_eq!(record["response"]["body_raw"], STREAM[2]);
        assert_eq!(record["intercepted"]["late"], json!(["mute"]));
        assert_eq!(mailbox.watched(), 0);
    }
}

fn has_thread(name: &str) -> bool {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .flatten()
        .any(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name))
}

/// Threads are the process's, and other tests have theirs in this one: so it runs in one of its own.
#[test]
#[cfg(target_os = "linux")]
fn there_is_no_thread_for_what_nobody_watches() {
    const ALONE: &str = "CLAUDE_TRACE_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let this = std::env::current_exe().unwrap();
        let args = ["--exact", "there_is_no_thread_for_what_nobody_watches", "--nocapture"];
        let output = std::process::Command::new(this).args(args).env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = recorder(config(dir.path()));
    exchange(&mut recorder, RESPONSE, &[STREAM[2].as_bytes()]);
    assert!(recorder.drain(soon()) && !has_thread("ct-intercept"));
    register(&recorder, "hide", local(|| Hide));
    assert!(!has_thread("ct-intercept"));
    exchange(&mut recorder, RESPONSE, &[STREAM[2].as_bytes()]);
    assert!(recorder.drain(soon()) && has_thread("ct-intercept"));
    assert!(recorder.close("done", soon()));
    // A thread that was joined is listed until the system has cleared it away.
    let deadline = soon();
    while has_thread("ct-intercept") {
        assert!(Instant::now() < deadline, "the thread goes on");
        std::thread::yield_now();
    }
    assert_eq!(records(dir.path()).len(), 2);
}

/// Hides a word in every message.
struct HideInMessages;

impl Interceptor for HideInMessages {
    fn on_events(&mut self, batch: &mut EventBatch) -> Result<(), Failed> {
        for index in 0..batch.len() {
            let data = String::from_utf8_lossy(batch.get(index).unwrap().data).replace("secret", "******");
            let data = Some(data.into_bytes());
            batch.decide(index, Verdict::Replace(Replacement { data, ..Replacement::default() }));
        }
        Ok(())
    }
}

#[test]
fn messages_of_mcp_are_changed_in_both_bodies() {
    for zero_latency in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = recorder(Config { zero_latency, ..config(dir.path()) });
        let registration = Registration {
            name: "hide".into(),
            order: 0,
            rule: Rule { hosts: vec![Pattern::new("sums")], ..Rule::default() },
            scope: None,
            hooks: Hooks::EVENTS,
            limits: Limits::default(),
            maker: local(|| HideInMessages),
        };
        recorder.interceptors().add(registration);
        let now = monotonic_nanos();
        let head = b"POST /tools/call\r\ncontent-type: application/json\r\n";
        let call = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secret"}}"#;
        let id = recorder.begin(Source::McpClient, "mcp+stdio://sums", head, now, now).unwrap();
        let error = br#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no secret"}}"#;
        for (kind, bytes) in [
            (Kind::RequestBody, &call[..20]),
            (Kind::RequestBody, &call[20..]),
            (Kind::RequestEnd, b""),
            (Kind::ResponseHead, b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"),
            (Kind::ResponseBody, &error[..50]),
            (Kind::ResponseBody, &error[50..]),
            (Kind::ResponseEnd, b""),
        ] {
            recorder.push(id, kind, bytes, monotonic_nanos());
        }
        assert!(recorder.close("", soon()));
        let [record] = &records(dir.path())[..] else { panic!("one record") };
        assert_eq!(record["request"]["body"]["params"], json!({ "name": "******" }));
        assert_eq!(record["response"]["body"]["error"]["message"], "no ******");
        assert_eq!(
            record["trace"]["jsonrpc"]["error"]["message"], "no ******",
            "what is hidden is hidden there, too"
        );
        assert_eq!(record["trace"]["request_bytes"], call.len());
        assert_eq!(record["intercepted"], json!({ "by": ["hide"], "events": 2, "replaced": 2 }));
    }
}
