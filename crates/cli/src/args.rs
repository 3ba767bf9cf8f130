//! From the command line to a command or a client, and from its result to an exit code.

use crate::commands::Command;
use crate::failure::Failure;
use crate::launch::{self, Launch, LaunchArgs, Words};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs Claude Code and records what it says to its API; or runs one of the commands.
///
/// Options that are not listed here go to Claude Code, in their order; so does all that follows `--`. Its input, output,
/// signals and exit code stay its own.
#[derive(Debug, Parser)]
#[command(
    name = "claude-trace",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    override_usage = "claude-trace [OPTIONS] [-- ARGUMENTS OF CLAUDE CODE]\n       claude-trace <COMMAND>",
    after_help = "`claude-trace COMMAND --help` says more of each.\n\n\
                  Exit codes: Claude Code's own, or the signal that ended it; 2, it was not started; 126, it\n\
                  cannot be executed; 127, it was not found. Of a command: 0, all is well; 1, problems were\n\
                  found; 2, the command line is wrong, or a file cannot be used."
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// Give all that follows to Claude Code, as `--` does.
    #[arg(long, num_args = 0.., value_name = "ARGUMENTS")]
    run_with: Option<Vec<OsString>>,

    /// Where Claude Code is [default: the PATH, ~/.claude/local].
    #[arg(long, value_name = "PATH")]
    claude_path: Option<PathBuf>,

    /// Print the OAuth token that Claude Code uses, and do nothing else.
    #[arg(long)]
    extract_token: bool,

    /// Make an HTML page of a log; comes with a later version.
    #[arg(long, num_args = 1..=2, value_names = ["LOG", "HTML"])]
    generate_html: Option<Vec<PathBuf>>,

    /// Make an index of the logs; comes with a later version.
    #[arg(long)]
    index: bool,

    #[command(flatten)]
    launch: LaunchArgs,
}

/// Runs what the command line says.
pub fn run() -> ExitCode {
    let done = match launch::split(&Args::command(), std::env::args_os().skip(1).collect()) {
        Words::Slip { word, meant } => Err(Failure::new(format_args!(
            "there is no command '{word}'; '{meant}' is one. For Claude Code: claude-trace -- {word}"
        ))),
        Words::Misplaced { word } => Err(Failure::new(format_args!(
            "'{word}' comes before its options: claude-trace {word} [OPTIONS]. For Claude Code: claude-trace [OPTIONS] -- {word}"
        ))),
        Words::Ours(words) => parse(words).and_then(|args| args.run(Vec::new())),
        Words::Launch { ours, clients } => parse(ours).and_then(|args| args.run(clients)),
    };
    done.unwrap_or_else(|failure| {
        failure.say();
        failure.code()
    })
}

impl Args {
    fn run(self, clients: Vec<OsString>) -> Result<ExitCode, Failure> {
        match self {
            Self { command: Some(command), .. } => command.run(),
            Self { generate_html: Some(_), .. } => Err(later("--generate-html")),
            Self { index: true, .. } => Err(later("--index")),
            Self { extract_token: true, claude_path, .. } => launch::extract_token(claude_path),
            Self { claude_path, launch, .. } => Launch::claude(claude_path, clients, launch)?.run(),
        }
    }
}

fn later(option: &str) -> Failure {
    Failure::new(format_args!("{option} comes with a later version: the viewer is not there yet"))
}

fn parse(words: Vec<OsString>) -> Result<Args, Failure> {
    let name = std::iter::once(OsString::from("claude-trace"));
    Args::try_parse_from(name.chain(words)).map_err(|error| refuse(&error))
}

/// Says what is wrong with a command line, or what was asked of it: help and version are errors to clap.
fn refuse(error: &clap::Error) -> Failure {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // Nobody may be listening any more (`--help | head`).
        let _ = error.print();
        return Failure::nothing();
    }
    let text = error.to_string();
    Failure::new(text.strip_prefix("error: ").unwrap_or(&text).trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
