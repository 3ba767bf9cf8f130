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
pub struct Failure {
    /// None: all has been said.
    message: Option<String>,
    code: u8,
}

/// As a shell says that a command cannot be executed, or was not found.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

impl Failure {
    /// A failure in words: lower case, with the value that is at fault and what to do.
    pub fn new(message: impl Display) -> Self {
        Self { message: Some(message.to_string()), code: Code::Failure as u8 }
    }

    /// Help or a version was asked for, and printed.
    pub fn nothing() -> Self {
        Self { message: None, code: Code::Ok as u8 }
    }

    /// The work was done, and did not come to what it should.
    pub fn problem(message: impl Display) -> Self {
        Self { code: Code::Problems as u8, ..Self::new(message) }
    }

    /// A program that was to be started was not found.
    pub fn not_found(message: impl Display) -> Self {
        Self { code: NOT_FOUND, ..Self::new(message) }
    }

    /// A program that was to be started cannot be.
    pub fn not_executable(message: impl Display) -> Self {
        Self { code: NOT_EXECUTABLE, ..Self::new(message) }
    }

    /// What the exit says.
    pub fn code(&self) -> ExitCode {
        self.code.into()
    }

    /// Says it on stderr, where every line of ours says who speaks.
    pub fn say(&self) {
        if let Some(message) = &self.message {
            // A closed stderr is no reason to fail differently.
            let _ = writeln!(std::io::stderr(), "claude-trace: {message}");
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.message.as_deref().unwrap_or_default())
    }
}

impl From<claude_trace_query::Error> for Failure {
    fn from(error: claude_trace_query::Error) -> Self {
        Self::new(error)
    }
}
