//! Nodes and their leases.
//!
//! A heartbeat is a counter, not a time: whoever watches it decides by its own monotonic clock, so
//! that no two wall clocks are compared.

use super::sql::by_holder;
use super::{EngineKind, Result, Session, notices};
use crate::args;
use crate::domain::id::{NodeId, RunId};
use crate::domain::share::Share;
use crate::domain::time::Micros;

const INSERT: &str = "INSERT INTO nodes (name, started_at) VALUES ($1, $2) RETURNING id";
const BEAT: &str = "UPDATE nodes SET heartbeat = heartbeat + 1 WHERE id = $1";
const ALL: &str = "SELECT id, heartbeat, share_from, share_to FROM nodes ORDER BY id";
// Rows alone would let somebody come unseen.
const LOCK: &str = "LOCK TABLE nodes IN SHARE ROW EXCLUSIVE MODE";
/// All nodes wait for whoever holds that lock, and count no time in which they were held up for long. So it is given up
/// by one that falls silent sooner than that, as a frozen process does.
const BRIEFLY: &str = "SET LOCAL idle_in_transaction_session_timeout = '2s'";
const SHARE: &str = "UPDATE nodes SET share_from = $2, share_to = $3 WHERE id = $1";
const DELETE: &str = "DELETE FROM nodes WHERE id = $1";
const RELEASE: &str = "UPDATE messages SET state = 'waiting', node_id = NULL, due_at = $1
    WHERE node_id = $2 AND state = 'claimed'";
const SWALLOW: &str =
    "UPDATE messages SET state = 'unknown', reply = 'the sending node died before it stored an answer'
    WHERE node_id = $1 AND state = 'sending'";
const RELEASE_STRAYS: &str = "UPDATE messages SET state = 'waiting', node_id = NULL, due_at = $1
    WHERE node_id = $2 AND +run_id = $3 AND state = 'claimed'";
const SWALLOW_STRAYS: &str = "UPDATE messages SET state = 'unknown', reply = 'the sender lost track of it'
    WHERE node_id = $1 AND +run_id = $2 AND state = 'sending'";
/// Asked once a second by each node: it goes from one run that has something open to the next, not through all runs.
const CLEAR: &str = "UPDATE messages SET state = 'skipped', due_at = NULL, node_id = NULL, at = $1,
        reply = (SELECT r.state FROM runs r WHERE r.id = messages.run_id)
    WHERE state IN ('waiting', 'deferred') AND due_at > 0 AND wave >= 0
        AND run_id IN (
            WITH RECURSIVE due (run_id) AS (
                SELECT MIN(m.run_id) FROM messages m WHERE m.state IN ('waiting', 'deferred') AND m.due_at > 0
                UNION ALL
                SELECT (SELECT MIN(m.run_id) FROM messages m
                    WHERE m.run_id > due.run_id AND m.state IN ('waiting', 'deferred') AND m.due_at > 0)
                FROM due WHERE due.run_id IS NOT NULL)
            SELECT o.id FROM due JOIN runs o ON o.id = due.run_id WHERE o.state IN ('cancelled', 'done'))";
/// The same, from one holder to the next.
const ORPHANS: &str = "WITH RECURSIVE held (node_id) AS (
        SELECT MIN(m.node_id) FROM messages m WHERE m.node_id > 0
        UNION ALL
        SELECT (SELECT MIN(m.node_id) FROM messages m WHERE m.node_id > held.node_id)
        FROM held WHERE held.node_id IS NOT NULL)
    SELECT held.node_id FROM held
    WHERE held.node_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.id = held.node_id)
        AND EXISTS (SELECT 1 FROM messages m WHERE m.node_id = held.node_id AND m.state IN ('claimed', 'sending'))";

pub(super) const STATEMENTS: &[&str] =
    &[INSERT, BEAT, ALL, SHARE, DELETE, RELEASE, SWALLOW, RELEASE_STRAYS, SWALLOW_STRAYS, CLEAR, ORPHANS];

/// Registers a node.
///
/// # Errors
/// When the database refuses.
pub async fn register(tx: &mut Session, name: &str, now: Micros) -> Result<NodeId> {
    briefly(tx).await?;
    Ok(NodeId(tx.one::<(i64,)>(INSERT, args![name, now]).await?.0))
}

/// Moves the node's counter on; `false` when the node was declared dead meanwhile.
///
/// # Errors
/// When the database refuses.
pub async fn beat(tx: &mut Session, node: NodeId) -> Result<bool> {
    Ok(tx.execute(BEAT, args![node]).await? == 1)
}

/// What all see of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Which.
    pub id: NodeId,
    /// Its counter.
    pub heartbeat: i64,
    /// Its part of all limits.
    pub share: Share,
}

/// All nodes by their numbers; nobody comes, goes or renews its share before this transaction ends.
///
/// # Errors
/// When the database refuses.
pub async fn all(tx: &mut Session) -> Result<Vec<Node>> {
    briefly(tx).await?;
    if tx.kind() == EngineKind::Postgres {
        tx.execute(LOCK, vec![]).await?;
    }
    let rows = tx.all::<(i64, i64, i64, i64)>(ALL, vec![]).await?;
    let node = |(id, heartbeat, from, to)| Node { id: NodeId(id), heartbeat, share: Share::stored(from, to) };
    Ok(rows.into_iter().map(node).collect())
}

async fn briefly(tx: &mut Session) -> Result<()> {
    if tx.kind() == EngineKind::Postgres {
        tx.execute(BRIEFLY, vec![]).await?;
    }
    Ok(())
}

/// Writes a node's part of all limits.
///
/// # Errors
/// When the database refuses.
pub async fn set_share(tx: &mut Session, node: NodeId, share: Share) -> Result<()> {
    let (from, to) = share.points();
    tx.change(1, SHARE, args![node, from, to]).await
}

/// Nodes that hold messages or notices and are not registered.
///
/// # Errors
/// When the database refuses.
pub async fn orphans(session: &mut Session) -> Result<Vec<NodeId>> {
    let mut nodes: Vec<_> = session.all::<(i64,)>(ORPHANS, vec![]).await?.into_iter().map(|(id,)| NodeId(id)).collect();
    nodes.extend(notices::orphans(session).await?);
    Ok(nodes)
}

/// What burying a node did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buried {
    /// Claimed messages and notices that wait again.
    pub released: u64,
    /// Messages and notices whose fate was swallowed.
    pub unknown: u64,
}

/// Ends a dead node's lease: its claims wait again, what it was sending is `unknown`.
///
/// # Errors
/// When the database refuses.
pub async fn bury(tx: &mut Session, node: NodeId, now: Micros) -> Result<Buried> {
    briefly(tx).await?;
    tx.execute(DELETE, args![node]).await?;
    let released = tx.execute(RELEASE, args![now, node]).await?;
    let unknown = tx.execute(SWALLOW, args![node]).await?;
    let died = "the sending node died before it stored an answer";
    let (released_notices, unknown_notices) = notices::release(tx, node, died, now).await?;
    Ok(Buried { released: released + released_notices, unknown: unknown + unknown_notices })
}

/// Releases what a living node holds of a run although nobody has it in hand.
///
/// # Errors
/// When the database refuses.
pub async fn release_strays(tx: &mut Session, node: NodeId, run: RunId, now: Micros) -> Result<Buried> {
    let released = tx.execute(by_holder(tx.kind(), RELEASE_STRAYS), args![now, node, run]).await?;
    let unknown = tx.execute(by_holder(tx.kind(), SWALLOW_STRAYS), args![node, run]).await?;
    Ok(Buried { released, unknown })
}

/// Skips what still waits in runs that are over: in cancelled ones messages that were on the wire at
/// the cancel and came back, and claims of nodes that died meanwhile; in done ones messages that were
/// `unknown` at the end and whose late answer says that they were not taken.
///
/// # Errors
/// When the database refuses.
pub async fn clear_ended(tx: &mut Session, now: Micros) -> Result<u64> {
    tx.execute(CLEAR, args![now]).await
}
