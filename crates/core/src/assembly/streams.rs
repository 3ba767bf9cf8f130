//! The streams that clients may resume: which exchange a request with `Last-Event-ID` goes on from.
//!
//! An earlier exchange of the same URL, its query aside, that had an event of that id. Of several: one of the very same URL
//! before others (caches are evaded by query), one that ended with that id before others, the latest before others.
//! It is known from when its record is made, so a stream that is still open when the other one ends is not joined.
//!
//! **Bounded.** [`MAX_STREAMS`] and [`MAX_IDS`] ids in all: 2 MB. The stream that was longest ago ended or resumed is
//! forgotten first. URLs and ids are held as hashes. Streams without ids, as those of all model APIs, are not held at all.

use crate::exchange::{Earlier, Exchange};
use crate::head::RequestHead;
use crate::record::Streamed;
use crate::sse::Id;
use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const MAX_STREAMS: usize = 1024;
const MAX_IDS: usize = 1 << 18;

/// The streams of a process.
#[derive(Debug, Default)]
pub struct Streams {
    /// The longest forgotten first.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    streams: VecDeque<Stream>,
    /// The ids of all of them.
    ids: usize,
}

#[derive(Debug)]
struct Stream {
    place: Place,
    earlier: Arc<Earlier>,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    url: u64,
    without_query: u64,
}

/// What a request asks to go on from.
#[derive(Clone, Copy, Debug)]
pub struct Resumption {
    place: Place,
    last: Id,
}

impl Resumption {
    /// `None`: the request is no reconnection.
    pub fn of(exchange: &Exchange) -> Option<Self> {
        let head = RequestHead::parse(exchange.request_head);
        let last =
            head.fields.filter(|field| field.is("last-event-id")).find_map(|field| Id::of(field.value))?;
        Some(Self { place: Place::of(head.line.target), last })
    }
}

impl Streams {
    /// The exchange that it goes on from, if it is known.
    pub fn earlier(&self, resumption: Resumption) -> Option<Arc<Earlier>> {
        let Resumption { place, last } = resumption;
        let mut known = self.lock();
        let has =
            |stream: &Stream| stream.earlier.ids.last() == Some(last) || stream.earlier.ids.contains(last);
        let candidates = known.streams.iter().enumerate();
        let candidates =
            candidates.filter(|(_, stream)| stream.place.without_query == place.without_query && has(stream));
        let rank = |at, stream: &Stream| (stream.place == place, stream.earlier.ids.last() == Some(last), at);
        let (at, _) = candidates.max_by_key(|(at, stream)| rank(*at, stream))?;
        let stream = known.streams.remove(at)?;
        let earlier = Arc::clone(&stream.earlier);
        known.streams.push_back(stream);
        Some(earlier)
    }

    /// Notes what an exchange had, so that it can be recognised when it is resumed.
    pub fn add(&self, exchange: &Exchange, streamed: Streamed) {
        if streamed.ids.is_empty() {
            return;
        }
        let place = Place::of(RequestHead::parse(exchange.request_head).line.target);
        let earlier = Arc::new(Earlier {
            id: exchange.id.to_owned(),
            ids: streamed.ids,
            unanswered: streamed.unanswered,
        });
        let mut known = self.lock();
        known.ids += earlier.ids.len();
        known.streams.push_back(Stream { place, earlier });
        while known.streams.len() > MAX_STREAMS || known.ids > MAX_IDS {
            let Some(forgotten) = known.streams.pop_front() else { break };
            known.ids -= forgotten.earlier.ids.len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn of(url: &[u8]) -> Self {
        let query = memchr::memchr2(b'?', b'#', url).unwrap_or(url.len());
        let hash = |bytes: &[u8]| {
            let mut hasher = DefaultHasher::new();
            hasher.write(bytes);
            hasher.finish()
        };
        Self { url: hash(url), without_query: hash(&url[..query]) }
    }
}

#[cfg(test)]
mod tests;
