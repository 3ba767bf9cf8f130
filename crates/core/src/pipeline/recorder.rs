//! What a JS environment holds of a pipeline.

use super::{FINISHED, Pipeline, Work, lock};
use crate::clock::monotonic_nanos;
use crate::exchange::{Kind, Source};
use crate::interceptor::Registry;
use crate::redact::Redactor;
use crate::spool::chain::Producer;
use crate::stats::Summary;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long the end of the last JS environment may take. The log is complete without it once the next start has recovered
/// the session.
const LAST_DRAIN: Duration = Duration::from_secs(2);

/// One JS environment's way into a pipeline. Belongs to one thread.
#[derive(Debug)]
pub struct Recorder {
    pipeline: Arc<Pipeline>,
    /// Names it to interceptors: those of one environment see its exchanges alone.
    scope: u32,
    producer: Option<Producer>,
    redactor: Redactor,
    /// The threads have failed, and the substitute is at work.
    is_degraded: bool,
    closed: bool,
}

/// What a pipeline can say of itself.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each is explained where it is counted, in `stats`")]
pub struct Stats {
    pub total_pairs: u64,
    pub pending_requests: u64,
    pub log_file: PathBuf,
    pub zero_latency: bool,
    pub fallback: Option<String>,
    pub requests: Summary,
    pub chunks: Summary,
    /// Exchanges finished and not yet in the log.
    pub queue_size: u64,
    pub tasks_processed: u64,
    /// Threads that make records now; 0 where there are none.
    pub workers: u64,
    /// Records gathered for the next write.
    pub buffered_lines: u64,
    /// The fuller of the pool and the write buffer, 0 to 1.
    pub buffer_utilization: f64,
    /// Bytes of spool segments and of records on their way.
    pub memory_bytes: u64,
    pub spool_bytes: u64,
    pub spool_segments: u64,
    pub pool_reused: u64,
    pub pool_mapped: u64,
    pub flushes: u64,
    pub flushes_per_second: f64,
    pub bytes_written: u64,
    pub drops: u64,
    pub spills: u64,
    pub retries: u64,
    pub failed: u64,
    pub dead_letters: u64,
    pub abandoned: u64,
    pub recovered: u64,
    pub copied_forward: u64,
    pub damaged: u64,
    pub sse: SseStats,
    pub started: bool,
}

/// What it can say of streams of server-sent events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is explained where it is counted, in `stats`")]
pub struct SseStats {
    pub streams: u64,
    pub events: u64,
    pub bytes: u64,
    pub cut_lines: u64,
    pub cut_events: u64,
    pub reconnects: u64,
    pub replayed_events: u64,
}

impl Recorder {
    /// A recorder that has started nothing yet; `None` if the pipeline's last recorder has closed, so that there is no
    /// pipeline any more.
    pub fn new(pipeline: &Arc<Pipeline>) -> Option<Self> {
        let more = |n| if n == FINISHED { None } else { Some(n + 1) };
        pipeline.recorders.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Self {
            pipeline: Arc::clone(pipeline),
            scope: pipeline.next_scope.fetch_add(1, Ordering::Relaxed),
            producer: None,
            redactor: Redactor::default(),
            is_degraded: false,
            closed: false,
        })
    }

    /// Says that an exchange is about to begin: see [`Pipeline::prepare`].
    pub fn prepare(&self) {
        if self.producer.is_none() && !self.closed {
            self.pipeline.prepare();
        }
    }

    /// Begins an exchange: redacts the head and copies it into the spool. `None`: it is not recorded (no room, or closed).
    /// `asked` is when the request was made, `started` when the hook was entered.
    pub fn begin(
        &mut self,
        source: Source,
        origin: &str,
        head: &[u8],
        started: u64,
        asked: u64,
    ) -> Option<u64> {
        if self.closed {
            return None;
        }
        let head = self.redactor.request_head(origin, head);
        if !self.is_degraded && self.pipeline.has_failed() {
            // What is in the chain stays there for the next start.
            self.is_degraded = true;
            self.producer = None;
        }
        let scope = self.scope;
        let producer = self.producer.get_or_insert_with(|| {
            let pipeline = &self.pipeline;
            let (chain, engine) = pipeline.attach(scope);
            Producer::new(
                chain,
                Arc::clone(&engine.pool),
                Arc::clone(&engine.waker),
                pipeline.clock,
                Arc::clone(&pipeline.counters),
            )
        });
        producer.begin(source, head, started, asked).ok()
    }

    /// Adds to an exchange. All but body bytes is redacted on the way.
    pub fn push(&mut self, exchange: u64, kind: Kind, bytes: &[u8], started: u64) {
        let Some(producer) = &mut self.producer else { return };
        let bytes = match kind {
            Kind::ResponseHead => self.redactor.response_head(bytes),
            Kind::ResponseEnd => self.redactor.trailers(bytes),
            Kind::Error => self.redactor.error_text(bytes),
            _ => bytes,
        };
        // A drop is counted where it happens, and the exchange is marked when there is room again.
        let _ = producer.push(exchange, kind, bytes, started);
        if kind.is_final()
            && let Work::Inline(inline) = &self.pipeline.working_engine().work
        {
            let mut inline = lock(inline);
            if inline.has_room() {
                inline.pump();
            }
        }
    }

    /// What its exchanges are known by to interceptors.
    pub fn scope(&self) -> u32 {
        self.scope
    }

    /// The interceptors of its pipeline.
    pub fn interceptors(&self) -> &Arc<Registry> {
        self.pipeline.interceptors()
    }

    /// Lets the pipeline take in what interceptors have answered, where no thread of its own does that.
    pub fn pump(&self) {
        if let Some(Work::Inline(inline)) =
            self.pipeline.engine.get().map(|_| &self.pipeline.working_engine().work)
        {
            lock(inline).pump();
        }
    }

    /// Ends what is open, with the reason in its records, and has interceptors told. Nothing is pushed after that.
    pub fn end_open(&mut self, why: &'static str, deadline: Instant) {
        if let Some(producer) = &self.producer {
            self.pipeline.cut((Some(producer.chain().number), why), deadline);
        }
    }

    /// Waits until all that has been pushed is in the log. Whether it is.
    pub fn drain(&self, deadline: Instant) -> bool {
        self.pipeline.drain(deadline)
    }

    /// Ends what is open, with the reason in its records, and waits until all is in the log. The last recorder to close
    /// ends the pipeline. `false`: not all was written by the deadline; the spool keeps it. Safe to call twice.
    pub fn close(&mut self, why: &'static str, deadline: Instant) -> bool {
        self.end(why, |_| deadline)
    }

    fn end(&mut self, why: &'static str, deadline: impl FnOnce(bool) -> Instant) -> bool {
        if std::mem::replace(&mut self.closed, true) {
            return true;
        }
        let chain = self.producer.take().map(|producer| producer.chain().number);
        let fewer = |n| Some(if n == 1 { FINISHED } else { n - 1 });
        let last = self.pipeline.recorders.fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer) == Ok(1);
        let deadline = deadline(last);
        let recovered = self.pipeline.recovery.wait(deadline);
        // Environments that ended before may have left exchanges open in chains of their own.
        let cut = if last { Some((None, why)) } else { chain.map(|number| (Some(number), why)) };
        let settled = self.pipeline.settle(cut, deadline);
        if settled && last {
            self.pipeline.finish();
        }
        settled && recovered
    }

    /// What the pipeline can say of itself.
    pub fn stats(&self) -> Stats {
        let pipeline = &*self.pipeline;
        let counters = &pipeline.counters;
        let engine = pipeline.engine.get().map(|_| pipeline.working_engine());
        if let Some(Work::Inline(inline)) = engine.map(|e| &e.work) {
            lock(inline).pump();
        }
        let pool = engine.map(|e| &e.pool);
        let buffered = counters.buffered.get();
        let flushes = counters.flushes.get();
        let seconds = (monotonic_nanos() - pipeline.made_at) as f64 / 1e9;
        let in_batch = buffered as f64 / pipeline.config.write_buffer_size as f64;
        let spool_bytes = pool.map_or(0, |pool| pool.bytes()) as u64;
        Stats {
            total_pairs: counters.written.get(),
            pending_requests: if self.closed {
                0
            } else {
                counters.begun.get().saturating_sub(counters.ended.get())
            },
            log_file: pipeline.log_path.get(),
            zero_latency: engine.map_or(pipeline.config.zero_latency, |e| matches!(e.work, Work::Threads(_))),
            fallback: engine.and_then(|e| e.fallback.clone()),
            requests: pipeline.latencies.requests(),
            chunks: pipeline.latencies.chunks(),
            queue_size: counters.queued.get(),
            tasks_processed: counters.written.get() + counters.failed.get(),
            workers: match engine.map(|e| &e.work) {
                Some(Work::Threads(threads)) => threads.workers() as u64,
                _ => 0,
            },
            buffered_lines: buffered,
            buffer_utilization: pool.map_or(0.0, |pool| pool.utilization()).max(in_batch).min(1.0),
            memory_bytes: spool_bytes + counters.buffered_bytes.get(),
            spool_bytes,
            spool_segments: pool.map_or(0, |pool| pool.segments()) as u64,
            pool_reused: counters.pool_reused.get(),
            pool_mapped: counters.pool_mapped.get(),
            flushes,
            flushes_per_second: if seconds > 0.0 { flushes as f64 / seconds } else { 0.0 },
            bytes_written: counters.bytes_written.get(),
            drops: counters.drops.get(),
            spills: counters.spills.get(),
            retries: counters.retries.get(),
            failed: counters.failed.get(),
            dead_letters: counters.dead_letters.get(),
            abandoned: counters.abandoned.get(),
            recovered: counters.recovered.get(),
            copied_forward: counters.copied_forward.get(),
            damaged: counters.damaged.get(),
            sse: SseStats {
                streams: counters.sse.streams.get(),
                events: counters.sse.events.get(),
                bytes: counters.sse.bytes.get(),
                cut_lines: counters.sse.cut_lines.get(),
                cut_events: counters.sse.cut_events.get(),
                reconnects: counters.sse.reconnects.get(),
                replayed_events: counters.sse.replayed_events.get(),
            },
            started: engine.is_some(),
        }
    }
}

impl Drop for Recorder {
    /// A JS environment ends without closing when its worker is terminated: the others go on, the last one ends the
    /// pipeline.
    fn drop(&mut self) {
        let patience = |last| if last { LAST_DRAIN } else { Duration::ZERO };
        self.end("its JS environment ended", |last| Instant::now() + patience(last));
    }
}
