//! Content codings undone: a stream of 64 KB, in pieces of a network read.

use super::exchanges::{Exchanges, Kind};
use claude_trace_core::decode::{Decoded, decode};
use criterion::{Criterion, Throughput};
use std::hint::black_box;
use std::io::Write;

pub fn bodies(c: &mut Criterion) {
    let body: Vec<u8> = Exchanges::new(Kind::Sse, 65536).response().flatten().copied().collect();
    let mut group = c.benchmark_group("decode");
    for (coding, encoded) in [("gzip", gzip(&body)), ("br", brotli(&body)), ("zstd", zstd(&body))] {
        let pieces: Vec<&[u8]> = encoded.chunks(1400).collect();
        let decoded = decode(coding.as_bytes(), &pieces, 1 << 28);
        assert_eq!(decoded, Decoded::Bytes { bytes: body.clone(), partial: false }, "{coding}");
        group.throughput(Throughput::Bytes(body.len() as u64)).bench_function(coding, |b| {
            b.iter(|| decode(coding.as_bytes(), black_box(&pieces), 1 << 28));
        });
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("a Vec takes all")
}

fn brotli(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = brotli::CompressorWriter::new(&mut out, 4096, 5, 22);
    encoder.write_all(body).expect("a Vec takes all");
    drop(encoder);
    out
}

fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(body, 3).expect("a Vec takes all")
}
