//! JSON written straight into bytes, in the spelling of `JSON.stringify`.

use super::escape::escape;

/// An object that is being written. Keys are ours, so they need no escaping.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> Object<'o> {
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_empty: true }
    }

    /// Begins a member; the caller appends exactly one value.
    pub(super) fn member(&mut self, key: &'static str) -> &mut Vec<u8> {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Begins a member under a name from outside, in lower case.
    pub(super) fn member_of(&mut self, name: &[u8]) -> &mut Vec<u8> {
        self.separate();
        string(&name.to_ascii_lowercase(), self.out);
        self.out.push(b':');
        self.out
    }

    /// Where the value of the member begun last goes.
    pub(super) fn value(&mut self) -> &mut Vec<u8> {
        self.out
    }

    /// A place to [`rewind`](Self::rewind) to. There is a member before it.
    pub(super) fn mark(&self) -> usize {
        debug_assert!(!self.is_empty);
        self.out.len()
    }

    /// Takes back all members since `mark`.
    pub(super) fn rewind(&mut self, mark: usize) {
        self.out.truncate(mark);
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    fn separate(&mut self) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
    }
}

/// Appends a string of bytes that are UTF-8, or else Latin-1 (header fields: RFC 9110 §5.5).
pub(super) fn string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    text(bytes, out);
    out.push(b'"');
}

/// The same without quotes.
pub(super) fn text(bytes: &[u8], out: &mut Vec<u8>) {
    match simdutf8::basic::from_utf8(bytes) {
        Ok(_) => escape(bytes, out),
        Err(_) => escape(bytes.iter().map(|byte| char::from(*byte)).collect::<String>().as_bytes(), out),
    }
}

/// Appends an integer.
pub(super) fn integer(number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `units / 10^places` as a decimal fraction without trailing zeros: exact, where a float would round.
pub(super) fn fraction(units: u64, places: u32, out: &mut Vec<u8>) {
    let scale = 10_u64.pow(places);
    integer(units / scale, out);
    let mut rest = units % scale;
    let mut weight = scale / 10;
    if rest > 0 {
        out.push(b'.');
    }
    while rest > 0 {
        out.push(b'0' + (rest / weight) as u8);
        rest %= weight;
        weight /= 10;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_fractions_exactly() {
        let cases =
            [(0, "0"), (1, "0.000001"), (1_000_000, "1"), (1_795_206_489_072_123, "1795206489.072123")];
        for (units, expected) in cases {
            assert_eq!(written(|out| fraction(units, 6, out)), expected);
        }
        assert_eq!(written(|out| fraction(1_500, 3, out)), "1.5");
        assert_eq!(written(|out| fraction(u64::MAX, 3, out)), "18446744073709551.615");
    }

    #[test]
    fn takes_what_is_not_utf8_for_latin1() {
        assert_eq!(written(|out| string(b"caf\xe9 \x80\"", out)), "\"café \u{80}\\\"\"");
        assert_eq!(written(|out| string("café".as_bytes(), out)), "\"café\"");
    }

    #[test]
    fn writes_objects() {
        let text = written(|out| {
            let mut object = Object::begin(out);
            integer(1, object.member("a"));
            let mark = object.mark();
            object.member("taken back").extend_from_slice(b"[]");
            object.rewind(mark);
            string(b"x", object.member_of(b"B\"\xff"));
            object.end();
        });
        assert_eq!(text, "{\"a\":1,\"b\\\"\u{ff}\":\"x\"}");
        assert_eq!(written(|out| Object::begin(out).end()), "{}");
    }

    proptest! {
        #[test]
        fn escapes_like_serde_json(text in "[\\x00-\\x7f\u{80}-\u{ffff}\"\\\\é😀]{0,60}", at in any::<prop::sample::Index>()) {
            let whole = written(|out| string(text.as_bytes(), out));
            prop_assert_eq!(&whole, &serde_json::to_string(&text).unwrap());
            // In two pieces, cut anywhere.
            let (left, right) = text.as_bytes().split_at(at.index(text.len() + 1));
            let mut out = Vec::new();
            escape(left, &mut out);
            escape(right, &mut out);
            prop_assert_eq!(&out, &whole.as_bytes()[1..whole.len() - 1]);
        }

        #[test]
        fn writes_integers_like_the_standard_library(number in any::<u64>()) {
            prop_assert_eq!(written(|out| integer(number, out)), number.to_string());
        }
    }
}
