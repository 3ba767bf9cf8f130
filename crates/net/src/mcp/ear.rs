//! What one side says, as exchanges.

use super::MAX_LINE;
use super::book::{Book, Open};
use super::lines::{Lines, Piece};
use super::ruled::{Ruled, Ruling, Step};
use super::told::Told;
use crate::failure::Failure;
use crate::tape::{Exchange, Tape};
use claude_trace_core::clock::monotonic_nanos;
use claude_trace_core::exchange::Source;
use claude_trace_core::interceptor::Registry;
use claude_trace_core::interceptor::live::Live;
use claude_trace_core::jsonrpc::{self, Id, Kind, Message};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Streams have no heads: these are what Streamable HTTP would have sent. Readers take a body for JSON by its type.
const JSON: &str = "content-type: application/json\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

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
    /// Records exchanges with the server of that name. `rules`: what is done to messages on their way, if that is asked for.
    pub fn new(tape: &Tape, name: &str, rules: Option<&Arc<Registry>>) -> Self {
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
                ruled: rules.map(|rules| Ruled::new(Arc::clone(rules))),
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
    ruled: Option<Ruled>,
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
        self.said.told.drain(..).for_each(Told::passed);
    }

    /// Whether rules are on the way: then [`Self::take_steps`] says what passes, and not what was heard.
    pub fn has_rules(&self) -> bool {
        self.said.ruled.is_some()
    }

    /// What is to be done with what was heard, in order.
    pub fn take_steps(&mut self) -> Vec<Step> {
        self.said.ruled.as_mut().map_or_else(Vec::new, Ruled::take_steps)
    }

    /// The part of a line that rules have kept back.
    pub fn rest(&mut self) -> Vec<u8> {
        self.said.ruled.as_mut().map_or_else(Vec::new, Ruled::rest)
    }

    /// The other side did not take what was heard.
    pub fn failed(&mut self, failure: &Failure) {
        self.said.told.drain(..).for_each(|told| told.failed(failure));
    }

    /// Nothing more will come.
    pub fn end(&mut self) {
        if let Some(part) = self.said.part.take() {
            part.fail(&Failure::new("", "the stream ended in the middle of a line".into()));
        }
    }
}

/// Says in the record what rules have done.
fn mark(exchange: Option<&Exchange>, live: Option<&mut Live>) {
    if let (Some(exchange), Some(mark)) = (exchange, live.and_then(Live::mark)) {
        exchange.rules(&mark);
    }
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
                if let Some(ruled) = &mut self.said.ruled {
                    ruled.part(bytes, MAX_LINE);
                }
            }
            Piece::End => {
                if let Some(exchange) = self.said.part.take() {
                    self.said.told.push(Told::Alone(exchange));
                }
                self.end_of_line(b"", false);
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
        let batch = jsonrpc::batch(line);
        match &batch {
            _ if line.trim_ascii().is_empty() => {}
            None => self.message(line, "", at),
            Some(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    self.message(element, &format!("mcp-batch: {}/{}\r\n", index + 1, elements.len()), at);
                }
            }
        }
        self.end_of_line(line, batch.is_some());
    }

    fn end_of_line(&mut self, line: &[u8], is_batch: bool) {
        if let Some(ruled) = &mut self.said.ruled {
            ruled.end_of_line(line, is_batch, std::mem::take(&mut self.said.told));
        }
    }

    fn message(&mut self, text: &[u8], field: &str, at: u64) {
        let Some(message) = Message::parse(text) else {
            self.said.strays.fetch_add(1, Ordering::Relaxed);
            self.keep(text);
            return self.alone(text, "", field, at, None);
        };
        let field = &format!("{JSON}{field}");
        let method = message.method.as_deref().unwrap_or("");
        let id = message.id.and_then(Id::parse);
        match (message.kind, id) {
            (Kind::Request, Some(id)) => {
                let (ruling, mut live) = self.ask(text, &message, at);
                match ruling {
                    Ruling::On(text) => {
                        let exchange = self.told(&text, method, field, at);
                        mark(exchange.as_ref(), live.as_mut());
                        lock(&self.said.asked).ask(id, Open { exchange: exchange.clone(), live });
                        self.said.told.extend(exchange.map(Told::Request));
                    }
                    Ruling::Blocked(answer) => {
                        let exchange = self.told(text, method, field, at);
                        mark(exchange.as_ref(), live.as_mut());
                        if let (Some(exchange), Some(answer)) = (exchange, answer) {
                            exchange.response_head(ANSWER);
                            exchange.response_body(&answer);
                            self.said.told.push(Told::Blocked(exchange));
                        }
                    }
                }
            }
            (Kind::Response, Some(id)) => {
                let asked = lock(&self.said.answers).take(&id);
                let Some(Open { exchange, mut live }) = asked else {
                    self.keep(text);
                    return self.alone(text, method, field, at, None);
                };
                match (&mut self.said.ruled, &mut live) {
                    (Some(ruled), Some(live)) => ruled.answer(text, live),
                    _ => self.keep(text),
                }
                // It may not have been recorded.
                if let Some(exchange) = exchange {
                    mark(Some(&exchange), live.as_mut());
                    exchange.response_head(ANSWER);
                    exchange.response_body(text);
                    self.said.told.push(Told::Answer(exchange));
                }
            }
            (Kind::Response, None) => {
                self.keep(text);
                self.alone(text, method, field, at, None);
            }
            _ => {
                let (ruling, live) = self.ask(text, &message, at);
                let now = if let Ruling::On(now) = ruling { now } else { text.into() };
                self.alone(&now, method, field, at, live);
                if let Some(id) = message.cancels().and_then(Id::parse)
                    && let Some(Open { exchange: Some(exchange), .. }) = lock(&self.said.asked).take(&id)
                {
                    exchange
                        .fail(&Failure::new("ERR_CANCELLED", "the side that asked has taken it back".into()));
                }
            }
        }
    }

    /// What rules make of a request or a notification.
    fn ask<'m>(&mut self, text: &'m [u8], message: &Message<'_>, at: u64) -> (Ruling<'m>, Option<Live>) {
        match &mut self.said.ruled {
            Some(ruled) => ruled.ask(self.origin, text, message, at),
            None => (Ruling::On(text.into()), None),
        }
    }

    fn keep(&mut self, text: &[u8]) {
        if let Some(ruled) = &mut self.said.ruled {
            ruled.keep(text);
        }
    }

    fn alone(&mut self, text: &[u8], method: &str, field: &str, at: u64, mut live: Option<Live>) {
        let exchange = self.told(text, method, field, at);
        mark(exchange.as_ref(), live.as_mut());
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
