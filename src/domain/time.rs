//! Instants and durations as the house counts them: microseconds since 1970, UTC.

use std::fmt;
use std::time::Duration;

/// An instant: microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Micros(pub i64);

const SECOND: i64 = 1_000_000;

/// Seconds in a day of scoring arithmetic.
pub const DAY: f64 = 86_400.0;

impl Micros {
    /// The later instant, `d` after this one; stops at the end of the representable range.
    #[must_use]
    pub fn plus(self, d: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The earlier instant, `d` before this one.
    #[must_use]
    pub fn minus(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Seconds from `earlier` to this instant; negative when `earlier` is later.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0) as f64 / SECOND as f64
    }

    /// Time passed since `earlier`, zero when `earlier` lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    /// How far this instant lies outside of a span: in microseconds, negative before it, 0 within.
    #[must_use]
    pub fn outside(self, from: Self, to: Self) -> i64 {
        self.0.saturating_sub(from.0).min(0) + self.0.saturating_sub(to.0).max(0)
    }

    /// Reads an RFC 3339 time stamp with its offset (`2026-12-01T09:00:00+01:00`).
    ///
    /// # Errors
    /// A sentence that says what is expected.
    pub fn parse_rfc3339(text: &str) -> Result<Self, String> {
        text.trim().parse::<jiff::Timestamp>().map(Self::from).map_err(|_| {
            format!("'{text}' is not an RFC 3339 time such as 2026-12-01T09:00:00Z or 2026-12-01T09:00:00+01:00")
        })
    }
}

impl From<jiff::Timestamp> for Micros {
    fn from(t: jiff::Timestamp) -> Self {
        Self(t.as_microsecond())
    }
}

impl From<Micros> for jiff::Timestamp {
    fn from(t: Micros) -> Self {
        Self::from_microsecond(t.0).unwrap_or(if t.0 < 0 { Self::MIN } else { Self::MAX })
    }
}

/// RFC 3339 in UTC.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        jiff::Timestamp::from(*self).fmt(f)
    }
}

/// Reads a duration as the config files write it: `30s`, `15m`, `6h`, `14d`, `2w`.
///
/// # Errors
/// A sentence that says what is expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("'{text}' is not a duration such as 30s, 15m, 6h, 14d or 2w");
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
    let count: u64 = text[..unit_at].parse().map_err(|_| expected())?;
    let seconds = match &text[unit_at..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(expected()),
    };
    count
        .checked_mul(seconds)
        .filter(|s| *s <= 1_000 * 366 * 86_400)
        .map(Duration::from_secs)
        .ok_or_else(|| format!("'{text}' is longer than a thousand years"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_a_number_and_a_known_unit() {
        assert_eq!(parse_duration("14d"), Ok(Duration::from_secs(14 * 86_400)));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
        for bad in ["", "14", "d", "14 d", "-1d", "1y", "99999999999999999999d", "1000000w", "1é"] {
            assert!(parse_duration(bad).is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn a_time_stamp_keeps_its_microseconds() {
        let t = Micros::parse_rfc3339("2026-12-01T09:00:00.123456+01:00").unwrap();
        assert_eq!(t.to_string(), "2026-12-01T08:00:00.123456Z");
        assert!(Micros::parse_rfc3339("2026-12-01").is_err());
    }
}
