//! Interceptors that are here already.

mod dedupe;
mod headers;
mod messages;
mod metrics;

pub use dedupe::Deduplicate;
pub use headers::HeaderRules;
pub use messages::{Asked, MessageMetrics, Messages, OfMethod};
pub use metrics::{Metrics, StreamMetrics};
