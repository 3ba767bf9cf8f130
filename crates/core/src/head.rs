//! Wire heads: the text that HTTP/1.1 puts before a body, read without copying.
//!
//! Heads come from hooks and from spool files, so nothing here may fail or panic: lines end in LF or CRLF, and a line
//! that is no `name: value` is handed on as a further value of the field above it (an obs-fold, RFC 9112 §5.2, or
//! damage) instead of being dropped. What hides a credential can then hide its continuation too.

use std::iter::FusedIterator;

use memchr::{memchr, memrchr};

/// The parts of `METHOD SP TARGET SP HTTP/x.y`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLine<'a> {
    /// Up to the first space.
    pub method: &'a [u8],
    /// All between method and version, inner spaces included.
    pub target: &'a [u8],
    /// `HTTP/x.y`, or empty.
    pub version: &'a [u8],
}

impl<'a> RequestLine<'a> {
    /// Takes any line apart; what is missing is empty.
    pub fn parse(line: &'a [u8]) -> Self {
        let (method, rest) = split_at_space(line, memchr(b' ', line));
        match memrchr(b' ', rest) {
            Some(space) if rest[space + 1..].starts_with(b"HTTP/") => {
                Self { method, target: &rest[..space], version: &rest[space + 1..] }
            }
            None if rest.starts_with(b"HTTP/") => Self { method, target: b"", version: rest },
            _ => Self { method, target: rest, version: b"" },
        }
    }
}

/// A request's head.
#[derive(Clone, Debug)]
pub struct RequestHead<'a> {
    /// Its first line.
    pub line: RequestLine<'a>,
    /// The lines after that.
    pub fields: Fields<'a>,
}

impl<'a> RequestHead<'a> {
    /// Reads a head as [`crate::exchange::Kind::RequestHead`] describes it.
    pub fn parse(head: &'a [u8]) -> Self {
        let (line, rest) = first_line(head);
        Self { line: RequestLine::parse(line), fields: Fields::new(rest) }
    }
}

/// A response's head.
#[derive(Clone, Debug)]
pub struct ResponseHead<'a> {
    /// `HTTP/x.y`, or empty.
    pub version: &'a [u8],
    /// The three digits, if the first line is a status line.
    pub status: Option<u16>,
    /// What follows them: often empty.
    pub reason: &'a [u8],
    /// The lines after that. Without a status line all lines are fields, so that none is lost.
    pub fields: Fields<'a>,
}

impl<'a> ResponseHead<'a> {
    /// Reads a head as [`crate::exchange::Kind::ResponseHead`] describes it.
    pub fn parse(head: &'a [u8]) -> Self {
        let (line, rest) = first_line(head);
        let (version, after) = split_at_space(line, memchr(b' ', line));
        let (digits, reason) = split_at_space(after, memchr(b' ', after));
        match status_code(digits) {
            Some(status) if version.starts_with(b"HTTP/") => {
                Self { version, status: Some(status), reason, fields: Fields::new(rest) }
            }
            _ => Self { version: b"", status: None, reason: b"", fields: Fields::new(head) },
        }
    }
}

/// One value and the name it stands under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// As it was written, without white space at its end. Empty for a stray line at the very top.
    pub name: &'a [u8],
    /// Without white space around it.
    pub value: &'a [u8],
    /// Where `value` begins in the block that [`Fields::new`] was given.
    pub value_at: usize,
    /// The line has no name of its own: `name` is that of the field above it.
    pub is_stray: bool,
}

impl Field<'_> {
    /// Whether this is the field of that (lower-case) name.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The fields of a block of lines, in their order. Empty lines are passed over, wherever they stand.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    block: &'a [u8],
    /// Start of the next line in `block`.
    at: usize,
    /// The name that a stray line belongs to.
    name: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of `block`: a head without its first line, or trailers.
    pub fn new(block: &'a [u8]) -> Self {
        Self { block, at: 0, name: b"" }
    }

    /// Where the next line starts in the block.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        &self.block[self.at..]
    }

    /// Passes over so many bytes: whole lines, none of them a stray one.
    pub fn skip_lines(&mut self, bytes: usize) {
        let (skipped, _) = self.rest().split_at(bytes);
        self.at += bytes;
        // A stray line that follows belongs to the last of them.
        let skipped = skipped.trim_ascii_end();
        let line = &skipped[memrchr(b'\n', skipped).map_or(0, |end| end + 1)..];
        if let Some(colon) = memchr(b':', line) {
            self.name = line[..colon].trim_ascii_end();
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        while self.at < self.block.len() {
            let line_at = self.at;
            let (line, rest) = first_line(&self.block[line_at..]);
            self.at = self.block.len() - rest.len();
            if line.is_empty() {
                continue;
            }
            let mut value_at = 0;
            let mut is_stray = true;
            if !is_blank(line[0]) {
                // A name of no letters would make a field that no reader can ask for: such a line is stray, too.
                if let Some(colon @ 1..) = memchr(b':', line) {
                    self.name = line[..colon].trim_ascii_end();
                    value_at = colon + 1;
                    is_stray = false;
                }
            }
            while value_at < line.len() && is_blank(line[value_at]) {
                value_at += 1;
            }
            let mut value_end = line.len();
            while value_end > value_at && is_blank(line[value_end - 1]) {
                value_end -= 1;
            }
            let value = &line[value_at..value_end];
            return Some(Field { name: self.name, value, value_at: line_at + value_at, is_stray });
        }
        None
    }
}

impl FusedIterator for Fields<'_> {}

/// The first line without its end, and all that follows it.
pub fn first_line(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b'\n', text) {
        Some(end) => {
            let line = &text[..end];
            (line.strip_suffix(b"\r").unwrap_or(line), &text[end + 1..])
        }
        None => (text, b""),
    }
}

fn split_at_space(text: &[u8], space: Option<usize>) -> (&[u8], &[u8]) {
    match space {
        Some(space) => (&text[..space], &text[space + 1..]),
        None => (text, b""),
    }
}

fn status_code(digits: &[u8]) -> Option<u16> {
    match digits {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            Some([a, b, c].iter().fold(0, |code, digit| code * 10 + u16::from(**digit - b'0')))
        }
        _ => None,
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(block: &[u8]) -> Vec<(String, String)> {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Fields::new(block).map(|field| (text(field.name), text(field.value))).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn reads_a_request() {
        let head =
            RequestHead::parse(b"POST https://a.b/v1?x=1 HTTP/1.1\r\nHost: a.b\r\nX-A:  1 2\t\r\n\r\n");
        assert_eq!(head.line.method, b"POST");
        assert_eq!(head.line.target, b"https://a.b/v1?x=1");
        assert_eq!(head.line.version, b"HTTP/1.1");
        let fields: Vec<_> = head.fields.map(|field| (field.name, field.value)).collect();
        assert_eq!(fields, [(&b"Host"[..], &b"a.b"[..]), (b"X-A", b"1 2")]);
    }

    #[test]
    fn reads_damaged_request_lines() {
        let line = |text: &'static str| {
            let RequestLine { method, target, version } = RequestLine::parse(text.as_bytes());
            [method, target, version].map(|part| std::str::from_utf8(part).unwrap())
        };
        assert_eq!(line(""), ["", "", ""]);
        assert_eq!(line("GET"), ["GET", "", ""]);
        assert_eq!(line("GET /a"), ["GET", "/a", ""]);
        assert_eq!(line("GET HTTP/1.1"), ["GET", "", "HTTP/1.1"]);
        assert_eq!(line("GET /a b HTTP/1.1"), ["GET", "/a b", "HTTP/1.1"]);
    }

    #[test]
    fn reads_a_response_with_or_without_reason() {
        let head = ResponseHead::parse(b"HTTP/1.1 529 Site is overloaded\nRetry-After: 1\n");
        assert_eq!((head.version, head.status), (&b"HTTP/1.1"[..], Some(529)));
        assert_eq!(head.reason, b"Site is overloaded");
        assert_eq!(head.fields.count(), 1);
        for bare in [&b"HTTP/1.1 200\r\n"[..], b"HTTP/2 200 \r\n", b"HTTP/1.1 200"] {
            let head = ResponseHead::parse(bare);
            assert_eq!((head.status, head.reason), (Some(200), &b""[..]));
        }
    }

    #[test]
    fn keeps_a_first_line_that_is_no_status_line() {
        let head = ResponseHead::parse(b"HTTP/1.1 abc\r\nA: 1\r\n");
        assert_eq!(head.status, None);
        let fields: Vec<_> = head.fields.map(|field| (field.name, field.value)).collect();
        assert_eq!(fields, [(&b""[..], &b"HTTP/1.1 abc"[..]), (b"A", b"1")]);
    }

    #[test]
    fn gives_stray_lines_to_the_field_above() {
        assert_eq!(
            fields(b"stray\r\nA: 1\r\n folded: on\r\nno colon\r\n\r\n: x\nB :2\rx\n"),
            pairs(&[
                ("", "stray"),
                ("A", "1"),
                ("A", "folded: on"),
                ("A", "no colon"),
                ("A", ": x"),
                ("B", "2\rx")
            ])
        );
    }

    proptest! {
        #[test]
        fn every_value_lies_where_it_says(block in proptest::collection::vec(
            prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), Just(b'a'), any::<u8>()], 0..80)
        ) {
            RequestHead::parse(&block);
            ResponseHead::parse(&block);
            let mut kept = 0;
            for field in Fields::new(&block) {
                prop_assert_eq!(field.value, &block[field.value_at..][..field.value.len()]);
                kept += field.value.len();
            }
            prop_assert!(kept <= block.len());
        }
    }
}
