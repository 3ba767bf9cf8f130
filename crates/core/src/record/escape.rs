//! Text escaped for the inside of a JSON string, in the spelling of `JSON.stringify`.
//!
//! An event of a stream has a quotation mark every six bytes. So what counts is not how fast plain text is skipped but what
//! an escape costs: eight bytes are looked at as one number, its marks are taken from a mask one by one, and everything
//! is stored as whole numbers into a block on the stack. No call and no copy of unknown length stands between two escapes.

/// Room for the text of many words; what one word can come to at most is kept free of it.
const BLOCK: usize = 512;
const LONGEST_WORD: usize = 8 * 6 + 8;

/// For each byte that needs one its escape, little-endian, and how long it is in the highest byte; else 0.
static ESCAPES: [u64; 256] = escapes();

/// Appends `utf8` escaped for the inside of a string. Escapes concern single bytes, so a text may come in pieces that
/// split its characters.
pub(super) fn escape(utf8: &[u8], out: &mut Vec<u8>) {
    out.reserve(utf8.len() + utf8.len() / 8);
    let mut block = [0; BLOCK];
    let mut length = 0;
    let (words, tail) = utf8.as_chunks::<8>();
    for word in words {
        if length > BLOCK - LONGEST_WORD {
            out.extend_from_slice(&block[..length]);
            length = 0;
        }
        length = escape_word(u64::from_le_bytes(*word), 8, &mut block, length);
    }
    if !tail.is_empty() {
        if length > BLOCK - LONGEST_WORD {
            out.extend_from_slice(&block[..length]);
            length = 0;
        }
        // Filled up with what needs no escape.
        let mut word = [b' '; 8];
        word[..tail.len()].copy_from_slice(tail);
        length = escape_word(u64::from_le_bytes(word), tail.len(), &mut block, length);
    }
    out.extend_from_slice(&block[..length]);
}

/// Stores the first `left` bytes of a word at `at`, and says where they end. What follows them there is of no account.
#[inline]
fn escape_word(mut word: u64, mut left: usize, block: &mut [u8; BLOCK], mut at: usize) -> usize {
    let mut marks = needs_escape(word);
    loop {
        store(block, at, word);
        if marks == 0 {
            return at + left;
        }
        let plain = marks.trailing_zeros() as usize / 8;
        at += plain;
        // Two shifts, since one by 64 is none.
        let byte = (word >> (plain * 8)) as u8;
        word = word >> (plain * 8) >> 8;
        marks = marks >> (plain * 8) >> 8;
        left -= plain + 1;
        let escape = ESCAPES[usize::from(byte)];
        store(block, at, escape);
        at += (escape >> 56) as usize;
    }
}

#[inline]
fn store(block: &mut [u8; BLOCK], at: usize, word: u64) {
    block[at..at + 8].copy_from_slice(&word.to_le_bytes());
}

/// The high bit of each byte that needs an escape: below 0x20, a quotation mark or a backslash.
#[inline]
fn needs_escape(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const LOWS: u64 = ONES * 0x7f;
    // The high bit of each byte that is not 0, exactly: the sum of a byte's seven low bits and 0x7f cannot overflow into
    // the next one.
    let not_zero = |word: u64| ((word & LOWS) + LOWS) | word;
    let control = not_zero(word & (ONES * 0xe0));
    let quote = not_zero(word ^ (ONES * b'"' as u64));
    let backslash = not_zero(word ^ (ONES * b'\\' as u64));
    !(control & quote & backslash) & (ONES << 7)
}

const fn escapes() -> [u64; 256] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut all = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        let digits = [HEX[byte >> 4], HEX[byte & 15]];
        all[byte] = u64::from_le_bytes([b'\\', b'u', b'0', b'0', digits[0], digits[1], 0, 6]);
        byte += 1;
    }
    let short = [
        (b'"', b'"'),
        (b'\\', b'\\'),
        (b'\n', b'n'),
        (b'\r', b'r'),
        (b'\t', b't'),
        (0x08, b'b'),
        (0x0c, b'f'),
    ];
    let mut at = 0;
    while at < short.len() {
        let (byte, letter) = short[at];
        all[byte as usize] = u64::from_le_bytes([b'\\', letter, 0, 0, 0, 0, 0, 2]);
        at += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escape_naively(text: &[u8]) -> Vec<u8> {
        let escaped = |byte: &u8| match byte {
            b'"' => b"\\\"".to_vec(),
            b'\\' => b"\\\\".to_vec(),
            b'\n' => b"\\n".to_vec(),
            b'\r' => b"\\r".to_vec(),
            b'\t' => b"\\t".to_vec(),
            0x08 => b"\\b".to_vec(),
            0x0c => b"\\f".to_vec(),
            0..0x20 => format!("\\u{byte:04x}").into_bytes(),
            _ => vec![*byte],
        };
        text.iter().flat_map(escaped).collect()
    }

    fn escaped(bytes: &[u8]) -> Vec<u8> {
        let mut out = b"before".to_vec();
        escape(bytes, &mut out);
        out.split_off("before".len())
    }

    #[test]
    fn every_byte_at_every_place_of_a_word() {
        for byte in 0..=u8::MAX {
            for place in 0..17 {
                let mut bytes = [b'x'; 17];
                bytes[place] = byte;
                assert_eq!(escaped(&bytes), escape_naively(&bytes), "{byte:#x} at {place}");
            }
        }
    }

    #[test]
    fn text_that_grows_as_much_as_any_can() {
        for length in [1, 8, 75, 76, 77, 85, 512, 4096] {
            assert_eq!(escaped(&vec![0x01; length]), escape_naively(&vec![0x01; length]), "{length}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_one(bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"\"\\\n\x00\x1f \x7f\x80\xff!#[]".to_vec())], 0..1200)) {
            prop_assert_eq!(escaped(&bytes), escape_naively(&bytes));
        }
    }
}
