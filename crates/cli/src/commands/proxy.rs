//! `claude-trace proxy`

use crate::failure::{Code, Failure};
use crate::out::Out;
use crate::recording::{RecordingArgs, set};
use crate::rules::RulesArgs;
use crate::serving::Serving;
use crate::words::Count;
use clap::Args;
use claude_trace_core::notice::Level;
use claude_trace_net::proxy::Token;
use claude_trace_net::{Access, Config, Selection, Upstream};
use serde::Serialize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Stand in front of an API, and record what passes.
///
/// Whatever can be told a base URL can be recorded: give it the URL that this command prints. Requests go to the upstream
/// as they came, with its Host; answers come back as they are, chunk by chunk. It stops with SIGINT or SIGTERM.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  claude-trace proxy --listen 127.0.0.1:8080
  ANTHROPIC_BASE_URL=http://127.0.0.1:8080 some-agent
  claude-trace proxy --upstream https://api.openai.com --listen 127.0.0.1:8081
  OPENAI_BASE_URL=http://127.0.0.1:8081/v1 python agent.py
  claude-trace proxy --rules slow-and-sometimes-down.toml

It serves programs of this machine alone. For others, with a token that they send as the first
part of the path (or in the field x-claude-trace-token):
  export CLAUDE_TRACE_PROXY_TOKEN=$(openssl rand -hex 16)
  claude-trace proxy --listen 0.0.0.0:8080 --allow-remote

Environment: CLAUDE_TRACE_PROXY_TOKEN; HTTPS_PROXY, HTTP_PROXY and NO_PROXY on the way to the
upstream; SSL_CERT_FILE and NODE_EXTRA_CA_CERTS for what is trusted there; and the recorder's own
(docs/configuration.md).

Exit codes: 0, it was stopped; 2, it could not start.")]
pub struct Reverse {
    /// Where to listen; port 0 is any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// The base URL of the API.
    #[arg(long, value_name = "URL", default_value = "https://api.anthropic.com")]
    upstream: Upstream,

    /// Let other machines use it, if they show the token.
    #[arg(long)]
    allow_remote: bool,

    /// What clients have to show, 16 or more letters and digits. Others of this machine can read a command line: the
    /// variable CLAUDE_TRACE_PROXY_TOKEN is better.
    #[arg(long, value_name = "TOKEN")]
    token: Option<Token>,

    /// Certificates (PEM) to trust beside the usual ones.
    #[arg(long, value_name = "FILE")]
    ca_file: Vec<PathBuf>,

    /// How long a connection to the upstream may take to be made, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    connect_timeout_ms: u64,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    rules: RulesArgs,

    #[command(flatten)]
    recording: RecordingArgs,
}

#[derive(Serialize)]
struct Answer {
    /// What clients take for a base URL.
    url: String,
    upstream: String,
    pid: u32,
}

impl Reverse {
    pub fn run(self) -> Result<Code, Failure> {
        // Before anything that would be lost: from here on a signal ends this in order.
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(Failure::new)?;
        let recording = self.recording.recording()?;
        let timeout = Duration::from_millis(self.connect_timeout_ms);
        let live = self.rules.live(&recording)?;
        let serving = Serving::start(&recording, &trusted(&self.ca_file), timeout)?;
        serving.widen();
        let token = self.token()?;
        let access = match (&token, self.allow_remote) {
            (Some(token), true) => Access::Remote(token.clone()),
            (Some(token), false) => Access::LocalWith(token.clone()),
            (None, true) => {
                return Err(Failure::new("--allow-remote takes a token: set CLAUDE_TRACE_PROXY_TOKEN"));
            }
            (None, false) => Access::Local,
        };
        let upstream = self.upstream.to_string();
        if !self.listen.ip().is_loopback() && !self.allow_remote {
            let words = "{} can be reached by other machines: --allow-remote allows it, with a token";
            return Err(Failure::new(words.replace("{}", &self.listen.to_string())));
        }
        let config =
            Config { listen: self.listen, upstream: self.upstream, access, selection: Selection::All, live };
        let address = serving.add(config)?;
        let url = format!("http://{address}");
        let url = token.map_or(url.clone(), |token| token.base_url(&url));
        let mut out = Out::new();
        if self.json {
            out.json(&Answer { url, upstream, pid: std::process::id() })?;
        } else {
            out.line(format_args!("{url}"))?;
            recording.say(Level::Info, &format!("recording what passes to {upstream}"));
        }
        signals.forever().next();
        let (stats, complete) = serving.stop("the proxy was stopped");
        let what = Count(stats.total_pairs, "exchange");
        let mut words = match stats.total_pairs {
            0 => "nothing was recorded".to_owned(),
            _ => format!("{what} recorded in {}", stats.log_file.display()),
        };
        if !complete {
            words.push_str("; the rest will be completed by the next start");
        }
        recording.say(Level::Info, &words);
        Ok(Code::Ok)
    }

    fn token(&self) -> Result<Option<Token>, Failure> {
        match (&self.token, set("CLAUDE_TRACE_PROXY_TOKEN")) {
            (Some(token), _) => Ok(Some(token.clone())),
            (None, Some(text)) => text.to_string_lossy().parse().map(Some).map_err(Failure::new),
            (None, None) => Ok(None),
        }
    }
}

/// What is trusted beside the usual roots: files that were named, and what Node would trust.
pub fn trusted(named: &[PathBuf]) -> Vec<PathBuf> {
    let of_node = set("NODE_EXTRA_CA_CERTS").map(PathBuf::from).filter(|path| path.is_file());
    named.iter().cloned().chain(of_node).collect()
}
