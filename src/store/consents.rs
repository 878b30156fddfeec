//! The ledger of permissions: append-only, one hash chain per recipient (see [`crate::domain::consent`]).

use super::{Error, Result, Session};
use crate::args;
use crate::domain::consent::{Digest, Entry, Purpose, Salts, Terms, commitment, link};
use crate::domain::id::RecipientId;
use crate::domain::time::Micros;

/// A decision to append.
pub struct NewConsent<'a> {
    /// Whose.
    pub recipient: RecipientId,
    /// When the person decided.
    pub at: Micros,
    /// What for.
    pub purpose: Purpose,
    /// The topic; empty for the others.
    pub topic: &'a str,
    /// Given, or withdrawn.
    pub granted: bool,
    /// The proof: who, what, where, how. Erasure drops it.
    pub payload: &'a serde_json::Value,
}

/// An entry as stored.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct StoredConsent {
    /// Number within the person's chain, from 1.
    pub seq: i64,
    /// When the person decided, microseconds.
    pub at: i64,
    /// `contact`, `tracking`, `frequency` or `address`.
    pub purpose: String,
    /// The topic; empty for the others.
    pub topic: String,
    /// Given, or withdrawn.
    pub granted: bool,
    /// The proof, JSON; none once erased. One that several entries share is stored with the first.
    pub payload: Option<String>,
    /// The salt of the commitment; none once erased, and stored with the proof.
    pub salt: Option<Vec<u8>>,
    /// SHA-256 of salt and payload.
    pub commitment: Vec<u8>,
    /// The chain's link.
    pub chain: Vec<u8>,
    /// Whether the person is not erased.
    pub living: bool,
}

impl StoredConsent {
    /// What verifying needs.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the purpose is not a word that is known.
    pub fn entry(&self) -> Result<Entry<'_>> {
        let purpose = Purpose::parse(&self.purpose)
            .ok_or_else(|| Error::Corrupt(format!("a consent with the purpose '{}'", self.purpose)))?;
        let terms = Terms { seq: self.seq, at: Micros(self.at), purpose, topic: &self.topic, granted: self.granted };
        let (payload, salt) = (self.payload.as_deref(), self.salt.as_deref());
        Ok(Entry { terms, payload, salt, living: self.living, commitment: &self.commitment, chain: &self.chain })
    }
}

const LAST: &str = "SELECT seq, chain FROM consents WHERE recipient_id = $1 ORDER BY seq DESC LIMIT 1";
const INSERT: &str = "INSERT INTO consents
    (recipient_id, seq, at, purpose, topic, granted, payload, salt, commitment, chain)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const HISTORY: &str = "SELECT seq, at, purpose, topic, granted, payload, salt, commitment, chain,
        (SELECT r.address FROM recipients r WHERE r.id = recipient_id) IS NOT NULL AS living
    FROM consents WHERE recipient_id = $1 AND at <= $2 ORDER BY seq";

const PAGE: &str = "SELECT recipient_id, seq, at, purpose, topic, granted, payload, salt, commitment, chain,
        (SELECT r.address FROM recipients r WHERE r.id = recipient_id) IS NOT NULL AS living
    FROM consents WHERE recipient_id >= $1 AND (recipient_id > $2 OR seq > $3) AND recipient_id <= $4
    ORDER BY recipient_id, seq LIMIT $5";
const UNPROVED: &str = "SELECT s.recipient_id, s.topic FROM subscriptions s
    WHERE s.recipient_id >= $1 AND (s.recipient_id > $2 OR s.topic > $3) AND s.recipient_id <= $4 AND s.subscribed
        AND COALESCE((SELECT c.granted FROM consents c
            WHERE c.recipient_id = s.recipient_id AND c.purpose = 'contact' AND c.topic = s.topic
            ORDER BY c.seq DESC LIMIT 1), FALSE) = FALSE
    ORDER BY s.recipient_id, s.topic LIMIT $5";
const UNPROVED_TRACKING: &str = "SELECT r.id FROM recipients r
    WHERE r.id > $1 AND r.id <= $2 AND r.tracking
        AND COALESCE((SELECT c.granted FROM consents c WHERE c.recipient_id = r.id AND c.purpose = 'tracking'
            ORDER BY c.seq DESC LIMIT 1), FALSE) = FALSE
    ORDER BY r.id LIMIT $3";

pub(super) const STATEMENTS: &[&str] = &[LAST, INSERT, HISTORY, PAGE, UNPROVED, UNPROVED_TRACKING];

/// An entry with its person.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Located {
    /// Whose.
    pub recipient_id: i64,
    /// The entry.
    #[sqlx(flatten)]
    pub consent: StoredConsent,
}

/// Appends to the person's chain. The caller holds the recipient's lock ([`super::recipients::lock`]).
///
/// # Errors
/// When the database refuses, or the chain's last link is not one.
pub async fn append(session: &mut Session, salts: &Salts, new: &NewConsent<'_>) -> Result<()> {
    let last: Option<(i64, Vec<u8>)> = session.first(LAST, args![new.recipient]).await?;
    let (last_seq, previous) = match last {
        Some((seq, chain)) => (seq, to_digest(&chain)?),
        None => (0, Digest::default()),
    };
    let terms = Terms { seq: last_seq + 1, at: new.at, purpose: new.purpose, topic: new.topic, granted: new.granted };
    let payload = new.payload.to_string();
    let salt = salts.salt(new.recipient.0, terms.seq);
    let commitment = commitment(&salt, &payload);
    let chain = link(&previous, &commitment, &terms);
    let values = args![
        new.recipient,
        terms.seq,
        terms.at,
        terms.purpose.as_str(),
        terms.topic,
        terms.granted,
        payload,
        salt.as_slice(),
        commitment.as_slice(),
        chain.as_slice(),
    ];
    session.change(1, INSERT, values).await
}

/// A person's entries up to an instant, in the chain's order.
///
/// # Errors
/// When the database refuses.
pub async fn history(session: &mut Session, recipient: RecipientId, until: Micros) -> Result<Vec<StoredConsent>> {
    let mut entries: Vec<StoredConsent> = session.all(HISTORY, args![recipient, until]).await?;
    for n in 1..entries.len() {
        let (before, entry) = entries.split_at_mut(n);
        let (before, entry) = (&before[n - 1], &mut entry[0]);
        if entry.payload.is_none() && entry.salt.is_none() && entry.commitment == before.commitment {
            (entry.payload, entry.salt) = (before.payload.clone(), before.salt.clone());
        }
    }
    Ok(entries)
}

/// The next entries of everybody, or of `only`, behind an entry (recipient, number): by recipient, then in the
/// chain's order. A proof that several share comes with the first alone.
///
/// # Errors
/// When the database refuses.
pub async fn page(
    session: &mut Session,
    after: (i64, i64),
    only: Option<RecipientId>,
    limit: u32,
) -> Result<Vec<Located>> {
    let last = only.map_or(i64::MAX, |recipient| recipient.0);
    session.all(PAGE, args![after.0, after.0, after.1, last, limit]).await
}

/// The next subscriptions that hold although the ledger's last word about them is no consent.
///
/// # Errors
/// When the database refuses.
pub async fn unproved(
    session: &mut Session,
    after: (i64, &str),
    only: Option<RecipientId>,
    limit: u32,
) -> Result<Vec<(RecipientId, String)>> {
    let last = only.map_or(i64::MAX, |recipient| recipient.0);
    let rows: Vec<(i64, String)> = session.all(UNPROVED, args![after.0, after.0, after.1, last, limit]).await?;
    Ok(rows.into_iter().map(|(id, topic)| (RecipientId(id), topic)).collect())
}

/// The next people behind one with whom hits may be kept although the ledger's last word about that is no consent.
///
/// # Errors
/// When the database refuses.
pub async fn unproved_tracking(
    session: &mut Session,
    after: i64,
    only: Option<RecipientId>,
    limit: u32,
) -> Result<Vec<RecipientId>> {
    let last = only.map_or(i64::MAX, |recipient| recipient.0);
    let rows: Vec<(i64,)> = session.all(UNPROVED_TRACKING, args![after, last, limit]).await?;
    Ok(rows.into_iter().map(|(id,)| RecipientId(id)).collect())
}

pub(super) fn to_digest(stored: &[u8]) -> Result<Digest> {
    stored.try_into().map_err(|_| Error::Corrupt("a link of a consent chain is no SHA-256".to_owned()))
}
