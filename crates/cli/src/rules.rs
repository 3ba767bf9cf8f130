//! Files of rules for what passes a proxy, or a relay of MCP.

use crate::failure::Failure;
use crate::recording::Recording;
use crate::words::Count;
use clap::Args;
use claude_trace_core::interceptor::Registry;
use claude_trace_core::interceptor::rules::{MAX_FILE_BYTES, Mistakes, Rules};
use claude_trace_core::notice::Level;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The option of everything that proxies.
#[derive(Args, Clone, Debug, Default)]
pub struct RulesArgs {
    /// Change what passes by the rules of this file: headers, blocks, delays, replacements (docs/rules.md).
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
}

impl RulesArgs {
    /// The rules as interceptors, if there are any. Says how many.
    pub fn live(&self, recording: &Recording) -> Result<Option<Arc<Registry>>, Failure> {
        let Some(file) = &self.rules else { return Ok(None) };
        let rules = read(file, Of::Proxy)?.map_err(|mistakes| refused(file, &mistakes))?;
        let what = Count(rules.len() as u64, "rule");
        recording.say(Level::Info, &format!("{what} of {} act on what passes", file.display()));
        Ok(Some(Arc::new(rules.registry())))
    }
}

/// Whose rules they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// A proxy's: they go by heads, and by what messages of MCP ask for.
    Proxy,
    /// Those of a relay of MCP: they go by messages.
    Relay,
}

/// Reads a file of rules.
pub fn read(file: &Path, of: Of) -> Result<Result<Rules, Mistakes>, Failure> {
    let mut bytes = Vec::new();
    let opened = File::open(file).and_then(|opened| {
        // One byte more than is taken: what is larger is a mistake that says so.
        opened.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)
    });
    opened.map_err(|error| {
        Failure::new(format_args!("cannot read the rules in {}: {error}", file.display()))
    })?;
    let name = file.to_string_lossy();
    Ok(match of {
        Of::Proxy => Rules::read(&name, &bytes),
        Of::Relay => Rules::read_for_messages(&name, &bytes),
    })
}

/// Why a file of rules is not used: each mistake in a line of its own, as compilers write them.
pub fn refused(file: &Path, mistakes: &Mistakes) -> Failure {
    let count = Count(mistakes.list().len() as u64, "mistake");
    Failure::new(format_args!("the rules in {} have {count}:\n{mistakes}", file.display()))
}
