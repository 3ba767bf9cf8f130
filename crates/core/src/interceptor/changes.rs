//! What interceptors came to: what is different in the record.

use serde::Serialize;
use serde_json::value::RawValue;

/// Everything that is to be different in the record of one exchange.
#[derive(Debug, Default)]
pub struct Changes {
    /// The request's head.
    pub request_head: Option<Vec<u8>>,
    /// The response's head.
    pub response_head: Option<Vec<u8>>,
    /// Places in the decoded body of the request, in order and apart from each other.
    pub request_body: Vec<Edit>,
    /// The same of the response's.
    pub body: Vec<Edit>,
    /// There is to be no record.
    pub discard: bool,
    /// What the record tells of this.
    pub account: Account,
}

/// Other bytes in the place of some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The first byte that goes.
    pub start: u64,
    /// Behind the last.
    pub end: u64,
    /// What comes instead; empty: nothing.
    pub text: Vec<u8>,
}

/// `intercepted` in a record (`docs/format.md`). What is 0, false or empty is absent.
#[derive(Debug, Default, Serialize)]
pub struct Account {
    /// The interceptors that had a part in it, by order.
    pub by: Vec<String>,
    /// Events of the stream, or messages.
    #[serde(skip_serializing_if = "is_zero")]
    pub events: u64,
    /// Of these, those that were left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// Those that stand there otherwise.
    #[serde(skip_serializing_if = "is_zero")]
    pub replaced: u64,
    /// Those that no interceptor was given: there was no room.
    #[serde(skip_serializing_if = "is_zero")]
    pub passed: u64,
    /// Heads that stand there otherwise: `request`, `response`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<&'static str>,
    /// Interceptors that failed: the record is without them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failure>,
    /// Interceptors that did not answer in time: the record has what they had said by then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<String>,
    /// What interceptors say of the exchange and its events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Annotation>,
}

/// An interceptor that failed, and its reason.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "that is it")]
pub struct Failure {
    pub by: String,
    pub reason: String,
}

/// What an interceptor says.
#[derive(Debug, Serialize)]
pub struct Annotation {
    /// Its name.
    pub by: String,
    /// The number of the event in its stream, from 0; absent: it is about the exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<u64>,
    /// In its words.
    pub value: Box<RawValue>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Makes the edits in a body that comes in pieces. What comes instead of something comes with its last byte.
#[derive(Debug)]
pub struct Editor<'a> {
    /// Those that are not done.
    edits: &'a [Edit],
    /// The bytes before the current piece.
    at: u64,
    /// What was taken out ended with a CR: an LF that follows belongs to it.
    after_cr: bool,
}

impl<'a> Editor<'a> {
    /// An editor at the start of a body.
    pub fn new(edits: &'a [Edit]) -> Self {
        Self { edits, at: 0, after_cr: false }
    }

    /// Reads a piece and gives what stands there now.
    pub fn push(&mut self, piece: &[u8], mut on_bytes: impl FnMut(&[u8])) {
        let mut rest = piece;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_cr) && rest[0] == b'\n' {
                rest = self.pass(rest, 1);
                continue;
            }
            let Some(edit) = self.edits.first() else { break };
            if self.at < edit.start {
                let kept = rest.len().min(length(edit.start - self.at));
                on_bytes(&rest[..kept]);
                rest = self.pass(rest, kept);
            } else {
                let gone = rest.len().min(length(edit.end.saturating_sub(self.at)));
                self.after_cr = gone > 0 && rest[gone - 1] == b'\r';
                rest = self.pass(rest, gone);
                if self.at >= edit.end {
                    if !edit.text.is_empty() {
                        on_bytes(&edit.text);
                    }
                    self.edits = &self.edits[1..];
                } else {
                    self.after_cr = false;
                }
            }
        }
        if !rest.is_empty() {
            on_bytes(rest);
            self.pass(rest, rest.len());
        }
    }

    fn pass<'p>(&mut self, rest: &'p [u8], count: usize) -> &'p [u8] {
        self.at += count as u64;
        &rest[count..]
    }
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
