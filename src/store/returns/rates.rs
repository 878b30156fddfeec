//! How much comes back, by campaign, relay and domain.

use std::collections::BTreeMap;

use crate::args;
use crate::domain::action::kind;
use crate::domain::time::Micros;
use crate::store::actions::RETURNED;
use crate::store::{Result, Session};

/// By what messages are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Their campaign.
    Campaign,
    /// The relay that took them.
    Relay,
    /// Their recipient's domain.
    Domain,
}

impl By {
    fn column(self) -> &'static str {
        match self {
            Self::Campaign => "u.campaign",
            Self::Relay => "COALESCE(m.relay, '')",
            Self::Domain => "r.domain",
        }
    }
}

/// What came back of some messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rates {
    /// The campaign, relay or domain; empty: of people who were erased.
    pub name: String,
    /// Messages that a relay has taken.
    pub accepted: i64,
    /// Of these, to addresses that turned out dead.
    pub dead: i64,
    /// Of these, that came back for now.
    pub soft: i64,
    /// Of these, that were refused for reasons of ours.
    pub blocked: i64,
    /// Of these, reported as unwanted.
    pub complaints: i64,
    /// Of these, answered by a person.
    pub replies: i64,
}

/// Of messages since an instant; those first of which most were accepted.
///
/// # Errors
/// When the database refuses.
pub async fn rates(session: &mut Session, by: By, since: Micros) -> Result<Vec<Rates>> {
    let column = by.column();
    let joined = "JOIN runs u ON u.id = m.run_id JOIN recipients r ON r.id = m.recipient_id";
    let accepted = format!(
        "SELECT {column} AS name, COUNT(*) FROM messages m {joined} WHERE m.state = 'accepted' AND m.at >= $1 GROUP BY {column}"
    );
    let mut found: BTreeMap<String, Rates> = BTreeMap::new();
    for (name, accepted) in session.all::<(String, i64)>(accepted, args![since]).await? {
        found.insert(name.clone(), Rates { name, accepted, ..Rates::default() });
    }
    let returned = format!(
        "SELECT name, kind, COUNT(*) FROM (
            SELECT DISTINCT a.run_id, a.recipient_id, a.kind, {column} AS name
            FROM actions a JOIN messages m ON m.run_id = a.run_id AND m.recipient_id = a.recipient_id {joined}
            WHERE a.{RETURNED} AND a.kind IN ('bounce', 'soft_bounce', 'block', 'complaint', 'reply')
                AND m.state = 'accepted' AND m.at >= $1) returned
         GROUP BY name, kind"
    );
    for (name, what, count) in session.all::<(String, String, i64)>(returned, args![since]).await? {
        let rates = found.entry(name.clone()).or_insert_with(|| Rates { name, ..Rates::default() });
        match what.as_str() {
            kind::BOUNCE => rates.dead = count,
            kind::SOFT_BOUNCE => rates.soft = count,
            kind::BLOCK => rates.blocked = count,
            kind::COMPLAINT => rates.complaints = count,
            _ => rates.replies = count,
        }
    }
    let mut all: Vec<Rates> = found.into_values().collect();
    all.sort_by(|a, b| b.accepted.cmp(&a.accepted).then_with(|| a.name.cmp(&b.name)));
    Ok(all)
}
