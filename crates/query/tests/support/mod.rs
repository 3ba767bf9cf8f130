//! Shared by the tests of the reader.
#![allow(dead_code, reason = "each test file uses some of it")]

use claude_trace_query::{Bytes, Limits, Report, Scanner, Source, What, verify};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::io::{BufReader, Cursor};

/// Lines of both formats, one of each kind.
pub fn fixtures() -> Vec<Vec<u8>> {
    ["v1", "claude-trace-1.0.9"]
        .iter()
        .map(|name| format!("{}/../../fixtures/records/{name}.jsonl", env!("CARGO_MANIFEST_DIR")))
        .flat_map(|path| {
            std::fs::read(path).unwrap().split_inclusive(|b| *b == b'\n').map(Vec::from).collect::<Vec<_>>()
        })
        .collect()
}

/// A short record.
pub fn record(id: &str) -> String {
    format!(
        concat!(
            r#"{{"request":{{"timestamp":1.5,"method":"POST","url":"http://x/","headers":{{}},"body":{{"a":1}}}},"#,
            r#""response":{{"timestamp":1.6,"status_code":200,"headers":{{}},"body_raw":"abc"}},"#,
            r#""logged_at":"2026-11-20T20:28:09.092Z","trace":{{"v":1,"id":"{}","via":"undici","pid":42,"http":"1.1","#,
            r#""timing_ms":{{"end":20.5}},"request_bytes":7,"response_bytes":3,"chunks":{{"at_ms":[12],"bytes":[3]}}}}}}"#,
            "\n"
        ),
        id
    )
}

/// A part of a log, with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Record(Vec<u8>),
    Blank(Vec<u8>),
    Damage(Vec<u8>),
}

impl Part {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Part::Record(bytes) | Part::Blank(bytes) | Part::Damage(bytes) => bytes,
        }
    }
}

/// Takes a log apart, read through a buffer of `buffer` bytes, and holds the places against the bytes.
pub fn parts(log: &[u8], limits: Limits, buffer: usize) -> Vec<Part> {
    let mut scanner = Scanner::new(BufReader::with_capacity(buffer, log), limits);
    let mut parts = Vec::new();
    let mut offset = 0;
    while let Some(item) = scanner.next_item().unwrap() {
        let mut bytes = match item.bytes {
            Bytes::Text(bytes) => bytes.to_vec(),
            Bytes::Nuls(count) => vec![0; count as usize],
        };
        if item.line_feed {
            bytes.push(b'\n');
        }
        assert_eq!((item.place.offset, item.place.length), (offset, bytes.len() as u64));
        assert_eq!(
            item.place.line,
            1 + log[..offset as usize].iter().filter(|b| **b == b'\n').count() as u64
        );
        assert!(!bytes.is_empty(), "an item has bytes, or the reader may never end");
        offset += bytes.len() as u64;
        parts.push(match item.what {
            What::Record { .. } => Part::Record(bytes),
            What::Blank => Part::Blank(bytes),
            What::Damage { .. } => Part::Damage(bytes),
        });
    }
    parts
}

pub fn source(log: &[u8]) -> Source {
    Source::new(Cursor::new(log.to_vec())).unwrap()
}

pub fn report(log: &[u8]) -> Report {
    verify(source(log), Limits::default(), 1000, || false).unwrap()
}

/// What a naive reader finds: lines that serde_json takes whole and that have the keys of a record, each once.
pub fn naive_records(log: &[u8]) -> Vec<Vec<u8>> {
    log.split(|byte| *byte == b'\n').filter(|line| is_record(line)).map(Vec::from).collect()
}

fn is_record(line: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(line) else { return false };
    let has_head = |head: &Value| head["timestamp"].is_number() && head["headers"].is_object();
    let (request, response) = (&value["request"], &value["response"]);
    has_head(request)
        && request["method"].is_string()
        && request["url"].is_string()
        && request.as_object().is_some_and(|request| request.contains_key("body"))
        && value.as_object().is_some_and(|line| line.contains_key("response"))
        && (response.is_null() || has_head(response) && response["status_code"].is_number())
        && response["body_raw"].as_str().is_some() | response.get("body_raw").is_none()
        && value["logged_at"].is_string()
        && keys_are_unique(line)
}

/// A line that was spliced from two can be JSON, and has keys twice. `Value` takes the last of them, a reader must not.
fn keys_are_unique(line: &[u8]) -> bool {
    let Ok(Members(members)) = serde_json::from_slice(line) else { return false };
    let heads = members.iter().filter(|(key, _)| ["request", "response"].contains(&key.as_str()));
    let mut objects: Vec<Members> =
        heads.filter_map(|(_, raw)| serde_json::from_str(raw.get()).ok()).collect();
    objects.push(Members(members));
    objects.iter().all(|Members(members)| {
        let keys: std::collections::HashSet<&String> = members.iter().map(|(key, _)| key).collect();
        keys.len() == members.len()
    })
}

/// The members of an object, as they stand there.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}
