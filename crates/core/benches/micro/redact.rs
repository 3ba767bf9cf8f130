//! Credentials taken out of heads: a part of the hook's time.

use super::exchanges::{Exchanges, Kind};
use claude_trace_core::redact::Redactor;
use criterion::{BatchSize, Criterion, Throughput};
use std::hint::black_box;

/// Redacts one head, and says how long the result is.
type Redact = fn(&mut Redactor, &[u8]) -> usize;

/// The first head of a process, whose lines are all judged; and any later one, which is compared to the last.
pub fn heads(c: &mut Criterion) {
    let exchange = Exchanges::new(Kind::Sse, 65536);
    let cases: [(&str, Redact, &[u8]); 2] = [
        (
            "request head",
            |redactor, head| redactor.request_head("https://api.anthropic.com", head).len(),
            &exchange.request_head,
        ),
        ("response head", |redactor, head| redactor.response_head(head).len(), &exchange.response_head),
    ];
    let mut group = c.benchmark_group("redact");
    for (name, redact, head) in cases {
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(format!("{name}, the first"), |b| {
            b.iter_batched_ref(
                Redactor::default,
                |redactor| redact(redactor, black_box(head)),
                BatchSize::SmallInput,
            );
        });
        let mut redactor = Redactor::default();
        assert!(redact(&mut redactor, head) >= head.len() / 2, "the head came through");
        group.bench_function(format!("{name}, like the last"), |b| {
            b.iter(|| redact(&mut redactor, black_box(head)));
        });
    }
}
