//! What interceptors have done, as JS objects.

use crate::stats::NativeSpread;
use crate::with_environment;
use napi_derive::napi;

/// What interceptors of a recorder's pipeline have done.
#[napi(object, object_from_js = false)]
pub struct NativeInterceptorStats {
    /// Exchanges that an interceptor matched.
    pub exchanges: f64,
    /// Batches given.
    pub batches: f64,
    /// Events in them.
    pub events: f64,
    /// Events left out of a record.
    pub dropped: f64,
    /// Events that stand in a record otherwise.
    pub replaced: f64,
    /// Annotations.
    pub annotated: f64,
    /// Events recorded without having been given.
    pub passed: f64,
    /// Exchanges recorded without interceptors.
    pub overruns: f64,
    /// Times that an interceptor had not answered in time.
    pub late: f64,
    /// Events left out as duplicates.
    pub duplicates: f64,
    /// Interceptors that failed.
    pub errors: f64,
    /// Exchanges of which no record was wanted.
    pub discarded: f64,
    /// Events in a batch.
    pub batch_size: NativeSpread,
    /// Milliseconds from the arrival of the first event of a batch to its being given.
    pub delay: NativeSpread,
    /// Each, by order.
    pub interceptors: Vec<NativeInterceptorNumbers>,
}

/// What one interceptor has done.
#[napi(object, object_from_js = false)]
pub struct NativeInterceptorNumbers {
    /// Its name.
    pub name: String,
    /// Its order.
    pub order: i32,
    /// Batches it was given.
    pub batches: f64,
    /// Events in them.
    pub events: f64,
    /// Times it failed.
    pub errors: f64,
    /// Times it did not answer in time.
    pub late: f64,
    /// Milliseconds in it altogether.
    pub total_ms: f64,
    /// Milliseconds of a call.
    pub call: NativeSpread,
}

/// What interceptors have done; `null` for a number that is no recorder's.
#[napi(catch_unwind)]
pub fn interceptor_stats(handle: u32) -> Option<NativeInterceptorStats> {
    let s = with_environment(|env| env.recorder(handle).map(|recorder| recorder.interceptors().stats()))?;
    let numbers = s.interceptors.into_iter().map(|one| NativeInterceptorNumbers {
        name: one.name,
        order: one.order,
        batches: one.batches as f64,
        events: one.events as f64,
        errors: one.errors as f64,
        late: one.late as f64,
        total_ms: one.total_ms,
        call: one.call_ms.into(),
    });
    Some(NativeInterceptorStats {
        exchanges: s.exchanges as f64,
        batches: s.batches as f64,
        events: s.events as f64,
        dropped: s.dropped as f64,
        replaced: s.replaced as f64,
        annotated: s.annotated as f64,
        passed: s.passed as f64,
        overruns: s.overruns as f64,
        late: s.late as f64,
        duplicates: s.duplicates as f64,
        errors: s.errors as f64,
        discarded: s.discarded as f64,
        batch_size: s.batch_size.into(),
        delay: s.delay_ms.into(),
        interceptors: numbers.collect(),
    })
}
