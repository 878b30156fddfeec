//! How large tables are cut on PostgreSQL: messages by ranges of runs, hits by months.

use super::time::Micros;

/// About so many messages are in one partition.
const MESSAGES: i64 = 100_000_000;
/// Runs in one while nobody knows how large they are.
const UNKNOWN: i64 = 64;
/// Runs in one, at least and at most: neither many partitions nor one for ever.
const LEAST: i64 = 4;
const MOST: i64 = 1_024;

/// Runs from the first up to, and without, the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs {
    /// The first of them.
    pub from: i64,
    /// The first after them.
    pub to: i64,
}

impl Runs {
    /// The table that holds their messages.
    #[must_use]
    pub fn table(self) -> String {
        format!("messages_{}_{}", self.from, self.to)
    }

    /// Reads it back; `None` for any other table.
    #[must_use]
    pub fn parse(table: &str) -> Option<Self> {
        let (from, to) = table.strip_prefix("messages_")?.split_once('_')?;
        Some(Self { from: from.parse().ok()?, to: to.parse().ok()? })
    }

    /// The ranges to be added from `start` on, so that the newest run and as many again as one range holds have theirs.
    #[must_use]
    pub fn ahead(start: i64, newest: i64, width: i64) -> Vec<Self> {
        let mut ranges = Vec::new();
        let mut from = start;
        while from <= newest.saturating_add(width) {
            let to = from.saturating_add(width);
            ranges.push(Self { from, to });
            from = to;
        }
        ranges
    }
}

/// How many runs a range should hold where the latest had so many messages each; `None`: there was none yet.
#[must_use]
pub fn width(messages: Option<i64>) -> i64 {
    messages.map_or(UNKNOWN, |messages| (MESSAGES / messages.max(1)).clamp(LEAST, MOST))
}

/// A month of hits, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    year: i16,
    month: i8,
}

impl Month {
    /// The month of an instant.
    #[must_use]
    pub fn of(at: Micros) -> Self {
        let date = jiff::Timestamp::from(at).to_zoned(jiff::tz::TimeZone::UTC).date();
        Self { year: date.year(), month: date.month() }
    }

    /// The month after it.
    #[must_use]
    pub fn next(self) -> Self {
        match self.month {
            12 => Self { year: self.year.saturating_add(1), month: 1 },
            month => Self { month: month + 1, ..self },
        }
    }

    /// Its first instant.
    #[must_use]
    pub fn start(self) -> Micros {
        let first = jiff::civil::Date::new(self.year, self.month, 1).and_then(|d| d.to_zoned(jiff::tz::TimeZone::UTC));
        first.map_or(Micros(i64::MAX), |first| first.timestamp().into())
    }

    /// With what the ids of its hits begin at the earliest: a UUIDv7 begins with 48 bits of milliseconds.
    #[must_use]
    pub fn first_id(self) -> [u8; 6] {
        let millis = u64::try_from(self.start().0 / 1_000).unwrap_or(0).to_be_bytes();
        [millis[2], millis[3], millis[4], millis[5], millis[6], millis[7]]
    }

    /// The table that holds its hits.
    #[must_use]
    pub fn table(self) -> String {
        format!("hits_{:04}_{:02}", self.year, self.month)
    }

    /// Reads it back; `None` for any other table.
    #[must_use]
    pub fn parse(table: &str) -> Option<Self> {
        let (year, month) = table.strip_prefix("hits_")?.split_once('_')?;
        let (year, month) = (year.parse().ok()?, month.parse().ok()?);
        (1..=12).contains(&month).then_some(Self { year, month })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_runs_share_a_partition_with_few_others_and_small_ones_with_many() {
        assert_eq!([width(None), width(Some(10_000_000)), width(Some(0)), width(Some(i64::MAX))], [64, 10, 1_024, 4]);
        let ranges = |start, newest| Runs::ahead(start, newest, 10).into_iter().map(Runs::table).collect::<Vec<_>>();
        assert_eq!(ranges(1, 0), ["messages_1_11"]);
        assert_eq!(ranges(11, 0), [""; 0]);
        assert_eq!(ranges(11, 1), ["messages_11_21"]);
        assert_eq!(ranges(21, 10), [""; 0]);
        assert_eq!(ranges(500, 500), ["messages_500_510", "messages_510_520"]);
        assert_eq!(Runs::parse("messages_500_510"), Some(Runs { from: 500, to: 510 }));
        assert_eq!(Runs::parse("messages_rest"), None);
    }

    #[test]
    fn a_month_ends_where_the_next_begins() {
        let month = Month::of(Micros::parse_rfc3339("2026-12-31T23:59:59.999999Z").unwrap());
        assert_eq!((month.table(), month.next().table()), ("hits_2026_12".into(), "hits_2027_01".into()));
        assert_eq!(month.next().start(), Micros::parse_rfc3339("2027-01-01T00:00:00Z").unwrap());
        assert_eq!(Month::parse("hits_2026_12"), Some(month));
        assert_eq!([Month::parse("hits_rest"), Month::parse("hits_2026_13")], [None, None]);
        let id = uuid::Builder::from_unix_timestamp_millis(month.next().start().0.unsigned_abs() / 1_000, &[0; 10]);
        assert_eq!(id.as_uuid().as_bytes()[..6], month.next().first_id());
    }
}
