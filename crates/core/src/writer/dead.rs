//! Dead letters: what cannot become a record, or cannot be written to its log, with the reason.
//!
//! One JSON line each: `{"dead_letter":{"at","reason","attempts","log"},"record":…}` with a record that could not be written,
//! or `"exchange":…` with the raw parts (base64) of an exchange that could not be made into one. They go to
//! `<log>.dead-letters.jsonl` beside the log or, if that folder is the trouble, to `dead-letters/` in the runtime folder.

use super::log::{Log, Target};
use crate::civil::Iso;
use crate::clock::wall_nanos;
use crate::disk::Disk;
use crate::error::{Error, Result};
use serde::Serialize;
use serde_json::value::RawValue;
use std::path::{Path, PathBuf};

/// What could not be handled as usual.
#[derive(Debug)]
pub enum Content<'a> {
    /// A record, as it would stand in the log.
    Record(&'a str),
    /// An exchange, as JSON.
    Exchange(&'a str),
}

#[derive(Serialize)]
struct Letter<'a> {
    dead_letter: Cause<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exchange: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Cause<'a> {
    at: String,
    reason: &'a str,
    attempts: u32,
    log: &'a Path,
}

/// The file of one pipeline's dead letters. Opened for the first.
#[derive(Debug)]
pub struct DeadLetters {
    disk: Disk,
    folders: Vec<PathBuf>,
    open: Option<Log>,
}

impl DeadLetters {
    /// Where they would go, best first.
    pub fn new(disk: Disk, log_directory: &Path, runtime_dir: &Path) -> Self {
        Self { disk, folders: vec![log_directory.to_owned(), runtime_dir.join("dead-letters")], open: None }
    }

    /// Keeps one. Gives the file.
    pub fn keep(&mut self, content: &Content<'_>, reason: &str, attempts: u32, log: &Path) -> Result<&Path> {
        let raw = |text: &str| serde_json::from_str::<&RawValue>(text.trim_end()).map(ToOwned::to_owned).ok();
        let (record, exchange) = match content {
            Content::Record(text) => (raw(text), None),
            Content::Exchange(text) => (None, raw(text)),
        };
        let letter = Letter {
            dead_letter: Cause { at: Iso(wall_nanos()).to_string(), reason, attempts, log },
            record: record.as_deref(),
            exchange: exchange.as_deref(),
        };
        let mut line =
            serde_json::to_vec(&letter).map_err(|e| Error::io("write", log)(std::io::Error::from(e)))?;
        line.push(b'\n');
        let open = self.open(log)?;
        open.append_bytes(&line).map_err(Error::io("write to", log))?;
        Ok(self.open.as_ref().expect("it was opened a moment ago").path())
    }

    fn open(&mut self, log: &Path) -> Result<&mut Log> {
        if self.open.is_none() {
            let stem =
                log.file_stem().map_or_else(|| "log".into(), |stem| stem.to_string_lossy().into_owned());
            let mut why = None;
            for folder in &self.folders {
                let target = Target {
                    directory: folder.clone(),
                    base_name: Some(format!("{stem}.dead-letters")),
                    started_at: 0,
                };
                match Log::open(&self.disk, &target, |_| Ok(())) {
                    Ok(opened) => {
                        self.open = Some(opened);
                        break;
                    }
                    Err(error) => why = Some(error),
                }
            }
            if let Some(error) = why.filter(|_| self.open.is_none()) {
                return Err(error);
            }
        }
        Ok(self.open.as_mut().expect("opened, or there was a reason why not"))
    }
}
