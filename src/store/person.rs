//! Everything that is known about one person: what is shown to whoever asks, and handed out to the person.

use serde::Serialize;
use serde_json::{Map, Value};

use super::past::Past;
use super::people::Event;
use super::recipients::{Attributes, Recipient};
use super::{Result, Session, Store, consents, past, people, recipients, score, subscriptions, suppressions};
use crate::domain::address::Address;
use crate::domain::score::{ClusterRules, ScoreRules};
use crate::domain::time::Micros;

/// A person at one instant. Attributes, subscriptions and suppression are the present ones.
#[derive(Clone, Debug, Serialize)]
pub struct Person {
    /// The normal form.
    pub address: String,
    /// When the person came in, RFC 3339.
    pub created_at: String,
    /// Strings, numbers, booleans; dates are ISO strings.
    pub attributes: Attributes,
    /// Attributes that the person had when mail went out, until they changed.
    pub past_attributes: Vec<Past>,
    /// Whether hits may be kept with the person.
    pub tracking: bool,
    /// Whether the address is never mailed.
    pub suppressed: bool,
    /// No mailings before this instant.
    pub paused_until: Option<String>,
    /// At most so many mailings, by the person's own wish: `1 per 7d`.
    pub limit: Option<String>,
    /// Topics that are or were subscribed to.
    pub subscriptions: Vec<Topic>,
    /// The ledger of permissions up to the instant.
    pub consents: Vec<Consent>,
    /// The score.
    pub score: f64,
    /// The recent score over the long one; none without a score above zero.
    pub momentum: Option<f64>,
    /// Shares by category, the largest first.
    pub affinities: Map<String, Value>,
    /// The category that clearly leads.
    pub cluster: Option<String>,
    /// When the cluster is left, if nothing happens.
    pub cluster_until: Option<String>,
    /// When the score falls below the threshold, if nothing happens.
    pub cools_at: Option<String>,
    /// The whole dialog up to the instant.
    pub timeline: Vec<Event>,
}

/// A tie to a topic.
#[derive(Clone, Debug, Serialize)]
pub struct Topic {
    /// Its name.
    pub topic: String,
    /// Whether it holds.
    pub subscribed: bool,
    /// Of the last change, RFC 3339.
    pub since: String,
}

/// An entry of the ledger of permissions.
#[derive(Clone, Debug, Serialize)]
pub struct Consent {
    /// When the person decided, RFC 3339.
    pub at: String,
    /// `contact`, `tracking` or `frequency`.
    pub purpose: String,
    /// The topic; empty for `tracking` and `frequency`.
    pub topic: String,
    /// Given, or withdrawn.
    pub granted: bool,
}

/// What was known of the person with this address at `at`, with the timeline up to `until`. `None`
/// when nobody has it.
///
/// # Errors
/// When the database refuses.
pub async fn known(
    store: &Store,
    rules: (&ScoreRules, &ClusterRules),
    address: &Address,
    at: Micros,
    until: Micros,
) -> Result<Option<Person>> {
    let mut session = store.read().await?;
    let Some(person) = recipients::find(&mut session, address).await? else { return Ok(None) };
    of(&mut session, rules, person, at, until).await.map(Some)
}

/// The same of somebody who was found. An erased person has no address, and little else.
///
/// # Errors
/// When the database refuses.
pub async fn of(
    session: &mut Session,
    rules: (&ScoreRules, &ClusterRules),
    person: Recipient,
    at: Micros,
    until: Micros,
) -> Result<Person> {
    let view = score::profile_at(session, person.id, at, rules.0, rules.1).await?;
    let topics = subscriptions::of(session, person.id).await?.into_iter().map(|s| Topic {
        topic: s.topic,
        subscribed: s.subscribed,
        since: Micros(s.since).to_string(),
    });
    let consents = consents::history(session, person.id, until).await?.into_iter().map(|c| Consent {
        at: Micros(c.at).to_string(),
        purpose: c.purpose,
        topic: c.topic,
        granted: c.granted,
    });
    let mut shown = Person {
        address: person.address.as_ref().map(ToString::to_string).unwrap_or_default(),
        created_at: person.created_at.to_string(),
        attributes: person.attributes,
        past_attributes: past::of(session, person.id, until).await?,
        tracking: person.tracking,
        suppressed: suppressions::of(session, person.id).await?,
        paused_until: person.paused_until.map(|until| until.to_string()),
        limit: person.limit.map(|limit| limit.to_string()),
        subscriptions: topics.collect(),
        consents: consents.collect(),
        score: 0.0,
        momentum: None,
        affinities: Map::new(),
        cluster: None,
        cluster_until: None,
        cools_at: None,
        timeline: people::timeline(session, person.id, until).await?,
    };
    if let Some(view) = view {
        shown.score = view.score;
        shown.momentum = view.momentum;
        shown.affinities = view.affinities.into_iter().map(|(category, share)| (category, share.into())).collect();
        shown.cluster = view.cluster;
        shown.cluster_until = view.cluster_until.map(|until| until.to_string());
        shown.cools_at = view.cools_at.map(|at| at.to_string());
    }
    Ok(shown)
}
