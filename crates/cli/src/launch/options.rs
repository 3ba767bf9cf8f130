//! The launcher's options.

use super::{BaseUrl, Launch};
use crate::failure::Failure;
use crate::recording::RecordingArgs;
use crate::rules::RulesArgs;
use clap::{Args, ValueEnum};
use claude_trace_net::Upstream;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// How traffic is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Capture {
    /// The recorder is loaded into Node (NODE_OPTIONS).
    Node,
    /// The client's base URLs lead to reverse proxies here.
    Proxy,
    /// The client goes through a TLS proxy here (HTTPS_PROXY), and trusts its certificates.
    Mitm,
    /// The recorder is loaded into Bun (BUN_OPTIONS); sees the global fetch alone.
    Bun,
}

/// What all launches take.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Capture")]
pub struct LaunchArgs {
    /// How traffic is seen [default: node for Node programs, proxy for others].
    #[arg(long, value_name = "HOW")]
    pub capture: Option<Capture>,

    /// Record every path, not only calls of a model.
    #[arg(long)]
    pub include_all_requests: bool,

    /// The base URL of the Anthropic API [default: $ANTHROPIC_BASE_URL, that of Claude Code's settings, or
    /// https://api.anthropic.com].
    #[arg(long, value_name = "URL")]
    pub upstream: Option<Upstream>,

    /// A further API: the variable from which the client takes its base URL, and that URL.
    #[arg(long, value_name = "VARIABLE=URL")]
    pub base_url: Vec<BaseUrl>,

    /// Certificates (PEM) to trust beside the usual ones.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Vec<PathBuf>,

    /// Accepted for compatibility: nothing is opened.
    #[arg(long)]
    pub no_open: bool,

    #[command(flatten)]
    pub rules: RulesArgs,

    #[command(flatten)]
    pub recording: RecordingArgs,
}

/// Run any program, and record what it says to LLM APIs.
///
/// A Node program gets the recorder loaded. Any other is told, by ANTHROPIC_BASE_URL, OPENAI_BASE_URL and the like, that its
/// APIs live at a proxy here, which forwards to the real ones; one that takes no base URL goes through a TLS proxy
/// (--capture mitm). Input, output, signals and the exit code are the program's.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  claude-trace run -- python agent.py
  claude-trace run -- node --test agent.test.js
  claude-trace run --capture mitm -- agent-without-a-base-url
  claude-trace run --rules rules.toml -- node agent.js
  claude-trace run --base-url MY_AGENT_URL=https://llm.example/v1 -- my-agent

Environment: ANTHROPIC_BASE_URL, OPENAI_BASE_URL and the base URLs of Bedrock, Vertex and Foundry
name the real APIs; HTTPS_PROXY, NO_PROXY and NODE_EXTRA_CA_CERTS hold for the way to them.
CLAUDE_TRACE_HOSTS names further hosts for --capture mitm and for Node programs.

Exit codes: the program's, or the signal that ended it; 2, it was not started; 126, it cannot be
executed; 127, it was not found.")]
pub struct Run {
    #[command(flatten)]
    options: LaunchArgs,

    /// The program and its arguments.
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

impl Run {
    pub fn run(self) -> Result<ExitCode, Failure> {
        Launch::command(self.command, self.options)?.run()
    }
}
