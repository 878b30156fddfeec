//! What is coming: the occasions of all campaigns, whom they would reach, and what stands in their way.

mod collisions;
mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

use super::Error;
use crate::domain::campaign::{Campaign, RECIPIENT_ZONE, Schedule, Timing};
use crate::domain::hours::{Days, Window};
use crate::domain::occasion::{self, Occasion};
use crate::domain::project::Project;
use crate::domain::score::Scale;
use crate::domain::time::Micros;
use crate::store::audience::{self, Audience};
use crate::store::eligibility::Permission;
use crate::store::runs::{self, Run};
use crate::store::{Session, Store, score};

/// Occasions of one campaign that are listed at most.
const MOST: usize = 500;

/// What a calendar is made from.
#[derive(Clone, Copy)]
pub struct Calendar<'a> {
    /// Where the last runs and the people are.
    pub store: &'a Store,
    /// The rules.
    pub project: &'a Project,
    /// The campaigns by name.
    pub campaigns: &'a BTreeMap<String, Campaign>,
    /// From when on.
    pub from: Micros,
    /// For how many days.
    pub days: u32,
}

/// What is coming.
#[derive(Debug, Serialize)]
pub struct Coming {
    /// From when on.
    #[serde(serialize_with = "super::shown")]
    pub from: Micros,
    /// Until before when.
    #[serde(serialize_with = "super::shown")]
    pub until: Micros,
    /// In order of time.
    pub occasions: Vec<Entry>,
    /// Days of the project on which nothing leaves, within this time.
    #[serde(serialize_with = "dates")]
    pub blackout: Vec<Date>,
}

/// An occasion.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// When it begins.
    #[serde(serialize_with = "super::shown")]
    pub at: Micros,
    /// What clocks of the zone show then; with `recipient` everybody's own.
    #[serde(serialize_with = "super::shown")]
    pub local: DateTime,
    /// Whose clocks: an IANA name, or `recipient`.
    pub zone: String,
    /// The campaign's name.
    pub campaign: String,
    /// Its topic.
    pub topic: String,
    /// The occasion's name.
    pub occasion: String,
    /// How many messages to expect: as in the last run, else as many as may be mailed today.
    pub expected: i64,
    /// The last run that `expected` is taken from.
    pub expected_from: Option<i64>,
    /// Where its run stands, if it has one.
    pub run: Option<&'static str>,
    /// The hours in which messages may leave.
    pub window: Option<String>,
    /// When the first message may leave; none when it expires before.
    pub starts_at: Option<String>,
    /// What to look at: days without mail, collisions.
    pub notes: Vec<String>,
}

impl Calendar<'_> {
    /// Looks up what is coming.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn coming(&self) -> Result<Coming, Error> {
        let until = self.from.plus(Duration::from_secs(u64::from(self.days) * 86_400));
        let mut session = self.store.read().await?;
        let mut occasions = Vec::new();
        for campaign in self.campaigns.values() {
            let Some(schedule) = &campaign.schedule else { continue };
            let found = self.of_schedule(schedule, &campaign.timing, until);
            if found.is_empty() {
                continue;
            }
            let runs = runs::recent(&mut session, Some(&campaign.name)).await?;
            let (expected, expected_from) = self.expected(&mut session, campaign, &runs).await?;
            for occasion in found {
                let mut entry = entry(campaign, schedule, occasion, expected, expected_from);
                entry.run = runs.iter().find(|run| run.occasion == entry.occasion).map(|run| run.state.as_str());
                occasions.push(entry);
            }
        }
        occasions.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.campaign.cmp(&b.campaign)));
        collisions::note(&mut occasions, self.project.frequency_cap);
        let zone = TimeZone::get(&self.project.sender.timezone).unwrap_or(TimeZone::UTC);
        let [first, last] = [self.from, until].map(|at| zone.to_datetime(at.into()).date());
        Ok(Coming { from: self.from, until, occasions, blackout: blackout(&self.project.blackout, first, last) })
    }

    fn of_schedule(&self, schedule: &Schedule, timing: &Timing, until: Micros) -> Vec<Occasion> {
        // One that begins at this very instant is coming, too.
        let first = occasion::next_after(schedule, timing, self.from.minus(Duration::from_micros(1)));
        std::iter::successors(first, |last| occasion::next_after(schedule, timing, last.begins()))
            .take_while(|occasion| occasion.begins() < until)
            .take(MOST)
            .collect()
    }

    /// As many as in the last run that was sent; before there is one, as many as may be mailed today.
    async fn expected(
        &self,
        session: &mut Session,
        campaign: &Campaign,
        runs: &[Run],
    ) -> Result<(i64, Option<i64>), Error> {
        if let Some((run, planned)) = runs.iter().find_map(|run| Some((run, run.planned?))) {
            return Ok((planned, Some(run.id.0)));
        }
        let Self { project, from, .. } = *self;
        let scale = score::scale(session).await?.unwrap_or_else(|| Scale::of(&project.score, &project.cluster, from));
        let condition = campaign.audience.as_ref();
        let audience = Audience { condition, at: from, joined_by: from, scale: &scale, zones: None, resend: None };
        let permission = Permission { topic: &campaign.topic, at: from, run: None, cap: project.frequency_cap };
        Ok((audience::count_allowed(session, &audience, &permission).await?, None))
    }
}

fn entry(
    campaign: &Campaign,
    schedule: &Schedule,
    occasion: Occasion,
    expected: i64,
    expected_from: Option<i64>,
) -> Entry {
    let timing = &campaign.timing;
    let zone = TimeZone::get(&timing.fallback).unwrap_or(TimeZone::UTC);
    // By recipients' clocks it is as for people without a zone.
    let (local, due, shown_zone) = match occasion {
        Occasion::At(at) => (zone.to_datetime(at.into()), at, timing.fallback.as_str()),
        Occasion::Local(local) => {
            let due = crate::domain::recurrence::instant(&zone, local).unwrap_or(occasion.begins());
            (local, due, RECIPIENT_ZONE)
        }
    };
    let hours = timing.hours(&timing.fallback);
    let latest = due.plus(schedule.latest_start);
    let opens = hours.opens(due).filter(|opens| *opens <= latest);
    let notes = hours.closed(due).map(|why| match opens {
        Some(opens) => format!("{}: it waits until {opens}", why.in_words()),
        None => format!("{}: it expires, as nothing can leave by its latest start {latest}", why.in_words()),
    });
    Entry {
        at: occasion.begins(),
        local,
        zone: shown_zone.to_owned(),
        campaign: campaign.name.clone(),
        topic: campaign.topic.clone(),
        occasion: occasion.to_string(),
        expected,
        expected_from,
        run: None,
        window: timing.window.map(window),
        starts_at: opens.map(|opens| opens.to_string()),
        notes: notes.into_iter().collect(),
    }
}

fn window(window: Window) -> String {
    format!("{}–{}", window.from.strftime("%H:%M"), window.to.strftime("%H:%M"))
}

fn dates<S: Serializer>(days: &[Date], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(days.iter().map(ToString::to_string))
}

/// The days of these within a time, each once.
fn blackout(blackout: &[Days], first: Date, last: Date) -> Vec<Date> {
    let within = |days: &Days| {
        let day = days.from.max(first);
        let end = days.to.min(last);
        std::iter::successors(Some(day), |day| day.tomorrow().ok()).take_while(move |day| *day <= end)
    };
    let mut days: Vec<_> = blackout.iter().flat_map(within).collect();
    days.sort_unstable();
    days.dedup();
    days
}
