//! Rates as config writes them: `200/s`, `60/m`, `1000/h`, `5000/d`, and `2 per 7d`.

use std::time::Duration;

use super::time::parse_duration;

/// At most `count` in any window of length `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many, at least one where all of it is meant.
    pub count: u32,
    /// The window's length.
    pub per: Duration,
}

impl Rate {
    /// Reads `N/s`, `N/m`, `N/h` or `N/d`.
    ///
    /// # Errors
    /// A sentence that says what is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("'{text}' is not a rate such as 200/s, 60/m, 1000/h or 5000/d");
        let (count, unit) = text.split_once('/').ok_or_else(expected)?;
        let per = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(expected()),
        };
        Self::new(count, Duration::from_secs(per)).ok_or_else(expected)
    }

    /// Reads a cap such as `2 per 7d`.
    ///
    /// # Errors
    /// A sentence that says what is expected.
    pub fn parse_cap(text: &str) -> Result<Self, String> {
        let expected = || format!("'{text}' is not a cap such as 2 per 7d");
        let (count, per) = text.split_once(" per ").ok_or_else(expected)?;
        let per = parse_duration(per.trim()).map_err(|_| expected())?;
        Self::new(count, per).filter(|_| !per.is_zero()).ok_or_else(expected)
    }

    fn new(count: &str, per: Duration) -> Option<Self> {
        let count: u32 = count.trim().parse().ok()?;
        (count > 0).then_some(Self { count, per })
    }

    /// Messages per second, on average.
    #[must_use]
    pub fn per_second(self) -> f64 {
        f64::from(self.count) / self.per.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_caps_are_read_as_written() {
        assert_eq!(Rate::parse("200/s"), Ok(Rate { count: 200, per: Duration::from_secs(1) }));
        assert_eq!(Rate::parse("60/m").unwrap().per_second(), 1.0);
        assert_eq!(Rate::parse_cap("2 per 7d").unwrap().per, Duration::from_secs(7 * 86_400));
        for bad in ["", "200", "0/s", "-1/s", "1.5/s", "200/x", "/s"] {
            assert!(Rate::parse(bad).is_err(), "{bad} was taken");
        }
        for bad in ["2", "2 per", "0 per 7d", "2 per 0d", "2 in 7d"] {
            assert!(Rate::parse_cap(bad).is_err(), "{bad} was taken");
        }
    }
}
