//! The client's process: started with what is ours to give, and stood in for until it has ended.

use crate::failure::Failure;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, kill_process, setrlimit, waitid,
};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::origin::WithOrigin;
use signal_hook::low_level::siginfo::Cause;
use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child as Process, Command, ExitCode, ExitStatus};

/// Those that are sent to a process to tell it something.
const TOLD: [i32; 9] = [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT, SIGWINCH];

/// A client that is about to be started.
pub struct Child {
    command: Command,
}

/// Signals that wait to be passed on. From its making on none of them ends this process.
pub struct PassedOn(SignalsInfo<WithOrigin>);

/// How the client ended.
pub struct Ended(ExitStatus);

impl PassedOn {
    pub fn listen() -> Result<Self, Failure> {
        // What was ignored when we were started (`nohup`) is ignored by the client too, if we leave it alone.
        let ignored = ignored_signals();
        let told = TOLD.into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0);
        let signals = SignalsInfo::<WithOrigin>::new(told).map_err(Failure::new)?;
        Ok(Self(signals))
    }
}

/// A bit for each signal. Where the system does not say it, none.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

impl Child {
    pub fn new(program: &Path, args: Vec<OsString>) -> Self {
        let mut command = Command::new(program);
        command.args(args);
        Self { command }
    }

    /// Sets variables of its environment.
    pub fn set(&mut self, variables: &[(String, String)]) {
        self.command.envs(variables.iter().map(|(name, value)| (name, value)));
    }

    /// Sets a variable.
    pub fn set_one(&mut self, name: &str, value: impl Into<OsString>) {
        self.command.env(name, value.into());
    }

    /// The command, for what is done seldom.
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Starts it, passes signals on, and waits for its end.
    pub fn run(self, signals: PassedOn) -> Result<Ended, Failure> {
        self.run_with(signals, |_| ())
    }

    /// The same, and keeps what `started` makes of it until its end.
    pub fn run_with<T>(
        mut self,
        mut signals: PassedOn,
        started: impl FnOnce(&mut Process) -> T,
    ) -> Result<Ended, Failure> {
        let program = self.command.get_program().to_owned();
        let mut child = self.command.spawn().map_err(|error| {
            let words = format!("{} cannot be started: {error}", program.to_string_lossy());
            match error.kind() {
                ErrorKind::NotFound => Failure::not_found(words),
                _ => Failure::not_executable(words),
            }
        })?;
        let pid = Pid::from_child(&child);
        let kept = started(&mut child);
        let handle = signals.0.handle();
        let passing = std::thread::spawn(move || {
            for origin in &mut signals.0 {
                // The terminal's keys are for all of its foreground: the client has heard of them.
                if origin.cause != Cause::Kernel
                    && let Some(signal) = Signal::from_named_raw(origin.signal)
                {
                    // It may have ended a moment ago.
                    let _ = kill_process(pid, signal);
                }
            }
            // Kept, so that none of them ends us before we have said what was recorded.
            signals
        });
        let waited = wait(pid);
        drop(kept);
        handle.close();
        let _ = passing.join();
        waited.map_err(Failure::new)?;
        child.wait().map(Ended).map_err(Failure::new)
    }
}

/// Waits for its end. Its number stays its own until it is waited for again: no signal can reach another process.
///
/// While it is stopped (Ctrl-Z), so is this process if there is a terminal: its shell watches us, and takes the terminal back
/// only then. Nothing else stops us, so that who is continued is never stopped anew by a stop that has passed.
fn wait(pid: Pid) -> rustix::io::Result<()> {
    let has_terminal =
        std::io::stdin().is_terminal() || std::io::stdout().is_terminal() || std::io::stderr().is_terminal();
    loop {
        match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT)
        {
            Ok(Some(status)) if status.stopped() => {
                // Taken, so that it is not told again.
                let stopped = waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG);
                if has_terminal && matches!(stopped, Ok(Some(_))) {
                    let _ = kill_process(rustix::process::getpid(), Signal::STOP);
                }
            }
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Ended {
    /// Ends as the client did: by the same signal, or with the code that this returns.
    pub fn exit(self) -> ExitCode {
        let Some(signal) = self.0.signal() else {
            return ExitCode::from(self.0.code().unwrap_or(1) as u8);
        };
        // The client has left a core file if one is wanted.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
        let own = rustix::process::getpid();
        if let Some(named) = Signal::from_named_raw(signal) {
            let _ = signal_hook::low_level::emulate_default_handler(signal);
            let _ = kill_process(own, named);
        }
        // Should it be one that does not end us, the shell's number for it does.
        ExitCode::from(128 + signal as u8)
    }
}
