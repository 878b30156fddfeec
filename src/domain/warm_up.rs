//! How much a relay may hand over by day while it is new to its receivers.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{ToSpan as _, Zoned};

use super::time::Micros;

/// Messages by day, from a first day on. After a table's end there is no limit by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmUp {
    /// The first day; before it the relay hands nothing over.
    pub start: Date,
    /// The zone in which days begin and end, an IANA name.
    pub zone: String,
    /// Messages in all; empty: no limit.
    pub table: Vec<u32>,
    /// Messages by recipient domain, in lower-case A-labels.
    pub per_domain: BTreeMap<String, Vec<u32>>,
}

/// A day of a relay's warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Which.
    pub date: Date,
    /// Days since the first; below zero before it.
    pub number: i64,
    /// When the next one begins.
    pub ends: Micros,
}

impl WarmUp {
    /// The day of an instant.
    #[must_use]
    pub fn day(&self, at: Micros) -> Day {
        // A zone that has gone from the database since the file was read; days must not stop for it.
        let zone = TimeZone::get(&self.zone).unwrap_or(TimeZone::UTC);
        let date = Zoned::new(at.into(), zone.clone()).date();
        let number = self.start.until(date).map_or(0, |span| i64::from(span.get_days()));
        let next = date.saturating_add(1.day()).to_zoned(zone);
        Day { date, number, ends: next.map_or(at, |next| next.timestamp().into()) }
    }

    /// How many messages may be handed over on a day: in all, or to one domain. `None`: no limit.
    #[must_use]
    pub fn allowed(&self, domain: Option<&str>, number: i64) -> Option<u32> {
        let table = match domain {
            None => Some(&self.table).filter(|table| !table.is_empty()),
            Some(domain) => self.per_domain.get(domain),
        };
        let table = table?;
        match usize::try_from(number) {
            Ok(number) => table.get(number).copied(),
            Err(_) => Some(0),
        }
    }

    /// Days until no table limits anything any more; none are left at 0.
    #[must_use]
    pub fn days_left(&self, number: i64) -> i64 {
        let tables = self.per_domain.values().chain([&self.table]);
        let longest = tables.map(Vec::len).max().unwrap_or(0);
        (i64::try_from(longest).unwrap_or(i64::MAX) - number).max(0)
    }

    /// The number of the day on which the last of so many messages goes out, when `used` went out on
    /// the day `number`: the sum of the table decides.
    #[must_use]
    pub fn last_day(&self, messages: u64, number: i64, used: u64) -> i64 {
        let (mut day, mut left) = (number, messages);
        let mut used = used;
        while let Some(allowed) = self.allowed(None, day) {
            let free = u64::from(allowed).saturating_sub(std::mem::take(&mut used));
            if left <= free && (left > 0 || day == number) {
                break;
            }
            left -= free.min(left);
            day += 1;
        }
        day
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn warm_up() -> WarmUp {
        WarmUp {
            start: date(2026, 12, 1),
            zone: "Europe/Berlin".into(),
            table: vec![200, 500, 1_000],
            per_domain: BTreeMap::from([("gmail.com".into(), vec![50, 100, 200, 400])]),
        }
    }

    fn at(text: &str) -> Micros {
        Micros::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn days_begin_at_midnight_where_the_sender_is() {
        let warm_up = warm_up();
        let day = warm_up.day(at("2026-11-30T22:59:59Z"));
        assert_eq!((day.number, day.ends), (-1, at("2026-11-30T23:00:00Z")));
        let day = warm_up.day(at("2026-11-30T23:00:00Z"));
        assert_eq!((day.number, day.date, day.ends), (0, date(2026, 12, 1), at("2026-12-01T23:00:00Z")));
        assert_eq!(warm_up.day(at("2027-03-28T12:00:00Z")).ends, at("2027-03-28T22:00:00Z"), "a day of 23 hours");
    }

    #[test]
    fn each_table_allows_by_day_and_nothing_is_limited_after_it() {
        let warm_up = warm_up();
        let allowed = |domain, days: [i64; 6]| days.map(|day| warm_up.allowed(domain, day));
        assert_eq!(allowed(None, [-1, 0, 1, 2, 3, 4]), [Some(0), Some(200), Some(500), Some(1_000), None, None]);
        let gmail = allowed(Some("gmail.com"), [-1, 0, 1, 2, 3, 4]);
        assert_eq!(gmail, [Some(0), Some(50), Some(100), Some(200), Some(400), None]);
        assert_eq!(allowed(Some("example.org"), [-1, 0, 1, 2, 3, 4]), [None; 6], "no table of its own");
        assert_eq!([-1, 0, 3, 4, 9].map(|day| warm_up.days_left(day)), [5, 4, 1, 0, 0]);
    }

    #[test]
    fn the_last_day_of_many_messages_follows_from_the_table() {
        let last = |messages, day, used| warm_up().last_day(messages, day, used);
        assert_eq!([last(0, 0, 0), last(200, 0, 0), last(201, 0, 0), last(700, 0, 0)], [0, 0, 1, 1]);
        assert_eq!([last(150, 0, 100), last(1_700, 0, 0), last(1_701, 0, 0), last(9_999_999, 0, 0)], [1, 2, 3, 3]);
        assert_eq!([last(1, -1, 0), last(5, 7, 0)], [0, 7]);
    }
}
