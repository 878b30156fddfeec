//! A listener that speaks LMTP (RFC 2033) and SMTP (RFC 5321): for a mail server that passes on what comes back, or in
//! its place.
//!
//! A mail is answered by 250 once it is on disk, and by 451 while it cannot be: then the other side keeps it. Only our
//! own addresses are taken. A mail of any size is taken, for a refusal would lose a report; its head is kept.

mod command;
mod conversation;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::conversation::Conversation;
use super::{Addresses, Intake};
use crate::domain::network::Network;
use crate::metrics::Metrics;

/// What the listener bears.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Connections at a time from one network, but for this machine.
    pub per_network: usize,
    /// Mails of more than 256 KiB that are read at a time; so memory has a bound.
    pub large: usize,
    /// How long a client may be silent (RFC 5321 §4.5.3.2.7).
    pub silence: Duration,
    /// How long a mail may take from DATA to its final dot.
    pub mail: Duration,
    /// How long mails that are being read may take once the listener stops.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            connections: 64,
            per_network: 16,
            large: 4,
            silence: minutes(5),
            mail: minutes(30),
            grace: Duration::from_secs(10),
        }
    }
}

/// Mails of so many octets need no permit.
const SMALL: usize = 256 << 10;

/// What conversations share.
#[derive(Debug)]
struct Host {
    name: String,
    addresses: Addresses,
    intake: Intake,
    metrics: Metrics,
    limits: Limits,
    large: Semaphore,
    soft: CancellationToken,
    hard: CancellationToken,
}

/// Where mail is taken, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Our name in the greeting.
    pub name: String,
    /// Whose mail is taken.
    pub addresses: Addresses,
    /// What it bears.
    pub limits: Limits,
}

/// Serves until `shutdown`; mails that are being read then have the limits' grace.
pub async fn serve(
    listener: TcpListener,
    options: Options,
    intake: Intake,
    metrics: Metrics,
    shutdown: CancellationToken,
) {
    let Options { name, addresses, limits } = options;
    let hard = CancellationToken::new();
    let (large, soft) = (Semaphore::new(limits.large), shutdown.clone());
    let host = Arc::new(Host { name, addresses, intake, metrics, limits, large, soft, hard: hard.clone() });
    let room = Arc::new(Semaphore::new(limits.connections));
    let networks = Networks::default();
    let conversations = TaskTracker::new();
    let next = async || {
        let permit = Arc::clone(&room).acquire_owned().await;
        (permit, listener.accept().await)
    };
    while let Some((permit, accepted)) = shutdown.run_until_cancelled(next()).await {
        match accepted {
            Ok((stream, peer)) => {
                let (host, place) = (Arc::clone(&host), networks.place(peer.ip(), limits.per_network));
                conversations.spawn(async move {
                    match place {
                        Some(_place) => converse(stream, &host).await,
                        None => refuse(stream).await,
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of file descriptors, or the client has gone already.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    conversations.close();
    if tokio::time::timeout(limits.grace, conversations.wait()).await.is_err() {
        hard.cancel();
        conversations.wait().await;
    }
}

async fn converse(stream: TcpStream, host: &Host) {
    // Small answers must not wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    if let Err(error) = Conversation::new(stream, host).run().await {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn refuse(mut stream: TcpStream) {
    let _ = stream.write_all(b"421 4.7.0 too many connections from your network\r\n").await;
}

/// How many connections each network has.
#[derive(Clone, Debug, Default)]
struct Networks(Arc<Mutex<HashMap<Network, usize>>>);

/// A connection's place; `None` within for this machine.
struct Place(Option<(Networks, Network)>);

impl Networks {
    /// `None` when the network has too many.
    fn place(&self, peer: IpAddr, most: usize) -> Option<Place> {
        if peer.to_canonical().is_loopback() {
            return Some(Place(None));
        }
        let network = Network::from(peer);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(network).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place(Some((self.clone(), network))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((networks, network)) = self.0.take() else { return };
        let mut counts = networks.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_places_and_this_machine_as_many_as_it_likes() {
        let networks = Networks::default();
        let place = |peer: &str| networks.place(peer.parse().unwrap(), 2);
        let (first, second) = (place("192.0.2.1"), place("192.0.2.2"));
        assert!(first.is_some() && second.is_some());
        assert!(place("192.0.2.3").is_none());
        assert!(place("198.51.100.1").is_some());
        assert!((0..10).map(|_| place("127.0.0.1")).collect::<Vec<_>>().iter().all(Option::is_some));
        drop(first);
        assert!(place("192.0.2.3").is_some());
        drop(second);
        assert!(networks.0.lock().unwrap().is_empty(), "nothing is kept of who has gone");
    }
}
