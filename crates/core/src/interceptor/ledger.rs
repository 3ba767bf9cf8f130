//! What the interceptors of an exchange have wanted so far. Who wanted it stands beside it, so that an interceptor that
//! fails can be taken out with all of it.

use super::batch::{Decision, Wanted};
use super::changes::{Annotation, Edit};
use super::heads::{HeaderChange, changed_head};
use super::hooks::Wish;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The two heads of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// Bytes in the place of an event.
#[derive(Debug)]
struct Text {
    by: usize,
    number: u64,
    edit: Edit,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    texts: Vec<Text>,
    headers: Vec<(usize, Side, HeaderChange)>,
    notes: Vec<(usize, Option<u64>, Box<RawValue>)>,
    discards: Vec<usize>,
    /// What it holds, roughly.
    pub(super) bytes: usize,
}

impl Ledger {
    pub(super) fn decided(&mut self, by: usize, decisions: Vec<Decision>) {
        for Decision { number, span, what } in decisions {
            match what {
                Wanted::Text(text) => {
                    self.bytes += text.len() + 64;
                    self.texts.push(Text { by, number, edit: Edit { start: span.0, end: span.1, text } });
                }
                Wanted::Note(note) => self.note(by, Some(number), note),
            }
        }
    }

    pub(super) fn wished(&mut self, by: usize, side: Option<Side>, wishes: Vec<Wish>) {
        for wish in wishes {
            match (wish, side) {
                (Wish::Header(change), Some(side)) => self.headers.push((by, side, change)),
                // What passes is what is recorded here, and it has passed.
                (Wish::Header(_), None) | (Wish::Delay(_) | Wish::Instead(_), _) => {}
                (Wish::Note(note), _) => self.note(by, None, note),
                (Wish::Discard, _) => self.discards.push(by),
            }
        }
    }

    fn note(&mut self, by: usize, event: Option<u64>, note: Box<RawValue>) {
        self.bytes += note.get().len() + 64;
        self.notes.push((by, event, note));
    }

    /// A head as those have left it for whom `counts`; `None`: as it was.
    pub(super) fn head(
        &self,
        side: Side,
        original: &[u8],
        counts: impl Fn(usize) -> bool,
    ) -> Option<Vec<u8>> {
        let mut changes = self
            .headers
            .iter()
            .filter(|(by, of, _)| *of == side && counts(*by))
            .map(|(_, _, change)| change)
            .peekable();
        changes.peek()?;
        Some(changed_head(original, changes))
    }

    pub(super) fn is_discarded(&self, counts: impl Fn(usize) -> bool) -> bool {
        self.discards.iter().any(|by| counts(*by))
    }

    /// The places of bodies that are different, by the numbers of their events: of each what was wanted last.
    pub(super) fn edits(&mut self, counts: impl Fn(usize) -> bool) -> BTreeMap<u64, Edit> {
        let mut by_event = BTreeMap::new();
        for Text { by, number, edit } in std::mem::take(&mut self.texts) {
            if counts(by) {
                by_event.insert(number, edit);
            }
        }
        by_event
    }

    pub(super) fn annotations<'n>(
        &mut self,
        name: impl Fn(usize) -> &'n str,
        counts: impl Fn(usize) -> bool,
    ) -> Vec<Annotation> {
        let notes = std::mem::take(&mut self.notes).into_iter().filter(|(by, ..)| counts(*by));
        notes.map(|(by, event, value)| Annotation { by: name(by).to_owned(), event, value }).collect()
    }
}
