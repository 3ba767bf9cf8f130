//! `claude-trace recover`

use crate::failure::{Code, Failure};
use crate::out::{BAD, DIM, GOOD, Out};
use crate::progress::Progress;
use crate::recording::{absolute, set};
use crate::words::{Count, Moment};
use clap::Args;
use claude_trace_core::config::Config;
use claude_trace_core::error::Error;
use claude_trace_core::recover::{self, Report};
use claude_trace_core::spool::root;
use claude_trace_core::spool::session::{self, Session};
use serde::Serialize;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Complete the logs of processes that were killed.
///
/// What a recorder has seen lies in its spool until it is in the log. When its process is killed, the next program that is
/// recorded completes the log; this command does it now. It looks wherever this user's recorders keep spools: in shared
/// memory, in the folders that were configured, and below DIR.
///
/// It is safe to run at any time, twice at once, and to be interrupted: nothing is written twice, and sessions of living
/// processes are left alone.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  claude-trace recover
  claude-trace recover --list          what lies there, without touching it
  claude-trace recover ~/project/.claude-trace

Environment: CLAUDE_TRACE_LOG_DIR and CLAUDE_TRACE_SPOOL_DIR, as for the recorder.

Exit codes: 0, done, or there was nothing to do; 1, a session could not be recovered; 2, DIR cannot be used.")]
pub struct Recover {
    /// A folder of logs, whose spool is looked at too [default: $CLAUDE_TRACE_LOG_DIR or .claude-trace].
    #[arg(value_name = "DIR")]
    log_directory: Option<PathBuf>,

    /// The folder that the option `spoolDir` names [default: $CLAUDE_TRACE_SPOOL_DIR].
    #[arg(long, value_name = "DIR")]
    spool_dir: Option<PathBuf>,

    /// List the sessions of dead and of living processes, and recover none.
    #[arg(long)]
    list: bool,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    /// In place of the user's folder in shared memory: so that tests keep to themselves.
    #[arg(long, hide = true)]
    runtime_dir: Option<PathBuf>,
}

#[derive(Serialize)]
struct Answer {
    ok: bool,
    /// Records written.
    written: u64,
    sessions: Vec<OfSession>,
}

#[derive(Serialize)]
struct OfSession {
    id: String,
    state: State,
    /// Where its spool is, or was.
    spool: PathBuf,
    pid: Option<u32>,
    /// Nanoseconds since the epoch.
    started_at: Option<u64>,
    log_directory: Option<PathBuf>,
    /// The log, if it is known.
    log: Option<PathBuf>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    done: Option<Done>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<OfError>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// Its process lives, or somebody is recovering it at this moment.
    Living,
    /// Its process is dead.
    Orphaned,
    Recovered,
    Failed,
}

#[derive(Serialize)]
struct Done {
    written: u64,
    already_there: u64,
    damaged: u64,
}

#[derive(Serialize)]
struct OfError {
    code: &'static str,
    message: String,
}

impl Recover {
    pub fn run(self) -> Result<Code, Failure> {
        let config = self.config()?;
        let sessions = if self.list { list(&config) } else { recover(&config) };
        let ok = sessions.iter().all(|session| session.error.is_none());
        let written =
            sessions.iter().filter_map(|session| session.done.as_ref()).map(|done| done.written).sum();
        let answer = Answer { ok, written, sessions };
        let mut out = Out::new();
        if self.json {
            out.json(&answer)?;
        } else {
            self.tell(&mut out, &answer)?;
        }
        Ok(if ok { Code::Ok } else { Code::Problems })
    }

    fn config(&self) -> Result<Config, Failure> {
        let log_directory = match &self.log_directory {
            Some(dir) if !dir.is_dir() => {
                return Err(Failure::new(format_args!("{} is not a folder", dir.display())));
            }
            Some(dir) => dir.clone(),
            None => set("CLAUDE_TRACE_LOG_DIR").map_or_else(|| ".claude-trace".into(), PathBuf::from),
        };
        let mut config = Config::new(absolute(&log_directory)?);
        let spool_dir = self.spool_dir.clone().or_else(|| set("CLAUDE_TRACE_SPOOL_DIR").map(PathBuf::from));
        config.spool_dir = spool_dir.map(|dir| absolute(&dir)).transpose()?;
        if let Some(dir) = &self.runtime_dir {
            config.runtime_dir = absolute(dir)?;
        }
        Ok(config)
    }

    fn tell(&self, out: &mut Out, answer: &Answer) -> Result<(), Failure> {
        for session in &answer.sessions {
            session.tell(out)?;
        }
        match (answer.sessions.is_empty(), self.list) {
            (true, true) => out.line(format_args!("no sessions")),
            (true, false) => out.line(format_args!("nothing to recover")),
            _ => Ok(()),
        }
    }
}

fn recover(config: &Config) -> Vec<OfSession> {
    let _progress = Progress::of_work("recovering");
    let mut sessions = Vec::new();
    each_orphan(config, |session, report| sessions.push(OfSession::recovered(session, report)));
    sessions
}

/// Recovers every orphaned session that this user's recorders can have left, and tells of each.
pub fn each_orphan(config: &Config, mut tell: impl FnMut(&Session, Result<Report, Error>)) {
    for root in root::known(config) {
        for session in session::orphans(&config.disk, &root) {
            let report = recover::recover(&session);
            if report.is_ok() {
                session.remove(session.record().and_then(|record| record.overflow).as_deref());
            }
            tell(&session, report);
        }
    }
}

fn list(config: &Config) -> Vec<OfSession> {
    let mut sessions = Vec::new();
    for root in root::known(config) {
        // They are locked, and so not taken up by others, until the end of this round.
        let orphans = session::orphans(&config.disk, &root);
        let orphaned = |folder: &Path| orphans.iter().any(|session| session.folder() == folder);
        sessions.extend(orphans.iter().map(|session| OfSession::of(session, State::Orphaned)));
        if root::check(&root).is_err() {
            continue;
        }
        let folders = std::fs::read_dir(&root).into_iter().flatten().flatten().map(|entry| entry.path());
        sessions.extend(folders.filter(|folder| !orphaned(folder)).filter_map(OfSession::living));
    }
    sessions.sort_by(|a, b| a.id.cmp(&b.id));
    sessions
}

impl OfSession {
    fn of(session: &Session, state: State) -> Self {
        let record = session.record();
        let (started_at, pid) = parse_id(&session.id).unzip();
        Self {
            id: session.id.clone(),
            state,
            spool: session.folder().to_owned(),
            pid: record.as_ref().map(|record| record.pid).or(pid),
            started_at: record.as_ref().map(|record| record.started_at).or(started_at),
            log: record.as_ref().and_then(|record| record.log_file.clone()),
            log_directory: record.map(|record| record.log_directory),
            done: None,
            error: None,
        }
    }

    fn recovered(session: &Session, report: Result<Report, Error>) -> Self {
        let of = Self::of(session, State::Recovered);
        match report {
            Ok(report) => Self {
                log: report.log_file.or(of.log),
                done: Some(Done {
                    written: report.recovered,
                    already_there: report.already_there,
                    damaged: report.damaged,
                }),
                ..of
            },
            Err(error) => Self {
                state: State::Failed,
                error: Some(OfError { code: error.code(), message: error.to_string() }),
                ..of
            },
        }
    }

    /// A folder in a root that is no orphan's. Of its process only the name of the folder tells.
    fn living(folder: PathBuf) -> Option<Self> {
        let id = folder.file_name().and_then(OsStr::to_str)?.to_owned();
        let (started_at, pid) = parse_id(&id).filter(|_| root::check(&folder).is_ok())?;
        Some(Self {
            id,
            state: State::Living,
            spool: folder,
            pid: Some(pid),
            started_at: Some(started_at),
            log_directory: None,
            log: None,
            done: None,
            error: None,
        })
    }

    fn tell(&self, out: &mut Out) -> Result<(), Failure> {
        let who = match (self.pid, self.started_at) {
            (Some(pid), Some(at)) => format!("process {pid}, {} UTC", Moment(at)),
            _ => format!("session {}", self.id),
        };
        let log = self.log.as_ref().or(self.log_directory.as_ref()).map(|path| path.display().to_string());
        let into = log.map_or(String::new(), |log| format!(" into {log}"));
        match (&self.state, &self.done, &self.error) {
            (_, _, Some(error)) => {
                Failure::new(format_args!("{who} is not recovered: {}", error.message)).say();
                out.line(format_args!("{who}: {BAD}not recovered{BAD:#}, kept in {}", self.spool.display()))
            }
            (_, Some(done), _) => {
                let mut words = format!("{GOOD}{}{GOOD:#} written{into}", Count(done.written, "record"));
                if done.already_there > 0 {
                    words.push_str(&format!(", {} there already", done.already_there));
                }
                if done.damaged > 0 {
                    words.push_str(&format!(", {BAD}{}{BAD:#}", Count(done.damaged, "damaged entry")));
                }
                out.line(format_args!("{who}: {words}"))
            }
            (State::Living, ..) => {
                out.line(format_args!("{who}: {DIM}living{DIM:#}, in {}", self.spool.display()))
            }
            _ => out.line(format_args!("{who}: to be recovered{into}, from {}", self.spool.display())),
        }
    }
}

/// When a session began, and the process: the parts of its name.
fn parse_id(id: &str) -> Option<(u64, u32)> {
    let mut parts = id.split('-');
    let (started_at, pid, count) = (parts.next()?, parts.next()?, parts.next()?);
    count.parse::<u32>().ok().filter(|_| parts.next().is_none())?;
    Some((u64::from_str_radix(started_at, 16).ok()?, pid.parse().ok()?))
}
