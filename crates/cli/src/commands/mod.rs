//! The commands, one file for each.

mod ca;
mod mcp;
pub mod proxy;
pub mod recover;
mod repair;
mod rules;
mod verify;

use crate::failure::Failure;
use crate::launch::Run;
use clap::Subcommand;
use std::process::ExitCode;

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    Run(Run),
    Proxy(proxy::Reverse),
    Rules(rules::RulesFiles),
    Ca(ca::Authority),
    Mcp(mcp::Relay),
    #[command(hide = true)]
    McpServer(mcp::Stead),
    Recover(recover::Recover),
    Verify(verify::Verify),
    Repair(repair::Repair),
}

impl Command {
    /// Does it.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let code = match self {
            Self::Run(command) => return command.run(),
            Self::Mcp(command) => return command.run(),
            Self::McpServer(command) => return command.run(),
            Self::Proxy(command) => command.run(),
            Self::Rules(command) => command.run(),
            Self::Ca(command) => command.run(),
            Self::Recover(command) => command.run(),
            Self::Verify(command) => command.run(),
            Self::Repair(command) => command.run(),
        };
        code.map(Into::into)
    }
}
