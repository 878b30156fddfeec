//! The intake of hits: many requests, one writer, one commit for all that wait.

use std::sync::Arc;

use rand::RngExt as _;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::clock;
use crate::domain::hit::Hit;
use crate::domain::time::Micros;
use crate::metrics::Metrics;
use crate::store::spool::{MAX_GROUP, Spool};
use crate::store::{Group, Result};

/// Takes hits in; clones share the writer.
#[derive(Clone, Debug)]
pub struct Intake {
    group: Group<Hit, ()>,
    arrived: Arc<Notify>,
}

impl Intake {
    /// Starts the writer. It ends when all clones are gone.
    #[must_use]
    pub fn spawn(spool: Spool, metrics: Metrics) -> (Self, JoinHandle<()>) {
        let arrived = Arc::new(Notify::new());
        let wake = Arc::clone(&arrived);
        let mut random = clock::random();
        let (group, writer) = Group::spawn(MAX_GROUP, move |hits: Vec<Hit>| {
            let named: Vec<_> = hits.into_iter().map(|hit| (hit_id(hit.at, random.random()), hit)).collect();
            let (spool, metrics, wake) = (spool.clone(), metrics.clone(), Arc::clone(&wake));
            async move {
                let arrivals = named.len();
                let stored = spool.add(&named).await.inspect_err(|_| metrics.hits_lost(arrivals as u64))?;
                metrics.hits_spooled(stored, arrivals as u64 - stored);
                wake.notify_one();
                Ok(vec![(); arrivals])
            }
        });
        (Self { group, arrived }, writer)
    }

    /// Takes a hit in. On return it is on disk, or its recipient has withdrawn tracking.
    ///
    /// # Errors
    /// When the spool cannot be written: the hit must not be answered as if it had been kept.
    pub async fn take(&self, hit: Hit) -> Result<()> {
        self.group.commit(hit).await
    }

    /// Tells of arrivals; for the forwarder.
    #[must_use]
    pub fn arrived(&self) -> Arc<Notify> {
        Arc::clone(&self.arrived)
    }
}

/// A UUIDv7 (RFC 9562) of the hit's own time.
fn hit_id(at: Micros, random: [u8; 10]) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(at.0.unsigned_abs() / 1_000, &random).into_uuid()
}
