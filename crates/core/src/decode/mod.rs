//! Undoes content encodings (RFC 9110 §8.4) of recorded bodies.
//!
//! Runs on worker threads over bytes that are whole or end anywhere: a cut-off body gives all that its decoder could
//! make of it. What cannot be decoded is not an error of ours: the caller keeps the bytes as they came.

mod brotli;
mod push;
mod source;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

pub use push::PushDecoder;
use source::{CutIsEnd, NothingAfter, Slices};

/// More codings in a row than any server applies; undici gives up after five. Each costs a decoder's window.
const MAX_CODINGS: usize = 5;

/// What became of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// There was nothing to undo: no coding, or no bytes.
    AsSent,
    /// What the body says.
    Bytes {
        /// The decoded bytes.
        bytes: Vec<u8>,
        /// Whether the encoded bytes end before they should: these are the first of them.
        partial: bool,
    },
    /// It stays encoded.
    Failed(Failure),
}

/// Why a body stays encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The bytes are not what `content-encoding` says, or more follow than it covers.
    Corrupt,
    /// It would be larger than the limit.
    TooLarge,
    /// A coding that is not known here, or too many of them.
    Unsupported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Decodes the body that `input` holds in pieces. `content_encoding` is the field's value, a list in the order in which
/// the codings were applied. Allocates what the body needs and at most `max_bytes`, and windows (zstd: up to 128 MiB).
pub fn decode(content_encoding: &[u8], input: &[&[u8]], max_bytes: usize) -> Decoded {
    let codings = match codings(content_encoding) {
        Ok(codings) => codings,
        Err(failure) if input.iter().any(|piece| !piece.is_empty()) => return Decoded::Failed(failure),
        Err(_) => return Decoded::AsSent,
    };
    let length: usize = input.iter().map(|piece| piece.len()).sum();
    if codings.is_empty() || length == 0 {
        return Decoded::AsSent;
    }
    let (cut, begun) = (Cell::new(false), Cell::new(0));
    let mut bytes = Vec::new();
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    match chain(&codings, Slices::new(input, &begun), &cut)
        .and_then(|reader| reader.take(limit).read_to_end(&mut bytes))
    {
        Ok(_) if bytes.len() > max_bytes => Decoded::Failed(Failure::TooLarge),
        Ok(_) => Decoded::Bytes { bytes, partial: cut.get() },
        Err(_) => Decoded::Failed(Failure::Corrupt),
    }
}

/// Decodes a body that [`decode`] could decode once more, and gives what each piece of it came to: bytes that could not be
/// known before the piece at that index was there. Says when what was in a stream could be read.
pub fn decode_as_it_came(content_encoding: &[u8], input: &[&[u8]], mut on_bytes: impl FnMut(&[u8], usize)) {
    let Ok(codings) = codings(content_encoding) else { return };
    let (cut, begun) = (Cell::new(false), Cell::new(0));
    let Ok(mut reader) = chain(&codings, Slices::new(input, &begun), &cut) else { return };
    // Larger than a BufReader's buffer, which is then passed by: a decoder returns what it has before it asks for more.
    let mut bytes = vec![0; 32 * 1024];
    while let Ok(count @ 1..) = reader.read(&mut bytes) {
        on_bytes(&bytes[..count], begun.get().saturating_sub(1));
    }
}

fn codings(list: &[u8]) -> Result<Vec<Coding>, Failure> {
    let mut codings = Vec::new();
    for name in list.split(|byte| *byte == b',') {
        codings.push(match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => continue,
            b"gzip" | b"x-gzip" => Coding::Gzip,
            b"deflate" => Coding::Deflate,
            b"br" => Coding::Brotli,
            b"zstd" => Coding::Zstd,
            _ => return Err(Failure::Unsupported),
        });
        if codings.len() > MAX_CODINGS {
            return Err(Failure::Unsupported);
        }
    }
    Ok(codings)
}

/// Readers inside each other, the last coding applied innermost: stacked codings need no buffer between them, and the
/// limit on what comes out bounds the work inside, too.
fn chain<'a>(codings: &[Coding], input: Slices<'a>, cut: &'a Cell<bool>) -> io::Result<Box<dyn Read + 'a>> {
    let mut reader: Box<dyn BufRead + 'a> = Box::new(input);
    for coding in codings.iter().rev() {
        let decoder: Box<dyn Read + 'a> = match coding {
            Coding::Gzip => Box::new(MultiGzDecoder::new(reader)),
            Coding::Deflate => deflate(reader)?,
            Coding::Brotli => Box::new(brotli::Decoder::new(reader)),
            Coding::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(reader)?),
        };
        reader = Box::new(BufReader::new(CutIsEnd::new(decoder, cut)));
    }
    Ok(Box::new(reader))
}

/// `deflate` is zlib's format by the RFC and raw deflate by some servers: clients look at the first bytes.
fn deflate<'a>(mut reader: Box<dyn BufRead + 'a>) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::with_capacity(2);
    reader.by_ref().take(2).read_to_end(&mut head)?;
    let is_zlib = match head[..] {
        // Compression method 8 and a header checksum (RFC 1950 §2.2). A single byte is no stream of either kind.
        [method, flags] => method & 0x0f == 8 && (u16::from(method) << 8 | u16::from(flags)) % 31 == 0,
        _ => true,
    };
    let whole = BufReader::new(io::Cursor::new(head).chain(reader));
    Ok(if is_zlib {
        Box::new(NothingAfter::new(ZlibDecoder::new(whole), ZlibDecoder::get_mut))
    } else {
        Box::new(NothingAfter::new(DeflateDecoder::new(whole), DeflateDecoder::get_mut))
    })
}
