//! The service's view of time: makes a run for every occasion that has come, and sends what is due.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::{Error, Result, Sender};
use crate::clock::Spell;
use crate::config::{self, Loaded, ProjectFiles};
use crate::domain::campaign::{Campaign, Schedule, When};
use crate::domain::id::{RunId, VersionId};
use crate::domain::occasion::{self, Occasion};
use crate::domain::run::RunState;
use crate::domain::time::Micros;
use crate::store::runs::{self, NewRun, Run};
use crate::store::{self, Session, returns, versions, waves};

/// How often the service looks what is due.
const LOOK: Duration = Duration::from_secs(1);

/// The applied version, read once.
pub(super) struct Applied {
    pub(super) version: VersionId,
    since: Micros,
    pub(super) loaded: Loaded,
}

impl Sender {
    /// Sends notices, runs campaigns at their time, and whatever run is open, until the soft stop.
    pub async fn serve(self: &Arc<Self>) {
        let mut applied: Option<Applied> = None;
        let driven: Arc<Mutex<HashSet<RunId>>> = Arc::default();
        let mut spell = Spell::default();
        let tasks = TaskTracker::new();
        let sender = Arc::clone(self);
        tasks.spawn(async move { sender.send_notices().await });
        while !self.soft.is_cancelled() {
            match self.round(&mut applied, &driven, &tasks).await {
                Ok(()) if spell.ended() => info!("the scheduler goes on"),
                Err(error) if spell.failed() => warn!(%error, "the scheduler waits"),
                _ => {}
            }
            tokio::select! {
                () = self.soft.cancelled() => {}
                () = self.clock.sleep(LOOK) => {}
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    async fn round(
        self: &Arc<Self>,
        applied: &mut Option<Applied>,
        driven: &Arc<Mutex<HashSet<RunId>>>,
        tasks: &TaskTracker,
    ) -> Result<()> {
        self.refresh(applied).await?;
        if let Some(applied) = applied {
            self.make_due_runs(applied).await?;
        }
        self.open_again(applied.as_ref()).await?;
        for run in runs::open(&mut self.store.read().await?).await? {
            if run.state != RunState::Running || !driven.lock().await.insert(run.id) {
                continue;
            }
            let (sender, driven) = (Arc::clone(self), Arc::clone(driven));
            tasks.spawn(async move {
                let id = run.id;
                if let Err(error) = sender.drive_open(run).await {
                    sender.leave(id, &error).await;
                }
                driven.lock().await.remove(&id);
            });
        }
        Ok(())
    }

    async fn drive_open(&self, run: Run) -> Result<()> {
        info!(run = %run.id, campaign = run.campaign, "run goes on");
        let prepared = self.prepare(&run).await?;
        let ended = self.send(run.clone(), &prepared, true).await?;
        info!(run = %run.id, campaign = run.campaign, ?ended, "run left");
        Ok(())
    }

    /// Leaves a run that cannot be sent: what may pass is tried again in the next round, and what will
    /// not pauses the run, so that somebody sees to it and the others go on.
    async fn leave(&self, run: RunId, error: &Error) {
        if error.may_pass() {
            return warn!(%run, %error, "the run waits");
        }
        let told = match error {
            Error::Relay { relay, source } => format!("relay '{relay}': {}", source.without_words()),
            other => other.to_string(),
        };
        match self.pause(run, &error.to_string()).await {
            Ok(()) => error!(%run, error = told, "the run cannot be sent and is paused"),
            Err(refused) => {
                warn!(%run, reason = told, error = %refused, "the run cannot be sent, and could not be paused");
            }
        }
    }

    async fn pause(&self, run: RunId, reason: &str) -> store::Result<()> {
        let mut tx = self.store.write().await?;
        runs::change(&mut tx, run, RunState::Running, RunState::Paused, Some(reason), self.clock.now()).await?;
        tx.commit().await
    }

    async fn refresh(&self, applied: &mut Option<Applied>) -> Result<()> {
        let mut session = self.store.read().await?;
        let Some((version, since)) = versions::applied(&mut session).await? else { return Ok(()) };
        if applied.as_ref().is_some_and(|a| a.version == version && a.since == since) {
            return Ok(());
        }
        let files = versions::files(&mut session, version).await?;
        match config::load(&ProjectFiles::Frozen(files)) {
            Ok(loaded) => {
                info!(version = %version, campaigns = loaded.campaigns.len(), "this version is sent from now on");
                *applied = Some(Applied { version, since, loaded });
            }
            Err(problems) => error!(version = %version, %problems, "the applied version cannot be used"),
        }
        Ok(())
    }

    async fn make_due_runs(&self, applied: &Applied) -> Result<()> {
        let now = self.clock.now();
        for campaign in applied.loaded.campaigns.values() {
            let Some(schedule) = &campaign.schedule else { continue };
            for occasion in occasion::current(schedule, &campaign.timing, now) {
                self.make_due_run(applied, campaign, schedule, occasion, now).await?;
            }
        }
        Ok(())
    }

    /// Makes the run of an occasion that has begun, unless it has one.
    async fn make_due_run(
        &self,
        applied: &Applied,
        campaign: &Campaign,
        schedule: &Schedule,
        occasion: Occasion,
        now: Micros,
    ) -> Result<()> {
        let mut reader = self.store.read().await?;
        let recurs = matches!(schedule.when, When::Every(_));
        if !versions::is_missing(&mut reader, &campaign.name, occasion, recurs, applied.since).await? {
            return Ok(());
        }
        drop(reader);
        self.make_run(campaign, schedule, applied.version, occasion, now).await
    }

    /// Why a run must wait for a person: too much came back of the one before it.
    pub(super) async fn came_back(&self, tx: &mut Session, run: &Run) -> store::Result<Option<String>> {
        let Some((last, returned)) = returns::of_run_before(tx, &run.campaign, run.id).await? else { return Ok(None) };
        let reason = self.limits().returns.exceeded(returned);
        Ok(reason.map(|reason| format!("run {last}, the one before: {reason}")))
    }

    async fn make_run(
        &self,
        campaign: &Campaign,
        schedule: &Schedule,
        version: VersionId,
        occasion: Occasion,
        now: Micros,
    ) -> Result<()> {
        let latest = occasion.last().plus(schedule.latest_start);
        let waves = occasion.waves(&campaign.timing);
        let occasion = occasion.to_string();
        let state = RunState::Scheduled;
        let new =
            NewRun { campaign: &campaign.name, topic: &campaign.topic, occasion: &occasion, version, state, at: now };
        let mut tx = self.store.write().await?;
        if runs::create(&mut tx, new).await?
            && let Some(run) = runs::by_occasion(&mut tx, &campaign.name, &occasion).await?
        {
            waves::create(&mut tx, run.id, &waves).await?;
            if now > latest {
                let reason = format!("it had not begun by {latest}, its latest start");
                warn!(campaign = campaign.name, occasion, reason, "the run expires");
                runs::change(&mut tx, run.id, state, RunState::Expired, Some(&reason), now).await?;
            } else {
                runs::change(&mut tx, run.id, state, RunState::Running, None, now).await?;
                info!(campaign = campaign.name, occasion, run = %run.id, "run begins");
                self.pause_after_returns(&mut tx, &run, now).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }
}
