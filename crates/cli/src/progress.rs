//! How far long work has come: on stderr, and only if that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// Smaller logs are read before a bar could be looked at.
const WORTH_A_BAR: u64 = 64 * 1024 * 1024;

/// A bar that goes with the reading of a file, or nothing.
#[derive(Clone)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// For the file at `path`.
    pub fn of(path: &Path, file: &File) -> Self {
        let length =
            file.metadata().ok().filter(|is| is.is_file() && is.len() >= WORTH_A_BAR).map(|is| is.len());
        let template = "{msg} {wide_bar} {decimal_bytes} of {decimal_total_bytes}, {eta} left";
        Self(length.zip(ProgressStyle::with_template(template).ok()).map(|(length, style)| {
            let name = path.file_name().unwrap_or(path.as_os_str());
            ProgressBar::new(length).with_style(style).with_message(name.to_string_lossy().into_owned())
        }))
    }

    /// For work of unknown length.
    pub fn of_work(message: &'static str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(message);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(Some(bar))
    }

    /// A reader that moves the bar.
    pub fn follow(&self, reader: impl Read + 'static) -> Box<dyn Read> {
        match &self.0 {
            Some(bar) => {
                bar.reset();
                Box::new(bar.wrap_read(reader))
            }
            None => Box::new(reader),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
