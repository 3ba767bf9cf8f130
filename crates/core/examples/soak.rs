//! `cargo run --release -p claude-trace-core --example soak -- [seconds] [exchanges a second]`
//!
//! Pushes exchanges at a steady rate, of which one in fifty is aborted by its client and one in fifty given up by its hook,
//! and prints resident memory as it goes. Fails if memory grows: the mean of the last quarter must lie within a tenth of the
//! second one's, and everything must be in the log.

use claude_trace_core::clock::monotonic_nanos;
use claude_trace_core::config::Config;
use claude_trace_core::exchange::{Kind, Source};
use claude_trace_core::notice::Notices;
use claude_trace_core::pipeline::{Pipeline, Recorder};
use std::time::{Duration, Instant};

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let seconds = numbers.next().unwrap_or(600);
    let rate = numbers.next().unwrap_or(1000);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let config = Config {
        spool_dir: Some(dir.path().join("spool")),
        runtime_dir: dir.path().join("run"),
        ..Config::new(dir.path().join("logs"))
    };
    let mut recorder = Recorder::new(&Pipeline::new(config, Notices::silent()).expect("valid")).expect("new");

    let started = Instant::now();
    let mut memory = Vec::new();
    let mut expected = 0;
    for n in 0..seconds * rate {
        let due = started + Duration::from_nanos(n * 1_000_000_000 / rate);
        if let Some(early) =
            due.checked_duration_since(Instant::now()).filter(|d| *d > Duration::from_millis(5))
        {
            std::thread::sleep(early);
        }
        expected += u64::from(exchange(&mut recorder, n));
        if n % (rate * 5) == 0 {
            memory.push(resident_bytes());
        }
        if n % (rate * 30) == 0 {
            let stats = recorder.stats();
            println!(
                "{:>5} s  {:>9} pairs  {:>6.1} MB resident  {:>5.1} MB spool  {} open  {} dropped  {} spilled",
                started.elapsed().as_secs(),
                stats.total_pairs,
                resident_bytes() as f64 / 1e6,
                stats.spool_bytes as f64 / 1e6,
                stats.pending_requests,
                stats.drops,
                stats.spills,
            );
        }
    }
    assert!(recorder.drain(Instant::now() + Duration::from_secs(30)), "the log is not complete");
    let stats = recorder.stats();
    assert_eq!((stats.total_pairs, stats.drops), (expected, 0));
    let quarter = memory.len() / 4;
    let mean = |part: &[u64]| part.iter().sum::<u64>() as f64 / part.len().max(1) as f64 / 1e6;
    let (early, late) = (mean(&memory[quarter..quarter * 2]), mean(&memory[quarter * 3..]));
    println!(
        "{expected} pairs in {} s; {early:.1} MB in the second quarter, {late:.1} MB in the last",
        started.elapsed().as_secs()
    );
    recorder.close("done", Instant::now() + Duration::from_secs(30));
    if late > early * 1.1 {
        eprintln!("memory grows");
        std::process::exit(1);
    }
}

/// Whether it is to be in the log.
fn exchange(recorder: &mut Recorder, n: u64) -> bool {
    let now = monotonic_nanos();
    let head = b"POST /v1/messages HTTP/1.1\r\ncontent-type: application/json\r\nx-api-key: sk-ant-api03-not-a-key\r\n";
    let id =
        recorder.begin(Source::Undici, "https://api.anthropic.com", head, now, now).expect("there is room");
    recorder.push(
        id,
        Kind::RequestBody,
        br#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#,
        now,
    );
    recorder.push(id, Kind::RequestEnd, b"", now);
    if n % 50 == 7 {
        recorder.push(id, Kind::Abandon, b"", now);
        return false;
    }
    recorder.push(id, Kind::ResponseHead, b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n", now);
    for _ in 0..10 {
        recorder.push(id, Kind::ResponseBody, &[b'x'; 150], monotonic_nanos());
    }
    let (kind, text): (Kind, &[u8]) = if n % 50 == 9 {
        (Kind::Error, b"ABORT_ERR\nThis operation was aborted")
    } else {
        (Kind::ResponseEnd, b"")
    };
    recorder.push(id, kind, text, monotonic_nanos());
    true
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}
