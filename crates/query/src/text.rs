//! JSON strings measured and checked without being unescaped: a body can be most of a line of a gigabyte.

use base64::engine::general_purpose::STANDARD;
use base64::read::DecoderReader;
use memchr::memchr;
use std::io;

/// How many bytes of UTF-8 a JSON string stands for. `raw` is valid and has its quotes.
pub(crate) fn utf8_length(raw: &str) -> u64 {
    let mut rest = inside(raw).as_bytes();
    let mut length = 0;
    while let Some(at) = memchr(b'\\', rest) {
        length += at as u64;
        rest = &rest[at..];
        let (bytes, used) = match rest.get(1) {
            Some(b'u') => match code_unit(rest) {
                0..=0x7f => (1, 6),
                0x80..=0x7ff => (2, 6),
                0xd800..=0xdbff if (0xdc00..=0xdfff).contains(&code_unit(rest.get(6..).unwrap_or(&[]))) => {
                    (4, 12)
                }
                _ => (3, 6),
            },
            _ => (1, 2),
        };
        length += bytes;
        rest = rest.get(used..).unwrap_or(&[]);
    }
    length + rest.len() as u64
}

/// How many bytes the base64 in a JSON string stands for; `None` if it is not base64 (standard alphabet, padded).
pub(crate) fn base64_length(raw: &str) -> Option<u64> {
    let text = inside(raw);
    // An escaped slash is the one escape that base64 can have. We never write it, others may.
    let unescaped = text.contains('\\').then(|| text.replace("\\/", "/"));
    let text = unescaped.as_deref().unwrap_or(text);
    io::copy(&mut DecoderReader::new(text.as_bytes(), &STANDARD), &mut io::sink()).ok()
}

fn inside(raw: &str) -> &str {
    raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw)
}

/// The code unit of the `\uXXXX` at the start of `rest`; a value that is none if there is none.
fn code_unit(rest: &[u8]) -> u32 {
    let digits = rest.strip_prefix(b"\\u").and_then(|rest| rest.first_chunk::<4>());
    digits
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use proptest::prelude::*;

    #[test]
    fn every_escape_is_counted_as_what_it_stands_for() {
        for (raw, length) in [
            (r#""""#, 0),
            (r#""a\n\"\\\/b""#, 6),
            (r#""\u0000\u00e9\u20ac""#, 6),
            (r#""\ud83d\ude00é😀""#, 10),
            // Lone surrogates, which UTF-8 does not have, count as WTF-8 writes them.
            (r#""\ud83d-\ude00""#, 7),
            (r#""\ud83d\ud83d\ude00""#, 7),
        ] {
            assert_eq!(utf8_length(raw), length, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_parser(text: String, ascii: bool) {
            let mut raw = serde_json::to_string(&text).unwrap();
            if ascii {
                raw = raw.chars().map(|c| if c.is_ascii() { c.to_string() } else {
                    let mut units = [0; 2];
                    c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
                }).collect();
            }
            prop_assert_eq!(utf8_length(&raw), text.len() as u64);
        }

        #[test]
        fn base64_is_measured(bytes: Vec<u8>, escape: bool) {
            let mut text = STANDARD.encode(&bytes);
            if escape {
                text = text.replace('/', "\\/");
            }
            prop_assert_eq!(base64_length(&format!("\"{text}\"")), Some(bytes.len() as u64));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            utf8_length(&text);
            base64_length(&text);
        }
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["a", "ab", "ab=", "a===", "ab_-", "ab==x", "éé"] {
            assert_eq!(base64_length(&format!("\"{text}\"")), None, "{text}");
        }
    }
}
