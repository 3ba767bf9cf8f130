//! The streams that clients may resume: which exchange a request with `Last-Event-ID` goes on from.
//!
//! An earlier exchange of the same URL, its query aside, that had an event of that id. Of several: one of the very same URL
//! before others (caches are evaded by query), one that ended with that id before others, the latest before others.
//! It is known from when its record is made, so a stream that is still open when the other one ends is not joined.
//!
//! **Bounded.** [`MAX_STREAMS`] and [`MAX_IDS`] ids in all: 2 MB. The stream that was longest ago ended or resumed is
//! forgotten first. Streams without ids, as those of all model APIs, are not held at all.

use crate::exchange::{Earlier, Exchange};
use crate::head::RequestHead;
use crate::record::Streamed;
use crate::sse::Id;
use std::collections::VecDeque;
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
    url: Vec<u8>,
    earlier: Arc<Earlier>,
}

/// What a request asks to go on from.
#[derive(Clone, Copy, Debug)]
pub struct Resumption<'a> {
    url: &'a [u8],
    last: Id,
}

impl<'a> Resumption<'a> {
    /// `None`: the request is no reconnection.
    pub fn of(exchange: &Exchange<'a>) -> Option<Self> {
        let head = RequestHead::parse(exchange.request_head);
        let last =
            head.fields.filter(|field| field.is("last-event-id")).find_map(|field| Id::of(field.value))?;
        Some(Self { url: head.line.target, last })
    }
}

impl Streams {
    /// The exchange that it goes on from, if it is known.
    pub fn earlier(&self, resumption: Resumption) -> Option<Arc<Earlier>> {
        let Resumption { url, last } = resumption;
        let mut known = self.lock();
        let has =
            |stream: &Stream| stream.earlier.ids.last() == Some(last) || stream.earlier.ids.contains(last);
        let candidates = known.streams.iter().enumerate();
        let candidates =
            candidates.filter(|(_, stream)| without_query(&stream.url) == without_query(url) && has(stream));
        let rank = |at, stream: &Stream| (stream.url == url, stream.earlier.ids.last() == Some(last), at);
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
        let url = RequestHead::parse(exchange.request_head).line.target.to_vec();
        let earlier = Arc::new(Earlier { id: exchange.id.to_owned(), ids: streamed.ids });
        let mut known = self.lock();
        known.ids += earlier.ids.len();
        known.streams.push_back(Stream { url, earlier });
        while known.streams.len() > MAX_STREAMS || known.ids > MAX_IDS {
            let Some(forgotten) = known.streams.pop_front() else { break };
            known.ids -= forgotten.earlier.ids.len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn without_query(url: &[u8]) -> &[u8] {
    &url[..memchr::memchr2(b'?', b'#', url).unwrap_or(url.len())]
}

#[cfg(test)]
mod tests;
