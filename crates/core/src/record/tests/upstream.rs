//! Our line beside one that claude-trace 1.0.9 wrote for the same exchange: upstream's keys, in upstream's order, with
//! upstream's values; ours only after them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::*;

/// JSON with its keys in their order.
#[derive(Debug, PartialEq)]
enum Shape {
    Object(Vec<(String, Shape)>),
    Array(Vec<Shape>),
    Leaf,
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Shape::Object(members))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Shape::Array(items))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
                Ok(Shape::Leaf)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
                Ok(Shape::Leaf)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
                Ok(Shape::Leaf)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
                Ok(Shape::Leaf)
            }
            fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
                Ok(Shape::Leaf)
            }
            fn visit_unit<E>(self) -> Result<Shape, E> {
                Ok(Shape::Leaf)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

const SAMPLE: &str = include_str!("../../../../../fixtures/records/claude-trace-1.0.9.jsonl");

fn head(first_line: String, headers: &[(String, Shape)], values: &Value) -> String {
    let mut head = first_line;
    for (name, _) in headers {
        let value = &values[name];
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head
}

fn member<'s>(shape: &'s Shape, key: &str) -> &'s Shape {
    let Shape::Object(members) = shape else { panic!("{key} of {shape:?}") };
    &members.iter().find(|(name, _)| name == key).unwrap_or_else(|| panic!("{key}")).1
}

fn nanos(seconds: &Value) -> WallNanos {
    // The sample's times are whole milliseconds.
    (seconds.as_f64().unwrap() * 1_000.0).round() as u64 * MILLISECOND
}

/// The bytes of one member of an object, as they stand in the line.
fn raw<'l>(line: &'l str, path: [&str; 2]) -> Option<&'l str> {
    use serde_json::value::RawValue;
    use std::collections::HashMap;
    let record: HashMap<String, &RawValue> = serde_json::from_str(line).unwrap();
    let inner: HashMap<String, &'l RawValue> = serde_json::from_str(record[path[0]].get()).unwrap();
    inner.get(path[1]).map(|value| value.get())
}

#[test]
fn writes_what_upstream_writes_and_more_after_it() {
    for sample_line in SAMPLE.lines() {
        let sample: Value = serde_json::from_str(sample_line).unwrap();
        let shape: Shape = serde_json::from_str(sample_line).unwrap();
        let request = &sample["request"];
        let fields = |side: &str| match member(member(&shape, side), "headers") {
            Shape::Object(fields) => head(String::new(), fields, &sample[side]["headers"]),
            other => panic!("{other:?}"),
        };
        let request_head = format!(
            "{} {} HTTP/1.1\r\n{}",
            request["method"].as_str().unwrap(),
            request["url"].as_str().unwrap(),
            fields("request")
        );
        let request_body = raw(sample_line, ["request", "body"]).filter(|body| *body != "null").unwrap_or("");
        let response = &sample["response"];
        let (mut response_head, mut response_body) = (String::new(), String::new());
        if !response.is_null() {
            response_head = format!("HTTP/1.1 {} \r\n{}", response["status_code"], fields("response"));
            response_body = match response.get("body_raw") {
                Some(text) => text.as_str().unwrap().to_string(),
                None => raw(sample_line, ["response", "body"]).unwrap_or("").to_string(),
            };
        }
        let mut ours = exchange(&[request_body.as_bytes()], &[response_body.as_bytes()]);
        ours.request_head = request_head.as_bytes();
        ours.started_at = nanos(&request["timestamp"]);
        if response.is_null() {
            ours.response = None;
            ours.end = End::Cut("the process ended");
        } else {
            let answer = ours.response.as_mut().unwrap();
            answer.head = response_head.as_bytes();
            answer.at = nanos(&response["timestamp"]);
        }
        let line = line(&ours);
        let (our_shape, our_value): (Shape, Value) =
            (serde_json::from_str(&line).unwrap(), serde_json::from_str(&line).unwrap());
        compare(&shape, &our_shape, &sample, &our_value, "");
        serde_json::from_str::<IgnoredAny>(&line).unwrap();
    }
}

/// Every key of `theirs` stands in `ours` in the same place with the same value, save for what differs on purpose.
fn compare(theirs: &Shape, ours: &Shape, their_value: &Value, our_value: &Value, path: &str) {
    match (theirs, ours) {
        (Shape::Object(theirs), Shape::Object(ours)) => {
            for (index, (key, shape)) in theirs.iter().enumerate() {
                assert_eq!(&ours[index].0, key, "{path}");
                let path = format!("{path}.{key}");
                compare(shape, &ours[index].1, &their_value[key], &our_value[key], &path);
            }
            let more: Vec<&str> = ours[theirs.len()..].iter().map(|(key, _)| key.as_str()).collect();
            let expected: &[&str] = match path {
                "" => &["trace"],
                // Upstream drops what had arrived of a broken stream; ours has the key, here empty.
                ".response" if their_value.get("body").is_none() && their_value.get("body_raw").is_none() => {
                    &["body_raw"]
                }
                _ => &[],
            };
            assert_eq!(more, expected, "{path}");
        }
        (Shape::Array(theirs), Shape::Array(ours)) => {
            assert_eq!(theirs.len(), ours.len(), "{path}");
            for (index, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
                compare(theirs, ours, &their_value[index], &our_value[index], &format!("{path}[{index}]"));
            }
        }
        (Shape::Leaf, Shape::Leaf) if path == ".logged_at" => {}
        // Node gives lengths as numbers where the caller did; on the wire they are text.
        (Shape::Leaf, Shape::Leaf) if path == ".request.headers.content-length" => {
            assert_eq!(their_value.to_string(), our_value.as_str().unwrap());
        }
        (Shape::Leaf, Shape::Leaf) => assert_eq!(their_value, our_value, "{path}"),
        _ => panic!("{path}: {theirs:?} {ours:?}"),
    }
}
