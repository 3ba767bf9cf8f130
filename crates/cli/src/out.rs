//! What a command has to say on stdout: words for people, or data and nothing else.

use crate::failure::Failure;
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

/// All is well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Something is not as it should be.
pub const BAD: Style = AnsiColor::Red.on_default();
/// What is beside the point.
pub const DIM: Style = Style::new().dimmed();

/// Standard output. Colours are left out where they are not wanted: no terminal, `NO_COLOR`, `TERM=dumb`.
pub struct Out {
    /// Nobody reads any more (`| head`). The work goes on, so that the exit code is right.
    is_closed: bool,
}

impl Out {
    pub fn new() -> Self {
        Self { is_closed: false }
    }

    /// Writes a line.
    pub fn line(&mut self, words: Arguments) -> Result<(), Failure> {
        let written = if self.is_closed { Ok(()) } else { writeln!(anstream::stdout().lock(), "{words}") };
        self.check(written)
    }

    /// Writes a value as JSON, on one line.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_vec(value).map_err(Failure::new)?;
        text.push(b'\n');
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(&text).and_then(|()| stdout.flush());
        self.check(written)
    }

    fn check(&mut self, written: io::Result<()>) -> Result<(), Failure> {
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(())
            }
            other => other.map_err(|error| Failure::new(format_args!("cannot write to stdout: {error}"))),
        }
    }
}
