//! Whose address counts when proxies stand before the listener.

use std::net::IpAddr;

use hyper::HeaderMap;

use crate::domain::network::Block;

/// Proxies whose `X-Forwarded-For` is believed, besides those on loopback.
#[derive(Clone, Debug)]
pub struct Proxies(Vec<Block>);

impl Proxies {
    /// Believes these.
    #[must_use]
    pub fn new(trusted: Vec<Block>) -> Self {
        Self(trusted)
    }

    /// The client's address: that of the peer, or of the last hop that a trusted peer names. `None` for a trusted
    /// peer that names nobody: it stands for all clients.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        if !peer.is_loopback() && !self.0.iter().any(|block| block.contains(peer)) {
            return Some(peer);
        }
        let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
        last.rsplit(',').next()?.trim().parse().ok()
    }
}
