//! The lanes of the relays in use. They change when another version governs.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::job::Job;
use super::lane::{Lane, slowest};
use super::{Error, Result};
use crate::domain::id::{RecipientId, RunId};
use crate::domain::rate::Rate;
use crate::domain::time::Micros;
use crate::relay::Relay;
use crate::relay::throttle::Throttle;

/// When a message may come again that no relay takes now.
pub(super) enum Later {
    /// When a relay answers.
    NoRelay,
    /// After this time, for a limit.
    In(Duration),
    /// When another day begins.
    Day(Micros),
}

/// A lane whose connections end with its token.
pub(super) struct Running {
    pub lane: Arc<Lane>,
    pub stop: CancellationToken,
}

/// All lanes that take messages.
#[derive(Default)]
pub(super) struct Lanes(RwLock<Vec<Running>>);

impl Lanes {
    /// Puts lanes for these relays in place. Those that stay as they are keep their connections, `start` begins new
    /// ones. Answers with what waited in lanes that are gone: their connections finish what they have in hand.
    pub fn renew(&self, relays: Vec<Relay>, start: impl Fn(Relay) -> Running) -> Vec<Job> {
        let mut lanes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *lanes);
        for relay in relays {
            let same = before.iter().position(|running| running.lane.relay.is_same(&relay));
            lanes.push(same.map_or_else(|| start(relay), |place| before.remove(place)));
        }
        drop(lanes);
        before.iter().for_each(|running| running.stop.cancel());
        before.iter().flat_map(|running| running.lane.take_down(Duration::ZERO)).collect()
    }

    /// Puts a message in the line of the relay that shall take it.
    ///
    /// # Errors
    /// The message, and when it may come again.
    pub fn push(&self, job: Job, throttle: &Throttle) -> std::result::Result<(), (Box<Job>, Later)> {
        // Held until the message is in line, so that no lane goes with it.
        let lanes = self.read();
        let domain = job.profile.address.domain();
        let spent = |lane: &Lane| throttle.spent_until(&lane.relay.config().name, Some(domain));
        let up = || lanes.iter().map(|running| &*running.lane).filter(|lane| lane.is_up());
        match route(|| up().filter(|lane| spent(lane).is_none()), job.profile.recipient) {
            Some(lane) => lane.push(job, throttle).map_err(|(job, wait)| (job, Later::In(wait))),
            None => {
                let another_day = up().filter_map(spent).min();
                Err((Box::new(job), another_day.map_or(Later::NoRelay, Later::Day)))
            }
        }
    }

    /// Whether any relay answers and takes something today from this node.
    ///
    /// # Errors
    /// When none will before somebody changes its settings.
    pub fn any_up(&self, throttle: &Throttle) -> Result<bool> {
        let lanes = self.read();
        let mut refused = None;
        let takes = |lane: &Lane| {
            let relay = &lane.relay.config().name;
            lane.is_up() && throttle.shares_in(relay) && throttle.spent_until(relay, None).is_none()
        };
        for Running { lane, .. } in lanes.iter() {
            let Some(source) = lane.refusal() else { return Ok(lanes.iter().any(|running| takes(&running.lane))) };
            refused = refused.or_else(|| Some(Error::Relay { relay: lane.relay.config().name.clone(), source }));
        }
        refused.map_or(Ok(false), Err)
    }

    /// Messages per second that the relays' limits allow this node.
    pub fn per_second(&self, throttle: &Throttle) -> f64 {
        let rate = |running: &Running| {
            let relay = &running.lane.relay.config().name;
            slowest([throttle.relay_rate(relay).map(Rate::per_second), throttle.slowed_to(relay, None)])
        };
        self.read().iter().map(rate).sum()
    }

    /// Takes out all messages of a run.
    pub fn take_run(&self, run: RunId) -> Vec<Job> {
        self.read().iter().flat_map(|running| running.lane.take_run(run)).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Running>> {
        // Nothing under the lock can panic half-way through a change.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The relay for a recipient: among those that may take it, the first by order, shared by weight.
fn route<'l, I: Iterator<Item = &'l Lane>>(may: impl Fn() -> I, recipient: RecipientId) -> Option<&'l Lane> {
    let order = may().map(|lane| lane.relay.config().order).min()?;
    let candidates = || may().filter(|lane| lane.relay.config().order == order);
    let total: u64 = candidates().map(|lane| u64::from(lane.relay.config().weight)).sum();
    let mut place = spread(recipient) % total.max(1);
    candidates().find(|lane| {
        let weight = u64::from(lane.relay.config().weight);
        let here = place < weight;
        place = place.saturating_sub(weight);
        here
    })
}

/// Spreads consecutive numbers (the finalizer of `SplitMix64`).
fn spread(recipient: RecipientId) -> u64 {
    let mut x = recipient.0.cast_unsigned().wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
