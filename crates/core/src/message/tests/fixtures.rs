//! `fixtures/streams`: what is derived of each stands beside it, field by field.

use super::{SSE, derive, hints};
use crate::frames::tests::frame;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// A body with its content type and URL.
struct Body {
    file: PathBuf,
    content_type: &'static str,
    url: &'static str,
    bytes: Vec<u8>,
}

fn bodies() -> Vec<Body> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/streams");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.into_iter().filter_map(body).collect()
}

fn body(file: PathBuf) -> Option<Body> {
    let name = file.file_name()?.to_str()?.to_owned();
    let (content_type, url) = match name.split_once('.')?.1 {
        // Nothing but the events says whose these are.
        "sse" => (SSE, "https://gateway.example/llm"),
        "json" => ("application/json; charset=UTF-8", "https://x/v1beta/models/gemini:streamGenerateContent"),
        "frames.jsonl" => ("application/vnd.amazon.eventstream", "https://x/model/anthropic.claude/a-stream"),
        _ => return None,
    };
    let text = std::fs::read(&file).unwrap();
    let bytes = if name.ends_with(".frames.jsonl") {
        String::from_utf8(text).unwrap().lines().flat_map(framed).collect()
    } else {
        text
    };
    Some(Body { file, content_type, url, bytes })
}

/// The frame that a line of `.frames.jsonl` describes.
fn framed(line: &str) -> Vec<u8> {
    let said: Map<String, Value> = serde_json::from_str(line).unwrap();
    let headers = said["headers"].as_object().unwrap();
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    let payload = match said.get("bytes") {
        Some(event) => serde_json::json!({ "bytes": STANDARD.encode(event.to_string()), "p": said["p"] }),
        None => said["payload"].clone(),
    };
    frame(&headers, payload.to_string().as_bytes())
}

#[test]
fn what_is_derived_of_each_stream_is_what_stands_beside_it() {
    let bodies = bodies();
    assert!(bodies.len() > 15, "only {} streams were found", bodies.len());
    for Body { file, content_type, url, bytes } in bodies {
        let stem = file.file_name().unwrap().to_str().unwrap().split('.').next().unwrap().to_owned();
        let expected_file = file.with_file_name(format!("{stem}.expected.json"));
        let derived = derive(&hints(content_type, url), [&bytes[..]]);
        let text = serde_json::to_string_pretty(&derived).unwrap() + "\n";
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expected_file, &text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(&expected_file).unwrap(), "{stem}");
        for size in [1, 7, 100, 4096] {
            assert_eq!(
                derive(&hints(content_type, url), bytes.chunks(size)),
                derived,
                "{stem} in pieces of {size}"
            );
        }
    }
}

/// Every way that a stream can break off gives a start of its message, or nothing.
#[test]
fn a_stream_may_break_off_anywhere() {
    for Body { content_type, url, bytes, file } in bodies() {
        let whole = derive(&hints(content_type, url), [&bytes[..]]);
        for end in 0..bytes.len() {
            let part = derive(&hints(content_type, url), [&bytes[..end]]);
            assert!(part.events.count <= whole.events.count && part.events.unread <= whole.events.unread);
            assert!(part.events.damaged == 0, "{}", file.display());
            if content_type == SSE && part.events.count < whole.events.count {
                assert!(part.events.undispatched_bytes <= end as u64);
            }
        }
    }
}
