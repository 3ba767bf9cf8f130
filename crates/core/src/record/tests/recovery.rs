//! Whatever the bytes and however they arrive: one line, valid JSON, and the bodies come back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::*;
use crate::record::minify::minify_naively;
use crate::record::minify::tests::any_json;

#[derive(Deserialize)]
struct Record<'l> {
    #[serde(borrow)]
    request: Request<'l>,
    #[serde(borrow)]
    response: Option<Reply<'l>>,
    trace: Trace,
}

#[derive(Deserialize)]
struct Request<'l> {
    #[serde(borrow)]
    body: &'l RawValue,
    body_encoding: Option<String>,
}

#[derive(Deserialize)]
struct Reply<'l> {
    // Of an `Option` of itself, serde takes the body `null` for none.
    #[serde(borrow, default, deserialize_with = "some")]
    body: Option<&'l RawValue>,
    body_raw: Option<String>,
    body_encoding: Option<String>,
}

fn some<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct Trace {
    request_bytes: usize,
    response_bytes: usize,
    tail_base64: Option<String>,
    chunks: Option<Columns>,
}

#[derive(Deserialize)]
struct Columns {
    at_ms: Vec<f64>,
    bytes: Vec<usize>,
}

/// A body as a record tells of it.
#[derive(Debug, PartialEq)]
enum Recovered {
    Bytes(Vec<u8>),
    /// All but the white space between tokens.
    Json(String),
}

impl Recovered {
    fn text(text: String, encoding: Option<&str>, tail: Option<&str>) -> Self {
        let mut bytes = match encoding {
            None => text.into_bytes(),
            Some("base64") => STANDARD.decode(text).unwrap(),
            Some(other) => panic!("{other}"),
        };
        bytes.extend(tail.map_or(Vec::new(), |tail| STANDARD.decode(tail).unwrap()));
        Self::Bytes(bytes)
    }

    fn is_of(&self, sent: &[u8]) -> bool {
        match self {
            Self::Bytes(bytes) => bytes == sent,
            Self::Json(json) => std::str::from_utf8(sent).is_ok_and(|sent| minify_naively(sent) == *json),
        }
    }
}

/// Reads a line the way `docs/format.md` tells readers to.
fn recover(line: &str) -> (Recovered, Option<Recovered>) {
    let record: Record = serde_json::from_str(line).unwrap();
    let body = record.request.body.get();
    let request = match (body.as_bytes()[0], record.trace.request_bytes) {
        (_, 0) => {
            assert_eq!(body, "null");
            Recovered::Bytes(Vec::new())
        }
        (b'"', _) => Recovered::text(
            serde_json::from_str(body).unwrap(),
            record.request.body_encoding.as_deref(),
            None,
        ),
        _ => Recovered::Json(body.to_string()),
    };
    let response = record.response.map(|reply| match (reply.body, reply.body_raw) {
        (Some(json), None) => Recovered::Json(json.get().to_string()),
        (None, Some(text)) => {
            Recovered::text(text, reply.body_encoding.as_deref(), record.trace.tail_base64.as_deref())
        }
        _ => panic!("one of body and body_raw: {line}"),
    });
    (request, response)
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        "\\PC{0,30}".prop_map(String::into_bytes),
        "(event: [a-z]{0,5}\r?\ndata: \\{\"t\":\"[é😀\\\\\"]{0,3}\"\\}\r?\n\n){0,4}"
            .prop_map(String::into_bytes),
        any_json().prop_map(String::into_bytes),
        // Text that ends anywhere.
        ("[aé日😀]{1,10}", any::<prop::sample::Index>())
            .prop_map(|(text, at)| text.as_bytes()[..at.index(text.len())].to_vec()),
        (any_json(), any::<prop::sample::Index>())
            .prop_map(|(text, at)| text.as_bytes()[..at.index(text.len() + 1)].to_vec()),
    ]
}

fn pieces<'a>(bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle().take(200) {
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_body_comes_back(
        sent in any_body(),
        received in any_body(),
        sizes in prop::collection::vec(0_usize..9, 1..6),
        is_json in any::<bool>(),
        end in prop::sample::select(vec![End::Complete, End::Cut("a\nb"), End::Error { code: "E\"", message: "\u{0}\n" }]),
        is_answered in prop::bool::weighted(0.9),
        odd_head in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut exchange = exchange(&pieces(&sent, &sizes), &pieces(&received, &sizes));
        exchange.end = end;
        // Fields of no meaning: decoding is not at issue here.
        let mut head = if is_json { JSON_HEAD.as_bytes().to_vec() } else { b"HTTP/1.1 200 OK\r\n".to_vec() };
        head.extend_from_slice(b"odd: ");
        head.extend_from_slice(&odd_head);
        exchange.response.as_mut().unwrap().head = &head;
        exchange.response.as_mut().unwrap().trailers = &odd_head;
        exchange.request_head = &odd_head;
        if !is_answered {
            exchange.response = None;
        }

        let line = line(&exchange);
        prop_assert_eq!(line.find(['\n', '\r']), Some(line.len() - 1));
        let (request, response) = recover(&line);
        prop_assert!(request.is_of(&sent), "{:?} is not {:?}: {}", request, sent, line);
        prop_assert_eq!(response.is_some(), is_answered);
        if let Some(response) = response {
            prop_assert!(response.is_of(&received), "{:?} is not {:?}: {}", response, received, line);
            let trace = serde_json::from_str::<Record>(&line).unwrap().trace;
            let columns = trace.chunks.unwrap();
            prop_assert_eq!(trace.response_bytes, received.len());
            prop_assert_eq!(columns.bytes.iter().sum::<usize>(), received.len());
            prop_assert_eq!(columns.at_ms.len(), columns.bytes.len());
        }
    }
}
