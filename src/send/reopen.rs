//! Opens again what expired by a clock that was ahead and has been set right since, so that it skips nothing.

use tracing::{info, warn};

use super::part::Part;
use super::{Result, Sender};
use crate::domain::run::RunState;
use crate::domain::time::Micros;
use crate::store::runs::{self, Run};
use crate::store::{self, Session, expired, waves};

impl Sender {
    /// Lets runs go on that expired, in all or in some waves, when the clock showed a later time than now, and that may
    /// begin by now. Those that may not have expired now.
    pub(super) async fn open_again(&self) -> Result<()> {
        let now = self.clock.now();
        let mut reader = self.store.read().await?;
        let found = expired::ahead(&mut reader, now).await?;
        drop(reader);
        for run in found {
            if self.is_ahead(&run, now).await? {
                continue;
            }
            let opens = match self.may_begin(&run, now).await {
                Ok(opens) => opens,
                Err(error) if error.may_pass() => return Err(error),
                Err(error) => {
                    warn!(run = %run.id, %error, "the run stays expired");
                    false
                }
            };
            let mut tx = self.store.write().await?;
            if !opens {
                expired::end_now(&mut tx, run.id, now).await?;
            } else if expired::open_run(&mut tx, run.id, now).await? {
                info!(campaign = run.campaign, run = %run.id, "the run had expired by a wrong clock and goes on");
                self.pause_after_returns(&mut tx, &run, now).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    /// Whether the time of a run has not come yet.
    async fn is_ahead(&self, run: &Run, now: Micros) -> store::Result<bool> {
        let waves = waves::of(&mut self.store.read().await?, run.id).await?;
        let due = waves.first().map(|wave| wave.wave.due).or_else(|| Micros::parse_rfc3339(&run.occasion).ok());
        Ok(due.is_some_and(|due| due > now))
    }

    /// Whether something of a run may begin by now, and nobody has sent the campaign by hand in its place.
    async fn may_begin(&self, run: &Run, now: Micros) -> Result<bool> {
        let mut reader = self.store.read().await?;
        if sent_by_hand_since(&mut reader, run).await? {
            return Ok(false);
        }
        let waves = waves::of(&mut reader, run.id).await?;
        drop(reader);
        let run = Run { at: run.at.min(now), ..run.clone() };
        let parts = Part::all_of(&run, &self.times(&run).await?, &waves);
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

async fn sent_by_hand_since(reader: &mut Session, run: &Run) -> store::Result<bool> {
    let all = runs::recent(reader, Some(&run.campaign)).await?;
    let by_hand = |other: &Run| other.occasion.parse::<u64>().is_ok() && other.state != RunState::Expired;
    Ok(all.iter().any(|other| other.id > run.id && by_hand(other)))
}
