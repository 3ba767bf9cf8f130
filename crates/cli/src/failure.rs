//! What ends a command early, and what its exit says.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

/// What a command's exit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// All is well.
    Ok = 0,
    /// The command has done its work and found problems.
    Problems = 1,
    /// The command line is wrong, or a file cannot be used.
    Failure = 2,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure in words: lower case, with the value that is at fault and what to do.
    pub fn new(message: impl Display) -> Self {
        Self(message.to_string())
    }

    /// Says it on stderr, where every line of ours says who speaks.
    pub fn say(&self) {
        // A closed stderr is no reason to fail differently.
        let _ = writeln!(std::io::stderr(), "claude-trace: {}", self.0);
    }
}

impl From<claude_trace_query::Error> for Failure {
    fn from(error: claude_trace_query::Error) -> Self {
        Self::new(error)
    }
}
