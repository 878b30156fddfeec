//! A claimed message in a sender's hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::domain::id::RunId;
use crate::domain::message::MessageState;
use crate::domain::profile::Profile;
use crate::domain::rate::Rate;
use crate::domain::time::Micros;
use crate::relay::throttle::Pass;
use crate::render::Mailing;
use crate::store::marks::MessageKey;
use crate::store::runs::Answered;

/// A claimed message that is older than this is claimed anew, so that permission is checked again.
const STALE: Duration = Duration::from_secs(8);

/// What all messages of a run share.
pub struct RunContext {
    /// Which run; [`RunId::NOTICES`] where these are notices of one kind.
    pub run: RunId,
    /// Its campaign's name.
    pub campaign: String,
    /// Part of the seed that draws offers.
    pub occasion: String,
    /// The instant at which the audience was judged.
    pub at: Micros,
    /// The campaign's own limit.
    pub throttle: Option<Rate>,
    /// The compiled templates.
    pub mailing: Mailing,
    /// What became of the messages that this node handled.
    pub tally: Tally,
    hand: AtomicUsize,
    level: AtomicUsize,
    drained: Notify,
    doubted: AtomicBool,
}

impl RunContext {
    /// A run that begins to be sent by this node.
    #[must_use]
    pub fn new(
        run: RunId,
        campaign: String,
        occasion: String,
        at: Micros,
        throttle: Option<Rate>,
        mailing: Mailing,
    ) -> Self {
        let (tally, hand, level, drained, doubted) = Default::default();
        Self { run, campaign, occasion, at, throttle, mailing, tally, hand, level, drained, doubted }
    }

    /// How many of its messages this node holds.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.hand.load(Ordering::Acquire)
    }

    /// Takes note that the answers for its addresses are doubted; whether they were not before.
    #[must_use]
    pub fn doubt(&self) -> bool {
        !self.doubted.swap(true, Ordering::AcqRel)
    }

    /// Waits until a message leaves the hand and no more than `level` are left in it. One task waits.
    pub async fn drained(&self, level: usize) {
        self.level.store(level, Ordering::Release);
        self.drained.notified().await;
    }
}

/// Counts by state, of this node and this process.
#[derive(Debug, Default)]
pub struct Tally([AtomicU64; MessageState::ALL.len()]);

impl Tally {
    /// One more message in a state.
    pub fn add(&self, state: MessageState) {
        self.0[Self::slot(state)].fetch_add(1, Ordering::Relaxed);
    }

    /// How many ended in a state so far.
    #[must_use]
    pub fn get(&self, state: MessageState) -> u64 {
        self.0[Self::slot(state)].load(Ordering::Relaxed)
    }

    /// How many attempts ended, whichever way.
    #[must_use]
    pub fn outcomes(&self) -> u64 {
        use MessageState::{Accepted, Deferred, Rejected, Unknown};
        [Accepted, Deferred, Rejected, Unknown].into_iter().map(|s| self.get(s)).sum()
    }

    /// How many this node is done with for now: whose attempt has ended, or who were skipped.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.outcomes() + self.get(MessageState::Skipped)
    }

    /// How many were answered for good.
    #[must_use]
    pub fn answered(&self) -> Answered {
        use MessageState::{Accepted, Rejected, Unknown};
        let all = [Accepted, Rejected, Unknown].into_iter().map(|s| self.get(s)).sum();
        Answered { all, rejected: self.get(Rejected) }
    }

    fn slot(state: MessageState) -> usize {
        MessageState::ALL.iter().position(|s| *s == state).unwrap_or_default()
    }
}

/// A claimed message. While it lives, it counts as in its run's hand.
pub struct Job {
    /// Its run.
    pub context: Arc<RunContext>,
    /// Its recipient.
    pub profile: Profile,
    /// Attempts before this one.
    pub attempts: i64,
    /// When the first attempt was made, if there was one.
    pub first_at: Option<Micros>,
    /// What it took from the limits.
    pub pass: Pass,
    claimed: Instant,
    turned_away: bool,
}

impl Job {
    /// Takes a claimed message in hand.
    #[must_use]
    pub fn new(context: Arc<RunContext>, profile: Profile, attempts: i64, first_at: Option<Micros>) -> Self {
        context.hand.fetch_add(1, Ordering::AcqRel);
        let (pass, turned_away) = Default::default();
        Self { context, profile, attempts, first_at, pass, claimed: Instant::now(), turned_away }
    }

    /// Whether it must be claimed again: permission was checked too long ago, or the relay that it was
    /// meant for takes nothing more today.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.turned_away || self.claimed.elapsed() > STALE
    }

    /// Whether somebody waits for it who asked for it: it goes ahead of all messages.
    #[must_use]
    pub fn is_notice(&self) -> bool {
        self.context.run == RunId::NOTICES
    }

    /// The campaign whose limit counts.
    #[must_use]
    pub fn campaign(&self) -> Option<&str> {
        (!self.is_notice()).then_some(self.context.campaign.as_str())
    }

    /// The same, which must be claimed again.
    #[must_use]
    pub fn turned_away(mut self) -> Self {
        self.turned_away = true;
        self
    }

    /// Which message.
    #[must_use]
    pub fn key(&self) -> MessageKey {
        MessageKey { run: self.context.run, recipient: self.profile.recipient }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let left = self.context.hand.fetch_sub(1, Ordering::AcqRel) - 1;
        if left <= self.context.level.load(Ordering::Acquire) {
            self.context.drained.notify_one();
        }
    }
}
