//! What the names of fields mean, remembered from head to head.
//!
//! A client says the same names in the same order, request after request, and so does its server. Judging a name takes
//! 50 ns, comparing it to the one expected 5; for the 25 names of a head that is the difference between a microsecond
//! and most of the hook's budget. Names are kept, values never.

use super::names::{Meaning, of_field};

/// Names in a memo. A head with more of them is judged anew from there on.
const MAX_NAMES: usize = 64;
/// A longer name is judged each time.
const MAX_LENGTH: usize = 46;

#[derive(Clone, Copy, Debug)]
struct Known {
    meaning: Meaning,
    length: u8,
    name: [u8; MAX_LENGTH],
}

impl Known {
    fn is(&self, name: &[u8]) -> bool {
        self.name[..usize::from(self.length)] == *name
    }
}

/// The names of the last heads of one kind, in their order.
#[derive(Debug, Default)]
pub(super) struct Memo {
    known: Vec<Known>,
    /// Where the next name is expected.
    next: usize,
}

impl Memo {
    /// Another head begins.
    pub(super) fn rewind(&mut self) {
        self.next = 0;
    }

    /// What [`of_field`] says.
    pub(super) fn of_field(&mut self, name: &[u8]) -> Meaning {
        if let Some(offset) = self.known[self.next..].iter().position(|known| known.is(name)) {
            self.next += offset + 1;
            return self.known[self.next - 1].meaning;
        }
        let meaning = of_field(name);
        if name.len() <= MAX_LENGTH {
            self.learn(name, meaning);
        }
        meaning
    }

    #[cold]
    fn learn(&mut self, name: &[u8], meaning: Meaning) {
        if self.known.len() == MAX_NAMES {
            self.known.truncate(self.next.min(MAX_NAMES - 1));
        }
        let mut known = Known { meaning, length: name.len() as u8, name: [0; MAX_LENGTH] };
        known.name[..name.len()].copy_from_slice(name);
        self.next = self.next.min(self.known.len());
        self.known.insert(self.next, known);
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const NAMES: [&str; 10] =
        ["host", "X-Api-Key", "cookie", "content-type", "link", "", "token", "a", "x-next-token", "dpop"];

    proptest! {
        #[test]
        fn says_what_a_look_at_the_name_says(heads in vec(vec(prop_oneof![
            8 => (0..NAMES.len()).prop_map(|index| NAMES[index].to_string()),
            1 => "[a-z-]{0,60}",
        ], 0..100), 0..8)) {
            let mut memo = Memo::default();
            for head in heads {
                memo.rewind();
                for name in head {
                    prop_assert_eq!(memo.of_field(name.as_bytes()), of_field(name.as_bytes()));
                }
            }
            prop_assert!(memo.known.len() <= MAX_NAMES);
        }
    }

    #[test]
    fn the_same_names_again_are_not_learnt_again() {
        let mut memo = Memo::default();
        for _ in 0..2 {
            memo.rewind();
            for name in NAMES {
                memo.of_field(name.as_bytes());
            }
        }
        assert_eq!(memo.known.len(), NAMES.len());
    }
}
