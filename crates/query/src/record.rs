//! Whether a line is a whole record, what became of its exchange, and whether it is true to itself.
//!
//! A line is a *record* if it has the shape that both claude-trace 1.0.9 and version 1 of `docs/format.md` give it. What
//! is wrong beyond that is noted, and the record stays one. Bodies are scanned, never built: values of any size, depth
//! (serde_json skips without recursion) and range are taken as they stand.

use crate::problem::{Flaw, Kind, excerpt};
use crate::text;
use crate::trace::{Lengths, Trace};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use std::fmt;
use std::marker::PhantomData;

/// What became of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The response is there, whole as far as the record knows.
    Complete,
    /// The response may not be whole.
    Partial,
    /// There is no response, but an error.
    Failed,
    /// There is no response.
    Orphaned,
}

/// What a record says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What became of the exchange.
    pub outcome: Outcome,
    /// It was read from the spool of a dead process.
    pub recovered: bool,
    /// Bytes are missing, because the spool was full.
    pub gap: bool,
    /// It has no `trace`: claude-trace 1.0.9 wrote it.
    pub upstream: bool,
    /// `trace.id`.
    pub id: Option<String>,
    pub(crate) flaws: Vec<Flaw>,
}

impl Record {
    /// Reads a line, without its line feed. An error: it is no whole record.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Flaw> {
        let text = match simdutf8::basic::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => return Err(not_utf8(bytes)),
        };
        match serde_json::from_str::<Object<Line>>(text) {
            Ok(Object(line)) => line.check(),
            Err(error) => Err(not_read(&error, text.len())),
        }
    }

    /// Reads the record that `bytes` begin with, and says how many bytes it takes. An error: there is none, which took so
    /// many bytes to find out.
    pub(crate) fn read_first(bytes: &[u8]) -> Result<(usize, Self), usize> {
        let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Object<Line>>();
        match values.next() {
            Some(Ok(Object(line))) => {
                let used = values.byte_offset();
                let is_utf8 = simdutf8::basic::from_utf8(&bytes[..used]).is_ok();
                line.check().ok().filter(|_| is_utf8).map(|record| (used, record)).ok_or(used)
            }
            Some(Err(error)) => Err(error.column()),
            None => Err(bytes.len()),
        }
    }
}

fn not_utf8(bytes: &[u8]) -> Flaw {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_some() => {
            let message = format!("not UTF-8 at byte {} of the line", error.valid_up_to() + 1);
            Flaw::new(Kind::NotUtf8, message)
        }
        // The last character is unfinished, and so is the line.
        _ => Flaw::new(Kind::CutOff, "cut off inside a character"),
    }
}

fn not_read(error: &serde_json::Error, length: usize) -> Flaw {
    let message = error.to_string();
    // Lines are numbered by us, and there is one at a time.
    let what = excerpt(message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what));
    match error.classify() {
        // A number that ends in its point or exponent is not seen as cut off by serde_json.
        Category::Syntax if what == "invalid number" && error.column() == length => cut_off(length),
        Category::Eof => cut_off(error.column()),
        // Of what stands there nothing is repeated: it may be anything.
        Category::Data if what.starts_with("invalid type") => {
            let message = format!("not a record: no object where one should be, at byte {}", error.column());
            Flaw::new(Kind::NotARecord, message)
        }
        Category::Data => Flaw::new(Kind::NotARecord, format!("not a record: {what}")),
        _ => Flaw::new(Kind::NotJson, format!("not JSON: {what} at byte {} of the line", error.column())),
    }
}

fn cut_off(after: usize) -> Flaw {
    Flaw::new(Kind::CutOff, format!("cut off at byte {after}"))
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    request: Option<Object<Request<'a>>>,
    #[serde(borrow, default, deserialize_with = "present")]
    response: Option<Option<Object<Response<'a>>>>,
    note: Option<&'a RawValue>,
    logged_at: Option<&'a RawValue>,
    trace: Option<&'a RawValue>,
    intercepted: Option<Intercepted>,
}

/// What interceptors have changed: the trace tells of the wire, and the body of what they left.
#[derive(Deserialize)]
struct Intercepted {
    dropped: Option<u64>,
    replaced: Option<u64>,
    body_unchanged: Option<bool>,
}

impl Intercepted {
    fn has_changed_body(&self) -> bool {
        (self.dropped.is_some() || self.replaced.is_some()) && self.body_unchanged != Some(true)
    }
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    url: Option<&'a RawValue>,
    headers: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "present")]
    body: Option<&'a RawValue>,
    body_encoding: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    status_code: Option<&'a RawValue>,
    headers: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "present")]
    body: Option<&'a RawValue>,
    body_raw: Option<&'a RawValue>,
    body_encoding: Option<&'a RawValue>,
}

impl Line<'_> {
    /// Whether it is a record, and what it says.
    fn check(&self) -> Result<Record, Flaw> {
        let request = self.request.as_ref().map(|Object(request)| request);
        let request = request.ok_or_else(|| missing("request"))?;
        let response = self.response.as_ref().ok_or_else(|| missing("response"))?;
        let response = response.as_ref().map(|Object(response)| response);
        need(request.timestamp, Type::Number, "request.timestamp")?;
        need(request.method, Type::String, "request.method")?;
        need(request.url, Type::String, "request.url")?;
        need(request.headers, Type::Object, "request.headers")?;
        request.body.ok_or_else(|| missing("request.body"))?;
        if let Some(response) = response {
            need(response.timestamp, Type::Number, "response.timestamp")?;
            need(response.status_code, Type::Number, "response.status_code")?;
            need(response.headers, Type::Object, "response.headers")?;
            if response.body_raw.is_some() {
                need(response.body_raw, Type::String, "response.body_raw")?;
            }
        }
        need(self.logged_at, Type::String, "logged_at")?;

        let mut flaws = Vec::new();
        let trace = self.trace.map(|trace| Trace::read(trace, response.is_some(), &mut flaws));
        let lengths = trace.as_ref().and_then(|trace| trace.lengths);
        request.check_body(lengths.as_ref(), &mut flaws);
        if let Some(response) = response {
            let is_changed = self.intercepted.as_ref().is_some_and(Intercepted::has_changed_body);
            response.check_body(lengths.as_ref(), is_changed, &mut flaws);
        }
        Ok(Record {
            outcome: self.outcome(response, trace.as_ref()),
            recovered: trace.as_ref().is_some_and(|trace| trace.is_recovered),
            gap: trace.as_ref().is_some_and(|trace| trace.has_gap),
            upstream: self.trace.is_none(),
            id: trace.and_then(|trace| trace.id),
            flaws,
        })
    }

    fn outcome(&self, response: Option<&Response>, trace: Option<&Trace>) -> Outcome {
        let noted = |word: &str| {
            self.note
                .is_some_and(|note| note.get().strip_prefix('"').is_some_and(|note| note.starts_with(word)))
        };
        let says = |what: fn(&Trace) -> bool| trace.is_some_and(what);
        match response {
            None if says(|trace| trace.has_error) || noted("REQUEST_FAILED") => Outcome::Failed,
            None => Outcome::Orphaned,
            Some(_) if says(|trace| trace.is_partial) || noted("PARTIAL_RESPONSE") => Outcome::Partial,
            // 1.0.9 leaves out the body of a stream that broke off.
            Some(response) if response.body.is_none() && response.body_raw.is_none() => Outcome::Partial,
            Some(_) => Outcome::Complete,
        }
    }
}

impl Request<'_> {
    fn check_body(&self, lengths: Option<&Lengths>, flaws: &mut Vec<Flaw>) {
        let Some(body) = self.body else { return };
        let expected = lengths.filter(|is| is.request_is_as_sent).map(|is| is.request);
        check_body("request.body", body, self.body_encoding, expected, 0, flaws);
    }
}

impl Response<'_> {
    fn check_body(&self, lengths: Option<&Lengths>, is_changed: bool, flaws: &mut Vec<Flaw>) {
        let expected = lengths.filter(|is| is.response_is_as_sent && !is_changed).map(|is| is.response);
        match (self.body, self.body_raw) {
            (Some(body), None) => check_body("response.body", body, None, expected, 0, flaws),
            (None, Some(text)) => {
                let tail = lengths.map_or(0, |is| is.tail);
                check_body("response.body_raw", text, self.body_encoding, expected, tail, flaws);
            }
            // 1.0.9 does that.
            (None, None) if lengths.is_none() => {}
            (None, None) => {
                flaws.push(Flaw::new(Kind::BadBody, "response has neither `body` nor `body_raw`"));
            }
            (Some(_), Some(_)) => {
                flaws.push(Flaw::new(Kind::BadBody, "response has both `body` and `body_raw`"));
            }
        }
    }
}

/// Compares a body with its length on the wire, if that is known. Text and base64 are exact; JSON has lost white space.
fn check_body(
    name: &str,
    body: &RawValue,
    encoding: Option<&RawValue>,
    expected: Option<u64>,
    tail: u64,
    flaws: &mut Vec<Flaw>,
) {
    let raw = body.get();
    let (length, is_exact) = match (encoding.map(RawValue::get), raw.as_bytes().first()) {
        (Some("\"base64\""), Some(b'"')) => match text::base64_length(raw) {
            Some(length) => (length, true),
            None => {
                return flaws
                    .push(Flaw::new(Kind::BadBase64, format!("`{name}` is marked as base64 and is not")));
            }
        },
        (Some("\"base64\""), _) => {
            return flaws
                .push(Flaw::new(Kind::BadBase64, format!("`{name}` is marked as base64 and is no string")));
        }
        (Some(other), _) => {
            let message = format!("`{name}` has the unknown encoding {}", excerpt(other));
            return flaws.push(Flaw::new(Kind::BadBody, message));
        }
        (None, Some(b'"')) => (text::utf8_length(raw), true),
        // No body at all, or the four bytes `null`.
        (None, Some(b'n')) if expected == Some(0) => (0, true),
        (None, _) => (raw.len() as u64, false),
    };
    let length = length + tail;
    if expected.is_some_and(|expected| if is_exact { length != expected } else { length > expected }) {
        let message = format!("`{name}` has {length} bytes; the trace says {}", expected.unwrap_or(0));
        flaws.push(Flaw::new(Kind::BadBody, message));
    }
}

#[derive(Clone, Copy)]
enum Type {
    Number,
    String,
    Object,
}

fn need(value: Option<&RawValue>, is: Type, name: &str) -> Result<(), Flaw> {
    let value = value.ok_or_else(|| missing(name))?;
    let first = value.get().as_bytes().first();
    let (is_right, expected) = match is {
        Type::Number => (first.is_some_and(|byte| *byte == b'-' || byte.is_ascii_digit()), "a number"),
        Type::String => (first == Some(&b'"'), "a string"),
        Type::Object => (first == Some(&b'{'), "an object"),
    };
    if is_right {
        return Ok(());
    }
    Err(Flaw::new(Kind::NotARecord, format!("not a record: `{name}` is not {expected}")))
}

fn missing(name: &str) -> Flaw {
    Flaw::new(Kind::NotARecord, format!("not a record: it has no `{name}`"))
}

/// Tells a key whose value is `null` from one that is not there.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A struct read from an object alone: serde would take an array of its fields as well.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfMap<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OfMap<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(OfMap(PhantomData))
    }
}
