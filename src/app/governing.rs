//! The version that governs: whose limits, rules, topics and relays count, whatever the files on the disk say.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use super::Site;
use crate::config::{self, Loaded, ProjectFiles};
use crate::domain::id::VersionId;
use crate::store::{self, Store, versions};

/// How often it is looked whether another version governs; true time, also beside a fast clock.
const LOOK: Duration = Duration::from_secs(1);

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
    pub async fn follow(&self, store: &Store) -> Result<(Follower, Governed)> {
        let (mut follower, governed) = Follower::new(store);
        follower.look().await?;
        Ok((follower, governed))
    }
}

/// Looks again and again which version governs.
#[derive(Debug)]
pub struct Follower {
    store: Store,
    seen: Option<VersionId>,
    changes: watch::Sender<Option<Arc<Governing>>>,
}

impl Follower {
    /// One that has not looked yet.
    #[must_use]
    pub fn new(store: &Store) -> (Self, Governed) {
        let (changes, governed) = watch::channel(None);
        (Self { store: store.clone(), seen: None, changes }, governed)
    }

    /// Follows until `shutdown`. What cannot be used leaves the version before it in force.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            if let Err(error) = self.look().await {
                debug!(%error, "which version governs could not be looked up");
            }
        }
    }

    /// Looks once.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn look(&mut self) -> store::Result<()> {
        let version = versions::governing(&mut self.store.read().await?).await?;
        let Some(version) = version.filter(|version| self.seen != Some(*version)) else { return Ok(()) };
        if let Some(governing) = read(&self.store, version).await? {
            info!(%version, "this version governs from now on");
            self.changes.send_replace(Some(Arc::new(governing)));
        }
        self.seen = Some(version);
        Ok(())
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
