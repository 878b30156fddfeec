//! A copy of a whole project while it runs, and a project from such a copy.
//!
//! A backup is a directory: `backup.json` says what is in it, with a checksum of each file; `colloquy.db` and `spool.db`
//! are copies of one instant each; `secrets.toml` is the project's keys; `project/` holds its files.

mod hold;
mod place;
mod restore;
mod take;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::Secrets;
use crate::store::{self, Store, hashing};

pub use hold::{Held, hold};
pub use restore::{Restored, Restoring};
pub use take::{Source, take};

/// What a backup's own file is called.
const MANIFEST: &str = "backup.json";
const DATABASE: &str = "colloquy.db";
const SPOOL: &str = "spool.db";
const SECRETS: &str = "secrets.toml";
/// Files of the project stand below this.
const PROJECT: &str = "project";
/// The shape of a backup. Another one is refused.
const FORMAT: u32 = 1;

/// What is in a backup.
#[derive(Debug, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// The program that made it.
    pub colloquy: String,
    /// What was committed by then is in it (RFC 3339).
    pub at: String,
    /// Each file by its path in the backup.
    pub files: BTreeMap<String, Entry>,
}

/// A file of a backup.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Octets.
    pub size: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// Why there is no backup, or no project from one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for cannot be done; nothing was written.
    #[error("{0}")]
    Refused(String),
    /// A file cannot be read or written; what was written is removed again.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A database cannot be read or written; what was written is removed again.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// A result of making or using a backup.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a database is not used.
pub const FOREIGN_KEYS: &str =
    "the keys are not those of the database: addresses that are suppressed would be mailed, and links not known";

/// Whether keys are those under which a database's addresses are hashed.
async fn refuse_foreign_keys(store: &Store, secrets: &Path) -> Result<()> {
    let secrets = Secrets::load(secrets).map_err(|problems| Error::Refused(problems.to_string()))?;
    match hashing::fits(&mut store.read().await?, &secrets.suppression_key()).await? {
        Some(false) => Err(Error::Refused(FOREIGN_KEYS.into())),
        _ => Ok(()),
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::File { path: path.to_owned(), source }
}
