//! What JS answers.

use super::mailbox;
use crate::with_environment;
use claude_trace_core::interceptor::{Answer, HeaderChange, Replacement, Said, Verdict};
use napi_derive::napi;

/// A change of a recorded header: `set` has a name and a value, `remove` a name, `rename` a name and the new one in `value`.
#[napi(object)]
pub struct NativeHeaderChange {
    /// `set`, `remove` or `rename`.
    pub change: String,
    /// The header.
    pub name: String,
    /// Its value, or its new name.
    pub value: Option<String>,
}

impl From<NativeHeaderChange> for HeaderChange {
    fn from(NativeHeaderChange { change, name, value }: NativeHeaderChange) -> Self {
        match &*change {
            "set" => Self::Set { name, value: value.unwrap_or_default() },
            "rename" => Self::Rename { from: name, to: value.unwrap_or_default() },
            _ => Self::Remove { name },
        }
    }
}

/// Another event in the place of one; what is absent stays.
#[napi(object, object_to_js = false)]
pub struct NativeReplacement {
    /// Of the event.
    pub number: f64,
    /// Its data.
    pub data: Option<String>,
    /// Its type.
    pub r#type: Option<String>,
    /// Its id.
    pub id: Option<String>,
}

/// What is said of an event, or of the exchange.
#[napi(object, object_to_js = false)]
pub struct NativeNote {
    /// Of the event; absent: of the exchange.
    pub number: Option<f64>,
    /// JSON.
    pub value: String,
}

/// What one interceptor said.
#[napi(object, object_to_js = false)]
pub struct NativeSaid {
    /// Whose.
    pub number: u32,
    /// Milliseconds it took.
    pub ms: f64,
    /// Why it failed: then all else is nothing.
    pub failed: Option<String>,
    /// It wants nothing more of this exchange.
    pub leaves: Option<bool>,
    /// It has not answered in time.
    pub late: Option<bool>,
    /// Numbers of events that are left out.
    pub dropped: Option<Vec<f64>>,
    /// Events that are otherwise.
    pub replaced: Option<Vec<NativeReplacement>>,
    /// Annotations.
    pub notes: Option<Vec<NativeNote>>,
    /// Changes of the head.
    pub headers: Option<Vec<NativeHeaderChange>>,
    /// No record is wanted.
    pub discards: Option<bool>,
}

impl From<NativeSaid> for Said {
    fn from(said: NativeSaid) -> Self {
        let mut is = Self {
            headers: said.headers.unwrap_or_default().into_iter().map(HeaderChange::from).collect(),
            discard: said.discards.unwrap_or(false),
            leave: said.leaves.unwrap_or(false),
            late: said.late.unwrap_or(false),
            failed: said.failed,
            ns: (said.ms.max(0.0) * 1e6) as u64,
            ..Self::default()
        };
        for number in said.dropped.unwrap_or_default() {
            is.verdicts.push((number as u64, Verdict::Drop));
        }
        for NativeReplacement { number, data, r#type, id } in said.replaced.unwrap_or_default() {
            let bytes = |text: Option<String>| text.map(String::into_bytes);
            let replacement = Replacement { data: bytes(data), kind: bytes(r#type), id: bytes(id) };
            is.verdicts.push((number as u64, Verdict::Replace(replacement)));
        }
        for NativeNote { number, value } in said.notes.unwrap_or_default() {
            // It was made by `JSON.stringify`.
            let Ok(value) = serde_json::value::RawValue::from_string(value) else { continue };
            match number {
                Some(number) => is.verdicts.push((number as u64, Verdict::Annotate(value))),
                None => is.notes.push(value),
            }
        }
        is
    }
}

/// What became of a delivery.
#[napi(object, object_to_js = false)]
pub struct NativeAnswer {
    /// Of the delivery.
    pub ticket: f64,
    /// Of the delivery.
    pub exchange: f64,
    /// What each said, by order.
    pub said: Vec<NativeSaid>,
}

/// Says what became of deliveries. Without any it lets standard mode look at what is late.
#[napi(catch_unwind)]
pub fn answer(handle: u32, answers: Vec<NativeAnswer>) {
    if let Some(mailbox) = mailbox(handle) {
        for NativeAnswer { ticket, exchange, said } in answers {
            let said = said.into_iter().map(|one| (one.number, one.into())).collect();
            mailbox.answer(Answer { ticket: ticket as u64, exchange: exchange as u64, said });
        }
    }
    with_environment(|env| env.recorder(handle).map(|recorder| recorder.pump()));
}
