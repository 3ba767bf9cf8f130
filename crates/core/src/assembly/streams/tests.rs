//! Which exchange a request goes on from, and what a chain of them comes to.

use super::*;
use crate::exchange::{Chunk, End, Response, Source};
use crate::record::{RecordOptions, write_line};
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
        rules: b"",
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
    assert_eq!(resumed(&streams, "https://h/events?topic=b", "2").as_deref(), Some("b"), "it ended there");
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
    assert_eq!((resumed(&streams, "https://h/1", "1"), resumed(&streams, "https://h/2", "1")), (None, None));
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

    /// However a stream is cut, and however much of it a server sends once more: an event is derived once.
    #[test]
    fn a_chain_of_reconnections_has_each_event_once(
        text in "[ab]{1,40}",
        cuts in prop::collection::vec((0_usize..12, 0_usize..6), 0..8),
    ) {
        let streams = Streams::default();
        let events: Vec<String> = text
            .chars()
            .enumerate()
            .map(|(id, letter)| {
                format!("id: {id}\ndata: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{letter}\"}}}}]}}\n\n")
            })
            .collect();
        let (mut received, mut derived, mut replayed, mut before) = (0, String::new(), 0, None::<String>);
        let the_rest = (events.len(), 2);
        for (number, (count, again)) in cuts.into_iter().chain([the_rest]).enumerate() {
            let from = if received == 0 { 0 } else { received - again.min(received) };
            let to = (received + count).min(events.len());
            let id = number.to_string();
            let last = received.checked_sub(1).map(|last| format!("last-event-id: {last}\r\n"));
            let head = format!("GET https://h/events?try={number} HTTP/1.1\r\n{}", last.as_deref().unwrap_or_default());
            let body = events[from..to].concat();
            let mut made = exchange(&id, &head);
            made.response = Some(Response {
                at: 0,
                head: b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n",
                chunks: vec![Chunk { at: 0, bytes: body.as_bytes() }],
                trailers: b"",
            });
            let earlier = Resumption::of(&made).and_then(|resumption| streams.earlier(resumption));
            // What is joined is the connection before it.
            prop_assert_eq!(earlier.as_ref().map(|earlier| &earlier.id), before.as_ref().filter(|_| last.is_some()));
            made.earlier = earlier.as_deref();
            let mut line = Vec::new();
            let options = RecordOptions { max_decoded_bytes: 1 << 20, derive: true };
            let streamed = write_line(&made, &options, &mut line).unwrap();
            replayed += streamed.replayed_events();
            if !streamed.ids.is_empty() {
                before = Some(id.clone());
            }
            streams.add(&made, streamed);
            let record: serde_json::Value = serde_json::from_slice(&line).unwrap();
            let content = &record["derived"]["message"]["choices"][0]["message"]["content"];
            derived.push_str(content.as_str().unwrap_or_default());
            prop_assert_eq!(record["response"]["body_raw"].as_str(), Some(&*body));
            prop_assert_eq!(record["derived"]["events"]["replayed"].as_u64().unwrap_or(0), (received - from) as u64);
            received = to;
        }
        prop_assert_eq!(derived, text);
        prop_assert!(replayed <= 6 * 9);
    }
}
