//! The pipeline from outside: what is pushed is in the log, once, whatever becomes of the process.

use claude_trace_core::clock::monotonic_nanos;
use claude_trace_core::config::{Config, Workers};
use claude_trace_core::exchange::{Kind, Source};
use claude_trace_core::notice::{Level, Notices};
use claude_trace_core::pipeline::{Pipeline, Recorder};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const ORIGIN: &str = "https://api.anthropic.com";
const REQUEST: &[u8] = b"POST /v1/messages HTTP/1.1\r\ncontent-type: application/json\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";

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

fn begin(recorder: &mut Recorder, body: &[u8]) -> u64 {
    let id = recorder
        .begin(Source::Undici, ORIGIN, REQUEST, monotonic_nanos(), monotonic_nanos())
        .expect("there is room");
    recorder.push(id, Kind::RequestBody, body, monotonic_nanos());
    recorder.push(id, Kind::RequestEnd, b"", monotonic_nanos());
    id
}

fn respond(recorder: &mut Recorder, id: u64, chunks: &[&[u8]]) {
    recorder.push(id, Kind::ResponseHead, RESPONSE, monotonic_nanos());
    for chunk in chunks {
        recorder.push(id, Kind::ResponseBody, chunk, monotonic_nanos());
    }
}

fn end(recorder: &mut Recorder, id: u64) {
    recorder.push(id, Kind::ResponseEnd, b"", monotonic_nanos());
}

fn records(dir: &Path) -> Vec<Value> {
    let logs = dir.join("logs");
    let mut files: Vec<_> = std::fs::read_dir(&logs)
        .map(|d| d.map(|f| f.unwrap().path()).filter(|p| p.extension() == Some("jsonl".as_ref())).collect())
        .unwrap_or_default();
    files.sort();
    let text: String = files.iter().map(|f| std::fs::read_to_string(f).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).map(|mut d| d.next().is_none()).unwrap_or(true)
}

#[test]
fn an_exchange_becomes_a_record_in_either_mode() {
    for zero_latency in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = recorder(Config { zero_latency, ..config(dir.path()) });
        let id = begin(&mut recorder, br#"{"model": "m"}"#);
        respond(&mut recorder, id, &[b"data: 1\n\n", b"data: 2\n\n"]);
        end(&mut recorder, id);
        assert!(recorder.drain(soon()));
        let stats = recorder.stats();
        assert_eq!((stats.total_pairs, stats.pending_requests, stats.requests.count), (1, 0, 1));
        let all = records(dir.path());
        assert_eq!(all.len(), 1);
        assert_eq!(all[0]["request"]["body"]["model"], "m");
        assert_eq!(all[0]["response"]["body_raw"], "data: 1\n\ndata: 2\n\n");
        assert_eq!(all[0]["zeroLatency"], if zero_latency { Value::Bool(true) } else { Value::Null });
        assert!(recorder.close("done", soon()));
        assert!(is_empty(&dir.path().join("spool")), "nothing is left of the session");
    }
}

#[test]
fn standard_mode_has_written_the_pair_when_the_push_returns() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = recorder(Config { zero_latency: false, ..config(dir.path()) });
    let id = begin(&mut recorder, b"x");
    respond(&mut recorder, id, &[b"y"]);
    end(&mut recorder, id);
    assert_eq!(records(dir.path()).len(), 1);
}

#[test]
fn nothing_is_started_before_the_first_exchange() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = recorder(config(dir.path()));
    assert!(!recorder.stats().started);
    assert!(recorder.close("done", soon()));
    assert!(is_empty(dir.path()), "no thread, no file, no folder");
}

#[test]
fn one_open_stream_holds_nobody_up_and_comes_out_whole() {
    let dir = tempfile::tempdir().unwrap();
    // A pool of 64 KiB, so that thousands of exchanges go round in it while the stream stays open.
    let mut recorder = recorder(Config { memory_pool_size: 65536, ..config(dir.path()) });
    let slow = begin(&mut recorder, b"slow");
    respond(&mut recorder, slow, &[b"first "]);
    let filler = vec![b'x'; 3000];
    for round in 0..500 {
        let id = begin(&mut recorder, b"quick");
        respond(&mut recorder, id, &[&filler]);
        end(&mut recorder, id);
        if round % 50 == 0 {
            recorder.push(slow, Kind::ResponseBody, format!("{round} ").as_bytes(), monotonic_nanos());
            assert!(recorder.drain(soon()));
        }
    }
    assert!(recorder.drain(soon()));
    let stats = recorder.stats();
    assert_eq!((stats.total_pairs, stats.pending_requests, stats.drops), (500, 1, 0));
    assert!(stats.copied_forward > 0, "the stream's bytes were copied forward: {stats:?}");
    assert!(stats.spool_bytes <= 3 * 65536, "segments are used again: {}", stats.spool_bytes);
    end(&mut recorder, slow);
    assert!(recorder.close("done", soon()));
    let all = records(dir.path());
    assert_eq!(all.len(), 501);
    assert_eq!(all[500]["response"]["body_raw"], "first 0 50 100 150 200 250 300 350 400 450 ");
}

#[test]
fn a_body_larger_than_the_pool_spills_and_is_recorded_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = recorder(Config { memory_pool_size: 65536, ..config(dir.path()) });
    let body: Vec<u8> = (0..3_000_000u32).map(|n| b'a' + (n % 26) as u8).collect();
    let id = begin(&mut recorder, &body);
    respond(&mut recorder, id, &[&body, b"tail"]);
    end(&mut recorder, id);
    assert!(recorder.drain(soon()));
    assert!(recorder.stats().spills > 0);
    let all = records(dir.path());
    assert_eq!(all[0]["request"]["body"].as_str().unwrap().as_bytes(), body);
    assert_eq!(
        all[0]["trace"]["chunks"]["bytes"],
        serde_json::json!([3_000_000, 4]),
        "chunks stay as they arrived"
    );
    assert!(recorder.close("done", soon()));
    assert!(!dir.path().join("logs/.spool").exists(), "overflow is removed");
}

#[test]
fn past_the_limit_entries_are_dropped_counted_and_marked() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder =
        recorder(Config { memory_pool_size: 65536, max_spool_bytes: 131_072, ..config(dir.path()) });
    let big = vec![b'x'; 100_000];
    let id = begin(&mut recorder, &big);
    respond(&mut recorder, id, &[&big]);
    let dropped = recorder.stats().drops;
    assert!(dropped > 0);
    end(&mut recorder, id);
    assert!(recorder.close("done", soon()));
    let all = records(dir.path());
    assert_eq!(all.len(), 1);
    assert_eq!(all[0]["trace"]["partial"], true, "{}", all[0]["trace"]);
}

#[test]
fn drop_newest_keeps_to_the_pool() {
    let dir = tempfile::tempdir().unwrap();
    let when_full = claude_trace_core::config::WhenFull::DropNewest;
    let mut recorder = recorder(Config { memory_pool_size: 65536, when_full, ..config(dir.path()) });
    let id = begin(&mut recorder, b"x");
    respond(&mut recorder, id, &[&vec![b'x'; 100_000]]);
    let stats = recorder.stats();
    assert!(stats.drops > 0 && stats.spills == 0 && stats.spool_bytes <= 65536, "{stats:?}");
    end(&mut recorder, id);
    assert!(recorder.close("done", soon()));
    assert_eq!(records(dir.path())[0]["trace"]["gap"], true);
}

#[test]
fn a_stalled_log_fills_the_spool_to_its_limit_and_no_further() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("logs"), b"a file in the way").unwrap();
    let limit = 2 * 1024 * 1024;
    let mut recorder =
        recorder(Config { memory_pool_size: 262_144, max_spool_bytes: limit, ..config(dir.path()) });
    let body = vec![b'x'; 10_000];
    for _ in 0..2000 {
        if let Some(id) =
            recorder.begin(Source::Undici, ORIGIN, REQUEST, monotonic_nanos(), monotonic_nanos())
        {
            respond(&mut recorder, id, &[&body]);
            end(&mut recorder, id);
        }
    }
    let stats = recorder.stats();
    assert!(stats.drops > 0, "20 MB do not fit");
    assert!(stats.spool_bytes <= limit && stats.memory_bytes <= limit + 2 * 262_144, "{stats:?}");
}

#[test]
fn open_exchanges_are_cut_off_when_the_recorder_closes() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = recorder(config(dir.path()));
    begin(&mut recorder, b"unanswered");
    let half = begin(&mut recorder, b"half");
    respond(&mut recorder, half, &[b"part"]);
    assert!(recorder.close("the process exited", soon()));
    assert!(recorder.close("twice is fine", soon()));
    let all = records(dir.path());
    assert_eq!(all[0]["response"], Value::Null);
    assert_eq!(all[0]["note"], "ORPHANED_REQUEST - No matching response received");
    assert_eq!(all[1]["response"]["body_raw"], "part");
    assert_eq!(all[1]["trace"]["partial"], true);
}

#[test]
fn an_abandoned_exchange_leaves_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = recorder(config(dir.path()));
    let id = begin(&mut recorder, b"seen twice");
    recorder.push(id, Kind::Abandon, b"", monotonic_nanos());
    assert!(recorder.close("done", soon()));
    assert!(records(dir.path()).is_empty());
}

#[test]
fn environments_share_a_log_and_the_last_one_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::new(config(dir.path()), Notices::silent()).unwrap();
    let recorders: Vec<Recorder> = (0..4).map(|_| Recorder::new(&pipeline).unwrap()).collect();
    std::thread::scope(|scope| {
        for mut recorder in recorders {
            scope.spawn(move || {
                for _ in 0..100 {
                    let id = begin(&mut recorder, b"x");
                    respond(&mut recorder, id, &[b"y"]);
                    end(&mut recorder, id);
                }
                // Ends without closing, as a terminated worker does.
            });
        }
    });
    assert_eq!(records(dir.path()).len(), 400);
    assert!(is_empty(&dir.path().join("spool")));
    assert!(Recorder::new(&pipeline).is_none(), "the last one has ended it");
}

#[test]
fn records_come_in_the_order_in_which_exchanges_finished_with_several_workers() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = recorder(Config { background_workers: Workers::Fixed(4), ..config(dir.path()) });
    for n in 0..300 {
        let body = vec![b'x'; if n % 3 == 0 { 50_000 } else { 10 }];
        let id = begin(&mut recorder, n.to_string().as_bytes());
        respond(&mut recorder, id, &[&body]);
        end(&mut recorder, id);
    }
    assert!(recorder.close("done", soon()));
    let order: Vec<i64> =
        records(dir.path()).iter().map(|r| r["request"]["body"].as_i64().unwrap()).collect();
    assert_eq!(order, (0..300).collect::<Vec<_>>());
}

#[test]
fn a_batch_is_written_when_it_is_full_and_not_before_it_is_due() {
    let dir = tempfile::tempdir().unwrap();
    let patient = Config { write_buffer_size: 3, write_buffer_flush_ms: 3_600_000, ..config(dir.path()) };
    let mut recorder = recorder(patient);
    let mut exchange = || {
        let id = begin(&mut recorder, b"x");
        respond(&mut recorder, id, &[b"y"]);
        end(&mut recorder, id);
        recorder.stats()
    };
    for batches in 1..=2 {
        exchange();
        let stats = exchange();
        assert_eq!(stats.flushes, batches - 1, "two are no batch");
        exchange();
        let until = soon();
        while records(dir.path()).len() < 3 * batches as usize {
            assert!(Instant::now() < until, "the third record fills the batch, and wakes the writer");
            std::thread::yield_now();
        }
    }
    exchange();
    assert!(recorder.close("done", soon()), "and who waits for it is not kept waiting");
    assert_eq!(records(dir.path()).len(), 7);
}

#[test]
fn more_records_than_the_queue_holds_wait_for_one_batch() {
    let dir = tempfile::tempdir().unwrap();
    let patient = Config { write_buffer_size: 300, write_buffer_flush_ms: 3_600_000, ..config(dir.path()) };
    let mut recorder = recorder(patient);
    for _ in 0..300 {
        let id = begin(&mut recorder, b"x");
        respond(&mut recorder, id, &[b"y"]);
        end(&mut recorder, id);
    }
    let until = soon();
    while records(dir.path()).len() < 300 {
        assert!(Instant::now() < until, "the queue of 64 is emptied into the batch on the way");
        std::thread::yield_now();
    }
    assert_eq!(recorder.stats().flushes, 1);
}

#[test]
fn a_log_folder_that_cannot_be_made_is_said_once_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("logs"), b"a file in the way").unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    let notices = Notices::new(Level::Warn, move |_, words| heard.lock().unwrap().push(words.to_owned()));
    let mut recorder = Recorder::new(&Pipeline::new(config(dir.path()), notices).unwrap()).unwrap();
    let id = begin(&mut recorder, b"kept");
    respond(&mut recorder, id, &[b"y"]);
    end(&mut recorder, id);
    // A log that cannot be written answers at once: these come back long before their deadline, or the test hangs.
    assert!(!recorder.drain(Instant::now() + Duration::from_secs(3600)));
    assert!(!recorder.close("done", Instant::now() + Duration::from_secs(3600)));
    assert_eq!(said.lock().unwrap().len(), 1, "{said:?}");
    drop(recorder);

    std::fs::remove_file(dir.path().join("logs")).unwrap();
    // The threads of the recorder above are at it still, and hold the session's lock: they write it when the way is free.
    let until = soon();
    while records(dir.path()).is_empty() {
        assert!(Instant::now() < until, "the record never came");
        std::thread::yield_now();
    }
    assert_eq!(records(dir.path())[0]["request"]["body"], "kept");
}

// What follows needs a process that dies: the test binary runs itself with CT_DIE set to the folder.

fn die_in(dir: &Path, scene: &str) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "dies", "--ignored", "--nocapture"])
        .env("CT_DIE", dir)
        .env("CT_SCENE", scene)
        .output()
        .unwrap()
        .status;
    assert!(!status.success(), "it should have died");
}

#[test]
#[ignore = "run by the tests below in a process of its own"]
fn dies() {
    let dir = std::env::var("CT_DIE").expect("set by the test that runs this");
    let dir = Path::new(&dir);
    let scene = std::env::var("CT_SCENE").unwrap();
    let mut recorder = recorder(Config { memory_pool_size: 65536, ..config(dir) });
    let done = begin(&mut recorder, b"done");
    respond(&mut recorder, done, &[b"whole"]);
    end(&mut recorder, done);
    if scene != "unwritten" {
        assert!(recorder.drain(soon()));
    }
    let open = begin(&mut recorder, b"open");
    respond(&mut recorder, open, &[b"data: 1\n\n", b"data: 2\n\n"]);
    if scene == "carried" {
        let filler = vec![b'x'; 3000];
        for _ in 0..200 {
            let id = begin(&mut recorder, b"filler");
            respond(&mut recorder, id, &[&filler]);
            end(&mut recorder, id);
            assert!(recorder.drain(soon()));
        }
        assert!(recorder.stats().copied_forward > 0);
        recorder.push(open, Kind::ResponseBody, b"data: 3\n\n", monotonic_nanos());
    }
    std::process::abort();
}

fn next_start(dir: &Path) -> u64 {
    let aloud = Notices::new(Level::Warn, |_, words| panic!("{words}"));
    let mut recorder = Recorder::new(&Pipeline::new(config(dir), aloud).unwrap()).unwrap();
    assert!(recorder.drain(soon()));
    let recovered = recorder.stats().recovered;
    assert!(recorder.close("done", soon()));
    recovered
}

#[test]
fn the_next_start_completes_the_log_of_a_process_that_was_aborted() {
    for scene in ["written", "unwritten"] {
        let dir = tempfile::tempdir().unwrap();
        die_in(dir.path(), scene);
        next_start(dir.path());
        assert_eq!(next_start(dir.path()), 0, "once is enough");
        let all = records(dir.path());
        let bodies: Vec<_> = all.iter().map(|r| r["request"]["body"].as_str().unwrap()).collect();
        assert_eq!(bodies, ["done", "open"], "{scene}");
        assert_eq!(all[1]["response"]["body_raw"], "data: 1\n\ndata: 2\n\n");
        assert_eq!(
            (&all[1]["trace"]["recovered"], &all[1]["trace"]["partial"]),
            (&true.into(), &true.into())
        );
        assert!(is_empty(&dir.path().join("spool")));
    }
}

#[test]
fn what_was_copied_forward_is_recovered_too() {
    let dir = tempfile::tempdir().unwrap();
    die_in(dir.path(), "carried");
    assert_eq!(next_start(dir.path()), 1);
    let all = records(dir.path());
    assert_eq!(all.len(), 202);
    assert_eq!(all[201]["response"]["body_raw"], "data: 1\n\ndata: 2\n\ndata: 3\n\n");
}

#[test]
fn a_line_that_was_torn_by_the_death_is_written_once_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    die_in(dir.path(), "written");
    // As if the append had stopped half way: the intent stands in the spool, half the line in the log.
    let log = std::fs::read_dir(dir.path().join("logs")).unwrap().next().unwrap().unwrap().path();
    let line = std::fs::read(&log).unwrap();
    std::fs::write(&log, &line[..line.len() / 2]).unwrap();
    uncommit_all(&dir.path().join("spool"));
    assert_eq!(next_start(dir.path()), 2);
    let all = records(dir.path());
    let bodies: Vec<_> = all.iter().map(|r| r["request"]["body"].as_str().unwrap()).collect();
    assert_eq!(bodies, ["done", "open"]);
}

/// Turns "committed" back into "intended" in every intent of a spool.
fn uncommit_all(spool: &Path) {
    use claude_trace_core::spool::layout::{
        EntryHeader, FLAG_INTENT, HEADER_LEN, INTENT_LEN, Intent, IntentState, SEGMENT_HEADER_LEN,
    };
    let session = std::fs::read_dir(spool).unwrap().next().unwrap().unwrap().path();
    for file in std::fs::read_dir(session).unwrap().map(|f| f.unwrap().path()) {
        if file.extension() != Some("seg".as_ref()) {
            continue;
        }
        let mut bytes = std::fs::read(&file).unwrap();
        let mut at = SEGMENT_HEADER_LEN;
        while let Some((header, _)) = bytes[at..].first_chunk::<HEADER_LEN>().and_then(EntryHeader::decode) {
            if header.flags & FLAG_INTENT != 0 {
                let place = at + HEADER_LEN..at + HEADER_LEN + INTENT_LEN;
                if let Some(intent) = Intent::decode(bytes[place.clone()].first_chunk().unwrap()) {
                    bytes[place].copy_from_slice(&Intent { state: IntentState::Intended, ..intent }.encode());
                }
            }
            at += header.entry_len();
        }
        std::fs::write(&file, bytes).unwrap();
    }
}
