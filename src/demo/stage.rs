//! The running parts of the demonstration, and the acts that are played on them.

mod set;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::crowd::Crowd;
use super::findings::{self, Findings, Sent};
use super::project::DemoProject;
use super::readers::Readers;
use crate::app::App;
use crate::domain::message::MessageState;
use crate::lifecycle::Stop;
use crate::score::{Mode, Options as ScoreOptions, Scorer};
use crate::send::{Ended, Prepared, Sender};
use crate::services::Services;
use crate::store::reports::{HitCounts, RunReport, Which, population, runs_report};
use crate::store::runs::Run;
use crate::store::{Store, score};

const DAY: Duration = Duration::from_secs(86_400);
/// Days between the two mailings, and after the second.
const DAYS: u32 = 7;
/// The clock while hits settle: the judge waits three seconds of it.
const SETTLING: f64 = 60.0;
/// When deferred messages are tried again by hand.
const RETRY: Duration = Duration::from_secs(3_600);
/// How often something is looked at that should happen soon.
const LOOK: Duration = Duration::from_millis(50);
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything that runs.
pub(super) struct Stage {
    app: Arc<App>,
    project: DemoProject,
    store: Store,
    services: Services,
    sender: Sender,
    stop: Stop,
    crowd: Arc<Crowd>,
    readers: Readers,
    catcher: CancellationToken,
    /// The clock's speed while readers take their time.
    fast: f64,
    begun: Instant,
}

impl Stage {
    /// Sends a campaign as `colloquy send` does, and again what was deferred when its time has come.
    pub async fn send(&self, campaign: &str, say: &mut impl FnMut(&str)) -> Result<Sent> {
        let run = self.app.begin(&self.store, self.app.campaign(campaign)?, false).await?;
        let prepared = self.sender.prepare(&run).await?;
        let begun = Instant::now();
        let (ended, counted) =
            tokio::join!(self.sender.send(run.clone(), &prepared, false), self.sender.count(&run, &prepared));
        counted?;
        let seconds = begun.elapsed().as_secs_f64();
        let tally = &prepared.context.tally;
        let outcomes = tally.outcomes();
        let figures = [MessageState::Accepted, MessageState::Deferred, MessageState::Rejected]
            .map(|state| format!("{} {}", tally.get(state), state.as_str()));
        say(&format!(
            "\n{campaign}: {outcomes} messages in {seconds:.1} s over SMTP ({:.0}/s): {}",
            outcomes as f64 / seconds,
            figures.join(", ")
        ));
        self.arrived(&prepared).await?;
        let retried = self.retry(run.clone(), &prepared, ended?).await?;
        if retried > 0 {
            say(&format!("  an hour later the deferred were tried again: {retried} accepted"));
        }
        self.app.clock.set_factor(self.fast);
        Ok(Sent { run: run.id, at: run.at, outcomes, seconds })
    }

    /// Waits until every accepted message was read into the readers' plans, and scanners have had
    /// their look, before days begin to pass.
    async fn arrived(&self, prepared: &Prepared) -> Result<()> {
        let campaign = &prepared.context.campaign;
        let before = self.readers.received().iter().filter(|letter| letter.campaign != *campaign).count();
        let accepted = usize::try_from(prepared.context.tally.get(MessageState::Accepted))?;
        until("the mails arrive", async || {
            Ok(self.readers.letters() >= before + accepted && self.readers.visited().in_flight() == 0)
        })
        .await
    }

    async fn retry(&self, run: Run, prepared: &Prepared, mut ended: Ended) -> Result<u64> {
        let accepted = || prepared.context.tally.get(MessageState::Accepted);
        let before = accepted();
        loop {
            match ended {
                Ended::Done => return Ok(accepted() - before),
                Ended::OnlyDeferred(_) => {
                    self.app.clock.set_factor(self.fast);
                    self.app.clock.sleep(RETRY).await;
                    self.app.clock.set_factor(1.0);
                }
                Ended::Halted(_) | Ended::Stopped => bail!("the run of {} was stopped", run.campaign),
            }
            ended = self.sender.send(run.clone(), prepared, false).await?;
        }
    }

    /// Lets a week pass, then waits until all that was done in it is known.
    pub async fn week(&self, sent: &Sent, say: &mut impl FnMut(&str)) -> Result<()> {
        say("  day    opened   clicked   pixel hits  link hits   with a score   in a cluster");
        for day in 1..=DAYS {
            let end = sent.at.plus(DAY * day);
            self.app.clock.sleep(end.since(self.app.clock.now())).await;
            if day == DAYS {
                self.app.clock.set_factor(SETTLING);
                self.settle().await?;
            }
            say(&self.day(day, sent).await?);
        }
        self.app.clock.set_factor(1.0);
        Ok(())
    }

    /// One line about what is known by the end of a day.
    async fn day(&self, day: u32, sent: &Sent) -> Result<String> {
        let mut session = self.store.read().await?;
        let report = runs_report(&mut session, Which::Run(sent.run)).await?.remove(0);
        let scale = score::scale(&mut session).await?;
        let warm = self.app.loaded.project.score.warm;
        let people = population(&mut session, scale.as_ref(), warm, self.app.clock.now()).await?;
        let clustered: i64 = people.clusters.iter().filter(|c| c.cluster.is_some()).map(|c| c.recipients).sum();
        let (opens, clicks) = (&report.opens, &report.clicks);
        Ok(format!(
            "  {day:>3} {:>9} {:>9} {:>12} {:>10} {:>14} {clustered:>14}",
            opens.human.messages,
            clicks.human.messages,
            findings::total(opens),
            findings::total(clicks),
            people.scored
        ))
    }

    /// Waits until every hit that was answered is in the database, judged and scored.
    async fn settle(&self) -> Result<()> {
        until("the hits are judged and scored", async || {
            if self.readers.visited().in_flight() > 0 {
                return Ok(false);
            }
            let answered = self.readers.visited().hits();
            let mut session = self.store.read().await?;
            let reports = runs_report(&mut session, Which::Status).await?;
            let counts = |of: fn(&HitCounts) -> i64| -> i64 {
                reports.iter().map(|RunReport { opens, clicks, .. }| of(opens) + of(clicks)).sum()
            };
            let (stored, unjudged) = (counts(findings::total), counts(|hits| hits.unjudged.total));
            let waiting = score::backlog(&mut session, self.app.clock.now()).await?.actions;
            Ok(u64::try_from(stored)? == answered && unjudged == 0 && waiting == 0)
        })
        .await
    }

    /// Reads what came of it all.
    pub async fn findings(&self, sent: [Sent; 2]) -> Result<Findings> {
        let options = ScoreOptions::from(&self.app.loaded.project);
        let scorer = Scorer::new(self.store.clone(), self.app.clock.clone(), options);
        let checked = scorer.rebuild(Mode::Check, |_| {}).await?;
        let received = self.readers.received();
        let visited = self.readers.visited();
        let mut findings = findings::gather(&self.store, &self.app, &self.crowd, &received, sent).await?;
        findings.checked = checked;
        (findings.hits, findings.left, findings.failed) = (visited.hits(), visited.left(), visited.failed());
        findings.seconds = self.begun.elapsed().as_secs_f64();
        Ok(findings)
    }

    /// Ends everything in order, and leaves the project as one that works alone.
    pub async fn strike(self) -> Result<()> {
        self.stop.soft.cancel();
        self.sender.finish().await;
        self.services.finished().await;
        self.catcher.cancel();
        self.project.leave()
    }
}

/// Looks again and again whether something has come about.
async fn until(what: &str, mut done: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !done().await? {
        if begun.elapsed() > PATIENCE {
            bail!("{} seconds were not enough until {what}", PATIENCE.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
