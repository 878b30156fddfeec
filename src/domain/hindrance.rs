//! What stands in the way of all that a schedule has planned: hours and days without mail that never let it go out, or
//! never at its time.

use std::fmt;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::campaign::{Schedule, Timing};
use super::hours::{Closed, Hours};
use super::occasion::{self, Occasion};
use super::time::Micros;

/// How far is looked ahead.
const AHEAD: Duration = Duration::from_secs(366 * 86_400);
/// Occasions that are looked at.
const MOST: usize = 200;

/// Why no occasion goes out as it is planned. It tells of the first one, by the clocks of its zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hindrance {
    /// When it comes.
    pub at: DateTime,
    /// What is in the way then.
    pub closed: Closed,
    /// When that ends; none: not within ten years.
    pub until: Option<DateTime>,
    /// What its messages come to.
    pub fate: Fate,
    /// Whether further occasions are as the first.
    pub others: bool,
}

/// What becomes of an occasion whose hour is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits, and leaves.
    Waits,
    /// Its latest start passes before.
    Expires,
    /// `valid_for` ends before: all messages are skipped.
    TooLate,
}

impl Hindrance {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match (self.closed, self.fate) {
            (Closed::Blackout, _) => "choose another day, or take this one out of `blackout`",
            (_, Fate::Waits) => "write a time within `window`",
            (_, Fate::Expires) => "write a time within `window`, or a longer `latest_start`",
            (_, Fate::TooLate) => "write a time within `window`, or a longer `valid_for`",
        }
    }
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, closed, until, fate, others } = self;
        f.write_str(match (fate, others) {
            (Fate::Waits, false) => "it does not leave at its time",
            (Fate::Waits, true) => "no run leaves at its time",
            (Fate::Expires, false) => "it never goes out",
            (Fate::Expires, true) => "no run ever goes out",
            (Fate::TooLate, false) => "none of its messages leaves",
            (Fate::TooLate, true) => "no message of any run leaves",
        })?;
        write!(f, ": at {at} {}", closed.in_words())?;
        match until {
            Some(until) => write!(f, " until {until}")?,
            None => f.write_str(", and so for ten years")?,
        }
        match fate {
            Fate::Waits => Ok(()),
            Fate::Expires => f.write_str(", and its latest start passes before"),
            Fate::TooLate => f.write_str(", and what has not left is too late before (valid_for)"),
        }
    }
}

/// What is in the way of every occasion that begins after an instant; none where one of them leaves at its time, or none
/// is to come.
#[must_use]
pub fn hindrance(schedule: &Schedule, timing: &Timing, now: Micros) -> Option<Hindrance> {
    let first = occasion::next_after(schedule, timing, now);
    let coming = std::iter::successors(first, |last| occasion::next_after(schedule, timing, last.begins()))
        .take_while(|occasion| occasion.begins() < now.plus(AHEAD))
        .take(MOST);
    let mut found: Option<Hindrance> = None;
    for occasion in coming {
        let this = of_occasion(occasion, schedule, timing)?;
        match &mut found {
            // Some expire and some wait: all of them are told by the milder fate.
            Some(found) => {
                found.others = true;
                if this.fate == Fate::Waits {
                    found.fate = Fate::Waits;
                }
            }
            None => found = Some(this),
        }
    }
    found
}

fn of_occasion(occasion: Occasion, schedule: &Schedule, timing: &Timing) -> Option<Hindrance> {
    let (zone, due) = match occasion {
        Occasion::At(at) => (timing.fallback.as_str(), at),
        // Everybody's own clocks show the same: as good as one zone without changes.
        Occasion::Local(local) => ("UTC", TimeZone::UTC.to_timestamp(local).ok()?.into()),
    };
    let hours: Hours = timing.hours(zone);
    let closed = hours.closed(due)?;
    let opens = hours.opens(due);
    let within = |span: Duration| opens.is_some_and(|opens| opens <= due.plus(span));
    let fate = if !within(schedule.latest_start) {
        Fate::Expires
    } else if timing.valid_for.is_some_and(|span| !within(span)) {
        Fate::TooLate
    } else {
        Fate::Waits
    };
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let shown = |at: Micros| zone.to_datetime(at.into());
    Some(Hindrance { at: shown(due), closed, until: opens.map(shown), fate, others: false })
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;
    use crate::domain::campaign::When;
    use crate::domain::hours::{Days, Window};

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(text: &str) -> Micros {
        Micros::parse_rfc3339(text).unwrap()
    }

    fn timing(zone: &str, window: (i8, i8), blackout: &[(i8, i8)]) -> Timing {
        let fallback = if zone == "recipient" { "Europe/Berlin" } else { zone };
        let window = Some(Window { from: time(window.0, 0, 0, 0), to: time(window.1, 0, 0, 0) });
        let blackout = blackout.iter().map(|(month, day)| date(2026, *month, *day));
        let blackout = blackout.map(|day| Days { from: day, to: day }).collect();
        Timing { zone: zone.into(), fallback: fallback.into(), window, blackout, valid_for: None }
    }

    fn every(cron: &str, hours: u32) -> Schedule {
        Schedule { when: When::Every(cron.into()), latest_start: HOUR * hours }
    }

    fn told(schedule: &Schedule, timing: &Timing) -> Option<String> {
        hindrance(schedule, timing, at("2026-11-20T00:00:00Z")).map(|found| found.to_string())
    }

    #[test]
    fn a_time_outside_the_window_waits_or_never_goes_out() {
        for (zone, first) in [("Europe/Berlin", "2026-11-24"), ("recipient", "2026-11-24")] {
            let timing = timing(zone, (8, 20), &[]);
            assert_eq!(told(&every("0 9 * * 2", 6), &timing), None);
            let early = format!(
                "no run leaves at its time: at {first}T07:00:00 it is outside the window until {first}T08:00:00"
            );
            assert_eq!(told(&every("0 7 * * 2", 6), &timing), Some(early));
            let late = told(&every("0 21 * * 2", 6), &timing).unwrap();
            let never = format!(
                "no run ever goes out: at {first}T21:00:00 it is outside the window until 2026-11-25T08:00:00, and"
            );
            assert!(late.starts_with(&never), "{late}");
            assert!(told(&every("0 21 * * 2", 12), &timing).unwrap().starts_with("no run leaves at its time: "));
            let soon = Timing { valid_for: Some(HOUR / 2), ..timing.clone() };
            assert!(told(&every("0 7 * * 2", 6), &soon).unwrap().starts_with("no message of any run leaves: "));
        }
    }

    #[test]
    fn one_occasion_that_leaves_is_enough() {
        let timing = timing("UTC", (8, 20), &[(12, 24)]);
        assert_eq!(told(&every("0 * * * *", 1), &timing), None, "hourly, by day");
        assert_eq!(told(&every("0 9 * * *", 6), &timing), None, "daily, but for Christmas");
    }

    #[test]
    fn a_day_without_mail_is_told_where_it_is_the_only_one() {
        let timing = timing("UTC", (8, 20), &[(12, 24)]);
        let once = Schedule { when: When::At(at("2026-12-24T09:00:00Z")), latest_start: HOUR * 6 };
        let found = hindrance(&once, &timing, at("2026-11-20T00:00:00Z")).unwrap();
        assert_eq!((found.closed, found.fate, found.others), (Closed::Blackout, Fate::Expires, false));
        assert!(found.to_string().starts_with(
            "it never goes out: at 2026-12-24T09:00:00 it is a day without mail until 2026-12-25T08:00:00"
        ));
        assert!(found.hint().contains("another day"));
        assert!(
            told(&every("0 9 24 12 *", 6), &timing).is_some(),
            "the next Christmas is all that comes within a year"
        );
        assert_eq!(hindrance(&once, &timing, at("2026-12-25T00:00:00Z")), None, "what is over is no matter");
    }
}
