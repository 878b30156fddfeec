//! What has slowed itself down, for those who look from outside of the sending process.

use serde::Serialize;

use super::{Result, Session};
use crate::args;
use crate::domain::id::NodeId;
use crate::domain::time::Micros;

const SET: &str = "INSERT INTO slowdowns (node_id, relay, domain, per_second, full_rate, since, reason)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (node_id, relay, domain) DO UPDATE SET per_second = excluded.per_second, reason = excluded.reason";
const CLEAR: &str = "DELETE FROM slowdowns WHERE node_id = $1 AND relay = $2 AND domain = $3";
const CLEAR_NODE: &str = "DELETE FROM slowdowns WHERE node_id = $1
    OR NOT EXISTS (SELECT 1 FROM nodes n WHERE n.id = slowdowns.node_id)";
const ALL: &str = "SELECT s.relay, s.domain, s.per_second, s.full_rate, s.since, s.reason
    FROM slowdowns s JOIN nodes n ON n.id = s.node_id ORDER BY s.relay, s.domain, s.node_id";

pub(super) const STATEMENTS: &[&str] = &[SET, CLEAR, CLEAR_NODE, ALL];

/// A relay, or a domain at it, that a node writes to more slowly than it could.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slowdown {
    /// The relay's name.
    pub relay: String,
    /// The domain; none: the relay as a whole.
    pub domain: Option<String>,
    /// Messages per second now.
    pub per_second: f64,
    /// Messages per second before.
    pub full: f64,
    /// Since when; RFC 3339 in JSON.
    #[serde(serialize_with = "shown")]
    pub since: Micros,
    /// What the receiver said, in codes.
    pub reason: String,
}

/// Notes how slow something is now.
///
/// # Errors
/// When the database refuses.
pub async fn set(tx: &mut Session, node: NodeId, slow: &Slowdown) -> Result<()> {
    let domain = slow.domain.as_deref().unwrap_or("");
    let (relay, reason) = (slow.relay.as_str(), slow.reason.as_str());
    tx.execute(SET, args![node, relay, domain, slow.per_second, slow.full, slow.since, reason]).await.map(drop)
}

/// Notes that something goes as fast as it can again.
///
/// # Errors
/// When the database refuses.
pub async fn clear(tx: &mut Session, node: NodeId, relay: &str, domain: Option<&str>) -> Result<()> {
    tx.execute(CLEAR, args![node, relay, domain.unwrap_or("")]).await.map(drop)
}

/// Forgets what a node that ends has noted, and what was noted by nodes that are no more.
///
/// # Errors
/// When the database refuses.
pub async fn clear_node(tx: &mut Session, node: NodeId) -> Result<()> {
    tx.execute(CLEAR_NODE, args![node]).await.map(drop)
}

/// All that is slow now, by relay and domain.
///
/// # Errors
/// When the database refuses.
pub async fn all(session: &mut Session) -> Result<Vec<Slowdown>> {
    let rows: Vec<(String, String, f64, f64, i64, String)> = session.all(ALL, vec![]).await?;
    let read = |(relay, domain, per_second, full, since, reason): (_, String, _, _, i64, _)| Slowdown {
        relay,
        domain: (!domain.is_empty()).then_some(domain),
        per_second,
        full,
        since: Micros(since),
        reason,
    };
    Ok(rows.into_iter().map(read).collect())
}

fn shown<S: serde::Serializer>(value: &Micros, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
