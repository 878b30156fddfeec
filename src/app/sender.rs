//! A sender under the rules of a version, and under those of the next one as soon as it governs.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{Governed, Refused, Site};
use crate::config::{self, Loaded};
use crate::domain::relay::{RelayConfig, RelayUrl};
use crate::metrics::Metrics;
use crate::people::retention::prepare_partitions;
use crate::relay::{self, Exchanges, Relay};
use crate::render::Signer;
use crate::send::{Limits, Options, Rules, Sender};
use crate::store::Store;

impl Site {
    /// A sender under what `loaded` says. Without it nothing is sent until [`Self::govern`] finds a version.
    ///
    /// # Errors
    /// When a relay's settings or a key do not work, or the database refuses.
    pub async fn sender(
        &self,
        store: &Store,
        metrics: Metrics,
        soft: CancellationToken,
        loaded: Option<&Loaded>,
    ) -> Result<Sender> {
        let rules = loaded.map(|loaded| self.rules(loaded)).transpose()?;
        let options = Options {
            store: store.clone(),
            clock: self.clock.clone(),
            keyring: Arc::new(self.secrets()?.keyring()),
            metrics,
            node_name: format!("{}:{}", host_name(), std::process::id()),
        };
        prepare_partitions(store, &self.clock).await;
        let sender = Sender::start(options, soft).await?;
        if let Some(rules) = rules {
            sender.govern(rules).await;
        }
        Ok(sender)
    }

    /// Sees that a sender under what `loaded` says would start.
    ///
    /// # Errors
    /// When a relay's settings or a key do not work.
    pub fn refuse_unusable(&self, loaded: &Loaded) -> Result<()> {
        self.secrets()?;
        self.rules(loaded).map(drop)
    }

    /// Puts the sender under each version that comes to govern, until `end`. One whose relays or keys do not work changes
    /// nothing, and is logged.
    pub async fn govern(&self, sender: &Sender, mut governed: Governed, end: CancellationToken) {
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                changed = governed.changed() => if changed.is_err() { return },
            }
            let Some(governing) = governed.borrow_and_update().clone() else { continue };
            match self.rules(&governing.loaded) {
                Ok(rules) => {
                    info!(version = %governing.version, "limits and relays are those of this version");
                    sender.govern(rules).await;
                }
                Err(error) => {
                    error!(version = %governing.version, %error, "the relays or keys of this version do not work");
                }
            }
        }
    }

    fn rules(&self, loaded: &Loaded) -> Result<Rules> {
        let project = &loaded.project;
        let relays = self.relays(loaded)?;
        let limits = Limits {
            frequency_cap: project.frequency_cap,
            pause_at_rejections: project.pause_at_rejections,
            returns: project.returns,
        };
        let exchanges = Exchanges::new(&loaded.settings.name_servers);
        Ok(Rules { limits, relays, exchanges, signer: self.signer(loaded)? })
    }

    /// The relays that `loaded` names, in the order of the file.
    ///
    /// # Errors
    /// When the settings of one do not work, or its password is not there.
    pub fn relays(&self, loaded: &Loaded) -> Result<Vec<Relay>> {
        loaded.settings.relays.iter().map(|config| self.relay(loaded, config)).collect()
    }

    /// Reads the keys that sign mail by what `loaded` says. Mail from domains without one is not signed.
    ///
    /// # Errors
    /// [`Refused`] with every file that is no usable key, or that others may read.
    pub fn signer(&self, loaded: &Loaded) -> Result<Signer> {
        let keys = config::dkim::keys(&self.root, &loaded.settings.dkim);
        Ok(Signer::new(keys.map_err(|problems| Refused(problems.to_string()))?))
    }

    /// One of the relays that `loaded` names.
    ///
    /// # Errors
    /// When its settings do not work, or its password is not there.
    pub fn relay(&self, loaded: &Loaded, config: &RelayConfig) -> Result<Relay> {
        let from = &loaded.project.sender.from_address;
        let hello = from.rsplit_once('@').map_or(from.as_str(), |(_, domain)| domain);
        let mut config = config.clone();
        if let RelayUrl::File(directory) = &mut config.url {
            *directory = self.root.join(&*directory);
        }
        let password = password(&format!("relay '{}'", config.name), config.password_env.as_deref())?;
        Ok(Relay::new(config, password, relay::Options::new(hello))?)
    }
}

/// What the variable holds that `what` names.
pub(super) fn password(what: &str, variable: Option<&str>) -> Result<Option<SecretString>> {
    let read = |name| {
        let missing = || format!("{what} takes its password from the variable {name}, which is not set");
        Ok(SecretString::from(std::env::var(name).with_context(missing)?))
    };
    variable.map(read).transpose()
}

/// What this machine calls itself.
#[must_use]
pub fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "node".to_owned(), |name| name.trim().to_owned())
}
