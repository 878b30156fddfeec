//! Begins a run that sends another run's mail again.

use anyhow::{Result, anyhow};

use super::{App, Refused};
use crate::domain::campaign::Campaign;
use crate::domain::id::RunId;
use crate::domain::occasion::Occasion;
use crate::domain::resend::Resend;
use crate::domain::run::RunState;
use crate::store::runs::{self, NewRun, Run};
use crate::store::{Store, resends, waves};

impl App {
    /// The run of a campaign that is to be sent again: that of the number, or the last one that was
    /// sent.
    ///
    /// # Errors
    /// [`Refused`] when there is none, or when one of the campaign's runs is not over.
    pub async fn resendable(&self, store: &Store, campaign: &str, number: Option<i64>) -> Result<Run> {
        let all = runs::recent(&mut store.read().await?, Some(campaign)).await?;
        if let Some(open) = all.iter().find(|run| !run.state.is_final()) {
            let (id, state) = (open.id, open.state.as_str());
            let hint = format!("hint: `colloquy send {campaign}` ends it, `colloquy cancel {campaign}` gives it up");
            return Err(anyhow!(Refused(format!("run {id} of '{campaign}' is not over, it is {state}\n  {hint}"))));
        }
        let run = match number {
            Some(number) => all.into_iter().find(|run| run.id == RunId(number)),
            None => all.into_iter().find(|run| run.state != RunState::Expired && run.resend.is_none()),
        };
        run.ok_or_else(|| {
            let which = number.map_or_else(|| "no run that was sent".to_owned(), |number| format!("no run {number}"));
            let hint = format!("hint: `colloquy report {campaign} --json` lists its runs");
            anyhow!(Refused(format!("'{campaign}' has {which}\n  {hint}")))
        })
    }

    /// The occasion that this resend would have.
    ///
    /// # Errors
    /// [`Refused`] when it was done before and `again` is not set.
    pub async fn resend_occasion(&self, store: &Store, campaign: &str, resend: &Resend, again: bool) -> Result<String> {
        let mut session = store.read().await?;
        for nth in 1.. {
            let occasion = resend.occasion(nth);
            let Some(before) = runs::by_occasion(&mut session, campaign, &occasion).await? else {
                return Ok(occasion);
            };
            if !again {
                let (id, state) = (before.id, before.state.as_str());
                let hint = "hint: --again does it once more; `--run N` names another run";
                return Err(anyhow!(Refused(format!(
                    "this was resent before: run {id} ({occasion}) is {state}\n  {hint}"
                ))));
            }
        }
        unreachable!("there are more numbers than runs")
    }

    /// Begins it, over the files as they are now.
    ///
    /// # Errors
    /// When somebody else has just begun it, or the database refuses.
    pub async fn begin_resend(
        &self,
        store: &Store,
        campaign: &Campaign,
        resend: &Resend,
        occasion: &str,
    ) -> Result<Run> {
        let version = self.freeze(store).await?;
        let (name, topic, at) = (campaign.name.as_str(), campaign.topic.as_str(), self.clock.now());
        let new = NewRun { campaign: name, topic, occasion, version, state: RunState::Running, at };
        let mut tx = store.write().await?;
        if !resends::create(&mut tx, new, resend).await? {
            return Err(anyhow!(Refused(format!("somebody else has just begun {occasion} of '{name}'"))));
        }
        let run = runs::by_occasion(&mut tx, name, occasion).await?.ok_or_else(|| anyhow!("the run has gone"))?;
        waves::create(&mut tx, run.id, &Occasion::At(at).waves(&campaign.timing)).await?;
        tx.commit().await?;
        Ok(run)
    }
}
