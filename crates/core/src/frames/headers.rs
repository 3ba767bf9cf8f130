//! The headers of a frame, read as they are asked for.

/// What a header says. Of the types that no model's stream uses only the place is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Type 7: UTF-8, as far as the sender keeps to it.
    Text(&'a [u8]),
    /// Any other type, as its bytes.
    Other(&'a [u8]),
}

/// A name and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// `:event-type`, `:message-type`, …
    pub name: &'a [u8],
    /// Its value.
    pub value: Value<'a>,
}

/// The headers of a frame in their order. A block that does not add up ends where it stops doing so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a>(pub(super) &'a [u8]);

impl<'a> Headers<'a> {
    /// The text under that name; empty if there is none.
    pub fn text(mut self, name: &str) -> &'a [u8] {
        let found = self.find_map(|header| match header.value {
            Value::Text(text) if header.name == name.as_bytes() => Some(text),
            _ => None,
        });
        found.unwrap_or_default()
    }

    fn read(&mut self) -> Option<Header<'a>> {
        let name = self.take_counted::<1>()?;
        let kind = self.take(1)?[0];
        let value = match kind {
            // true, false
            0 | 1 => Value::Other(self.take(0)?),
            2 => Value::Other(self.take(1)?),
            3 => Value::Other(self.take(2)?),
            4 => Value::Other(self.take(4)?),
            // i64, timestamp
            5 | 8 => Value::Other(self.take(8)?),
            6 => Value::Other(self.take_counted::<2>()?),
            7 => Value::Text(self.take_counted::<2>()?),
            // UUID
            9 => Value::Other(self.take(16)?),
            _ => return None,
        };
        Some(Header { name, value })
    }

    /// Bytes behind their count, which itself has `N`.
    fn take_counted<const N: usize>(&mut self) -> Option<&'a [u8]> {
        let count = self.take(N)?.iter().fold(0, |count, byte| count << 8 | usize::from(*byte));
        self.take(count)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        let header = self.read();
        if header.is_none() {
            self.0 = &[];
        }
        header
    }
}
