//! `colloquy consent proof`: what one person agreed to, as it is handed to a court or an authority.

use std::fmt::{self, Write as _};

use serde::Serialize;
use serde_json::Value;

use super::Result;
use crate::domain::address::Address;
use crate::domain::consent::{Digest, chained, verify};
use crate::domain::id::RecipientId;
use crate::domain::time::Micros;
use crate::store::consents::StoredConsent;
use crate::store::{Error, Store, consents, recipients, subscriptions};

/// Everything that proves what a person agreed to.
#[derive(Clone, Debug, Serialize)]
pub struct Proof {
    /// The address, as mail goes to it.
    pub address: String,
    /// The number by which the database knows the person.
    pub recipient: RecipientId,
    /// When this was put together, RFC 3339.
    pub made_at: String,
    /// The program that did it.
    pub program: String,
    /// What is subscribed to now.
    pub subscribed: Vec<String>,
    /// Whether hits may be kept with the person now.
    pub tracking: bool,
    /// Whether the chain holds.
    pub holds: bool,
    /// Why not.
    pub fault: Option<String>,
    /// The ledger, in its order.
    pub entries: Vec<Entry>,
    /// How anybody can check it.
    pub how_to_verify: String,
}

/// A decision.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Its number, from 1.
    pub seq: i64,
    /// When, RFC 3339.
    pub at: String,
    /// When, microseconds since 1970: what the chain covers.
    pub at_micros: i64,
    /// `contact`, `tracking` or `frequency`.
    pub purpose: String,
    /// The topic; empty but for `contact`.
    pub topic: String,
    /// Given, or withdrawn.
    pub granted: bool,
    /// What was agreed to, where and how.
    pub proof: Value,
    /// The same, octet for octet as it was committed to.
    pub payload: String,
    /// In hexadecimal, as are the following.
    pub salt: String,
    /// Salt and payload.
    pub opened: String,
    /// SHA-256 of them.
    pub commitment: String,
    /// What the link is the SHA-256 of.
    pub chained: String,
    /// The link.
    pub link: String,
}

const HOW: &str = "Every entry is sealed by two SHA-256 hashes. The commitment is the hash of the salt followed by the payload. The link
is the hash of: the link before it (32 zero octets before the first), the commitment, the entry's number and its time in
microseconds since 1970 (8 octets each, the highest first), one octet 01 for given or 00 for withdrawn, the purpose, one
octet 00, the topic. Whoever changes, removes, adds or reorders an entry changes every link after it. With nothing but the
GNU core utilities:

  printf %s OPENED | basenc --base16 --decode | sha256sum     # gives the commitment
  printf %s SEALED | basenc --base16 --decode | sha256sum     # gives the link

Put in what stands beside 'opened' (salt and payload in hexadecimal) and 'sealed'; it is made of digits and the letters A to F
alone. Never paste the payload itself into a command: it repeats what strangers typed. It is shown without control
characters; 'opened' has every octet. That the newest entries were not cut off shows a copy of the last link that was kept
elsewhere, such as an earlier print of this page.";

/// The proof about a person; `None` when nobody has the address.
///
/// # Errors
/// When the database refuses.
pub async fn proof(store: &Store, address: &Address, at: Micros) -> Result<Option<Proof>> {
    let mut session = store.read().await?;
    let Some(person) = recipients::find(&mut session, address).await? else { return Ok(None) };
    let stored = consents::history(&mut session, person.id, Micros(i64::MAX)).await?;
    let subscribed = subscriptions::of(&mut session, person.id).await?;
    let entries: std::result::Result<Vec<_>, Error> = stored.iter().map(StoredConsent::entry).collect();
    let fault = match entries {
        Ok(entries) => verify(entries).err().map(|(seq, fault)| format!("entry {seq}: {fault}")),
        Err(error) => Some(error.to_string()),
    };
    let mut previous = Digest::default();
    let mut shown = Vec::with_capacity(stored.len());
    for consent in &stored {
        shown.push(entry(consent, &previous));
        previous = consent.chain.as_slice().try_into().unwrap_or_default();
    }
    Ok(Some(Proof {
        address: person.address.map(|address| address.to_string()).unwrap_or_default(),
        recipient: person.id,
        made_at: at.to_string(),
        program: concat!("colloquy ", env!("CARGO_PKG_VERSION")).to_owned(),
        subscribed: subscribed.into_iter().filter(|s| s.subscribed).map(|s| s.topic).collect(),
        tracking: person.tracking,
        holds: fault.is_none(),
        fault,
        entries: shown,
        how_to_verify: HOW.to_owned(),
    }))
}

fn entry(stored: &StoredConsent, previous: &Digest) -> Entry {
    let payload = stored.payload.clone().unwrap_or_default();
    let sealed = stored.entry().ok().and_then(|entry| {
        let commitment: Digest = entry.commitment.try_into().ok()?;
        Some(chained(previous, &commitment, &entry.terms))
    });
    Entry {
        seq: stored.seq,
        at: Micros(stored.at).to_string(),
        at_micros: stored.at,
        purpose: stored.purpose.clone(),
        topic: stored.topic.clone(),
        granted: stored.granted,
        proof: serde_json::from_str(&payload).unwrap_or(Value::Null),
        opened: hex(&[stored.salt.as_deref().unwrap_or_default(), payload.as_bytes()].concat()),
        payload,
        salt: hex(stored.salt.as_deref().unwrap_or_default()),
        commitment: hex(&stored.commitment),
        chained: hex(&sealed.unwrap_or_default()),
        link: hex(&stored.chain),
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut hex, octet| {
        let _ = write!(hex, "{octet:02X}");
        hex
    })
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Proof of consent\n================\n")?;
        writeln!(f, "Address      {} (recipient {})", self.address, self.recipient)?;
        writeln!(f, "Made         {} by {}", self.made_at, self.program)?;
        let topics = if self.subscribed.is_empty() { "nothing".to_owned() } else { self.subscribed.join(", ") };
        writeln!(f, "Now          subscribed to {topics}; tracking {}", allowed(self.tracking))?;
        let holds = self.fault.as_ref().map_or_else(|| "holds".to_owned(), |fault| format!("IS BROKEN: {fault}"));
        writeln!(f, "Chain        {} entries, {holds}", self.entries.len())?;
        for entry in &self.entries {
            write!(f, "\n{entry}")?;
        }
        writeln!(f, "\nHow to verify this by hand\n--------------------------\n\n{}", self.how_to_verify)
    }
}

fn allowed(granted: bool) -> &'static str {
    if granted { "allowed" } else { "not allowed" }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.purpose.as_str(), self.granted) {
            ("contact", true) => format!("agrees to be mailed about '{}'", self.topic),
            ("contact", false) => format!("no longer agrees to be mailed about '{}'", self.topic),
            ("frequency", true) => "lifts all limits to how often mails come".to_owned(),
            ("frequency", false) => "limits how often mails come".to_owned(),
            (purpose, true) => format!("agrees to {purpose}"),
            (purpose, false) => format!("no longer agrees to {purpose}"),
        };
        writeln!(f, "Entry {}: {what}\n  at           {}", self.seq, self.at)?;
        match &self.proof {
            Value::Object(fields) => fields.iter().try_for_each(|(name, value)| told(f, name, value))?,
            _ => writeln!(f, "  (erased: what was agreed to is not kept)")?,
        }
        for (name, value) in [
            ("payload", &visible(&self.payload)),
            ("salt", &self.salt),
            ("opened", &self.opened),
            ("commitment", &self.commitment),
            ("sealed", &self.chained),
            ("link", &self.link),
        ] {
            writeln!(f, "  {name:<12} {value}")?;
        }
        Ok(())
    }
}

/// A field of the payload; what is nested stands behind its parent's name.
fn told(f: &mut fmt::Formatter<'_>, name: &str, value: &Value) -> fmt::Result {
    match value {
        Value::Null => Ok(()),
        Value::Object(fields) => {
            fields.iter().try_for_each(|(inner, value)| told(f, &format!("{name}.{inner}"), value))
        }
        Value::String(text) => writeln!(f, "  {name:<12} {}", visible(text)),
        other => writeln!(f, "  {name:<12} {}", visible(&other.to_string())),
    }
}

/// A control character from a browser's name must not act on a terminal; JSON escapes only some of them.
fn visible(text: &str) -> String {
    text.replace(char::is_control, " ")
}
