//! This node's lease with its part of all limits, and the watch over the others'.
//!
//! A lease is dead when its counter stood still for eight seconds of our own monotonic time while
//! the database answered us. No wall clock is compared.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::clock::{Clock, Spell};
use crate::domain::id::NodeId;
use crate::domain::share::Share;
use crate::metrics::Metrics;
use crate::relay::throttle::Throttle;
use crate::store::nodes::{self, Buried, Node};
use crate::store::{Result, Store};

const BEAT: Duration = Duration::from_secs(1);
/// Whoever has not looked for so long has observed nothing meanwhile.
const HELD_UP: Duration = Duration::from_secs(4);
const DEAD: Duration = Duration::from_secs(8);
/// How long a part of the limits holds after it was renewed: it ends before others may take it.
const HOLDS: Duration = Duration::from_secs(7);

/// Keeps a node's lease, and with it the node's part of all limits.
pub struct Keeper {
    store: Store,
    node: NodeId,
    clock: Clock,
    metrics: Metrics,
    throttle: Arc<Throttle>,
    watch: Watch,
    share: Share,
    until: Instant,
    /// Whether no other node was seen, ever.
    alone: bool,
}

impl Keeper {
    /// Takes the node's part of the limits if it is free: who sends alone begins at once. Until it has one, nothing of
    /// the throttle's passes.
    pub async fn begin(store: Store, node: NodeId, clock: Clock, metrics: Metrics, throttle: Arc<Throttle>) -> Self {
        let (watch, share, until, alone) = (Watch::default(), Share::NONE, Instant::now(), true);
        let mut keeper = Self { store, node, clock, metrics, throttle, watch, share, until, alone };
        keeper.take(Share::NONE, until);
        if let Err(error) = keeper.round().await {
            debug!(%error, "the lease is taken up later");
        }
        keeper
    }

    /// Keeps the lease and buries dead nodes, until `stop`. When the own lease is found buried, `lost` is
    /// cancelled: others hold the work now.
    pub async fn keep(mut self, stop: CancellationToken, lost: CancellationToken) {
        let mut spell = Spell::default();
        while !stop.is_cancelled() {
            match self.round().await {
                Ok(true) if spell.ended() => info!("the lease is renewed again"),
                Ok(true) => {}
                Ok(false) => {
                    error!(node = %self.node, "this node was silent for too long; others have taken its work over");
                    self.take(Share::NONE, Instant::now());
                    lost.cancel();
                    return;
                }
                Err(error) => {
                    if spell.failed() {
                        warn!(%error, "the lease cannot be renewed");
                    }
                    self.watch.forget();
                }
            }
            // Leases are about this machine's silence, so a clock that runs fast does not count.
            let beat = Instant::now() + BEAT;
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep_until(self.watch.next().map_or(beat, |dead| dead.min(beat))) => {}
            }
        }
    }

    async fn round(&mut self) -> Result<bool> {
        let began = Instant::now();
        let mut tx = self.store.write().await?;
        let mut nodes = nodes::all(&mut tx).await?;
        if !nodes::beat(&mut tx, self.node).await? {
            return Ok(false);
        }
        let mut dead = nodes::orphans(&mut tx).await?;
        self.alone &= nodes.iter().all(|other| other.id == self.node);
        dead.extend(self.watch.look(&nodes, Instant::now()));
        dead.retain(|other| *other != self.node);
        for other in &dead {
            let buried = nodes::bury(&mut tx, *other, self.clock.now()).await?;
            info!(node = %other, released = buried.released, unknown = buried.unknown, "took over from a dead node");
        }
        nodes.retain(|node| !dead.contains(&node.id));
        let share = renewed(self.node, &nodes);
        // By what stands there: a commit whose answer was lost may have taken.
        if nodes.iter().any(|node| node.id == self.node && node.share != share) {
            nodes::set_share(&mut tx, self.node, share).await?;
            debug!(node = %self.node, part = share.part(), nodes = nodes.len(), "another part of all limits");
        }
        nodes::clear_ended(&mut tx, self.clock.now()).await?;
        // What is given up is given up before others can know of it, what is gained is used after.
        let kept = if share.contains(self.share) { self.share } else { Share::NONE };
        self.take(kept, self.until);
        tx.commit().await?;
        self.take(share, began + HOLDS);
        self.metrics.set_share(share.part());
        Ok(true)
    }

    fn take(&mut self, share: Share, until: Instant) {
        (self.share, self.until) = (share, until);
        self.throttle.set_share(share, until, self.alone);
    }
}

/// The part of all limits that a node takes now.
fn renewed(node: NodeId, nodes: &[Node]) -> Share {
    let place = nodes.iter().filter(|other| other.id < node).count();
    let others: Vec<_> = nodes.iter().filter(|other| other.id != node).map(|other| other.share).collect();
    Share::renewed(place, nodes.len(), &others)
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

/// When each counter was last seen to move, and when it was looked last.
#[derive(Default)]
struct Watch {
    seen: HashMap<NodeId, (i64, Instant)>,
    looked: Option<Instant>,
}

impl Watch {
    /// The nodes whose counter stood still for too long.
    fn look(&mut self, nodes: &[Node], now: Instant) -> Vec<NodeId> {
        // Whoever was held up itself, by a lock or a frozen process, has observed nothing.
        if self.looked.is_some_and(|looked| now - looked > HELD_UP) {
            self.forget();
        }
        self.looked = Some(now);
        self.seen.retain(|node, _| nodes.iter().any(|of| of.id == *node));
        let mut dead = Vec::new();
        for node in nodes {
            let seen = self.seen.entry(node.id).or_insert((node.heartbeat, now));
            if seen.0 != node.heartbeat {
                *seen = (node.heartbeat, now);
            } else if now - seen.1 >= DEAD {
                dead.push(node.id);
            }
        }
        self.seen.retain(|node, _| !dead.contains(node));
        dead
    }

    /// When the next of them is dead unless it beats before: to look then, not at the next beat, buries it a second sooner.
    fn next(&self) -> Option<Instant> {
        self.seen.values().map(|(_, since)| *since + DEAD).min()
    }

    /// Starts all observations anew: time in which the database was away does not count.
    fn forget(&mut self) {
        self.seen.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(id: NodeId, heartbeat: i64) -> Node {
        Node { id, heartbeat, share: Share::NONE }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_dies_after_eight_seconds_without_a_beat_and_not_before() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let [a, b] = [1, 2].map(NodeId);
        let mut watch = Watch::default();
        assert!(watch.look(&[beat(a, 5), beat(b, 5)], at(0)).is_empty());
        for second in [2, 4, 6, 7] {
            assert!(watch.look(&[beat(a, 5), beat(b, 6)], at(second)).is_empty(), "{second}");
        }
        assert_eq!(watch.next(), Some(at(8)));
        assert_eq!(watch.look(&[beat(a, 5), beat(b, 6)], at(8)), [a]);
        assert_eq!(watch.next(), Some(at(10)), "the other one was seen to beat after two seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn an_observer_that_was_held_up_buries_nobody() {
        let start = Instant::now();
        let beats = [beat(NodeId(1), 5)];
        let mut watch = Watch::default();
        assert!(watch.look(&beats, start).is_empty());
        assert!(watch.look(&beats, start + Duration::from_secs(60)).is_empty());
    }
}
