//! JSON from outside, made fit for a line: the bytes that were sent, without the white space between tokens.

use memchr::memchr2;
use serde::de::IgnoredAny;

/// How deep an embedded value may nest. serde_json's readers give up at 128 and a record adds two levels of its own:
/// a deeper body stays text, so that no body makes its whole line unreadable. Real ones nest a dozen deep.
pub(super) const MAX_DEPTH: usize = 100;

/// Appends `json` without white space between tokens. Appends nothing and returns `false` if it is not valid JSON in
/// UTF-8 or nests too deep. Numbers, key order, duplicate keys and escapes stay as they were written.
pub(super) fn minify(json: &[u8], out: &mut Vec<u8>) -> bool {
    // Skims without building anything and without recursion.
    if simdutf8::basic::from_utf8(json).is_err() || serde_json::from_slice::<IgnoredAny>(json).is_err() {
        return false;
    }
    let before = out.len();
    out.reserve(json.len());
    let mut depth = 0_usize;
    let mut at = 0;
    // All before this is in `out`, or is white space.
    let mut copied = 0;
    while at < json.len() {
        match json[at] {
            b'"' => at = string_end(json, at + 1),
            b' ' | b'\n' | b'\r' | b'\t' => {
                out.extend_from_slice(&json[copied..at]);
                while at < json.len() && matches!(json[at], b' ' | b'\n' | b'\r' | b'\t') {
                    at += 1;
                }
                copied = at;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    out.truncate(before);
                    return false;
                }
                at += 1;
            }
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            _ => at += 1,
        }
    }
    out.extend_from_slice(&json[copied..]);
    true
}

/// Where the string whose inside begins at `at` is over.
fn string_end(json: &[u8], mut at: usize) -> usize {
    while let Some(found) = memchr2(b'"', b'\\', &json[at..]) {
        at += found;
        if json[at] == b'"' {
            return at + 1;
        }
        at = (at + 2).min(json.len());
    }
    json.len()
}

/// The same, one byte at a time and without a thought for speed: what tests compare with.
#[cfg(test)]
pub(super) fn minify_naively(json: &str) -> String {
    let mut out = String::new();
    let (mut is_in_string, mut is_escaped) = (false, false);
    for letter in json.chars() {
        if is_in_string || !" \n\r\t".contains(letter) {
            out.push(letter);
        }
        if is_in_string && is_escaped {
            is_escaped = false;
        } else if is_in_string && letter == '\\' {
            is_escaped = true;
        } else if letter == '"' {
            is_in_string = !is_in_string;
        }
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn minified(json: &str) -> Option<String> {
        let mut out = b"before".to_vec();
        let is_valid = minify(json.as_bytes(), &mut out);
        assert!(is_valid || out == b"before");
        is_valid.then(|| String::from_utf8(out).unwrap()["before".len()..].to_string())
    }

    #[test]
    fn keeps_every_token_as_it_was_written() {
        let json =
            "\r\n{ \"a\" : [ 1.0 , 1e400,-0, 1E+2 ],\t\"a\":\"\\u00e9 \\\\\\\" \\ud800 \\/\" , \"b\":null}\n";
        let expected = "{\"a\":[1.0,1e400,-0,1E+2],\"a\":\"\\u00e9 \\\\\\\" \\ud800 \\/\",\"b\":null}";
        assert_eq!(minified(json).as_deref(), Some(expected));
        for single in ["1", "null", " true ", "\"x y\"", "[]", "{}", "[ ]"] {
            assert_eq!(minified(single).unwrap(), minify_naively(single));
        }
    }

    #[test]
    fn takes_nothing_that_is_not_json() {
        let not_json = [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "nul",
            "01",
            "1 2",
            "'a'",
            "\"a\nb\"",
            "\"a",
            "\"\\x\"",
            "NaN",
            "+1",
            ".5",
            "\u{feff}{}",
            "// x\n1",
            "[1]]",
            "data: {}",
        ];
        for text in not_json {
            assert_eq!(minified(text), None, "{text:?}");
        }
        assert!(!minify(b"\"\xff\"", &mut Vec::new()));
    }

    #[test]
    fn leaves_deep_nesting_as_text() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(minified(&nested(MAX_DEPTH)), Some(nested(MAX_DEPTH)));
        assert_eq!(minified(&nested(MAX_DEPTH + 1)), None);
        assert_eq!(minified(&nested(1_000_000)), None);
        let in_a_line = format!("{{\"request\":{{\"body\":{}}}}}", nested(MAX_DEPTH));
        assert!(serde_json::from_str::<serde_json::Value>(&in_a_line).is_ok());
    }

    /// JSON with odd spacing, numbers and strings.
    pub(crate) fn any_json() -> impl Strategy<Value = String> {
        let space = "[ \n\r\t]{0,2}";
        let leaf = prop_oneof![
            Just("null".to_string()),
            Just("true".to_string()),
            Just("1.0".to_string()),
            Just("-0e+10".to_string()),
            Just("1e400".to_string()),
            any::<f64>()
                .prop_filter("finite", |number| number.is_finite())
                .prop_map(|number| format!("{number:e}")),
            "[ -~é😀\n\"\\\\]{0,12}".prop_map(|text| serde_json::to_string(&text).unwrap()),
            Just("\"\\ud83d\\ude00\\/\\\\\"".to_string()),
        ];
        let value = leaf.prop_recursive(4, 24, 4, move |inner| {
            let padded =
                (space, inner, space).prop_map(|(before, value, after)| format!("{before}{value}{after}"));
            let member = ("[a-c \\n]{0,3}", padded.clone())
                .prop_map(move |(key, value)| format!(" {}\t:{value}", serde_json::to_string(&key).unwrap()));
            prop_oneof![
                prop::collection::vec(padded, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
                prop::collection::vec(member, 0..4).prop_map(|items| format!("{{{}}}", items.join(","))),
            ]
        });
        (space, value, space).prop_map(|(before, value, after)| format!("{before}{value}{after}"))
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_one(json in any_json()) {
            prop_assert_eq!(minified(&json), Some(minify_naively(&json)));
        }

        #[test]
        fn takes_nothing_that_serde_json_would_not(text in "[\\[\\]{}:,\"\\\\ \n0-9ntrue.é-]{0,16}") {
            let is_json = serde_json::from_str::<&serde_json::value::RawValue>(text.trim()).is_ok();
            prop_assert_eq!(minified(&text).is_some(), is_json, "{}", text);
        }
    }
}
