//! Pauses runs of which too much comes back.

use std::collections::BTreeSet;

use tracing::warn;

use crate::clock::Clock;
use crate::domain::id::RunId;
use crate::domain::returns::ReturnLimits;
use crate::domain::run::RunState;
use crate::domain::time::Micros;
use crate::store::{Result, Store, returns, runs};

/// Once so much came back, the runs are looked at although more waits.
const OFTEN: u32 = 200;

/// The runs that mail came back of since they were looked at last.
#[derive(Debug)]
pub(super) struct Watch {
    store: Store,
    clock: Clock,
    touched: BTreeSet<RunId>,
    since_look: u32,
}

impl Watch {
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, touched: BTreeSet::new(), since_look: 0 }
    }

    pub fn note(&mut self, run: Option<RunId>) {
        self.touched.extend(run);
        self.since_look += u32::from(run.is_some());
    }

    pub fn is_due(&self) -> bool {
        self.since_look >= OFTEN
    }

    /// Looks at the runs that were touched.
    pub async fn look(&mut self, limits: ReturnLimits) -> Result<()> {
        self.since_look = 0;
        while let Some(run) = self.touched.first().copied() {
            self.look_at(run, limits).await?;
            self.touched.remove(&run);
        }
        Ok(())
    }

    async fn look_at(&self, run: RunId, limits: ReturnLimits) -> Result<()> {
        let mut reader = self.store.read().await?;
        let Some(found) = runs::by_id(&mut reader, run).await?.filter(|run| run.state == RunState::Running) else {
            return Ok(());
        };
        let since = found.resumed_at.unwrap_or(Micros(i64::MIN));
        let Some(returned) = returns::of_run(&mut reader, run, since).await? else { return Ok(()) };
        drop(reader);
        let Some(reason) = limits.exceeded(returned) else {
            return Ok(());
        };
        let mut tx = self.store.write().await?;
        let (from, to) = (RunState::Running, RunState::Paused);
        if runs::change(&mut tx, run, from, to, Some(&reason), self.clock.now()).await? {
            warn!(%run, campaign = found.campaign, reason, "run pauses itself");
        }
        tx.commit().await
    }
}
