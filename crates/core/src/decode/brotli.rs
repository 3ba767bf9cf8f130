//! Brotli over a buffered reader. The crate's own reader gives one error for a stream that is wrong and one that ends
//! early; here the second is `UnexpectedEof`, as in the other decoders.

use std::io::{self, BufRead, ErrorKind, Read};

use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, HeapAlloc, HuffmanCode};

type State = BrotliState<HeapAlloc<u8>, HeapAlloc<u32>, HeapAlloc<HuffmanCode>>;

pub(super) struct Decoder<R> {
    source: R,
    state: Box<State>,
    /// The stream has said that it ends here.
    done: bool,
    total: usize,
}

impl<R: BufRead> Decoder<R> {
    pub(super) fn new(source: R) -> Self {
        let state = State::new(HeapAlloc::new(0), HeapAlloc::new(0), HeapAlloc::new(HuffmanCode::default()));
        Self { source, state: Box::new(state), done: false, total: 0 }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        while !self.done {
            let input = self.source.fill_buf()?;
            let is_end = input.is_empty();
            let (mut available_in, mut read) = (input.len(), 0);
            let (mut available_out, mut written) = (into.len(), 0);
            let result = BrotliDecompressStream(
                &mut available_in,
                &mut read,
                input,
                &mut available_out,
                &mut written,
                into,
                &mut self.total,
                &mut self.state,
            );
            self.source.consume(read);
            match result {
                BrotliResult::ResultFailure => return Err(ErrorKind::InvalidData.into()),
                BrotliResult::ResultSuccess => self.done = true,
                BrotliResult::NeedsMoreInput if is_end && written == 0 => {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
            }
            if written > 0 {
                return Ok(written);
            }
        }
        match self.source.fill_buf()? {
            [] => Ok(0),
            _ => Err(io::Error::new(ErrorKind::InvalidData, "bytes after the end of the stream")),
        }
    }
}
