//! The `trace` of a record: what it says, and whether it adds up.

use crate::problem::{Flaw, Kind, excerpt};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;

/// The version of `docs/format.md` that is known here.
const VERSION: u64 = 1;

/// What is the same in every version.
#[derive(Deserialize)]
struct Start {
    v: Option<u64>,
    id: Option<String>,
}

/// Version 1. What the checks do not need is there for its type.
#[derive(Deserialize)]
struct V1<'a> {
    via: Option<String>,
    pid: Option<u64>,
    http: Option<String>,
    #[serde(borrow)]
    timing_ms: Option<Timing<'a>>,
    request_bytes: Option<u64>,
    response_bytes: Option<u64>,
    content_encoding: Option<String>,
    request_content_encoding: Option<String>,
    decoding: Option<String>,
    request_decoding: Option<String>,
    chunks: Option<Chunks>,
    partial: Option<bool>,
    error: Option<Failure<'a>>,
    cut: Option<&'a RawValue>,
    gap: Option<bool>,
    recovered: Option<bool>,
    tail_base64: Option<&'a RawValue>,
    #[serde(borrow)]
    resumes: Option<Resumes<'a>>,
    #[serde(borrow)]
    rules: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Resumes<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Timing<'a> {
    #[serde(borrow)]
    end: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Chunks {
    at_ms: Option<Column<f64>>,
    bytes: Option<Column<u64>>,
}

/// What the rest of the reader wants to know of a trace.
#[derive(Default)]
pub(crate) struct Trace {
    pub(crate) id: Option<String>,
    pub(crate) is_partial: bool,
    pub(crate) has_error: bool,
    pub(crate) has_gap: bool,
    pub(crate) is_recovered: bool,
    /// Of version 1, whose lengths can be compared with the bodies.
    pub(crate) lengths: Option<Lengths>,
}

/// The lengths of the bodies on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Lengths {
    pub(crate) request: u64,
    pub(crate) response: u64,
    /// The body in the record is what was on the wire: no content encoding was undone.
    pub(crate) request_is_as_sent: bool,
    pub(crate) response_is_as_sent: bool,
    /// Bytes of the response that are not in its text.
    pub(crate) tail: u64,
}

impl Trace {
    /// Reads a trace; what is wrong with it goes into `flaws`.
    pub(crate) fn read(raw: &RawValue, has_response: bool, flaws: &mut Vec<Flaw>) -> Self {
        let start: Start = match object(raw) {
            Ok(start) => start,
            Err(why) => {
                flaws.push(Flaw::new(Kind::BadTrace, why));
                return Self::default();
            }
        };
        let id = start.id;
        match start.v {
            Some(VERSION) => {}
            Some(newer) if newer > VERSION => {
                let message = format!("`trace.v` is {newer}; this program knows 1");
                flaws.push(Flaw::new(Kind::NewerVersion, message));
                return Self { id, ..Self::default() };
            }
            _ => {
                flaws.push(Flaw::new(Kind::BadTrace, "`trace.v` is missing"));
                return Self { id, ..Self::default() };
            }
        }
        match object::<V1>(raw) {
            Ok(v1) => v1.check(id, has_response, flaws),
            Err(why) => {
                flaws.push(Flaw::new(Kind::BadTrace, why));
                Self { id, ..Self::default() }
            }
        }
    }
}

impl V1<'_> {
    fn check(&self, id: Option<String>, has_response: bool, flaws: &mut Vec<Flaw>) -> Trace {
        for (key, is_there) in [
            ("id", id.is_some()),
            ("via", self.via.is_some()),
            ("pid", self.pid.is_some()),
            ("http", self.http.is_some()),
            ("timing_ms.end", self.timing_ms.as_ref().is_some_and(|timing| is_number(timing.end))),
            ("request_bytes", self.request_bytes.is_some()),
            ("response_bytes", self.response_bytes.is_some()),
            ("chunks.at_ms", !has_response || self.chunks.as_ref().is_some_and(|c| c.at_ms.is_some())),
            ("chunks.bytes", !has_response || self.chunks.as_ref().is_some_and(|c| c.bytes.is_some())),
            ("error.code", self.error.as_ref().is_none_or(|error| is_string(error.code))),
            ("error.message", self.error.as_ref().is_none_or(|error| is_string(error.message))),
            ("resumes.id", self.resumes.as_ref().is_none_or(|resumes| is_string(resumes.id))),
            ("rules", self.rules.is_none_or(|rules| rules.get().starts_with('['))),
            ("cut", self.cut.is_none() || is_string(self.cut)),
        ] {
            if !is_there {
                let message = format!("`trace.{key}` is missing or of the wrong type");
                flaws.push(Flaw::new(Kind::BadTrace, message));
            }
        }
        self.check_chunks(flaws);
        Trace {
            id,
            is_partial: self.partial == Some(true),
            has_error: self.error.is_some(),
            has_gap: self.gap == Some(true),
            is_recovered: self.recovered == Some(true),
            lengths: self.lengths(flaws),
        }
    }

    fn check_chunks(&self, flaws: &mut Vec<Flaw>) {
        let Some(Chunks { at_ms: Some(times), bytes: Some(bytes) }) = &self.chunks else { return };
        if times.count != bytes.count {
            let message = format!("`trace.chunks` has {} times for {} lengths", times.count, bytes.count);
            flaws.push(Flaw::new(Kind::BadChunks, message));
        }
        if let Some(total) = self.response_bytes
            && total != bytes.sum
        {
            let message =
                format!("`trace.chunks.bytes` adds up to {}; `trace.response_bytes` is {total}", bytes.sum);
            flaws.push(Flaw::new(Kind::BadChunks, message));
        }
    }

    fn lengths(&self, flaws: &mut Vec<Flaw>) -> Option<Lengths> {
        let tail = match self.tail_base64 {
            None => 0,
            Some(tail) => match crate::text::base64_length(tail.get()) {
                Some(length) => length,
                None => {
                    flaws.push(Flaw::new(Kind::BadBase64, "`trace.tail_base64` is not base64"));
                    return None;
                }
            },
        };
        Some(Lengths {
            request: self.request_bytes?,
            response: self.response_bytes?,
            request_is_as_sent: is_as_sent(&self.request_content_encoding, &self.request_decoding),
            response_is_as_sent: is_as_sent(&self.content_encoding, &self.decoding),
            tail,
        })
    }
}

/// Where a body was not decoded it stands in the record as it came: see "Content encodings" in docs/format.md.
fn is_as_sent(encoding: &Option<String>, decoding: &Option<String>) -> bool {
    match decoding.as_deref() {
        None => encoding.is_none(),
        Some(word) => ["corrupt", "too_large", "unsupported", "by_client"].contains(&word),
    }
}

/// Deserializes an object. serde's structs would take an array for one.
fn object<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, String> {
    if !raw.get().starts_with('{') {
        return Err("`trace` is not an object".into());
    }
    serde_json::from_str(raw.get()).map_err(|error| format!("`trace`: {}", excerpt(&error.to_string())))
}

fn is_number(value: Option<&RawValue>) -> bool {
    value.is_some_and(|value| value.get().starts_with(|first: char| first == '-' || first.is_ascii_digit()))
}

fn is_string(value: Option<&RawValue>) -> bool {
    value.is_some_and(|value| value.get().starts_with('"'))
}

/// An array of numbers, counted and added up while it is read: a long stream has a hundred thousand chunks.
struct Column<T> {
    count: u64,
    sum: T,
}

macro_rules! column {
    ($number:ty, $add:expr) => {
        impl<'de> Deserialize<'de> for Column<$number> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Adder;
                impl<'de> Visitor<'de> for Adder {
                    type Value = Column<$number>;

                    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                        f.write_str("an array of numbers")
                    }

                    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Self::Value, A::Error> {
                        let mut column = Column { count: 0, sum: Default::default() };
                        while let Some(number) = numbers.next_element::<$number>()? {
                            column.count += 1;
                            column.sum = $add(column.sum, number);
                        }
                        Ok(column)
                    }
                }
                deserializer.deserialize_seq(Adder)
            }
        }
    };
}

column!(u64, u64::saturating_add);
column!(f64, |_, _| 0.0);
