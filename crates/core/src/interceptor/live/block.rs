//! The lines of one event, and what is left of them when it is replaced or left out. Pure.

use crate::interceptor::batch::Left;

/// A line: its name, itself without its end, and its end.
struct Line<'a> {
    name: &'a [u8],
    whole: &'a [u8],
    end: &'a [u8],
}

/// The lines of `block`; what has no end is the last.
fn lines(mut block: &[u8]) -> impl Iterator<Item = Line<'_>> {
    std::iter::from_fn(move || {
        if block.is_empty() {
            return None;
        }
        let length = memchr::memchr2(b'\n', b'\r', block).unwrap_or(block.len());
        let end = match &block[length..] {
            [b'\r', b'\n', ..] => 2,
            [] => 0,
            _ => 1,
        };
        let (whole, rest) = block.split_at(length);
        let (end, rest) = rest.split_at(end);
        block = rest;
        let name = &whole[..memchr::memchr(b':', whole).unwrap_or(length)];
        Some(Line { name, whole, end })
    })
}

/// How many bytes at the start of `block` are comments whose ends are there. A CR at the very end may be half an end.
pub fn comments(block: &[u8]) -> usize {
    let mut length = 0;
    for line in lines(block) {
        let next = length + line.whole.len() + line.end.len();
        if !line.whole.starts_with(b":") || line.end.is_empty() || (line.end == b"\r" && next == block.len())
        {
            break;
        }
        length = next;
    }
    length
}

/// The event with what is new of it. All other lines stay as they are, the ends of lines too.
pub fn replaced(block: &[u8], left: &Left<'_>) -> Vec<u8> {
    let Left { data, kind, id, .. } = *left;
    let mut text = Vec::with_capacity(block.len() + data.len());
    let mut news = [("event", kind), ("id", id)];
    let mut has_data = false;
    for Line { name, whole, end } in lines(block) {
        let new = news.iter().position(|(field, _)| field.as_bytes() == name);
        match new {
            _ if name == b"data" => {
                if !std::mem::replace(&mut has_data, true) {
                    // What is new and has no line yet.
                    for (field, value) in &mut news {
                        if let Some(value) = value.take() {
                            add(&mut text, field.as_bytes(), value, end);
                        }
                    }
                    data.split(|byte| *byte == b'\n').for_each(|part| add(&mut text, b"data", part, end));
                }
            }
            Some(index) if [kind, id][index].is_some() => {
                if let Some(value) = news[index].1.take() {
                    add(&mut text, name, value, end);
                }
            }
            _ => [whole, end].iter().for_each(|part| text.extend_from_slice(part)),
        }
    }
    text
}

fn add(text: &mut Vec<u8>, name: &[u8], value: &[u8], end: &[u8]) {
    [name, b": ", value, end].iter().for_each(|part| text.extend_from_slice(part));
}

/// What stays of an event that is left out: what concerns the stream and not the event alone.
pub fn remains(block: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut has_fields = false;
    for Line { name, whole, end } in lines(block) {
        let is_blank = whole.is_empty();
        let is_field = matches!(name, b"id" | b"retry");
        has_fields |= is_field;
        if is_field || whole.starts_with(b":") || (is_blank && has_fields) {
            text.extend_from_slice(whole);
            text.extend_from_slice(end);
        }
    }
    text
}
