//! Handles what was taken in, each mail once, in the order of arrival.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::apply::Applying;
use super::limits::Watch;
use super::read::{Read, read};
use super::rules::Rules;
use crate::clock::{Clock, Spell};
use crate::domain::address::Address;
use crate::domain::id::InboundId;
use crate::domain::token::Keyring;
use crate::metrics::Metrics;
use crate::store::inbound::{self, Waiting};
use crate::store::{Result, Store};

/// How often it is looked for mail; true time, also beside a fast clock.
const LOOK: Duration = Duration::from_secs(1);
/// The longest pause while the database is away.
const LONGEST: Duration = Duration::from_secs(30);
/// So often a mail is tried that cannot be handled.
const MOST_TRIES: i64 = 5;
/// Between two tries; so long nobody else takes it in hand.
const BETWEEN_TRIES: Duration = Duration::from_secs(60);

/// What the reader needs.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Signs addresses.
    pub keyring: Arc<Keyring>,
    /// Hashes addresses.
    pub suppression_key: hmac::Key,
    /// Counts.
    pub metrics: Metrics,
}

/// Reads mail that came back, and does what follows.
pub struct Reader {
    parts: Parts,
    watch: Watch,
}

impl Reader {
    /// A reader; several do no harm.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let watch = Watch::new(parts.store.clone(), parts.clock.clone());
        Self { parts, watch }
    }

    /// Reads until `shutdown`. `rules` tells what counts at the time.
    pub async fn run(mut self, rules: impl Fn() -> Rules, shutdown: CancellationToken) {
        let mut pause = LOOK;
        let mut spell = Spell::default();
        while !shutdown.is_cancelled() {
            let step = self.step(&rules()).await;
            if step.is_ok() && spell.ended() {
                info!("mail that came back is read again");
            }
            match step {
                Ok(true) => {
                    pause = LOOK;
                    continue;
                }
                Ok(false) => pause = LOOK,
                Err(error) => {
                    pause = (pause * 2).min(LONGEST);
                    if spell.failed() {
                        warn!(%error, "mail that came back waits");
                    }
                }
            }
            shutdown.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    /// Handles one mail. `false` when none is due.
    ///
    /// # Errors
    /// When the database refuses in a way that may pass; the mail waits.
    pub async fn step(&mut self, rules: &Rules) -> Result<bool> {
        if self.watch.is_due() {
            self.watch.look(rules.returns).await?;
        }
        let Some(mail) = self.claim().await? else {
            self.watch.look(rules.returns).await?;
            return Ok(false);
        };
        let (id, tries) = (InboundId(mail.id), mail.tries + 1);
        if tries > MOST_TRIES {
            self.give_up(id, "it was tried too often", None).await?;
            return Ok(true);
        }
        let keyring = Arc::clone(&self.parts.keyring);
        // A hostile mail may take a while, and whatever happens to it happens to it alone.
        let taken_apart = tokio::task::spawn_blocking(move || {
            let read = read(&mail, &keyring);
            (mail, read)
        });
        let Ok((mail, read)) = taken_apart.await else {
            error!(mail = %id, "this mail cannot be taken apart and is kept as failed");
            self.give_up(id, "it cannot be taken apart", None).await?;
            return Ok(true);
        };
        match self.apply(&mail, &read, rules).await {
            Err(error) if error.may_pass() => Err(error),
            Err(error) => {
                warn!(mail = %id, %error, tries, "this mail cannot be handled");
                if tries == MOST_TRIES {
                    self.give_up(id, "the database refuses what follows from it", Some(&read)).await?;
                }
                Ok(true)
            }
            Ok(()) => Ok(true),
        }
    }

    /// Takes a mail in hand. It is counted before it is looked at, so that one which ends the process does not stand
    /// before the others for ever.
    async fn claim(&self) -> Result<Option<Waiting>> {
        let now = self.parts.clock.now();
        if !inbound::any_due(&mut self.parts.store.read().await?, now).await? {
            return Ok(None);
        }
        let mut tx = self.parts.store.write().await?;
        let mail = inbound::claim(&mut tx, now, now.plus(BETWEEN_TRIES)).await?;
        tx.commit().await?;
        Ok(mail)
    }

    async fn apply(&mut self, mail: &Waiting, read: &Read, rules: &Rules) -> Result<()> {
        let applying = Applying { parts: &self.parts, mail, read, rules };
        let Some(applied) = applying.apply().await? else { return Ok(()) };
        self.parts.metrics.inbound(&mail.way, read.classified.kind.as_str(), applied.effect.as_str());
        if let Some(message) = &applied.message {
            let relay = message.relay.as_deref().unwrap_or("");
            let of = (message.campaign.as_str(), relay, message.domain.as_str());
            self.parts.metrics.returned(of, applied.effect.as_str());
        }
        self.watch.note(applied.run);
        Ok(())
    }

    async fn give_up(&self, mail: InboundId, why: &str, read: Option<&Read>) -> Result<()> {
        let from = read.and_then(|read| Address::parse(read.headers.from.as_deref()?).ok());
        let hash = from.map(|from| from.hash(&self.parts.suppression_key));
        let mut tx = self.parts.store.write().await?;
        inbound::fail(&mut tx, mail, why, hash.as_ref()).await?;
        tx.commit().await
    }
}
