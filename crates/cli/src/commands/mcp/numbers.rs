//! The numbers of a relay, for `--json`.

use claude_trace_core::interceptor::builtin::{MessageMetrics, Messages, OfMethod};
use claude_trace_core::interceptor::{Hooks, Limits, Maker, Registration, Registry, Rule};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Has the messages counted. Nobody but who asked for it pays for that.
pub fn counted(interceptors: &Registry) -> Arc<MessageMetrics> {
    let metrics = Arc::<MessageMetrics>::default();
    let into = Arc::clone(&metrics);
    interceptors.add(Registration {
        name: "messages".into(),
        order: 0,
        rule: Rule::default(),
        scope: None,
        hooks: Hooks { events: true, end: true, ..Hooks::NONE },
        limits: Limits::default(),
        maker: Maker::Local(Box::new(move || Box::new(Messages::new(Arc::clone(&into))))),
    });
    metrics
}

/// The last words.
pub struct Counts<'c> {
    pub name: &'c str,
    pub log: &'c Path,
    pub exchanges: u64,
    pub complete: bool,
    pub strays: u64,
}

impl Counts<'_> {
    /// With what was counted.
    pub fn with(&self, metrics: &MessageMetrics) -> Value {
        let rounded = |ms: f64| (ms * 1000.0).round() / 1000.0;
        let methods = metrics.methods().into_iter().map(|OfMethod { asked, requests, errors, unanswered, took_ms }| {
            let mut of = json!({ "method": asked.method, "requests": requests, "errors": errors, "unanswered": unanswered });
            if let Some(tool) = asked.tool {
                of["tool"] = tool.into();
            }
            if took_ms.count > 0 {
                of["took_ms"] = json!({ "p50": rounded(took_ms.p50), "p99": rounded(took_ms.p99), "max": rounded(took_ms.max) });
            }
            of
        });
        let Self { name, log, exchanges, complete, strays } = self;
        json!({
            "server": name,
            "log": (*exchanges > 0).then(|| log.display().to_string()),
            "exchanges": exchanges,
            "complete": complete,
            "messages": {
                "requests": metrics.requests.get(),
                "notifications": metrics.notifications.get(),
                "responses": metrics.responses.get(),
                "errors": metrics.errors.get(),
                "bytes": metrics.bytes.get(),
                "not_json_rpc": strays,
            },
            "methods": methods.collect::<Vec<_>>(),
        })
    }
}
