//! When a recurrence comes, by the wall clock of a zone.
//!
//! The expression is read as wall time, and each wall time is one instant: one that clocks skip comes as much later as
//! they skip, one that they show twice comes the first time.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::time::Micros;

/// Whatever clocks skip or repeat is over after this; the longest so far was a day (Samoa, 2011).
const TURN: jiff::SignedDuration = jiff::SignedDuration::from_hours(25);

/// A recurrence: cron of five fields, as croner reads it.
#[derive(Clone, Debug)]
pub struct Recurrence(Cron);

/// The instant at which clocks of the zone show this time.
#[must_use]
pub fn instant(zone: &TimeZone, local: DateTime) -> Option<Micros> {
    Some(zone.to_ambiguous_timestamp(local).compatible().ok()?.into())
}

impl Recurrence {
    /// Reads an expression of five fields; none when it is none.
    #[must_use]
    pub fn parse(cron: &str) -> Option<Self> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        parser.parse(cron).ok().map(Self)
    }

    /// The first time at or after this one, on a clock that is never changed.
    #[must_use]
    pub fn next_local(&self, from: DateTime) -> Option<DateTime> {
        self.0.find_next_occurrence(&from, true).ok()
    }

    /// The last time at or before this one, on a clock that is never changed.
    #[must_use]
    pub fn last_local(&self, by: DateTime) -> Option<DateTime> {
        self.0.find_previous_occurrence(&by, true).ok()
    }

    /// Whether it comes more than once on a day.
    #[must_use]
    pub fn several_a_day(&self) -> bool {
        // The days do not tell the times: they are the same on the first day as on all.
        let first = self.next_local(DateTime::constant(2001, 1, 1, 0, 0, 0, 0));
        let later =
            first.and_then(|first| self.next_local(first.checked_add(jiff::SignedDuration::from_secs(1)).ok()?));
        first.zip(later).is_some_and(|(first, later)| first.date() == later.date())
    }

    /// The first instant after this one at which it comes.
    #[must_use]
    pub fn next_after(&self, zone: &TimeZone, after: Micros) -> Option<Micros> {
        let now = zone.to_datetime(after.into());
        // A wall time that was skipped just before may still be to come.
        let mut from = now.checked_sub(turned(zone, after).max(jiff::SignedDuration::ZERO)).ok()?;
        let mut found: Option<Micros> = None;
        loop {
            let Some(local) = self.next_local(from) else { return found };
            if found.is_some_and(|found| local > zone.to_datetime(found.into())) {
                return found;
            }
            let comes = instant(zone, local)?;
            if comes > after && found.is_none_or(|found| comes < found) {
                found = Some(comes);
            }
            from = local.checked_add(jiff::SignedDuration::from_secs(1)).ok()?;
        }
    }

    /// The last instant at or before this one at which it came.
    #[must_use]
    pub fn last_by(&self, zone: &TimeZone, at: Micros) -> Option<Micros> {
        let now = zone.to_datetime(at.into());
        let turned = turned(zone, at);
        // Set back, clocks show a time once more that had come, and later ones had come, too.
        let mut by = now.checked_sub(turned.min(jiff::SignedDuration::ZERO)).ok()?;
        let mut found: Option<(Micros, DateTime)> = None;
        loop {
            let Some(local) = self.last_local(by) else { return found.map(|(at, _)| at) };
            // Set forward, an earlier time that was skipped may have come later.
            let skipped = turned.max(jiff::SignedDuration::ZERO);
            if let Some((comes, last)) = found
                && last.checked_sub(skipped).is_ok_and(|least| local < least)
            {
                return Some(comes);
            }
            let comes = instant(zone, local)?;
            if comes <= at && found.is_none_or(|(found, _)| comes > found) {
                found = Some((comes, found.map_or(local, |(_, last)| last)));
            }
            by = local.checked_sub(jiff::SignedDuration::from_secs(1)).ok()?;
        }
    }
}

/// By how much clocks were set forward in the time before; negative when they were set back.
fn turned(zone: &TimeZone, at: Micros) -> jiff::SignedDuration {
    let at = jiff::Timestamp::from(at);
    let before = at.checked_sub(TURN).unwrap_or(at);
    let seconds = i64::from(zone.to_offset(at).seconds()) - i64::from(zone.to_offset(before).seconds());
    jiff::SignedDuration::from_secs(seconds)
}

#[cfg(test)]
mod tests;
