//! The pipelines of this process: JS environments with equal options share one.

use crate::options::OpenOptions;
use claude_trace_core::config::Config;
use claude_trace_core::error::Result;
use claude_trace_core::notice::{Level, Notices};
use claude_trace_core::pipeline::{Pipeline, Recorder};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError, Weak};

static PIPELINES: Mutex<Vec<(Config, Weak<Pipeline>)>> = Mutex::new(Vec::new());

/// A recorder for these options: of another environment's pipeline, or of a new one.
pub fn recorder(options: OpenOptions) -> Result<Recorder> {
    let level = options.level();
    let config = options.into_config();
    let mut pipelines = PIPELINES.lock().unwrap_or_else(PoisonError::into_inner);
    pipelines.retain(|(_, pipeline)| pipeline.strong_count() > 0);
    let known = pipelines.iter().filter(|(known, _)| *known == config).filter_map(|(_, p)| p.upgrade());
    if let Some(recorder) = known.into_iter().find_map(|pipeline| Recorder::new(&pipeline)) {
        return Ok(recorder);
    }
    let pipeline = Pipeline::new(config.clone(), notices(level))?;
    pipelines.push((config, Arc::downgrade(&pipeline)));
    Ok(Recorder::new(&pipeline).expect("a new pipeline has not finished"))
}

fn notices(level: Option<Level>) -> Notices {
    match level {
        None => Notices::silent(),
        // A closed stderr is no reason to bring the host down, as `eprintln!` would.
        Some(least) => Notices::new(least, |_, words| {
            let _ = writeln!(std::io::stderr(), "claude-trace: {words}");
        }),
    }
}
