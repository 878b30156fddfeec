//! What becomes of a message that asks to pass, and what it takes with it until it has been handed
//! over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Throttle;
use super::relay::Taking;

/// Why a message does not pass now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Not before this instant; then it can, unless others were faster.
    Until(Instant),
    /// Not before something is freed, see [`Freed`].
    Freed,
    /// Not today: the day's amount is used up.
    Spent,
}

/// Tells of one relay that something that messages were held up for may be there now.
#[derive(Debug, Default)]
pub struct Freed {
    times: AtomicU64,
    bell: Notify,
}

impl Freed {
    /// How many times something was freed.
    #[must_use]
    pub fn times(&self) -> u64 {
        self.times.load(Ordering::Acquire)
    }

    /// Waits until something is freed; one task waits.
    pub async fn ring(&self) {
        self.bell.notified().await;
    }

    pub(super) fn note(&self) {
        self.times.fetch_add(1, Ordering::AcqRel);
        self.bell.notify_one();
    }
}

/// That a message may pass. It holds a place at the recipient's domain until it is dropped; unless
/// the message was handed over meanwhile, the day's amount gets its part back.
#[derive(Debug, Default)]
#[must_use = "dropping it frees what was taken"]
pub struct Pass(Option<Box<Taken>>);

/// What was taken for a message.
#[derive(Debug)]
pub(super) struct Taken {
    pub relay: String,
    pub key: String,
    pub taking: Taking,
    pub throttle: Arc<Throttle>,
}

impl Pass {
    pub(super) fn of(taken: Taken) -> Self {
        Self(Some(Box::new(taken)))
    }

    /// Notes that the relay was offered the message.
    pub fn use_up(&mut self) {
        if let Some(taken) = &mut self.0 {
            taken.taking.day = None;
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(taken) = self.0.take() {
            taken.throttle.give_back(&taken);
        }
    }
}
