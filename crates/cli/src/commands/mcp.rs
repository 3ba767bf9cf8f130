//! `claude-trace mcp`

mod numbers;

use crate::failure::Failure;
use crate::launch::{self, Child, PassedOn};
use crate::recording::RecordingArgs;
use crate::rules::{self, Of};
use crate::words::Count;
use clap::Args;
use claude_trace_core::interceptor::Registry;
use claude_trace_core::notice::Level;
use claude_trace_core::pipeline::Pipeline;
use claude_trace_net::Tape;
use claude_trace_net::mcp::{Ears, Way, pump, pump_ruled};
use numbers::{Counts, counted};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio::{dup2_stdin, dup2_stdout, stdin, stdout};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Run an MCP server, and record what its client and it say to each other.
///
/// For servers that speak on their standard input and output. Every byte passes as it came, unless rules are given; standard
/// error, signals and the exit code are the server's. A server that speaks HTTP is recorded by `claude-trace proxy`.
#[derive(Args, Debug)]
#[command(
    override_usage = "claude-trace mcp [OPTIONS] -- <SERVER>...",
    after_long_help = "\
Examples:
  claude-trace mcp -- npx -y @modelcontextprotocol/server-everything
  claude-trace mcp --log-dir ~/mcp-logs --name files -- some-server --its-option
  claude-trace mcp --rules no-deletion.toml -- some-server

In the configuration of a client:
  \"command\": \"npx\",
  \"args\": [\"-y\", \"claude-trace-native\", \"mcp\", \"--log-dir\", \"/home/me/logs\", \"--\", \"some-server\"]
In Claude Code:
  claude mcp add some -- npx -y claude-trace-native mcp --log-dir /home/me/logs -- some-server

Clients start servers in a folder of their choice, and pass on few variables: --log-dir is worth naming.

Exit codes: the server's, or the signal that ended it; 2, it was not started, or the rules are wrong; 126, it cannot be executed; 127, it was not
found."
)]
pub struct Relay {
    /// What the server is called in the log [default: what its command line suggests].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Rules (TOML) for messages on their way: block calls of tools, delay, replace, leave out. Without it every byte passes as it
    /// came.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,

    /// Say the last words as JSON: how many messages there were, and of each method or tool how often it was called, how often
    /// with an error, and how long it took.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    recording: RecordingArgs,

    /// The server and its arguments.
    #[arg(value_name = "SERVER", required = true, last = true)]
    server: Vec<OsString>,
}

/// How long the end waits for the log: a client kills a server that takes its time (the official SDK after 2 s). The next
/// start completes it.
const DRAIN: Duration = Duration::from_secs(1);

enum Event {
    /// The server's output has ended, and so has ours.
    OutputEnded,
    /// We are told to end.
    Told,
}

impl Relay {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let recording = self.recording.recording()?;
        let rules = self.rules.as_deref().map(rules_of).transpose()?;
        let program = launch::command(&self.server[0])?;
        let name = self.name.unwrap_or_else(|| name_of(&self.server));
        let pipeline = Pipeline::new(recording.config.clone(), recording.notices()).map_err(Failure::new)?;
        let metrics = self.json.then(|| counted(pipeline.interceptors()));
        let tape = Tape::new(&pipeline, 1).expect("a new pipeline has not ended");
        tape.prepare();
        let (input, output) = taken_over().map_err(Failure::new)?;
        let Ears { client, server, strays } = Ears::new(&tape, &name, rules.as_ref());
        let is_ruled = rules.is_some();
        let passed_on = PassedOn::listen()?;
        let mut child = server_process(program, self.server[1..].to_vec());
        child.command().stdin(Stdio::piped()).stdout(Stdio::piped());
        let (events, happens) = channel();
        let ended = child.run_with(passed_on, |process| {
            let (to, from) = (process.stdin.take(), process.stdout.take());
            let (to, from) = to.zip(from).expect("both are piped");
            let events = events.clone();
            let over = move || drop(events.send(Event::OutputEnded));
            if is_ruled {
                let (to, back) = (Way::new(to), Way::new(output));
                let (to_client, to_server) = (back.clone(), to.clone());
                spawn("ct-mcp-client", move || drop(pump_ruled(input, &to, &back, client)));
                spawn("ct-mcp-server", move || {
                    pump_ruled(from, &to_client, &to_server, server);
                    over();
                });
            } else {
                spawn("ct-mcp-client", move || drop(pump(input, to, client)));
                spawn("ct-mcp-server", move || {
                    pump(from, output, server);
                    over();
                });
            }
        })?;
        // The server may have left its output to another process, which goes on as one would without us. Until we are told.
        listen(events);
        let _: Result<Event, _> = happens.recv();
        let complete = tape.close("the server ended before it answered", Instant::now() + DRAIN);
        let stats = tape.stats();
        let strays = strays.load(Ordering::Relaxed);
        if let Some(metrics) = metrics {
            let counts =
                Counts { name: &name, log: &stats.log_file, exchanges: stats.total_pairs, complete, strays };
            // Whoever has closed it has not asked for this.
            let _ = writeln!(std::io::stderr(), "{}", counts.with(&metrics));
            return Ok(ended.exit());
        }
        let mut words = match stats.total_pairs {
            0 => "nothing was recorded".to_owned(),
            count => {
                format!("{} of {name} recorded in {}", Count(count, "exchange"), stats.log_file.display())
            }
        };
        match strays {
            0 => {}
            count => words.push_str(&format!(" ({} not JSON-RPC)", Count(count, "line"))),
        }
        if !complete {
            words.push_str("; the rest will be completed by the next start");
        }
        recording.say(Level::Info, &words);
        Ok(ended.exit())
    }
}

/// The rules of a file.
fn rules_of(file: &Path) -> Result<Arc<Registry>, Failure> {
    let rules = rules::read(file, Of::Relay)?.map_err(|mistakes| rules::refused(file, &mistakes))?;
    Ok(Arc::new(rules.registry()))
}

/// A client that has lost its patience sends SIGKILL, which nobody can pass on: where the system can, it is asked to. The
/// process that will be the server has to ask, so it is ours at first ([`Stead`]).
fn server_process(program: PathBuf, args: Vec<OsString>) -> Child {
    match std::env::current_exe() {
        Ok(own) if cfg!(target_os = "linux") && own.exists() => {
            let words = [STEAD.into(), std::process::id().to_string().into(), "--".into(), program.into()];
            Child::new(&own, words.into_iter().chain(args).collect())
        }
        _ => Child::new(&program, args),
    }
}

const STEAD: &str = "mcp-server";

/// Becomes a server that ends with its relay.
#[derive(Args, Debug)]
pub struct Stead {
    relay: i32,
    #[arg(required = true, last = true)]
    server: Vec<OsString>,
}

impl Stead {
    pub fn run(self) -> Result<ExitCode, Failure> {
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
            // If it cannot be had, it is as before. A relay that has ended by now would not be told of.
            let _ = set_parent_process_death_signal(Some(Signal::KILL));
            if getppid() != Pid::from_raw(self.relay) {
                return Err(Failure::new("the relay has ended"));
            }
        }
        let error = std::process::Command::new(&self.server[0]).args(&self.server[1..]).exec();
        let program = self.server[0].to_string_lossy();
        Err(Failure::not_executable(format_args!("{program} cannot be started: {error}")))
    }
}

/// Our standard input and output, in hands that can close them: what stands in their place leads nowhere.
fn taken_over() -> rustix::io::Result<(File, File)> {
    let own = |fd: BorrowedFd| -> rustix::io::Result<File> { Ok(File::from(fcntl_dupfd_cloexec(fd, 3)?)) };
    let (input, output) = (own(stdin())?, own(stdout())?);
    let nowhere = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty())?;
    dup2_stdin(nowhere.as_fd())?;
    dup2_stdout(nowhere.as_fd())?;
    Ok((input, output))
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) {
    thread::Builder::new().name(name.into()).spawn(run).expect("a thread can be had");
}

fn listen(events: Sender<Event>) {
    if let Ok(mut signals) = Signals::new([SIGTERM, SIGINT, SIGHUP]) {
        let _ = thread::Builder::new().name("ct-mcp-signals".into()).spawn(move || {
            if signals.forever().next().is_some() {
                let _ = events.send(Event::Told);
            }
        });
    }
}

/// Programs that run the one that their first argument names.
const RUNNERS: [&str; 12] =
    ["npx", "bunx", "pnpx", "uvx", "pipx", "node", "bun", "deno", "tsx", "uv", "python", "python3"];
/// Words that may come before that.
const VERBS: [&str; 4] = ["run", "exec", "x", "dlx"];

/// A name for a server: its program's, or what a program that runs others was given to run.
fn name_of(server: &[OsString]) -> String {
    let mut words = server.iter().map(|word| word.to_string_lossy());
    let program = words.next().map_or_else(String::new, |word| stem(&word));
    if !RUNNERS.contains(&program.as_str()) {
        return program;
    }
    let mut named = words.filter(|word| !word.starts_with('-') && !VERBS.contains(&word.as_ref()));
    named.next().map_or(program, |word| stem(&word))
}

/// `/x/server.js` and `@scope/server@1.2` are called `server`.
fn stem(word: &str) -> String {
    let file = Path::new(word).file_name().map_or(word.into(), |name| name.to_string_lossy());
    let name = file.split('@').next().unwrap_or(&file);
    [".js", ".mjs", ".cjs", ".ts", ".py"]
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_called_what_its_command_line_suggests() {
        for (words, name) in [
            (&["some-server", "--stdio"][..], "some-server"),
            (&["/opt/bin/some", "x"], "some"),
            (&["node", "--inspect", "/x/dist/server.js", "--port"], "server"),
            (&["npx", "-y", "@modelcontextprotocol/server-everything@2.1", "stdio"], "server-everything"),
            (&["uv", "run", "weather.py"], "weather"),
            (&["python3", "-m", "mcp_server_git"], "mcp_server_git"),
            (&["npx"], "npx"),
        ] {
            let words: Vec<OsString> = words.iter().map(Into::into).collect();
            assert_eq!(name_of(&words), name);
        }
    }
}
