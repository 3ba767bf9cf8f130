//! A thread that pushes, and stops while the pipeline has as much on its hands as the pool has room for: past that the
//! spool would go to overflow segments, and the disk would be measured twice.

use super::control::Control;
use super::cost::Cost;
use super::exchanges::Exchanges;
use claude_trace_core::clock::monotonic_nanos;
use claude_trace_core::exchange::{Kind, Source};
use claude_trace_core::pipeline::Recorder;
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Share of the pool that is filled: segments are held until the last exchange in them is written.
const FILLED: f64 = 0.6;
const LOOK_AGAIN: Duration = Duration::from_micros(300);
/// A pipeline that stands still that long hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const MARKS: usize = 10;

/// How many exchanges may be on their way.
pub struct Window {
    size: u64,
    begun: AtomicU64,
}

impl Window {
    pub fn new(pool_bytes: u64, exchange_bytes: usize, producers: usize) -> Self {
        let size = (pool_bytes as f64 * FILLED / exchange_bytes as f64) as u64;
        Self { size: size.max(2 * producers as u64), begun: AtomicU64::new(0) }
    }

    /// Gives how much is free, after at least one place is.
    fn wait(&self, recorder: &Recorder) -> u64 {
        let begun = Instant::now();
        loop {
            let on_their_way =
                self.begun.load(Ordering::Relaxed).saturating_sub(recorder.stats().total_pairs);
            if on_their_way < self.size {
                return self.size - on_their_way;
            }
            assert!(begun.elapsed() < PATIENCE, "the pipeline stands still");
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

/// Where a producer was at a tenth of its way.
pub struct Mark {
    records: usize,
    seconds: f64,
    cost: Cost,
    /// Of a fresh process that has made as many records as this tenth has, right after it.
    control: Option<Control>,
}

impl Mark {
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "records": self.records,
            "seconds": self.seconds,
            "cpuSeconds": self.cost.cpu_seconds,
            "userSeconds": self.cost.user_seconds,
            "residentMegabytes": self.cost.resident_bytes as f64 / 1e6,
            "stolenSeconds": self.cost.stolen_seconds,
            "control": self.control.as_ref().map(Control::to_json),
        })
    }
}

/// Pushes `count` exchanges. At the end of each tenth `control`, if there is one, is asked when nothing is under way.
pub fn produce(
    mut recorder: Recorder,
    exchanges: &Exchanges,
    count: usize,
    window: &Window,
    control: Option<&(dyn Fn(usize) -> Control + Sync)>,
) -> Vec<Mark> {
    let started = Instant::now();
    let mut marks = Vec::with_capacity(MARKS + 1);
    let mut free = 0;
    for done in 0..=count {
        if done == marks.len() * count / MARKS {
            if control.is_some() {
                assert!(recorder.drain(Instant::now() + PATIENCE), "the pipeline stands still");
            }
            let seconds = started.elapsed().as_secs_f64();
            let mut mark = Mark { records: done, seconds, cost: Cost::of_process(), control: None };
            mark.control = control.filter(|_| done > 0).map(|ask| ask(count / MARKS));
            marks.push(mark);
        }
        if done == count {
            break;
        }
        if free == 0 {
            // A part of what is free: the other producers look at the same number.
            free = (window.wait(&recorder) / 4).max(1);
        }
        free -= 1;
        window.begun.fetch_add(1, Ordering::Relaxed);
        push(&mut recorder, exchanges);
    }
    // What is under way belongs to the measurement: closing waits for it.
    recorder.close("done", Instant::now() + PATIENCE);
    marks
}

/// One exchange, with the clock read for each entry as a hook does.
fn push(recorder: &mut Recorder, exchanges: &Exchanges) {
    let now = monotonic_nanos;
    let at = now();
    let head = &exchanges.request_head;
    let id =
        recorder.begin(Source::Undici, "https://api.anthropic.com", head, at, at).expect("there is room");
    recorder.push(id, Kind::RequestBody, &exchanges.request_body, now());
    recorder.push(id, Kind::RequestEnd, b"", now());
    recorder.push(id, Kind::ResponseHead, &exchanges.response_head, now());
    for chunk in exchanges.response() {
        recorder.push(id, Kind::ResponseBody, chunk, now());
    }
    recorder.push(id, Kind::ResponseEnd, b"", now());
}
