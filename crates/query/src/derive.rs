//! What the stream of a record came to: its message, tokens and times. Those who record leave it to us by default
//! (`deferredParsing`), and claude-trace 1.0.9 always has.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use claude_trace_core::message::{Derived, Hints, Stream};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    request: Request<'a>,
    #[serde(borrow)]
    response: Option<Response<'a>>,
    #[serde(borrow)]
    trace: Option<Trace<'a>>,
    #[serde(borrow)]
    derived: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Response<'a> {
    headers: HashMap<String, Value>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    body_raw: Option<Cow<'a, str>>,
    body_encoding: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Trace<'a> {
    chunks: Chunks,
    content_encoding: Option<String>,
    decoding: Option<String>,
    #[serde(borrow)]
    tail_base64: Option<Cow<'a, str>>,
    resumes: Resumes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resumes {
    replayed: Vec<(u64, u64)>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chunks {
    at_ms: Vec<f64>,
    bytes: Vec<usize>,
}

/// The `derived` of a record (`docs/format.md`), given its line: what stands there, or else what can be derived of it.
/// `None`: its response is no stream of events, or the line is no record.
pub fn derived(line: &[u8]) -> Option<Value> {
    let stored = read(line)?.derived.and_then(|derived| serde_json::from_str::<Value>(derived.get()).ok());
    // One that failed says only that.
    let stored = stored.filter(|derived| derived.get("provider").is_some());
    stored.or_else(|| serde_json::to_value(derive(line)?).ok())
}

/// Derives it anew, whatever stands there. Times of a response that was compressed are not known here: its record has the
/// chunks of the wire, and the text.
pub fn derive(line: &[u8]) -> Option<Derived> {
    let line = read(line)?;
    let response = line.response?;
    let content_type = response.headers.get("content-type").and_then(Value::as_str).unwrap_or_default();
    let hints = Hints { content_type: content_type.as_bytes(), url: line.request.url.as_bytes() };
    let mut stream = Stream::of(&hints)?;
    let mut trace = line.trace.unwrap_or_default();
    stream.pass_over(std::mem::take(&mut trace.resumes.replayed));
    let body = response.bytes(&trace)?;
    let mut rest = &body[..];
    for (bytes, at) in trace.chunks_of(&body) {
        let (piece, after) = rest.split_at(bytes);
        stream.push(piece, at);
        rest = after;
    }
    Some(stream.finish())
}

fn read(line: &[u8]) -> Option<Line<'_>> {
    serde_json::from_slice(line).ok()
}

impl Response<'_> {
    /// The body as it was read; `None`: there is none.
    fn bytes(&self, trace: &Trace) -> Option<Vec<u8>> {
        let Some(text) = &self.body_raw else { return Some(self.body?.get().as_bytes().to_vec()) };
        if self.body_encoding.is_some() {
            return STANDARD.decode(&**text).ok();
        }
        let tail = trace.tail_base64.as_deref().and_then(|tail| STANDARD.decode(tail).ok());
        Some([text.as_bytes(), &tail.unwrap_or_default()].concat())
    }
}

impl Trace<'_> {
    /// How many bytes came when, in nanoseconds since the request: in one piece where that is not known.
    fn chunks_of(&self, body: &[u8]) -> Vec<(usize, Option<u64>)> {
        let Chunks { at_ms, bytes } = &self.chunks;
        let is_as_sent = self.content_encoding.is_none() || self.decoding.as_deref() == Some("by_client");
        let sum = bytes.iter().try_fold(0_usize, |sum, bytes| sum.checked_add(*bytes));
        if !is_as_sent || sum != Some(body.len()) || at_ms.len() != bytes.len() {
            return vec![(body.len(), None)];
        }
        // As many digits as stand there: microseconds.
        let nanos = |ms: &f64| (ms * 1000.0).round().max(0.0) as u64 * 1000;
        bytes.iter().copied().zip(at_ms.iter().map(|ms| Some(nanos(ms)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BODY: [&str; 3] = [
        "data: {\"type\":\"message_start\",\"message\":{\"model\":\"mé\",\"content\":[]}}\n\ndata: {\"type\":\"content_block_",
        "start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\ndata: {\"type\":\"content_block_delta\",\
            \"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n",
        "data: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":2}}\n\n: tail",
    ];

    fn record(trace: Value) -> Value {
        json!({
            "request": { "timestamp": 1, "method": "POST", "url": "https://x/v1/messages", "headers": {}, "body": null },
            "response": {
                "timestamp": 1, "status_code": 200, "headers": { "content-type": "text/event-stream" }, "body_raw": BODY.concat(),
            },
            "logged_at": "2026-01-01T00:00:00.000Z",
            "trace": trace,
        })
    }

    fn trace() -> Value {
        json!({ "chunks": { "at_ms": [10, 20.5, 31.001], "bytes": BODY.map(str::len) } })
    }

    fn of(record: &Value) -> Option<Value> {
        derived(record.to_string().as_bytes())
    }

    #[test]
    fn a_record_is_derived_with_the_times_of_its_chunks() {
        let derived = of(&record(trace())).unwrap();
        assert_eq!(derived["message"]["content"][0]["text"], "Hello");
        assert_eq!(derived["events"], json!({ "count": 4, "undispatched_bytes": 6 }));
        let times = json!({
            "first_byte": 10.0, "first_token": 20.5, "last_token": 20.5,
            "gap_p50": 10.5, "gap_p99": 10.501, "gap_max": 10.501,
        });
        assert_eq!(derived["timing_ms"], times);
    }

    #[test]
    fn times_that_are_not_known_are_not_made_up() {
        let mut encoded = trace();
        encoded["content_encoding"] = "gzip".into();
        let mut short = trace();
        short["chunks"]["bytes"][0] = 3.into();
        for trace in [encoded, short, Value::Null, json!({})] {
            let derived = of(&record(trace)).unwrap();
            assert_eq!((&derived["timing_ms"], &derived["events"]["count"]), (&Value::Null, &4.into()));
        }
    }

    #[test]
    fn what_is_derived_anew_is_what_the_recorder_wrote() {
        let golden = include_str!("../../../fixtures/records/v1.jsonl");
        let written: Vec<&str> = golden.lines().filter(|line| line.contains("\"derived\":{")).collect();
        assert!(!written.is_empty());
        for line in written {
            let record: Value = serde_json::from_str(line).unwrap();
            assert_eq!(serde_json::to_value(derive(line.as_bytes())).unwrap(), record["derived"]);
        }
    }

    #[test]
    fn what_an_earlier_exchange_had_is_passed_over() {
        let mut trace = trace();
        trace["resumes"] = json!({ "id": "s.0.1", "replayed": [[0, 1], [2, 1], [7, 1], [3, 0], [1, 18_446_744_073_709_551_615_u64]] });
        let derived = of(&record(trace)).unwrap();
        assert_eq!(derived["events"], json!({ "count": 4, "replayed": 2, "undispatched_bytes": 6 }));
        assert_eq!(derived["model"], Value::Null);
    }

    #[test]
    fn what_stands_there_is_taken() {
        let mut whole = record(trace());
        whole["derived"] = json!({ "v": 1, "provider": "anthropic", "stored": true });
        assert_eq!(of(&whole).unwrap()["stored"], true);
        whole["derived"] = json!({ "v": 1, "failed": true });
        assert_eq!(of(&whole).unwrap()["provider"], "anthropic");
    }

    #[test]
    fn base64_and_json_bodies_are_read() {
        let mut binary = record(json!({}));
        binary["response"]["headers"]["content-type"] = "application/vnd.amazon.eventstream".into();
        binary["response"]["body_raw"] = STANDARD.encode(b"\0\0\0\x10 no frame").into();
        binary["response"]["body_encoding"] = "base64".into();
        assert_eq!(of(&binary).unwrap()["events"]["undispatched_bytes"], 13);
        let mut array = record(json!({}));
        array["request"]["url"] = "https://x/v1beta/models/g:streamGenerateContent".into();
        array["response"] = json!({
            "headers": { "content-type": "application/json" },
            "body": [{ "candidates": [{ "content": { "parts": [{ "text": "Hi" }] } }] }],
        });
        assert_eq!(of(&array).unwrap()["message"]["candidates"][0]["content"]["parts"][0]["text"], "Hi");
    }

    #[test]
    fn what_is_no_stream_or_no_record_has_none() {
        let mut json = record(trace());
        json["response"]["headers"]["content-type"] = "application/json".into();
        let mut orphan = record(trace());
        orphan["response"] = Value::Null;
        for record in [json, orphan, json!({}), json!([1]), json!("x")] {
            assert_eq!(of(&record), None);
        }
        assert_eq!(derived(b"{\"request\":"), None);
    }
}
