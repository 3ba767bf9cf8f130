//! Calendar time, UTC.

use crate::exchange::WallNanos;

/// A moment in UTC as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year, month, day.
    pub date: (u64, u64, u64),
    /// Hour, minute, second, millisecond.
    pub time: (u64, u64, u64, u64),
}

impl Civil {
    /// The moment `at`. Days to dates by Howard Hinnant's `civil_from_days`, for days after 1970.
    pub fn of(at: WallNanos) -> Self {
        let ms = at / 1_000_000;
        let days = ms / 86_400_000 + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let time = (ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
        Self { date: (year, month, day), time }
    }
}

/// A moment in a log's default name: `YYYY-MM-DD-HH-MM-SS`, UTC.
pub struct FileStamp(pub WallNanos);

impl std::fmt::Display for FileStamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Civil { date: (year, month, day), time: (hour, minute, second, _) } = Civil::of(self.0);
        write!(f, "{year:04}-{month:02}-{day:02}-{hour:02}-{minute:02}-{second:02}")
    }
}

/// A moment as `Date.prototype.toISOString` writes it.
pub struct Iso(pub WallNanos);

impl std::fmt::Display for Iso {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Civil { date: (year, month, day), time: (hour, minute, second, millisecond) } = Civil::of(self.0);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_at_the_edges() {
        let stamp = |seconds: u64| FileStamp(seconds * 1_000_000_000).to_string();
        assert_eq!(stamp(0), "1970-01-01-00-00-00");
        assert_eq!(stamp(951_782_400), "2000-02-29-00-00-00");
        assert_eq!(stamp(1_735_689_599), "2024-12-31-23-59-59");
        assert_eq!(stamp(1_795_206_489), "2026-11-20-20-28-09");
        assert_eq!(stamp(4_107_542_400), "2100-03-01-00-00-00");
    }

    #[test]
    fn counts_every_day_of_an_era_once() {
        let mut expected = (1970, 1, 1);
        for day in 0..146_097 + 366 {
            assert_eq!(Civil::of(day * 86_400_000_000_000).date, expected);
            let (year, month, of_month) = expected;
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u64::from(is_leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (month, of_month) {
                (12, 31) => (year + 1, 1, 1),
                (_, last) if last == length => (year, month + 1, 1),
                _ => (year, month, of_month + 1),
            };
        }
    }
}
