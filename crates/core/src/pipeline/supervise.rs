//! Threads that panic are started again with what they had; one that will not stop panicking fails the pipeline.

use crate::notice::{Level, Notices};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How often a thread is started again.
const RESTARTS: u32 = 3;

/// Whether a pipeline has failed for good.
#[derive(Debug, Default)]
pub struct Failure(AtomicBool);

impl Failure {
    /// Whether it has.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs a stage to its end. What it holds when it fails for good is never let go: its segments stay as they are, and the
/// next start finds what was in them.
pub fn supervise<S>(
    name: &str,
    failure: &Arc<Failure>,
    notices: &Notices,
    mut stage: S,
    run: impl Fn(&mut S),
) {
    for restart in 0..=RESTARTS {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(&mut stage))) else { return };
        let words = crate::error::words_of(&*panic);
        let last = restart == RESTARTS;
        let then = if last { "going on in standard mode" } else { "started again" };
        notices.say(if last { Level::Error } else { Level::Warn }, || {
            format!("the thread {name} panicked: {words}; {then}")
        });
    }
    failure.0.store(true, Ordering::Release);
    std::mem::forget(stage);
}
