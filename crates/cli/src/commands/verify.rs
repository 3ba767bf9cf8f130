//! `claude-trace verify`

use crate::failure::{Code, Failure};
use crate::out::{BAD, DIM, GOOD, Out};
use crate::progress::Progress;
use crate::words::{Count, Size, parse_size};
use clap::Args;
use claude_trace_query::{
    DEFAULT_MAX_LINE_BYTES, Encoding, Error, Limits, Report, Source, has_writer, verify,
};
use serde::Serialize;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Problems that are told of each log, to people and in JSON.
const TOLD: usize = 20;
const TOLD_IN_JSON: usize = 1000;

/// Check that logs are whole, and count what is in them.
///
/// Reads each log from start to end, whatever its size, and checks every line: that it is UTF-8, JSON and a record of this
/// program or of claude-trace 1.0.9; that no id stands twice; that base64 is base64; that the lengths of bodies and chunks
/// are those in the trace. Logs packed with gzip or zstd are told by their first bytes, and their checksums are checked.
///
/// A partial, failed or orphaned exchange is no problem: the record says truly what happened.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  claude-trace verify .claude-trace/*.jsonl
  claude-trace verify --json log.jsonl | jq '.files[].problems[]'

Exit codes: 0, all logs are whole; 1, there are problems; 2, a file cannot be read.")]
pub struct Verify {
    /// The logs; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    /// Tell at most this many problems of each log; the rest are counted [default: 20, with --json 1000].
    #[arg(long, value_name = "N")]
    max_problems: Option<usize>,

    /// Look into lines up to this size; it bounds the memory that is needed.
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_size)]
    max_line: usize,
}

#[derive(Serialize)]
struct Answer {
    ok: bool,
    files: Vec<OfFile>,
}

#[derive(Serialize)]
struct OfFile {
    file: PathBuf,
    ok: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    report: Option<Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<OfError>,
}

#[derive(Serialize)]
struct OfError {
    code: &'static str,
    message: String,
}

impl Verify {
    pub fn run(self) -> Result<Code, Failure> {
        let mut out = Out::new();
        let mut code = Code::Ok;
        let mut answer = Answer { ok: true, files: Vec::new() };
        for file in &self.files {
            let found = self.look_at(file);
            code = code.max(match &found {
                Ok(report) if report.is_ok() => Code::Ok,
                Ok(_) => Code::Problems,
                Err(_) => Code::Failure,
            });
            if let Err(error) = &found {
                Failure::new(error).say();
            }
            if self.json {
                answer.files.push(OfFile::new(file, found));
            } else if let Ok(report) = found {
                tell(&mut out, file, &report)?;
            }
        }
        if self.json {
            answer.ok = code == Code::Ok;
            out.json(&answer)?;
        }
        Ok(code)
    }

    fn look_at(&self, path: &Path) -> Result<Report, Error> {
        let limits = Limits { max_line_bytes: self.max_line };
        let kept = self.max_problems.unwrap_or(if self.json { TOLD_IN_JSON } else { TOLD });
        if path == "-" {
            let source = Source::new(std::io::stdin()).map_err(Error::io("read", path))?;
            return verify(source, limits, kept, || false).map_err(Error::io("read", path));
        }
        let file = File::open(path).map_err(Error::io("open", path))?;
        let progress = Progress::of(path, &file);
        let reader = file.try_clone().map_err(Error::io("open", path))?;
        let source = Source::new(progress.follow(reader)).map_err(Error::io("read", path))?;
        verify(source, limits, kept, || has_writer(&file)).map_err(Error::io("read", path))
    }
}

impl OfFile {
    fn new(file: &Path, found: Result<Report, Error>) -> Self {
        let (report, error) = match found {
            Ok(report) => (Some(report), None),
            Err(error) => (None, Some(OfError { code: error.code(), message: error.to_string() })),
        };
        let ok = report.as_ref().is_some_and(Report::is_ok);
        Self { file: file.to_owned(), ok, report, error }
    }
}

fn tell(out: &mut Out, file: &Path, report: &Report) -> Result<(), Failure> {
    let file = file.display();
    let contents = contents(report);
    if report.is_ok() {
        return out.line(format_args!("{file}: {GOOD}ok{GOOD:#}: {contents}"));
    }
    let problems = Count(report.problem_count, "problem");
    out.line(format_args!("{file}: {BAD}{problems}{BAD:#}: {contents}"))?;
    for problem in &report.problems {
        let at = format_args!("line {}, byte {}", problem.line, problem.offset);
        out.line(format_args!("  {at}, {}: {}", Count(problem.length, "byte"), problem.message))?;
    }
    let rest = report.problem_count - report.problems.len() as u64;
    if rest > 0 {
        out.line(format_args!("  {DIM}… and {rest} more{DIM:#}"))?;
    }
    Ok(())
}

/// `120 records, 3.4 MB, gzip (2 partial, 1 recovered)`
fn contents(report: &Report) -> String {
    let counts = &report.counts;
    let mut words = format!("{}, {}", Count(counts.records, "record"), Size(counts.bytes));
    match report.encoding {
        Encoding::Plain => {}
        Encoding::Gzip => words.push_str(" in gzip"),
        Encoding::Zstd => words.push_str(" in zstd"),
    }
    let kinds = [
        (counts.partial, "partial"),
        (counts.failed, "failed"),
        (counts.orphaned, "orphaned"),
        (counts.recovered, "recovered"),
        (counts.gaps, "with gaps"),
        (counts.upstream, "of claude-trace 1.0.9"),
    ];
    let kinds: Vec<String> =
        kinds.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}")).collect();
    if !kinds.is_empty() {
        words.push_str(&format!(" ({})", kinds.join(", ")));
    }
    if counts.damaged_bytes > 0 {
        words.push_str(&format!(", {} damaged", Size(counts.damaged_bytes)));
    }
    if report.being_written {
        words.push_str("; its last line is being written");
    }
    words
}

// The default of --max-line is told in its help.
const _: () = assert!(DEFAULT_MAX_LINE_BYTES == 1 << 30);
