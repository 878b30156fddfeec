//! Takes hits from the spool to the main database.
//!
//! A batch is written there first and forgotten here after; a crash in between writes it again,
//! which changes nothing, because a hit keeps its id.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use crate::domain::id::RecipientId;
use crate::domain::time::Micros;
use crate::metrics::Metrics;
use crate::store::hits::{self, MAX_BATCH};
use crate::store::spool::Spool;
use crate::store::{Result, Store};

/// Withdrawals are read again this far back: a transaction may commit after a later one.
const OVERLAP: Duration = Duration::from_secs(600);

/// Settings of the forwarder.
#[derive(Clone, Copy, Debug)]
pub struct ForwarderOptions {
    /// How long hits gather before they are forwarded.
    pub gather: Duration,
    /// How often withdrawals of tracking are looked up, and the spool is looked into without a call.
    pub refresh: Duration,
}

impl Default for ForwarderOptions {
    fn default() -> Self {
        Self { gather: Duration::from_millis(200), refresh: Duration::from_secs(5) }
    }
}

/// Takes hits from the spool to the main database, and withdrawals of tracking the other way.
#[derive(Debug)]
pub struct Forwarder {
    spool: Spool,
    store: Store,
    metrics: Metrics,
    options: ForwarderOptions,
    /// Withdrawals up to here are known.
    withdrawn: (Micros, RecipientId),
    /// Silenced recipients up to here have been asked for again in this round.
    checked: RecipientId,
}

impl Forwarder {
    /// A forwarder; several for one spool do no harm.
    #[must_use]
    pub fn new(spool: Spool, store: Store, metrics: Metrics, options: ForwarderOptions) -> Self {
        let (nobody, never) = (RecipientId(i64::MIN), Micros(i64::MIN));
        Self { spool, store, metrics, options, withdrawn: (never, nobody), checked: nobody }
    }

    /// Forwards until `shutdown`. `arrived` tells of new hits.
    pub async fn run(mut self, arrived: Arc<Notify>, shutdown: CancellationToken) {
        let mut pace = Pace::new(self.options.gather);
        let mut refreshed = None::<tokio::time::Instant>;
        loop {
            let due = refreshed.is_none_or(|at| at.elapsed() >= self.options.refresh);
            let step = async {
                if due {
                    self.refresh().await?;
                }
                Ok::<_, crate::store::Error>(self.step().await? == MAX_BATCH)
            }
            .await;
            if due && step.is_ok() {
                refreshed = Some(tokio::time::Instant::now());
            }
            let idle = matches!(step, Ok(false));
            if !pace.after(step, "forwarding hits", &shutdown).await {
                return;
            }
            if idle {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = arrived.notified() => {}
                    () = tokio::time::sleep(self.options.refresh) => {}
                }
            }
        }
    }

    /// Forwards one batch; how many hits left the spool.
    ///
    /// # Errors
    /// When the spool or the database refuses; nothing is lost.
    pub async fn step(&mut self) -> Result<usize> {
        let batch = self.spool.batch(MAX_BATCH).await?;
        let Some(last) = batch.last().map(|hit| hit.seq) else {
            self.metrics.set_spool_depth(0);
            return Ok(0);
        };
        let moved = batch.len();
        let mut recipients: Vec<_> = batch.iter().map(|spooled| spooled.hit.recipient).collect();
        recipients.sort_unstable();
        recipients.dedup();
        let hits = batch.into_iter().map(|spooled| (spooled.id, spooled.hit)).collect();

        let mut session = self.store.write().await?;
        let tracked = hits::tracked(&mut session, &recipients).await?;
        let kept = hits::keep(&mut session, hits).await?;
        session.commit().await?;

        recipients.retain(|r| tracked.binary_search(r).is_err());
        self.spool.silence(&recipients).await?;
        self.spool.forget(last).await?;
        self.metrics.hits_forwarded(kept, (moved as u64).saturating_sub(kept));
        self.metrics.set_spool_depth(self.spool.depth().await?);
        Ok(moved)
    }

    /// Brings the spool's set of silenced recipients up to date.
    ///
    /// # Errors
    /// When the spool or the database refuses.
    pub async fn refresh(&mut self) -> Result<()> {
        loop {
            let page = hits::withdrawn(&mut self.store.read().await?, self.withdrawn, MAX_BATCH).await?;
            let Some(&last) = page.last() else { break };
            let recipients: Vec<_> = page.iter().map(|(_, recipient)| *recipient).collect();
            self.spool.silence(&recipients).await?;
            self.withdrawn = last;
            if page.len() < MAX_BATCH {
                break;
            }
        }
        self.withdrawn = (self.withdrawn.0.minus(OVERLAP), RecipientId(i64::MIN));
        self.release().await
    }

    /// Asks for one page of the silenced whether they have allowed tracking again.
    async fn release(&mut self) -> Result<()> {
        let page = self.spool.silenced(self.checked, MAX_BATCH).await?;
        self.checked = page.last().filter(|_| page.len() == MAX_BATCH).copied().unwrap_or(RecipientId(i64::MIN));
        let allowed = hits::tracked(&mut self.store.read().await?, &page).await?;
        self.spool.unsilence(&allowed).await
    }
}
