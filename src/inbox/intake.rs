//! Takes mails in, each once.

use aws_lc_rs::digest;

use crate::clock::Clock;
use crate::domain::outcome::clean;
use crate::metrics::Metrics;
use crate::store::inbound::{self, NewInbound};
use crate::store::{Result, Store};

/// Of a mail, so much is kept (octets). Reports come first in it, and answers are small.
pub const MOST_KEPT: usize = 10 << 20;

/// Longest address of an envelope that is kept (RFC 5321 §4.5.3.1.3, and what some servers add).
const LONGEST_ADDRESS: usize = 320;

/// A mail as a way in hands it over.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// How it came: `pipe`, `smtp`, `lmtp`, or a mailbox's name.
    pub way: &'a str,
    /// The envelope's sender, where it is known; empty for none.
    pub sender: Option<&'a str>,
    /// The envelope's recipient, where it is known. A mail to several is taken once for each.
    pub recipient: Option<&'a str>,
    /// Its octets; only the first [`MOST_KEPT`] are kept.
    pub raw: &'a [u8],
    /// How many octets it had in all.
    pub size: u64,
}

/// Whether a mail was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is on disk now.
    New,
    /// It was taken in before.
    Known,
}

/// Where all ways lead, cheap to clone.
#[derive(Clone, Debug)]
pub struct Intake {
    store: Store,
    clock: Clock,
    metrics: Metrics,
}

impl Intake {
    /// Into this database.
    #[must_use]
    pub fn new(store: Store, clock: Clock, metrics: Metrics) -> Self {
        Self { store, clock, metrics }
    }

    /// Takes a mail in. Once this returns it is on disk, and may be removed where it came from.
    ///
    /// # Errors
    /// When the database refuses or is away; then it must be brought again.
    pub async fn take(&self, arrival: Arrival<'_>) -> Result<Taken> {
        let Arrival { way, size, .. } = arrival;
        let raw = &arrival.raw[..arrival.raw.len().min(MOST_KEPT)];
        let [sender, recipient] = [arrival.sender, arrival.recipient].map(|address| address.map(envelope));
        let digest = identity(recipient.as_deref(), raw, size);
        let (sender, recipient) = (sender.as_deref(), recipient.as_deref());
        let new = NewInbound { digest: digest.as_ref(), way, at: self.clock.now(), sender, recipient, size, raw };
        let mut tx = self.store.write().await?;
        let is_new = inbound::take(&mut tx, &new).await?;
        tx.commit().await?;
        self.metrics.inbox_taken(way, is_new);
        Ok(if is_new { Taken::New } else { Taken::Known })
    }
}

/// An address as it may stand in the database.
fn envelope(address: &str) -> String {
    clean(address.trim().trim_start_matches('<').trim_end_matches('>')).chars().take(LONGEST_ADDRESS).collect()
}

/// What says a mail once: whom it came for, and all of it that is kept.
fn identity(recipient: Option<&str>, raw: &[u8], size: u64) -> digest::Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(recipient.unwrap_or_default().to_ascii_lowercase().as_bytes());
    context.update(b"\n");
    context.update(&size.to_be_bytes());
    context.update(raw);
    context.finish()
}
