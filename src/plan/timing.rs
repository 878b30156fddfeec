//! When the messages of a plan would leave: the limits' time, in the hours that the campaign leaves open.

use std::time::Duration;

use super::Planner;
use super::moment::Moment;
use super::throughput::Duty;
use super::waves::PlannedWave;
use crate::domain::campaign::Timing;
use crate::domain::time::Micros;

/// From when to when messages leave.
pub(super) struct Span {
    /// When the first may.
    pub starts_at: Micros,
    /// When the last would.
    pub ends_at: Micros,
    /// What stands in the way.
    pub warnings: Vec<String>,
}

impl Span {
    pub fn of(planner: &Planner<'_>, moment: &Moment, duty: &Duty, waves: &[PlannedWave]) -> Self {
        if waves.is_empty() { Self::whole(planner, moment, duty) } else { Self::in_waves(planner, duty, waves) }
    }

    fn whole(planner: &Planner<'_>, moment: &Moment, duty: &Duty) -> Self {
        let timing = &planner.campaign.timing;
        let begins = moment.at.max(planner.now);
        let busy = Duration::from_secs(duty.seconds);
        let hours = timing.hours(&timing.fallback);
        let (mut starts_at, mut ends_at) = (begins, begins.plus(busy));
        let mut warnings = Vec::new();
        if !moment.run.as_ref().is_some_and(|run| run.any_hour) {
            match (hours.opens(begins), hours.after(begins, busy)) {
                (Some(opens), Some(ends)) => (starts_at, ends_at) = (opens, ends),
                _ => warnings.push("days without mail leave no time at which it could be sent".to_owned()),
            }
            if let Some(why) = hours.closed(begins) {
                warnings.push(format!("nothing leaves before {starts_at}: {}", why.in_words()));
            }
        }
        warnings.extend(too_late(timing.valid_for, moment.at, ends_at));
        Self { starts_at, ends_at, warnings }
    }

    /// One wave after the other, each with its share of the work.
    fn in_waves(planner: &Planner<'_>, duty: &Duty, waves: &[PlannedWave]) -> Self {
        let Timing { valid_for, .. } = planner.campaign.timing;
        let latest_start = planner.campaign.schedule.as_ref().map(|schedule| schedule.latest_start);
        let all: i64 = waves.iter().map(|wave| wave.people).sum();
        let mut in_order: Vec<_> = waves.iter().collect();
        in_order.sort_by_key(|wave| wave.starts_at);
        let starts_at = in_order.first().map_or(planner.now, |wave| wave.starts_at);
        let (mut ends_at, mut missed, mut warnings) = (starts_at, 0, Vec::new());
        for wave in in_order {
            if latest_start.is_some_and(|span| wave.due_at.plus(span) < wave.starts_at) {
                missed += wave.people;
                continue;
            }
            let busy = Duration::from_secs_f64(duty.seconds as f64 * wave.people as f64 / all.max(1) as f64);
            let begins = ends_at.max(wave.starts_at);
            ends_at = planner.campaign.timing.hours(&wave.clocks).after(begins, busy).unwrap_or(begins);
            warnings.extend(too_late(valid_for, wave.due_at, ends_at));
        }
        // One wave tells enough.
        warnings.truncate(1);
        if missed > 0 {
            warnings.push(format!(
                "{missed} people get nothing: the latest start of their zones passes before it may leave"
            ));
        }
        Self { starts_at, ends_at, warnings }
    }
}

/// What `valid_for` does to what was due at an instant and ends at another.
fn too_late(valid_for: Option<Duration>, due: Micros, ends_at: Micros) -> Option<String> {
    let until = due.plus(valid_for?);
    (until < ends_at).then(|| {
        format!("it would end at {ends_at}, but what has not left by {until} is skipped as too_late (valid_for)")
    })
}
