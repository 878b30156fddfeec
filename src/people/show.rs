//! `colloquy recipient show` and `export`: what is known about one person.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::Result;
use crate::domain::address::Address;
use crate::domain::score::{ClusterRules, ScoreRules};
use crate::domain::time::Micros;
use crate::store::people::Event;
use crate::store::recipients::Attributes;
use crate::store::{Store, consents, people, recipients, score, subscriptions, suppressions};

/// A person at one instant. Attributes, subscriptions and suppression are the present ones.
#[derive(Clone, Debug, Serialize)]
pub struct Person {
    /// The normal form.
    pub address: String,
    /// When the person came in, RFC 3339.
    pub created_at: String,
    /// Strings, numbers, booleans; dates are ISO strings.
    pub attributes: Attributes,
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
pub async fn show(
    store: &Store,
    rules: (&ScoreRules, &ClusterRules),
    address: &Address,
    at: Micros,
    until: Micros,
) -> Result<Option<Person>> {
    let mut session = store.read().await?;
    let Some(person) = recipients::find(&mut session, address).await? else { return Ok(None) };
    let view = score::profile_at(&mut session, person.id, at, rules.0, rules.1).await?;
    let topics = subscriptions::of(&mut session, person.id).await?.into_iter().map(|s| Topic {
        topic: s.topic,
        subscribed: s.subscribed,
        since: Micros(s.since).to_string(),
    });
    let consents = consents::history(&mut session, person.id, until).await?.into_iter().map(|c| Consent {
        at: Micros(c.at).to_string(),
        purpose: c.purpose,
        topic: c.topic,
        granted: c.granted,
    });
    let mut shown = Person {
        address: address.to_string(),
        created_at: person.created_at.to_string(),
        attributes: person.attributes,
        tracking: person.tracking,
        suppressed: suppressions::of(&mut session, person.id).await?,
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
        timeline: people::timeline(&mut session, person.id, until).await?,
    };
    if let Some(view) = view {
        shown.score = view.score;
        shown.momentum = view.momentum;
        shown.affinities = view.affinities.into_iter().map(|(category, share)| (category, share.into())).collect();
        shown.cluster = view.cluster;
        shown.cluster_until = view.cluster_until.map(|until| until.to_string());
        shown.cools_at = view.cools_at.map(|at| at.to_string());
    }
    Ok(Some(shown))
}

/// For a terminal.
impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.address)?;
        if self.suppressed {
            writeln!(f, "  suppressed: never mailed")?;
        }
        for (name, value) in &self.attributes {
            writeln!(f, "  {name}: {}", plain(value))?;
        }
        writeln!(f)?;
        for s in &self.subscriptions {
            let state = if s.subscribed { "subscribed" } else { "left" };
            writeln!(f, "  topic {}: {state} since {}", s.topic, s.since)?;
        }
        writeln!(f, "  tracking: {}", if self.tracking { "agreed" } else { "no" })?;
        if let Some(until) = &self.paused_until {
            writeln!(f, "  paused until {until}")?;
        }
        if let Some(limit) = &self.limit {
            writeln!(f, "  own limit: at most {limit}")?;
        }
        write!(f, "\n  score {:.1}", self.score)?;
        if let Some(momentum) = self.momentum {
            write!(f, ", momentum {momentum:.2}")?;
        }
        if let Some(at) = &self.cools_at {
            write!(f, ", cools {at}")?;
        }
        writeln!(f)?;
        if let Some(cluster) = &self.cluster {
            writeln!(f, "  cluster {cluster}, until {}", self.cluster_until.as_deref().unwrap_or("further notice"))?;
        }
        for (category, share) in &self.affinities {
            writeln!(f, "  {:>5.1} %  {category}", 100.0 * share.as_f64().unwrap_or_default())?;
        }
        writeln!(f)?;
        for event in &self.timeline {
            writeln!(f, "  {}  {}", event.at, line(event))?;
        }
        Ok(())
    }
}

/// An event in one line: its kind, and what is known of it.
fn line(event: &Event) -> String {
    let details = event.details.iter().filter(|(_, value)| !value.is_object());
    let details = details.map(|(name, value)| match (name.as_str(), value) {
        ("granted", Value::Bool(true)) => "granted".to_owned(),
        ("granted", _) => "withdrawn".to_owned(),
        ("points", value) => format!("{:+} points", value.as_f64().unwrap_or_default()),
        ("run" | "attempt", value) => format!("{name} {value}"),
        ("answered", value) => format!("at {}", plain(value)),
        (_, value) => plain(value),
    });
    format!("{:<8} {}", event.kind, details.collect::<Vec<_>>().join("  "))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace(char::is_control, " "),
        other => other.to_string(),
    }
}
