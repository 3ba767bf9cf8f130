//! Starts a client so that its traffic is recorded, and then looks as if it were that client.
//!
//! **The client is undisturbed.** Standard input, output and error and the terminal are its own; signals that are sent to us
//! are passed on, those of the terminal's keys it has by itself; our exit is its exit, by code or by signal. What we
//! say goes to stderr, in one line when it is over, and before that only if something is wrong.
//!
//! **The capture follows from what the client is** (`kind`): a Node program loads the recorder itself (`NODE_OPTIONS`, to
//! which is added); anything else is told that its APIs live at reverse proxies of ours (`routes`), one for each base URL, so
//! that no path has to be changed. Who takes no base URL is told to go through a forward proxy of ours, and to trust it
//! (`intercept`, `trust`), if `--capture mitm` says so.
//!
//! **What is on record** is in the log when we end: after the client has ended, orphaned sessions are recovered. When we are
//! killed, the next start does it.

mod argv;
mod child;
mod find;
mod intercept;
mod kind;
mod loader;
mod options;
mod routes;
mod settings;
mod summary;
mod token;
mod trust;

pub use argv::{Words, split};
pub use child::{Child, PassedOn};
pub use find::command;
pub use options::{LaunchArgs, Run};
pub use trust::forget as forget_trust;

use crate::failure::Failure;
use crate::recording::Recording;
use crate::serving::Serving;
use child::Ended;
use claude_trace_core::interceptor::Registry;
use claude_trace_core::notice::Level;
use claude_trace_net::proxy::Token;
use claude_trace_net::{Access, Ca, Config, Upstream};
use kind::Kind;
use options::Capture;
use routes::{Plan, Surroundings};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use summary::Summary;

/// For the connection to an upstream.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client and how it is to be started.
pub struct Launch {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub options: LaunchArgs,
}

impl Launch {
    /// Claude Code, with these arguments.
    pub fn claude(path: Option<PathBuf>, args: Vec<OsString>, options: LaunchArgs) -> Result<Self, Failure> {
        Ok(Self { program: find::claude(path.as_deref())?, args, options })
    }

    /// Any program, found as a shell finds it.
    pub fn command(command: Vec<OsString>, options: LaunchArgs) -> Result<Self, Failure> {
        let mut words = command.into_iter();
        let name = words.next().unwrap_or_default();
        Ok(Self { program: find::command(&name)?, args: words.collect(), options })
    }

    /// Runs the client to its end.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let recording = self.options.recording.recording()?;
        let kind = kind::of(&self.program, &self.args);
        // Rules act on what passes, and nothing passes a recorder in the client.
        let has_rules = self.options.rules.rules.is_some();
        let usual = if kind == Kind::Node && !has_rules { Capture::Node } else { Capture::Proxy };
        let capture = self.options.capture.unwrap_or(usual);
        if has_rules && matches!(capture, Capture::Node | Capture::Bun) {
            return Err(Failure::new(
                "--rules acts on what passes a proxy, and --capture node and bun have none: use --capture proxy or mitm",
            ));
        }
        let live = self.options.rules.live(&recording)?;
        let is_claude = kind::is_claude_code(&self.program, &self.args);
        let surroundings = Surroundings::of_process(is_claude).with_args(&self.args);
        match capture {
            Capture::Node | Capture::Bun => self.with_loader(capture, &recording, &surroundings),
            Capture::Proxy => self.with_proxy(&recording, &surroundings, live),
            Capture::Mitm => self.with_forward_proxy(&recording, &surroundings, live),
        }
    }

    fn with_loader(
        self,
        capture: Capture,
        recording: &Recording,
        around: &Surroundings,
    ) -> Result<ExitCode, Failure> {
        let plan = Plan::direct(&self.options, around)?;
        let passed_on = PassedOn::listen()?;
        let mut child = Child::new(&self.program, around.settings_override(self.args, &plan.variables)?);
        child.set(&plan.variables);
        let log = loader::prepare(&mut child, capture, &self.options, &plan.hosts, recording)?;
        let ended = child.run(passed_on)?;
        recover(recording);
        recording.say(Level::Info, &Summary::of_logs(&log).words(&plan));
        Ok(ended.exit())
    }

    fn with_proxy(
        self,
        recording: &Recording,
        around: &Surroundings,
        live: Option<Arc<Registry>>,
    ) -> Result<ExitCode, Failure> {
        let mut plan = Plan::proxied(&self.options, around)?;
        let passed_on = PassedOn::listen()?;
        let roots = crate::commands::proxy::trusted(&self.options.ca_file);
        let serving = Serving::start(recording, &roots, CONNECT_TIMEOUT)?;
        for route in &plan.routes {
            let (upstream, prefix) = route.upstream.clone().split_prefix();
            let config = Config {
                listen: ([127, 0, 0, 1], 0).into(),
                upstream,
                access: Access::Local,
                selection: route.selection,
                live: live.clone(),
            };
            let address = serving.add(config)?;
            plan.variables.push((route.variable.clone(), format!("http://{address}{prefix}")));
        }
        for warning in &plan.warnings {
            recording.say(Level::Warn, warning);
        }
        let mut child = Child::new(&self.program, around.settings_override(self.args, &plan.variables)?);
        child.set(&plan.variables);
        child.set(&around.no_proxy());
        finish(child, passed_on, serving, recording, &plan)
    }

    fn with_forward_proxy(
        self,
        recording: &Recording,
        around: &Surroundings,
        live: Option<Arc<Registry>>,
    ) -> Result<ExitCode, Failure> {
        let mut plan = Plan::intercepted(&self.options, around)?;
        let passed_on = PassedOn::listen()?;
        let ca = Ca::open(&crate::data::folder()?).map_err(Failure::new)?;
        let trust = trust::variables(&ca, around)?;
        let connector = intercept::connector(around, &self.options.ca_file, CONNECT_TIMEOUT)?;
        let serving = Serving::with(recording, connector)?;
        let config = claude_trace_net::intercept::Config {
            rules: plan.rules.clone(),
            token: Token::random().map_err(Failure::new)?,
            ca,
            notices: recording.notices(),
            live,
        };
        let url = serving.add_forward(config)?;
        plan.variables.extend(intercept::variables(&url, &plan.rules, around));
        plan.variables.extend(trust.variables);
        plan.warnings.extend(trust.warnings);
        plan.warnings.extend(intercept::warnings(&plan.variables, around));
        for warning in &plan.warnings {
            recording.say(Level::Warn, warning);
        }
        let mut child = Child::new(&self.program, around.settings_override(self.args, &plan.variables)?);
        child.set(&plan.variables);
        finish(child, passed_on, serving, recording, &plan)
    }
}

/// Runs a client that is recorded in this process, to its end.
fn finish(
    child: Child,
    passed_on: PassedOn,
    serving: Serving,
    recording: &Recording,
    plan: &Plan,
) -> Result<ExitCode, Failure> {
    let ended = child.run_with(passed_on, |_| serving.widen());
    serving.settle();
    let (stats, complete) = serving.stop("the client has ended");
    let ended: Ended = ended?;
    recover(recording);
    recording.say(Level::Info, &Summary::of_stats(&stats, complete).words(plan));
    Ok(ended.exit())
}

/// Prints the OAuth token that Claude Code uses.
pub fn extract_token(path: Option<PathBuf>) -> Result<ExitCode, Failure> {
    token::extract(&find::claude(path.as_deref())?)
}

/// Completes logs: those of the client's processes that were killed, and whatever else was left.
fn recover(recording: &Recording) {
    crate::commands::recover::each_orphan(&recording.config, |session, report| {
        if let Err(error) = report {
            let words =
                format!("a session is not recovered, and kept in {}: {error}", session.folder().display());
            recording.say(Level::Warn, &words);
        }
    });
}

/// A base URL and the variable that tells a client of it.
#[derive(Clone, Debug)]
pub struct BaseUrl {
    pub variable: String,
    pub upstream: Upstream,
}

impl std::str::FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (variable, url) = text.split_once('=').ok_or("allowed: VARIABLE=URL")?;
        let first = variable.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        if !first || !variable.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(format!("{variable:?} is no name of a variable; allowed: VARIABLE=URL"));
        }
        let upstream = url.parse().map_err(|error: claude_trace_net::Error| error.to_string())?;
        Ok(Self { variable: variable.to_owned(), upstream })
    }
}
