//! The closing line.

use super::loader::{Logs, of_run};
use super::routes::Plan;
use crate::words::Count;
use claude_trace_core::pipeline::recorder::Stats;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What was recorded, and where.
#[derive(Debug, Default)]
pub struct Summary {
    exchanges: u64,
    logs: Vec<PathBuf>,
    /// The log lacks something that the next start will bring.
    is_incomplete: bool,
}

impl Summary {
    /// Of a recorder in this process.
    pub fn of_stats(stats: &Stats, complete: bool) -> Self {
        let logs = if stats.total_pairs > 0 { vec![stats.log_file.clone()] } else { Vec::new() };
        Self { exchanges: stats.total_pairs, logs, is_incomplete: !complete }
    }

    /// Of recorders in other processes: what has come to their logs.
    pub fn of_logs(logs: &Logs) -> Self {
        let mut summary = Self::default();
        for (log, length) in of_run(&logs.folder, &logs.name) {
            let before = logs.before.iter().find(|(other, _)| *other == log).map_or(0, |(_, length)| *length);
            let lines = if length > before { lines_from(&log, before) } else { 0 };
            if lines > 0 {
                summary.exchanges += lines;
                summary.logs.push(log);
            }
        }
        summary
    }

    pub fn words(&self, plan: &Plan) -> String {
        let mut words = if self.exchanges == 0 {
            let words = "nothing was recorded: the client made no request to an LLM API that was seen";
            match plan.advice {
                Some(advice) => format!("{words}; {advice}"),
                None => words.to_owned(),
            }
        } else {
            let logs: Vec<_> = self.logs.iter().map(|log| log.display().to_string()).collect();
            format!("{} recorded in {}", Count(self.exchanges, "exchange"), logs.join(" and "))
        };
        if self.is_incomplete {
            words.push_str("; the rest will be completed by the next start");
        }
        for remark in &plan.remarks {
            words.push_str(&format!(" ({remark})"));
        }
        words
    }
}

fn lines_from(log: &Path, at: u64) -> u64 {
    let Ok(mut file) = File::open(log) else { return 0 };
    if file.seek(SeekFrom::Start(at)).is_err() {
        return 0;
    }
    let mut buffer = vec![0; 1 << 16];
    let mut lines = 0;
    while let Ok(read @ 1..) = file.read(&mut buffer) {
        lines += memchr::memchr_iter(b'\n', &buffer[..read]).count() as u64;
    }
    lines
}
