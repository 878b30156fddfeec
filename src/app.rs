//! Assembly: from a project's directory to the store, the keys, the relays and the services.

mod begin;
mod governing;
mod mailboxes;
mod resend;
mod safe;
mod sender;
mod site;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{self, Loaded, ProjectFiles, Secrets};
use crate::domain::campaign::Campaign;
use crate::domain::id::VersionId;
use crate::domain::score::Scale;
use crate::metrics::Metrics;
use crate::render::Mailing;
use crate::send::Sender;
use crate::store::{Session, Store, score, versions};

pub use governing::{Follower, Governed, Governing};
pub use safe::restore;
pub use sender::host_name;
pub use site::Site;

/// A checked project and what its commands share.
pub struct App {
    /// The project's directory.
    pub root: PathBuf,
    /// Its files.
    pub files: ProjectFiles,
    /// What they say.
    pub loaded: Loaded,
    /// The time.
    pub clock: Clock,
}

/// A file of the project is not right, or the command line is not: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl App {
    /// Reads and checks the project in `root`.
    ///
    /// # Errors
    /// [`Refused`] with everything that is wrong with its files.
    pub fn open(root: &Path, clock: Clock) -> Result<Self> {
        let root = std::path::absolute(root)?;
        let files = ProjectFiles::Disk(root.clone());
        let loaded = config::load(&files).map_err(|problems| Refused(problems.to_string()))?;
        Ok(Self { root, files, loaded, clock })
    }

    /// The same project, as its machine reaches it.
    #[must_use]
    pub fn site(&self) -> Site {
        Site { root: self.root.clone(), machine: self.loaded.settings.machine.clone(), clock: self.clock.clone() }
    }

    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn store(&self) -> Result<Store> {
        self.site().store().await
    }

    /// Reads the keys.
    ///
    /// # Errors
    /// [`Refused`] when the file is missing, broken, or readable by others.
    pub fn secrets(&self) -> Result<Secrets> {
        self.site().secrets()
    }

    /// The campaign of a name.
    ///
    /// # Errors
    /// [`Refused`] with the nearest name when there is none.
    pub fn campaign(&self, name: &str) -> Result<&Campaign> {
        let campaigns = &self.loaded.campaigns;
        campaigns.get(name).ok_or_else(|| {
            let known = campaigns.keys().map(String::as_str);
            let hint = config::problem::name_hint(name, known.collect::<Vec<_>>())
                .unwrap_or_else(|| "config/campaigns holds no file yet".to_owned());
            anyhow!(Refused(format!("there is no campaign '{name}'\n  hint: {hint}")))
        })
    }

    /// The files' texts as a version holds them.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn texts(&self) -> Result<BTreeMap<String, String>> {
        Ok(self.files.freeze()?)
    }

    /// A campaign's templates, compiled.
    ///
    /// # Errors
    /// [`Refused`] with everything that is wrong with them.
    pub fn compile(&self, campaign: &Campaign) -> Result<Mailing> {
        Mailing::compile(campaign, &self.loaded.project, &self.texts()?).map_err(|problems| {
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            Refused(problems.join("\n")).into()
        })
    }

    /// Keeps the checked files as a version; the same content is kept once.
    ///
    /// # Errors
    /// When a file cannot be read or the database refuses.
    pub async fn freeze(&self, store: &Store) -> Result<VersionId> {
        let texts = self.texts()?;
        let mut tx = store.write().await?;
        let version = versions::freeze(&mut tx, &texts, &config::hash(&texts), self.clock.now()).await?;
        tx.commit().await?;
        Ok(version)
    }

    /// How the stored sums are to be read; before anything was scored, as the rules say.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn scale(&self, session: &mut Session) -> Result<Scale> {
        let project = &self.loaded.project;
        Ok(score::scale(session)
            .await?
            .unwrap_or_else(|| Scale::of(&project.score, &project.cluster, self.clock.now())))
    }

    /// A sender over the relays of the files.
    ///
    /// # Errors
    /// When a relay's settings do not work or the database refuses.
    pub async fn sender(&self, store: &Store, metrics: Metrics, soft: CancellationToken) -> Result<Sender> {
        self.site().sender(store, metrics, soft, Some(&self.loaded)).await
    }
}
