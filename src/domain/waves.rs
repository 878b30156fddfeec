//! Waves: the parts of a run that leaves by each recipient's own clocks.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::time::Micros;

/// Zones whose clocks show the same time while a wave is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wave {
    /// The instant at which its people are judged, and before which nothing leaves.
    pub due: Micros,
    /// Names in lower case, as recipients' `timezone` is compared with them; the first one's clocks count.
    pub zones: Vec<String>,
    /// Whether it is the wave of everybody without a zone that is known, too.
    pub others: bool,
}

/// Zones that agree for this long are one wave.
const AGREE: SignedDuration = SignedDuration::from_hours(60 * 24);

/// The waves of all zones that are known, in order of their instants. `due` tells a zone's instant; `fallback` is the zone
/// of everybody without one. With `hours` zones must agree on the time for weeks to be one wave, not at its instant
/// alone: each wave has its own window then.
#[must_use]
pub fn waves(due: impl Fn(&TimeZone) -> Option<Micros>, fallback: &str, hours: bool) -> Vec<Wave> {
    let mut groups: BTreeMap<(Micros, Vec<(Timestamp, i32)>), Wave> = BTreeMap::new();
    for name in jiff::tz::db().available() {
        let Ok(zone) = TimeZone::get(name.as_str()) else { continue };
        let Some(due) = due(&zone) else { continue };
        let clocks = if hours { clocks(&zone, due.into()) } else { Vec::new() };
        let wave = groups.entry((due, clocks)).or_insert(Wave { due, zones: Vec::new(), others: false });
        wave.zones.push(name.as_str().to_ascii_lowercase());
        wave.others |= name.as_str().eq_ignore_ascii_case(fallback);
    }
    let mut waves: Vec<_> = groups.into_values().collect();
    if let (false, Some(last)) = (waves.iter().any(|wave| wave.others), waves.last_mut()) {
        last.others = true;
    }
    waves
}

/// What the zone's clocks show from an instant on: offsets from UTC, and since when.
fn clocks(zone: &TimeZone, from: Timestamp) -> Vec<(Timestamp, i32)> {
    let now = (from, zone.to_offset(from).seconds());
    let turns = zone.following(from).take_while(|turn| turn.timestamp() < from + AGREE);
    std::iter::once(now).chain(turns.map(|turn| (turn.timestamp(), turn.offset().seconds()))).collect()
}
