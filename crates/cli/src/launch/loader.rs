//! The recorder in a client's own process: what has to be in its environment, and which logs it will write.

use super::child::Child;
use super::options::{Capture, LaunchArgs};
use crate::failure::Failure;
use crate::recording::{Recording, set};
use claude_trace_core::civil::FileStamp;
use claude_trace_core::clock::wall_nanos;
use std::path::{Path, PathBuf};

const LOADER: &str = "interceptor-loader.js";
/// From the program's folder to the package's: beside it, in `bin/`, in `target/release/`.
const FROM_PROGRAM: [&str; 3] = ["", "..", "../.."];

/// The logs of a run: its processes have one each.
#[derive(Debug)]
pub struct Logs {
    pub folder: PathBuf,
    /// Without `.jsonl`. Further processes get `NAME-2`, `NAME-3`, ….
    pub name: String,
    /// What was there before, with its length.
    pub before: Vec<(PathBuf, u64)>,
}

/// Gives the client the recorder, which records `hosts` too.
pub fn prepare(
    child: &mut Child,
    capture: Capture,
    options: &LaunchArgs,
    hosts: &[String],
    recording: &Recording,
) -> Result<Logs, Failure> {
    let loader = loader()?;
    let (variable, option) = match capture {
        Capture::Bun => ("BUN_OPTIONS", "--preload"),
        _ => ("NODE_OPTIONS", "--require"),
    };
    let before = set(variable).map(|options| options.to_string_lossy().into_owned());
    child.set_one(variable, with_option(before.as_deref(), option, &loader.to_string_lossy()));
    let config = &recording.config;
    // One name for all processes of this run, and one that no other run has.
    let name = config.log_base_name.clone().unwrap_or_else(|| free_name(&config.log_directory));
    child.set_one("CLAUDE_TRACE_LOG_DIR", config.log_directory.clone());
    child.set_one("CLAUDE_TRACE_LOG_NAME", name.clone());
    if let Some(dir) = &options.recording.runtime_dir {
        child.set_one("CLAUDE_TRACE_RUNTIME_DIR", dir.clone());
    }
    if options.recording.no_zero_latency {
        child.set_one("CLAUDE_TRACE_ZERO_LATENCY", "false");
    }
    if options.include_all_requests {
        child.set_one("CLAUDE_TRACE_INCLUDE_ALL_REQUESTS", "true");
    }
    if !hosts.is_empty() {
        let known = set("CLAUDE_TRACE_HOSTS").map(|hosts| hosts.to_string_lossy().into_owned());
        let all: Vec<_> = known.iter().chain(hosts).map(String::as_str).collect();
        child.set_one("CLAUDE_TRACE_HOSTS", all.join(","));
    }
    let folder = config.log_directory.clone();
    Ok(Logs { before: of_run(&folder, &name), folder, name })
}

fn loader() -> Result<PathBuf, Failure> {
    if let Some(path) = set("CLAUDE_TRACE_LOADER").map(PathBuf::from) {
        return if path.is_file() {
            crate::recording::absolute(&path)
        } else {
            Err(Failure::new(format_args!("CLAUDE_TRACE_LOADER is {}, which is no file", path.display())))
        };
    }
    let program = std::env::current_exe().and_then(|program| program.canonicalize()).map_err(Failure::new)?;
    let folder = program.parent().unwrap_or(Path::new("/"));
    let places = FROM_PROGRAM.iter().filter_map(|up| folder.join(up).canonicalize().ok());
    places.map(|package| package.join(LOADER)).find(|file| file.is_file()).ok_or_else(|| {
        Failure::new(format_args!(
            "{LOADER} of the npm package is not beside {}: name it in CLAUDE_TRACE_LOADER, or use --capture proxy",
            program.display()
        ))
    })
}

/// The options that there were, and one more. Node and Bun take quotes, and backslashes in them.
fn with_option(before: Option<&str>, option: &str, path: &str) -> String {
    let is_plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+@".contains(&byte));
    let ours = if is_plain {
        format!("{option}={path}")
    } else {
        format!("\"{option}={}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
    };
    match before {
        Some(before) if before.contains(&ours) => before.to_owned(),
        Some(before) => format!("{before} {ours}"),
        None => ours,
    }
}

fn free_name(folder: &Path) -> String {
    let stamp = format!("log-{}", FileStamp(wall_nanos()));
    let mut name = stamp.clone();
    let mut number = 2;
    while folder.join(format!("{name}.jsonl")).exists() {
        name = format!("{stamp}-{number}");
        number += 1;
    }
    name
}

/// The logs of that name, with their lengths.
pub fn of_run(folder: &Path, name: &str) -> Vec<(PathBuf, u64)> {
    let mut logs: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|file| is_of_run(file, name)))
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len())))
        .collect();
    logs.sort();
    logs
}

fn is_of_run(file: &str, name: &str) -> bool {
    let Some(rest) = file.strip_prefix(name).and_then(|rest| rest.strip_suffix(".jsonl")) else {
        return false;
    };
    let number = rest.strip_prefix('-').unwrap_or("1");
    rest.is_empty()
        || (rest.starts_with('-') && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_added_to_and_never_replaced() {
        let add = |before, path| with_option(before, "--require", path);
        assert_eq!(add(None, "/a/b.js"), "--require=/a/b.js");
        assert_eq!(add(Some("--x \"y z\""), "/a/b.js"), "--x \"y z\" --require=/a/b.js");
        assert_eq!(add(Some("--require=/a/b.js"), "/a/b.js"), "--require=/a/b.js");
        assert_eq!(add(None, "/a \"b\\.js"), r#""--require=/a \"b\\.js""#);
    }

    #[test]
    fn the_logs_of_a_run_are_those_of_its_name() {
        for file in ["x.jsonl", "x-2.jsonl", "x-10.jsonl"] {
            assert!(is_of_run(file, "x"), "{file}");
        }
        for file in ["x-.jsonl", "x-2b.jsonl", "xy.jsonl", "x.jsonl.bak", "x2.jsonl", "x.dead-letters.jsonl"]
        {
            assert!(!is_of_run(file, "x"), "{file}");
        }
    }
}
