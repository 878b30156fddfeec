//! Plans: who would get a campaign at a moment, who not and why, how long it takes. Nothing is
//! written, and no audience is held in memory.

mod calendar;
mod messages;
mod moment;
mod samples;
mod text;
mod throughput;
mod timing;
mod waves;

pub use calendar::{Calendar, Coming, Entry};
pub use messages::Written;
pub use samples::Sample;
pub use throughput::{Duty, by_relay};
pub use waves::PlannedWave;

use std::collections::BTreeSet;
use std::fmt::Display;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::domain::campaign::Campaign;
use crate::domain::message::Exclusion;
use crate::domain::project::Project;
use crate::domain::relay::RelayConfig;
use crate::domain::resend::Resend;
use crate::domain::time::Micros;
use crate::domain::token::Keyring;
use crate::render::Mailing;
use crate::store::forecast::{self, Forecast};
use crate::store::warm_ups::{self, Standing};
use crate::store::{self, Store, score};
use moment::Moment;
use timing::Span;

/// What a plan is made from.
#[derive(Clone, Copy)]
pub struct Planner<'a> {
    /// Where people and their history are.
    pub store: &'a Store,
    /// The rules.
    pub project: &'a Project,
    /// What would be sent.
    pub campaign: &'a Campaign,
    /// The campaign, compiled.
    pub mailing: &'a Mailing,
    /// Through which relays; at least one.
    pub relays: &'a [RelayConfig],
    /// Signs the links of what is rendered.
    pub keyring: &'a Keyring,
    /// The present.
    pub now: Micros,
    /// The moment that was asked for. Without it: the instant of the campaign's unfinished run, or
    /// the present.
    pub at: Option<Micros>,
    /// What would be sent again, and under which occasion.
    pub resend: Option<(&'a Resend, &'a str)>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The file of messages could not be written.
    #[error("the messages could not be written: {0}")]
    Write(#[from] std::io::Error),
}

/// Who would get a campaign, who not and why. `excluded` names every reason, in the order in which
/// they are checked; each person counts under the first that holds.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// The campaign's name.
    pub campaign: String,
    /// The occasion that a run would have; part of the seed that draws offers.
    pub occasion: String,
    /// The unfinished run that would go on.
    pub run: Option<i64>,
    /// The moment at which the audience is judged.
    #[serde(serialize_with = "shown")]
    pub at: Micros,
    /// How many the condition finds.
    pub audience: i64,
    /// How many get a message.
    pub messages: i64,
    /// How many get none, by reason.
    pub excluded: Map<String, Value>,
    /// Messages by domain, the largest first; all others under `(other)`.
    pub by_domain: Map<String, Value>,
    /// Messages by relay, as long as all of them answer.
    pub by_relay: Map<String, Value>,
    /// How long it lasts, in seconds, with the hours and days in which nothing leaves; 0 where nothing holds it up.
    pub eta_seconds: u64,
    /// When the first message may leave.
    #[serde(serialize_with = "shown")]
    pub starts_at: Micros,
    /// By recipients' own clocks: who has when their turn. Empty for a run that is sent as a whole.
    pub waves: Vec<PlannedWave>,
    /// When the last message would leave.
    #[serde(serialize_with = "shown")]
    pub ends_at: Micros,
    /// The limit that decides how long it lasts.
    pub limited_by: Option<String>,
    /// How far relays that warm up are on that day.
    pub warm_up: Vec<Standing>,
    /// What differs from the last run.
    pub changed: Option<Changed>,
    /// Rendered messages of three people.
    pub samples: Vec<Sample>,
    /// What should be looked at before it is sent.
    pub warnings: Vec<String>,
}

/// What differs from the campaign's last run.
#[derive(Debug, Serialize)]
pub struct Changed {
    /// That run.
    pub run: i64,
    /// Its occasion.
    pub occasion: String,
    /// When its audience was judged.
    #[serde(serialize_with = "shown")]
    pub at: Micros,
    /// Whom the condition finds.
    pub audience: Comparison,
    /// Who gets a message.
    pub messages: Comparison,
    /// How many get a message now who had none then.
    pub new: i64,
    /// How many had a message then and get none now.
    pub gone: i64,
}

/// A number then and now.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// In the last run.
    pub then: i64,
    /// In the plan.
    pub now: i64,
}

impl Planner<'_> {
    /// Makes the plan.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn plan(&self) -> Result<Plan, Error> {
        let mut session = self.store.read().await?;
        let moment = Moment::find(self, &mut session).await?;
        let (audience, permission) = (moment.audience(self), moment.permission(self));
        let last = moment.last.as_ref().map(|run| run.id);
        let named: BTreeSet<&String> = self.relays.iter().flat_map(|relay| relay.per_domain.keys()).collect();
        let named: Vec<String> = named.into_iter().cloned().collect();
        let forecast = forecast::forecast(&mut session, &audience, &permission, last, &named).await?;
        let changed = match &moment.last {
            Some(run) => {
                let (audience, messages) = forecast::then(&mut session, run.id).await?;
                Some(Changed {
                    run: run.id.0,
                    occasion: run.occasion.clone(),
                    at: run.at,
                    audience: Comparison { then: audience, now: forecast.audience },
                    messages: Comparison { then: messages, now: forecast.messages },
                    new: forecast.messages - forecast.again,
                    gone: (messages - forecast.again).max(0),
                })
            }
            None => None,
        };
        let mut warnings: Vec<String> = moment.warning().into_iter().chain(nobody(&forecast)).collect();
        warnings.extend(score::backlog(&mut session, self.now).await?.caution(self.now));
        let caution = self.resend.and_then(|(resend, _)| resend.to.caution());
        warnings.extend(caution.filter(|_| forecast.messages > 0).map(Into::into));
        let samples = self.samples(&mut session, &moment, &mut warnings).await?;
        let begins = moment.at.max(self.now);
        let warm_up = warm_ups::standings(&mut session, self.relays, begins).await?;
        let duty = Duty::of(forecast.messages, &forecast.domains, self.relays, self.campaign.throttle).or_warm_up(
            forecast.messages,
            self.relays,
            &warm_up,
            begins,
        );
        let waves = self.waves(&mut session, &moment).await?;
        let span = Span::of(self, &moment, &duty, &waves);
        warnings.extend(span.warnings);
        Ok(Plan {
            campaign: self.campaign.name.clone(),
            occasion: moment.occasion.clone(),
            run: moment.run.as_ref().map(|run| run.id.0),
            at: moment.at,
            audience: forecast.audience,
            messages: forecast.messages,
            excluded: Exclusion::ALL
                .into_iter()
                .map(|reason| (reason.as_str().to_owned(), json!(forecast.excluded.get(&reason).unwrap_or(&0))))
                .collect(),
            by_domain: by_domain(&forecast),
            by_relay: by_relay(forecast.messages, self.relays).into_iter().map(|(n, m)| (n, m.into())).collect(),
            eta_seconds: span.ends_at.since(moment.at.max(self.now)).as_secs(),
            starts_at: span.starts_at,
            waves,
            ends_at: span.ends_at,
            limited_by: duty.limited_by,
            warm_up,
            changed,
            samples,
            warnings,
        })
    }
}

fn by_domain(forecast: &Forecast) -> Map<String, Value> {
    let mut domains: Vec<_> = forecast.domains.iter().filter(|(_, messages)| **messages > 0).collect();
    domains.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let others = forecast.messages - domains.iter().map(|(_, messages)| **messages).sum::<i64>();
    let mut shown: Map<_, _> = domains.into_iter().map(|(domain, n)| (domain.clone(), (*n).into())).collect();
    if others > 0 {
        shown.insert("(other)".to_owned(), others.into());
    }
    shown
}

/// Why a plan without messages has none.
fn nobody(forecast: &Forecast) -> Option<String> {
    if forecast.messages > 0 {
        return None;
    }
    let most = forecast.excluded.iter().max_by_key(|(_, people)| **people);
    Some(match most {
        Some((reason, people)) => {
            format!("nobody gets a message: {people} of {} are excluded as {}", forecast.audience, reason.as_str())
        }
        None => "nobody gets a message: the condition of [audience] finds nobody".to_owned(),
    })
}

fn shown<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
