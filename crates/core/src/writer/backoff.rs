//! When to try again.

use crate::config::Retry;
use std::time::Duration;

/// Delays that double, each shortened by up to half at random, so that processes which failed together do not come back
/// together.
#[derive(Debug)]
pub struct Backoff {
    retry: Retry,
    /// Attempts that have failed in a row.
    attempts: u32,
    /// State of xorshift: what is needed is that processes differ, no more.
    random: u64,
}

impl Backoff {
    /// Nothing has failed yet.
    pub fn new(retry: Retry, seed: u64) -> Self {
        Self { retry, attempts: 0, random: seed | 1 }
    }

    /// An attempt has failed: how long to wait for the next.
    pub fn failed(&mut self) -> Duration {
        let full =
            self.retry.base_delay_ms.saturating_mul(1 << self.attempts.min(30)).min(self.retry.max_delay_ms);
        self.attempts = self.attempts.saturating_add(1);
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        Duration::from_millis(full - self.random % (full / 2 + 1))
    }

    /// An attempt has succeeded.
    pub fn succeeded(&mut self) {
        self.attempts = 0;
    }

    /// Whether the last attempt has failed.
    pub fn is_failing(&self) -> bool {
        self.attempts > 0
    }

    /// Whether there have been as many attempts as are allowed.
    pub fn is_exhausted(&self) -> bool {
        self.retry.max_attempts > 0 && self.attempts >= self.retry.max_attempts
    }

    /// Attempts that have failed in a row.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_limit_and_vary_by_half() {
        let mut backoff = Backoff::new(Retry { max_attempts: 4, base_delay_ms: 100, max_delay_ms: 500 }, 42);
        for full in [100, 200, 400, 500, 500] {
            assert_eq!(backoff.is_exhausted(), backoff.attempts() >= 4);
            let delay = backoff.failed().as_millis();
            assert!((full / 2..=full).contains(&delay), "{delay} of {full}");
        }
        backoff.succeeded();
        assert!(!backoff.is_failing() && !backoff.is_exhausted());
    }

    #[test]
    fn no_number_of_attempts_overflows() {
        let mut backoff =
            Backoff::new(Retry { max_attempts: 0, base_delay_ms: u64::MAX, max_delay_ms: u64::MAX }, 0);
        for _ in 0..100 {
            backoff.failed();
        }
        assert!(!backoff.is_exhausted(), "0 means without limit");
    }
}
