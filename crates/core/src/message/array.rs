//! The objects of a JSON array as they arrive: Gemini's `streamGenerateContent` without `alt=sse`. An answer that is one object
//! (an error) is read as that object. Says where objects end, and leaves it to their reader whether they are JSON.

/// An element that would be larger is passed over.
const MAX_ELEMENT_BYTES: usize = 32 << 20;

/// The state between two pieces of a stream.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// The element that earlier pieces began.
    held: Vec<u8>,
    is_cut: bool,
    cut: u64,
    /// Brackets that are open.
    depth: usize,
    /// How many were when the element began.
    element_depth: Option<usize>,
    is_in_string: bool,
    is_escaped: bool,
    is_array: bool,
}

impl Parser {
    /// Reads a piece. Each object that it completes goes to `on_element`.
    pub(super) fn push(&mut self, piece: &[u8], mut on_element: impl FnMut(&[u8])) {
        let mut start = 0;
        for (at, byte) in piece.iter().enumerate() {
            if self.is_in_string {
                if self.is_escaped {
                    self.is_escaped = false;
                } else if *byte == b'\\' {
                    self.is_escaped = true;
                } else if *byte == b'"' {
                    self.is_in_string = false;
                }
                continue;
            }
            match byte {
                b'"' => self.is_in_string = true,
                b'{' | b'[' => {
                    if *byte == b'{'
                        && self.element_depth.is_none()
                        && self.depth <= usize::from(self.is_array)
                    {
                        self.element_depth = Some(self.depth);
                        start = at;
                    }
                    self.is_array |= self.depth == 0 && *byte == b'[';
                    self.depth += 1;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.element_depth == Some(self.depth) {
                        self.element_depth = None;
                        self.end(&piece[start..=at], &mut on_element);
                    }
                }
                _ => {}
            }
        }
        if self.element_depth.is_some() {
            self.hold(&piece[start..]);
        }
    }

    fn end(&mut self, last: &[u8], on_element: &mut impl FnMut(&[u8])) {
        if self.held.is_empty() && !self.is_cut {
            return on_element(last);
        }
        self.hold(last);
        if std::mem::take(&mut self.is_cut) {
            self.cut += 1;
        } else {
            on_element(&self.held);
        }
        self.held.clear();
    }

    fn hold(&mut self, part: &[u8]) {
        self.is_cut |= self.held.len() + part.len() > MAX_ELEMENT_BYTES;
        if self.is_cut {
            self.held = Vec::new();
        } else {
            self.held.extend_from_slice(part);
        }
    }

    /// How many bytes belong to an element that was never completed.
    pub(super) fn undispatched_bytes(&self) -> u64 {
        self.held.len() as u64
    }

    /// How many elements were too large.
    pub(super) fn cut(&self) -> u64 {
        self.cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, u64) {
        let (mut parser, mut elements) = (Parser::default(), Vec::new());
        for piece in pieces {
            parser.push(piece, |element| elements.push(String::from_utf8_lossy(element).into_owned()));
        }
        (elements, parser.undispatched_bytes())
    }

    #[test]
    fn elements_are_the_same_at_every_split() {
        let stream = "[{\"a\":[{\"b\":\"]}\\\\\\\"{\"}]}\n,\r\n{\"é\":{}} , {\"c\":1}]".as_bytes();
        let expected = ["{\"a\":[{\"b\":\"]}\\\\\\\"{\"}]}", "{\"é\":{}}", "{\"c\":1}"];
        for split in 0..=stream.len() {
            let (start, end) = stream.split_at(split);
            assert_eq!(elements([start, end]), (expected.map(String::from).to_vec(), 0), "split at {split}");
        }
        assert_eq!(elements(stream.chunks(1)).0, expected);
    }

    #[test]
    fn one_object_is_one_element_and_what_breaks_off_none() {
        assert_eq!(elements([&b"{\"error\":{\"code\":429}}"[..]]).0, ["{\"error\":{\"code\":429}}"]);
        assert_eq!(elements([&b"[{\"a\":1},{\"b\""[..]]), (vec!["{\"a\":1}".into()], 4));
        assert_eq!(elements([&b"}]]]\"{"[..]]), (vec![], 0));
    }
}
