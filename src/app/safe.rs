//! A project kept safe, and brought back.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};

use super::{Refused, Site};
use crate::backup::{self, Held, Manifest, Restored, Restoring, Source, hold};
use crate::clock::Clock;
use crate::store::{Store, copy};

impl Site {
    /// Copies the whole project into a new directory, while it is used.
    ///
    /// # Errors
    /// [`Refused`] when the place is taken, or the database is no file of this machine; otherwise when something cannot
    /// be read or written. Then nothing is left behind.
    pub async fn backup(&self, target: &Path) -> Result<Manifest> {
        let secrets = &self.machine.secrets_file;
        let Some(file) = self.machine.database_file() else {
            return Err(anyhow!(Refused(format!(
                "the database is PostgreSQL, which has its own tools for a consistent copy\n  \
                 hint: copy the trackers' spools first (sqlite3 spool.db \"VACUUM INTO 'spool.copy'\"), then run \
                 `pg_dump --format=custom`;\n        config/, templates/, files/ and {} belong to it",
                secrets.display()
            ))));
        };
        if !self.has_database() {
            return Err(anyhow!(Refused(format!("there is no database yet: {}", file.display()))));
        }
        let store = Store::connect(&self.machine.database_url, &self.root).await?;
        let source = Source {
            root: &self.root,
            store: &store,
            database: self.root.join(file),
            secrets: self.root.join(secrets),
            clock: &self.clock,
        };
        let taken = backup::take(&source, target).await;
        store.close().await;
        taken.map_err(told)
    }
}

/// Brings a project back into a new or empty directory. Nothing of it is sent before a person lets it go on.
///
/// # Errors
/// [`Refused`] when the backup is damaged or the directory is in use; then, and on any other error, nothing is left
/// behind.
pub async fn restore(backup: &Path, directory: &Path, clock: &Clock) -> Result<(Restored, Held)> {
    let restoring = Restoring::begin(backup, directory).await.map_err(told)?;
    let made = (&restoring.manifest.colloquy, env!("CARGO_PKG_VERSION"));
    let newer = || format!("the backup was made by colloquy {}, and this is {}", made.0, made.1);
    let store = restoring.store().await.with_context(newer)?;
    let reason = format!("restored from a backup of {}; what was sent since is not known here", restoring.manifest.at);
    let held = held(&store, &reason, clock).await;
    store.close().await;
    let held = held?;
    Ok((restoring.finish().map_err(told)?, held))
}

async fn held(store: &Store, reason: &str, clock: &Clock) -> Result<Held> {
    let mut tx = store.write().await?;
    copy::skip_numbers(&mut tx).await?;
    let held = hold(&mut tx, reason, clock.now()).await?;
    tx.commit().await?;
    Ok(held)
}

fn told(error: backup::Error) -> anyhow::Error {
    match error {
        backup::Error::Refused(why) => anyhow!(Refused(why)),
        other => other.into(),
    }
}
