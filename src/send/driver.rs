//! Drives one run: claims while messages may leave, never more than five seconds of work, and hands it to the relays.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::claiming::CLAIM;
use super::pace::Pace;
use super::part::Part;
use super::{Prepared, Sender, rejections};
use crate::domain::run::RunState;
use crate::domain::time::Micros;
use crate::store::claims::{self, Claim, Over, Rest};
use crate::store::runs::{Answered, Run, Wait};
use crate::store::{Result, expired, runs, waves};

/// How often an idle run looks whether something has changed.
const LOOK: Duration = Duration::from_millis(500);

/// How often a run with messages in hand looks whether more can be claimed.
const FOLLOW: Duration = Duration::from_millis(100);

/// How soon a run looks again at the earliest when something is due.
const SOON: Duration = Duration::from_millis(10);

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

impl Ended {
    /// Others have brought the run into this state.
    fn by_others(state: RunState) -> Self {
        if state == RunState::Done { Self::Done } else { Self::Halted(state) }
    }
}

/// A run in progress on this node.
pub(super) struct Driver<'a> {
    pub sender: &'a Sender,
    pub run: Run,
    pub prepared: &'a Prepared,
    /// Whether to wait for deferred messages.
    pub to_the_end: bool,
    /// What is claimed from: all of the audience, or its waves.
    pub parts: Vec<Part>,
}

impl<'a> Driver<'a> {
    pub async fn new(sender: &'a Sender, run: Run, prepared: &'a Prepared, to_the_end: bool) -> Result<Self> {
        let waves = waves::of(&mut sender.store.read().await?, run.id).await?;
        let parts = Part::all_of(&run, &prepared.times, &waves);
        Ok(Self { sender, run, prepared, to_the_end, parts })
    }

    pub async fn drive(mut self) -> super::Result<Ended> {
        let mut pace = Pace::new();
        let earlier = self.answered_earlier().await?;
        loop {
            if self.sender.soft.is_cancelled() {
                return Ok(Ended::Stopped);
            }
            if let Some(ended) = self.pause_when_rejected(earlier).await? {
                return Ok(ended);
            }
            let now = self.sender.clock.now();
            if let Some(part) = self.parts.iter().find(|part| part.opens_again(now, self.run.any_hour)) {
                self.open_again(part.wave, now).await?;
                if let Some(ended) = self.stopped().await? {
                    return Ok(ended);
                }
                continue;
            }
            let waits: Vec<_> = self.parts.iter().map(|part| part.waits(now, self.run.any_hour)).collect();
            let missed = |part: usize| Some((part, self.parts[part].missed(now, waits[part])?));
            if let Some((part, reason)) = (0..self.parts.len()).find_map(missed) {
                self.expire(part, &reason, now).await?;
                if let Some(ended) = self.stopped().await? {
                    return Ok(ended);
                }
                continue;
            }
            if waits.iter().all(Option::is_some) {
                if let Some(ended) = self.wait_for_time(&waits).await? {
                    return Ok(ended);
                }
                continue;
            }
            let ceiling = self.sender.ceiling(&self.prepared.context);
            if !self.sender.lanes.any_up(&self.sender.throttle)? || ceiling <= 0.0 {
                if let Some(ended) = self.wait_for_relays().await? {
                    return Ok(ended);
                }
                continue;
            }
            pace.measure(self.prepared.context.tally.done(), ceiling, Instant::now());
            let window = pace.window();
            let worthwhile = (window / 2).clamp(1, CLAIM);
            let free = window.saturating_sub(self.prepared.context.in_hand()).min(CLAIM);
            if free < worthwhile {
                self.wait(window - worthwhile, FOLLOW).await;
                continue;
            }
            let (mut room, mut moved) = (free, false);
            for part in (0..self.parts.len()).filter(|part| waits[*part].is_none()) {
                match self.claim(part, room, now).await? {
                    Claim::Taken(claimed) => {
                        room -= claimed.len();
                        self.sender.metrics.claimed(claimed.len() as u64);
                        self.line_up(part, claimed).await?;
                    }
                    Claim::Moved(cursor, all) => {
                        self.parts[part].follow(cursor, all);
                        moved = true;
                    }
                    Claim::Stopped(state) => {
                        self.give_back_all(state).await?;
                        return Ok(Ended::by_others(state));
                    }
                    Claim::TooLate => self.close(part, Over::TooLate, now).await?,
                }
                if room == 0 {
                    break;
                }
            }
            if room < free {
                self.note(None).await?;
            } else if !moved && let Some(ended) = self.rest(&waits).await? {
                return Ok(ended);
            }
        }
    }

    /// When nothing was claimed: looks whether the run is over, and else waits a little.
    async fn rest(&mut self, waits: &[Option<Wait>]) -> Result<Option<Ended>> {
        let open = |(part, wait): (&Part, &Option<Wait>)| wait.is_none() && !part.claimed_all;
        if self.parts.iter().zip(waits).any(open) {
            return Ok(None);
        }
        if self.prepared.context.in_hand() > 0 {
            self.wait(0, FOLLOW).await;
        } else if self.parts.iter().all(|part| part.claimed_all) {
            // What is due in a part that waits for its hours is no reason to hurry.
            let least = if waits.iter().any(Option::is_some) { LOOK } else { SOON };
            return self.end(least).await;
        } else {
            self.note(self.next(waits)).await?;
            self.wait(0, LOOK).await;
        }
        Ok(None)
    }

    /// What the run waits for, as its parts do: the first of those that are not claimed, if there are any.
    fn next(&self, waits: &[Option<Wait>]) -> Option<Wait> {
        let first = |all: bool| {
            let parts = self.parts.iter().zip(waits).filter(|(part, _)| all || !part.claimed_all);
            parts.filter_map(|(_, wait)| *wait).min_by_key(|wait| wait.until)
        };
        first(false).or_else(|| first(true))
    }

    /// Expires the run unless it has begun, or counts the people of a wave that has not. Where others were
    /// faster, the run is read anew.
    async fn expire(&mut self, part: usize, reason: &str, now: Micros) -> Result<()> {
        if self.parts[part].wave != 0 {
            return self.close(part, Over::Expired, now).await;
        }
        let mut tx = self.sender.store.write().await?;
        let expired = runs::expire(&mut tx, &self.run, reason, now).await?;
        tx.commit().await?;
        if expired {
            warn!(run = %self.run.id, campaign = self.run.campaign, reason, "the run expires");
            self.run.state = RunState::Expired;
            return Ok(());
        }
        self.look_again().await
    }

    /// Opens a wave again that expired by a clock that was ahead.
    async fn open_again(&mut self, wave: i64, now: Micros) -> Result<()> {
        let mut tx = self.sender.store.write().await?;
        if expired::open_wave(&mut tx, self.run.id, wave, now).await? {
            info!(run = %self.run.id, campaign = self.run.campaign, wave, "the wave had expired by a wrong clock and goes on");
        }
        tx.commit().await?;
        self.look_again().await
    }

    /// How it ended, when the run as it was read last does not go on.
    async fn stopped(&self) -> Result<Option<Ended>> {
        if self.run.state == RunState::Running {
            return Ok(None);
        }
        self.give_back_all(self.run.state).await?;
        Ok(Some(Ended::by_others(self.run.state)))
    }

    /// While no relay takes mail from this node, for hours perhaps: looks whether the run is stopped or over.
    async fn wait_for_relays(&mut self) -> Result<Option<Ended>> {
        self.look_again().await?;
        if let Some(ended) = self.stopped().await? {
            return Ok(Some(ended));
        }
        // Who waits for a part of the limits will have one; nothing is over before.
        let idle = self.parts.iter().all(|part| part.claimed_all) && self.prepared.context.in_hand() == 0;
        if idle && self.sender.throttle.holds_share() {
            return self.end(LOOK).await;
        }
        self.wait(0, LOOK).await;
        Ok(None)
    }

    /// Notes what the run waits for, where that is news.
    async fn note(&mut self, wait: Option<Wait>) -> Result<()> {
        if self.run.wait == wait {
            return Ok(());
        }
        let mut tx = self.sender.store.write().await?;
        runs::set_wait(&mut tx, self.run.id, wait).await?;
        tx.commit().await?;
        self.run.wait = wait;
        match wait {
            Some(Wait { reason, until }) => {
                let reason = reason.as_str();
                info!(run = %self.run.id, campaign = self.run.campaign, reason, %until, "the run waits");
            }
            None => info!(run = %self.run.id, campaign = self.run.campaign, "the run waits no longer"),
        }
        Ok(())
    }

    /// While nothing may leave: gives back what is in hand, and looks whether the run is stopped, over, or let go.
    async fn wait_for_time(&mut self, waits: &[Option<Wait>]) -> Result<Option<Ended>> {
        self.note(self.next(waits)).await?;
        for job in self.sender.lanes.take_run(self.run.id) {
            self.sender.wait_again(&job, Duration::ZERO).await;
        }
        if self.parts.iter().all(|part| part.claimed_all) && self.prepared.context.in_hand() == 0 {
            if let Some(ended) = self.end(LOOK).await? {
                return Ok(Some(ended));
            }
        } else {
            self.wait(0, LOOK).await;
        }
        self.look_again().await?;
        self.stopped().await
    }

    /// Reads the run anew: others may have stopped it, let it go, or claimed from it.
    pub(super) async fn look_again(&mut self) -> Result<()> {
        let mut reader = self.sender.store.read().await?;
        let Some(run) = runs::by_id(&mut reader, self.run.id).await? else { return Ok(()) };
        let waves = waves::of(&mut reader, run.id).await?;
        self.run = run;
        for (part, fresh) in self.parts.iter_mut().zip(Part::all_of(&self.run, &self.prepared.times, &waves)) {
            part.refresh(fresh);
        }
        Ok(())
    }

    /// What remains when nothing can be claimed and nothing is in hand. Looks again after `least` at the
    /// earliest.
    async fn end(&mut self, least: Duration) -> Result<Option<Ended>> {
        self.sender.ledger.flush().await;
        let rest: Rest = claims::rest(&mut self.sender.store.read().await?, self.run.id, self.sender.node).await?;
        if rest.own > 0 {
            self.sender.release_strays(&self.prepared.context).await?;
            return Ok(None);
        }
        if rest.held == 0 && rest.waiting == 0 && rest.deferred == 0 {
            let missed = self.missed().await?;
            let mut tx = self.sender.store.write().await?;
            runs::lock(&mut tx, self.run.id).await?;
            if waves::of(&mut tx, self.run.id).await?.iter().any(|wave| !wave.claimed_all) {
                // Another node has opened a wave again.
                drop(tx);
                self.look_again().await?;
                return Ok(None);
            }
            let (over, reason) = if self.parts.iter().all(|part| part.expired.is_some()) {
                (RunState::Expired, Some("the time of every zone passed before it had begun"))
            } else {
                (RunState::Done, None)
            };
            let now = self.sender.clock.now();
            let ended = runs::change(&mut tx, self.run.id, RunState::Running, over, reason, now).await?;
            if ended && missed > 0 {
                waves::count_missed(&mut tx, self.run.id, missed).await?;
            }
            tx.commit().await?;
            if ended {
                info!(run = %self.run.id, campaign = self.run.campaign, state = over.as_str(), "run is over");
            }
            return Ok(Some(Ended::by_others(over)));
        }
        if !self.to_the_end && rest.held == 0 && rest.waiting == 0 {
            return Ok(Some(Ended::OnlyDeferred(rest.deferred)));
        }
        let pause = rest.pause(self.sender.clock.now()).unwrap_or(LOOK).clamp(least, LOOK);
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
            (limit * 10_000.0).round() / 100.0
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
