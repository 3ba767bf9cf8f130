//! The exchanges that are open: entries go in, finished exchanges come out. Used by the assembler as entries arrive and by
//! recovery with those of a dead process.
//!
//! An open exchange holds places in segments, not bytes: the spool keeps the only copy until the record is in the log.

use super::recipe::Context;
use crate::error::{Error, Result};
use crate::exchange::{Chunk, End, Exchange, Kind, Response, Source, WallNanos};
use crate::interceptor::Changes;
use crate::spool::layout::{EntryHeader, FLAG_CONTINUES, FLAG_GAP, FLAG_INTENT, Intent, IntentState};
use crate::spool::pool::Hold;
use std::borrow::Cow;
use std::collections::HashMap;

/// A payload, or a part of one, in a segment.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Index into the exchange's holds.
    pub hold: u32,
    /// Where its entry starts in the segment.
    pub entry: u32,
    /// Its bytes in the segment.
    pub start: u32,
    /// Their end.
    pub end: u32,
    /// When it happened.
    pub at: WallNanos,
    /// The next span is a part of the same payload.
    pub continues: bool,
}

/// An exchange of which entries have been read.
#[derive(Debug)]
pub struct Open {
    /// The JS environment it came from.
    pub chain: u32,
    /// Its number there.
    pub number: u64,
    /// Time the hooks took, without that of received chunks.
    pub hook_ns: u64,
    /// The segments its spans lie in.
    pub holds: Vec<Hold>,
    source: Source,
    request_head: Vec<Span>,
    request_body: Vec<Span>,
    request_end: Option<Span>,
    response_head: Vec<Span>,
    response_body: Vec<Span>,
    /// Trailers or error text.
    last: Vec<Span>,
    /// What rules have done: what was said last.
    rules: Vec<Span>,
    last_at: WallNanos,
    gap: bool,
}

/// An exchange to which nothing will be added.
#[derive(Debug)]
pub struct Finished {
    /// What is known of it.
    pub open: Open,
    /// How it ended.
    pub ending: Ending,
    /// What interceptors want changed in its record.
    pub changes: Option<Box<Changes>>,
}

/// [`End`] without borrowed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The response arrived whole.
    Complete,
    /// The last span holds `code\nmessage`.
    Error,
    /// Watching stopped.
    Cut(&'static str),
}

/// What became of an entry.
#[derive(Debug)]
pub enum Applied {
    /// It belongs to an exchange that goes on, or to none.
    Nothing,
    /// It opened an exchange.
    Opened,
    /// It ended one.
    Finished(Box<Finished>),
    /// It ended one that is not to be recorded.
    Abandoned(Box<Open>),
}

/// The open exchanges of all chains.
#[derive(Debug, Default)]
pub struct Table {
    open: HashMap<(u32, u64), Box<Open>>,
}

impl Table {
    /// Takes in the entry at `at` of the held segment.
    pub fn apply(&mut self, hold: &Hold, at: usize, header: &EntryHeader) -> Applied {
        let Some(kind) = Kind::from_u8(header.kind) else { return Applied::Nothing };
        let key = (header.chain, header.exchange);
        let mut opened = false;
        if kind == Kind::RequestHead && header.flags & FLAG_INTENT != 0 {
            let Some(source) = Source::from_u8(header.source) else { return Applied::Nothing };
            self.open.insert(key, Box::new(Open::new(key, source, header.at)));
            opened = true;
        }
        // Entries of an exchange that was closed here (`cleanup()`, or already in the log) come to nothing.
        let Some(open) = self.open.get_mut(&key) else { return Applied::Nothing };
        open.add(kind, hold, at, header);
        if opened {
            return Applied::Opened;
        }
        if !kind.is_final() || header.flags & FLAG_CONTINUES != 0 {
            return Applied::Nothing;
        }
        let open = *self.open.remove(&key).expect("it was found a moment ago");
        let ending = match kind {
            Kind::ResponseEnd => Ending::Complete,
            Kind::Error => Ending::Error,
            _ => return Applied::Abandoned(Box::new(open)),
        };
        Applied::Finished(Box::new(Finished { open, ending, changes: None }))
    }

    /// Ends the open exchanges of one chain, or of all, in the order in which they began.
    pub fn cut(&mut self, chain: Option<u32>, why: &'static str) -> Vec<Finished> {
        let mut cut: Vec<_> = self.open.extract_if(|key, _| chain.is_none_or(|c| c == key.0)).collect();
        cut.sort_by_key(|(key, open)| (open.started_at(), *key));
        cut.into_iter()
            .map(|(_, open)| Finished { open: *open, ending: Ending::Cut(why), changes: None })
            .collect()
    }

    /// The open exchanges.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Open> {
        self.open.values_mut().map(|open| &mut **open)
    }
}

impl Open {
    fn new((chain, number): (u32, u64), source: Source, at: WallNanos) -> Self {
        Self {
            chain,
            number,
            hook_ns: 0,
            holds: Vec::with_capacity(2),
            source,
            request_head: Vec::with_capacity(1),
            request_body: Vec::new(),
            request_end: None,
            response_head: Vec::new(),
            response_body: Vec::new(),
            last: Vec::new(),
            rules: Vec::new(),
            last_at: at,
            gap: false,
        }
    }

    fn add(&mut self, kind: Kind, hold: &Hold, at: usize, header: &EntryHeader) {
        let start = at + header.payload_offset();
        let span = Span {
            hold: self.hold_index(hold),
            entry: at as u32,
            start: start as u32,
            end: (start + header.payload_len as usize) as u32,
            at: header.at,
            continues: header.flags & FLAG_CONTINUES != 0,
        };
        self.last_at = self.last_at.max(header.at);
        self.gap |= header.flags & FLAG_GAP != 0;
        if kind != Kind::ResponseBody {
            self.hook_ns += u64::from(header.hook_ns);
        }
        match kind {
            Kind::RequestHead => self.request_head.push(span),
            Kind::RequestBody => self.request_body.push(span),
            Kind::RequestEnd => self.request_end = Some(span),
            // A second head would be that of a 1xx that slipped through: the last one counts.
            Kind::ResponseHead => {
                if self.response_head.last().is_some_and(|last| !last.continues) {
                    self.response_head.clear();
                }
                self.response_head.push(span);
            }
            Kind::ResponseBody => self.response_body.push(span),
            Kind::ResponseEnd | Kind::Error | Kind::Abandon => self.last.push(span),
            Kind::Rules => {
                if self.rules.last().is_some_and(|last| !last.continues) {
                    self.rules.clear();
                }
                self.rules.push(span);
            }
        }
    }

    fn hold_index(&mut self, hold: &Hold) -> u32 {
        index_of(&mut self.holds, hold)
    }

    /// When it began.
    pub fn started_at(&self) -> WallNanos {
        self.request_head.first().map_or(self.last_at, |span| span.at)
    }

    /// When the last of it happened.
    pub fn last_at(&self) -> WallNanos {
        self.last_at
    }

    /// The segment and entry that hold the place for the intent.
    pub fn intent_place(&self) -> Option<(&Hold, usize)> {
        let head = self.request_head.first()?;
        Some((&self.holds[head.hold as usize], head.entry as usize))
    }

    /// Notes that entries of it were dropped.
    pub fn mark_gap(&mut self) {
        self.gap = true;
    }

    /// Notes in the spool that nothing is left to be done for this exchange.
    pub fn mark_done(&self) {
        if let Some((hold, at)) = self.intent_place() {
            // If this fails, a recovery makes a record of what should have none: no bytes are lost.
            let _ = hold.segment().set_intent(at, &Intent::without_line(IntentState::Done));
        }
    }

    /// Lets go of a segment: `copy` is given each entry that lies there and says where it lies now. `false` if it could not
    /// say so for one of them: those before it have moved, and the claim stays.
    pub fn relocate(&mut self, from: &Hold, mut copy: impl FnMut(usize) -> Option<(Hold, usize)>) -> bool {
        let old = std::mem::take(&mut self.holds);
        let mut holds: Vec<Hold> = Vec::with_capacity(old.len());
        let mut all = true;
        for (_, span) in self.spans_mut() {
            let mut hold = old[span.hold as usize].clone();
            if all && hold.is_same(from) {
                match copy(span.entry as usize) {
                    Some((to, at)) => {
                        span.start = at as u32 + (span.start - span.entry);
                        span.end = at as u32 + (span.end - span.entry);
                        span.entry = at as u32;
                        hold = to;
                    }
                    None => all = false,
                }
            }
            span.hold = index_of(&mut holds, &hold);
        }
        self.holds = holds;
        all
    }

    /// Every span, and what can be done to it.
    pub fn spans_mut(&mut self) -> impl Iterator<Item = (Kind, &mut Span)> {
        let named = |kind| move |span| (kind, span);
        self.request_head
            .iter_mut()
            .map(named(Kind::RequestHead))
            .chain(self.request_body.iter_mut().map(named(Kind::RequestBody)))
            .chain(self.request_end.iter_mut().map(named(Kind::RequestEnd)))
            .chain(self.response_head.iter_mut().map(named(Kind::ResponseHead)))
            .chain(self.response_body.iter_mut().map(named(Kind::ResponseBody)))
            .chain(self.last.iter_mut().map(named(Kind::ResponseEnd)))
            .chain(self.rules.iter_mut().map(named(Kind::Rules)))
    }
}

fn index_of(holds: &mut Vec<Hold>, hold: &Hold) -> u32 {
    // Entries come in order, so it is the last one but for the rare moment when a segment ends.
    let found = holds.iter().rposition(|held| held.is_same(hold));
    found.unwrap_or_else(|| {
        holds.push(hold.clone());
        holds.len() - 1
    }) as u32
}

impl Finished {
    /// Lends the exchange to `make`, with its bytes as they lie in the spool.
    pub fn with_exchange<T>(&self, context: &Context, make: impl FnOnce(Exchange<'_>) -> T) -> Result<T> {
        let open = &self.open;
        let id = format!("{}.{}.{}", context.session, open.chain, open.number);
        let request_head = open.whole(&open.request_head)?;
        let request_chunks = open.payloads(&open.request_body)?;
        let response_head = open.whole(&open.response_head)?;
        let response_chunks = open.payloads(&open.response_body)?;
        let last = open.whole(&open.last)?;
        let rules = open.whole(&open.rules)?;
        let (trailers, error): (&[u8], _) = match self.ending {
            Ending::Complete => (&last, Cow::Borrowed("")),
            Ending::Error => (&[], String::from_utf8_lossy(&last)),
            Ending::Cut(_) => (&[], Cow::Borrowed("")),
        };
        let (code, message) = error.split_once('\n').unwrap_or(("", &error));
        let exchange = Exchange {
            id: &id,
            pid: context.pid,
            source: open.source,
            started_at: open.started_at(),
            request_head: &request_head,
            request_chunks: borrow(&request_chunks),
            request_sent_at: open.request_end.map(|span| span.at),
            response: open.response_head.first().map(|head| Response {
                at: head.at,
                head: &response_head,
                chunks: borrow(&response_chunks),
                trailers,
            }),
            ended_at: open.last_at,
            end: match self.ending {
                Ending::Complete => End::Complete,
                Ending::Error => End::Error { code, message },
                Ending::Cut(why) => End::Cut(why),
            },
            gap: open.gap,
            recovered: context.recovered,
            zero_latency: context.zero_latency,
            rules: &rules,
            earlier: None,
        };
        Ok(make(exchange))
    }
}

type Payload<'a> = (WallNanos, Cow<'a, [u8]>);

fn borrow<'a>(payloads: &'a [Payload<'_>]) -> Vec<Chunk<'a>> {
    payloads.iter().map(|(at, bytes)| Chunk { at: *at, bytes }).collect()
}

impl Open {
    fn bytes(&self, span: &Span) -> Result<Cow<'_, [u8]>> {
        let segment = self.holds[span.hold as usize].segment();
        segment.read(span.start as usize, span.end as usize).map_err(Error::io("read", segment.name()))
    }

    /// The payloads of spans, parts of one joined.
    fn payloads(&self, spans: &[Span]) -> Result<Vec<Payload<'_>>> {
        let mut payloads: Vec<Payload<'_>> = Vec::with_capacity(spans.len());
        let mut joining = false;
        for span in spans {
            let bytes = self.bytes(span)?;
            match payloads.last_mut().filter(|_| joining) {
                Some((_, joined)) => joined.to_mut().extend_from_slice(&bytes),
                None => payloads.push((span.at, bytes)),
            }
            joining = span.continues;
        }
        Ok(payloads)
    }

    fn whole(&self, spans: &[Span]) -> Result<Cow<'_, [u8]>> {
        if let [span] = spans {
            return self.bytes(span);
        }
        let mut whole = Vec::new();
        for span in spans {
            whole.extend_from_slice(&self.bytes(span)?);
        }
        Ok(Cow::Owned(whole))
    }
}
