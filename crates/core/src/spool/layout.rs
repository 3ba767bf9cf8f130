//! Spool files, byte for byte. Little-endian; entries start at multiples of 8.
//!
//! A segment opens with a [`SegmentHeader`]; entries follow one another until one whose `commit` is 0 or whose
//! generation is not the segment's: a recycled segment is not wiped, its old entries just belong to an older generation.
//!
//! ```text
//! entry:  0 commit u32       length of the entry with padding; stored last, so 0 means "not written"
//!         4 generation u32   of the segment when it was written
//!         8 exchange u64     number of the exchange in its chain
//!        16 sequence u64     number of the entry in its chain: the order of things, kept when entries are copied
//!        24 at u64           nanoseconds since the Unix epoch
//!        32 payload_len u32
//!        36 kind u8, flags u8, source u8, 0
//!        40 chain u32        which JS environment it came from
//!        44 hook_ns u32      time the hook took on the JS thread
//!        48 header_crc u32   of bytes 4 to 48
//!        52 payload_crc u32  0 until the reader has filled it in
//!        56 intent, 32 bytes, in entries with FLAG_INTENT alone; then the payload
//! ```

use crate::exchange::WallNanos;

/// First bytes of a segment.
pub const MAGIC: [u8; 8] = *b"CTSPOOL2";
/// Where a segment's first entry starts.
pub const SEGMENT_HEADER_LEN: usize = 64;
/// Length of an entry without intent and payload.
pub const HEADER_LEN: usize = 56;
/// Length of an intent.
pub const INTENT_LEN: usize = 32;

/// The payload goes on in the exchange's next entry of the same kind.
pub const FLAG_CONTINUES: u8 = 1;
/// Entries of this exchange before this one were dropped.
pub const FLAG_GAP: u8 = 2;
/// An intent stands before the payload.
pub const FLAG_INTENT: u8 = 4;

/// What stands at the start of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Counts the uses of this segment, and never repeats within a session; 0: free.
    pub generation: u32,
    /// Bytes of the segment, this header included.
    pub size: u64,
}

impl SegmentHeader {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_LEN] {
        let mut out = [0; SEGMENT_HEADER_LEN];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&self.generation.to_le_bytes());
        out[16..24].copy_from_slice(&self.size.to_le_bytes());
        let crc = crc32c::crc32c(&out[..24]);
        out[24..28].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a header; `None` if this is no segment of ours.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<SEGMENT_HEADER_LEN>()?;
        let whole = bytes[..8] == MAGIC && u32_at(bytes, 24) == crc32c::crc32c(&bytes[..24]);
        whole.then(|| Self { generation: u32_at(bytes, 8), size: u64_at(bytes, 16) })
    }
}

/// What stands at the start of an entry, `commit` aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryHeader {
    /// Of the segment when the entry was written.
    pub generation: u32,
    /// Number of the exchange in its chain.
    pub exchange: u64,
    /// Number of the entry in its chain.
    pub sequence: u64,
    /// When it happened.
    pub at: WallNanos,
    /// Bytes of payload.
    pub payload_len: u32,
    /// A [`crate::exchange::Kind`].
    pub kind: u8,
    /// `FLAG_…`.
    pub flags: u8,
    /// A [`crate::exchange::Source`].
    pub source: u8,
    /// Which JS environment it came from.
    pub chain: u32,
    /// Time the hook took on the JS thread, nanoseconds.
    pub hook_ns: u32,
}

/// Length of an entry, padding included.
pub fn entry_len(flags: u8, payload: usize) -> usize {
    (HEADER_LEN + intent_len(flags) + payload).next_multiple_of(8)
}

/// Bytes between header and payload.
pub fn intent_len(flags: u8) -> usize {
    if flags & FLAG_INTENT == 0 { 0 } else { INTENT_LEN }
}

impl EntryHeader {
    /// Length of the entry, padding included.
    pub fn entry_len(&self) -> usize {
        entry_len(self.flags, self.payload_len as usize)
    }

    /// Where in the entry its payload starts.
    pub fn payload_offset(&self) -> usize {
        HEADER_LEN + intent_len(self.flags)
    }

    /// The header's bytes, with `commit` and `payload_crc` 0.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[4..8].copy_from_slice(&self.generation.to_le_bytes());
        out[8..16].copy_from_slice(&self.exchange.to_le_bytes());
        out[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        out[24..32].copy_from_slice(&self.at.to_le_bytes());
        out[32..36].copy_from_slice(&self.payload_len.to_le_bytes());
        out[36] = self.kind;
        out[37] = self.flags;
        out[38] = self.source;
        out[40..44].copy_from_slice(&self.chain.to_le_bytes());
        out[44..48].copy_from_slice(&self.hook_ns.to_le_bytes());
        let crc = crc32c::crc32c(&out[4..48]);
        out[48..52].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a header and the payload's checksum (0: none yet). `None` if the header's checksum is not right.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Option<(Self, u32)> {
        if u32_at(bytes, 48) != crc32c::crc32c(&bytes[4..48]) {
            return None;
        }
        let header = Self {
            generation: u32_at(bytes, 4),
            exchange: u64_at(bytes, 8),
            sequence: u64_at(bytes, 16),
            at: u64_at(bytes, 24),
            payload_len: u32_at(bytes, 32),
            kind: bytes[36],
            flags: bytes[37],
            source: bytes[38],
            chain: u32_at(bytes, 40),
            hook_ns: u32_at(bytes, 44),
        };
        Some((header, u32_at(bytes, 52)))
    }
}

/// A payload's checksum as it is stored: never 0, which means "none yet".
pub fn payload_crc(payload: &[u8]) -> u32 {
    match crc32c::crc32c(payload) {
        0 => u32::MAX,
        crc => crc,
    }
}

/// Where in its log an exchange's line is about to stand. Written before the line is, so that whoever finds the spool
/// after a crash can look there and write nothing twice.
///
/// The state is one byte outside of the checksum, so that it can be changed by a store that no crash can split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Offset of the line in the log.
    pub offset: u64,
    /// Its length, line feed included.
    pub length: u64,
    /// Its checksum.
    pub line_crc: u32,
    /// What is known of it.
    pub state: IntentState,
}

/// What is known of an exchange whose head has an [`Intent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum IntentState {
    /// The line is about to be appended: the log tells whether it was.
    Intended = 1,
    /// Nothing is left to be done for this exchange: its line stands in the log, or there is to be none.
    Done = 2,
    /// This copy of the head was copied forward: the other one tells.
    Moved = 3,
}

/// Where in an intent its state stands.
pub const INTENT_STATE_AT: usize = 20;

impl Intent {
    /// An intent without a line.
    pub fn without_line(state: IntentState) -> Self {
        Self { offset: 0, length: 0, line_crc: 0, state }
    }

    /// The intent's bytes.
    pub fn encode(&self) -> [u8; INTENT_LEN] {
        let mut out = [0; INTENT_LEN];
        out[..8].copy_from_slice(&self.offset.to_le_bytes());
        out[8..16].copy_from_slice(&self.length.to_le_bytes());
        out[16..20].copy_from_slice(&self.line_crc.to_le_bytes());
        out[INTENT_STATE_AT] = self.state as u8;
        let crc = crc32c::crc32c(&out[..INTENT_STATE_AT]);
        out[24..28].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads an intent; `None` if there is none, or only half of one (then the append it announces never began).
    pub fn decode(bytes: &[u8; INTENT_LEN]) -> Option<Self> {
        let state = match bytes[INTENT_STATE_AT] {
            1 => IntentState::Intended,
            2 => IntentState::Done,
            3 => IntentState::Moved,
            _ => return None,
        };
        if u32_at(bytes, 24) != crc32c::crc32c(&bytes[..INTENT_STATE_AT]) {
            return None;
        }
        Some(Self { offset: u64_at(bytes, 0), length: u64_at(bytes, 8), line_crc: u32_at(bytes, 16), state })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("fields lie inside their struct"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("fields lie inside their struct"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_survive_the_round_trip(generation: u32, exchange: u64, sequence: u64, at: u64, payload_len: u32,
                                          kind: u8, flags: u8, source: u8, chain: u32, hook_ns: u32) {
            let header = EntryHeader { generation, exchange, sequence, at, payload_len, kind, flags, source, chain, hook_ns };
            prop_assert_eq!(EntryHeader::decode(&header.encode()), Some((header, 0)));
        }

        #[test]
        fn a_flipped_bit_in_a_header_is_seen(bit in 32usize..(48 * 8)) {
            let header = EntryHeader { generation: 1, exchange: 2, sequence: 3, at: 4, payload_len: 5, kind: 6,
                                       flags: 0, source: 1, chain: 7, hook_ns: 8 };
            let mut bytes = header.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(EntryHeader::decode(&bytes), None);
        }

        #[test]
        fn intents_survive_the_round_trip(offset: u64, length: u64, line_crc: u32, state in 1u8..=3) {
            let state = [IntentState::Intended, IntentState::Done, IntentState::Moved][usize::from(state) - 1];
            let intent = Intent { offset, length, line_crc, state };
            prop_assert_eq!(Intent::decode(&intent.encode()), Some(intent));
        }
    }

    #[test]
    fn bytes_that_were_never_written_hold_no_intent() {
        assert_eq!(Intent::decode(&[0; INTENT_LEN]), None);
    }
}
