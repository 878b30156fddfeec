//! One limit: governor's GCRA on tokio's clock, with a state that is proposed first and committed
//! once every other limit has agreed.
//!
//! GCRA with an interval `T` and a tolerance `τ` admits at most `k + 1` messages in a half-open
//! window of length `w` where `k·T − τ < w`. So with `T = (w + τ)/N` no window holds more than
//! `N`, and `N·w/(w + τ)` of them are used as long as timers are late by no more than `τ`. τ is
//! [`SLACK`], which costs 2 % of a limit per second and next to nothing of longer ones.
//!
//! governor's tolerance is a whole number of intervals, hence a message here weighs many cells.

use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, RateLimiter, StateStore};
use governor::{InsufficientCapacity, Quota};
use tokio::time::Instant;

use crate::domain::rate::Rate;

/// How late a timer may be without a part of the limit being lost.
pub(super) const SLACK: Duration = Duration::from_millis(20);

/// A cell is about so long, where messages are further apart.
const CELL: Duration = Duration::from_millis(1);

/// A limit and what has been used of it.
#[derive(Debug)]
pub(super) struct Limiter {
    rate: Rate,
    start: Instant,
    weight: NonZeroU32,
    state: State,
    limiter: RateLimiter<NotKeyed, State, State, NoOpMiddleware<Nanos>>,
}

impl Limiter {
    /// A limit of which nothing has been used. Times before `start` do not exist for it.
    pub(super) fn new(rate: Rate, start: Instant) -> Self {
        Self::with_used(rate, start, 0)
    }

    fn with_used(rate: Rate, start: Instant, used_until: u64) -> Self {
        let interval = (rate.per + SLACK).as_nanos().div_ceil(u128::from(rate.count.max(1)));
        let weight = u32::try_from(interval / CELL.as_nanos()).unwrap_or(u32::MAX);
        let weight = NonZeroU32::new(weight).unwrap_or(NonZeroU32::MIN);
        let cell = interval.div_ceil(u128::from(weight.get()));
        let tolerance = u32::try_from(SLACK.as_nanos() / cell).unwrap_or(u32::MAX);
        let quota = Quota::with_period(Duration::from_nanos(u64::try_from(cell).unwrap_or(u64::MAX)))
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
            .allow_burst(weight.saturating_add(tolerance));
        // The limiter reads the clock of a new state as its start: zero.
        let state = State::default();
        let limiter = RateLimiter::new(quota, state.clone(), state.clone());
        state.used_until.store(used_until, Ordering::Relaxed);
        Self { rate, start, weight, state, limiter }
    }

    /// What it allows. Of a count of zero nothing may be asked.
    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes on another rate. What was used stays used, so that a change frees nothing.
    pub(super) fn set(&mut self, rate: Rate) {
        if rate != self.rate {
            *self = Self::with_used(rate, self.start, self.state.used_until.load(Ordering::Relaxed));
        }
    }

    /// Lets nothing pass before this instant.
    pub(super) fn hold_until(&self, first: Instant) {
        let until = first.saturating_duration_since(self.start) + SLACK;
        let until = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        self.state.used_until.fetch_max(until, Ordering::Relaxed);
    }

    /// Asks for one message. `Err` says when to ask again. `Ok` changes nothing before
    /// [`Self::commit`].
    pub(super) fn propose(&self, now: Instant) -> Result<(), Instant> {
        let elapsed = now.saturating_duration_since(self.start).as_nanos();
        self.state.now.store(u64::try_from(elapsed).unwrap_or(u64::MAX), Ordering::Relaxed);
        match self.limiter.check_n(self.weight) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err(self.start + Duration::from(not_until.earliest_possible())),
            // Cannot be: the burst is never smaller than a message's weight.
            Err(InsufficientCapacity(_)) => Err(now + self.rate.per),
        }
    }

    /// Takes what was proposed last.
    pub(super) fn commit(&self) {
        self.state.used_until.store(self.state.proposed.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Whether it stands like a new one, so that it can be forgotten.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        let used_until = Duration::from_nanos(self.state.used_until.load(Ordering::Relaxed));
        self.start + used_until <= now
    }
}

/// The limiter's clock and GCRA's theoretical arrival times, in nanoseconds since the start. Those
/// who use it share a lock, so the order of loads and stores does not matter.
#[derive(Clone, Debug, Default)]
struct State(Arc<Times>);

#[derive(Debug, Default)]
struct Times {
    now: AtomicU64,
    used_until: AtomicU64,
    proposed: AtomicU64,
}

impl Deref for State {
    type Target = Times;

    fn deref(&self) -> &Times {
        &self.0
    }
}

impl Clock for State {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.now.load(Ordering::Relaxed))
    }
}

impl StateStore for State {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (decision, next) = decide(Some(Nanos::new(self.used_until.load(Ordering::Relaxed))))?;
        self.proposed.store(next.as_u64(), Ordering::Relaxed);
        Ok(decision)
    }
}
