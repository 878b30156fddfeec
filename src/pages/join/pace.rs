//! How many ask to join: by network, and in all.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

use super::stamp::BITS;
use crate::domain::network::Network;
use crate::domain::rate::Rate;

/// Work is asked for so long after there were too many.
const CALM: Duration = Duration::from_secs(5 * 60);
/// So many who waited instead of working are taken, in all: nobody is to get far by waiting with many forms at once.
const WAITING: Rate = Rate { count: 10, per: Duration::from_secs(60) };
/// After so many requests the networks that have gone quiet are forgotten.
const FORGET_EVERY: u32 = 1 << 12;

/// Counts requests; lives as long as the process, whichever version governs.
pub struct Pace(Mutex<State>);

struct State {
    per_network: Option<Rate>,
    networks: DefaultKeyedRateLimiter<Network>,
    challenge_above: Option<Rate>,
    all: DefaultDirectRateLimiter,
    waiting: DefaultDirectRateLimiter,
    busy_until: Option<Instant>,
    seen: u32,
}

impl Default for Pace {
    fn default() -> Self {
        let any = Quota::per_second(NonZeroU32::MAX);
        let (networks, all) = (RateLimiter::keyed(any), RateLimiter::direct(any));
        let waiting = RateLimiter::direct(quota(WAITING));
        let (per_network, challenge_above) = (None, None);
        Self(Mutex::new(State { per_network, networks, challenge_above, all, waiting, busy_until: None, seen: 0 }))
    }
}

/// As many at once as come in one period, and then one after the other.
fn quota(rate: Rate) -> Quota {
    let count = NonZeroU32::new(rate.count).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::with_period(rate.per / rate.count.max(1));
    quota.unwrap_or_else(|| Quota::per_second(count)).allow_burst(count)
}

impl Pace {
    /// Counts a form; `None` when its network asks too often, else the bits of work that it must show. What is
    /// refused does not count among all, so that no network alone makes everybody work. A client that is not known,
    /// behind a proxy that names nobody, counts among all alone.
    pub fn count(&self, client: Option<IpAddr>, per_network: Rate, challenge_above: Rate) -> Option<u8> {
        let mut state = self.state();
        if !state.admits(client, per_network) {
            return None;
        }
        if state.challenge_above != Some(challenge_above) {
            state.challenge_above = Some(challenge_above);
            state.all = RateLimiter::direct(quota(challenge_above));
        }
        if state.all.check().is_err() {
            state.busy_until = Some(Instant::now() + CALM);
        }
        Some(state.bits())
    }

    /// Counts what does not come from the form: for its network alone. Whether that does not ask too often.
    pub fn admits(&self, client: Option<IpAddr>, per_network: Rate) -> bool {
        self.state().admits(client, per_network)
    }

    /// Counts somebody who waited instead of working; whether they are taken.
    pub fn takes_waiting(&self) -> bool {
        self.state().waiting.check().is_ok()
    }

    /// The bits of work that a form is to ask for now.
    pub fn bits(&self) -> u8 {
        self.state().bits()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn admits(&mut self, client: Option<IpAddr>, per_network: Rate) -> bool {
        if self.per_network != Some(per_network) {
            self.per_network = Some(per_network);
            self.networks = RateLimiter::keyed(quota(per_network));
        }
        self.seen = self.seen.wrapping_add(1);
        if self.seen.is_multiple_of(FORGET_EVERY) {
            self.networks.retain_recent();
            self.networks.shrink_to_fit();
        }
        client.is_none_or(|client| self.networks.check_key(&Network::from(client)).is_ok())
    }

    fn bits(&self) -> u8 {
        if self.busy_until.is_some_and(|until| Instant::now() < until) { BITS } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Rate = Rate { count: 3, per: Duration::from_secs(3_600) };
    const MANY: Rate = Rate { count: 1_000, per: Duration::from_secs(60) };

    #[test]
    fn a_network_that_asks_too_often_is_refused_and_others_are_not() {
        let pace = Pace::default();
        let ask = |client: &str| pace.count(Some(client.parse().unwrap()), FEW, MANY).is_some();
        let asked: Vec<bool> = (0..4).map(|n| ask(&format!("203.0.113.{n}"))).collect();
        assert_eq!(asked, [true, true, true, false]);
        assert!(ask("198.51.100.1") && (0..9).all(|_| pace.count(None, FEW, MANY).is_some()));
    }

    #[tokio::test]
    async fn one_network_or_a_site_of_the_sender_makes_nobody_else_work() {
        let pace = Pace::default();
        let client = Some("203.0.113.7".parse().unwrap());
        let all = Rate { count: 4, ..FEW };
        let asked: Vec<_> = (0..9).map(|_| pace.count(client, FEW, all)).collect();
        assert_eq!((asked[2], &asked[3..]), (Some(0), &[None; 6][..]));
        assert!((0..9).all(|_| pace.admits(None, FEW)));
        assert_eq!(pace.bits(), 0);
    }

    #[test]
    fn few_are_taken_for_waiting() {
        let pace = Pace::default();
        assert_eq!((0..30).filter(|_| pace.takes_waiting()).count(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_asked_while_too_many_come_and_a_while_after() {
        let pace = Pace::default();
        let ask = || pace.count(None, FEW, FEW);
        assert_eq!([ask(), ask(), ask(), ask()], [Some(0), Some(0), Some(0), Some(BITS)]);
        tokio::time::advance(CALM / 2).await;
        assert_eq!(pace.bits(), BITS);
        tokio::time::advance(CALM).await;
        assert_eq!(pace.bits(), 0);
    }
}
