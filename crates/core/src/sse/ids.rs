//! The ids of a stream's events: what tells a stream that is resumed from others, and an event that is replayed from a new one.
//!
//! Ids are kept as hashes of 64 bits: eight bytes each, however long they are. Two different ids of one stream are taken for
//! one once in 10¹⁰ streams of 16,384 ids; a server that wants them to can as well send the same id.

use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;

/// Of a stream so many ids are kept, the last ones: a client resumes near the end.
pub const MAX_IDS: usize = 16_384;

/// An id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(u64);

impl Id {
    /// `None`: an empty id is none.
    pub fn of(id: &[u8]) -> Option<Self> {
        let mut hasher = DefaultHasher::new();
        hasher.write(id);
        (!id.is_empty()).then(|| Self(hasher.finish()))
    }
}

/// The ids that stood in the events of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// Ascending.
    sorted: Vec<Id>,
    last: Option<Id>,
}

impl Ids {
    /// Whether there is none: nobody can resume such a stream.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty() && self.last.is_none()
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether an event of that id was in the stream.
    pub fn contains(&self, id: Id) -> bool {
        self.sorted.binary_search(&id).is_ok()
    }

    /// The id that a client would resume the stream with.
    pub fn last(&self) -> Option<Id> {
        self.last
    }
}

/// Gathers the ids of a stream as its events come.
#[derive(Debug, Default)]
pub struct Gathered(VecDeque<Id>);

impl Gathered {
    /// Adds that of an event.
    pub fn add(&mut self, id: Id) {
        if self.0.len() == MAX_IDS {
            self.0.pop_front();
        }
        self.0.push_back(id);
    }

    /// The ids, and those of the stream that this one resumes as far as there is room. `last`: the id that the stream ended
    /// with, which may have stood in a block without an event.
    pub fn into_ids(self, last: Option<Id>, earlier: Option<&Ids>) -> Ids {
        let mut sorted: Vec<Id> = self.0.into();
        let room = MAX_IDS - sorted.len();
        sorted.extend(earlier.into_iter().flat_map(|ids| &ids.sorted).take(room));
        sorted.sort_unstable();
        sorted.dedup();
        sorted.shrink_to_fit();
        // A stream that broke off before its first id is resumed where the earlier one was.
        Ids { sorted, last: last.or(earlier.and_then(Ids::last)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(ids: std::ops::Range<usize>) -> Gathered {
        let mut gathered = Gathered::default();
        ids.for_each(|id| gathered.add(id_of(id)));
        gathered
    }

    fn id_of(id: usize) -> Id {
        Id::of(id.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn an_empty_id_is_none() {
        assert_eq!(Id::of(b""), None);
        assert_ne!(Id::of(b"a"), Id::of(b"b"));
        assert!(Gathered::default().into_ids(None, None).is_empty());
        assert!(!Gathered::default().into_ids(Id::of(b"a"), None).is_empty());
    }

    #[test]
    fn the_last_ids_of_a_long_stream_are_kept() {
        let ids = gathered(0..MAX_IDS + 10).into_ids(None, None);
        assert_eq!(ids.len(), MAX_IDS);
        assert!(!ids.contains(id_of(9)) && ids.contains(id_of(10)) && ids.contains(id_of(MAX_IDS + 9)));
    }

    #[test]
    fn a_resumed_stream_has_the_ids_of_the_earlier_one_too() {
        let earlier = gathered(0..5).into_ids(Some(id_of(4)), None);
        let ids = gathered(4..7).into_ids(Some(id_of(6)), Some(&earlier));
        assert_eq!((ids.len(), ids.last()), (7, Some(id_of(6))));
        assert!((0..7).all(|id| ids.contains(id_of(id))));
        let nothing = Gathered::default().into_ids(None, Some(&earlier));
        assert_eq!(nothing, earlier, "it can be resumed where the earlier one can");
        let full = gathered(10..MAX_IDS + 10).into_ids(None, Some(&earlier));
        assert_eq!(full.len(), MAX_IDS);
        assert!(!full.contains(id_of(0)), "its own ids come first");
    }
}
