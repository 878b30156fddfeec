//! Bulk writes of an import: one batch of rows is one transaction, so that a killed import leaves
//! whole batches behind and running it again is harmless.

mod bulk;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::types::Json;

use super::connection::Bound;
use super::recipients::Attributes;
use super::{EngineKind, Error, Result, Session, Store, Value};
use crate::args;
use crate::domain::address::{Address, AddressHash};
use crate::domain::consent::{self, Digest, Purpose, SALT};
use crate::domain::id::RecipientId;
use crate::domain::time::Micros;
use bulk::Grant;

/// One row, checked and normalised.
#[derive(Debug)]
pub struct ImportRow {
    /// Whom it is about: the address, folded; distinct within a batch.
    pub person: Arc<str>,
    /// The address.
    pub address: Address,
    /// What suppressions are compared with.
    pub hash: AddressHash,
    /// The cells that hold something, typed, as a JSON object.
    pub attributes: Arc<str>,
    /// Proof of the permissions that the row gives.
    pub proof: Proof,
    /// The links of the permissions in the chain of somebody new; see [`Terms::grants`].
    pub links: [Digest; GRANTS],
}

/// Permissions that a row may give at most.
pub const GRANTS: usize = 2;

/// A payload and the commitment to it (see [`crate::domain::consent`]).
#[derive(Clone, Debug)]
pub struct Proof {
    /// JSON.
    pub payload: Arc<str>,
    /// The commitment's salt.
    pub salt: [u8; SALT],
    /// SHA-256 of salt and payload.
    pub commitment: Digest,
}

/// What all rows of an import share.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What is subscribed to.
    pub topic: Arc<str>,
    /// Whether keeping hits is permitted, too.
    pub tracking: bool,
    /// When the permissions are recorded.
    pub at: Micros,
    /// Whoever has a higher number came in with this import; see [`last_recipient`].
    pub after: RecipientId,
    /// Whether to give everything up at the end of each batch.
    pub dry_run: bool,
}

impl Terms {
    /// The permissions that each row gives, as they stand in the chain of somebody new.
    pub fn grants(&self) -> impl Iterator<Item = consent::Terms<'_>> {
        let purposes = [Purpose::Contact, Purpose::Tracking].into_iter().take(1 + usize::from(self.tracking));
        purposes.zip(1..).map(|(purpose, seq)| self.grant(purpose, seq))
    }

    fn grant(&self, purpose: Purpose, seq: i64) -> consent::Terms<'_> {
        let topic = match purpose {
            Purpose::Contact => &*self.topic,
            Purpose::Tracking | Purpose::Frequency | Purpose::Address => "",
        };
        consent::Terms { seq, at: self.at, purpose, topic, granted: true }
    }
}

/// What became of rows. Each row counts in one of the first five fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// People who were not known.
    pub new: u64,
    /// People whose attributes or permissions changed.
    pub updated: u64,
    /// People who stood there already, all the same.
    pub unchanged: u64,
    /// Rows for someone who came in with an earlier row of the same import.
    pub duplicates: u64,
    /// Suppressed addresses: not taken in; attributes of known ones renewed.
    pub suppressed: u64,
    /// Of the updated and unchanged: people who had left, and stay so.
    pub kept_unsubscribed: u64,
}

impl Tally {
    /// Whether all rows were for people who were not known.
    #[must_use]
    pub fn all_new(&self) -> bool {
        *self == Self { new: self.new, ..Self::default() }
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.new += other.new;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.duplicates += other.duplicates;
        self.suppressed += other.suppressed;
        self.kept_unsubscribed += other.kept_unsubscribed;
    }
}

const LAST_RECIPIENT: &str = "SELECT COALESCE(MAX(id), 0) FROM recipients";

pub(super) const STATEMENTS: &[&str] = &[LAST_RECIPIENT, bulk::ANY_SUPPRESSION];

/// How often a batch is tried when another import takes the same new addresses at the same time.
const TRIES: usize = 5;

/// The highest number given to a recipient so far.
///
/// # Errors
/// When the database refuses.
pub async fn last_recipient(session: &mut Session) -> Result<RecipientId> {
    let (id,): (i64,) = session.one(LAST_RECIPIENT, vec![]).await?;
    Ok(RecipientId(id))
}

/// Writes one batch of at most a few thousand rows in one transaction. Rows in the order of their
/// addresses are the faster ones, and two imports of such rows cannot lock each other out. Who is new has joined `now`,
/// which is asked for when nobody else can begin a run before the batch is there. Where nobody of the rows is likely
/// to be known (`strangers`), they are taken in without a look, and looked up only when one of them is.
///
/// # Errors
/// When the database refuses; then nothing of the batch was written.
pub async fn apply(
    store: &Store,
    terms: &Terms,
    now: impl Fn() -> Micros,
    rows: &[ImportRow],
    mut strangers: bool,
) -> Result<Tally> {
    let mut tries = 0;
    loop {
        let mut session = store.write().await?;
        match write(&mut session, terms, now(), rows, strangers).await? {
            Some(tally) if terms.dry_run => return session.rollback().await.map(|()| tally),
            Some(tally) => return session.commit().await.map(|()| tally),
            None => session.rollback().await?,
        }
        tries += usize::from(!std::mem::take(&mut strangers));
        if tries == TRIES {
            return Err(Error::Corrupt("recipients appear and vanish while they are imported".to_owned()));
        }
    }
}

#[derive(sqlx::FromRow)]
struct Known {
    id: i64,
    address: String,
    attributes: Json<Attributes>,
    tracking: bool,
    /// Of the import's topic; none when the person was never tied to it.
    subscribed: Option<bool>,
    /// Was tied to some topic, and holds none any more.
    left_all: bool,
    /// Withdrew tracking at some time.
    refused: bool,
}

/// `None` when somebody taken for new is known: another import took one of the addresses in the meantime, or
/// nobody looked.
async fn write(
    session: &mut Session,
    terms: &Terms,
    now: Micros,
    rows: &[ImportRow],
    strangers: bool,
) -> Result<Option<Tally>> {
    // Of somebody suppressed it matters whether they are known.
    let (known, suppressed) = match strangers && !bulk::any_suppression(session).await? {
        true => (HashMap::new(), Hashes::new()),
        false => (known(session, terms, rows).await?, bulk::suppressed(session, rows).await?),
    };
    let (mut tally, mut fresh, mut changes) = (Tally::default(), Vec::new(), Changes::default());
    for row in rows {
        let suppressed = suppressed.contains(&row.hash);
        match known.get(&*row.person) {
            Some(known) => changes.decide(row, known, suppressed, terms, &mut tally)?,
            None if suppressed => tally.suppressed += 1,
            None => fresh.push(row),
        }
    }
    tally.new = fresh.len() as u64;
    if !take_in(session, terms, now, fresh).await? {
        return Ok(None);
    }
    changes.write(session, terms, now).await?;
    Ok(Some(tally))
}

/// What a batch changes about people who are known.
#[derive(Default)]
struct Changes<'a> {
    attributes: Vec<(i64, Attributes)>,
    subscribe: Vec<i64>,
    track: Vec<i64>,
    grants: Vec<(i64, Purpose, &'a Proof)>,
}

impl<'a> Changes<'a> {
    fn decide(
        &mut self,
        row: &'a ImportRow,
        known: &Known,
        suppressed: bool,
        terms: &Terms,
        tally: &mut Tally,
    ) -> Result<()> {
        let mut changed = false;
        let attributes: Attributes = serde_json::from_str(&row.attributes)
            .map_err(|error| Error::Corrupt(format!("attributes of a row are no JSON object: {error}")))?;
        if let Some(merged) = merged(&known.attributes.0, &attributes) {
            self.attributes.push((known.id, merged));
            changed = true;
        }
        if suppressed {
            tally.suppressed += 1;
            return Ok(());
        }
        // Whoever left the topic, or everything, is not brought back by a file.
        let left = known.subscribed == Some(false) || known.left_all;
        if known.subscribed.is_none() && !left {
            self.subscribe.push(known.id);
            self.grants.push((known.id, Purpose::Contact, &row.proof));
            changed = true;
        }
        if terms.tracking && !known.tracking && !known.refused && !left {
            self.track.push(known.id);
            self.grants.push((known.id, Purpose::Tracking, &row.proof));
            changed = true;
        }
        if known.id > terms.after.0 {
            tally.duplicates += 1;
            return Ok(());
        }
        tally.kept_unsubscribed += u64::from(left);
        if changed {
            tally.updated += 1;
        } else {
            tally.unchanged += 1;
        }
        Ok(())
    }

    async fn write(self, session: &mut Session, terms: &Terms, now: Micros) -> Result<()> {
        bulk::set_attributes(session, self.attributes, now).await?;
        bulk::subscribe(session, terms, &self.subscribe).await?;
        bulk::track(session, &self.track).await?;
        let who: Vec<i64> = self.grants.iter().map(|g| g.0).collect();
        let mut chains = bulk::last_links(session, &who).await?;
        let grants = self.grants.into_iter().map(|(id, purpose, proof)| {
            let (seq, previous) = chains.entry(id).or_default();
            let terms = terms.grant(purpose, *seq + 1);
            let chain = consent::link(previous, &proof.commitment, &terms);
            (*seq, *previous) = (terms.seq, chain);
            Grant { recipient: id, terms, proof, chain }
        });
        let grants: Vec<_> = grants.collect();
        bulk::record(session, &grants).await
    }
}

/// The stored attributes with those of the row on top; `None` when that changes nothing.
fn merged(stored: &Attributes, row: &Attributes) -> Option<Attributes> {
    if row.iter().all(|(name, value)| stored.get(name) == Some(value)) {
        return None;
    }
    let mut merged = stored.clone();
    merged.extend(row.iter().map(|(name, value)| (name.clone(), value.clone())));
    Some(merged)
}

/// Inserts people who are not known. `false` when one of them is, by now.
async fn take_in(session: &mut Session, terms: &Terms, now: Micros, rows: Vec<&ImportRow>) -> Result<bool> {
    let ids = bulk::new_ids(session, rows.len()).await?;
    let people: Vec<_> = ids.into_iter().zip(rows).collect();
    bulk::take_in(session, terms, now, &people).await
}

/// Who of the rows is known, by address; locked until the transaction ends.
async fn known(session: &mut Session, terms: &Terms, rows: &[ImportRow]) -> Result<HashMap<String, Known>> {
    let kind = session.kind();
    let mut found = HashMap::new();
    let mut chunks = bulk::chunks(rows);
    let bind = |chunk: &[ImportRow]| {
        let addresses = || chunk.iter().map(|row| Value::from(row.person.clone()));
        let lock = format!(
            "SELECT id FROM recipients WHERE LOWER(address) IN {} ORDER BY id FOR UPDATE",
            bulk::list(kind, 1, chunk.len())
        );
        let lock = (kind == EngineKind::Postgres).then(|| Bound::new(kind, lock, addresses().collect())).transpose()?;
        let sql = format!(
            "WITH v(topic) AS (VALUES ({topic}))
             SELECT r.id, r.address, r.attributes, r.tracking, s.subscribed,
                    EXISTS (SELECT 1 FROM subscriptions o WHERE o.recipient_id = r.id)
                    AND NOT EXISTS (SELECT 1 FROM subscriptions o WHERE o.recipient_id = r.id AND o.subscribed)
                        AS left_all,
                    EXISTS (SELECT 1 FROM consents c
                            WHERE c.recipient_id = r.id AND c.purpose = 'tracking' AND NOT c.granted) AS refused
             FROM v CROSS JOIN recipients r
             LEFT JOIN subscriptions s ON s.recipient_id = r.id AND s.topic = v.topic
             WHERE LOWER(r.address) IN {list}",
            topic = bulk::placeholder(kind, 1),
            list = bulk::list(kind, 2, chunk.len()),
        );
        let values = args![terms.topic.clone()].into_iter().chain(addresses()).collect();
        Ok::<_, Error>((lock, Bound::new(kind, sql, values)?))
    };
    let mut next = chunks.next().map(bind).transpose()?;
    while let Some((lock, select)) = next {
        if let Some(lock) = lock {
            session.all_bound::<(i64,)>(lock).await?;
        }
        let (known, following) =
            tokio::join!(session.all_bound::<Known>(select), async { chunks.next().map(bind).transpose() });
        found.extend(known?.into_iter().map(|k| (k.address.to_ascii_lowercase(), k)));
        next = following?;
    }
    Ok(found)
}

type Hashes = HashSet<AddressHash>;
