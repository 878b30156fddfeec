//! What all processes go by: the version that governs, whose limits, rules, topics and relays count, whatever the files
//! on the disk say, and the database's clock, whatever this machine's shows.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::Site;
use crate::clock::Clock;
use crate::config::{self, Loaded, ProjectFiles};
use crate::domain::id::VersionId;
use crate::metrics::Metrics;
use crate::store::{self, Store, durability, versions};

/// How often it is looked whether another version governs; true time, also beside a fast clock.
const LOOK: Duration = Duration::from_secs(1);

/// A machine's clock that is further off than this, in seconds, is told of.
const APART: f64 = 2.0;

/// A frozen state of the files that this program understands.
#[derive(Clone, Debug)]
pub struct Governing {
    /// Which.
    pub version: VersionId,
    /// What its files say.
    pub loaded: Loaded,
}

/// The version that governs now; `None` before there is one.
pub type Governed = watch::Receiver<Option<Arc<Governing>>>;

impl Site {
    /// The version that was applied last. While none was, the one of the run that began last: `send` freezes what it
    /// sends. A version that this program refuses governs nothing, and is logged.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn governing(&self, store: &Store) -> Result<Option<Governing>> {
        let Some(version) = versions::governing(&mut store.read().await?).await? else { return Ok(None) };
        Ok(read(store, version).await?)
    }

    /// The version that governs now, and whoever keeps it up to date.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn follow(&self, store: &Store, metrics: &Metrics) -> Result<(Follower, Governed)> {
        let (mut follower, governed) = Follower::new(store, self.clock.clone(), metrics.clone());
        follower.look().await?;
        Ok((follower, governed))
    }
}

/// Looks again and again which version governs, and what the database's clock shows.
#[derive(Debug)]
pub struct Follower {
    store: Store,
    clock: Clock,
    metrics: Metrics,
    seen: Option<VersionId>,
    /// Whether the machine's clock was off.
    apart: bool,
    changes: watch::Sender<Option<Arc<Governing>>>,
}

impl Follower {
    /// One that has not looked yet.
    #[must_use]
    pub fn new(store: &Store, clock: Clock, metrics: Metrics) -> (Self, Governed) {
        let (changes, governed) = watch::channel(None);
        (Self { store: store.clone(), clock, metrics, seen: None, apart: false, changes }, governed)
    }

    /// Follows until `shutdown`. What cannot be used leaves the version before it in force.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            if let Err(error) = self.look().await {
                debug!(%error, "version and clock could not be looked up");
            }
        }
    }

    /// Looks once.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn look(&mut self) -> store::Result<()> {
        let mut session = self.store.read().await?;
        let ahead = self.clock.follow(durability::now(&mut session)).await?;
        let version = versions::governing(&mut session).await?;
        drop(session);
        if let Some(ahead) = ahead {
            self.compare(ahead);
        }
        let Some(version) = version.filter(|version| self.seen != Some(*version)) else { return Ok(()) };
        if let Some(governing) = read(&self.store, version).await? {
            info!(%version, "this version governs from now on");
            self.changes.send_replace(Some(Arc::new(governing)));
        }
        self.seen = Some(version);
        Ok(())
    }

    /// Tells once when this machine's clock is off, and when it is right again.
    fn compare(&mut self, ahead: f64) {
        self.metrics.set_clock_ahead(ahead);
        match (self.apart, ahead.abs() > APART) {
            (false, true) => warn!(ahead, "the database's clock is not this machine's and is gone by; look at both"),
            (true, false) => info!("this machine's clock agrees with the database's again"),
            _ => return,
        }
        self.apart = !self.apart;
    }
}

async fn read(store: &Store, version: VersionId) -> store::Result<Option<Governing>> {
    let files = versions::files(&mut store.read().await?, version).await?;
    match config::load(&ProjectFiles::Frozen(files)) {
        Ok(loaded) => Ok(Some(Governing { version, loaded })),
        Err(problems) => {
            error!(%version, %problems, "this version should govern and cannot be used; apply another");
            Ok(None)
        }
    }
}
