//! Opens again what expired by a clock that was ahead and has been set right since, so that it skips nothing.

use tracing::{info, warn};

use super::part::Part;
use super::schedule::Applied;
use super::{Result, Sender};
use crate::domain::id::VersionId;
use crate::domain::occasion;
use crate::domain::run::RunState;
use crate::domain::time::Micros;
use crate::store::runs::{self, Run};
use crate::store::waves::{self, StoredWave};
use crate::store::{self, Session, expired};

impl Sender {
    /// Lets runs go on that expired, in all or in some waves, when the clock showed a later time than now, and that may
    /// begin by now. Those that may not have expired now.
    pub(super) async fn open_again(&self, applied: Option<&Applied>) -> Result<()> {
        let now = self.clock.now();
        let mut reader = self.store.read().await?;
        let found = expired::ahead(&mut reader, now).await?;
        drop(reader);
        for run in found {
            let waves = waves::of(&mut self.store.read().await?, run.id).await?;
            if is_ahead(&run, &waves, now) {
                continue;
            }
            let opens = match self.may_begin(&run, &waves, now).await {
                Ok(opens) => opens,
                Err(error) if error.may_pass() => return Err(error),
                Err(error) => {
                    warn!(run = %run.id, %error, "the run cannot be opened again");
                    false
                }
            };
            let version = version_now(&run, waves, applied, now).filter(|_| opens);
            let mut tx = self.store.write().await?;
            let Some(version) = version else {
                warn!(campaign = run.campaign, run = %run.id, "the run, which expired by a wrong clock, stays so");
                expired::end_now(&mut tx, run.id, now).await?;
                tx.commit().await?;
                continue;
            };
            if expired::open_run(&mut tx, run.id, version, now).await? {
                info!(campaign = run.campaign, run = %run.id, "the run had expired by a wrong clock and goes on");
                self.pause_after_returns(&mut tx, &run, now).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    /// Whether something of a run may begin by now, and nobody has sent the campaign by hand in its place.
    async fn may_begin(&self, run: &Run, waves: &[StoredWave], now: Micros) -> Result<bool> {
        if sent_by_hand_since(&mut self.store.read().await?, run).await? {
            return Ok(false);
        }
        let run = Run { at: run.at.min(now), ..run.clone() };
        let parts = Part::all_of(&run, &self.times(&run).await?, waves);
        // A wave that has begun, or whose time was over by a clock that was right, stays as it is.
        let closed = |part: &Part| part.claimed_all && part.expired.is_none_or(|at| at <= now);
        Ok(parts.iter().any(|part| !closed(part) && part.may_begin(now, run.any_hour)))
    }

    /// Pauses a run that begins now if it must wait for a person: too much came back of the one before it.
    pub(super) async fn pause_after_returns(&self, tx: &mut Session, run: &Run, now: Micros) -> store::Result<()> {
        let Some(reason) = self.came_back(tx, run).await? else { return Ok(()) };
        warn!(campaign = run.campaign, run = %run.id, reason, "run pauses itself");
        runs::change(tx, run.id, RunState::Running, RunState::Paused, Some(&reason), now).await.map(drop)
    }
}

/// Whether the time of a run has not come yet.
fn is_ahead(run: &Run, waves: &[StoredWave], now: Micros) -> bool {
    let due = waves.first().map(|wave| wave.wave.due).or_else(|| Micros::parse_rfc3339(&run.occasion).ok());
    due.is_some_and(|due| due > now)
}

/// The version that a run is sent by if it is opened: one that has begun goes on with its own; for another one the
/// applied version must still have its occasion, at the same times. `None`: it has not, or there is none.
fn version_now(run: &Run, waves: Vec<StoredWave>, applied: Option<&Applied>, now: Micros) -> Option<VersionId> {
    if run.state != RunState::Expired || is_by_hand(run) {
        return Some(run.version);
    }
    let applied = applied?;
    let campaign = applied.loaded.campaigns.get(&run.campaign)?;
    let current = occasion::current(campaign.schedule.as_ref()?, &campaign.timing, now);
    let occasion = current.into_iter().find(|occasion| occasion.to_string() == run.occasion)?;
    let same = waves.into_iter().map(|stored| stored.wave).eq(occasion.waves(&campaign.timing));
    same.then_some(applied.version)
}

async fn sent_by_hand_since(reader: &mut Session, run: &Run) -> store::Result<bool> {
    let all = runs::recent(reader, Some(&run.campaign)).await?;
    let instead = |other: &Run| is_by_hand(other) && other.resend.is_none() && other.state != RunState::Expired;
    Ok(all.iter().any(|other| other.id > run.id && instead(other)))
}

/// Runs by hand are numbered, those of a schedule are called by their instants.
fn is_by_hand(run: &Run) -> bool {
    run.occasion.parse::<u64>().is_ok()
}
