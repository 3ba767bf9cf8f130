//! Completes the logs of processes that died.
//!
//! Whoever starts looks for sessions whose lock is free, in all roots it can know of, and reads them on a thread that
//! exists only if there are any. Every exchange that is not in the log yet is written to it, with what had arrived; an
//! intent tells whether an append that was under way had happened. The recoverer writes intents of its own into the
//! orphan's segments, so that it can be killed at any point and the next one goes on from there.

use crate::assembly::{Applied, Context, Finished, Recipe, Table};
use crate::config::Config;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::notice::{Level, Notices};
use crate::record::RecordOptions;
use crate::spool::layout::{EntryHeader, FLAG_INTENT, Intent, IntentState, SEGMENT_HEADER_LEN, payload_crc};
use crate::spool::pool::Hold;
use crate::spool::root;
use crate::spool::segment::Segment;
use crate::spool::session::{self, Record, Session};
use crate::stats::Counters;
use crate::writer::dead::{Content, DeadLetters};
use crate::writer::log::{Log, Reader, Target};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What stands in the record of an exchange that was open when its process died.
const WHY: &str = "its process ended before the exchange did";
/// A session whose log could not be written for that long is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(14 * 24 * 3600);

/// The recovery that a start has begun.
#[derive(Debug)]
pub struct Recovery {
    done: Mutex<bool>,
    changed: Condvar,
}

impl Recovery {
    /// Looks for orphans, and starts a thread to recover them if there are any.
    pub fn start(config: &Config, notices: &Notices, counters: &Arc<Counters>) -> Arc<Self> {
        let orphans: Vec<Session> =
            root::known(config).iter().flat_map(|root| session::orphans(&config.disk, root)).collect();
        let recovery = Arc::new(Self { done: Mutex::new(orphans.is_empty()), changed: Condvar::new() });
        if orphans.is_empty() {
            return recovery;
        }
        let (done, notices, counters) = (Arc::clone(&recovery), notices.clone(), Arc::clone(counters));
        let run = move || {
            for orphan in orphans {
                recover_and_report(orphan, &notices, &counters);
            }
            done.finish();
        };
        if std::thread::Builder::new().name("ct-recover".into()).spawn(run).is_err() {
            // Their locks are free again: the next start finds them.
            recovery.finish();
        }
        recovery
    }

    /// Waits until it is done; `false`: it was not by the deadline. It is safe to be cut off.
    pub fn wait(&self, deadline: Instant) -> bool {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        while !*done {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            done = self.changed.wait_timeout(done, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn finish(&self) {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}

/// What a recovery found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Records written.
    pub recovered: u64,
    /// Exchanges that were in the log already.
    pub already_there: u64,
    /// Entries that were not whole.
    pub damaged: u64,
    /// The log.
    pub log_file: Option<PathBuf>,
}

fn recover_and_report(session: Session, notices: &Notices, counters: &Counters) {
    let id = session.id.clone();
    match recover(&session) {
        Ok(report) => {
            counters.recovered.add(report.recovered);
            counters.damaged.add(report.damaged);
            if report.recovered > 0 {
                let log = report.log_file.unwrap_or_default();
                notices.say(Level::Debug, || {
                    format!("recovered {} exchanges of session {id} into {}", report.recovered, log.display())
                });
            }
            session.remove(session.record().and_then(|r| r.overflow).as_deref());
        }
        Err(error) => give_up_or_keep(&session, &error, notices),
    }
}

fn give_up_or_keep(session: &Session, error: &Error, notices: &Notices) {
    let age = session.age();
    if age < GIVE_UP_AFTER {
        notices.say(Level::Warn, || format!("session {} is not recovered yet: {error}", session.id));
        return;
    }
    notices.say(Level::Error, || {
        format!(
            "session {} could not be recovered for {} days and is removed: {error}",
            session.id,
            age.as_secs() / 86_400
        )
    });
    session.remove(session.record().and_then(|r| r.overflow).as_deref());
}

/// Writes what a session has and its log has not.
///
/// Killed at any point, it can be begun again: first the log tells of every intent that the dead process has left whether it
/// came true, and that is noted; from then on the spool has no intents but our own, which say the same of us.
pub fn recover(session: &Session) -> Result<Report> {
    let mut report = Report::default();
    let Some(mut record) = session.record() else {
        return Err(Error::Damaged {
            path: session.folder().to_owned(),
            why: "its record is not whole, or another version of claude-trace-native wrote it".into(),
        });
    };
    let disk = session.disk();
    let segments = open_segments(disk, session, &record)?;
    let heads = collect_heads(&segments);
    let done = decide(disk, &record, &heads)?;
    silence_copies(&heads, &done)?;
    report.already_there = done.len() as u64;
    let mut entries = read_entries(&segments, &mut report);
    entries.retain(|e| !done.contains(&(e.header.chain, e.header.exchange)));

    let recipe = recipe(session, &record);
    let counters = Counters::default();
    let mut log = None;
    for finished in replay(&entries) {
        let log = match &mut log {
            Some(log) => log,
            None => log.insert(open_log(disk, session, &mut record)?),
        };
        let line = recipe.make(finished, &counters, || {});
        if let Some((reason, exchange)) = &line.dead {
            let mut letters = DeadLetters::new(disk.clone(), &record.log_directory, &record.runtime_dir);
            letters.keep(&Content::Exchange(exchange), reason, 0, log.path())?;
        }
        log.append(&[line]).map_err(Error::io("write to", log.path()))?;
        report.recovered += 1;
    }
    report.damaged += counters.failed.get();
    report.log_file = log.map(|log| log.path().to_owned());
    Ok(report)
}

type Key = (u32, u64);

/// A head with the place for an intent, of which copies may stand in several segments.
struct Head {
    key: Key,
    hold: Hold,
    at: usize,
    intent: Option<Intent>,
}

/// Finds out which exchanges need nothing more, and leaves no intent undecided.
fn decide(disk: &Disk, record: &Record, heads: &[Head]) -> Result<HashSet<Key>> {
    let is = |head: &&Head, state| head.intent.is_some_and(|intent| intent.state == state);
    let mut done: HashSet<Key> = heads.iter().filter(|h| is(h, IntentState::Done)).map(|h| h.key).collect();
    // Copied forward, and the copy is gone: it was written.
    let speaking: HashSet<Key> = heads.iter().filter(|h| !is(h, IntentState::Moved)).map(|h| h.key).collect();
    done.extend(heads.iter().map(|h| h.key).filter(|key| !speaking.contains(key)));

    let undecided: Vec<&Head> = heads.iter().filter(|h| is(h, IntentState::Intended)).collect();
    if undecided.is_empty() {
        return Ok(done);
    }
    // The log's path was noted before its first line: without one, no line was ever written.
    let path = record.log_file.as_deref();
    let log = path.map(|path| Reader::open(disk, path)).transpose()?.flatten();
    let intent_of = |head: &&Head| head.intent.expect("it is intended");
    let (there, missing): (Vec<&Head>, Vec<&Head>) =
        undecided.into_iter().partition(|head| log.as_ref().is_some_and(|log| log.has(&intent_of(head))));
    if let (Some(log), Some(path)) = (&log, path) {
        let missing: Vec<Intent> = missing.iter().map(intent_of).collect();
        log.cut_half_line(disk, path, &missing)?;
    }
    done.extend(there.iter().map(|head| head.key));
    for head in there {
        set(head, |segment| segment.set_intent_state(head.at, IntentState::Done))?;
    }
    for head in missing {
        set(head, |segment| segment.clear_intent(head.at))?;
    }
    Ok(done)
}

/// Of several copies of a head leaves one that speaks: what we note there must hold when the others are all that is left.
fn silence_copies(heads: &[Head], done: &HashSet<Key>) -> Result<()> {
    let mut speaking = HashSet::new();
    for head in heads.iter().filter(|head| !done.contains(&head.key)) {
        let is_moved = head.intent.is_some_and(|intent| intent.state == IntentState::Moved);
        if !is_moved && !speaking.insert(head.key) {
            set(head, |segment| segment.set_intent(head.at, &Intent::without_line(IntentState::Moved)))?;
        }
    }
    Ok(())
}

fn set(head: &Head, change: impl FnOnce(&Segment) -> std::io::Result<()>) -> Result<()> {
    let segment = head.hold.segment();
    change(segment).map_err(Error::io("write", segment.name()))
}

struct Entry {
    hold: Hold,
    at: usize,
    header: EntryHeader,
}

fn open_segments(disk: &Disk, session: &Session, record: &Record) -> Result<Vec<Hold>> {
    let mut segments = Vec::new();
    for folder in [Some(session.folder()), record.overflow.as_deref()].into_iter().flatten() {
        for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = file.path();
            if path.extension() == Some("seg".as_ref())
                && let Some(segment) = Segment::of_orphan(disk, root::open_own_file(disk, &path)?, path)?
            {
                segments.push(Hold::of_orphan(Arc::new(segment)));
            }
        }
    }
    Ok(segments)
}

/// All whole entries, in order, each once: what was copied forward may stand in two segments.
fn read_entries(segments: &[Hold], report: &mut Report) -> Vec<Entry> {
    let mut entries = Vec::new();
    for hold in segments {
        let (found, damaged) = walk(hold);
        report.damaged += damaged;
        for (at, header, crc) in found {
            if is_silent(hold, at, &header) {
                // The other copy is read.
            } else if is_whole(hold, at, &header, crc) {
                entries.push(Entry { hold: hold.clone(), at, header });
            } else {
                report.damaged += 1;
            }
        }
    }
    entries.sort_by_key(|e| (e.header.chain, e.header.sequence));
    entries.dedup_by_key(|e| (e.header.chain, e.header.sequence));
    entries
}

/// The entries of a segment with the stored checksums of their payloads, and how often something stood between them that is
/// none.
fn walk(hold: &Hold) -> (Vec<(usize, EntryHeader, u32)>, u64) {
    let segment = hold.segment();
    let (mut found, mut damaged, mut at) = (Vec::new(), 0, SEGMENT_HEADER_LEN);
    loop {
        let entry = segment.entry(at);
        if let Ok(Some((header, crc))) = entry {
            found.push((at, header, crc));
            at += header.entry_len();
            continue;
        }
        // As a rule the entries end here. Behind damage they go on.
        let next = segment.next_entry(at);
        damaged += u64::from(entry.is_err() || next.is_some());
        match next {
            Some(next) => at = next,
            None => return (found, damaged),
        }
    }
}

fn is_silent(hold: &Hold, at: usize, header: &EntryHeader) -> bool {
    let intent = || hold.segment().intent(at).ok().flatten();
    header.flags & FLAG_INTENT != 0 && intent().is_some_and(|intent| intent.state == IntentState::Moved)
}

fn is_whole(hold: &Hold, at: usize, header: &EntryHeader, crc: u32) -> bool {
    let start = at + header.payload_offset();
    crc == 0
        || hold
            .segment()
            .read(start, start + header.payload_len as usize)
            .is_ok_and(|bytes| payload_crc(&bytes) == crc)
}

fn collect_heads(segments: &[Hold]) -> Vec<Head> {
    let mut heads = Vec::new();
    for hold in segments {
        for (at, header, _) in walk(hold).0 {
            if header.flags & FLAG_INTENT != 0 {
                let key = (header.chain, header.exchange);
                let intent = hold.segment().intent(at).ok().flatten();
                heads.push(Head { key, hold: hold.clone(), at, intent });
            }
        }
    }
    heads
}

fn replay(entries: &[Entry]) -> Vec<Finished> {
    let mut table = Table::default();
    let mut finished = Vec::new();
    for entry in entries {
        if let Applied::Finished(one) = table.apply(&entry.hold, entry.at, &entry.header) {
            finished.push(*one);
        }
    }
    finished.extend(table.cut(None, WHY));
    finished
}

fn recipe(session: &Session, record: &Record) -> Recipe {
    Recipe {
        context: Context {
            session: session.id.clone(),
            pid: record.pid,
            recovered: true,
            zero_latency: record.zero_latency,
        },
        // What can be derived is left to the reader: a start should not wait for it.
        options: RecordOptions { max_decoded_bytes: record.max_decoded_bytes, derive: false },
        streams: Arc::default(),
    }
}

/// The log of the dead process if nobody has it now, else a new one, which is noted before it gets its first line.
fn open_log(disk: &Disk, session: &Session, record: &mut Record) -> Result<Log> {
    if let Some(log) = record.log_file.as_deref().and_then(|path| Log::reopen(disk, path)) {
        return Ok(log);
    }
    let target = Target {
        directory: record.log_directory.clone(),
        base_name: record.log_base_name.clone(),
        started_at: record.started_at,
    };
    Log::open(disk, &target, |path| {
        record.log_file = Some(path.to_owned());
        session.update(record)
    })
}
