//! How often: the choices of the preferences page, in words.

use super::Inner;
use super::form::Form;
use super::html::Pick;
use crate::domain::pace::{self, OwnLimit, Pace};
use crate::domain::time::Micros;
use crate::domain::wording::Wording;
use crate::render::day_in_words;
use crate::store::recipients::Recipient;

/// The field, and what stands in it besides limits and pauses.
const FIELD: &str = "pace";
const ANY: &str = "any";
/// Stays paused.
const KEEP: &str = "keep";

/// What a form asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// It says nothing about it, or that all stays.
    Nothing,
    /// This from now on.
    Set(Pace),
    /// Something that is not offered.
    Unknown,
}

impl Inner {
    /// What the person can choose; none when there is no choice. Whatever holds now is among it.
    pub(super) fn paces(&self, person: &Recipient, t: &Wording, now: Micros) -> Vec<Pick> {
        let paused = person.paused_until.filter(|until| *until > now);
        let limits = self.limits(person);
        if limits.is_empty() && self.options.choices.pauses.is_empty() && paused.is_none() {
            return Vec::new();
        }
        let chosen = |limit: Option<OwnLimit>| paused.is_none() && person.limit == limit;
        let mut picks = vec![Pick::new(ANY, t.say("pace_any"), chosen(None))];
        for limit in limits {
            picks.push(Pick::new(&limit.to_string(), &limit_in_words(limit, t), chosen(Some(limit))));
        }
        if let Some(until) = paused {
            let day = day_in_words(&t.tag, &self.options.timezone, until);
            picks.push(Pick::new(KEEP, &t.fill("paused_until", &[("date", &day)]), true));
        }
        for days in &self.options.choices.pauses {
            picks.push(Pick::new(&pause_value(*days), &pause_in_words(*days, t), false));
        }
        picks
    }

    /// What the page says about the choice in a form.
    pub(super) fn pace_words(&self, form: &Form, person: &Recipient, t: &Wording, now: Micros) -> String {
        let chosen = form.all(FIELD).next().unwrap_or_default();
        let choice = self.paces(person, t, now).into_iter().find(|pick| pick.value == chosen);
        format!("{} {}", t.say("pace_legend"), choice.map(|pick| pick.label).unwrap_or_default())
    }

    /// What a form asks of a person.
    pub(super) fn pace_wish(&self, form: &Form, person: &Recipient, now: Micros) -> Wish {
        let Some(value) = form.all(FIELD).next() else { return Wish::Nothing };
        if value == ANY {
            return Wish::Set(Pace::Any);
        }
        if value == KEEP {
            return Wish::Nothing;
        }
        let limit = self.limits(person).into_iter().find(|limit| limit.to_string() == value).map(Pace::AtMost);
        let pause = || self.options.choices.pauses.iter().find(|days| pause_value(**days) == value);
        let until = |days: &u32| Pace::PausedUntil(now.plus(pace::days(*days)));
        limit.or_else(|| pause().map(until)).map_or(Wish::Unknown, Wish::Set)
    }

    /// Those that are offered, and the person's own.
    fn limits(&self, person: &Recipient) -> Vec<OwnLimit> {
        let mut limits = self.options.choices.limits.clone();
        limits.extend(person.limit.filter(|limit| !self.options.choices.limits.contains(limit)));
        limits
    }
}

fn pause_value(days: u32) -> String {
    format!("pause {days}d")
}

fn limit_in_words(limit: OwnLimit, t: &Wording) -> String {
    match (limit.count, limit.days) {
        (1, 7) => t.say("pace_week").to_owned(),
        (1, 28..=31) => t.say("pace_month").to_owned(),
        (count, 1) => t.fill("pace_day", &[("count", &count.to_string())]),
        (count, days) => t.fill("pace_days", &[("count", &count.to_string()), ("days", &days.to_string())]),
    }
}

fn pause_in_words(days: u32, t: &Wording) -> String {
    match days {
        7 => t.say("pause_week").to_owned(),
        28..=31 => t.say("pause_month").to_owned(),
        days => t.fill("pause_days", &[("days", &days.to_string())]),
    }
}
