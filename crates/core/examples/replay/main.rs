//! `cargo run --release -p claude-trace-core --example replay -- --help`
//!
//! The pipeline alone: recorded exchanges are pushed as fast as the pipeline takes them, and what it writes is held against
//! a plain sequential write of the same number of bytes in writes of the same size, to the same folder. Prints one JSON
//! object. `benchmark/pipeline/run.js` makes a table of many of them.

mod control;
mod cost;
mod exchanges;
mod options;
mod plain_write;
mod producer;

use claude_trace_core::config::{Config, Workers};
use claude_trace_core::notice::Notices;
use claude_trace_core::pipeline::{Pipeline, Recorder, recorder::Stats};
use control::Control;
use cost::Cost;
use exchanges::Exchanges;
use options::Options;
use producer::{Mark, Window, produce};
use serde_json::json;
use std::time::{Duration, Instant};

/// Longer than any run should take: a run that hangs is to fail.
const DRAIN: Duration = Duration::from_secs(120);
const WARM_UP_WRITE: u64 = 1024 * 1024;

fn main() {
    let Some(options) = Options::read(std::env::args().skip(1)) else {
        println!("{}", options::USAGE);
        return;
    };
    println!("{}", run(&options));
}

fn run(options: &Options) -> serde_json::Value {
    let logs = tempfile::tempdir_in(&options.log_dir).expect("a folder for the log");
    let spool = tempfile::tempdir_in(&options.spool_dir).expect("a folder for the spool");
    let config = Config {
        background_workers: options.workers,
        spool_dir: Some(spool.path().join("spool")),
        runtime_dir: spool.path().join("run"),
        ..Config::new(logs.path())
    };
    let exchanges = &Exchanges::new(options.kind, options.body_bytes);
    let count = (options.megabytes * 1_000_000 / exchanges.response_bytes()).max(1).next_multiple_of(10);
    let window = &Window::new(config.memory_pool_size, exchanges.spool_bytes(), options.producers);
    // The first use of a page costs a virtual machine more than all that is measured here: the pages that the log will take
    // are used once before, and those of the plain write that comes after it are the same again.
    plain_write::seconds(logs.path(), exchanges.expected_log_bytes(count), WARM_UP_WRITE);
    let pipeline = Pipeline::new(config, Notices::silent()).expect("the defaults are valid");
    let recorder = Recorder::new(&pipeline).expect("the pipeline is new");

    let ask = |records| Control::ask(options, exchanges.response_bytes(), records);
    let control: Option<&(dyn Fn(usize) -> Control + Sync)> = if options.control { Some(&ask) } else { None };
    let (before, started) = (Cost::of_process(), Instant::now());
    let marks: Vec<Vec<Mark>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.producers)
            .map(|number| {
                let share = count / options.producers + usize::from(number < count % options.producers);
                let own = Recorder::new(&pipeline).expect("the pipeline is open");
                scope.spawn(move || produce(own, exchanges, share, window, control))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a producer does not panic")).collect()
    });
    let is_whole = recorder.drain(Instant::now() + DRAIN);
    let (seconds, after) = (started.elapsed().as_secs_f64(), Cost::of_process());
    let threads = cost::by_thread();
    let stats = recorder.stats();
    assert!(
        is_whole && stats.total_pairs == count as u64,
        "{} of {count} records in the log",
        stats.total_pairs
    );
    assert_eq!((stats.drops, stats.failed, stats.damaged), (0, 0, 0));
    drop(recorder);

    std::fs::remove_file(&stats.log_file).expect("the log is there");
    let plain =
        plain_write::seconds(logs.path(), stats.bytes_written, stats.bytes_written / stats.flushes.max(1));
    json!({
        "kind": options.kind.name(),
        "producers": options.producers,
        "workers": match options.workers { Workers::Fixed(number) => json!(number), Workers::Auto => json!("auto") },
        "workersAtEnd": stats.workers,
        "records": count,
        "chunks": count * exchanges.chunks(),
        "responseMegabytes": (count * exchanges.response_bytes()) as f64 / 1e6,
        "seconds": seconds,
        "recordsPerSecond": count as f64 / seconds,
        "megabytesPerSecond": (count * exchanges.response_bytes()) as f64 / 1e6 / seconds,
        "log": log(&stats, seconds, plain),
        "cpuSeconds": after.cpu_seconds - before.cpu_seconds,
        "userSeconds": after.user_seconds - before.user_seconds,
        "cpuSecondsByThread": threads,
        "peakMegabytes": after.peak_bytes as f64 / 1e6,
        "spilledSegments": stats.spills,
        "marks": marks.first().map(|marks| marks.iter().map(Mark::to_json).collect::<Vec<_>>()),
    })
}

fn log(stats: &Stats, seconds: f64, plain: f64) -> serde_json::Value {
    json!({
        "megabytes": stats.bytes_written as f64 / 1e6,
        "writes": stats.flushes,
        "megabytesPerSecond": stats.bytes_written as f64 / 1e6 / seconds,
        "plainMegabytesPerSecond": stats.bytes_written as f64 / 1e6 / plain,
        "shareOfPlain": plain / seconds,
    })
}
