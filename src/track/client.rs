//! Which network a request came from, and whether it asks too much.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request};

use super::server::RETRY_SECONDS;
use crate::domain::network::{Block, Network};
use crate::web::{Answer, Handler, Proxies};

/// After so many requests the networks that have gone quiet are forgotten.
const FORGET_EVERY: u32 = 1 << 16;

/// Tells clients apart by their truncated network, and limits each.
#[derive(Debug)]
pub struct Clients {
    proxies: Proxies,
    limiter: DefaultKeyedRateLimiter<Network>,
    seen: AtomicU32,
}

impl Clients {
    /// `trusted` proxies besides those on loopback; requests a second from one network, and at once.
    #[must_use]
    pub fn new(trusted: Vec<Block>, per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let limiter = RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst));
        Self { proxies: Proxies::new(trusted), limiter, seen: AtomicU32::new(0) }
    }

    /// The client's network: that of the peer, or of the last hop that a trusted peer names in
    /// `X-Forwarded-For`. `None` when the network asks too much.
    ///
    /// A trusted peer that names nobody stands for all clients, so it is not limited.
    pub fn admit(&self, peer: IpAddr, headers: &HeaderMap) -> Option<Network> {
        match self.proxies.client(peer, headers) {
            Some(client) => self.limited(client.into()),
            None => Some(peer.into()),
        }
    }

    fn limited(&self, network: Network) -> Option<Network> {
        if self.seen.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        self.limiter.check_key(&network).is_ok().then_some(network)
    }
}

/// Pages where no tracker stands in front of them: each network is limited as there.
#[derive(Clone)]
pub struct Limited<R> {
    clients: Arc<Clients>,
    rest: R,
}

impl<R: Handler> Limited<R> {
    /// Lets `rest` answer whom `clients` admits.
    pub fn new(clients: Clients, rest: R) -> Self {
        Self { clients: Arc::new(clients), rest }
    }
}

impl<R: Handler> Handler for Limited<R> {
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Answer {
        match self.clients.admit(peer, request.headers()) {
            Some(_) => self.rest.answer(request, peer).await,
            None => self.rest.too_many(&request, RETRY_SECONDS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(per_second: u32) -> Clients {
        let n = NonZeroU32::new(per_second).unwrap();
        Clients::new(vec![Block::parse("10.0.0.0/24").unwrap()], n, n)
    }

    fn network(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        clients(10).admit(peer.parse().unwrap(), &headers).unwrap().to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_its_last_word() {
        assert_eq!(network("203.0.113.9", &["198.51.100.7"]), "203.0.113.0/24");
        assert_eq!(network("127.0.0.1", &["192.0.2.1, 198.51.100.7"]), "198.51.100.0/24");
        assert_eq!(network("10.0.0.1", &["192.0.2.1", "2001:db8::7"]), "2001:db8::/48");
        assert_eq!(network("10.0.1.1", &["198.51.100.7"]), "10.0.1.0/24");
        assert_eq!(network("127.0.0.1", &["192.0.2.1, junk"]), "127.0.0.0/24");
        assert_eq!(network("::1", &[]), "::/48");
    }

    #[test]
    fn a_network_that_asks_too_much_is_refused_and_others_are_not() {
        let clients = clients(3);
        let ask = |peer: &str| clients.admit(peer.parse().unwrap(), &HeaderMap::new()).is_some();
        let asked: Vec<bool> = (0..4).map(|_| ask("203.0.113.9")).collect();
        assert_eq!(asked, [true, true, true, false]);
        assert!(!ask("203.0.113.250"), "the same network");
        assert!(ask("198.51.100.1"));
        assert!((0..100).all(|_| ask("127.0.0.1")), "a proxy that names nobody stands for all");
    }
}
