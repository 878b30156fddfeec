//! Begins a campaign's run by hand, or finds the one that is not over.

use anyhow::{Result, anyhow};

use super::{App, Refused, Site};
use crate::domain::campaign::Campaign;
use crate::domain::occasion::Occasion;
use crate::domain::run::RunState;
use crate::store::runs::{self, NewRun, Run};
use crate::store::{Store, waves};

impl Site {
    /// The campaign's run that is not over, by hand or by the service, whatever the files say by now.
    ///
    /// # Errors
    /// [`Refused`] when the run is paused.
    pub async fn unfinished(&self, store: &Store, campaign: &str) -> Result<Option<Run>> {
        let open = runs::open(&mut store.read().await?).await?;
        open.into_iter().find(|run| run.campaign == campaign).map(continued).transpose()
    }
}

impl App {
    /// The campaign's unfinished run, else a new one over the files as they are now. Two who begin
    /// at once get the same run.
    ///
    /// # Errors
    /// [`Refused`] when the run is paused, or when the campaign was sent before and `again` is not
    /// set.
    pub async fn begin(&self, store: &Store, campaign: &Campaign, again: bool) -> Result<Run> {
        let name = campaign.name.as_str();
        let mut session = store.read().await?;
        // Counted before the open run is looked for: a run that somebody begins in between is
        // found, or has the same occasion.
        let occasion = (runs::count(&mut session, name).await? + 1).to_string();
        if let Some(run) = runs::open(&mut session).await?.into_iter().find(|run| run.campaign == name) {
            return continued(run);
        }
        let before = runs::recent(&mut session, Some(name)).await?;
        // What expired was never sent.
        let last = before.into_iter().find(|run| run.state != RunState::Expired);
        if let (Some(last), false) = (&last, again) {
            return Err(anyhow!(Refused(format!(
                "'{name}' was sent before: run {} ({}) is {}\n  \
                 hint: --again begins another run; `colloquy report {name}` shows the last",
                last.id,
                last.occasion,
                last.state.as_str()
            ))));
        }
        drop(session);
        let version = self.freeze(store).await?;
        let (now, topic) = (self.clock.now(), campaign.topic.as_str());
        let new = NewRun { campaign: name, topic, occasion: &occasion, version, state: RunState::Scheduled, at: now };
        let mut tx = store.write().await?;
        let made = runs::create(&mut tx, new).await?;
        let run = runs::by_occasion(&mut tx, name, &occasion).await?.ok_or_else(|| anyhow!("the run has gone"))?;
        if made {
            waves::create(&mut tx, run.id, &Occasion::At(now).waves(&campaign.timing)).await?;
        }
        runs::change(&mut tx, run.id, RunState::Scheduled, RunState::Running, None, now).await?;
        tx.commit().await?;
        Ok(Run { state: RunState::Running, ..run })
    }
}

fn continued(run: Run) -> Result<Run> {
    if run.state == RunState::Running {
        return Ok(run);
    }
    let Run { id, campaign, state, reason, .. } = run;
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    Err(anyhow!(Refused(format!(
        "run {id} of '{campaign}' is {}{reason}\n  hint: colloquy resume {campaign}, or colloquy cancel {campaign}",
        state.as_str()
    ))))
}
