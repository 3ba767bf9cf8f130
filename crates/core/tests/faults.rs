//! The disk fails: the n-th operation of each kind, for rising n. Whatever fails, the pushes return, the process goes on,
//! and when the disk is well again (or at the next start) every exchange stands in the log, once.

use claude_trace_core::clock::monotonic_nanos;
use claude_trace_core::config::Config;
use claude_trace_core::disk::{Disk, Fate, Faults, Op};
use claude_trace_core::exchange::{Kind, Source};
use claude_trace_core::notice::Notices;
use claude_trace_core::pipeline::{Pipeline, Recorder};
use rustix::io::Errno;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// From the n-th operation of a kind on, `count` of them meet `fate`.
#[derive(Debug)]
struct FromNth {
    op: Op,
    n: usize,
    count: usize,
    fate: Fate,
    seen: AtomicUsize,
    met: AtomicUsize,
    well: AtomicBool,
}

impl Faults for FromNth {
    fn fate(&self, op: Op, _path: &Path) -> Fate {
        if op != self.op || self.well.load(Ordering::SeqCst) {
            return Fate::Done;
        }
        let seen = self.seen.fetch_add(1, Ordering::SeqCst);
        if seen < self.n || seen >= self.n.saturating_add(self.count) {
            return Fate::Done;
        }
        self.met.fetch_add(1, Ordering::SeqCst);
        self.fate
    }
}

const EXCHANGES: usize = 4;
const OPS: [Op; 10] = [
    Op::CreateFolder,
    Op::Create,
    Op::Open,
    Op::Lock,
    Op::Allocate,
    Op::Map,
    Op::Write,
    Op::Truncate,
    Op::Sync,
    Op::Rename,
];

fn config(dir: &Path, zero_latency: bool) -> Config {
    let mut config = Config::new(dir.join("logs"));
    config.spool_dir = Some(dir.join("spool"));
    config.runtime_dir = dir.join("run");
    config.zero_latency = zero_latency;
    // Each exchange is a write of its own, and segments are used up.
    config.write_buffer_size = 1;
    config.write_buffer_flush_ms = 1;
    config.memory_pool_size = 65536;
    config.retry.base_delay_ms = 1;
    config.retry.max_delay_ms = 5;
    config.durability = claude_trace_core::config::Durability::Always;
    config
}

fn push_all(recorder: &mut Recorder) -> usize {
    let filler = vec![b'x'; 12_000];
    let mut begun = 0;
    for n in 0..EXCHANGES {
        let head = b"POST /v1/messages HTTP/1.1\r\n";
        let Some(id) = recorder.begin(
            Source::Undici,
            "https://api.anthropic.com",
            head,
            monotonic_nanos(),
            monotonic_nanos(),
        ) else {
            continue;
        };
        begun += 1;
        recorder.push(id, Kind::RequestBody, n.to_string().as_bytes(), monotonic_nanos());
        recorder.push(id, Kind::ResponseHead, b"HTTP/1.1 200 OK\r\n", monotonic_nanos());
        recorder.push(id, Kind::ResponseBody, &filler, monotonic_nanos());
        recorder.push(id, Kind::ResponseEnd, b"", monotonic_nanos());
    }
    begun
}

/// The logs' records, each line of which must be whole.
fn bodies(dir: &Path) -> Vec<i64> {
    let mut all = Vec::new();
    for file in std::fs::read_dir(dir.join("logs")).into_iter().flatten().flatten() {
        let path = file.path();
        if path.extension() != Some("jsonl".as_ref()) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{path:?} ends in half a line");
        for line in text.lines().filter(|line| !line.is_empty()) {
            let record: Value =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {path:?}: {line:.80}"));
            // What was dropped is marked.
            let is_whole = record["response"]["body_raw"].as_str().map(str::len) == Some(12_000);
            assert!(is_whole || record["trace"]["gap"] == true, "{}", record["trace"]);
            all.push(record["request"]["body"].as_i64().unwrap());
        }
    }
    all.sort_unstable();
    all
}

/// Runs the scene with a fault that lasts for `count` operations. Tells whether it was met.
fn run(op: Op, n: usize, count: usize, fate: Fate, zero_latency: bool) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let well = AtomicBool::new(false);
    let faults =
        Arc::new(FromNth { op, n, count, fate, seen: AtomicUsize::new(0), met: AtomicUsize::new(0), well });
    let failing =
        Config { disk: Disk::with_faults(Arc::clone(&faults) as _), ..config(dir.path(), zero_latency) };
    let said = format!("{op:?} number {n} and {count} from there: {fate:?}, zero latency {zero_latency}");

    let mut recorder = Recorder::new(&Pipeline::new(failing, Notices::silent()).unwrap()).unwrap();
    let begun = push_all(&mut recorder);
    let dropped = recorder.stats().drops;
    assert!(begun == EXCHANGES || dropped > 0, "{said}: what is not recorded is counted");
    recorder.drain(Instant::now() + Duration::from_millis(20));
    faults.well.store(true, Ordering::SeqCst);
    let until = Instant::now() + Duration::from_secs(20);
    while !recorder.drain(until) {
        assert!(Instant::now() < until, "{said}: the log is not complete although the disk is well");
        std::thread::yield_now();
    }
    assert!(recorder.close("done", until), "{said}");
    drop(recorder);

    let mut next =
        Recorder::new(&Pipeline::new(config(dir.path(), true), Notices::silent()).unwrap()).unwrap();
    assert!(next.close("done", until), "{said}: the next start");
    let expected: Vec<i64> = (0..EXCHANGES as i64).collect();
    if dropped == 0 {
        assert_eq!(bodies(dir.path()), expected, "{said}");
    } else {
        let mut found = bodies(dir.path());
        found.dedup();
        assert_eq!(found.len(), bodies(dir.path()).len(), "{said}: nothing twice");
    }
    faults.met.load(Ordering::SeqCst) > 0
}

fn for_rising_n(fates: &[Fate], count: usize) {
    for zero_latency in [true, false] {
        for op in OPS {
            for &fate in fates {
                if matches!(fate, Fate::StopsAfter(..)) && op != Op::Write {
                    continue;
                }
                // Until a run no longer meets the fault: then the scene has no n-th operation of that kind.
                let mut n = 0;
                while run(op, n, count, fate, zero_latency) {
                    n += 1;
                    assert!(n < 200, "{op:?} does not come to an end");
                }
            }
        }
    }
}

#[test]
fn one_operation_fails() {
    for_rising_n(&[Fate::Fails(Errno::NOSPC), Fate::Fails(Errno::ACCESS)], 1);
}

#[test]
fn a_write_stops_half_way() {
    for_rising_n(
        &[
            Fate::StopsAfter(0, Errno::NOSPC),
            Fate::StopsAfter(7, Errno::IO),
            Fate::StopsAfter(5000, Errno::NOSPC),
        ],
        1,
    );
}

#[test]
fn the_disk_fails_for_good_until_it_is_well_again() {
    for_rising_n(&[Fate::Fails(Errno::IO)], usize::MAX);
}

#[test]
fn when_attempts_are_limited_the_records_go_to_the_dead_letters() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("logs")).unwrap();
    // Writes to the log fail, those to the dead letters do not.
    #[derive(Debug)]
    struct LogIsFull;
    impl Faults for LogIsFull {
        fn fate(&self, op: Op, path: &Path) -> Fate {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_log = name.ends_with(".jsonl") && !name.contains("dead-letters");
            if op == Op::Write && is_log { Fate::Fails(Errno::FBIG) } else { Fate::Done }
        }
    }
    let mut config = Config { disk: Disk::with_faults(Arc::new(LogIsFull)), ..config(dir.path(), true) };
    config.retry.max_attempts = 3;
    config.log_base_name = Some("mine".into());
    let mut recorder = Recorder::new(&Pipeline::new(config, Notices::silent()).unwrap()).unwrap();
    push_all(&mut recorder);
    let until = Instant::now() + Duration::from_secs(20);
    while !recorder.drain(until) {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    assert_eq!(recorder.stats().dead_letters, EXCHANGES as u64);
    let letters = std::fs::read_to_string(dir.path().join("logs/mine.dead-letters.jsonl")).unwrap();
    let letters: Vec<Value> = letters.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(letters.len(), EXCHANGES);
    for letter in &letters {
        assert!(letter["dead_letter"]["reason"].as_str().unwrap().contains("File too large"), "{letter}");
        assert_eq!(letter["dead_letter"]["attempts"], 3);
        assert_eq!(letter["record"]["response"]["status_code"], 200);
    }
    assert!(recorder.close("done", until));
}

/// Panics in every write to the log, until told to stop.
#[derive(Debug)]
struct Panics(AtomicUsize);

impl Faults for Panics {
    fn fate(&self, op: Op, path: &Path) -> Fate {
        let is_log = path.extension() == Some("jsonl".as_ref());
        let left = || self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        assert!(!(op == Op::Write && is_log && left()), "a bug in the writer");
        Fate::Done
    }
}

#[test]
fn a_thread_that_panics_is_started_again_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::with_faults(Arc::new(Panics(AtomicUsize::new(2))));
    let config = Config { disk, ..config(dir.path(), true) };
    let mut recorder = Recorder::new(&Pipeline::new(config, Notices::silent()).unwrap()).unwrap();
    push_all(&mut recorder);
    assert!(recorder.close("done", Instant::now() + Duration::from_secs(20)));
    assert_eq!(bodies(dir.path()), [0, 1, 2, 3]);
}

#[test]
fn when_a_thread_cannot_be_helped_standard_mode_takes_over_and_the_next_start_brings_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    // The writer panics four times, then has failed; the substitute's writes come after.
    let disk = Disk::with_faults(Arc::new(Panics(AtomicUsize::new(4))));
    let failing = Config { disk, ..config(dir.path(), true) };
    let mut recorder = Recorder::new(&Pipeline::new(failing, Notices::silent()).unwrap()).unwrap();
    push_all(&mut recorder);
    let until = Instant::now() + Duration::from_secs(20);
    assert!(!recorder.drain(until), "what the threads had is not in the log");
    assert!(Instant::now() < until, "and nobody waits for them");

    push_all(&mut recorder);
    assert_eq!(bodies(dir.path()), [0, 1, 2, 3], "what comes after is written through");
    assert!(!recorder.stats().zero_latency);
    // The process still holds its first session: its end is what frees the lock, so another process recovers it.
    drop(recorder);
}

#[test]
fn a_pipeline_that_ends_before_its_log_could_be_written_leaves_everything_to_the_next_start() {
    // It was lost: the claims of the threads that ended gave the segments back to the pool, which cleared them.
    for zero_latency in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let well = AtomicBool::new(false);
        let fate = Fate::Fails(Errno::NOSPC);
        let faults = Arc::new(FromNth {
            op: Op::Write,
            n: 1,
            count: usize::MAX,
            fate,
            seen: AtomicUsize::new(0),
            met: AtomicUsize::new(0),
            well,
        });
        let failing =
            Config { disk: Disk::with_faults(Arc::clone(&faults) as _), ..config(dir.path(), zero_latency) };
        let mut recorder = Recorder::new(&Pipeline::new(failing, Notices::silent()).unwrap()).unwrap();
        assert_eq!(push_all(&mut recorder), EXCHANGES);
        let until = Instant::now() + Duration::from_secs(20);
        assert!(!recorder.close("done", until));
        drop(recorder);

        // Its threads end by themselves; the lock is free when they have.
        let next =
            || Recorder::new(&Pipeline::new(config(dir.path(), true), Notices::silent()).unwrap()).unwrap();
        while bodies(dir.path()).is_empty() {
            assert!(Instant::now() < until, "nothing came back, zero latency {zero_latency}");
            assert!(next().close("done", until));
        }
        assert_eq!(bodies(dir.path()), [0, 1, 2, 3], "zero latency {zero_latency}");
    }
}

/// Counts how often a log is forced to the medium.
#[derive(Debug, Default)]
struct Syncs(AtomicUsize);

impl Faults for Syncs {
    fn fate(&self, op: Op, _path: &Path) -> Fate {
        self.0.fetch_add(usize::from(op == Op::Sync), Ordering::SeqCst);
        Fate::Done
    }
}

#[test]
fn the_log_is_forced_to_the_medium_as_durability_says() {
    use claude_trace_core::config::Durability;
    for zero_latency in [true, false] {
        for durability in [Durability::Os, Durability::Interval(1), Durability::Always] {
            let dir = tempfile::tempdir().unwrap();
            let syncs = Arc::new(Syncs::default());
            let disk = Disk::with_faults(Arc::clone(&syncs) as _);
            let config = Config { disk, durability, ..config(dir.path(), zero_latency) };
            let mut recorder = Recorder::new(&Pipeline::new(config, Notices::silent()).unwrap()).unwrap();
            push_all(&mut recorder);
            let until = Instant::now() + Duration::from_secs(20);
            assert!(recorder.drain(until));
            let flushes = recorder.stats().flushes as usize;
            let count = || syncs.0.load(Ordering::SeqCst);
            match durability {
                Durability::Os => assert_eq!(count(), 0),
                Durability::Always => assert_eq!(count(), flushes, "with each write"),
                Durability::Interval(_) => {
                    while count() == 0 {
                        assert!(Instant::now() < until, "never");
                        std::thread::yield_now();
                    }
                }
            }
            assert!(recorder.close("done", until));
        }
    }
}
