//! Occasions: the instants, or local times, at which a schedule wants a run.

use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use super::campaign::{Schedule, Timing, When};
use super::recurrence::{self, Recurrence};
use super::time::Micros;
use super::waves::Wave;

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// An instant, the same for everybody.
    At(Micros),
    /// What each recipient's own clocks show.
    Local(DateTime),
}

/// The zones whose clocks are furthest ahead and behind.
const FIRST: Offset = Offset::constant(14);
const LAST: Offset = Offset::constant(-12);

/// A wall clock's smallest step that matters here.
const STEP: SignedDuration = SignedDuration::from_secs(1);

impl Occasion {
    /// When it begins: for local time in the zone that comes first.
    #[must_use]
    pub fn begins(self) -> Micros {
        match self {
            Self::At(at) => at,
            Self::Local(local) => shown(local, FIRST),
        }
    }

    /// When it comes in the zone that is last.
    #[must_use]
    pub fn last(self) -> Micros {
        match self {
            Self::At(at) => at,
            Self::Local(local) => shown(local, LAST),
        }
    }

    /// Its waves; none where a run is sent as a whole.
    #[must_use]
    pub fn waves(self, timing: &Timing) -> Vec<Wave> {
        timing.waves(|zone| match self {
            Self::At(at) => Some(at),
            Self::Local(local) => recurrence::instant(zone, local),
        })
    }
}

/// Its name: an instant as RFC 3339, a local time without an offset.
impl std::fmt::Display for Occasion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(at) => at.fmt(f),
            Self::Local(local) => local.fmt(f),
        }
    }
}

fn shown(local: DateTime, offset: Offset) -> Micros {
    offset.to_timestamp(local).map_or(Micros(i64::MAX), Micros::from)
}

/// The occasions that have begun and are not over, and otherwise the last that has begun; the oldest first.
#[must_use]
pub fn current(schedule: &Schedule, timing: &Timing, now: Micros) -> Vec<Occasion> {
    let mut found = Vec::new();
    let mut before = now;
    while let Some(occasion) = last_by(schedule, timing, before) {
        if !found.is_empty() && occasion.last() <= now {
            break;
        }
        found.push(occasion);
        before = occasion.begins().minus(Duration::from_micros(1));
        if occasion.begins() == occasion.last() {
            break;
        }
    }
    found.reverse();
    found
}

/// The last occasion that began at or before an instant.
#[must_use]
pub fn last_by(schedule: &Schedule, timing: &Timing, at: Micros) -> Option<Occasion> {
    let occasion = match &schedule.when {
        When::At(at) => Occasion::At(*at),
        When::AtLocal(local) => Occasion::Local(*local),
        When::Every(cron) if timing.by_recipient() => {
            Occasion::Local(Recurrence::parse(cron)?.last_local(FIRST.to_datetime(at.into()))?)
        }
        When::Every(cron) => Occasion::At(Recurrence::parse(cron)?.last_by(&zone(timing)?, at)?),
    };
    (occasion.begins() <= at).then_some(occasion)
}

/// The first occasion that begins after an instant.
#[must_use]
pub fn next_after(schedule: &Schedule, timing: &Timing, after: Micros) -> Option<Occasion> {
    let occasion = match &schedule.when {
        When::At(at) => Occasion::At(*at),
        When::AtLocal(local) => Occasion::Local(*local),
        When::Every(cron) if timing.by_recipient() => {
            let from = FIRST.to_datetime(after.into()).checked_add(STEP).ok()?;
            Occasion::Local(Recurrence::parse(cron)?.next_local(from)?)
        }
        When::Every(cron) => Occasion::At(Recurrence::parse(cron)?.next_after(&zone(timing)?, after)?),
    };
    (occasion.begins() > after).then_some(occasion)
}

fn zone(timing: &Timing) -> Option<TimeZone> {
    TimeZone::get(&timing.fallback).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::datetime;

    use super::*;

    fn at(text: &str) -> Micros {
        Micros::parse_rfc3339(text).unwrap()
    }

    fn timing(zone: &str) -> Timing {
        let fallback = if zone == "recipient" { "Europe/Berlin" } else { zone };
        Timing { zone: zone.into(), fallback: fallback.into(), window: None, blackout: Vec::new(), valid_for: None }
    }

    fn every(cron: &str) -> Schedule {
        Schedule { when: When::Every(cron.into()), latest_start: Duration::from_secs(3_600) }
    }

    #[test]
    fn an_occasion_by_the_recipients_clocks_lasts_from_the_first_zone_to_the_last() {
        let nine = Occasion::Local(datetime(2026, 12, 1, 9, 0, 0, 0));
        assert_eq!(nine.begins(), at("2026-11-30T19:00:00Z"));
        assert_eq!(nine.last(), at("2026-12-01T21:00:00Z"));
        let waves = nine.waves(&timing("recipient"));
        assert_eq!((waves[0].due, waves.last().unwrap().due), (nine.begins(), nine.last()));
        assert!(waves.windows(2).all(|pair| pair[0].due < pair[1].due), "one for each instant");
        assert!((30..60).contains(&waves.len()), "{}", waves.len());
        let others: Vec<_> = waves.iter().filter(|wave| wave.others).collect();
        assert!(others.len() == 1 && others[0].zones.contains(&"europe/berlin".to_owned()));
        let names: usize = waves.iter().map(|wave| wave.zones.len()).sum();
        assert_eq!(names, jiff::tz::db().available().count(), "every zone is in one wave");
    }

    #[test]
    fn zones_with_hours_are_one_wave_only_while_their_clocks_agree() {
        let spring = Occasion::Local(datetime(2026, 3, 20, 9, 0, 0, 0));
        let plain = spring.waves(&timing("recipient"));
        let window =
            crate::domain::hours::Window { from: jiff::civil::time(8, 0, 0, 0), to: jiff::civil::time(20, 0, 0, 0) };
        let hours = spring.waves(&Timing { window: Some(window), ..timing("recipient") });
        let wave_of = |waves: &[Wave], name: &str| waves.iter().position(|wave| wave.zones.iter().any(|z| z == name));
        assert_eq!(wave_of(&plain, "europe/berlin"), wave_of(&plain, "africa/lagos"));
        assert_ne!(wave_of(&hours, "europe/berlin"), wave_of(&hours, "africa/lagos"), "Lagos has no summer time");
        assert_eq!(wave_of(&hours, "europe/berlin"), wave_of(&hours, "europe/paris"));
        assert!(hours.len() < 150, "{}", hours.len());
    }

    #[test]
    fn two_days_by_the_recipients_clocks_may_be_under_way_at_once() {
        let (daily, timing) = (every("0 9 * * *"), timing("recipient"));
        let local = |day| Occasion::Local(datetime(2026, 12, day, 9, 0, 0, 0));
        assert_eq!(current(&daily, &timing, at("2026-12-01T12:00:00Z")), [local(1)]);
        assert_eq!(current(&daily, &timing, at("2026-12-01T19:00:00Z")), [local(1), local(2)]);
        assert_eq!(current(&daily, &timing, at("2026-12-01T21:00:00Z")), [local(2)]);
        assert_eq!(next_after(&daily, &timing, at("2026-12-01T18:59:59Z")), Some(local(2)));
        assert_eq!(next_after(&daily, &timing, at("2026-12-01T19:00:00Z")), Some(local(3)));
    }

    #[test]
    fn the_last_occasion_of_a_zone_is_the_current_one_and_the_next_follows_it() {
        let (weekly, berlin) = (every("0 9 * * 2"), timing("Europe/Berlin"));
        let tuesday = |text| Occasion::At(at(text));
        assert_eq!(current(&weekly, &berlin, at("2026-12-01T08:00:00Z")), [tuesday("2026-12-01T08:00:00Z")]);
        assert_eq!(current(&weekly, &berlin, at("2026-12-08T07:59:59Z")), [tuesday("2026-12-01T08:00:00Z")]);
        assert_eq!(next_after(&weekly, &berlin, at("2026-12-01T08:00:00Z")), Some(tuesday("2026-12-08T08:00:00Z")));
        let once = Schedule { when: When::At(at("2026-12-01T08:00:00Z")), ..every("") };
        assert_eq!(current(&once, &berlin, at("2026-12-01T07:59:59Z")), []);
        assert_eq!(next_after(&once, &berlin, at("2026-12-01T08:00:00Z")), None);
    }
}
