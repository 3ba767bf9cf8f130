//! The `claude-trace` command. `docs/cli.md` describes it for users.

mod args;
mod commands;
mod data;
mod failure;
mod launch;
mod out;
mod progress;
mod recording;
mod rules;
mod serving;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    args::run()
}
