//! What an event costs on its way through interceptors, for `benchmark/interceptors`: `interceptor_cost FILE EVENTS PIECE_BYTES`
//! prints one line of JSON with nanoseconds an event for each chain, parsing included, each the median of rounds.

use claude_trace_core::interceptor::builtin::{Deduplicate, Metrics};
use claude_trace_core::interceptor::{
    EventBatch, Failed, Hooks, Interceptor, Limits, Maker, Outcome, OwnedEvent, PerEvent, Registration,
    Registry, Replacement, Rule, Stage, Verdict,
};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Each figure takes at least that long, and so many rounds.
const AT_LEAST: Duration = Duration::from_millis(300);
const ROUNDS: usize = 7;

type Make = fn() -> Box<dyn Interceptor>;

/// Is called and does nothing.
struct Empty;
impl Interceptor for Empty {}

/// Looks at every event, leaves out one in a hundred and changes another.
struct Looks;
impl Interceptor for Looks {
    fn on_events(&mut self, batch: &mut EventBatch) -> Result<(), Failed> {
        let of_hundred = |batch: &EventBatch, rest| {
            let matches = |(index, event): (usize, claude_trace_core::interceptor::Event<'_>)| {
                let wanted =
                    event.number % 100 == rest && memchr::memmem::find(event.data, b"word").is_some();
                wanted.then_some(index)
            };
            batch.iter().enumerate().filter_map(matches).collect::<Vec<_>>()
        };
        for index in of_hundred(batch, 7) {
            batch.decide(index, Verdict::Drop);
        }
        for index in of_hundred(batch, 8) {
            let data = Some(b"{\"type\":\"other\"}".to_vec());
            batch.decide(index, Verdict::Replace(Replacement { data, ..Replacement::default() }));
        }
        Ok(())
    }
}

fn per_event() -> Box<dyn Interceptor> {
    Box::new(PerEvent(|event: OwnedEvent| Ok(Some(event))))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let body = std::fs::read(args.next().ok_or("FILE is missing")?)?;
    let events: u64 = args.next().ok_or("EVENTS is missing")?.parse()?;
    let piece_bytes: usize = args.next().ok_or("PIECE_BYTES is missing")?.parse()?;
    let chains: [(&str, &[Make]); 6] = [
        ("empty", &[|| Box::new(Empty)]),
        ("looks", &[|| Box::new(Looks)]),
        (
            "three",
            &[|| Box::new(Metrics::default()), || Box::new(Deduplicate::default()), || Box::new(Looks)],
        ),
        ("metrics", &[|| Box::new(Metrics::default())]),
        ("perEvent", &[per_event]),
        ("threePerEvent", &[per_event, per_event, per_event]),
    ];
    let mut figures = serde_json::Map::new();
    for (name, makes) in chains {
        let registry = Registry::default();
        for make in makes {
            registry.add(Registration {
                name: name.into(),
                order: 0,
                rule: Rule::default(),
                scope: None,
                hooks: Hooks::EVENTS,
                limits: Limits::default(),
                maker: Maker::Local(Box::new(make)),
            });
        }
        let mut stage = Stage::new(Arc::clone(registry.totals()), usize::MAX);
        let ns = nanos_an_event(events, || run(&registry, &mut stage, &body, piece_bytes));
        figures.insert(name.into(), ns.into());
    }
    println!("{}", serde_json::Value::Object(figures));
    Ok(())
}

/// One exchange. How many events interceptors were given.
fn run(registry: &Registry, stage: &mut Stage, body: &[u8], piece_bytes: usize) -> u64 {
    let before = registry.stats().events;
    let key = (0, 1);
    let watch = registry.watch(None, b"POST", b"https://x/").expect("it matches");
    stage.request(key, watch, b"POST https://x/ HTTP/1.1\r\n".to_vec(), 0, false, 0);
    stage.response(key, b"HTTP/1.1 200\r\ncontent-type: text/event-stream\r\n".to_vec(), 0, 0);
    for piece in body.chunks(piece_bytes) {
        stage.body(key, black_box(piece), 0, 0);
    }
    stage.end(key, Outcome::Complete, 0, 0);
    assert_eq!(black_box(stage.take_done()).len(), 1);
    registry.stats().events - before
}

fn nanos_an_event(events: u64, mut run: impl FnMut() -> u64) -> f64 {
    let mut rounds = Vec::new();
    let begun = Instant::now();
    while rounds.len() < ROUNDS || begun.elapsed() < AT_LEAST {
        let start = Instant::now();
        assert_eq!(run(), events, "the stream has other events than it should");
        rounds.push(start.elapsed().as_nanos() as f64 / events as f64);
    }
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}
