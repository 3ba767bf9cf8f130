//! The words everything else is written in: what an exchange is made of.
//!
//! An *exchange* is one HTTP request on the wire and what came of it; between an MCP client and a server on its standard
//! streams, one JSON-RPC message and its answer. A hook tells of it in *entries*, each of one [`Kind`]; heads travel as the
//! text that HTTP/1.1 would put on the wire.

use crate::sse::Ids;
use serde::{Deserialize, Serialize};

/// Nanoseconds since the Unix epoch.
pub type WallNanos = u64;

/// What an entry says. The numbers stand in spool files and in the hooks: they never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// `METHOD URL HTTP/x.y\r\n` and `name: value\r\n` lines, already redacted.
    RequestHead = 1,
    /// Bytes of the request's body, as sent.
    RequestBody = 2,
    /// The request's body is complete.
    RequestEnd = 3,
    /// `HTTP/x.y STATUS REASON\r\n` and `name: value\r\n` lines, already redacted.
    ResponseHead = 4,
    /// Bytes of the response's body, as received (still content-encoded).
    ResponseBody = 5,
    /// The response is complete. Payload: trailer lines, if any.
    ResponseEnd = 6,
    /// The exchange failed. Payload: `code\nmessage`.
    Error = 7,
    /// The exchange was seen by a better hook: forget it.
    Abandon = 8,
    /// What rules on the way of the exchange have done to it, so far: JSON, the last one counts.
    Rules = 9,
}

impl Kind {
    /// The kind of that number, if there is one.
    pub fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::RequestHead,
            2 => Self::RequestBody,
            3 => Self::RequestEnd,
            4 => Self::ResponseHead,
            5 => Self::ResponseBody,
            6 => Self::ResponseEnd,
            7 => Self::Error,
            8 => Self::Abandon,
            9 => Self::Rules,
            _ => return None,
        })
    }

    /// Whether nothing can follow an entry of this kind in its exchange.
    pub fn is_final(self) -> bool {
        matches!(self, Self::ResponseEnd | Self::Error | Self::Abandon)
    }
}

/// Which hook saw an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Source {
    /// undici's diagnostics channels and request taps.
    Undici = 1,
    /// `node:http` and `node:https`.
    Http = 2,
    /// `node:http2`.
    Http2 = 3,
    /// The wrapper around a fetch that is not undici's.
    Fetch = 4,
    /// A proxy in front of the client.
    Proxy = 5,
    /// A relay between an MCP client and its server: the client began the exchange.
    McpClient = 6,
    /// The same: the server did.
    McpServer = 7,
}

impl Source {
    /// The source of that number, if there is one.
    pub fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Undici,
            2 => Self::Http,
            3 => Self::Http2,
            4 => Self::Fetch,
            5 => Self::Proxy,
            6 => Self::McpClient,
            7 => Self::McpServer,
            _ => return None,
        })
    }

    /// The name that stands in records (`trace.via`).
    pub fn name(self) -> &'static str {
        match self {
            Self::Undici => "undici",
            Self::Http => "http",
            Self::Http2 => "http2",
            Self::Fetch => "fetch",
            Self::Proxy => "proxy",
            Self::McpClient | Self::McpServer => "mcp",
        }
    }
}

/// How an exchange came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End<'a> {
    /// The response arrived whole.
    Complete,
    /// It failed: the error's code (may be empty) and message.
    Error {
        /// `ECONNRESET`, `ABORT_ERR`, …
        code: &'a str,
        /// The error's own words.
        message: &'a str,
    },
    /// Its process stopped watching while it was open (exit, kill, `cleanup()`): the reason in words.
    Cut(&'a str),
}

/// A run of body bytes and when it arrived (or was sent).
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// When the hook saw it.
    pub at: WallNanos,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// What of a response had arrived.
#[derive(Clone, Debug)]
pub struct Response<'a> {
    /// When its head arrived.
    pub at: WallNanos,
    /// Its head, as [`Kind::ResponseHead`] describes it.
    pub head: &'a [u8],
    /// Its body in the chunks it came in.
    pub chunks: Vec<Chunk<'a>>,
    /// `name: value\r\n` lines that followed the body.
    pub trailers: &'a [u8],
}

/// An exchange whose stream of events another one goes on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Its id.
    pub id: String,
    /// Those of its events.
    pub ids: Ids,
    /// The JSON-RPC requests that it was to answer and did not.
    pub unanswered: Option<Unanswered>,
}

/// JSON-RPC requests of one body whose answers have not come yet. One at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// In their order.
    pub requests: Vec<Waiting>,
    /// How many elements the batch has that they stand in; `None`: it is a request by itself.
    pub batch: Option<usize>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its place in the batch.
    pub element: usize,
    /// What it asks for.
    pub method: String,
    /// Its id, as it is spelled.
    pub id: String,
}

/// A finished (or cut-off) exchange: what a record is made from. Borrows from the spool.
#[derive(Clone, Debug)]
pub struct Exchange<'a> {
    /// Unique among all exchanges of all processes: `<session>.<chain>.<number>`.
    pub id: &'a str,
    /// The process that saw it.
    pub pid: u32,
    /// Which hook saw it.
    pub source: Source,
    /// When the request was made.
    pub started_at: WallNanos,
    /// The request's head, as [`Kind::RequestHead`] describes it.
    pub request_head: &'a [u8],
    /// The request's body in the chunks it was sent in.
    pub request_chunks: Vec<Chunk<'a>>,
    /// When the request had been sent whole; `None` if that was not seen.
    pub request_sent_at: Option<WallNanos>,
    /// The response, if its head arrived.
    pub response: Option<Response<'a>>,
    /// When the last of it happened.
    pub ended_at: WallNanos,
    /// How it ended.
    pub end: End<'a>,
    /// Whether entries of it were dropped because the spool was full.
    pub gap: bool,
    /// Whether it was read from the spool of a process that had died.
    pub recovered: bool,
    /// Whether it was recorded in zero-latency mode.
    pub zero_latency: bool,
    /// What rules have done to it ([`Kind::Rules`]); empty: nothing.
    pub rules: &'a [u8],
    /// The exchange whose stream it resumes, if that is known.
    pub earlier: Option<&'a Earlier>,
}
