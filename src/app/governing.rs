//! The version that governs: whose limits, rules, topics and relays count, whatever the files on the disk say.

use anyhow::Result;
use tracing::error;

use super::Site;
use crate::config::{self, Loaded, ProjectFiles};
use crate::domain::id::VersionId;
use crate::store::{Store, versions};

/// A frozen state of the files that this program understands.
#[derive(Clone, Debug)]
pub struct Governing {
    /// Which.
    pub version: VersionId,
    /// What its files say.
    pub loaded: Loaded,
}

impl Site {
    /// The version that was applied last. While none was, the one of the run that began last: `send` freezes what it
    /// sends. A version that this program refuses governs nothing, and is logged.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn governing(&self, store: &Store) -> Result<Option<Governing>> {
        let mut session = store.read().await?;
        let Some(version) = versions::governing(&mut session).await? else { return Ok(None) };
        let files = versions::files(&mut session, version).await?;
        drop(session);
        match config::load(&ProjectFiles::Frozen(files)) {
            Ok(loaded) => Ok(Some(Governing { version, loaded })),
            Err(problems) => {
                error!(%version, %problems, "the version that governs cannot be used; apply another");
                Ok(None)
            }
        }
    }
}
