//! Says whether a log is whole, and what is in it.

use crate::pieces::Limits;
use crate::problem::{Kind, Problem};
use crate::record::{Outcome, Record};
use crate::scan::{Item, Place, Scanner, What};
use crate::source::{Encoding, Source};
use serde::Serialize;
use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;
use std::io;

/// What is in a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Whole records. The next four add up to it.
    pub records: u64,
    /// With a whole response, as far as they know.
    pub complete: u64,
    /// With a response that may not be whole.
    pub partial: u64,
    /// With an error in place of a response.
    pub failed: u64,
    /// Without a response.
    pub orphaned: u64,
    /// Read from the spool of a dead process.
    pub recovered: u64,
    /// With bytes missing, because the spool was full.
    pub gaps: u64,
    /// Written by claude-trace 1.0.9.
    pub upstream: u64,
    /// Bytes of text.
    pub bytes: u64,
    /// Bytes of it that are no record.
    pub damaged_bytes: u64,
}

/// What a log was found to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How it is packed.
    pub encoding: Encoding,
    /// What is in it.
    #[serde(flatten)]
    pub counts: Counts,
    /// Its last line has no end yet, and a living process is writing it. That is no problem.
    pub being_written: bool,
    /// How many problems there are.
    pub problem_count: u64,
    /// The first of them.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.problem_count == 0
    }
}

/// Reads a log to its end. Keeps the first `max_problems` problems and counts all. `has_writer` is asked only if the last
/// line has no end.
///
/// Beside the line it takes 20 to 60 bytes for each record, to find ids that stand twice: 60 MB for a million at most.
pub fn verify(
    source: Source,
    limits: Limits,
    max_problems: usize,
    has_writer: impl FnOnce() -> bool,
) -> io::Result<Report> {
    let mut verifier = Verifier::new(source.encoding(), max_problems);
    let mut scanner = Scanner::new(source, limits);
    while let Some(item) = scanner.next_item()? {
        verifier.see(&item);
    }
    if let Some(why) = scanner.text().broken() {
        verifier.see_broken_packing(why);
    }
    Ok(verifier.finish(has_writer))
}

struct Verifier {
    report: Report,
    max_problems: usize,
    ids: Ids,
    lines: u64,
    /// The problem that the end of the file makes: it may be that the line is still being written.
    at_the_end: Option<Problem>,
}

impl Verifier {
    fn new(encoding: Encoding, max_problems: usize) -> Self {
        let counts = Counts::default();
        let report =
            Report { encoding, counts, being_written: false, problem_count: 0, problems: Vec::new() };
        Self { report, max_problems, ids: Ids::default(), lines: 1, at_the_end: None }
    }

    fn see(&mut self, item: &Item) {
        self.settle_end();
        self.lines = item.place.line;
        self.report.counts.bytes += item.place.length;
        match &item.what {
            What::Blank => {}
            What::Record { record, lacks_line_feed } => self.see_record(item.place, record, *lacks_line_feed),
            What::Damage { kind, message, goes_on } => {
                self.report.counts.damaged_bytes += item.place.length;
                if *goes_on {
                    return self.lengthen(item.place.length);
                }
                let problem = problem(item.place, *kind, message.clone());
                if *kind == Kind::CutOff && !item.line_feed {
                    self.at_the_end = Some(problem);
                } else {
                    self.add(problem);
                }
            }
        }
    }

    fn see_record(&mut self, place: Place, record: &Record, lacks_line_feed: bool) {
        let counts = &mut self.report.counts;
        counts.records += 1;
        match record.outcome {
            Outcome::Complete => counts.complete += 1,
            Outcome::Partial => counts.partial += 1,
            Outcome::Failed => counts.failed += 1,
            Outcome::Orphaned => counts.orphaned += 1,
        }
        counts.recovered += u64::from(record.recovered);
        counts.gaps += u64::from(record.gap);
        counts.upstream += u64::from(record.upstream);
        for flaw in &record.flaws {
            self.add(problem(place, flaw.kind, flaw.message.clone()));
        }
        if let Some(id) = &record.id
            && let Some(first) = self.ids.insert(id, place.line)
        {
            let message = format!("the id {} stands on line {first} already", crate::problem::excerpt(id));
            self.add(problem(place, Kind::DuplicateId, message));
        }
        if lacks_line_feed {
            let message = "no line feed follows the record".into();
            self.at_the_end = Some(problem(place, Kind::NoLineFeed, message));
        }
    }

    fn see_broken_packing(&mut self, why: &str) {
        self.settle_end();
        let place = Place { line: self.lines, offset: self.report.counts.bytes, length: 0 };
        let packing = match self.report.encoding {
            Encoding::Zstd => "zstd",
            _ => "gzip",
        };
        self.add(problem(place, Kind::BrokenPacking, format!("the {packing} stream is damaged: {why}")));
    }

    fn finish(mut self, has_writer: impl FnOnce() -> bool) -> Report {
        if self.at_the_end.is_some() && has_writer() {
            self.at_the_end = None;
            self.report.being_written = true;
        }
        self.settle_end();
        self.report
    }

    /// It was not the end.
    fn settle_end(&mut self) {
        if let Some(problem) = self.at_the_end.take() {
            self.add(problem);
        }
    }

    fn add(&mut self, problem: Problem) {
        self.report.problem_count += 1;
        if self.report.problems.len() < self.max_problems {
            self.report.problems.push(problem);
        }
    }

    /// The problem before goes on.
    fn lengthen(&mut self, by: u64) {
        let is_kept = self.report.problem_count == self.report.problems.len() as u64;
        if let Some(last) = self.report.problems.last_mut().filter(|_| is_kept) {
            last.length += by;
        }
    }
}

fn problem(place: Place, kind: Kind, message: String) -> Problem {
    let Place { line, offset, length } = place;
    Problem { line, offset, length, kind, message }
}

/// The line on which each id was seen first. Ids are known by a keyed 64-bit hash: among ten million records the chance
/// that two different ids are taken for one is about 1 in 400,000.
#[derive(Default)]
struct Ids {
    hasher: RandomState,
    first: HashMap<u64, u64>,
}

impl Ids {
    /// Where the id stands already, if it does.
    fn insert(&mut self, id: &str, line: u64) -> Option<u64> {
        match self.first.entry(self.hasher.hash_one(id)) {
            Entry::Occupied(first) => Some(*first.get()),
            Entry::Vacant(place) => {
                place.insert(line);
                None
            }
        }
    }
}
