//! From the command line to a command, and from its result to an exit code.

use crate::commands::Command;
use crate::failure::{Code, Failure};
use clap::Parser;
use clap::error::ErrorKind;
use std::process::ExitCode;

/// Records LLM API traffic, and looks after what was recorded.
#[derive(Debug, Parser)]
#[command(
    name = "claude-trace",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "`claude-trace COMMAND --help` says more of each.\n\n\
                  Exit codes: 0, all is well; 1, problems were found; 2, the command line is wrong, or a file cannot be used."
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

/// Runs what the command line says.
pub fn run() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return refuse(&error),
    };
    match args.command.run() {
        Ok(code) => code.into(),
        Err(failure) => {
            failure.say();
            Code::Failure.into()
        }
    }
}

/// Says what is wrong with a command line, or what was asked of it: help and version are errors to clap.
fn refuse(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Nobody may be listening any more (`--help | head`).
            let _ = error.print();
            Code::Ok.into()
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Code::Failure.into()
        }
        _ => {
            let text = error.to_string();
            Failure::new(text.strip_prefix("error: ").unwrap_or(&text).trim_end()).say();
            Code::Failure.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
