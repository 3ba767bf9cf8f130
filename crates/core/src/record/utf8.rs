//! Whether bytes that come in pieces are text.

use simdutf8::compat::from_utf8;

/// What pieces of bytes are, read as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// UTF-8.
    Whole,
    /// UTF-8, but for this many bytes (1 to 3) at the end that begin a character.
    Cut(usize),
    /// Something else.
    No,
}

/// Looks at all pieces once and joins none of them.
pub(super) fn check(pieces: &[&[u8]]) -> Text {
    // The begin of a character that the next piece may complete.
    let mut open = [0; 4];
    let mut open_length = 0;
    for piece in pieces {
        let mut rest = *piece;
        while open_length > 0 {
            let Some((next, after)) = rest.split_first() else { break };
            open[open_length] = *next;
            open_length += 1;
            rest = after;
            match std::str::from_utf8(&open[..open_length]) {
                Ok(_) => open_length = 0,
                // No four bytes are the begin of a character, so `open` has room for the next one.
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Text::No,
            }
        }
        match from_utf8(rest) {
            Ok(_) => {}
            Err(error) if error.error_len().is_none() => {
                let end = &rest[error.valid_up_to()..];
                open[..end.len()].copy_from_slice(end);
                open_length = end.len();
            }
            Err(_) => return Text::No,
        }
    }
    match open_length {
        0 => Text::Whole,
        length => Text::Cut(length),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check_naively(bytes: &[u8]) -> Text {
        match std::str::from_utf8(bytes) {
            Ok(_) => Text::Whole,
            Err(error) if error.error_len().is_none() => Text::Cut(bytes.len() - error.valid_up_to()),
            Err(_) => Text::No,
        }
    }

    #[test]
    fn sees_characters_through_their_splits() {
        let bytes = "aé日😀z".as_bytes();
        for size in 1..=bytes.len() {
            assert_eq!(check(&bytes.chunks(size).collect::<Vec<_>>()), Text::Whole);
        }
        assert_eq!(check(&[]), Text::Whole);
        assert_eq!(check(&[b"", b"\xf0\x9f", b"", b"\x98"]), Text::Cut(3));
        assert_eq!(check(&[b"\xf0\x9f", b"a"]), Text::No);
        assert_eq!(check(&[b"\xc0", b"\x80"]), Text::No);
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_one(
            bytes in prop_oneof![
                "[aé日😀]{0,12}".prop_map(String::into_bytes),
                prop::collection::vec(prop::sample::select(b"a\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80\xed\xff".to_vec()), 0..8),
            ],
            cut in any::<prop::sample::Index>(),
            size in 1_usize..6,
        ) {
            let bytes = &bytes[..cut.index(bytes.len() + 1)];
            prop_assert_eq!(check(&bytes.chunks(size).collect::<Vec<_>>()), check_naively(bytes));
        }
    }
}
