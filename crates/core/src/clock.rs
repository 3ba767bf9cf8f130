//! Time: entries are stamped on the monotonic clock, so that a wall clock that jumps cannot reorder them, and turned
//! into wall time by an offset that is taken once per pipeline.

use crate::exchange::WallNanos;
use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds on the monotonic clock. A vDSO read of about 25 ns, no system call.
pub fn monotonic_nanos() -> u64 {
    nanos(ClockId::Monotonic)
}

/// Nanoseconds since the Unix epoch, as the wall clock has it now.
pub fn wall_nanos() -> WallNanos {
    nanos(ClockId::Realtime)
}

fn nanos(id: ClockId) -> u64 {
    let t = clock_gettime(id);
    // Before 1970 or after 2554 there is no traffic to record.
    (t.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(t.tv_nsec as u64)
}

/// Turns monotonic time into wall time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Wall time minus monotonic time, wrapping.
    offset: u64,
}

impl Clock {
    /// Takes the offset between the two clocks as it is now.
    pub fn now() -> Self {
        Self { offset: wall_nanos().wrapping_sub(monotonic_nanos()) }
    }

    /// The wall time of a moment on the monotonic clock.
    pub fn wall(self, monotonic: u64) -> WallNanos {
        monotonic.wrapping_add(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_is_set_back_reorders_nothing() {
        let clock = Clock::now();
        let (earlier, later) = (monotonic_nanos(), monotonic_nanos() + 1);
        // The offset was taken once: what the wall clock does from then on is not asked.
        assert!(clock.wall(earlier) < clock.wall(later));
        assert_eq!(clock.wall(later) - clock.wall(earlier), later - earlier);
    }

    #[test]
    fn wall_time_of_now_is_now() {
        let clock = Clock::now();
        let apart = clock.wall(monotonic_nanos()).abs_diff(wall_nanos());
        assert!(apart < 1_000_000_000, "{apart} ns apart");
    }
}
