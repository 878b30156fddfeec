//! Assembly: from a project's directory to the store, the keys, the relays and the services.

mod begin;
mod governing;
mod site;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{self, Loaded, ProjectFiles, Secrets};
use crate::domain::campaign::Campaign;
use crate::domain::id::VersionId;
use crate::domain::relay::{RelayConfig, RelayUrl};
use crate::domain::score::Scale;
use crate::metrics::Metrics;
use crate::relay::{self, Relay};
use crate::render::Mailing;
use crate::send::{Options, Sender};
use crate::store::{Session, Store, score, versions};

pub use governing::Governing;
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

    /// A sender over the project's relays.
    ///
    /// # Errors
    /// When a relay's settings do not work or the database refuses.
    pub async fn sender(&self, store: &Store, metrics: Metrics, soft: CancellationToken) -> Result<Sender> {
        let project = &self.loaded.project;
        let relays = self.loaded.settings.relays.iter().map(|config| self.relay(config)).collect::<Result<_>>()?;
        let options = Options {
            store: store.clone(),
            clock: self.clock.clone(),
            keyring: Arc::new(self.secrets()?.keyring()),
            metrics,
            relays,
            frequency_cap: project.frequency_cap,
            pause_at_rejections: project.pause_at_rejections,
            node_name: format!("{}:{}", host_name(), std::process::id()),
        };
        Ok(Sender::start(options, soft).await?)
    }

    fn relay(&self, config: &RelayConfig) -> Result<Relay> {
        let mut config = config.clone();
        if let RelayUrl::File(directory) = &mut config.url {
            *directory = self.root.join(&*directory);
        }
        let password = match &config.password_env {
            Some(name) => Some(SecretString::from(std::env::var(name).with_context(|| {
                format!("relay '{}' takes its password from the variable {name}, which is not set", config.name)
            })?)),
            None => None,
        };
        let from = &self.loaded.project.sender.from_address;
        let hello = from.rsplit_once('@').map_or(from.as_str(), |(_, domain)| domain);
        Ok(Relay::new(config, password, relay::Options::new(hello))?)
    }
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "node".to_owned(), |name| name.trim().to_owned())
}
