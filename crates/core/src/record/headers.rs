//! Fields of a head as one JSON object.

use std::cmp::Ordering;

use super::json::{self, Object};
use crate::head::{Field, Fields};

/// The fields of one head, in the order of the wire.
pub(super) struct Headers<'a>(Vec<Field<'a>>);

impl<'a> Headers<'a> {
    pub(super) fn of(fields: Fields<'a>) -> Self {
        Self(fields.collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value under that (lower-case) name, as one list. Empty if there is none.
    pub(super) fn get(&self, name: &str) -> Vec<u8> {
        let mut joined = Vec::new();
        for field in self.0.iter().filter(|field| field.is(name) && !field.value.is_empty()) {
            if !joined.is_empty() {
                joined.extend_from_slice(b", ");
            }
            joined.extend_from_slice(field.value);
        }
        joined
    }

    /// Appends the object: lower-case names where they first stood, values of one name joined by `, `, cookies that are
    /// set as an array, since commas stand in their dates.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let fields = &self.0;
        // Equal names side by side (and in their order) link each field to the next of its name: no quadratic search,
        // however many fields there are.
        let mut by_name: Vec<usize> = (0..fields.len()).collect();
        by_name.sort_by(|a, b| compare_names(fields[*a].name, fields[*b].name));
        let mut next = vec![None; fields.len()];
        let mut is_repeat = vec![false; fields.len()];
        for pair in by_name.windows(2) {
            if fields[pair[0]].name.eq_ignore_ascii_case(fields[pair[1]].name) {
                next[pair[0]] = Some(pair[1]);
                is_repeat[pair[1]] = true;
            }
        }
        let mut object = Object::begin(out);
        for (index, field) in fields.iter().enumerate().filter(|(index, _)| !is_repeat[*index]) {
            let values = std::iter::successors(Some(index), |at| next[*at]).map(|at| fields[at].value);
            let is_array = next[index].is_some() && field.is("set-cookie");
            let (open, between, close): (_, &[u8], _) =
                if is_array { ("[\"", b"\",\"", "\"]") } else { ("\"", b", ", "\"") };
            let out = object.member_of(field.name);
            out.extend_from_slice(open.as_bytes());
            for (nth, value) in values.enumerate() {
                if nth > 0 {
                    out.extend_from_slice(between);
                }
                json::text(value, out);
            }
            out.extend_from_slice(close.as_bytes());
        }
        object.end();
    }
}

fn compare_names(a: &[u8], b: &[u8]) -> Ordering {
    let lower = u8::to_ascii_lowercase;
    a.len().cmp(&b.len()).then_with(|| a.iter().map(lower).cmp(b.iter().map(lower)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(block: &str) -> String {
        let mut out = Vec::new();
        Headers::of(Fields::new(block.as_bytes())).write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn joins_repeated_names_at_their_first_place() {
        assert_eq!(
            written("B: 1\r\nVary: a\r\nb: 2\r\nvary:b\r\nC:\r\nB: \r\n"),
            r#"{"b":"1, 2, ","vary":"a, b","c":""}"#
        );
    }

    #[test]
    fn keeps_set_cookies_apart() {
        assert_eq!(written("Set-Cookie: a\r\n"), r#"{"set-cookie":"a"}"#);
        assert_eq!(
            written("Set-Cookie: a\r\nx: 1\r\nset-cookie: \"b\r\n"),
            r#"{"set-cookie":["a","\"b"],"x":"1"}"#
        );
    }

    #[test]
    fn keeps_stray_lines_and_odd_bytes() {
        assert_eq!(
            written("stray\r\na: 1\r\n folded\r\nb: \0\u{1}\u{7f}é\r\n\r\n"),
            "{\"\":\"stray\",\"a\":\"1, folded\",\"b\":\"\\u0000\\u0001\u{7f}é\"}"
        );
        assert_eq!(written(""), "{}");
    }

    #[test]
    fn finds_a_value() {
        let block = b"Content-Encoding: gzip\r\ncontent-encoding: br\r\nContent-encoding:\r\n";
        let headers = Headers::of(Fields::new(block));
        assert_eq!(headers.get("content-encoding"), b"gzip, br");
        assert_eq!(headers.get("content-type"), b"");
    }

    #[test]
    fn takes_a_head_of_very_many_fields() {
        let block: String = (0..20_000).map(|number| format!("n{}: {number}\r\n", number % 10_000)).collect();
        let headers: serde_json::Value = serde_json::from_str(&written(&block)).unwrap();
        assert_eq!(headers.as_object().unwrap().len(), 10_000);
        assert_eq!(headers["n7"], "7, 10007");
    }
}
