//! Where and how a recorder of this program records: the variables of the recorder in Node (`docs/configuration.md`), and
//! the options that come before them.

use crate::failure::Failure;
use crate::words::{flag_of, whole_number};
use clap::Args;
use claude_trace_core::config::{Config, Durability, WhenFull, Workers};
use claude_trace_core::error::Error;
use claude_trace_core::notice::{Level, Notices};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Options of everything that records.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Recording")]
pub struct RecordingArgs {
    /// Name of the log without `.jsonl` [default: the time; $CLAUDE_TRACE_LOG_NAME].
    #[arg(long, value_name = "NAME")]
    pub log: Option<String>,

    /// Folder of the log [default: .claude-trace; $CLAUDE_TRACE_LOG_DIR].
    #[arg(long, value_name = "DIR")]
    pub log_dir: Option<PathBuf>,

    /// Write each pair through instead of in the background.
    #[arg(long)]
    pub no_zero_latency: bool,

    /// In place of the user's folder in shared memory: so that tests keep to themselves.
    #[arg(long, hide = true, value_name = "DIR")]
    pub runtime_dir: Option<PathBuf>,
}

/// What the options and the environment come to.
pub struct Recording {
    pub config: Config,
    /// The least level of what is said; `None`: nothing is.
    pub level: Option<Level>,
}

impl RecordingArgs {
    /// The configuration. A variable that is wrong does not end a program: the default holds, and a line says so.
    pub fn recording(&self) -> Result<Recording, Failure> {
        let mut env = Variables::default();
        let level = match env.text("CLAUDE_TRACE_LOG_LEVEL").as_deref() {
            None | Some("info") => Some(Level::Info),
            Some("debug") => Some(Level::Debug),
            Some("warn") => Some(Level::Warn),
            Some("error") => Some(Level::Error),
            Some("silent") => None,
            Some(other) => {
                env.wrong("CLAUDE_TRACE_LOG_LEVEL", other, "debug, info, warn, error or silent");
                Some(Level::Info)
            }
        };
        let recording = Recording { config: self.config(&mut env)?, level };
        for problem in &env.problems {
            recording.say(Level::Warn, problem);
        }
        Ok(recording)
    }

    fn config(&self, env: &mut Variables) -> Result<Config, Failure> {
        let folder = self.log_dir.clone().or_else(|| env.path("CLAUDE_TRACE_LOG_DIR"));
        let mut config = Config::new(absolute(&folder.unwrap_or_else(|| ".claude-trace".into()))?);
        let name = self.log.clone().or_else(|| env.text("CLAUDE_TRACE_LOG_NAME"));
        config.log_base_name = name.map(|name| name.strip_suffix(".jsonl").unwrap_or(&name).to_owned());
        config.spool_dir = env.path("CLAUDE_TRACE_SPOOL_DIR").map(|dir| absolute(&dir)).transpose()?;
        if let Some(dir) = self.runtime_dir.clone().or_else(|| env.path("CLAUDE_TRACE_RUNTIME_DIR")) {
            config.runtime_dir = absolute(&dir)?;
        }
        env.switch("CLAUDE_TRACE_ZERO_LATENCY", &mut config.zero_latency);
        config.zero_latency &= !self.no_zero_latency;
        config.background_workers = workers(env, config.background_workers);
        env.number("CLAUDE_TRACE_ZERO_LATENCY_BUFFER_SIZE", 1..=1_000_000, &mut config.write_buffer_size);
        env.number("CLAUDE_TRACE_ZERO_LATENCY_FLUSH_MS", 1..=60_000, &mut config.write_buffer_flush_ms);
        env.number(
            "CLAUDE_TRACE_ZERO_LATENCY_MEMORY_POOL_SIZE",
            1 << 16..=1 << 36,
            &mut config.memory_pool_size,
        );
        env.number("CLAUDE_TRACE_MAX_SPOOL_BYTES", 1 << 20..=1 << 40, &mut config.max_spool_bytes);
        config.max_spool_bytes = config.max_spool_bytes.max(config.memory_pool_size);
        env.number("CLAUDE_TRACE_MAX_DECODED_BYTES", 1 << 20..=1 << 32, &mut config.max_decoded_bytes);
        if let Some(word) = env.text("CLAUDE_TRACE_WHEN_FULL") {
            match word.as_str() {
                "spill" => {}
                "drop-newest" => config.when_full = WhenFull::DropNewest,
                _ => env.wrong("CLAUDE_TRACE_WHEN_FULL", &word, "spill or drop-newest"),
            }
        }
        config.durability = durability(env);
        env.number("CLAUDE_TRACE_RETRY_MAX_ATTEMPTS", 0..=1_000_000, &mut config.retry.max_attempts);
        env.number("CLAUDE_TRACE_RETRY_BASE_DELAY_MS", 1..=3_600_000, &mut config.retry.base_delay_ms);
        env.number("CLAUDE_TRACE_RETRY_MAX_DELAY_MS", 1..=3_600_000, &mut config.retry.max_delay_ms);
        config.validate().map_err(in_words_of_options)?;
        Ok(config)
    }
}

/// The core names the fields of the API in JS.
fn in_words_of_options(error: Error) -> Failure {
    match error {
        Error::Config { field: "logBaseName", value, allowed } => {
            Failure::new(format_args!("the name of the log is {value}; allowed: {allowed}"))
        }
        error => Failure::new(error),
    }
}

fn workers(env: &mut Variables, default: Workers) -> Workers {
    const NAME: &str = "CLAUDE_TRACE_ZERO_LATENCY_WORKERS";
    let Some(text) = env.text(NAME) else { return default };
    match whole_number(&text).and_then(|number| usize::try_from(number).ok()) {
        Some(number) if (1..=64).contains(&number) => Workers::Fixed(number),
        None if text.trim().eq_ignore_ascii_case("auto") => Workers::Auto,
        _ => {
            env.wrong(NAME, &text, "an integer from 1 to 64, or auto");
            default
        }
    }
}

fn durability(env: &mut Variables) -> Durability {
    let mut interval_ms = 1000;
    env.number("CLAUDE_TRACE_FSYNC_INTERVAL_MS", 1..=3_600_000, &mut interval_ms);
    match env.text("CLAUDE_TRACE_DURABILITY").as_deref() {
        None | Some("os") => Durability::Os,
        Some("always") => Durability::Always,
        Some("interval") => Durability::Interval(interval_ms),
        Some(other) => {
            env.wrong("CLAUDE_TRACE_DURABILITY", other, "os, interval or always");
            Durability::Os
        }
    }
}

impl Recording {
    /// Says something on stderr, if it is heard.
    pub fn say(&self, level: Level, words: &str) {
        self.notices().say(level, || words.to_owned());
    }

    /// A way to speak on stderr.
    pub fn notices(&self) -> Notices {
        match self.level {
            None => Notices::silent(),
            // A closed stderr is no reason to end.
            Some(least) => Notices::new(least, |_, words| {
                let _ = writeln!(std::io::stderr(), "claude-trace: {words}");
            }),
        }
    }
}

/// The environment, and what in it was ignored. An empty variable counts as unset.
#[derive(Default)]
struct Variables {
    problems: Vec<String>,
}

impl Variables {
    fn path(&self, name: &str) -> Option<PathBuf> {
        set(name).map(PathBuf::from)
    }

    fn text(&mut self, name: &'static str) -> Option<String> {
        match set(name)?.into_string() {
            Ok(text) => Some(text),
            Err(other) => {
                self.wrong(name, &other.to_string_lossy(), "text");
                None
            }
        }
    }

    fn switch(&mut self, name: &'static str, value: &mut bool) {
        if let Some(text) = self.text(name) {
            match flag_of(&text) {
                Some(flag) => *value = flag,
                None => self.wrong(name, &text, "true or false"),
            }
        }
    }

    fn number<T>(&mut self, name: &'static str, allowed: std::ops::RangeInclusive<u64>, value: &mut T)
    where
        T: TryFrom<u64>,
    {
        if let Some(text) = self.text(name) {
            let number = whole_number(&text).filter(|number| allowed.contains(number));
            match number.and_then(|number| T::try_from(number).ok()) {
                Some(number) => *value = number,
                None => {
                    self.wrong(
                        name,
                        &text,
                        &format!("an integer from {} to {}", allowed.start(), allowed.end()),
                    );
                }
            }
        }
    }

    fn wrong(&mut self, name: &str, value: &str, allowed: &str) {
        self.problems.push(format!("{name}={value:?} is not {allowed}: using the default"));
    }
}

/// A variable that is set to something.
pub fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

pub fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::new(format_args!("cannot use {}: {error}", path.display())))
}
