//! From the spool to a finished exchange: reading, checking, checksums, the table.

use super::exchanges::{Exchanges, Kind as Replayed};
use super::spool::{Way, spool_folder};
use claude_trace_core::clock::monotonic_nanos;
use claude_trace_core::exchange::{Kind, Source};
use claude_trace_core::pipeline::Tap;
use claude_trace_core::pipeline::assembler::Assembler;
use criterion::{Criterion, Throughput};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub fn consume(c: &mut Criterion) {
    let mut group = c.benchmark_group("assembler");
    for (name, kind, bytes) in
        [("stream of 150-byte chunks", Replayed::Sse, 65536), ("small JSON", Replayed::Json, 2048)]
    {
        let exchange = Exchanges::new(kind, bytes);
        let folder = spool_folder();
        let mut way = Way::new(&folder);
        let mut assembler =
            Assembler::new(Arc::clone(&way.pool), Tap::idle(), Arc::default(), Arc::default());
        assembler.add_chain(Arc::clone(&way.chain));
        group.throughput(Throughput::Elements(exchange.chunks() as u64 + 5)).bench_function(name, |b| {
            b.iter_custom(|times| {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    push(&mut way, &exchange);
                    let mut finished = None;
                    let started = Instant::now();
                    assembler.consume(|exchange| finished = Some(exchange));
                    spent += started.elapsed();
                    assert!(finished.is_some(), "each exchange comes out");
                }
                spent
            });
        });
    }
}

fn push(way: &mut Way, exchange: &Exchanges) {
    let now = monotonic_nanos();
    let id = way.producer.begin(Source::Undici, &exchange.request_head, now, now).expect("there is room");
    let before: [(Kind, &[u8]); 3] = [
        (Kind::RequestBody, &exchange.request_body),
        (Kind::RequestEnd, b""),
        (Kind::ResponseHead, &exchange.response_head),
    ];
    let chunks = exchange.response().map(|chunk| (Kind::ResponseBody, chunk));
    for (kind, bytes) in before.into_iter().chain(chunks).chain([(Kind::ResponseEnd, &b""[..])]) {
        way.producer.push(id, kind, bytes, now).expect("there is room");
    }
}
