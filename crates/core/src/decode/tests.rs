use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1 << 20;

fn encode(coding: &str, bytes: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" | "x-gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "raw deflate" => {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "br" => {
            let mut out = Vec::new();
            ::brotli::CompressorWriter::new(&mut out, 4096, 5, 20).write_all(bytes).unwrap();
            out
        }
        "zstd" => zstd::encode_all(bytes, 3).unwrap(),
        "identity" => bytes.to_vec(),
        other => panic!("{other}"),
    }
}

fn field_of(coding: &str) -> &[u8] {
    coding.strip_prefix("raw ").unwrap_or(coding).as_bytes()
}

fn whole(bytes: &[u8]) -> Decoded {
    Decoded::Bytes { bytes: bytes.to_vec(), partial: false }
}

/// Text that compresses, but not to nothing, and fills more than one block of zstd's (128 KiB).
fn sample() -> Vec<u8> {
    let mut seed = 1_u32;
    let mut text = Vec::new();
    while text.len() < 300_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.extend_from_slice(
            format!("event: delta\ndata: {{\"text\":\"{:x} é 😀\"}}\n\n", seed >> 8).as_bytes(),
        );
    }
    text
}

const CODINGS: [&str; 6] = ["gzip", "x-gzip", "deflate", "raw deflate", "br", "zstd"];

#[test]
fn decodes_each_coding_in_pieces_of_any_size() {
    let text = sample();
    for coding in CODINGS {
        let encoded = encode(coding, &text);
        for size in [1, 2, 3, 7, 1000, encoded.len()] {
            let pieces: Vec<&[u8]> = encoded.chunks(size).collect();
            assert_eq!(decode(field_of(coding), &pieces, LIMIT), whole(&text), "{coding} {size}");
        }
    }
}

#[test]
fn gives_what_a_cut_off_body_says() {
    let text = sample();
    for coding in CODINGS {
        let encoded = encode(coding, &text);
        let mut longest = 0;
        for cut in (1..encoded.len()).step_by(encoded.len() / 50).chain([encoded.len() - 1]) {
            match decode(field_of(coding), &[&encoded[..cut]], LIMIT) {
                Decoded::Bytes { bytes, partial: true } => {
                    assert!(text.starts_with(&bytes), "{coding} {cut}");
                    longest = longest.max(bytes.len());
                }
                other => panic!("{coding} {cut}: {other:?}"),
            }
        }
        assert!(longest > text.len() / 3, "{coding}: only {longest} of {}", text.len());
    }
}

#[test]
fn gives_every_flushed_event_of_a_cut_off_stream() {
    let first = b"event: ping\ndata: {}\n\n".repeat(3);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&first).unwrap();
    encoder.flush().unwrap();
    let flushed = encoder.get_ref().clone();
    let partial = Decoded::Bytes { bytes: first.clone(), partial: true };
    assert_eq!(decode(b"gzip", &[&flushed], LIMIT), partial);

    let mut out = Vec::new();
    let mut encoder = ::brotli::CompressorWriter::new(&mut out, 4096, 5, 20);
    encoder.write_all(&first).unwrap();
    encoder.flush().unwrap();
    let flushed = encoder.get_ref().to_vec();
    assert_eq!(decode(b"br", &[&flushed], LIMIT), partial);

    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(&first).unwrap();
    encoder.flush().unwrap();
    assert_eq!(decode(b"zstd", &[encoder.get_ref()], LIMIT), partial);
}

#[test]
fn undoes_stacked_codings_last_first() {
    let text = sample();
    let encoded = encode("br", &encode("gzip", &text));
    assert_eq!(decode(b"gzip, br", &[&encoded], LIMIT), whole(&text));
    assert_eq!(decode(b" GZIP ,identity,, Br ", &[&encoded], LIMIT), whole(&text));
    match decode(b"gzip, br", &[&encoded[..encoded.len() / 2]], LIMIT) {
        Decoded::Bytes { bytes, partial: true } => assert!(!bytes.is_empty() && text.starts_with(&bytes)),
        other => panic!("{other:?}"),
    }
    assert_eq!(decode(b"br, gzip", &[&encoded], LIMIT), Decoded::Failed(Failure::Corrupt));
}

#[test]
fn joins_members_and_frames() {
    for coding in ["gzip", "zstd"] {
        let mut encoded = encode(coding, b"one ");
        encoded.extend(encode(coding, b"two"));
        assert_eq!(decode(field_of(coding), &[&encoded], LIMIT), whole(b"one two"), "{coding}");
    }
}

#[test]
fn does_not_lose_what_follows_the_end() {
    for coding in CODINGS {
        let mut encoded = encode(coding, b"text");
        encoded.extend_from_slice(b"and more than a header of it");
        assert_eq!(
            decode(field_of(coding), &[&encoded], LIMIT),
            Decoded::Failed(Failure::Corrupt),
            "{coding}"
        );
    }
}

#[test]
fn leaves_alone_what_is_not_encoded() {
    for field in [&b""[..], b"identity", b" , Identity"] {
        assert_eq!(decode(field, &[b"text"], LIMIT), Decoded::AsSent);
    }
    for field in [&b"gzip"[..], b"deflate", b"br", b"zstd", b"gzip, br", b"unheard-of"] {
        assert_eq!(decode(field, &[], LIMIT), Decoded::AsSent);
        assert_eq!(decode(field, &[b"", b""], LIMIT), Decoded::AsSent);
    }
}

#[test]
fn refuses_what_it_does_not_know_or_cannot_hold() {
    let unsupported = Decoded::Failed(Failure::Unsupported);
    assert_eq!(decode(b"compress", &[b"text"], LIMIT), unsupported);
    assert_eq!(decode(b"gzip, aws-chunked", &[b"text"], LIMIT), unsupported);
    assert_eq!(decode(b"gzip,gzip,gzip,gzip,gzip,gzip", &[b"text"], LIMIT), unsupported);
    for coding in CODINGS {
        let encoded = encode(coding, &vec![b'a'; LIMIT]);
        assert_eq!(decode(field_of(coding), &[&encoded], LIMIT), whole(&vec![b'a'; LIMIT]));
        let small = decode(field_of(coding), &[&encoded], LIMIT - 1);
        assert_eq!(small, Decoded::Failed(Failure::TooLarge), "{coding}");
    }
    for coding in ["gzip", "br", "zstd"] {
        let text = b"{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}";
        assert_eq!(decode(field_of(coding), &[text], LIMIT), Decoded::Failed(Failure::Corrupt), "{coding}");
    }
}

proptest! {
    #[test]
    fn never_panics_and_never_invents(
        coding in prop::sample::select(CODINGS.to_vec()),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        flip in any::<prop::sample::Index>(),
        mask in any::<u8>(),
    ) {
        decode(field_of(coding), &[&bytes], 10_000);
        let mut encoded = encode(coding, &bytes);
        let intact = decode(field_of(coding), &[&encoded], 10_000);
        prop_assert_eq!(intact, whole(&bytes));
        let at = flip.index(encoded.len());
        encoded[at] ^= mask;
        decode(field_of(coding), &[&encoded], 10_000);
    }
}
