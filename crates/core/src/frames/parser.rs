//! From pieces of a stream to frames. `mod.rs` says what must hold.

use super::Headers;

const PRELUDE: usize = 12;
/// Prelude and the checksum at the end.
const LEAST: usize = PRELUDE + 4;
/// The largest frame that is read. The protocol allows 16 MiB of payload and 128 KiB of headers.
pub(super) const MOST: usize = LEAST + (16 << 20) + (128 << 10);

/// A frame that is whole and true to its checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its headers.
    pub headers: Headers<'a>,
    /// What it carries.
    pub payload: &'a [u8],
    /// Behind which byte of the stream it is complete.
    pub end: u64,
}

/// The state between two pieces of a stream.
#[derive(Debug, Default)]
pub struct Parser {
    /// A frame that earlier pieces began.
    held: Vec<u8>,
    /// The bytes before the current piece.
    offset: u64,
    damaged: u64,
    /// A prelude was wrong: what follows cannot be told apart.
    is_lost: bool,
    /// Bytes passed over since then.
    lost: u64,
}

impl Parser {
    /// Reads a piece. Each frame that it completes goes to `on_frame`.
    pub fn push(&mut self, piece: &[u8], mut on_frame: impl FnMut(Frame<'_>)) {
        let mut rest = piece;
        while !rest.is_empty() && !self.is_lost {
            let end_of = |rest: &[u8]| self.offset + (piece.len() - rest.len()) as u64;
            if self.held.is_empty() {
                match length_of(rest) {
                    Ok(Some(length)) if length <= rest.len() => {
                        let (frame, after) = rest.split_at(length);
                        rest = after;
                        match read(frame, end_of(rest)) {
                            Some(frame) => on_frame(frame),
                            None => self.damaged += 1,
                        }
                    }
                    Ok(_) => {
                        self.held.extend_from_slice(rest);
                        rest = &[];
                    }
                    Err(Wrong) => self.is_lost = true,
                }
                continue;
            }
            // First what the prelude lacks, then what the frame lacks: it says how long it is.
            let wanted = match length_of(&self.held) {
                Ok(length) => length.unwrap_or(PRELUDE),
                Err(Wrong) => {
                    self.is_lost = true;
                    self.lost += self.held.len() as u64;
                    self.held = Vec::new();
                    break;
                }
            };
            let (part, after) = rest.split_at(rest.len().min(wanted - self.held.len()));
            self.held.extend_from_slice(part);
            rest = after;
            if self.held.len() == wanted && wanted >= LEAST {
                match read(&self.held, end_of(rest)) {
                    Some(frame) => on_frame(frame),
                    None => self.damaged += 1,
                }
                self.held.clear();
            } else if rest.is_empty() && self.held.len() == PRELUDE && length_of(&self.held).is_err() {
                self.is_lost = true;
                self.lost += PRELUDE as u64;
                self.held = Vec::new();
            }
        }
        self.lost += rest.len() as u64;
        self.offset += piece.len() as u64;
    }

    /// How many bytes became no frame: of one that was never completed, or behind a wrong prelude.
    pub fn undispatched_bytes(&self) -> u64 {
        self.lost + self.held.len() as u64
    }

    /// How many frames were passed over because a checksum was wrong.
    pub fn damaged(&self) -> u64 {
        self.damaged + u64::from(self.is_lost)
    }
}

/// A prelude that no frame begins with.
struct Wrong;

/// How long the frame is that `start` begins; `None`: there is not enough of it to tell.
fn length_of(start: &[u8]) -> Result<Option<usize>, Wrong> {
    let Some(prelude) = start.first_chunk::<PRELUDE>() else { return Ok(None) };
    let [total, headers, crc] = [number(prelude, 0), number(prelude, 4), number(prelude, 8)];
    let (length, headers) = (total as usize, headers as usize);
    let fits = (LEAST..=MOST).contains(&length) && headers <= length - LEAST;
    if fits && crc32fast::hash(&prelude[..8]) == crc { Ok(Some(length)) } else { Err(Wrong) }
}

/// The frame that `bytes` are; `None`: its checksum is wrong.
fn read(bytes: &[u8], end: u64) -> Option<Frame<'_>> {
    let (checked, _crc) = bytes.split_at(bytes.len() - 4);
    if crc32fast::hash(checked) != number(bytes, checked.len()) {
        return None;
    }
    let (headers, payload) = checked[PRELUDE..].split_at(number(bytes, 4) as usize);
    Some(Frame { headers: Headers(headers), payload, end })
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
