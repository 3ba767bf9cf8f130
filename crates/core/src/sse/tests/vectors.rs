//! The web platform tests of EventSource (`eventsource/` in web-platform-tests), as bytes and what their events say. What is
//! about HTTP (`format-mime-*`, charset parameters) is tested where content types are looked at: in `message`.

use super::{data_of, parse_every_way};

#[test]
fn event_data() {
    let stream =
        b"data:msg\ndata: msg\n\n:\nfalsefield:msg\n\nfalsefield:msg\nData:data\n\ndata\n\ndata:end\n\n";
    assert_eq!(data_of(stream), ["msg\nmsg", "", "end"]);
}

#[test]
fn format_bom() {
    assert_eq!(data_of("\u{feff}data:1\n\n\u{feff}data:2\n\ndata:3\n\n".as_bytes()), ["1", "3"]);
}

#[test]
fn format_bom_2_takes_one_off() {
    assert_eq!(data_of("\u{feff}\u{feff}data:1\n\ndata:2\n\ndata:3\n\n".as_bytes()), ["2", "3"]);
}

#[test]
fn format_comments() {
    let long = ":x".repeat(1024);
    let stream = format!("data:1\r:\0\n:\r\ndata:2\n{long}\rdata:3\n:data:fail\r{long}\ndata:4\n\n");
    assert_eq!(data_of(stream.as_bytes()), ["1\n2\n3\n4"]);
}

#[test]
fn format_data_before_final_empty_line() {
    let outcome = parse_every_way(b"retry:1000\ndata:test1\n\nid:test\ndata:test2");
    assert_eq!(outcome.events.len(), 1);
    assert_eq!(outcome.events[0].data, b"test1");
    assert_eq!(outcome.undispatched, 18);
    assert_eq!(outcome.last_id, b"", "the id of an event that was not dispatched is not committed");
    assert_eq!(parse_every_way(b"id:1\n").last_id, b"");
    assert_eq!(parse_every_way(b"id:1\n\n").last_id, b"1");
}

#[test]
fn format_field_data() {
    assert_eq!(data_of(b"data:\n\ndata\ndata\n\ndata:test\n\n"), ["", "\n", "test"]);
}

#[test]
fn format_field_event() {
    let events =
        parse_every_way(b"event:test\ndata:x\n\ndata:x\n\nevent: \ndata:y\n\nevent:a\nevent\ndata:z\n\n")
            .events;
    let kinds: Vec<&[u8]> = events.iter().map(|event| event.kind.as_slice()).collect();
    assert_eq!(kinds, [&b"test"[..], b"", b"", b""]);
}

#[test]
fn format_field_event_without_data_is_forgotten() {
    let events = parse_every_way(b"event:test\n\ndata:x\n\n").events;
    assert_eq!((events.len(), events[0].kind.as_slice()), (1, &b""[..]));
}

#[test]
fn format_field_id() {
    let ids = |stream: &[u8]| -> Vec<String> {
        let events = parse_every_way(stream).events;
        events.iter().map(|event| String::from_utf8_lossy(&event.id).into_owned()).collect()
    };
    assert_eq!(ids("id: …\ndata:hello\n\ndata:again\n\n".as_bytes()), ["…", "…"]);
    assert_eq!(ids(b"id: a\ndata:1\n\nid\ndata:2\n\nid: b\ndata:3\n\nid:\ndata:4\n\n"), ["a", "", "b", ""]);
    assert_eq!(ids(b"id: a\n\ndata:1\n\nid: x\0y\ndata:2\n\nid:\0\ndata:3\n\n"), ["a", "a", "a"]);
}

#[test]
fn an_event_knows_its_own_id_from_one_that_was_left() {
    let stream = b"id: a\ndata:1\n\ndata:2\n\nid: b\n\ndata:3\n\nid: x\0\ndata:4\n\nid\ndata:5\n\n";
    let has_id: Vec<bool> = parse_every_way(stream).events.iter().map(|event| event.has_id).collect();
    assert_eq!(has_id, [true, false, false, false, true]);
}

#[test]
fn format_field_parsing() {
    let stream = b"data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n";
    assert_eq!(data_of(stream), ["\0\n 2\n1\n3\n\n4"]);
}

#[test]
fn format_field_retry() {
    for (stream, retry) in [
        (&b"retry:03000\ndata:x\n\n"[..], Some(3000)),
        (b"retry:3000\nretry:1000x\ndata:x\n\n", Some(3000)),
        (b"retry\ndata:test\n\n", None),
        (b"retry:\ndata:test\n\n", None),
        (b"retry:-1\ndata:test\n\n", None),
        (b"retry: 99999999999999999999999\ndata:test\n\n", Some(u64::MAX)),
    ] {
        let outcome = parse_every_way(stream);
        assert_eq!((outcome.events[0].retry, outcome.retry), (retry, retry), "{stream:?}");
    }
    let outcome = parse_every_way(b"retry:5\n\ndata:x\n\n");
    assert_eq!(
        (outcome.events[0].retry, outcome.retry),
        (None, Some(5)),
        "of the stream, but not of the event"
    );
}

#[test]
fn format_field_unknown() {
    let stream = b"data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n";
    assert_eq!(data_of(stream), ["test\n\ntest"]);
}

#[test]
fn format_leading_space() {
    assert_eq!(data_of(b"data:\ttest\rdata: \ndata:test\n\n"), ["\ttest\n\ntest"]);
}

#[test]
fn format_newlines() {
    assert_eq!(data_of(b"data:test\r\ndata\ndata:test\r\n\r"), ["test\n\ntest"]);
}

#[test]
fn format_null_character() {
    assert_eq!(data_of(b"data:\0\n\n\n\n"), ["\0"]);
}

#[test]
fn format_utf_8() {
    assert_eq!(data_of("data:ok…\n\n".as_bytes()), ["ok…"]);
    let events = parse_every_way(b"data:a\xffb\xf0\x9f\x98\n\n").events;
    assert_eq!(events[0].data, b"a\xffb\xf0\x9f\x98", "kept as it came");
    assert_eq!(crate::sse::text_of(&events[0].data), "a\u{fffd}b\u{fffd}");
}
