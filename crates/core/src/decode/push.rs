//! Undoes a content encoding as the bytes come: what interceptors read while a stream is open. The record is made from the
//! whole body, by [`super::decode`]; what both give of the same bytes is the same.

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use std::fmt;
use std::io::{self, Write};

use super::{Coding, codings};

/// A decoder for one coding. Of several in a row there is none: no server does that to a stream.
pub struct PushDecoder(Inner);

enum Inner {
    /// zlib or raw, by the first two bytes.
    Deflate(Vec<u8>),
    Chain(Box<dyn Sink + Send>),
    /// It has failed: nothing follows.
    Over,
}

/// A writer whose output can be taken.
trait Sink {
    fn write_and_flush(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn output(&mut self) -> &mut Vec<u8>;
}

macro_rules! sink {
    ($decoder:ty) => {
        impl Sink for $decoder {
            fn write_and_flush(&mut self, bytes: &[u8]) -> io::Result<()> {
                self.write_all(bytes)?;
                self.flush()
            }

            fn output(&mut self) -> &mut Vec<u8> {
                self.get_mut()
            }
        }
    };
}

sink!(MultiGzDecoder<Vec<u8>>);
sink!(ZlibDecoder<Vec<u8>>);
sink!(DeflateDecoder<Vec<u8>>);
sink!(brotli::DecompressorWriter<Vec<u8>>);
sink!(zstd::stream::write::Decoder<'static, Vec<u8>>);

impl fmt::Debug for PushDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushDecoder")
    }
}

impl PushDecoder {
    /// `Some(None)`: there is nothing to undo. `None`: it cannot be undone as it comes.
    #[allow(clippy::option_option, reason = "a decoder, none needed, none possible")]
    pub fn of(content_encoding: &[u8]) -> Option<Option<Self>> {
        let codings = codings(content_encoding).ok()?;
        let inner = match codings[..] {
            [] => return Some(None),
            [Coding::Gzip] => Inner::Chain(Box::new(MultiGzDecoder::new(Vec::new()))),
            [Coding::Deflate] => Inner::Deflate(Vec::new()),
            [Coding::Brotli] => {
                Inner::Chain(Box::new(brotli::DecompressorWriter::new(Vec::new(), 32 * 1024)))
            }
            [Coding::Zstd] => Inner::Chain(Box::new(zstd::stream::write::Decoder::new(Vec::new()).ok()?)),
            _ => return None,
        };
        Some(Some(Self(inner)))
    }

    /// Reads a piece and gives what it came to; `on_bytes` says whether it wants more. Whether more can come.
    pub fn push(&mut self, piece: &[u8], mut on_bytes: impl FnMut(&[u8]) -> bool) -> bool {
        let mut whole = Vec::new();
        let mut piece = piece;
        if let Inner::Deflate(start) = &mut self.0 {
            start.extend_from_slice(piece);
            let [method, flags, ..] = start[..] else { return true };
            let is_zlib = method & 0x0f == 8 && (u16::from(method) << 8 | u16::from(flags)) % 31 == 0;
            whole = std::mem::take(start);
            piece = &whole;
            self.0 = Inner::Chain(if is_zlib {
                Box::new(ZlibDecoder::new(Vec::new()))
            } else {
                Box::new(DeflateDecoder::new(Vec::new()))
            });
        }
        let Inner::Chain(sink) = &mut self.0 else { return false };
        // In parts, so that a bomb is noticed before it has been unpacked.
        for part in piece.chunks(16 * 1024) {
            let written = sink.write_and_flush(part);
            let output = sink.output();
            let wants_more = output.is_empty() || on_bytes(output);
            output.clear();
            if written.is_err() || !wants_more {
                self.0 = Inner::Over;
                return false;
            }
        }
        drop(whole);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Decoded, decode};
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    fn encoded(coding: &str, body: &[u8]) -> Vec<u8> {
        match coding {
            "gzip" => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body).unwrap();
                encoder.finish().unwrap()
            }
            "deflate" => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body).unwrap();
                encoder.finish().unwrap()
            }
            "raw" => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body).unwrap();
                encoder.finish().unwrap()
            }
            "br" => {
                let mut out = Vec::new();
                let params = brotli::enc::BrotliEncoderParams { quality: 3, ..Default::default() };
                brotli::BrotliCompress(&mut &body[..], &mut out, &params).unwrap();
                out
            }
            _ => zstd::encode_all(body, 1).unwrap(),
        }
    }

    fn pushed(coding: &str, wire: &[u8], size: usize) -> (Vec<u8>, bool) {
        let mut decoder = PushDecoder::of(coding.as_bytes()).unwrap().unwrap();
        let mut out = Vec::new();
        let mut more = true;
        for piece in wire.chunks(size.max(1)) {
            more = decoder.push(piece, |bytes| {
                out.extend_from_slice(bytes);
                true
            });
        }
        (out, more)
    }

    proptest! {
        #[test]
        fn gives_what_the_whole_body_is_decoded_to(
            body in proptest::collection::vec(0_u8..4, 0..5000), size in 1_usize..600, which in 0_usize..5
        ) {
            let (coding, name) = [("gzip", "gzip"), ("deflate", "deflate"), ("raw", "deflate"), ("br", "br"), ("zstd", "zstd")][which];
            let wire = encoded(coding, &body);
            let Decoded::Bytes { bytes, partial } = decode(name.as_bytes(), &[&wire], 1 << 20) else {
                panic!("it decodes");
            };
            prop_assert!(!partial);
            prop_assert_eq!(&bytes, &body);
            prop_assert_eq!(pushed(name, &wire, size).0, body);
        }

        #[test]
        fn any_bytes_are_no_panic(wire in proptest::collection::vec(any::<u8>(), 0..300), size in 1_usize..50) {
            for name in ["gzip", "deflate", "br", "zstd"] {
                pushed(name, &wire, size);
            }
        }
    }

    #[test]
    fn an_event_can_be_read_as_soon_as_it_was_flushed() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let mut decoder = PushDecoder::of(b"gzip").unwrap().unwrap();
        for text in ["data: 1\n\n", "data: 2\n\n"] {
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.flush().unwrap();
            let mut out = Vec::new();
            let wire = std::mem::take(encoder.get_mut());
            assert!(decoder.push(&wire, |bytes| {
                out.extend_from_slice(bytes);
                true
            }));
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn there_may_be_nothing_to_do_or_nothing_to_be_done() {
        assert!(PushDecoder::of(b"").unwrap().is_none());
        assert!(PushDecoder::of(b"identity").unwrap().is_none());
        assert!(PushDecoder::of(b"gzip, br").is_none());
        assert!(PushDecoder::of(b"compress").is_none());
    }

    #[test]
    fn a_bomb_is_let_go() {
        let wire = encoded("gzip", &vec![0; 50_000_000]);
        let mut seen = 0;
        let mut decoder = PushDecoder::of(b"gzip").unwrap().unwrap();
        let more = decoder.push(&wire, |bytes| {
            seen += bytes.len();
            seen < 1_000_000
        });
        assert!(!more && seen < 30_000_000, "{seen}");
        assert!(!decoder.push(b"more", |_| panic!("it is over")));
    }
}
