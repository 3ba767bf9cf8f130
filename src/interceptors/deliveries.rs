//! What JS takes: hooks to be called.

use super::mailbox;
use crate::after;
use claude_trace_core::interceptor::{Content, Delivery, Outcome};
use napi::bindgen_prelude::*;
use napi_derive::napi;

/// A hook to be called. `kind`: 1 request, 2 response, 3 events, 4 end.
#[napi(object, object_from_js = false)]
pub struct NativeDelivery {
    /// To be named in the answer.
    pub ticket: f64,
    /// The exchange, as long as it is watched.
    pub exchange: f64,
    /// Whose hook, by order.
    pub interceptors: Vec<u32>,
    /// Which hook.
    pub kind: u8,
    /// A head.
    pub head: Option<String>,
    /// Of a head or an end: when, milliseconds since the Unix epoch.
    pub at: f64,
    /// Of an end: when the exchange began.
    pub began: f64,
    /// Data, types and ids of events.
    pub text: Option<String>,
    /// Nine numbers for each event: start and end of data, type and id in `text`; its number; milliseconds since the request; its `retry`
    /// or -1.
    pub places: Option<Float64Array>,
    /// Of an end: `complete`, `error` or `cut`.
    pub outcome: Option<String>,
    /// The error's code, if there is one.
    pub code: Option<String>,
    /// The error in words, or why it was cut off.
    pub message: Option<String>,
    /// Of an end: events of the stream.
    pub events: f64,
    /// Of these, those that were not given.
    pub passed: f64,
}

impl From<Delivery> for NativeDelivery {
    fn from(Delivery { ticket, exchange, interceptors, content }: Delivery) -> Self {
        let ms = |nanos: u64| (nanos / 1000) as f64 / 1000.0;
        let mut delivery = Self {
            ticket: ticket as f64,
            exchange: exchange as f64,
            interceptors,
            kind: 0,
            head: None,
            at: 0.0,
            began: 0.0,
            text: None,
            places: None,
            outcome: None,
            code: None,
            message: None,
            events: 0.0,
            passed: 0.0,
        };
        match content {
            Content::Request(head, at) => {
                (delivery.kind, delivery.head, delivery.at) = (1, Some(as_text(head)), ms(at));
            }
            Content::Response(head, at) => {
                (delivery.kind, delivery.head, delivery.at) = (2, Some(as_text(head)), ms(at));
            }
            Content::Events(packed) => {
                delivery.kind = 3;
                delivery.text = Some(packed.text);
                delivery.places = Some(Float64Array::new(packed.places));
            }
            Content::End { outcome, events, passed, times: (began, at) } => {
                delivery.kind = 4;
                (delivery.began, delivery.at) = (ms(began), ms(at));
                (delivery.events, delivery.passed) = (events as f64, passed as f64);
                let (word, code, message) = match outcome {
                    Outcome::Complete => ("complete", None, None),
                    Outcome::Error { code, message } => ("error", Some(code), Some(message)),
                    Outcome::Cut(why) => ("cut", None, Some(why)),
                };
                delivery.outcome = Some(word.to_owned());
                (delivery.code, delivery.message) = (code, message);
            }
        }
        delivery
    }
}

/// Heads are UTF-8, or bytes that are a character each.
fn as_text(head: Vec<u8>) -> String {
    String::from_utf8(head)
        .unwrap_or_else(|error| error.as_bytes().iter().map(|byte| char::from(*byte)).collect())
}

/// Takes up to `most` hooks that are to be called, oldest first.
#[napi(catch_unwind)]
pub fn take(handle: u32, most: u32) -> Vec<NativeDelivery> {
    mailbox(handle).map_or_else(Vec::new, |mailbox| {
        mailbox.take(most as usize).into_iter().map(NativeDelivery::from).collect()
    })
}

/// Waits for something to take, at most so many milliseconds. For a loop that is ending: it blocks.
#[napi(catch_unwind)]
pub fn await_delivery(handle: u32, deadline: f64) -> bool {
    mailbox(handle).is_some_and(|mailbox| mailbox.wait(after(deadline)))
}

/// How many exchanges the interceptors of a recorder watch.
#[napi(catch_unwind)]
pub fn watched(handle: u32) -> u32 {
    mailbox(handle).map_or(0, |mailbox| mailbox.watched() as u32)
}
