//! The `jsonrpc` of a trace: which message an exchange is about, read from its bodies. So it is the same for every
//! transport of MCP, and for a record that was recovered.

use super::json::{self, Object};
use super::{Message as Half, stream};
use crate::exchange::{Exchange, Source, Unanswered};
use crate::jsonrpc::{self, Id, Kind, Message};
use crate::sse;

/// What is longer is not kept for a stream that goes on with it.
const MAX_KEPT: usize = 256;

/// Adds the member, if the exchange is one of JSON-RPC. The request that its stream was to answer and did not: whoever resumes
/// the stream may have the answer.
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
        match &asked {
            Asked::One(message) => {
                json::string(message.kind.name().as_bytes(), out.member("kind"));
                write_message(message, &mut out);
            }
            Asked::Batch(size) => {
                out.member("kind").extend_from_slice(b"\"batch\"");
                json::integer(*size as u64, out.member("size"));
            }
            Asked::Other => out.member("kind").extend_from_slice(b"\"other\""),
        }
        let mut unanswered = None;
        if let (Asked::One(Message { kind: Kind::Request, method, id: Some(id), .. }), Some(response)) =
            (&asked, response)
        {
            if stream::is_one(response) {
                let method = method.as_deref().unwrap_or_default();
                if !write_streamed_answer(id, response, &mut out) && method.len().max(id.len()) <= MAX_KEPT {
                    unanswered = Some(Unanswered { method: method.to_owned(), id: (*id).to_owned() });
                }
            } else {
                response.body.with_joined(|text| {
                    if let Some(answer) = Message::parse(text) {
                        write_error(&answer, &mut out);
                    }
                });
            }
        }
        out.end();
        unanswered
    })
}

/// The same for a stream that goes on with one in which a request was to be answered.
fn write_resumed(exchange: &Exchange, response: &Half, trace: &mut Object) -> Option<Unanswered> {
    let unanswered = exchange.earlier?.unanswered.as_ref().filter(|_| stream::is_one(response))?;
    let mut out = Object::begin(trace.member("jsonrpc"));
    out.member("from").extend_from_slice(b"\"client\"");
    out.member("kind").extend_from_slice(b"\"resumed\"");
    json::string(unanswered.method.as_bytes(), out.member("method"));
    out.member("id").extend_from_slice(unanswered.id.as_bytes());
    let is_answered = write_streamed_answer(&unanswered.id, response, &mut out);
    out.end();
    (!is_answered).then(|| unanswered.clone())
}

/// Where in a stream of events the request of that id is answered, and with which error. Whether it is.
fn write_streamed_answer(id: &str, response: &Half, out: &mut Object) -> bool {
    let id = Id::parse(id);
    let (mut parser, mut number, mut is_answered) = (sse::Parser::default(), 0, false);
    response.body.with_pieces(|pieces| {
        for piece in pieces {
            parser.push(piece, |event| {
                if !is_answered && let Some(answer) = answer_in(&event, id.as_ref()) {
                    is_answered = true;
                    json::integer(number, out.member("answer_event"));
                    write_error(&answer, out);
                }
                number += 1;
            });
            if is_answered {
                break;
            }
        }
    });
    is_answered
}

/// The answer that an event is.
fn answer_in<'e>(event: &sse::Event<'e>, to: Option<&Id>) -> Option<Message<'e>> {
    if !matches!(event.kind, b"" | b"message") || !jsonrpc::is_likely(event.data) {
        return None;
    }
    let message = Message::parse(event.data).filter(|message| message.kind == Kind::Response)?;
    // An error without an id answers what could not be read, which in this stream is this request.
    let id = message.id.and_then(Id::parse);
    (id.is_none() || id.as_ref() == to).then_some(message)
}

/// What the body of a request holds.
enum Asked<'a> {
    One(Message<'a>),
    /// So many elements.
    Batch(usize),
    Other,
}

impl<'a> Asked<'a> {
    fn read(text: &'a [u8]) -> Option<Self> {
        if let Some(message) = Message::parse(text) {
            return Some(Self::One(message));
        }
        let elements = jsonrpc::batch(text)?;
        let is_batch = elements.iter().any(|element| Message::parse(element).is_some());
        is_batch.then_some(Self::Batch(elements.len()))
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
