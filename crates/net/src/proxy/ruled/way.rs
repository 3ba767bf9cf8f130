//! What becomes of a response's body, as far as its head says.

use super::calls::Calls;
use super::whole;
use claude_trace_core::interceptor::live::{Live, Part};
use claude_trace_core::message::{Framing, Hints};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, response};

/// Why a stream is no body.
pub const IS_STREAM: &str = "it is a stream of events, which `events.replace` is for";

/// What a response answers.
pub struct Asked {
    pub is_head: bool,
    pub url: String,
    pub calls: Calls,
}

/// What becomes of a response's body.
pub enum Way {
    /// It passes as it comes; if rules would have looked at it, why not.
    Passes(Option<String>),
    Events,
    Whole,
}

impl Way {
    pub fn of(live: &Live, parts: &response::Parts, is_empty: bool, asked: &Asked) -> Self {
        if is_empty || asked.is_head {
            return Self::Passes(None);
        }
        let content_type = parts.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let is_stream = Hints { content_type, url: asked.url.as_bytes() }.framing() == Some(Framing::Sse);
        let has_events = live.looks_at(Part::Events) || live.looks_at_answers();
        match (is_stream, has_events, live.looks_at(Part::ResponseBody)) {
            (true, true, _) => Self::Events,
            (true, false, true) => Self::Passes(Some(IS_STREAM.into())),
            (false, _, true) => match whole::why_no_text(&parts.headers) {
                None => Self::Whole,
                why => Self::Passes(why),
            },
            _ => Self::Passes(None),
        }
    }
}
