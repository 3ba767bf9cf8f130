//! Runs the command as users do, and makes logs for it.
#![allow(dead_code, reason = "each test file uses some of it")]

use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub const BINARY: &str = env!("CARGO_BIN_EXE_claude-trace");

/// What a run of the command came to.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The command in an environment of its own.
pub fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(BINARY);
    command.args(args).env_clear().stdin(Stdio::null());
    command
}

pub fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    ran(command(args).output().unwrap())
}

pub fn ran(output: Output) -> Run {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run {
        code: output.status.code().expect("it ended by itself"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/records").join(name)
}

/// The golden lines, with their line feeds.
pub fn lines() -> Vec<String> {
    let text = std::fs::read_to_string(fixture("v1.jsonl")).unwrap();
    text.split_inclusive('\n').map(Into::into).collect()
}

/// A log with a half line in its middle and one at its end.
pub fn damaged_log() -> String {
    let lines = lines();
    format!("{}{}\n{}{}", lines[0], &lines[1][..200], lines[2], &lines[3][..100])
}
