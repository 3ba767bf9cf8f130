//! Makes a whole log of a damaged one. The original is never written to.
//!
//! Every whole record goes to a new log as it stands; every other byte goes to a second file, so that the two hold all
//! that the original held, line feeds that were added aside. Both are written under other names, synced, and then named,
//! so that neither is ever seen unfinished. Repairing the outcome changes nothing.
//!
//! In place, the original first gets its second name, `FILE.bak`, and then the new log takes its first one: there is no
//! moment at which the log is missing, and an attempt that was cut off can be made again.

use crate::error::{Error, Result};
use crate::files::{self, Draft, IfThere};
use crate::pieces::Limits;
use crate::problem::Kind;
use crate::scan::{Bytes, Item, Scanner, What};
use crate::source::{Encoding, Source};
use serde::Serialize;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Where the repaired log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `log.repaired.jsonl` and `log.jsonl.damaged`, beside `log.jsonl`.
    Beside,
    /// That path, and the same with `.damaged`. Written even if there is nothing to repair.
    To(PathBuf),
    /// The log's own name; the original becomes `log.jsonl.bak`.
    InPlace,
}

/// Which names a repair uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The damaged log.
    pub log: PathBuf,
    /// The repaired log.
    pub output: PathBuf,
    /// What was cut.
    pub damaged: PathBuf,
    /// The original's second name.
    pub backup: Option<PathBuf>,
    /// Files of the first two names are replaced; otherwise they are in the way. A backup never is replaced.
    pub force: bool,
    /// An output is wanted even if it is the same as the log.
    pub always: bool,
}

impl Plan {
    /// The names for a repair of `log`.
    pub fn new(log: &Path, target: &Target, force: bool) -> Result<Self> {
        let appended = |path: &Path, ending: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        Ok(match target {
            Target::Beside => Self {
                log: log.to_owned(),
                output: appended(&without_endings(log), ".repaired.jsonl"),
                damaged: appended(log, ".damaged"),
                backup: None,
                force,
                always: false,
            },
            Target::To(output) => Self {
                log: log.to_owned(),
                output: output.clone(),
                damaged: appended(output, ".damaged"),
                backup: None,
                force,
                always: true,
            },
            Target::InPlace => {
                // The file that a link leads to is repaired, and not the link replaced.
                let log = log.canonicalize().map_err(Error::io("open", log))?;
                Self {
                    output: log.clone(),
                    damaged: appended(&log, ".damaged"),
                    backup: Some(appended(&log, ".bak")),
                    log,
                    force,
                    always: false,
                }
            }
        })
    }

    fn if_there(&self) -> IfThere {
        if self.force { IfThere::Replace } else { IfThere::Refuse }
    }

    /// Finds what is in the way before any work is done.
    fn check(&self) -> Result<()> {
        match &self.backup {
            None if is_one_file(&self.log, &self.output) || is_one_file(&self.log, &self.damaged) => {
                Err(Error::Unfit {
                    path: self.output.clone(),
                    why: "is the log itself: repair it with --in-place, which keeps the original",
                })
            }
            None => files::check_free(&self.output, self.if_there()),
            Some(backup) if files::is_same(&self.log, backup) => return Ok(()),
            Some(backup) => match files::check_free(backup, IfThere::Refuse) {
                Err(Error::Exists { path, .. }) => {
                    Err(Error::Exists { path, hint: "it holds an earlier original: move it away first" })
                }
                other => other,
            },
        }?;
        files::check_free(&self.damaged, self.if_there())
    }
}

/// Whether both names lead to one file, whatever links there are in them.
fn is_one_file(a: &Path, b: &Path) -> bool {
    a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b)) || files::is_same(a, b)
}

/// `dir/log` of `dir/log.jsonl.gz`.
fn without_endings(log: &Path) -> PathBuf {
    let mut stem = log.to_owned();
    for endings in [&["gz", "zst"][..], &["jsonl"]] {
        if stem.extension().is_some_and(|is| endings.iter().any(|ending| is == *ending)) {
            stem.set_extension("");
        }
    }
    stem
}

/// Bytes that were cut out of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// The line, from 1, on which they begin.
    pub line: u64,
    /// The line on which they end. Damage of one kind that adjoins is one cut.
    pub last_line: u64,
    /// Where they stood in the log (its text, if it is packed), from 0.
    pub offset: u64,
    /// How many they are.
    pub length: u64,
    /// Where they stand in the file of what was cut.
    pub damaged_offset: u64,
    /// What was wrong with them.
    pub kind: Kind,
    /// In words; of the first of several.
    pub message: String,
}

/// What a repair has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// The repaired log; `None`: the original is whole, and nothing was written.
    pub output: Option<PathBuf>,
    /// The file of what was cut; `None`: nothing was.
    pub damaged: Option<PathBuf>,
    /// Where the original is now, if it was repaired in place.
    pub backup: Option<PathBuf>,
    /// Whole records.
    pub records: u64,
    /// Records that had no line feed, and have one now.
    pub line_feeds_added: u64,
    /// Bytes of the repaired log.
    pub bytes: u64,
    /// Bytes that were cut out.
    pub bytes_cut: u64,
    /// Things that are wrong with whole records, which a repair does not touch: `verify` names them.
    pub problems_left: u64,
    /// What is wrong with the packing of the original, if it is packed: what follows that place cannot be read.
    pub broken_packing: Option<String>,
    /// What was cut.
    pub cuts: Vec<Cut>,
}

/// Repairs a log. `open` gives its text from the start, and is called twice. Refuses one that a living process writes.
pub fn repair(plan: &Plan, limits: Limits, open: impl Fn(&File) -> io::Result<Source>) -> Result<Repaired> {
    let file = File::open(&plan.log).map_err(Error::io("open", &plan.log))?;
    let is = file.metadata().map_err(Error::io("look at", &plan.log))?;
    if !is.is_file() {
        return Err(Error::Unfit { path: plan.log.clone(), why: "is not a file" });
    }
    // Held until the end: a recorder that is asked to continue this log meanwhile takes the next name.
    if !files::try_lock(&file) {
        return Err(Error::InUse { path: plan.log.clone() });
    }
    let source = || open(&file).map_err(Error::io("read", &plan.log));
    let first = source()?;
    if plan.backup.is_some() && first.encoding() != Encoding::Plain {
        let why = "is packed: repair it without --in-place, the output is plain text";
        return Err(Error::Unfit { path: plan.log.clone(), why });
    }
    let found = look(first, limits).map_err(Error::io("read", &plan.log))?;
    if let Some(whole) = found.filter(|_| !plan.always) {
        return Ok(whole);
    }
    plan.check()?;
    rewrite(plan, limits, source()?)
}

/// What there is to say of a log that needs no repair; `None` as soon as something is damaged.
fn look(source: Source, limits: Limits) -> io::Result<Option<Repaired>> {
    let mut scanner = Scanner::new(source, limits);
    let mut whole = Repaired::default();
    while let Some(item) = scanner.next_item()? {
        match item.what {
            What::Damage { .. } | What::Record { lacks_line_feed: true, .. } => return Ok(None),
            What::Record { record, .. } => {
                whole.records += 1;
                whole.problems_left += record.flaws.len() as u64;
            }
            What::Blank => {}
        }
        whole.bytes += item.place.length;
    }
    Ok(scanner.text().broken().is_none().then_some(whole))
}

fn rewrite(plan: &Plan, limits: Limits, source: Source) -> Result<Repaired> {
    let mut work = Work {
        output: Draft::create(&plan.output)?,
        damaged: Draft::create(&plan.damaged)?,
        done: Repaired::default(),
    };
    let mut scanner = Scanner::new(source, limits);
    while let Some(item) = scanner.next_item().map_err(Error::io("read", &plan.log))? {
        work.sort(item)?;
    }
    work.done.broken_packing = scanner.text().broken().map(Into::into);
    work.publish(plan)
}

struct Work {
    output: Draft,
    damaged: Draft,
    done: Repaired,
}

impl Work {
    fn sort(&mut self, item: Item) -> Result<()> {
        match &item.what {
            What::Record { record, .. } => {
                self.done.records += 1;
                self.done.problems_left += record.flaws.len() as u64;
                self.done.line_feeds_added += u64::from(!item.line_feed);
                copy(&mut self.output, &item, true)
            }
            What::Blank => copy(&mut self.output, &item, item.line_feed),
            What::Damage { kind, message, goes_on } => {
                self.note(&item, *kind, message, *goes_on);
                copy(&mut self.damaged, &item, item.line_feed)
            }
        }
    }

    fn note(&mut self, item: &Item, kind: Kind, message: &str, goes_on: bool) {
        let place = item.place;
        self.done.bytes_cut += place.length;
        if let Some(last) = self.done.cuts.last_mut()
            && last.offset + last.length == place.offset
            && (goes_on || last.kind == kind)
        {
            last.length += place.length;
            last.last_line = place.line;
            return;
        }
        self.done.cuts.push(Cut {
            line: place.line,
            last_line: place.line,
            offset: place.offset,
            length: place.length,
            damaged_offset: self.damaged.length(),
            kind,
            message: message.to_owned(),
        });
    }

    fn publish(self, plan: &Plan) -> Result<Repaired> {
        let Self { output, damaged, mut done } = self;
        done.bytes = output.length();
        let mut if_there = plan.if_there();
        if let Some(backup) = &plan.backup {
            // Of an attempt that was cut off: its files may be there.
            if files::is_same(&plan.log, backup) {
                if_there = IfThere::Replace;
            }
            files::link_as_backup(&plan.log, backup)?;
            done.backup = Some(backup.clone());
        }
        if !done.cuts.is_empty() {
            damaged.publish(if_there)?;
            done.damaged = Some(plan.damaged.clone());
        }
        output.publish(if plan.backup.is_some() { IfThere::Replace } else { if_there })?;
        done.output = Some(plan.output.clone());
        Ok(done)
    }
}

fn copy(to: &mut Draft, item: &Item, line_feed: bool) -> Result<()> {
    match item.bytes {
        Bytes::Text(bytes) => to.write(bytes)?,
        Bytes::Nuls(count) => to.write_nuls(count)?,
    }
    if line_feed { to.write(b"\n") } else { Ok(()) }
}
