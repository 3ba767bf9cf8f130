//! The push: what a hook waits for.

use claude_trace_core::clock::{Clock, monotonic_nanos};
use claude_trace_core::config::Config;
use claude_trace_core::exchange::{Kind, Source};
use claude_trace_core::spool::chain::{Chain, Producer, Waker};
use claude_trace_core::spool::pool::{Hold, Pool};
use criterion::{Criterion, Throughput};
use std::hint::black_box;
use std::sync::Arc;

/// An empty entry, a chunk of a stream, a large one, a request of an agent, one of a very long conversation.
const SIZES: [usize; 5] = [0, 150, 4096, 100_000, 1_000_000];

/// A way into a spool of files in `folder`, and what reads it.
pub struct Way {
    pub chain: Arc<Chain>,
    pub pool: Arc<Pool>,
    pub producer: Producer,
    /// The segment that is written to: it must not go back to the pool before its writer has left it.
    current: Option<Hold>,
}

impl Way {
    pub fn new(folder: &tempfile::TempDir) -> Self {
        let config = Config::new(folder.path());
        let counters = Arc::default();
        let pool = Arc::new(Pool::new(&config, Some(folder.path().to_owned()), None, Arc::clone(&counters)));
        pool.make_ready();
        let chain = Chain::new(0);
        let waker = Arc::<Waker>::default();
        let producer = Producer::new(Arc::clone(&chain), Arc::clone(&pool), waker, Clock::now(), counters);
        Self { chain, pool, producer, current: None }
    }

    /// Gives what was written back to the pool, unread.
    fn forget(&mut self) {
        while let Some(next) = self.chain.next_segment() {
            self.current = Some(next);
        }
    }
}

/// Where spools are by default.
pub fn spool_folder() -> tempfile::TempDir {
    let shm = std::path::Path::new("/dev/shm");
    let folder = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
    folder.expect("a temporary folder")
}

/// With one read of the clock before it, as in a hook.
pub fn push(c: &mut Criterion) {
    let mut group = c.benchmark_group("spool push");
    for size in SIZES {
        let folder = spool_folder();
        let mut way = Way::new(&folder);
        let now = monotonic_nanos();
        let id = way.producer.begin(Source::Undici, b"POST / HTTP/1.1\r\n", now, now).expect("there is room");
        let bytes = vec![b'x'; size];
        // Often enough for the pool to do, and too seldom to be measured.
        let every = 1 + 200_000 / (size + 64);
        let mut pushes = 0_usize;
        group.throughput(Throughput::Bytes(size as u64)).bench_function(size.to_string(), |b| {
            b.iter(|| {
                pushes += 1;
                if pushes.is_multiple_of(every) {
                    way.forget();
                }
                let pushed = way.producer.push(id, Kind::ResponseBody, black_box(&bytes), monotonic_nanos());
                pushed.expect("there is room");
            });
        });
        assert_eq!(way.pool.bytes().max(11 << 20), 11 << 20, "the pool has done");
    }
}
