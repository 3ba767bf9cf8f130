//! Interceptors that are here already.

mod dedupe;
mod headers;
mod metrics;

pub use dedupe::Deduplicate;
pub use headers::HeaderRules;
pub use metrics::{Metrics, StreamMetrics};
