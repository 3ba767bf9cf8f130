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
mod tests {
    use super::*;
    use crate::exchange::{End, Source};
    use crate::sse::Gathered;
    use proptest::prelude::*;

    fn exchange<'a>(id: &'a str, head: &'a str) -> Exchange<'a> {
        Exchange {
            id,
            pid: 1,
            source: Source::Undici,
            started_at: 0,
            request_head: head.as_bytes(),
            request_chunks: Vec::new(),
            request_sent_at: None,
            response: None,
            ended_at: 0,
            end: End::Complete,
            gap: false,
            recovered: false,
            zero_latency: true,
            earlier: None,
        }
    }

    fn add(streams: &Streams, id: &str, url: &str, ids: &[&str]) {
        let mut gathered = Gathered::default();
        ids.iter().filter_map(|id| Id::of(id.as_bytes())).for_each(|id| gathered.add(id));
        let last = ids.last().and_then(|id| Id::of(id.as_bytes()));
        let streamed = Streamed { ids: gathered.into_ids(last, None), ..Streamed::default() };
        streams.add(&exchange(id, &format!("GET {url} HTTP/1.1\r\n")), streamed);
    }

    fn resumed(streams: &Streams, url: &str, last: &str) -> Option<String> {
        let head = format!("GET {url} HTTP/1.1\r\nAccept: text/event-stream\r\nLast-Event-ID: {last}\r\n");
        let earlier = streams.earlier(Resumption::of(&exchange("x", &head))?)?;
        Some(earlier.id.clone())
    }

    #[test]
    fn a_stream_is_found_by_its_url_and_an_id() {
        let streams = Streams::default();
        add(&streams, "one", "https://h/events", &["1", "2"]);
        assert_eq!(resumed(&streams, "https://h/events", "2").as_deref(), Some("one"));
        assert_eq!(
            resumed(&streams, "https://h/events?t=5", "1").as_deref(),
            Some("one"),
            "a query that evades caches"
        );
        for (url, last) in [
            ("https://h/events", "3"),
            ("https://h/other", "2"),
            ("https://other/events", "2"),
            ("https://h/events", ""),
        ] {
            assert_eq!(resumed(&streams, url, last), None, "{url} {last}");
        }
        assert!(Resumption::of(&exchange("x", "GET https://h/events HTTP/1.1\r\n")).is_none());
    }

    #[test]
    fn of_several_the_likeliest_is_taken() {
        let streams = Streams::default();
        add(&streams, "a", "https://h/events?topic=a", &["1", "2"]);
        add(&streams, "b", "https://h/events?topic=b", &["1", "2"]);
        add(&streams, "b, and longer", "https://h/events?topic=b", &["1", "2", "3"]);
        assert_eq!(resumed(&streams, "https://h/events?topic=a", "2").as_deref(), Some("a"), "its very URL");
        assert_eq!(
            resumed(&streams, "https://h/events?topic=b", "2").as_deref(),
            Some("b"),
            "it ended there"
        );
        assert_eq!(resumed(&streams, "https://h/events?topic=b", "1").as_deref(), Some("b"), "resumed last");
        add(&streams, "c", "https://h/events?topic=b", &["1", "2"]);
        assert_eq!(resumed(&streams, "https://h/events?topic=b", "2").as_deref(), Some("c"), "the latest");
    }

    #[test]
    fn streams_without_ids_are_not_held_and_the_oldest_are_forgotten() {
        let streams = Streams::default();
        add(&streams, "no ids", "https://h/v1/messages", &[]);
        assert!(streams.lock().streams.is_empty());
        for number in 0..MAX_STREAMS + 2 {
            add(&streams, &number.to_string(), &format!("https://h/{number}"), &["1"]);
            // The first one is resumed over and over.
            assert_eq!(resumed(&streams, "https://h/0", "1").as_deref(), Some("0"), "{number}");
        }
        assert_eq!(streams.lock().streams.len(), MAX_STREAMS);
        assert_eq!(
            (resumed(&streams, "https://h/1", "1"), resumed(&streams, "https://h/2", "1")),
            (None, None)
        );
        assert!(resumed(&streams, "https://h/3", "1").is_some());
    }

    #[test]
    fn ids_are_bounded_in_all() {
        let streams = Streams::default();
        let ids: Vec<String> = (0..10_000).map(|id| id.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        for number in 0..40 {
            add(&streams, &number.to_string(), &format!("https://h/{number}"), &ids);
        }
        let known = streams.lock();
        assert!(known.ids <= MAX_IDS && known.ids == known.streams.len() * 10_000, "{}", known.ids);
        assert_eq!(known.streams.len(), MAX_IDS / 10_000);
    }

    proptest! {
        /// Against one that keeps everything and compares ids as they are.
        #[test]
        fn finds_what_a_list_of_everything_finds(
            steps in prop::collection::vec((0_usize..3, 0_usize..3, prop::collection::vec(0_u8..6, 0..4), any::<bool>()), 0..40),
        ) {
            let streams = Streams::default();
            let mut all: Vec<(String, String, Vec<String>)> = Vec::new();
            for (number, (path, query, ids, is_added)) in steps.into_iter().enumerate() {
                let url = format!("https://h/{path}?{query}");
                let ids: Vec<String> = ids.iter().map(u8::to_string).collect();
                if is_added {
                    add(&streams, &number.to_string(), &url, &ids.iter().map(String::as_str).collect::<Vec<_>>());
                    all.push((number.to_string(), url, ids));
                } else if let Some(last) = ids.last() {
                    let path_of = |url: &str| url.split('?').next().map(str::to_owned);
                    let found = all
                        .iter()
                        .enumerate()
                        .filter(|(_, (_, known, ids))| path_of(known) == path_of(&url) && ids.contains(last))
                        .max_by_key(|(at, (_, known, ids))| (*known == url, ids.last() == Some(last), *at))
                        .map(|(at, _)| at);
                    let expected = found.map(|at| all[at].0.clone());
                    prop_assert_eq!(resumed(&streams, &url, last), expected);
                    if let Some(at) = found {
                        let known = all.remove(at);
                        all.push(known);
                    }
                }
            }
        }
    }
}
