//! The `jsonrpc` of a trace: which message an exchange is about, read from its bodies. So it is the same for every
//! transport of MCP, and for a record that was recovered.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::Message as Half;
use super::json::{self, Object};
use crate::exchange::{Exchange, Source};
use crate::jsonrpc::{self, Kind, Message};

/// Spares all other bodies the parsing. Inside a string the quotes would be escaped.
static KEY: LazyLock<Finder> = LazyLock::new(|| Finder::new(b"\"jsonrpc\""));

/// Adds the member, if the exchange is one of JSON-RPC.
pub(super) fn write(exchange: &Exchange, request: &Half, response: Option<&Half>, trace: &mut Object) {
    let from = match exchange.source {
        Source::McpServer => "server",
        _ => "client",
    };
    let is_mcp = matches!(exchange.source, Source::McpClient | Source::McpServer);
    request.body.with_joined(|text| {
        let found = if KEY.find(text).is_some() { Asked::read(text) } else { None };
        let Some(asked) = found.or(is_mcp.then_some(Asked::Other)) else { return };
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
        if let (Asked::One(Message { kind: Kind::Request, .. }), Some(response)) = (&asked, response) {
            response.body.with_joined(|text| {
                if let Some(answer) = Message::parse(text) {
                    write_error(&answer, &mut out);
                }
            });
        }
        out.end();
    });
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
