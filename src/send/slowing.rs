//! Tells of what has slowed itself down: once per change in the log, in the metrics, and in the
//! database for those who look from outside.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::clock::Clock;
use crate::domain::id::NodeId;
use crate::domain::slowing::Scope;
use crate::metrics::Metrics;
use crate::relay::throttle::{Change, Throttle};
use crate::store::returns;
use crate::store::slowdowns::{self, Slowdown};
use crate::store::{Result, Store};

/// How often changes are looked for; true time, as refusals come in it.
const LOOK: Duration = Duration::from_secs(1);

/// Changes that wait for a database that is away; they are told in the log in any case.
const MOST_KEPT: usize = 10_000;

/// Looks after the changes until `stop`.
pub async fn keep(
    throttle: Arc<Throttle>,
    store: Store,
    node: NodeId,
    clock: Clock,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let mut unwritten: Vec<Change> = Vec::new();
    let mut ends = false;
    let mut noted = false;
    let mut pleas = Pleas::default();
    while !ends {
        ends = stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_none();
        if let Err(error) = pleas.heed(&store, &throttle).await {
            debug!(%error, "what receivers asked for by mail could not be looked up");
        }
        let changes = throttle.changes();
        changes.iter().for_each(|change| tell(change, &metrics));
        unwritten.extend(changes);
        unwritten.drain(..unwritten.len().saturating_sub(MOST_KEPT));
        if unwritten.is_empty() && !(ends && noted) {
            continue;
        }
        noted = true;
        match write(&store, node, &clock, &unwritten, ends).await {
            Ok(()) => unwritten.clear(),
            Err(error) => debug!(%error, "what has slowed down could not be noted"),
        }
    }
}

/// What receivers asked for by mail that came back, since this node began.
#[derive(Default)]
struct Pleas {
    last: Option<i64>,
}

impl Pleas {
    async fn heed(&mut self, store: &Store, throttle: &Throttle) -> Result<()> {
        let mut reader = store.read().await?;
        let Some(last) = self.last else {
            self.last = Some(returns::last_plea(&mut reader).await?);
            return Ok(());
        };
        for plea in returns::pleas(&mut reader, last).await? {
            throttle.refused(&plea.relay, &plea.domain, Scope::Domain, plea.reason);
            self.last = Some(plea.id);
        }
        Ok(())
    }
}

fn tell(change: &Change, metrics: &Metrics) {
    let Change { relay, domain, per_second, full, reason, fell, .. } = change;
    let domain = domain.as_deref();
    metrics.slowed(relay, domain, *per_second);
    match per_second {
        Some(per_second) if *fell => {
            metrics.slowed_down(relay, domain);
            warn!(relay, domain, per_second, full, reason, "slows down, as the receiver asks");
        }
        Some(per_second) => info!(relay, domain, per_second, full, "goes faster again"),
        None => info!(relay, domain, full, "is as fast as before"),
    }
}

async fn write(store: &Store, node: NodeId, clock: &Clock, changes: &[Change], ends: bool) -> Result<()> {
    let mut tx = store.write().await?;
    for change in changes.iter().filter(|_| !ends) {
        let Change { relay, domain, full, reason, slow_for, .. } = change;
        match change.per_second {
            Some(per_second) => {
                let (relay, domain, reason) = (relay.clone(), domain.clone(), reason.clone());
                let since = clock.now().minus(*slow_for);
                slowdowns::set(&mut tx, node, &Slowdown { relay, domain, per_second, full: *full, since, reason })
                    .await?;
            }
            None => slowdowns::clear(&mut tx, node, relay, domain.as_deref()).await?,
        }
    }
    if ends {
        slowdowns::clear_node(&mut tx, node).await?;
    }
    tx.commit().await
}
