//! What the recorder has to say to a person. The engine never prints: its host gives it a way to speak.

use std::fmt;
use std::sync::Arc;

/// How much something matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever looks into the recorder itself.
    Debug,
    /// Good to know.
    Info,
    /// Something is not as it should be, and is being dealt with.
    Warn,
    /// Something that the user has to do something about.
    Error,
}

type Speak = dyn Fn(Level, &str) + Send + Sync;

/// A way to speak, shared by all threads.
#[derive(Clone)]
pub struct Notices {
    least: Option<Level>,
    speak: Arc<Speak>,
}

impl Notices {
    /// Passes notices of `least` and above to `speak`.
    pub fn new(least: Level, speak: impl Fn(Level, &str) + Send + Sync + 'static) -> Self {
        Self { least: Some(least), speak: Arc::new(speak) }
    }

    /// Says nothing.
    pub fn silent() -> Self {
        Self { least: None, speak: Arc::new(|_, _| {}) }
    }

    /// Says something, which is put into words only if it is heard.
    pub fn say(&self, level: Level, words: impl FnOnce() -> String) {
        if self.least.is_some_and(|least| level >= least) {
            (self.speak)(level, &words());
        }
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").field("least", &self.least).finish_non_exhaustive()
    }
}
