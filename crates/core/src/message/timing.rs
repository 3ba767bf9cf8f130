//! When the events of a stream came: each at the time of the piece that its last byte was in.

use serde::Serialize;

/// A gap between two events of at least that many milliseconds is a stall. Anthropic's pings come more often when nothing
/// else does, and clients begin to give up at ten times that.
pub const STALL_MS: u64 = 5000;

const MILLISECOND: f64 = 1e6;

/// What there is to say of the times of a stream. Milliseconds, to the microsecond; since the request where no gap is meant.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Timing {
    /// The first byte of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<f64>,
    /// The first event with something that the model generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token: Option<f64>,
    /// The last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_token: Option<f64>,
    /// The time between two events, if there are two: half are not longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_p50: Option<f64>,
    /// 99 of 100 are not longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_p99: Option<f64>,
    /// The longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_max: Option<f64>,
}

/// Gaps that were too long.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stalls {
    /// From how many milliseconds on: [`STALL_MS`].
    pub threshold_ms: u64,
    /// How many.
    pub count: u64,
    /// Milliseconds of all of them.
    pub total_ms: f64,
}

/// Takes the times as they come. Nanoseconds since the request.
#[derive(Debug, Default)]
pub(super) struct Clock {
    first_byte: Option<u64>,
    last_event: Option<u64>,
    first_token: Option<u64>,
    last_token: Option<u64>,
    gaps: Vec<u64>,
}

impl Clock {
    pub(super) fn byte(&mut self, at: Option<u64>) {
        self.first_byte = self.first_byte.or(at);
    }

    pub(super) fn event(&mut self, at: Option<u64>, is_token: bool) {
        let Some(at) = at else { return };
        if let Some(before) = self.last_event.replace(at) {
            self.gaps.push(at.saturating_sub(before));
        }
        if is_token {
            self.first_token = self.first_token.or(Some(at));
            self.last_token = Some(at);
        }
    }

    /// Tokens a second from the first to the last; `None`: they came at once, or it is not known how many they were.
    pub(super) fn tokens_per_second(&self, tokens: Option<u64>) -> Option<f64> {
        let nanos = self.last_token?.checked_sub(self.first_token?).filter(|nanos| *nanos > 0)?;
        Some((tokens? as f64 * 1e9 / nanos as f64 * 10.0).round() / 10.0)
    }

    /// `None`: no times are known.
    pub(super) fn finish(mut self) -> Option<(Timing, Stalls)> {
        let first_byte = Some(milliseconds(self.first_byte?));
        self.gaps.sort_unstable();
        // Nearest rank.
        let percentile = |percent: usize| {
            let rank = (self.gaps.len() * percent).div_ceil(100).max(1);
            self.gaps.get(rank - 1).copied().map(milliseconds)
        };
        let timing = Timing {
            first_byte,
            first_token: self.first_token.map(milliseconds),
            last_token: self.last_token.map(milliseconds),
            gap_p50: percentile(50),
            gap_p99: percentile(99),
            gap_max: percentile(100),
        };
        let is_short = |gap: &u64| *gap < STALL_MS * MILLISECOND as u64;
        let long = &self.gaps[self.gaps.partition_point(is_short)..];
        let total_ms = milliseconds(long.iter().sum());
        Some((timing, Stalls { threshold_ms: STALL_MS, count: long.len() as u64, total_ms }))
    }
}

fn milliseconds(nanos: u64) -> f64 {
    (nanos / 1000) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_between_events_and_tokens_between_tokens() {
        let mut clock = Clock::default();
        let ms = |at: u64| Some(at * 1_000_000 + 999);
        clock.byte(ms(100));
        clock.byte(ms(110));
        for (at, is_token) in
            [(110, false), (120, true), (130, true), (5130, false), (11_130, true), (11_140, false)]
        {
            clock.event(ms(at), is_token);
        }
        assert_eq!(clock.tokens_per_second(Some(110)), Some(10.0), "110 tokens in 11.01 s");
        let (timing, stalls) = clock.finish().unwrap();
        assert_eq!(timing.first_byte, Some(100.0));
        assert_eq!((timing.first_token, timing.last_token), (Some(120.0), Some(11_130.0)));
        assert_eq!(
            (timing.gap_p50, timing.gap_p99, timing.gap_max),
            (Some(10.0), Some(6000.0), Some(6000.0))
        );
        assert_eq!(stalls, Stalls { threshold_ms: 5000, count: 2, total_ms: 11_000.0 });
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let mut clock = Clock::default();
        clock.byte(None);
        clock.event(None, true);
        assert_eq!((clock.tokens_per_second(Some(5)), clock.finish()), (None, None));
        let mut clock = Clock::default();
        clock.byte(Some(7_000_000));
        clock.event(Some(8_000_000), true);
        assert_eq!(clock.tokens_per_second(Some(5)), None, "all at once");
        let (timing, stalls) = clock.finish().unwrap();
        assert_eq!((timing.first_token, timing.gap_p50, stalls.count), (Some(8.0), None, 0));
    }
}
