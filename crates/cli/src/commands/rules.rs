//! `claude-trace rules`

use crate::failure::{Code, Failure};
use crate::out::Out;
use crate::rules::{Of, read, refused};
use crate::words::Count;
use clap::{Args, Subcommand};
use claude_trace_core::interceptor::rules::Mistake;
use serde::Serialize;
use std::path::PathBuf;

/// Look after files of rules, which --rules takes.
///
/// A proxy with rules changes what passes: headers, blocks, delays, replacements (docs/rules.md).
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  claude-trace rules check rules.toml
  claude-trace rules check --mcp rules-of-tools.toml
  claude-trace rules check --json *.toml | jq '.files[] | select(.ok | not)'

Exit codes: 0, all of them can be used; 2, one cannot, and why is said.")]
pub struct RulesFiles {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Say everything that is wrong with a file, with lines and columns.
    Check(Check),
}

#[derive(Args, Debug)]
struct Check {
    /// The files.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// They are for `claude-trace mcp`, and not for a proxy.
    #[arg(long)]
    mcp: bool,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    ok: bool,
    files: Vec<Checked>,
}

#[derive(Serialize)]
struct Checked {
    file: String,
    ok: bool,
    /// By their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mistakes: Vec<Told>,
    /// It cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct Told {
    line: usize,
    column: usize,
    field: String,
    message: String,
}

impl From<&Mistake> for Told {
    fn from(mistake: &Mistake) -> Self {
        let (field, message) = (mistake.field().to_owned(), mistake.words().to_owned());
        Self { line: mistake.line(), column: mistake.column(), field, message }
    }
}

impl RulesFiles {
    pub fn run(self) -> Result<Code, Failure> {
        let What::Check(Check { files, mcp, json }) = self.what;
        let of = if mcp { Of::Relay } else { Of::Proxy };
        let mut out = Out::new();
        let mut answer = Answer { ok: true, files: Vec::new() };
        for path in files {
            let mut checked = Checked {
                file: path.display().to_string(),
                ok: true,
                rules: None,
                mistakes: Vec::new(),
                error: None,
            };
            let failure = match read(&path, of) {
                Ok(Ok(rules)) => {
                    let names: Vec<_> = rules.names().map(str::to_owned).collect();
                    if !json {
                        let count = Count(rules.len() as u64, "rule");
                        out.line(format_args!("{}: ok: {count}: {}", checked.file, names.join(", ")))?;
                    }
                    checked.rules = Some(names);
                    None
                }
                Ok(Err(mistakes)) => {
                    checked.mistakes = mistakes.list().iter().map(Told::from).collect();
                    Some(refused(&path, &mistakes))
                }
                Err(failure) => {
                    checked.error = Some(failure.to_string());
                    Some(failure)
                }
            };
            if let Some(failure) = failure {
                (answer.ok, checked.ok) = (false, false);
                if !json {
                    failure.say();
                }
            }
            answer.files.push(checked);
        }
        if json {
            out.json(&answer)?;
        }
        Ok(if answer.ok { Code::Ok } else { Code::Failure })
    }
}
