//! The janitor: removes what was kept for its time, a little at a time, so that nobody waits for it; and on PostgreSQL
//! it makes the partitions that come next, and drops those that are over.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::Result;
use crate::clock::{self, Clock};
use crate::domain::consent::Salts;
use crate::domain::id::RecipientId;
use crate::domain::retention::Retention;
use crate::metrics::Metrics;
use crate::store::subscriptions::Origin;
use crate::store::{Store, inbound, lapses, partitions, past, retention, returns};

/// Between two rounds; true time, also beside a fast clock.
const ROUND: Duration = Duration::from_secs(3_600);
/// Between two rounds that look at every subscription for unused consent.
const LONG_ROUND: u32 = 24;
/// So long it is kept what receivers asked for by mail; senders have heeded it within seconds.
const PLEAS_COUNT: Duration = Duration::from_secs(86_400);
/// Between two batches, in which others write.
const BREATH: Duration = Duration::from_millis(20);

/// Removes what is older than is configured; several of them do no harm.
#[derive(Clone, Debug)]
pub struct Janitor {
    store: Store,
    clock: Clock,
    metrics: Metrics,
}

/// What a round has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Hits.
    pub hits: u64,
    /// Texts of servers.
    pub replies: u64,
    /// Mails that came back.
    pub inbound: u64,
    /// Attributes that people had.
    pub attributes: u64,
    /// Subscriptions whose consent lapsed.
    pub consents: u64,
}

/// Makes the partitions that come next: whoever sends does so at its start, and its janitor from then on.
pub async fn prepare_partitions(store: &Store, clock: &Clock) {
    if let Err(error) = partitions::prepare(store, clock.now()).await {
        warn!(%error, "partitions could not be made; new rows go to those for the rest");
    }
}

impl Janitor {
    /// A janitor of this database.
    #[must_use]
    pub fn new(store: Store, clock: Clock, metrics: Metrics) -> Self {
        Self { store, clock, metrics }
    }

    /// Goes round until `shutdown`. `periods` tells what counts at the time; nothing is removed while that is none.
    pub async fn run(self, periods: impl Fn() -> Option<Retention>, shutdown: CancellationToken) {
        for round in (0..LONG_ROUND).cycle() {
            if shutdown.is_cancelled() {
                return;
            }
            if let Some(mut periods) = periods() {
                periods.unused_consent = periods.unused_consent.filter(|_| round == 0);
                match self.round(&periods, &shutdown).await {
                    Ok(removed) if removed == Removed::default() => debug!("nothing is kept for longer than its time"),
                    Ok(Removed { hits, replies, inbound, attributes, consents }) => {
                        info!(hits, replies, inbound, attributes, consents, "removed what was kept for its time");
                    }
                    Err(error) => warn!(%error, "what is kept for longer than its time could not be removed"),
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(ROUND) => prepare_partitions(&self.store, &self.clock).await,
            }
        }
    }

    /// One round, or as much of it as there is time for before `shutdown`.
    ///
    /// # Errors
    /// When the database refuses; what could be removed stays removed, and one kind keeps no other from its turn.
    pub async fn round(&self, periods: &Retention, shutdown: &CancellationToken) -> Result<Removed> {
        let mut removed = Removed::default();
        let hits = self.hits(periods.hits, shutdown, &mut removed).await;
        let replies = self.replies(periods.replies, shutdown, &mut removed).await;
        let inbound = self.inbound(periods.inbound, shutdown, &mut removed).await;
        let attributes = self.attributes(periods.attributes, shutdown, &mut removed).await;
        let consents = match periods.unused_consent {
            Some(unused) => self.consents(unused, shutdown, &mut removed).await,
            None => Ok(()),
        };
        hits.and(replies).and(inbound).and(attributes).and(consents).map(|()| removed)
    }

    async fn hits(&self, period: Duration, shutdown: &CancellationToken, removed: &mut Removed) -> Result<()> {
        let before = self.clock.now().minus(period);
        let runs = retention::runs_with_hits(&mut self.store.read().await?, before).await?;
        for run in runs {
            let mut after = RecipientId(i64::MIN);
            while !shutdown.is_cancelled() {
                let mut tx = self.store.write().await?;
                let step = retention::remove_hits(&mut tx, run, after, before).await?;
                tx.commit().await?;
                let Some((last, hits)) = step else { break };
                after = last;
                removed.hits += hits;
                self.metrics.removed("hits", hits);
                tokio::time::sleep(BREATH).await;
            }
        }
        if !shutdown.is_cancelled() {
            partitions::retire(&self.store, before).await?;
        }
        Ok(())
    }

    async fn replies(&self, period: Duration, shutdown: &CancellationToken, removed: &mut Removed) -> Result<()> {
        let before = self.clock.now().minus(period);
        let runs = retention::runs_with_replies(&mut self.store.read().await?, before).await?;
        for run in runs {
            let mut after = RecipientId(i64::MIN);
            while !shutdown.is_cancelled() {
                let mut tx = self.store.write().await?;
                let step = retention::remove_replies(&mut tx, run, after).await?;
                tx.commit().await?;
                let Some((last, replies)) = step else { break };
                after = last;
                removed.replies += replies;
                self.metrics.removed("replies", replies);
                tokio::time::sleep(BREATH).await;
            }
        }
        Ok(())
    }

    async fn inbound(&self, period: Duration, shutdown: &CancellationToken, removed: &mut Removed) -> Result<()> {
        let before = self.clock.now().minus(period);
        let mut tx = self.store.write().await?;
        returns::forget_pleas(&mut tx, self.clock.now().minus(PLEAS_COUNT)).await?;
        tx.commit().await?;
        while !shutdown.is_cancelled() {
            let mut tx = self.store.write().await?;
            let mails = inbound::forget(&mut tx, before, before.minus(period)).await?;
            tx.commit().await?;
            if mails == 0 {
                break;
            }
            removed.inbound += mails;
            self.metrics.removed("inbound", mails);
            tokio::time::sleep(BREATH).await;
        }
        Ok(())
    }

    async fn attributes(&self, period: Duration, shutdown: &CancellationToken, removed: &mut Removed) -> Result<()> {
        let before = self.clock.now().minus(period);
        while !shutdown.is_cancelled() {
            let mut tx = self.store.write().await?;
            let attributes = past::forget(&mut tx, before).await?;
            tx.commit().await?;
            if attributes == 0 {
                break;
            }
            removed.attributes += attributes;
            self.metrics.removed("attributes", attributes);
            tokio::time::sleep(BREATH).await;
        }
        Ok(())
    }

    async fn consents(&self, period: Duration, shutdown: &CancellationToken, removed: &mut Removed) -> Result<()> {
        let since = self.clock.now().minus(period);
        let mut after = (RecipientId(i64::MIN), String::new());
        while !shutdown.is_cancelled() {
            let ties = lapses::unused_since(&mut self.store.read().await?, since, &after).await?;
            let Some(last) = ties.last() else { break };
            after = last.clone();
            let salts = Salts::new(&clock::secret());
            let mut tx = self.store.write().await?;
            // A round takes long: each end has its own time.
            let origin = Origin { channel: "lapsed", run: None, at: self.clock.now(), salts, shown: None };
            let lapsed = lapses::lapse(&mut tx, &ties, since, &origin).await?;
            tx.commit().await?;
            removed.consents += lapsed;
            self.metrics.removed("consents", lapsed);
            tokio::time::sleep(BREATH).await;
        }
        Ok(())
    }
}
