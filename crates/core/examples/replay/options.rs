//! What is to be replayed, and where.

use super::exchanges::Kind;
use claude_trace_core::config::Workers;
use std::path::PathBuf;

pub const USAGE: &str = "replay [options]: prints one JSON object
  --kind K          sse (chunks of 150 bytes), sse-large (2 to 16 KB), json (one chunk of 2 KB), json-large (of 1 MB)  (default sse)
  --megabytes N     of response bodies (default 512)
  --body-bytes N    of one response (default 65536; json: 2048; json-large: 1000000)
  --producers N     threads that push (default 1)
  --workers N       backgroundWorkers: a number or auto (default 1)
  --control N       1: between tenths, as many records in a fresh process: what the machine makes of them then (default 0)
  --log-dir DIR     where the log goes (default: the folder for temporary files)
  --spool-dir DIR   where the spool goes (default /dev/shm, or as above)";

pub struct Options {
    pub kind: Kind,
    pub megabytes: usize,
    pub body_bytes: usize,
    pub producers: usize,
    pub workers: Workers,
    pub control: bool,
    pub log_dir: PathBuf,
    pub spool_dir: PathBuf,
}

impl Options {
    /// `None`: help was asked for. Whoever runs this is a developer: a wrong option is a panic that names it.
    pub fn read(mut args: impl Iterator<Item = String>) -> Option<Self> {
        let shm = PathBuf::from("/dev/shm");
        let mut options = Self {
            kind: Kind::Sse,
            megabytes: 512,
            body_bytes: 0,
            producers: 1,
            workers: Workers::Fixed(1),
            control: false,
            log_dir: std::env::temp_dir(),
            spool_dir: if shm.is_dir() { shm } else { std::env::temp_dir() },
        };
        while let Some(name) = args.next() {
            if name == "--help" {
                return None;
            }
            let value = args.next().unwrap_or_else(|| panic!("{name} wants a value"));
            let number = || match value.parse() {
                Ok(number) if number > 0 => number,
                _ => panic!("{name} {value} is not a whole number from 1 on"),
            };
            match name.as_str() {
                "--kind" => {
                    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == value);
                    options.kind =
                        kind.unwrap_or_else(|| panic!("--kind {value} is not one of those of --help"));
                }
                "--megabytes" => options.megabytes = number(),
                "--body-bytes" => options.body_bytes = number(),
                "--producers" => options.producers = number(),
                "--workers" if value == "auto" => options.workers = Workers::Auto,
                "--workers" => options.workers = Workers::Fixed(number()),
                "--control" => options.control = value == "1",
                "--log-dir" => options.log_dir = value.into(),
                "--spool-dir" => options.spool_dir = value.into(),
                _ => panic!("{name} is no option\n{USAGE}"),
            }
        }
        if options.body_bytes == 0 {
            options.body_bytes = options.kind.body_bytes();
        }
        Some(options)
    }

    /// As `--workers` takes it.
    pub fn workers_text(&self) -> String {
        match self.workers {
            Workers::Fixed(number) => number.to_string(),
            Workers::Auto => "auto".into(),
        }
    }
}
