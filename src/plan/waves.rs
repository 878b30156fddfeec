//! The waves of a plan: when each group of zones has its turn, and how many people it has.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Planner;
use super::moment::Moment;
use crate::domain::occasion::{self, Occasion};
use crate::domain::time::Micros;
use crate::domain::waves::Wave;
use crate::store::{self, Session, forecast, waves};

/// Zones whose clocks show the same time, with somebody to mail in them.
#[derive(Debug, Serialize)]
pub struct PlannedWave {
    /// The instant at which its people are judged, and before which nothing leaves.
    #[serde(serialize_with = "super::shown")]
    pub due_at: Micros,
    /// When the first message may leave, by the campaign's hours.
    #[serde(serialize_with = "super::shown")]
    pub starts_at: Micros,
    /// The zones in it in which somebody is; `(other)` stands for people without a zone that is known.
    pub zones: Vec<String>,
    /// How many get a message.
    pub people: i64,
    /// The zone whose clocks count.
    #[serde(skip)]
    pub(super) clocks: String,
}

/// People without a zone that is known.
const OTHER: &str = "(other)";

impl Planner<'_> {
    /// The waves in which a run would go out, by their instants; none for a run that is sent as a whole.
    pub(super) async fn waves(&self, session: &mut Session, moment: &Moment) -> store::Result<Vec<PlannedWave>> {
        let all = self.all_waves(session, moment).await?;
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<_> = all.iter().flat_map(|wave| wave.zones.iter().cloned()).collect();
        let audience = moment.audience(self);
        let mut people = forecast::by_zone(session, &audience, &moment.permission(self), &names).await?;
        let others = people.remove("");
        let planned = all.iter().filter_map(|wave| self.planned(wave, &people, others));
        Ok(planned.collect())
    }

    async fn all_waves(&self, session: &mut Session, moment: &Moment) -> store::Result<Vec<Wave>> {
        let timing = &self.campaign.timing;
        if let Some(run) = &moment.run {
            return Ok(waves::of(session, run.id).await?.into_iter().map(|stored| stored.wave).collect());
        }
        let schedule = self.campaign.schedule.as_ref();
        let next = schedule.and_then(|schedule| occasion::next_after(schedule, timing, moment.at));
        Ok(next.unwrap_or(Occasion::At(moment.at)).waves(timing))
    }

    fn planned(&self, wave: &Wave, people: &BTreeMap<String, i64>, others: Option<i64>) -> Option<PlannedWave> {
        let known = wave.zones.iter().filter_map(|zone| Some((zone.clone(), *people.get(zone)?)));
        let others = others.filter(|_| wave.others).map(|people| (OTHER.to_owned(), people));
        let (zones, people): (Vec<String>, Vec<i64>) = known.chain(others).unzip();
        let clocks = wave.zones.first().cloned().unwrap_or_default();
        let starts_at = self.campaign.timing.hours(&clocks).opens(wave.due.max(self.now)).unwrap_or(wave.due);
        let people = people.iter().sum();
        (!zones.is_empty()).then_some(PlannedWave { due_at: wave.due, starts_at, zones, people, clocks })
    }
}
