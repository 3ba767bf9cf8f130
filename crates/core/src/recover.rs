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
use crate::spool::layout::{EntryHeader, FLAG_INTENT, Intent, SEGMENT_HEADER_LEN, payload_crc};
use crate::spool::pool::Hold;
use crate::spool::root;
use crate::spool::segment::Segment;
use crate::spool::session::{self, Record, Session};
use crate::stats::Counters;
use crate::writer::dead::{Content, DeadLetters};
use crate::writer::log::{Log, Target};
use std::collections::{HashMap, HashSet};
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
pub fn recover(session: &Session) -> Result<Report> {
    let disk = session.disk();
    let mut report = Report::default();
    let Some(record) = session.record() else {
        return Err(Error::Damaged {
            path: session.folder().to_owned(),
            why: "its record cannot be read".into(),
        });
    };
    let segments = open_segments(disk, session, &record)?;
    let mut entries = read_entries(&segments, &mut report);
    let intents = collect_intents(&segments);
    let undecided: HashMap<_, _> =
        intents.iter().filter(|(_, i)| !i.committed).map(|(k, i)| (*k, *i)).collect();
    let mut done: HashSet<_> = intents.iter().filter(|(_, i)| i.committed).map(|(k, _)| *k).collect();

    let mut log = None;
    if !undecided.is_empty() {
        let opened = open_log(disk, &record)?;
        let (there, missing): (Vec<_>, Vec<_>) =
            undecided.into_iter().partition(|(_, intent)| opened.has(intent));
        done.extend(there.into_iter().map(|(key, _)| key));
        let missing: Vec<Intent> = missing.into_iter().map(|(_, intent)| intent).collect();
        let log = log.insert(opened);
        log.cut_torn_tail(&missing).map_err(Error::io("repair", log.path()))?;
    }
    report.already_there = done.len() as u64;
    entries.retain(|e| !done.contains(&(e.header.chain, e.header.exchange)));

    let recipe = recipe(session, &record);
    let counters = Counters::default();
    for finished in replay(&entries) {
        let log = match &mut log {
            Some(log) => log,
            None => log.insert(open_log(disk, &record)?),
        };
        let line = recipe.make(finished, &counters);
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
        let mut at = SEGMENT_HEADER_LEN;
        loop {
            match hold.segment().entry(at) {
                Ok(Some((header, crc))) => {
                    if is_whole(hold, at, &header, crc) {
                        entries.push(Entry { hold: hold.clone(), at, header });
                    } else {
                        report.damaged += 1;
                    }
                    at += header.entry_len();
                }
                Ok(None) => break,
                Err(why) => {
                    tracing::warn!(why, "a spool entry is damaged");
                    report.damaged += 1;
                    break;
                }
            }
        }
    }
    entries.sort_by_key(|e| (e.header.chain, e.header.sequence));
    entries.dedup_by_key(|e| (e.header.chain, e.header.sequence));
    entries
}

fn is_whole(hold: &Hold, at: usize, header: &EntryHeader, crc: u32) -> bool {
    let start = at + header.payload_offset();
    crc == 0
        || hold
            .segment()
            .read(start, start + header.payload_len as usize)
            .is_ok_and(|bytes| payload_crc(&bytes) == crc)
}

fn collect_intents(segments: &[Hold]) -> HashMap<(u32, u64), Intent> {
    let mut intents = HashMap::new();
    // All copies of an entry that stands twice are looked at: the intent may be in either.
    let places = segments.iter().flat_map(|hold| {
        let mut at = SEGMENT_HEADER_LEN;
        std::iter::from_fn(move || {
            let (header, _) = hold.segment().entry(at).ok()??;
            let place = (hold, at, header);
            at += header.entry_len();
            Some(place)
        })
    });
    for (hold, at, header) in places.filter(|(_, _, header)| header.flags & FLAG_INTENT != 0) {
        if let Ok(Some(intent)) = hold.segment().intent(at) {
            let known = intents.entry((header.chain, header.exchange)).or_insert(intent);
            if intent.committed {
                *known = intent;
            }
        }
    }
    intents
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
        options: RecordOptions { max_decoded_bytes: record.max_decoded_bytes },
    }
}

fn open_log(disk: &Disk, record: &Record) -> Result<Log> {
    // By the file's own name once it was opened: a default name must be continued here, and never is otherwise.
    let stem =
        record.log_file.as_ref().and_then(|file| file.file_stem()).map(|s| s.to_string_lossy().into_owned());
    Log::open(
        disk,
        &Target {
            directory: record.log_directory.clone(),
            base_name: stem.or_else(|| record.log_base_name.clone()),
            started_at: record.started_at,
        },
    )
}

/// Recovers what dead processes of this user have left, in all roots that `config` knows of, and tells of each session as it
/// is done with it. For whoever asks: it gives none up, whatever its age, and waits for each.
pub fn recover_all(config: &Config, mut tell: impl FnMut(&Session, Result<Report>)) {
    for root in root::known(config) {
        for session in session::orphans(&config.disk, &root) {
            let report = recover(&session);
            if report.is_ok() {
                session.remove(session.record().and_then(|r| r.overflow).as_deref());
            }
            tell(&session, report);
        }
    }
}
