//! The text of a log, whatever it is packed in. What it is packed in is told by its first bytes, not by its name.

use serde::Serialize;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};

/// Of plain text and of what the decoders are fed.
const BUFFER: usize = 256 * 1024;

/// How a log is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Not at all.
    Plain,
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames. Windows of more than 128 MiB are refused by the decoder, which bounds its memory.
    Zstd,
}

impl Encoding {
    fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or a skippable frame before the first one.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

/// The text of a log as a buffered stream.
///
/// Packed text that ends early or is corrupt ends the stream: what came before it is good, since the decoders check
/// it (CRC-32 in gzip, XXH64 in zstd where it was written). [`Source::broken`] then says what is wrong. An error of the
/// file below is an error here.
pub struct Source {
    text: Box<dyn BufRead>,
    encoding: Encoding,
    broken: Option<String>,
}

impl Source {
    /// Looks at the first bytes of `file` and unpacks what they announce.
    pub fn new(mut file: impl Read + 'static) -> io::Result<Self> {
        let mut start = Vec::with_capacity(4);
        file.by_ref().take(4).read_to_end(&mut start)?;
        let encoding = Encoding::of(&start);
        let file = BufReader::with_capacity(BUFFER, Cursor::new(start).chain(file));
        let text: Box<dyn BufRead> = match encoding {
            Encoding::Plain => Box::new(file),
            Encoding::Gzip => {
                Box::new(BufReader::with_capacity(BUFFER, flate2::bufread::MultiGzDecoder::new(file)))
            }
            Encoding::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(file)?;
                Box::new(BufReader::with_capacity(BUFFER, decoder))
            }
        };
        Ok(Self { text, encoding, broken: None })
    }

    /// How the log is packed.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// What is wrong with the packing, once the stream has come to it.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.broken.is_some() {
            return Ok(&[]);
        }
        match self.text.fill_buf() {
            Ok(bytes) => Ok(bytes),
            // The system's errors carry its number; a decoder's do not.
            Err(error) if self.encoding == Encoding::Plain || error.raw_os_error().is_some() => Err(error),
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.broken = Some(match error.kind() {
                    ErrorKind::UnexpectedEof => "it ends early".into(),
                    _ => error.to_string(),
                });
                Ok(&[])
            }
        }
    }

    fn consume(&mut self, count: usize) {
        self.text.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const TEXT: &[u8] = b"{\"a\":1}\n{\"b\":2}\n";

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: Vec<u8>) -> (Source, Vec<u8>) {
        let mut source = Source::new(Cursor::new(bytes)).unwrap();
        let mut text = Vec::new();
        source.read_to_end(&mut text).unwrap();
        (source, text)
    }

    #[test]
    fn packing_is_told_by_the_first_bytes() {
        let zstd = zstd::encode_all(TEXT, 1).unwrap();
        for (bytes, encoding) in
            [(TEXT.to_vec(), Encoding::Plain), (gzip(TEXT), Encoding::Gzip), (zstd, Encoding::Zstd)]
        {
            let twice = [bytes.as_slice(), &bytes].concat();
            let (source, text) = read(twice);
            assert_eq!((source.encoding(), source.broken()), (encoding, None));
            assert_eq!(text, [TEXT, TEXT].concat(), "all members and frames are read");
        }
    }

    #[test]
    fn files_shorter_than_a_mark_are_plain() {
        for length in 0..4 {
            let (source, text) = read(TEXT[..length].to_vec());
            assert_eq!((source.encoding(), &*text), (Encoding::Plain, &TEXT[..length]));
        }
    }

    #[test]
    fn packed_text_that_ends_early_is_read_as_far_as_it_goes() {
        let long: Vec<u8> =
            (0..200_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for packed in [gzip(&long), zstd::encode_all(&*long, 1).unwrap()] {
            let (source, text) = read(packed[..packed.len() - 5].to_vec());
            assert_eq!(source.broken(), Some("it ends early"));
            assert!(!text.is_empty() && long.starts_with(&text));
        }
    }

    #[test]
    fn a_flipped_bit_in_packed_text_is_seen() {
        let mut packed = gzip(TEXT);
        let middle = packed.len() - 6;
        packed[middle] ^= 1;
        assert!(read(packed).0.broken().is_some(), "gzip has a checksum");
    }

    #[test]
    fn an_error_of_the_file_is_an_error() {
        struct Bad;
        impl Read for Bad {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::from_raw_os_error(5))
            }
        }
        let start = gzip(TEXT)[..12].to_vec();
        let mut source = Source::new(Cursor::new(start).chain(Bad)).unwrap();
        assert_eq!(source.read_to_end(&mut Vec::new()).unwrap_err().raw_os_error(), Some(5));
    }
}
