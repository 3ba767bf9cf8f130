//! From pieces of a stream to events. `mod.rs` says what must hold.

use super::Event;
use memchr::{memchr, memchr2};

const BOM: &[u8; 3] = b"\xef\xbb\xbf";

/// How much of a stream is held at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of a line.
    pub max_line_bytes: usize,
    /// Of the data of an event, the line feeds between its lines included.
    pub max_data_bytes: usize,
}

impl Default for Limits {
    /// 16 MiB a line: an image comes as one line of base64. 32 MiB an event.
    fn default() -> Self {
        Self { max_line_bytes: 16 << 20, max_data_bytes: 32 << 20 }
    }
}

/// The state between two pieces of a stream.
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
    /// The bytes before the current piece; in `push`, before its first byte.
    offset: u64,
    /// Where the block of lines began that no blank line has ended yet.
    block_start: u64,
    /// How much of a BOM the stream has begun with; [`BOM`]'s length once that is settled.
    bom: usize,
    /// The last byte was a CR: an LF now belongs to it.
    after_cr: bool,
    /// The start of a line that no piece has ended yet, without what is past the limit.
    line: Vec<u8>,
    /// `line` has lost its end.
    line_cut: bool,
    /// The data lines of the event under construction, each with its line feed.
    data: Vec<u8>,
    /// Its type.
    kind: Vec<u8>,
    retry: Option<u64>,
    cut: bool,
    /// The id that the next blank line makes the last one.
    next_id: Vec<u8>,
    is_id_new: bool,
    last_id: Vec<u8>,
    last_retry: Option<u64>,
    cut_lines: u64,
}

/// What of the event under construction lies in the current piece, and is not copied for that reason.
#[derive(Default)]
struct Here<'c> {
    /// Its only data line so far.
    data: Option<&'c [u8]>,
    kind: Option<&'c [u8]>,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Parser {
    /// A parser at the start of a stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            offset: 0,
            block_start: 0,
            bom: 0,
            after_cr: false,
            line: Vec::new(),
            line_cut: false,
            data: Vec::new(),
            kind: Vec::new(),
            retry: None,
            cut: false,
            next_id: Vec::new(),
            is_id_new: false,
            last_id: Vec::new(),
            last_retry: None,
            cut_lines: 0,
        }
    }

    /// Reads a piece. Each event that it completes goes to `on_event`.
    pub fn push(&mut self, piece: &[u8], mut on_event: impl FnMut(Event<'_>)) {
        let mut here = Here::default();
        let mut at = self.begin(piece);
        if at < piece.len() && (!self.line.is_empty() || self.line_cut) {
            at = self.end_line(piece, at);
        }
        while let Some(length) = memchr2(b'\n', b'\r', &piece[at..]) {
            let line = &piece[at..at + length];
            let end = at + length;
            at = self.after_line_end(piece, end);
            if line.is_empty() {
                self.dispatch(self.offset + end as u64 + 1, &mut here, &mut on_event);
                self.block_start = self.offset + at as u64;
            } else if line.len() > self.limits.max_line_bytes {
                self.take_cut(&line[..self.limits.max_line_bytes]);
                self.take(&line[..self.limits.max_line_bytes], &mut here);
            } else {
                self.take(line, &mut here);
            }
        }
        self.keep_line(&piece[at..]);
        self.keep(here);
        self.offset += piece.len() as u64;
    }

    /// How many bytes stand behind the last blank line: of an event that was never completed, or of comments.
    pub fn undispatched_bytes(&self) -> u64 {
        self.offset - self.block_start
    }

    /// The last event id, which a client would reconnect with.
    pub fn last_event_id(&self) -> &[u8] {
        &self.last_id
    }

    /// The last `retry`, in milliseconds: it holds for the stream, with or without an event.
    pub fn retry_ms(&self) -> Option<u64> {
        self.last_retry
    }

    /// How many lines have lost their end, comments aside.
    pub fn cut_lines(&self) -> u64 {
        self.cut_lines
    }

    /// Passes over a BOM at the very start, and over the LF of a CRLF that was split. Where the first line begins.
    fn begin(&mut self, piece: &[u8]) -> usize {
        let mut at = 0;
        while self.bom < BOM.len() && at < piece.len() {
            if piece[at] == BOM[self.bom] {
                self.bom += 1;
                at += 1;
                if self.bom == BOM.len() {
                    self.block_start = self.offset + at as u64;
                }
            } else {
                // It was none: what looked like it begins the first line.
                let seen = self.bom;
                self.bom = BOM.len();
                self.keep_line(&BOM[..seen]);
            }
        }
        if self.after_cr && at < piece.len() {
            self.after_cr = false;
            if piece[at] == b'\n' {
                if self.block_start == self.offset {
                    self.block_start += 1;
                }
                at += 1;
            }
        }
        at
    }

    /// Ends the line that earlier pieces began, if this one has its end. Where the next line begins.
    fn end_line(&mut self, piece: &[u8], at: usize) -> usize {
        let Some(length) = memchr2(b'\n', b'\r', &piece[at..]) else {
            self.keep_line(&piece[at..]);
            return piece.len();
        };
        self.keep_line(&piece[at..at + length]);
        let end = at + length;
        let next = self.after_line_end(piece, end);
        let mut line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.line_cut) {
            self.take_cut(&line);
        }
        let mut own = Here::default();
        self.take(&line, &mut own);
        self.keep(own);
        line.clear();
        self.line = line;
        next
    }

    /// Where the line behind the CR, LF or CRLF at `end` begins.
    fn after_line_end(&mut self, piece: &[u8], end: usize) -> usize {
        if piece[end] == b'\n' {
            return end + 1;
        }
        match piece.get(end + 1) {
            Some(b'\n') => end + 2,
            Some(_) => end + 1,
            None => {
                self.after_cr = true;
                end + 1
            }
        }
    }

    /// A line that is not blank.
    #[inline]
    fn take<'c>(&mut self, line: &'c [u8], here: &mut Here<'c>) {
        if let Some(value) = line.strip_prefix(b"data:") {
            self.take_data(without_space(value), here);
        } else if let Some(value) = line.strip_prefix(b"event:") {
            here.kind = Some(without_space(value));
        } else {
            self.take_rare(line, here);
        }
    }

    fn take_rare<'c>(&mut self, line: &'c [u8], here: &mut Here<'c>) {
        let (field, value) = match memchr(b':', line) {
            Some(colon) => (&line[..colon], without_space(&line[colon + 1..])),
            None => (line, &line[line.len()..]),
        };
        match field {
            b"data" => self.take_data(value, here),
            b"event" => here.kind = Some(value),
            b"id" if memchr(0, value).is_none() => {
                self.next_id.clear();
                self.next_id.extend_from_slice(value);
                self.is_id_new = true;
            }
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let retry = value
                    .iter()
                    .fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
                self.retry = Some(retry);
                self.last_retry = Some(retry);
            }
            _ => {}
        }
    }

    #[inline]
    fn take_data<'c>(&mut self, value: &'c [u8], here: &mut Here<'c>) {
        if self.data.is_empty() && here.data.is_none() && value.len() <= self.limits.max_data_bytes {
            here.data = Some(value);
            return;
        }
        if let Some(first) = here.data.take() {
            self.keep_data(first);
        }
        self.keep_data(value);
    }

    /// Adds a line and its line feed. Of what has no room (the last line feed is not of the data) nothing is kept.
    fn keep_data(&mut self, value: &[u8]) {
        let room = self.limits.max_data_bytes + 1 - self.data.len();
        if value.len() < room {
            self.data.extend_from_slice(value);
            self.data.push(b'\n');
        } else {
            self.cut = true;
            self.data.extend_from_slice(&value[..room]);
        }
    }

    /// Notes that a line has lost its end. Of a comment nothing is lost.
    fn take_cut(&mut self, line: &[u8]) {
        if line.first() != Some(&b':') {
            self.cut = true;
            self.cut_lines += 1;
        }
    }

    #[inline]
    fn dispatch<'c>(&mut self, end: u64, here: &mut Here<'c>, on_event: &mut impl FnMut(Event<'_>)) {
        let has_id = std::mem::take(&mut self.is_id_new);
        if has_id {
            self.last_id.clone_from(&self.next_id);
        }
        let kept = self.data.split_last().map(|(_line_feed, data)| data);
        if let Some(data) = here.data.take().or(kept) {
            let kind = here.kind.unwrap_or(&self.kind);
            let (start, id) = (self.block_start, &*self.last_id);
            on_event(Event { data, kind, id, has_id, retry: self.retry, start, end, cut: self.cut });
        }
        here.kind = None;
        self.data.clear();
        self.kind.clear();
        self.retry = None;
        self.cut = false;
    }

    /// Copies what would go with the piece.
    fn keep(&mut self, here: Here<'_>) {
        if let Some(data) = here.data {
            self.keep_data(data);
        }
        if let Some(kind) = here.kind {
            self.kind.clear();
            self.kind.extend_from_slice(kind);
        }
    }

    fn keep_line(&mut self, part: &[u8]) {
        let room = self.limits.max_line_bytes - self.line.len();
        self.line_cut |= part.len() > room;
        self.line.extend_from_slice(&part[..part.len().min(room)]);
    }
}

fn without_space(value: &[u8]) -> &[u8] {
    value.strip_prefix(b" ").unwrap_or(value)
}
