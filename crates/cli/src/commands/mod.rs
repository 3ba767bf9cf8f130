//! The commands, one file for each.

mod proxy;
pub mod recover;
mod repair;
mod verify;

use crate::failure::{Code, Failure};
use clap::Subcommand;

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    Proxy(proxy::Reverse),
    Recover(recover::Recover),
    Verify(verify::Verify),
    Repair(repair::Repair),
}

impl Command {
    /// Does it.
    pub fn run(self) -> Result<Code, Failure> {
        match self {
            Self::Proxy(command) => command.run(),
            Self::Recover(command) => command.run(),
            Self::Verify(command) => command.run(),
            Self::Repair(command) => command.run(),
        }
    }
}
