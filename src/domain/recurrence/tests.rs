//! Recurrences in every zone, stepped over every change of clocks of some years.

use std::time::Duration;

use jiff::civil::{Time, date, time};
use jiff::tz::AmbiguousOffset;
use jiff::{SignedDuration, Timestamp};

use super::*;

fn every(text: &str) -> Recurrence {
    Recurrence::parse(text).unwrap()
}

fn at(text: &str) -> Micros {
    Micros::parse_rfc3339(text).unwrap()
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

/// The instants from `from` to before `to`, by asking for the next again and again.
fn walk(recurrence: &Recurrence, zone: &TimeZone, from: Micros, to: Micros) -> Vec<Micros> {
    let mut found = Vec::new();
    let mut now = from.minus(Duration::from_micros(1));
    while let Some(next) = recurrence.next_after(zone, now).filter(|next| *next < to) {
        assert!(next > now, "{next} does not follow {now}");
        found.push(next);
        now = next;
    }
    found
}

/// Zones by name, once each for all that have the same rules since 2020.
fn zones() -> Vec<(String, TimeZone)> {
    let mut seen = std::collections::HashSet::new();
    let all = jiff::tz::db().available().map(|name| (name.to_string(), zone(name.as_str())));
    all.filter(|(_, zone)| {
        let since: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
        let turns =
            zone.following(since).take_while(|turn| turn.timestamp() < since + SignedDuration::from_hours(24 * 5_000));
        let turns: Vec<_> = turns.map(|turn| (turn.timestamp(), turn.offset())).collect();
        seen.insert((zone.to_offset(since), turns))
    })
    .collect()
}

/// When clocks are changed from 2023 to 2027.
fn turns(zone: &TimeZone) -> Vec<Timestamp> {
    let (from, to): (Timestamp, Timestamp) =
        ("2023-01-01T00:00:00Z".parse().unwrap(), "2028-01-01T00:00:00Z".parse().unwrap());
    zone.following(from).map(|turn| turn.timestamp()).take_while(|turn| *turn < to).collect()
}

/// Times of day at which the change could do harm: before, at, within and after what is skipped or repeated.
fn delicate(zone: &TimeZone, turn: Timestamp) -> Vec<Time> {
    let (before, after) = (zone.to_offset(turn - SignedDuration::from_secs(1)), zone.to_offset(turn));
    let shown = [before.to_datetime(turn), after.to_datetime(turn)];
    let offsets = [-1, 0, 1, 29, 30, 59];
    let mut times: Vec<_> =
        shown.iter().flat_map(|at| offsets.map(|m| (*at + SignedDuration::from_mins(m)).time())).collect();
    times.sort_unstable();
    times.dedup();
    times
}

#[test]
fn a_daily_time_comes_once_on_every_day_in_all_zones_whatever_clocks_do() {
    let (mut looked, mut shifted) = (0, 0);
    for (name, zone) in zones() {
        for turn in turns(&zone) {
            for wanted in delicate(&zone, turn) {
                let daily = every(&format!("{} {} * * *", wanted.minute(), wanted.hour()));
                let days = SignedDuration::from_hours(72);
                let (from, to) = ((turn - days).into(), (turn + days).into());
                let found = walk(&daily, &zone, from, to);
                let mut last_day = None;
                for comes in &found {
                    let shown = zone.to_datetime((*comes).into());
                    let case = || format!("{name}: daily {wanted} came at {shown}");
                    // A skipped hour before midnight comes on the next day.
                    let meant = [shown.date(), shown.date().yesterday().unwrap()].map(|day| day.to_datetime(wanted));
                    let skipped =
                        |local| matches!(zone.to_ambiguous_timestamp(local).offset(), AmbiguousOffset::Gap { .. });
                    let meant =
                        if shown.time() == wanted { Some(shown) } else { meant.into_iter().find(|m| skipped(*m)) };
                    let day = meant.unwrap_or_else(|| panic!("{}", case())).date();
                    shifted += usize::from(shown.time() != wanted);
                    let earliest = zone.to_ambiguous_timestamp(shown).earlier().unwrap();
                    assert_eq!(Micros::from(earliest), *comes, "{}: not the first time", case());
                    let tomorrow = last_day.map(|day: jiff::civil::Date| day.tomorrow().unwrap());
                    assert!(tomorrow.is_none_or(|tomorrow| tomorrow == day), "{}", case());
                    last_day = Some(day);
                    looked += 1;
                }
            }
        }
    }
    assert!(looked > 10_000 && shifted > 200, "{looked} times, {shifted} of them shifted");
}

#[test]
fn looking_back_finds_what_looking_ahead_promised_in_all_zones() {
    for (name, zone) in zones() {
        for turn in turns(&zone).into_iter().take(3) {
            for cron in ["30 0,1,2,3 * * *", "0,20,40 * * * *", "15 23 * * *"] {
                let recurrence = every(cron);
                let hours = SignedDuration::from_hours(30);
                let (from, to) = ((turn - hours).into(), (turn + hours).into());
                let promised = walk(&recurrence, &zone, from, to);
                let mut now: Micros = (turn - SignedDuration::from_hours(3)).into();
                while now < Micros::from(turn + SignedDuration::from_hours(4)) {
                    let came = promised.iter().rev().find(|comes| **comes <= now);
                    assert_eq!(recurrence.last_by(&zone, now).as_ref(), came, "{name}: {cron} by {now}");
                    now = now.plus(Duration::from_secs(600));
                }
            }
        }
    }
}

#[test]
fn a_skipped_time_comes_once_as_much_later_and_a_repeated_one_the_first_time() {
    let berlin = zone("Europe/Berlin");
    let half_past_two = every("30 2 * * *");
    let spring = walk(&half_past_two, &berlin, at("2026-03-28T00:00:00Z"), at("2026-03-31T00:00:00Z"));
    assert_eq!(spring, ["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"].map(at));
    let autumn = walk(&half_past_two, &berlin, at("2026-10-24T00:00:00Z"), at("2026-10-27T00:00:00Z"));
    assert_eq!(autumn, ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"].map(at));
    // 01:30Z shows half past two once more.
    assert_eq!(half_past_two.last_by(&berlin, at("2026-10-25T01:30:00Z")), Some(at("2026-10-25T00:30:00Z")));
}

#[test]
fn a_skipped_time_and_the_one_it_falls_on_are_one_occasion() {
    let berlin = zone("Europe/Berlin");
    let found = walk(&every("30 2,3 * * *"), &berlin, at("2026-03-29T00:00:00Z"), at("2026-03-30T00:00:00Z"));
    assert_eq!(found, [at("2026-03-29T01:30:00Z")]);
    let out_of_order = every("0,30 2,3 * * *");
    let found = walk(&out_of_order, &berlin, at("2026-03-29T00:00:00Z"), at("2026-03-30T00:00:00Z"));
    assert_eq!(found, ["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"].map(at));
}

#[test]
fn a_day_that_a_zone_leaves_out_is_not_made_up_for() {
    let samoa = zone("Pacific/Apia");
    let found = walk(&every("0 9 * * *"), &samoa, at("2011-12-28T12:00:00Z"), at("2012-01-01T00:00:00Z"));
    let shown: Vec<_> = found.iter().map(|at| samoa.to_datetime((*at).into())).collect();
    let nine = |day| date(2011, 12, day).to_datetime(time(9, 0, 0, 0));
    assert_eq!(shown, [nine(28), nine(29), nine(31), date(2012, 1, 1).to_datetime(time(9, 0, 0, 0))]);
}
