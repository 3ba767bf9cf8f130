//! Changes of recorded headers.

use crate::head::{Fields, first_line};

/// One change. Names are compared without their case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named for what they do")]
pub enum HeaderChange {
    /// That value and no other under that name: where the first one stood, else at the end.
    Set { name: String, value: String },
    /// That value too, behind what stands there: at the end.
    Add { name: String, value: String },
    /// Nothing under that name.
    Remove { name: String },
    /// What stands under the first name under the second.
    Rename { from: String, to: String },
}

/// The head with the changes made, in their order.
pub fn changed_head<'c>(head: &[u8], changes: impl IntoIterator<Item = &'c HeaderChange>) -> Vec<u8> {
    let (line, rest) = first_line(head);
    let mut fields: Vec<(Vec<u8>, Vec<u8>)> =
        Fields::new(rest).map(|field| (field.name.to_vec(), field.value.to_vec())).collect();
    let is = |name: &[u8], wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
    for change in changes {
        match change {
            HeaderChange::Set { name, value } => {
                let first = fields.iter().position(|field| is(&field.0, name));
                let mut index = 0;
                fields.retain(|field| {
                    index += 1;
                    Some(index - 1) == first || !is(&field.0, name)
                });
                match first {
                    Some(first) => fields[first].1 = in_a_line(value),
                    None => fields.push((in_a_line(name), in_a_line(value))),
                }
            }
            HeaderChange::Add { name, value } => fields.push((in_a_line(name), in_a_line(value))),
            HeaderChange::Remove { name } => fields.retain(|field| !is(&field.0, name)),
            HeaderChange::Rename { from, to } => {
                for field in fields.iter_mut().filter(|field| is(&field.0, from)) {
                    field.0 = in_a_line(to);
                }
            }
        }
    }
    let mut changed = [line, b"\r\n"].concat();
    for (name, value) in fields {
        changed.extend_from_slice(&name);
        // A stray line at the top has no name, and stays one.
        changed.extend_from_slice(if name.is_empty() { b"" } else { b": " });
        changed.extend_from_slice(&value);
        changed.extend_from_slice(b"\r\n");
    }
    changed
}

/// Nothing that would begin another line.
fn in_a_line(text: &str) -> Vec<u8> {
    text.bytes().map(|byte| if matches!(byte, b'\r' | b'\n' | 0) { b' ' } else { byte }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(head: &str, changes: &[HeaderChange]) -> String {
        String::from_utf8(changed_head(head.as_bytes(), changes)).unwrap()
    }

    #[test]
    fn headers_are_set_removed_and_renamed_in_order() {
        let set = |name: &str, value: &str| HeaderChange::Set { name: name.into(), value: value.into() };
        let changes = [
            set("A", "1"),
            set("b", "2"),
            HeaderChange::Remove { name: "C".into() },
            HeaderChange::Rename { from: "d".into(), to: "E".into() },
            set("e", "renamed and set"),
            HeaderChange::Add { name: "b".into(), value: "3".into() },
        ];
        assert_eq!(
            changed("GET /x HTTP/1.1\r\na: 0\nA: again\r\nc: gone\r\nD: 4\r\n\r\n", &changes),
            "GET /x HTTP/1.1\r\na: 1\r\nE: renamed and set\r\nb: 2\r\nb: 3\r\n"
        );
    }

    #[test]
    fn a_value_begins_no_line() {
        let set = HeaderChange::Set { name: "a".into(), value: "1\r\nb: 2".into() };
        assert_eq!(changed("HTTP/1.1 200\r\n", &[set]), "HTTP/1.1 200\r\na: 1  b: 2\r\n");
    }
}
