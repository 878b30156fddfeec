//! Drives one run: claims what is due and the next part of the audience, never more than five
//! seconds of work, and hands it to the relays.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::job::Job;
use super::pace::Pace;
use super::{Prepared, Sender, rejections};
use crate::domain::id::RecipientId;
use crate::domain::run::RunState;
use crate::store::claims::{self, Claim, Claimant, Claimed, Next, Rest};
use crate::store::runs::{Answered, Run};
use crate::store::{Result, audience, profiles, runs};

/// People of the audience that are looked up at once; the first look is short, so that the first
/// message leaves at once.
const FIRST_PAGE: u32 = 500;
const PAGE: u32 = 5_000;

/// Messages that one transaction claims at most.
const CLAIM: usize = 500;

/// How often an idle run looks whether something has changed.
const LOOK: Duration = Duration::from_millis(500);

/// How often a run with messages in hand looks whether more can be claimed.
const FOLLOW: Duration = Duration::from_millis(100);

/// Outcomes after which the share of rejections is looked at.
const ENOUGH: u64 = 200;

/// How driving a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every message has its final state.
    Done,
    /// Nothing but deferred messages remains, and the caller does not wait for them.
    OnlyDeferred(i64),
    /// The run was paused or cancelled by somebody.
    Halted(RunState),
    /// This process stops; the run goes on later.
    Stopped,
}

/// A run in progress on this node.
pub(super) struct Driver<'a> {
    pub sender: &'a Sender,
    pub run: Run,
    pub prepared: &'a Prepared,
    /// Whether to wait for deferred messages.
    pub to_the_end: bool,
}

/// The part of the audience that was looked up and not yet claimed.
#[derive(Default)]
struct Ahead {
    people: VecDeque<RecipientId>,
    /// Nobody follows `people`.
    last: bool,
    looked: bool,
}

impl Driver<'_> {
    pub async fn drive(mut self) -> super::Result<Ended> {
        let mut pace = Pace::new();
        let earlier = self.answered_earlier().await?;
        let mut ahead = Ahead::default();
        loop {
            if self.sender.soft.is_cancelled() {
                return Ok(Ended::Stopped);
            }
            if let Some(ended) = self.pause_when_rejected(earlier).await? {
                return Ok(ended);
            }
            if !self.sender.lanes.any_up(&self.sender.throttle)? {
                self.wait(0, LOOK).await;
                continue;
            }
            let ceiling = self.sender.ceiling(&self.prepared.context);
            pace.measure(self.prepared.context.tally.done(), ceiling, Instant::now());
            let window = pace.window();
            let worthwhile = (window / 2).clamp(1, CLAIM);
            let free = window.saturating_sub(self.prepared.context.in_hand()).min(CLAIM);
            if free < worthwhile {
                self.wait(window - worthwhile, FOLLOW).await;
                continue;
            }
            let claimed = match self.claim(free, &mut ahead).await? {
                Claim::Taken(claimed) => claimed,
                Claim::Moved(cursor) => {
                    self.run.cursor = cursor;
                    ahead = Ahead::default();
                    continue;
                }
                Claim::Stopped(state) => {
                    self.give_back_all(state).await?;
                    return Ok(Ended::Halted(state));
                }
            };
            if claimed.is_empty() {
                if self.run.claimed_all {
                    if self.prepared.context.in_hand() > 0 {
                        self.wait(0, FOLLOW).await;
                    } else if let Some(ended) = self.end().await? {
                        return Ok(ended);
                    }
                }
                continue;
            }
            self.sender.metrics.claimed(claimed.len() as u64);
            self.line_up(claimed).await?;
        }
    }

    /// Claims what is due, and the next part of the audience as far as there is room.
    async fn claim(&mut self, free: usize, ahead: &mut Ahead) -> Result<Claim> {
        let claimant = Claimant {
            run: self.run.id,
            node: self.sender.node,
            topic: &self.run.topic,
            cap: self.sender.limits().frequency_cap,
            now: self.sender.clock.now(),
        };
        if ahead.people.is_empty() && !ahead.last && !self.run.claimed_all {
            let limit = if ahead.looked { PAGE } else { FIRST_PAGE };
            let mut reader = self.sender.store.read().await?;
            let scale = self.prepared.scale(&mut reader).await?;
            let page = audience::page(&mut reader, &self.prepared.audience(&scale), self.run.cursor, limit).await?;
            self.prepared.still(&mut reader, scale).await?;
            *ahead = Ahead { last: page.len() < limit as usize, people: page.into(), looked: true };
        }
        // A run that only waits for what was deferred leaves the writer to others.
        if self.run.claimed_all {
            let mut reader = self.sender.store.read().await?;
            if let Some(found) = claims::nothing_due(&mut reader, self.run.id, claimant.now).await? {
                return Ok(found);
            }
        }
        let mut tx = self.sender.store.write().await?;
        let mut claimed = match claims::take_due(&mut tx, claimant, free).await? {
            Claim::Taken(claimed) => claimed,
            other => {
                tx.rollback().await?;
                return Ok(other);
            }
        };
        let room = free - claimed.len();
        if self.run.claimed_all || room == 0 {
            tx.commit().await?;
            return Ok(Claim::Taken(claimed));
        }
        let all: &[_] = ahead.people.make_contiguous();
        let people = &all[..all.len().min(CLAIM)];
        let last = ahead.last && people.len() == all.len();
        let (claim, cursor) =
            claims::take_next(&mut tx, claimant, Next { cursor: self.run.cursor, people, last, room }).await?;
        let Claim::Taken(next) = claim else {
            tx.rollback().await?;
            return Ok(claim);
        };
        tx.commit().await?;
        claimed.extend(next);
        let done = ahead.people.partition_point(|id| *id <= cursor);
        ahead.people.drain(..done);
        self.run.cursor = cursor;
        self.run.claimed_all = ahead.last && ahead.people.is_empty();
        Ok(Claim::Taken(claimed))
    }

    /// Hands claimed messages to the relays' lanes.
    async fn line_up(&self, claimed: Vec<Claimed>) -> Result<()> {
        let people: Vec<_> = claimed.iter().map(|m| m.recipient).collect();
        let Prepared { context, affinities, .. } = self.prepared;
        let found = async {
            let mut reader = self.sender.store.read().await?;
            let scale = self.prepared.scale(&mut reader).await?;
            let found = profiles::profiles_at(&mut reader, &people, context.at, &scale, *affinities).await?;
            self.prepared.still(&mut reader, scale).await?;
            Ok(found)
        };
        let profiles = match found.await {
            Ok(profiles) => profiles,
            Err(error) => {
                for message in claimed {
                    self.sender.release(self.run.id, message.recipient).await;
                }
                return Err(error);
            }
        };
        let mut profiles: HashMap<_, _> = profiles.into_iter().map(|p| (p.recipient, p)).collect();
        for message in claimed {
            let Some(profile) = profiles.remove(&message.recipient) else {
                // Erased between the claim and here.
                self.sender.skip(self.run.id, message.recipient, "no_consent").await;
                continue;
            };
            let job = Job::new(Arc::clone(&self.prepared.context), profile, message.attempts, message.first_at);
            self.sender.dispatch(job).await;
        }
        Ok(())
    }

    /// What remains when nothing can be claimed and nothing is in hand.
    async fn end(&self) -> Result<Option<Ended>> {
        self.sender.ledger.flush().await;
        let rest: Rest = claims::rest(&mut self.sender.store.read().await?, self.run.id, self.sender.node).await?;
        if rest.own > 0 {
            self.sender.release_strays(&self.prepared.context).await?;
            return Ok(None);
        }
        if rest.held == 0 && rest.waiting == 0 && rest.deferred == 0 {
            let mut tx = self.sender.store.write().await?;
            let done =
                runs::change(&mut tx, self.run.id, RunState::Running, RunState::Done, None, self.sender.clock.now())
                    .await?;
            tx.commit().await?;
            if done {
                info!(run = %self.run.id, campaign = self.run.campaign, "run is done");
            }
            return Ok(Some(Ended::Done));
        }
        if !self.to_the_end && rest.held == 0 && rest.waiting == 0 {
            return Ok(Some(Ended::OnlyDeferred(rest.deferred)));
        }
        let pause = rest.pause(self.sender.clock.now()).unwrap_or(LOOK).clamp(Duration::from_millis(10), LOOK);
        self.wait(0, pause).await;
        Ok(None)
    }

    /// How messages were answered that this process's tally does not know.
    async fn answered_earlier(&self) -> Result<Answered> {
        let stored = runs::answered(&mut self.sender.store.read().await?, self.run.id).await?;
        let own = self.prepared.context.tally.answered();
        let all = stored.all.saturating_sub(own.all);
        Ok(Answered { all, rejected: stored.rejected.saturating_sub(own.rejected) })
    }

    /// Pauses the run when too many of its messages are rejected, by this process or `earlier`.
    async fn pause_when_rejected(&self, earlier: Answered) -> Result<Option<Ended>> {
        let limit = self.prepared.pause_at_rejections.or(self.sender.limits().pause_at_rejections);
        let Some(limit) = limit else { return Ok(None) };
        let own = self.prepared.context.tally.answered();
        let (rejected, outcomes) = (earlier.rejected + own.rejected, earlier.all + own.all);
        if outcomes < ENOUGH || rejected as f64 <= limit * outcomes as f64 {
            return Ok(None);
        }
        // What this process was told last may not be stored yet.
        self.sender.ledger.flush().await;
        let most = rejections::most_frequent(&runs::rejected(&mut self.sender.store.read().await?, self.run.id).await?);
        let reason = format!(
            "{rejected} of {outcomes} messages were rejected, more than the {}% of pause_at_rejections{most}",
            limit * 100.0
        );
        warn!(run = %self.run.id, campaign = self.run.campaign, reason, "run pauses itself");
        let mut tx = self.sender.store.write().await?;
        let now = self.sender.clock.now();
        runs::change(&mut tx, self.run.id, RunState::Running, RunState::Paused, Some(&reason), now).await?;
        tx.commit().await?;
        self.give_back_all(RunState::Paused).await?;
        Ok(Some(Ended::Halted(RunState::Paused)))
    }

    /// Gives back what has not begun: it waits, or is skipped when the run is over.
    async fn give_back_all(&self, state: RunState) -> Result<()> {
        for job in self.sender.lanes.take_run(self.run.id) {
            if state.is_final() {
                self.sender.skip(self.run.id, job.profile.recipient, state.as_str()).await;
            } else {
                self.sender.wait_again(&job, Duration::ZERO).await;
            }
        }
        // After the soft stop the sender's end sees to the rest.
        while self.prepared.context.in_hand() > 0 && !self.sender.soft.is_cancelled() {
            self.wait(0, LOOK).await;
        }
        self.sender.ledger.flush().await;
        if state == RunState::Cancelled {
            self.skip_what_came_back().await?;
        }
        Ok(())
    }

    /// Skips what was on its way to the wire at the cancel and came back since.
    async fn skip_what_came_back(&self) -> Result<()> {
        let mut tx = self.sender.store.write().await?;
        runs::skip_open_messages(&mut tx, self.run.id, self.sender.clock.now()).await?;
        tx.commit().await
    }

    /// Waits until no more than `level` messages are in hand, or for `pause`, or for the soft stop.
    async fn wait(&self, level: usize, pause: Duration) {
        tokio::select! {
            () = self.prepared.context.drained(level) => {}
            () = self.sender.clock.sleep(pause) => {}
            () = self.sender.soft.cancelled() => {}
        }
    }
}
