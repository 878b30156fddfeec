//! The statements of an import, many rows each. Batches are cut into powers of two, so that only a
//! few texts arise and all stay prepared.

use std::collections::HashMap;

use super::{Hashes, ImportRow, Proof, Terms};
use crate::args;
use crate::domain::address::AddressHash;
use crate::domain::consent::{self, Digest, Purpose};
use crate::domain::id::RecipientId;
use crate::store::consents::to_digest;
use crate::store::recipients::Attributes;
use crate::store::{self, EngineKind, Result, Session, Value};

/// Most rows of one statement.
const ROWS: usize = 1_024;

/// Cuts a slice into pieces whose lengths are powers of two.
pub(super) fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let len = 1 << rows.len().min(ROWS).checked_ilog2()?;
        let (chunk, rest) = rows.split_at(len);
        rows = rest;
        Some(chunk)
    })
}

/// SQLite searches the list of names for every parameter that has one, so that thousands of `$n` in a
/// statement take quadratic time; there, and only in the order of their values, they are plain `?`.
pub(super) fn placeholder(session: &Session, n: usize) -> String {
    match session.kind() {
        EngineKind::Sqlite => "?".to_owned(),
        EngineKind::Postgres => format!("${n}"),
    }
}

/// `(…, …)`: one row of placeholders, from `$first` on.
pub(super) fn list(session: &Session, first: usize, len: usize) -> String {
    rows(session, first, 1, len)
}

/// `(…, …), (…, …)`: placeholders, from `$first` on.
fn rows(session: &Session, first: usize, rows: usize, columns: usize) -> String {
    match session.kind() {
        EngineKind::Sqlite => {
            let row = format!("({}?),", "?,".repeat(columns - 1));
            let mut text = row.repeat(rows);
            text.pop();
            text
        }
        EngineKind::Postgres => store::values(first, rows, columns),
    }
}

/// A permission in its place on the chain.
pub(super) struct Grant<'a> {
    recipient: RecipientId,
    purpose: Purpose,
    proof: &'a Proof,
    pub(super) seq: i64,
    pub(super) chain: Digest,
}

impl<'a> Grant<'a> {
    pub(super) fn new(
        recipient: RecipientId,
        seq: i64,
        previous: &Digest,
        purpose: Purpose,
        proof: &'a Proof,
        terms: &Terms,
    ) -> Self {
        let open = consent::Terms { seq, at: terms.at, purpose, topic: topic(purpose, terms), granted: true };
        let chain = consent::link(previous, &proof.commitment, &open);
        Self { recipient, purpose, proof, seq, chain }
    }
}

fn topic(purpose: Purpose, terms: &Terms) -> &str {
    match purpose {
        Purpose::Contact => &terms.topic,
        Purpose::Tracking => "",
    }
}

/// Numbers for people to insert.
pub(super) async fn new_ids(session: &mut Session, count: usize) -> Result<Vec<i64>> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    match session.kind() {
        EngineKind::Sqlite => {
            let sql = "SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'recipients'";
            let (last,): (i64,) = session.one(sql, vec![]).await?;
            Ok((last + 1..=last + count).collect())
        }
        EngineKind::Postgres => {
            let sql = "SELECT nextval(pg_get_serial_sequence('recipients', 'id')) FROM generate_series(1, $1)";
            let ids: Vec<(i64,)> = session.all(sql, args![count]).await?;
            Ok(ids.into_iter().map(|(id,)| id).collect())
        }
    }
}

/// Inserts people. `false` when one of the addresses is taken.
pub(super) async fn insert(session: &mut Session, terms: &Terms, ids: &[i64], people: &[&ImportRow]) -> Result<bool> {
    let (mut ids, mut inserted) = (ids.iter(), 0);
    for chunk in chunks(people) {
        let sql = format!(
            "INSERT INTO recipients (id, address, domain, address_hash, attributes, tracking, created_at)
             VALUES {} ON CONFLICT (LOWER(address)) DO NOTHING",
            rows(session, 1, chunk.len(), 7)
        );
        let values = chunk.iter().zip(ids.by_ref()).flat_map(|(row, &id)| {
            let attributes = row.attributes.clone();
            let hash = row.hash.as_slice();
            let tracking = row.tracking.is_some();
            args![id, row.address.as_str(), row.address.domain(), hash, attributes, tracking, terms.at]
        });
        inserted += session.execute(sql, values.collect()).await?;
    }
    Ok(inserted == people.len() as u64)
}

/// Ties people to the topic who were never tied to it.
pub(super) async fn subscribe(session: &mut Session, terms: &Terms, who: &[i64]) -> Result<()> {
    for chunk in chunks(who) {
        let sql = format!(
            "INSERT INTO subscriptions (recipient_id, topic, subscribed, since) VALUES {}",
            rows(session, 1, chunk.len(), 4)
        );
        let values = chunk.iter().flat_map(|&id| args![id, terms.topic.as_str(), true, terms.at]);
        session.change(chunk.len() as u64, sql, values.collect()).await?;
    }
    Ok(())
}

/// Appends to the people's chains.
pub(super) async fn record(session: &mut Session, terms: &Terms, grants: &[Grant<'_>]) -> Result<()> {
    for chunk in chunks(grants) {
        let sql = format!(
            "INSERT INTO consents
             (recipient_id, seq, at, purpose, topic, granted, payload, salt, commitment, chain) VALUES {}",
            rows(session, 1, chunk.len(), 10)
        );
        let values = chunk.iter().flat_map(|g| {
            args![
                g.recipient,
                g.seq,
                terms.at,
                g.purpose.as_str(),
                topic(g.purpose, terms),
                true,
                g.proof.payload.as_str(),
                g.proof.salt.as_slice(),
                g.proof.commitment.as_slice(),
                g.chain.as_slice(),
            ]
        });
        session.change(chunk.len() as u64, sql, values.collect()).await?;
    }
    Ok(())
}

/// The last number and link of people's chains.
pub(super) async fn last_links(session: &mut Session, who: &[i64]) -> Result<HashMap<i64, (i64, Digest)>> {
    let mut links = HashMap::with_capacity(who.len());
    for chunk in chunks(who) {
        let sql = format!(
            "SELECT c.recipient_id, c.seq, c.chain FROM consents c WHERE c.recipient_id IN {}
             AND c.seq = (SELECT MAX(l.seq) FROM consents l WHERE l.recipient_id = c.recipient_id)",
            list(session, 1, chunk.len())
        );
        let found: Vec<(i64, i64, Vec<u8>)> = session.all(sql, chunk.iter().map(|&id| id.into()).collect()).await?;
        for (id, seq, chain) in found {
            links.insert(id, (seq, to_digest(&chain)?));
        }
    }
    Ok(links)
}

/// Writes people's attributes.
pub(super) async fn set_attributes(session: &mut Session, people: Vec<(i64, Attributes)>) -> Result<()> {
    for chunk in chunks(&people) {
        let sql = format!(
            "WITH v(id, attributes) AS (VALUES {})
             UPDATE recipients SET attributes = v.attributes FROM v WHERE recipients.id = v.id",
            rows(session, 1, chunk.len(), 2)
        );
        let values = chunk.iter().flat_map(|(id, attributes)| args![*id, attributes.clone()]);
        session.change(chunk.len() as u64, sql, values.collect()).await?;
    }
    Ok(())
}

/// Marks that hits may be kept with these people.
pub(super) async fn track(session: &mut Session, who: &[i64]) -> Result<()> {
    for chunk in chunks(who) {
        let sql = format!("UPDATE recipients SET tracking = TRUE WHERE id IN {}", list(session, 1, chunk.len()));
        session.change(chunk.len() as u64, sql, chunk.iter().map(|&id| id.into()).collect()).await?;
    }
    Ok(())
}

/// Which of the rows' addresses are suppressed.
pub(super) async fn suppressed(session: &mut Session, people: &[ImportRow]) -> Result<Hashes> {
    let mut found = Hashes::new();
    for chunk in chunks(people) {
        let sql = format!("SELECT hash FROM suppressions WHERE hash IN {}", list(session, 1, chunk.len()));
        let values: Vec<Value> = chunk.iter().map(|row| row.hash.as_slice().into()).collect();
        let hashes: Vec<(Vec<u8>,)> = session.all(sql, values).await?;
        found.extend(hashes.into_iter().filter_map(|(hash,)| AddressHash::try_from(hash).ok()));
    }
    Ok(found)
}
