//! `claude-trace repair`

use crate::failure::{Code, Failure};
use crate::out::{DIM, GOOD, Out};
use crate::progress::Progress;
use crate::words::{Count, Size, parse_size};
use clap::Args;
use claude_trace_query::{Limits, Plan, Repaired, Source, Target, repair};
use serde::Serialize;
use std::path::PathBuf;

/// Cuts that are told to people; JSON has all.
const TOLD: usize = 20;

/// Make a whole log of a damaged one, and keep the original.
///
/// Every whole record goes to a new log, byte for byte. Everything else (half lines, flipped bytes, the holes that a crash
/// leaves) goes to a second file, byte for byte, and the report says where each piece of it stood. Records that stand
/// beside the damage on one line are found too. For FILE `log.jsonl` the two are `log.repaired.jsonl` and
/// `log.jsonl.damaged`. A log that is whole is left alone.
///
/// A log that a living process writes is refused. Packed logs (gzip, zstd) are repaired to plain text.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  claude-trace repair log.jsonl
  claude-trace repair --in-place log.jsonl      the original becomes log.jsonl.bak
  claude-trace repair --output good.jsonl --force log.jsonl

Exit codes: 0, the log is whole, or there is a whole one now; 2, it cannot be repaired.")]
pub struct Repair {
    /// The log.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Write the whole records to this file, even if nothing is damaged, and what was cut to PATH.damaged.
    #[arg(long, short, value_name = "PATH", conflicts_with = "in_place")]
    output: Option<PathBuf>,

    /// Give the repaired log the name of the original, which becomes FILE.bak. An earlier FILE.bak is never replaced.
    #[arg(long)]
    in_place: bool,

    /// Replace an earlier output and an earlier file of what was cut.
    #[arg(long)]
    force: bool,

    /// Print JSON, with every piece that was cut.
    #[arg(long)]
    json: bool,

    /// Look into lines up to this size; it bounds the memory that is needed. Longer ones are cut.
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_size)]
    max_line: usize,
}

#[derive(Serialize)]
struct Answer<'a> {
    file: &'a PathBuf,
    #[serde(flatten)]
    repaired: &'a Repaired,
}

impl Repair {
    pub fn run(self) -> Result<Code, Failure> {
        let target = match &self.output {
            Some(output) => Target::To(output.clone()),
            None if self.in_place => Target::InPlace,
            None => Target::Beside,
        };
        let plan = Plan::new(&self.file, &target, self.force)?;
        let limits = Limits { max_line_bytes: self.max_line };
        let repaired = repair(&plan, limits, |file| {
            // Opened anew, since a copy of the handle would go on where the last reader stopped.
            let again = std::fs::File::open(&plan.log)?;
            Source::new(Progress::of(&plan.log, file).follow(again))
        })?;
        let mut out = Out::new();
        if self.json {
            out.json(&Answer { file: &self.file, repaired: &repaired })?;
        } else {
            self.tell(&mut out, &repaired)?;
        }
        Ok(Code::Ok)
    }

    fn tell(&self, out: &mut Out, done: &Repaired) -> Result<(), Failure> {
        let file = self.file.display();
        let records = Count(done.records, "record");
        match &done.output {
            None => out.line(format_args!("{file}: {GOOD}whole{GOOD:#}: {records}, nothing to repair"))?,
            Some(output) => {
                let output = output.display();
                let size = Size(done.bytes);
                out.line(format_args!("{file}: {GOOD}{records}{GOOD:#}, {size}, now in {output}"))?;
            }
        }
        if let Some(backup) = &done.backup {
            out.line(format_args!("  the original is {} now", backup.display()))?;
        }
        if done.line_feeds_added > 0 {
            out.line(format_args!("  {} added", Count(done.line_feeds_added, "line feed")))?;
        }
        if let Some(damaged) = &done.damaged {
            let (cut, damaged) = (Size(done.bytes_cut), damaged.display());
            out.line(format_args!("  {cut} cut, and kept in {damaged}:"))?;
        }
        for cut in done.cuts.iter().take(TOLD) {
            let lines = match cut.last_line == cut.line {
                true => format!("line {}", cut.line),
                false => format!("lines {} to {}", cut.line, cut.last_line),
            };
            let length = Count(cut.length, "byte");
            out.line(format_args!("    {lines}, byte {}, {length}: {}", cut.offset, cut.message))?;
        }
        if let Some(rest) = done.cuts.len().checked_sub(TOLD).filter(|rest| *rest > 0) {
            out.line(format_args!("    {DIM}… and {rest} more: --json tells all{DIM:#}"))?;
        }
        if let Some(why) = &done.broken_packing {
            out.line(format_args!("  its packing is damaged ({why}): what follows cannot be read"))?;
        }
        if done.problems_left > 0 {
            let left = Count(done.problems_left, "problem");
            out.line(format_args!("  {left} inside whole records left as they are: verify tells them"))?;
        }
        Ok(())
    }
}
