//! What the process has taken so far; what only Linux counts is 0 elsewhere.

use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::fs;

/// Of the times in `/proc`, on every machine that there is a build for.
const TICKS_PER_SECOND: f64 = 100.0;

pub struct Cost {
    /// Of all threads, those included that have ended.
    pub cpu_seconds: f64,
    /// The part of it that is not the kernel's.
    pub user_seconds: f64,
    pub resident_bytes: u64,
    pub peak_bytes: u64,
    /// CPU time that the machine below gave to others while somebody here had work, since the start of the system.
    pub stolen_seconds: f64,
}

impl Cost {
    pub fn of_process() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // Behind the name, which may hold anything, the 12th: see proc(5).
        let user =
            stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(11)?.parse::<f64>().ok());
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bytes = |name: &str| {
            let rest = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = rest.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
            kilobytes.unwrap_or(0) * 1024
        };
        Self {
            cpu_seconds: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            user_seconds: user.unwrap_or(0.0) / TICKS_PER_SECOND,
            resident_bytes: bytes("VmRSS:"),
            peak_bytes: bytes("VmHWM:"),
            stolen_seconds: stolen(),
        }
    }
}

/// Of all processors: the 8th number of the first line.
fn stolen() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = stat.lines().next().and_then(|all| all.split_whitespace().nth(8)?.parse::<f64>().ok());
    ticks.unwrap_or(0.0) / TICKS_PER_SECOND
}

/// CPU seconds of the threads that run now, by name.
pub fn by_thread() -> BTreeMap<String, f64> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let named = tasks.filter_map(|task| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let nanos: f64 =
            fs::read_to_string(task.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()?;
        Some((name.trim().to_owned(), nanos / 1e9))
    });
    named.collect()
}
