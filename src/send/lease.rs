//! This node's lease, and the watch over the others'.
//!
//! A lease is dead when its counter stood still for eight seconds of our own monotonic time while
//! the database answered us. No wall clock is compared.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::domain::id::NodeId;
use crate::store::nodes::{self, Buried};
use crate::store::{Result, Store};

const BEAT: Duration = Duration::from_secs(2);
const DEAD: Duration = Duration::from_secs(8);

/// Keeps the lease of `node` and buries dead nodes, until `stop`. When the own lease is found
/// buried, `lost` is cancelled: others hold the work now.
pub async fn keep(store: Store, node: NodeId, clock: Clock, stop: CancellationToken, lost: CancellationToken) {
    let mut watch = Watch::default();
    while !stop.is_cancelled() {
        match round(&store, node, &clock, &mut watch).await {
            Ok(true) => {}
            Ok(false) => {
                error!(%node, "this node was silent for too long; others have taken its work over");
                lost.cancel();
                return;
            }
            Err(error) => {
                warn!(%error, "the lease cannot be renewed");
                watch.forget();
            }
        }
        // Leases are about this machine's silence, so a clock that runs fast does not count.
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(BEAT) => {}
        }
    }
}

/// Gives up the lease in order: what is still claimed waits again.
///
/// # Errors
/// When the database refuses; then others bury the node.
pub async fn give_up(store: &Store, node: NodeId, clock: &Clock) -> Result<Buried> {
    let mut tx = store.write().await?;
    let buried = nodes::bury(&mut tx, node, clock.now()).await?;
    tx.commit().await?;
    Ok(buried)
}

async fn round(store: &Store, node: NodeId, clock: &Clock, watch: &mut Watch) -> Result<bool> {
    let mut tx = store.write().await?;
    if !nodes::beat(&mut tx, node).await? {
        return Ok(false);
    }
    let mut dead = nodes::orphans(&mut tx).await?;
    dead.extend(watch.look(&nodes::all(&mut tx).await?, Instant::now()));
    for other in dead.into_iter().filter(|other| *other != node) {
        let buried = nodes::bury(&mut tx, other, clock.now()).await?;
        info!(node = %other, released = buried.released, unknown = buried.unknown, "took over from a dead node");
    }
    nodes::clear_ended(&mut tx, clock.now()).await?;
    tx.commit().await?;
    Ok(true)
}

/// When each counter was last seen to move, and when it was looked last.
#[derive(Default)]
struct Watch {
    seen: HashMap<NodeId, (i64, Instant)>,
    looked: Option<Instant>,
}

impl Watch {
    /// The nodes whose counter stood still for too long.
    fn look(&mut self, beats: &[(NodeId, i64)], now: Instant) -> Vec<NodeId> {
        // Whoever was held up itself, by a lock or a frozen process, has observed nothing.
        if self.looked.is_some_and(|looked| now - looked > 2 * BEAT) {
            self.forget();
        }
        self.looked = Some(now);
        self.seen.retain(|node, _| beats.iter().any(|(n, _)| n == node));
        let mut dead = Vec::new();
        for &(node, beat) in beats {
            let seen = self.seen.entry(node).or_insert((beat, now));
            if seen.0 != beat {
                *seen = (beat, now);
            } else if now - seen.1 >= DEAD {
                dead.push(node);
            }
        }
        dead
    }

    /// Starts all observations anew: time in which the database was away does not count.
    fn forget(&mut self) {
        self.seen.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lease_dies_after_eight_seconds_without_a_beat_and_not_before() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let (a, b) = (NodeId(1), NodeId(2));
        let mut watch = Watch::default();
        assert!(watch.look(&[(a, 5), (b, 5)], at(0)).is_empty());
        for second in [2, 4, 6, 7] {
            assert!(watch.look(&[(a, 5), (b, 6)], at(second)).is_empty(), "{second}");
        }
        assert_eq!(watch.look(&[(a, 5), (b, 6)], at(8)), [a]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_observer_that_was_held_up_buries_nobody() {
        let start = Instant::now();
        let beats = [(NodeId(1), 5)];
        let mut watch = Watch::default();
        assert!(watch.look(&beats, start).is_empty());
        assert!(watch.look(&beats, start + Duration::from_secs(60)).is_empty());
    }
}
