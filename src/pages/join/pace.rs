//! How many ask to join: by network, and in all.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

use super::stamp::BITS;
use crate::domain::network::Network;
use crate::domain::rate::Rate;

/// Work is asked for so long after there were too many.
const CALM: Duration = Duration::from_secs(5 * 60);
/// After so many requests the networks that have gone quiet are forgotten.
const FORGET_EVERY: u32 = 1 << 12;

/// Counts requests; lives as long as the process, whichever version governs.
pub struct Pace(Mutex<State>);

struct State {
    rates: Option<(Rate, Rate)>,
    networks: DefaultKeyedRateLimiter<Network>,
    all: DefaultDirectRateLimiter,
    busy_until: Option<Instant>,
    seen: u32,
}

impl Default for Pace {
    fn default() -> Self {
        let any = Quota::per_second(NonZeroU32::MAX);
        let (networks, all) = (RateLimiter::keyed(any), RateLimiter::direct(any));
        Self(Mutex::new(State { rates: None, networks, all, busy_until: None, seen: 0 }))
    }
}

/// As many at once as come in one period, and then one after the other.
fn quota(rate: Rate) -> Quota {
    let count = NonZeroU32::new(rate.count).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::with_period(rate.per / rate.count.max(1));
    quota.unwrap_or_else(|| Quota::per_second(count)).allow_burst(count)
}

impl Pace {
    /// Counts a request; `None` when its network asks too often, else the bits of work that it must show. A client
    /// that is not known, behind a proxy that names nobody, counts among all alone.
    pub fn count(&self, client: Option<IpAddr>, per_network: Rate, challenge_above: Rate) -> Option<u8> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.rates != Some((per_network, challenge_above)) {
            state.rates = Some((per_network, challenge_above));
            state.networks = RateLimiter::keyed(quota(per_network));
            state.all = RateLimiter::direct(quota(challenge_above));
        }
        state.seen = state.seen.wrapping_add(1);
        if state.seen.is_multiple_of(FORGET_EVERY) {
            state.networks.retain_recent();
            state.networks.shrink_to_fit();
        }
        if state.all.check().is_err() {
            state.busy_until = Some(Instant::now() + CALM);
        }
        if client.is_some_and(|client| state.networks.check_key(&Network::from(client)).is_err()) {
            return None;
        }
        Some(state.bits())
    }

    /// The bits of work that a form is to ask for now.
    pub fn bits(&self) -> u8 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bits()
    }
}

impl State {
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
