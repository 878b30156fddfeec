//! A project's directory, and what reaches its database: all that a command needs which must work while files are
//! half-edited.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Refused;
use crate::backup::FOREIGN_KEYS;
use crate::clock::Clock;
use crate::config::{self, Machine, ProjectFiles, Reach, Secrets};
use crate::domain::score::{ClusterRules, ScoreRules};
use crate::store::{Place, Store, durability, hashing};

/// A project as its machine reaches it; no campaign, template or rule was looked at.
#[derive(Clone, Debug)]
pub struct Site {
    /// The project's directory.
    pub root: PathBuf,
    /// What reaches the database and the network.
    pub machine: Machine,
    /// The time.
    pub clock: Clock,
}

impl Site {
    /// Reads what a command needs of the machine.
    ///
    /// # Errors
    /// [`Refused`] with what is wrong with these lines of `config/colloquy.toml`.
    pub fn open(root: &Path, clock: Clock, reach: Reach) -> Result<Self> {
        let root = std::path::absolute(root)?;
        let files = ProjectFiles::Disk(root.clone());
        let machine = config::machine(&files, reach).map_err(|problems| Refused(problems.to_string()))?;
        Ok(Self { root, machine, clock })
    }

    /// Whether there is a database, or may be: a file that does not exist holds nothing.
    #[must_use]
    pub fn has_database(&self) -> bool {
        self.machine.database_file().is_none_or(|file| self.root.join(file).exists())
    }

    /// Opens the database, brings its schema up to date, and goes by its clock if it has one of its own.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn store(&self) -> Result<Store> {
        let store = Store::open(place(&self.machine), &self.root).await?;
        self.clock.follow(durability::now(&mut store.read().await?)).await?;
        self.refuse_foreign_keys(&store).await?;
        Ok(store)
    }

    /// Refuses keys that are not the database's. Who has none cannot do any harm.
    ///
    /// # Errors
    /// [`Refused`] when there are others, or when the database cannot be asked.
    pub async fn refuse_foreign_keys(&self, store: &Store) -> Result<()> {
        let Ok(secrets) = self.secrets() else { return Ok(()) };
        if hashing::adopt(store, &secrets.suppression_key()).await? {
            return Ok(());
        }
        let file = self.machine.secrets_file.display();
        Err(Refused(format!("{file}: {FOREIGN_KEYS}\n  hint: bring back the file that belongs to the database")).into())
    }

    /// The same, of which nothing is asked yet.
    ///
    /// # Errors
    /// When its address is not understood.
    pub fn store_from_afar(&self) -> Result<Store> {
        Ok(Store::at(place(&self.machine), &self.root)?)
    }

    /// Reads the keys.
    ///
    /// # Errors
    /// [`Refused`] when the file is missing, broken, or readable by others.
    pub fn secrets(&self) -> Result<Secrets> {
        let path = self.root.join(&self.machine.secrets_file);
        Secrets::load(&path).map_err(|problems| Refused(problems.to_string()).into())
    }

    /// The rules that scores are read by: of the version that governs; before there is one, of the files if they are
    /// right, else the documented defaults.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn score_rules(&self, store: &Store) -> Result<(ScoreRules, ClusterRules)> {
        let loaded = match self.governing(store).await? {
            Some(governing) => Some(governing.loaded),
            None => config::load(&ProjectFiles::Disk(self.root.clone())).ok(),
        };
        Ok(loaded.map_or_else(Default::default, |loaded| (loaded.project.score, loaded.project.cluster)))
    }
}

fn place(machine: &Machine) -> Place<'_> {
    Place { url: &machine.database_url, direct_url: machine.database_direct_url.as_deref() }
}
