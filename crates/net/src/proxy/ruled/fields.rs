//! Fields that rules change, and those that no longer say the truth of a body that rules have changed. Pure.

use super::super::hop::fields_without;
use claude_trace_core::interceptor::HeaderChange;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};

/// They say what the bytes of a body are.
const OF_BYTES: [HeaderName; 4] = [
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// Makes the changes, in their order. What cannot be a field is passed over: rules are checked before.
pub fn apply(headers: &mut HeaderMap, changes: &[HeaderChange]) {
    for change in changes {
        match change {
            HeaderChange::Set { name, value } => {
                if let Some((name, value)) = field(name, value) {
                    headers.insert(name, value);
                }
            }
            HeaderChange::Add { name, value } => {
                if let Some((name, value)) = field(name, value) {
                    headers.append(name, value);
                }
            }
            HeaderChange::Remove { name } => {
                if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
                    without(headers, &name);
                }
            }
            HeaderChange::Rename { from, to } => {
                let names = (HeaderName::from_bytes(from.as_bytes()), HeaderName::from_bytes(to.as_bytes()));
                if let (Ok(from), Ok(to)) = names {
                    let values: Vec<_> = headers.get_all(&from).iter().cloned().collect();
                    without(headers, &from);
                    values.into_iter().for_each(|value| {
                        headers.append(&to, value);
                    });
                }
            }
        }
    }
}

/// Takes out what says how long a body is, how it is encoded, and what its sum is.
pub fn of_another_body(headers: &mut HeaderMap) {
    for name in [CONTENT_LENGTH, CONTENT_ENCODING].iter().chain(&OF_BYTES) {
        without(headers, name);
    }
}

/// A body of that length comes in place of another.
pub fn of_whole_body(headers: &mut HeaderMap, length: usize) {
    for name in [TRANSFER_ENCODING, CONTENT_ENCODING].iter().chain(&OF_BYTES) {
        without(headers, name);
    }
    // Where it stood, if it did.
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
}

fn without(headers: &mut HeaderMap, name: &HeaderName) {
    if headers.contains_key(name) {
        *headers = fields_without(std::mem::take(headers), name);
    }
}

fn field(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value.as_bytes()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn list(map: &HeaderMap) -> Vec<(&str, &str)> {
        map.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
    }

    #[test]
    fn fields_are_changed_in_their_places() {
        let mut headers = map(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]);
        let [name, value] = ["A", "2"].map(String::from);
        apply(
            &mut headers,
            &[
                HeaderChange::Set { name: name.clone(), value: value.clone() },
                HeaderChange::Add { name, value },
                HeaderChange::Remove { name: "b".into() },
                HeaderChange::Set { name: "new".into(), value: "é".into() },
                HeaderChange::Rename { from: "c".into(), to: "e".into() },
            ],
        );
        assert_eq!(headers.remove("new").unwrap().as_bytes(), "é".as_bytes());
        let mut left = list(&headers);
        left.sort_unstable();
        assert_eq!(left, [("a", "2"), ("a", "2"), ("d", "1"), ("e", "1")]);
        assert_eq!(list(&headers)[0], ("a", "2"), "where it stood");
    }

    #[test]
    fn what_is_said_of_a_body_is_true_of_the_new_one() {
        let came = [
            ("a", "1"),
            ("content-length", "5"),
            ("content-encoding", "gzip"),
            ("digest", "x"),
            ("transfer-encoding", "chunked"),
            ("z", "1"),
        ];
        let mut headers = map(&came);
        of_another_body(&mut headers);
        assert_eq!(list(&headers), [("a", "1"), ("transfer-encoding", "chunked"), ("z", "1")]);
        let mut headers = map(&came);
        of_whole_body(&mut headers, 7);
        assert_eq!(list(&headers), [("a", "1"), ("content-length", "7"), ("z", "1")]);
    }
}
