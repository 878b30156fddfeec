//! How often a person wants to be mailed: a limit of their own, or a pause.

use std::fmt;
use std::time::Duration;

use super::rate::Rate;
use super::time::{Micros, parse_duration};

const DAY: u64 = 86_400;
/// Longest window of a limit, and longest pause, in days.
pub const MOST_DAYS: u32 = 366;
/// Most messages of a limit.
pub const MOST: u32 = 100;

/// A person's own limit: at most `count` messages in `days` days, over all topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnLimit {
    /// How many, 1 to [`MOST`].
    pub count: u32,
    /// Whole days, 1 to [`MOST_DAYS`].
    pub days: u32,
}

impl OwnLimit {
    /// How long a day of the window counts, microseconds: a fourteenth less than a day. The newsletter of this
    /// week may leave a little earlier in the day than that of last week, and four weeks are a month.
    pub const DAY: i64 = 86_400_000_000 * 13 / 14;

    /// Reads a limit as config writes it: `1 per 7d`, `2 per 4w`.
    ///
    /// # Errors
    /// A sentence that says what is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("'{text}' is not a limit such as 1 per 7d");
        let rate = Rate::parse_cap(text).map_err(|_| expected())?;
        let days = whole_days(rate.per).ok_or_else(expected)?;
        (rate.count <= MOST).then_some(Self { count: rate.count, days }).ok_or_else(expected)
    }
}

/// As config writes it, in days.
impl fmt::Display for OwnLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {}d", self.count, self.days)
    }
}

/// Reads how long a pause is, as config writes it: `30d`, `4w`. Whole days, 2 to [`MOST_DAYS`].
///
/// # Errors
/// A sentence that says what is expected.
pub fn parse_pause(text: &str) -> Result<u32, String> {
    let days = parse_duration(text).ok().and_then(whole_days).filter(|days| *days > 1);
    days.ok_or_else(|| format!("'{text}' is not a pause such as 30d, of two days at least"))
}

/// So many days by the clock.
#[must_use]
pub fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * DAY)
}

fn whole_days(time: Duration) -> Option<u32> {
    let days = u32::try_from(time.as_secs() / DAY).ok().filter(|days| (1..=MOST_DAYS).contains(days))?;
    time.as_secs().is_multiple_of(DAY).then_some(days)
}

/// What a person wishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Mailings as they come.
    Any,
    /// No more than this.
    AtMost(OwnLimit),
    /// None before this instant; then as before.
    PausedUntil(Micros),
}

/// In the ledger and in reports.
impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("as they come"),
            Self::AtMost(limit) => write!(f, "at most {limit}"),
            Self::PausedUntil(until) => write!(f, "paused until {until}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_pauses_are_whole_days() {
        assert_eq!(OwnLimit::parse("1 per 7d"), Ok(OwnLimit { count: 1, days: 7 }));
        assert_eq!(OwnLimit::parse("2 per 4w").unwrap().to_string(), "2 per 28d");
        assert_eq!(parse_pause("4w"), Ok(28));
        for bad in ["", "1", "0 per 7d", "1 per 12h", "1 per 36h", "1 per 367d", "101 per 7d", "1 per 0d", "1 per -7d"]
        {
            assert!(OwnLimit::parse(bad).is_err(), "{bad} was taken");
        }
        for bad in ["", "0d", "1d", "12h", "25h", "53w", "a month"] {
            assert!(parse_pause(bad).is_err(), "{bad} was taken");
        }
    }
}
