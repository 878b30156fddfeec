//! The hours in which messages may leave: a window of the day and days without mail, by the wall clock of a zone.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::time::Micros;

/// Hours of the day. When `to` is earlier than `from` they go on until that time of the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first time at which messages may leave.
    pub from: Time,
    /// The time from which they may not; never the same as `from`.
    pub to: Time,
}

impl Window {
    fn holds(&self, time: Time) -> bool {
        if self.from < self.to { self.from <= time && time < self.to } else { self.from <= time || time < self.to }
    }
}

/// A day, or several in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Days {
    /// The first.
    pub from: Date,
    /// The last; not before the first.
    pub to: Date,
}

/// Why nothing may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Closed {
    /// The day is one without mail.
    Blackout,
    /// The time is outside the window.
    Window,
    /// The time of no zone that is left has come yet.
    Wave,
}

impl Closed {
    /// The word in the database and in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blackout => "blackout",
            Self::Window => "window",
            Self::Wave => "wave",
        }
    }

    /// The reason of a word from the database.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Blackout, Self::Window, Self::Wave].into_iter().find(|why| why.as_str() == word)
    }

    /// As people say it.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Blackout => "it is a day without mail",
            Self::Window => "it is outside the window",
            Self::Wave => "the time of the next zone has not come",
        }
    }
}

/// When messages may leave.
#[derive(Clone, Debug)]
pub struct Hours {
    zone: TimeZone,
    window: Option<Window>,
    blackout: Vec<Days>,
}

/// Changes that are looked through before it is taken that it stays closed: ten years and more.
const PATIENCE: usize = 20_000;

impl Hours {
    /// Hours by the clocks of a zone; without window and blackout always open.
    #[must_use]
    pub fn new(zone: TimeZone, window: Option<Window>, blackout: Vec<Days>) -> Self {
        Self { zone, window, blackout }
    }

    /// Whether they are never closed.
    #[must_use]
    pub fn always(&self) -> bool {
        self.window.is_none() && self.blackout.is_empty()
    }

    /// Why nothing may leave at this instant; `None` while it may.
    #[must_use]
    pub fn closed(&self, at: Micros) -> Option<Closed> {
        if self.always() {
            return None;
        }
        let shown = self.zone.to_datetime(at.into());
        if self.blackout.iter().any(|days| days.from <= shown.date() && shown.date() <= days.to) {
            return Some(Closed::Blackout);
        }
        self.window.is_some_and(|window| !window.holds(shown.time())).then_some(Closed::Window)
    }

    /// The first instant from this one on at which messages may leave; `None` when none comes within ten years.
    #[must_use]
    pub fn opens(&self, at: Micros) -> Option<Micros> {
        if self.closed(at).is_none() { Some(at) } else { self.change(at) }
    }

    /// When they close next, from an instant on at which they are open; `None` when they stay open.
    #[must_use]
    pub fn closes(&self, at: Micros) -> Option<Micros> {
        self.change(at)
    }

    /// The instant at which messages have been leaving for so long, from this one on.
    #[must_use]
    pub fn after(&self, at: Micros, open: Duration) -> Option<Micros> {
        let (mut at, mut left) = (self.opens(at)?, open);
        for _ in 0..PATIENCE {
            let Some(closes) = self.closes(at).filter(|closes| closes.since(at) < left) else {
                return Some(at.plus(left));
            };
            left -= closes.since(at);
            at = self.opens(closes)?;
        }
        None
    }

    /// The next instant at which what is open closes, or what is closed opens.
    fn change(&self, at: Micros) -> Option<Micros> {
        let now = self.closed(at).is_some();
        let mut at = at;
        for _ in 0..PATIENCE {
            at = self.turning_point(at)?;
            if self.closed(at).is_some() != now {
                return Some(at);
            }
        }
        None
    }

    /// The first instant after this one at which a day begins, the window begins or ends, or clocks are changed.
    fn turning_point(&self, after: Micros) -> Option<Micros> {
        if self.always() {
            return None;
        }
        let today = self.zone.to_datetime(after.into()).date();
        let times = self.window.map_or([Time::MIN; 3], |window| [Time::MIN, window.from, window.to]);
        let days = [Some(today), today.tomorrow().ok()].into_iter().flatten();
        let shown = days.flat_map(|day| times.map(|time| day.to_datetime(time)));
        let changed = self.zone.following(after.into()).next().map(|turn| turn.timestamp().into());
        shown.flat_map(|shown| self.instants(shown)).chain(changed).filter(|at| *at > after).min()
    }

    /// When clocks show this time: once, twice, or never.
    fn instants(&self, shown: DateTime) -> impl Iterator<Item = Micros> {
        let ambiguous = self.zone.to_ambiguous_timestamp(shown);
        let shows = |at: Result<jiff::Timestamp, jiff::Error>| Some(at.ok()?.into());
        let both = if matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
            [None, None]
        } else {
            [shows(ambiguous.earlier()), shows(ambiguous.later())]
        };
        both.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;

    fn at(text: &str) -> Micros {
        Micros::parse_rfc3339(text).unwrap()
    }

    fn window(from: i8, to: i8) -> Option<Window> {
        Some(Window { from: time(from, 0, 0, 0), to: time(to, 0, 0, 0) })
    }

    fn berlin(window: Option<Window>, blackout: &[(Date, Date)]) -> Hours {
        let blackout = blackout.iter().map(|(from, to)| Days { from: *from, to: *to }).collect();
        Hours::new(TimeZone::get("Europe/Berlin").unwrap(), window, blackout)
    }

    #[test]
    fn a_window_opens_and_closes_by_the_clocks_of_its_zone() {
        let hours = berlin(window(8, 20), &[]);
        assert_eq!(hours.closed(at("2026-12-01T06:59:59Z")), Some(Closed::Window));
        assert_eq!(hours.closed(at("2026-12-01T07:00:00Z")), None);
        assert_eq!(hours.opens(at("2026-12-01T03:00:00Z")), Some(at("2026-12-01T07:00:00Z")));
        assert_eq!(hours.opens(at("2026-12-01T12:00:00Z")), Some(at("2026-12-01T12:00:00Z")));
        assert_eq!(hours.closes(at("2026-12-01T12:00:00Z")), Some(at("2026-12-01T19:00:00Z")));
        assert_eq!(hours.opens(at("2026-12-01T19:00:00Z")), Some(at("2026-12-02T07:00:00Z")));
        assert_eq!(hours.opens(at("2026-07-01T19:00:00Z")), Some(at("2026-07-02T06:00:00Z")), "in summer");
    }

    #[test]
    fn a_window_may_go_over_midnight() {
        let hours = berlin(window(20, 6), &[]);
        assert_eq!(hours.opens(at("2026-12-01T12:00:00Z")), Some(at("2026-12-01T19:00:00Z")));
        assert_eq!(hours.closes(at("2026-12-01T19:00:00Z")), Some(at("2026-12-02T05:00:00Z")));
        let until_midnight = berlin(window(18, 0), &[]);
        assert_eq!(until_midnight.closes(at("2026-12-01T18:00:00Z")), Some(at("2026-12-01T23:00:00Z")));
    }

    #[test]
    fn days_without_mail_are_whole_days_of_the_zone() {
        let christmas = [(date(2026, 12, 24), date(2026, 12, 26))];
        let hours = berlin(None, &christmas);
        assert_eq!(hours.closes(at("2026-12-20T00:00:00Z")), Some(at("2026-12-23T23:00:00Z")));
        assert_eq!(hours.closed(at("2026-12-23T23:00:00Z")), Some(Closed::Blackout));
        assert_eq!(hours.opens(at("2026-12-25T12:00:00Z")), Some(at("2026-12-26T23:00:00Z")));
        assert_eq!(hours.closes(at("2026-12-27T00:00:00Z")), None, "none follow");
        let with_window = berlin(window(8, 20), &christmas);
        assert_eq!(with_window.opens(at("2026-12-24T09:00:00Z")), Some(at("2026-12-27T07:00:00Z")));
        let over_night = berlin(window(20, 6), &christmas);
        assert_eq!(over_night.closes(at("2026-12-23T20:00:00Z")), Some(at("2026-12-23T23:00:00Z")));
    }

    #[test]
    fn what_clocks_skip_or_repeat_is_read_off_the_wall() {
        let early = berlin(Some(Window { from: time(2, 30, 0, 0), to: time(4, 0, 0, 0) }), &[]);
        assert_eq!(
            early.opens(at("2026-03-29T00:00:00Z")),
            Some(at("2026-03-29T01:00:00Z")),
            "at three, not at half past"
        );
        let never = berlin(Some(Window { from: time(2, 0, 0, 0), to: time(3, 0, 0, 0) }), &[]);
        assert_eq!(never.opens(at("2026-03-29T00:00:00Z")), Some(at("2026-03-30T00:00:00Z")), "this hour is left out");
        assert_eq!(never.closes(at("2026-10-25T00:30:00Z")), Some(at("2026-10-25T02:00:00Z")), "this one lasts two");
    }

    #[test]
    fn every_zone_opens_once_a_day_when_clocks_are_changed() {
        for name in jiff::tz::db().available() {
            let zone = TimeZone::get(name.as_str()).unwrap();
            let hours = Hours::new(zone.clone(), window(9, 17), Vec::new());
            let year: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
            for turn in zone
                .following(year)
                .take_while(|turn| turn.timestamp() < year + jiff::SignedDuration::from_hours(8_800))
            {
                let start = turn.timestamp() - jiff::SignedDuration::from_hours(24);
                let opens = hours.opens(hours.closes(start.into()).unwrap()).unwrap();
                let again = hours.opens(hours.closes(opens).unwrap()).unwrap();
                for opening in [opens, again] {
                    assert_eq!(zone.to_datetime(opening.into()).time(), time(9, 0, 0, 0), "{name:?}");
                }
            }
        }
    }

    #[test]
    fn time_counts_only_while_open() {
        let hours = berlin(window(8, 20), &[(date(2026, 12, 2), date(2026, 12, 2))]);
        let day = Duration::from_secs(12 * 3_600);
        assert_eq!(hours.after(at("2026-12-01T03:00:00Z"), Duration::ZERO), Some(at("2026-12-01T07:00:00Z")));
        assert_eq!(hours.after(at("2026-12-01T03:00:00Z"), day), Some(at("2026-12-01T19:00:00Z")));
        let more = day + Duration::from_secs(3_600);
        assert_eq!(hours.after(at("2026-12-01T03:00:00Z"), more), Some(at("2026-12-03T08:00:00Z")));
    }

    #[test]
    fn what_never_opens_is_noticed() {
        let hours = berlin(None, &[(date(2020, 1, 1), date(9999, 12, 31))]);
        assert_eq!(hours.opens(at("2026-12-01T00:00:00Z")), None);
        assert_eq!(hours.after(at("2026-12-01T00:00:00Z"), Duration::ZERO), None);
    }
}
