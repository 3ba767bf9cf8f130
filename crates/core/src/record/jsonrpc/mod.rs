//! The `jsonrpc` of a trace: which message an exchange is about, read from its bodies. So it is the same for every
//! transport of MCP, and for a record that was recovered.

mod answers;

use super::json::{self, Object};
use super::{Message as Half, stream};
use crate::exchange::{Exchange, Source, Unanswered};
use crate::jsonrpc::{self, Message};
use answers::Answers;

/// Adds the member, if the exchange is one of JSON-RPC. What its stream was to answer and did not: whoever resumes the
/// stream may have the answer.
pub(super) fn write(
    exchange: &Exchange,
    request: &Half,
    response: Option<&Half>,
    trace: &mut Object,
) -> Option<Unanswered> {
    let from = match exchange.source {
        Source::McpServer => "server",
        _ => "client",
    };
    let is_mcp = matches!(exchange.source, Source::McpClient | Source::McpServer);
    request.body.with_joined(|text| {
        let found = if jsonrpc::is_likely(text) { Asked::read(text) } else { None };
        let Some(asked) = found.or(is_mcp.then_some(Asked::Other)) else {
            return write_resumed(exchange, response?, trace);
        };
        let mut out = Object::begin(trace.member("jsonrpc"));
        json::string(from.as_bytes(), out.member("from"));
        let mut answers = match asked {
            Asked::One(message) => {
                json::string(message.kind.name().as_bytes(), out.member("kind"));
                write_message(&message, &mut out);
                Answers::to(&message)
            }
            Asked::Batch(elements) => {
                out.member("kind").extend_from_slice(b"\"batch\"");
                json::integer(elements.len() as u64, out.member("size"));
                Answers::to_batch(&elements)
            }
            Asked::Other => {
                out.member("kind").extend_from_slice(b"\"other\"");
                Answers::default()
            }
        };
        let unanswered = response.filter(|_| answers.wants_any()).and_then(|response| {
            let is_stream = stream::is_one(response);
            if is_stream {
                answers.read_stream(response);
            } else {
                answers.read(response);
            }
            answers.write(&mut out);
            if is_stream { answers.rest() } else { None }
        });
        out.end();
        unanswered
    })
}

/// The same for a stream that goes on with one in which something was to be answered.
fn write_resumed(exchange: &Exchange, response: &Half, trace: &mut Object) -> Option<Unanswered> {
    let unanswered = exchange.earlier?.unanswered.as_ref().filter(|_| stream::is_one(response))?;
    let mut out = Object::begin(trace.member("jsonrpc"));
    out.member("from").extend_from_slice(b"\"client\"");
    out.member("kind").extend_from_slice(b"\"resumed\"");
    match (unanswered.batch, unanswered.requests.first()) {
        (Some(size), _) => json::integer(size as u64, out.member("size")),
        (None, Some(request)) => {
            json::string(request.method.as_bytes(), out.member("method"));
            out.member("id").extend_from_slice(request.id.as_bytes());
        }
        (None, None) => {}
    }
    let mut answers = Answers::to_rest(unanswered);
    answers.read_stream(response);
    answers.write(&mut out);
    out.end();
    answers.rest()
}

/// What the body of a request holds.
enum Asked<'a> {
    One(Message<'a>),
    /// Its elements.
    Batch(Vec<&'a [u8]>),
    Other,
}

impl<'a> Asked<'a> {
    fn read(text: &'a [u8]) -> Option<Self> {
        if let Some(message) = Message::parse(text) {
            return Some(Self::One(message));
        }
        let elements = jsonrpc::batch(text)?;
        let is_batch = elements.iter().any(|element| Message::parse(element).is_some());
        is_batch.then_some(Self::Batch(elements))
    }
}

fn write_message(message: &Message, out: &mut Object) {
    if let Some(method) = &message.method {
        json::string(method.as_bytes(), out.member("method"));
    }
    // These are JSON as they stand.
    for (key, value) in
        [("id", message.id), ("progress_token", message.progress_token()), ("cancels", message.cancels())]
    {
        if let Some(value) = value {
            out.member(key).extend_from_slice(value.as_bytes());
        }
    }
    write_error(message, out);
}

fn write_error(message: &Message, out: &mut Object) {
    if let Some((code, words)) = message.error() {
        let mut error = Object::begin(out.member("error"));
        error.member("code").extend_from_slice(code.as_bytes());
        json::string(words.as_bytes(), error.member("message"));
        error.end();
    }
}
