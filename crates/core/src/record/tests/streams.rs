//! Streams that go on from an earlier exchange's.

use super::*;
use crate::exchange::Earlier;
use crate::sse::{Gathered, Id};

pub(super) fn earlier(ids: &[&str]) -> Earlier {
    let mut gathered = Gathered::default();
    ids.iter().filter_map(|id| Id::of(id.as_bytes())).for_each(|id| gathered.add(id));
    Earlier { id: "s1.0.7".into(), ids: gathered.into_ids(None, None), unanswered: None }
}

fn written(exchange: &Exchange) -> (serde_json::Value, Option<Streamed>) {
    let mut out = Vec::new();
    let streamed = write_line(exchange, &RecordOptions { derive: true, ..OPTIONS }, &mut out);
    (serde_json::from_slice(&out).unwrap(), streamed)
}

const START: &[u8] = b"id: 1\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\n\
    id: 2\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
const DELTA: &[u8] = b"id: 3\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"ha\"}}\n\n";
const WITHOUT_ID: &[u8] = b"data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"!\"}}\n\n";

#[test]
fn a_stream_says_what_it_held() {
    let body = [START, DELTA, WITHOUT_ID, b"id: 4\n\n: tail"].concat();
    let (record, streamed) = written(&exchange(&[], &[&body]));
    let streamed = streamed.unwrap();
    assert_eq!((streamed.events, streamed.bytes, streamed.replayed_events()), (4, body.len() as u64, 0));
    assert_eq!((streamed.ids.len(), streamed.ids.last()), (3, Id::of(b"4")));
    assert_eq!(record["trace"].get("resumes"), None);
    let json = with_response_head(exchange(&[], &[b"{}"]), JSON_HEAD);
    assert_eq!(written(&json).1, None);
}

#[test]
fn what_was_replayed_is_named_and_derived_once() {
    let earlier = earlier(&["2", "3"]);
    let body = [START, DELTA, DELTA, b"id: 5\ndata: {\"type\":\"message_stop\"}\n\n", DELTA].concat();
    for pieces in [vec![&body[..]], body.chunks(7).collect()] {
        let mut exchange = exchange(&[], &pieces);
        exchange.earlier = Some(&earlier);
        let (record, streamed) = written(&exchange);
        assert_eq!(
            record["trace"]["resumes"],
            serde_json::json!({ "id": "s1.0.7", "replayed": [[1, 3], [5, 1]] })
        );
        assert_eq!(record["derived"]["events"], serde_json::json!({ "count": 6, "replayed": 4 }));
        assert_eq!(record["derived"]["message"]["content"], serde_json::json!([]));
        assert_eq!(record["response"]["body_raw"], String::from_utf8(body.clone()).unwrap(), "verbatim");
        let streamed = streamed.unwrap();
        assert_eq!(streamed.replayed_events(), 4);
        assert!(["1", "2", "3", "5"].iter().all(|id| streamed.ids.contains(Id::of(id.as_bytes()).unwrap())));
    }
}

/// Two events of one stream are two, whatever they have in common. So are events that share the id of the one before them.
#[test]
fn equal_events_of_one_stream_are_all_derived() {
    let body = [START, DELTA, DELTA, WITHOUT_ID, WITHOUT_ID].concat();
    let (record, _) = written(&exchange(&[], &[&body]));
    assert_eq!(record["derived"]["message"]["content"][0]["text"], "haha!!");
    let earlier = earlier(&["3"]);
    let mut resumed = exchange(&[], &[&body]);
    resumed.earlier = Some(&earlier);
    let (record, _) = written(&resumed);
    assert_eq!(record["trace"]["resumes"]["replayed"], serde_json::json!([[2, 2]]));
    assert_eq!(record["derived"]["message"]["content"][0]["text"], "!!");
}

#[test]
fn a_reconnection_that_failed_names_its_earlier_exchange_too() {
    let earlier = earlier(&["1"]);
    let mut failed = exchange(&[], &[]);
    (failed.response, failed.earlier) = (None, Some(&earlier));
    assert_eq!(written(&failed).0["trace"]["resumes"], serde_json::json!({ "id": "s1.0.7" }));
}
