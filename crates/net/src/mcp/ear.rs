//! What one side says, as exchanges.

use super::MAX_LINE;
use super::book::Book;
use super::lines::{Lines, Piece};
use crate::failure::Failure;
use crate::tape::{Exchange, Tape};
use claude_trace_core::clock::monotonic_nanos;
use claude_trace_core::exchange::Source;
use claude_trace_core::jsonrpc::{self, Id, Kind, Message};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Streams have no heads: these are what Streamable HTTP would have sent. Readers take a body for JSON by its type.
const JSON: &str = "content-type: application/json\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\n";

/// Both ears of a relay.
pub struct Ears {
    /// Lines that were no messages.
    pub strays: Arc<AtomicU64>,
    /// Hears the client.
    pub client: Ear,
    /// Hears the server.
    pub server: Ear,
}

impl Ears {
    /// Records exchanges with the server of that name.
    pub fn new(tape: &Tape, name: &str) -> Self {
        let books: [Arc<Mutex<Book>>; 2] = Default::default();
        let [of_client, of_server] = &books;
        let strays = Arc::<AtomicU64>::default();
        let ear = |source, own: &Arc<Mutex<Book>>, others: &Arc<Mutex<Book>>| Ear {
            source,
            origin: format!("mcp+stdio://{}", host(name)),
            tape: tape.clone(),
            lines: Lines::new(MAX_LINE),
            said: Said {
                asked: Arc::clone(own),
                answers: Arc::clone(others),
                begun_at: 0,
                part: None,
                told: Vec::new(),
                strays: Arc::clone(&strays),
            },
        };
        Self {
            strays: Arc::clone(&strays),
            client: ear(Source::McpClient, of_client, of_server),
            server: ear(Source::McpServer, of_server, of_client),
        }
    }
}

/// Hears one side, in what a pump reads of it.
pub struct Ear {
    source: Source,
    origin: String,
    tape: Tape,
    lines: Lines,
    said: Said,
}

struct Said {
    /// This side's own requests.
    asked: Arc<Mutex<Book>>,
    /// The other side's, which this one answers.
    answers: Arc<Mutex<Book>>,
    /// When the first byte of the line came.
    begun_at: u64,
    /// The line that has not ended.
    part: Option<Exchange>,
    /// What is over when it has been passed on.
    told: Vec<Told>,
    strays: Arc<AtomicU64>,
}

enum Told {
    /// Waits for its answer.
    Request(Exchange),
    /// The exchange that it answers.
    Answer(Exchange),
    /// Nothing answers it.
    Alone(Exchange),
}

impl Ear {
    /// What was read, before it is passed on.
    pub fn hear(&mut self, bytes: &[u8]) {
        let Self { source, origin, tape, lines, said } = self;
        let now = monotonic_nanos();
        let mut teller = Teller { source: *source, origin, tape, said };
        lines.push(bytes, |piece| teller.take(piece, now));
    }

    /// What was heard has been passed on.
    pub fn passed(&mut self) {
        for told in self.said.told.drain(..) {
            match told {
                Told::Request(exchange) => exchange.request_end(),
                Told::Answer(exchange) => exchange.response_end(b""),
                Told::Alone(exchange) => accept(&exchange),
            }
        }
    }

    /// The other side did not take what was heard.
    pub fn failed(&mut self, failure: &Failure) {
        for told in self.said.told.drain(..) {
            let (Told::Request(exchange) | Told::Answer(exchange) | Told::Alone(exchange)) = told;
            exchange.fail(failure);
        }
    }

    /// Nothing more will come.
    pub fn end(&mut self) {
        if let Some(part) = self.said.part.take() {
            part.fail(&Failure::new("", "the stream ended in the middle of a line".into()));
        }
    }
}

fn accept(exchange: &Exchange) {
    exchange.request_end();
    exchange.response_head(ACCEPTED);
    exchange.response_end(b"");
}

struct Teller<'e> {
    source: Source,
    origin: &'e str,
    tape: &'e Tape,
    said: &'e mut Said,
}

impl Teller<'_> {
    fn take(&mut self, piece: Piece<'_>, now: u64) {
        match piece {
            Piece::Part(bytes) => {
                if self.said.part.is_none() {
                    self.said.begun_at = now;
                    self.said.part = self.begin("", "", now);
                }
                if let Some(part) = &self.said.part {
                    part.request_body(bytes);
                }
            }
            Piece::End => {
                if let Some(exchange) = self.said.part.take() {
                    self.said.told.push(Told::Alone(exchange));
                }
            }
            Piece::Line(line) => {
                // The whole line is told before its part is forgotten: at any moment one of them is in the spool.
                let part = self.said.part.take();
                self.line(line, if part.is_some() { self.said.begun_at } else { now });
                if let Some(part) = part {
                    part.abandon();
                }
            }
        }
    }

    fn line(&mut self, line: &[u8], at: u64) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let Some(elements) = jsonrpc::batch(line) else { return self.message(line, "", at) };
        let size = elements.len();
        for (index, element) in elements.into_iter().enumerate() {
            self.message(element, &format!("mcp-batch: {}/{size}\r\n", index + 1), at);
        }
    }

    fn message(&mut self, text: &[u8], field: &str, at: u64) {
        let Some(message) = Message::parse(text) else {
            self.said.strays.fetch_add(1, Ordering::Relaxed);
            return self.alone(text, "", field, at);
        };
        let field = &format!("{JSON}{field}");
        let method = message.method.as_deref().unwrap_or("");
        let id = message.id.and_then(Id::parse);
        match (message.kind, id) {
            (Kind::Request, Some(id)) => {
                let exchange = self.told(text, method, field, at);
                lock(&self.said.asked).ask(id, exchange.clone());
                self.said.told.extend(exchange.map(Told::Request));
            }
            (Kind::Response, Some(id)) => {
                let asked = lock(&self.said.answers).take(&id);
                match asked {
                    Some(Some(exchange)) => {
                        exchange.response_head(ANSWER);
                        exchange.response_body(text);
                        self.said.told.push(Told::Answer(exchange));
                    }
                    // It was not recorded.
                    Some(None) => {}
                    None => self.alone(text, method, field, at),
                }
            }
            _ => {
                self.alone(text, method, field, at);
                if let Some(id) = message.cancels().and_then(Id::parse)
                    && let Some(Some(exchange)) = lock(&self.said.asked).take(&id)
                {
                    exchange
                        .fail(&Failure::new("ERR_CANCELLED", "the side that asked has taken it back".into()));
                }
            }
        }
    }

    fn alone(&mut self, text: &[u8], method: &str, field: &str, at: u64) {
        let exchange = self.told(text, method, field, at);
        self.said.told.extend(exchange.map(Told::Alone));
    }

    fn told(&self, text: &[u8], method: &str, field: &str, at: u64) -> Option<Exchange> {
        let exchange = self.begin(method, field, at)?;
        exchange.request_body(text);
        Some(exchange)
    }

    fn begin(&self, method: &str, field: &str, at: u64) -> Option<Exchange> {
        let mut head = String::from("POST /");
        write_path(method, &mut head);
        head.push_str("\r\n");
        head.push_str(field);
        self.tape.begin_at(self.source, self.origin, head.as_bytes(), at)
    }
}

/// A method as a path.
fn write_path(method: &str, path: &mut String) {
    /// Enough for any method that is one.
    const MAX: usize = 256;
    for byte in method.bytes().take(MAX) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'$' => {
                path.push(char::from(byte));
            }
            _ => {
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
}

/// A name as a host.
fn host(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let host: String = name.chars().take(100).map(|c| if is_plain(c) { c } else { '-' }).collect();
    if host.is_empty() { "server".into() } else { host }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
