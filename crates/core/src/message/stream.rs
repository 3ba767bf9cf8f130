//! A body that arrives, and what is derived from it.

use super::anthropic::Anthropic;
use super::array;
use super::chat::Chat;
use super::converse::Converse;
use super::gemini::Gemini;
use super::made::{Effect, Made, Usage};
use super::provider::{Framing, Hints, Provider, of_event};
use super::responses::Responses;
use super::text::{Text, mend, value};
use super::timing::{Clock, Stalls, Timing};
use crate::{frames, sse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What a stream came to: the `derived` of a record (`docs/format.md`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Derived {
    /// 1: this shape.
    pub v: u32,
    /// Whose events they are.
    pub provider: Provider,
    /// How they were packed.
    pub framing: Framing,
    /// The provider said that the message ends here.
    pub complete: bool,
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// In the provider's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<String>,
    /// An error that came in the stream, in the provider's shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// Tokens, in the same words for all providers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The output tokens by the time between the first event with tokens and the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
    /// When its bytes and events came, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timing_ms: Option<Timing>,
    /// Gaps that were too long, if times are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stalls: Option<Stalls>,
    /// Counts of events.
    pub events: Counts,
    /// The message, as the provider's own SDK puts it together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Value>,
}

/// Counts of events. Those but the first are absent where they are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All that were dispatched.
    pub count: u64,
    /// Of these, those whose data is not the JSON it should be.
    #[serde(skip_serializing_if = "is_zero")]
    pub unread: u64,
    /// Of these, those that the exchange which this one resumes had already: they are in its message and not in this one.
    #[serde(skip_serializing_if = "is_zero")]
    pub replayed: u64,
    /// Of these, those that were longer than what is kept of one.
    #[serde(skip_serializing_if = "is_zero")]
    pub cut: u64,
    /// Frames with a wrong checksum, which were passed over.
    #[serde(skip_serializing_if = "is_zero")]
    pub damaged: u64,
    /// Bytes at the end that are no event: the stream broke off.
    #[serde(skip_serializing_if = "is_zero")]
    pub undispatched_bytes: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A stream of events that is read as it arrives.
#[derive(Debug)]
pub struct Stream {
    parser: Parser,
    reader: Reader,
}

#[derive(Debug)]
enum Parser {
    Sse(sse::Parser),
    Frames(frames::Parser),
    Array(array::Parser),
}

/// What becomes of events, however they are packed.
#[derive(Debug)]
struct Reader {
    framing: Framing,
    hint: Option<Provider>,
    accumulator: Accumulator,
    clock: Clock,
    counts: Counts,
    /// An error that says nothing of whose it is.
    error: Option<Value>,
    /// Runs of events to pass over, in their order: the first of each, and how many.
    replayed: std::vec::IntoIter<(u64, u64)>,
    run: Option<(u64, u64)>,
}

#[derive(Debug)]
enum Accumulator {
    /// No event has said yet whose stream it is.
    Undecided,
    Anthropic(Box<Anthropic>),
    Chat(Box<Chat>),
    Responses(Box<Responses>),
    Converse(Box<Converse>),
    Gemini(Box<Gemini>),
}

impl Stream {
    /// `None`: a body of that type is no stream of events.
    pub fn of(hints: &Hints) -> Option<Self> {
        let framing = hints.framing()?;
        let parser = match framing {
            Framing::Sse => Parser::Sse(sse::Parser::default()),
            Framing::AwsEventStream => Parser::Frames(frames::Parser::default()),
            Framing::JsonArray => Parser::Array(array::Parser::default()),
        };
        let reader = Reader {
            framing,
            hint: hints.provider(),
            accumulator: Accumulator::Undecided,
            clock: Clock::default(),
            counts: Counts::default(),
            error: None,
            replayed: Vec::new().into_iter(),
            run: None,
        };
        Some(Self { parser, reader })
    }

    /// Passes over server-sent events that an earlier exchange had already, given as the first of each run, in their
    /// order, and how many they are. They are counted. Before the first piece.
    pub fn pass_over(&mut self, replayed: Vec<(u64, u64)>) {
        self.reader.replayed = replayed.into_iter();
        self.reader.run = self.reader.replayed.next();
    }

    /// Says when the first byte of an encoded body came, which may be before anything of it can be read.
    pub fn begin(&mut self, at: Option<u64>) {
        self.reader.clock.byte(at);
    }

    /// Reads a piece of the body that came `at` that many nanoseconds after the request, if that is known.
    pub fn push(&mut self, piece: &[u8], at: Option<u64>) {
        let Self { parser, reader } = self;
        if !piece.is_empty() {
            reader.clock.byte(at);
        }
        match parser {
            Parser::Sse(parser) => parser.push(piece, |event| {
                reader.counts.cut += u64::from(event.cut);
                if reader.is_replayed() {
                    reader.counts.count += 1;
                    reader.counts.replayed += 1;
                } else {
                    reader.event(None, event.data, at);
                }
            }),
            Parser::Frames(parser) => parser.push(piece, |frame| reader.frame(&frame, at)),
            Parser::Array(parser) => parser.push(piece, |element| reader.event(None, element, at)),
        }
    }

    /// What it came to.
    pub fn finish(self) -> Derived {
        let Reader { framing, accumulator, clock, mut counts, error, .. } = self.reader;
        match &self.parser {
            Parser::Sse(parser) => counts.undispatched_bytes = parser.undispatched_bytes(),
            Parser::Frames(parser) => {
                counts.undispatched_bytes = parser.undispatched_bytes();
                counts.damaged = parser.damaged();
            }
            Parser::Array(parser) => {
                counts.undispatched_bytes = parser.undispatched_bytes();
                counts.cut = parser.cut();
            }
        }
        let (provider, made) = accumulator.finish();
        let tokens_per_second = clock.tokens_per_second(made.usage.and_then(|usage| usage.output_tokens));
        let (timing_ms, stalls) = clock.finish().unzip();
        Derived {
            v: 1,
            provider,
            framing,
            complete: made.is_complete,
            model: made.model,
            stop_reason: made.stop_reason,
            error: made.error.or(error),
            usage: made.usage,
            tokens_per_second,
            timing_ms,
            stalls,
            events: counts,
            message: made.message,
        }
    }
}

impl Reader {
    /// Whether the next event lies in a run to pass over.
    fn is_replayed(&mut self) -> bool {
        let number = self.counts.count;
        while let Some((first, count)) = self.run {
            if number < first {
                return false;
            }
            if number - first < count {
                return true;
            }
            self.run = self.replayed.next();
        }
        false
    }

    /// A frame of Bedrock's: an event by its name, an event of the model in base64, or an error.
    fn frame(&mut self, frame: &frames::Frame, at: Option<u64>) {
        let name = |header| sse::text_of(frame.headers.text(header));
        if name(":message-type") != "event" {
            self.counts.count += 1;
            self.clock.event(at, false);
            let kind =
                [name(":exception-type"), name(":error-code")].into_iter().find(|name| !name.is_empty());
            self.error = Some(error_of(kind.as_deref(), frame.payload, &name(":error-message")));
            return;
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Chunk<'a> {
            #[serde(borrow)]
            bytes: Text<'a>,
        }
        let kind = name(":event-type");
        if kind == "chunk" {
            let chunk: Chunk = serde_json::from_slice(frame.payload).unwrap_or_default();
            // What is no base64 is no JSON either, and counted as such.
            let json = STANDARD.decode(chunk.bytes.get()).unwrap_or_default();
            self.event(None, &json, at);
        } else {
            self.event(Some(&kind), frame.payload, at);
        }
    }

    /// An event: its name, where that does not stand in its data, and its data.
    fn event(&mut self, name: Option<&str>, data: &[u8], at: Option<u64>) {
        let text = sse::text_of(data);
        let mut effect = self.read(name, &text);
        if effect == Effect::Unread
            && let Some(mended) = mend(&text)
        {
            effect = self.read(name, &mended);
        }
        self.counts.count += 1;
        self.counts.unread += u64::from(effect == Effect::Unread);
        self.clock.event(at, effect == Effect::Token);
    }

    fn read(&mut self, name: Option<&str>, json: &str) -> Effect {
        if let Accumulator::Undecided = self.accumulator {
            self.decide(name, json);
        }
        match &mut self.accumulator {
            Accumulator::Undecided => self.undecided(json),
            Accumulator::Anthropic(anthropic) => anthropic.event(json),
            Accumulator::Chat(chat) => chat.event(json),
            Accumulator::Responses(responses) => responses.event(json),
            Accumulator::Converse(converse) => converse.event(name.unwrap_or_default(), json),
            Accumulator::Gemini(gemini) => gemini.event(json),
        }
    }

    fn decide(&mut self, name: Option<&str>, json: &str) {
        let provider = match name {
            Some(name) => Converse::knows(name).then_some(Provider::BedrockConverse),
            None => of_event(json),
        };
        self.accumulator = match provider {
            None | Some(Provider::Generic) => return,
            Some(provider) => Accumulator::of(provider),
        };
    }

    /// An event of a stream that has not said whose it is. Of an error it is known what it is.
    fn undecided(&mut self, json: &str) -> Effect {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Error<'a> {
            #[serde(borrow, rename = "type")]
            kind: Text<'a>,
            #[serde(borrow)]
            error: Option<&'a RawValue>,
        }
        match serde_json::from_str::<Error>(json) {
            Ok(Error { error: Some(error), .. }) => {
                self.error = value(error);
                self.accumulator = self.hint.map_or(Accumulator::Undecided, Accumulator::of);
                Effect::Other
            }
            Ok(Error { kind, .. }) if kind.get() == "error" => {
                self.error = serde_json::from_str(json).ok();
                self.accumulator = self.hint.map_or(Accumulator::Undecided, Accumulator::of);
                Effect::Other
            }
            // Of something else nothing is expected.
            _ => Effect::Other,
        }
    }
}

/// An exception of Bedrock's: its name as the type of what its payload says.
fn error_of(kind: Option<&str>, payload: &[u8], message: &str) -> Value {
    let mut error = Map::new();
    error.extend(kind.map(|kind| ("type".to_owned(), kind.into())));
    match serde_json::from_slice::<Map<String, Value>>(payload) {
        Ok(said) => error.extend(said),
        Err(_) if !message.is_empty() => error.extend([("message".to_owned(), message.into())]),
        Err(_) if !payload.is_empty() => error.extend([("message".to_owned(), sse::text_of(payload).into())]),
        Err(_) => {}
    }
    error.into()
}

impl Accumulator {
    fn of(provider: Provider) -> Self {
        match provider {
            Provider::Anthropic => Self::Anthropic(Box::default()),
            Provider::OpenaiChat => Self::Chat(Box::default()),
            Provider::OpenaiResponses => Self::Responses(Box::default()),
            Provider::BedrockConverse => Self::Converse(Box::default()),
            Provider::Gemini => Self::Gemini(Box::default()),
            Provider::Generic => Self::Undecided,
        }
    }

    fn finish(self) -> (Provider, Made) {
        match self {
            Self::Undecided => (Provider::Generic, Made::default()),
            Self::Anthropic(anthropic) => (Provider::Anthropic, anthropic.finish()),
            Self::Chat(chat) => (Provider::OpenaiChat, chat.finish()),
            Self::Responses(responses) => (Provider::OpenaiResponses, responses.finish()),
            Self::Converse(converse) => (Provider::BedrockConverse, converse.finish()),
            Self::Gemini(gemini) => (Provider::Gemini, gemini.finish()),
        }
    }
}
