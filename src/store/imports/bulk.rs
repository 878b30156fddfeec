//! The statements of an import, many rows each. Batches are cut into powers of two, so that only a
//! few texts arise and all stay prepared.

use std::collections::HashMap;

use super::{GRANTS, Hashes, ImportRow, Proof, Terms};
use crate::args;
use crate::domain::address::AddressHash;
use crate::domain::consent::{self, Digest};
use crate::domain::time::Micros;
use crate::store::connection::Bound;
use crate::store::consents::to_digest;
use crate::store::recipients::Attributes;
use crate::store::{self, EngineKind, Error, Result, Session, Value, past};

/// Text for whether anybody is suppressed.
pub(super) const ANY_SUPPRESSION: &str = "SELECT at FROM suppressions LIMIT 1";

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
pub(super) fn placeholder(kind: EngineKind, n: usize) -> String {
    match kind {
        EngineKind::Sqlite => "?".to_owned(),
        EngineKind::Postgres => format!("${n}"),
    }
}

/// `(…, …)`: one row of placeholders, from `$first` on.
pub(super) fn list(kind: EngineKind, first: usize, len: usize) -> String {
    rows(kind, first, 1, len)
}

/// `(…, …), (…, …)`: placeholders, from `$first` on.
fn rows(kind: EngineKind, first: usize, rows: usize, columns: usize) -> String {
    match kind {
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
    pub recipient: i64,
    pub terms: consent::Terms<'a>,
    pub proof: &'a Proof,
    pub chain: Digest,
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

/// Somebody new, with the number to get.
pub(super) type Newcomer<'a> = (i64, &'a ImportRow);

/// A statement that must change so many rows.
type Step = Result<(Bound, u64)>;

/// Takes in people who are new, with all permissions of their rows. `false` when one of the addresses
/// is taken.
pub(super) async fn take_in(
    session: &mut Session,
    terms: &Terms,
    now: Micros,
    people: &[Newcomer<'_>],
) -> Result<bool> {
    let kind = session.kind();
    let ids: Vec<_> = people.iter().map(|(id, _)| *id).collect();
    let steps = insert(kind, terms.tracking, now, people)
        .chain(subscribe_steps(kind, terms, &ids))
        .chain(begin_chains(kind, terms, people));
    run(session, steps).await
}

fn insert(kind: EngineKind, tracking: bool, now: Micros, people: &[Newcomer<'_>]) -> impl Iterator<Item = Step> {
    chunks(people).map(move |chunk| {
        let (values, shared) = (rows(kind, 1, chunk.len(), 5), chunk.len() * 5);
        let sql = format!(
            "INSERT INTO recipients (id, address, domain, address_hash, attributes, tracking, created_at)
             SELECT v.column1, v.column2, v.column3, v.column4, v.column5, ${}, ${} FROM (VALUES {values}) AS v
             WHERE TRUE ON CONFLICT (LOWER(address)) DO NOTHING",
            shared + 1,
            shared + 2,
        );
        let mut args = Vec::with_capacity(shared + 2);
        for (id, row) in chunk {
            let (address, hash) = (&row.address, row.hash.as_slice());
            let attributes = Value::WrittenJson(row.attributes.clone());
            args.extend(args![*id, address.as_str(), address.domain(), hash, attributes]);
        }
        args.extend(args![tracking, now]);
        Ok((Bound::new(kind, sql, args)?, chunk.len() as u64))
    })
}

fn subscribe_steps(kind: EngineKind, terms: &Terms, who: &[i64]) -> impl Iterator<Item = Step> {
    chunks(who).map(move |chunk| {
        let (values, shared) = (rows(kind, 1, chunk.len(), 1), chunk.len());
        let sql = format!(
            "INSERT INTO subscriptions (recipient_id, topic, subscribed, since)
             SELECT v.column1, ${}, TRUE, ${} FROM (VALUES {values}) AS v",
            shared + 1,
            shared + 2,
        );
        let args = chunk.iter().map(|&id| id.into()).chain(args![terms.topic.clone(), terms.at]);
        Ok((Bound::new(kind, sql, args.collect())?, chunk.len() as u64))
    })
}

/// The chains begin with all permissions of a row; the first carries the proof of them all.
fn begin_chains(kind: EngineKind, terms: &Terms, people: &[Newcomer<'_>]) -> impl Iterator<Item = Step> {
    let grants: Vec<_> = terms.grants().collect();
    let columns = 4 + GRANTS;
    chunks(people).map(move |chunk| {
        let (values, shared) = (rows(kind, 1, chunk.len(), columns), chunk.len() * columns);
        let sql = format!(
            "INSERT INTO consents (recipient_id, seq, at, purpose, topic, granted, payload, salt, commitment, chain)
             SELECT v.column1, g.column1, ${}, g.column2, g.column3, TRUE,
                 CASE g.column1 WHEN 1 THEN v.column2 END, CASE g.column1 WHEN 1 THEN v.column3 END, v.column4,
                 CASE g.column1 WHEN 1 THEN v.column5 ELSE v.column6 END
             FROM (VALUES {values}) AS v CROSS JOIN (VALUES {}) AS g",
            shared + 1,
            store::values(shared + 2, grants.len(), 3),
        );
        let mut args = Vec::with_capacity(shared + 1 + grants.len() * 3);
        for (id, row) in chunk {
            let Proof { payload, salt, commitment } = &row.proof;
            args.extend(args![*id, payload.clone(), salt.as_slice(), commitment.as_slice()]);
            args.extend(row.links.iter().map(|link| Value::from(link.as_slice())));
        }
        args.push(terms.at.into());
        args.extend(grants.iter().flat_map(|terms| args![terms.seq, terms.purpose.as_str(), terms.topic]));
        Ok((Bound::new(kind, sql, args)?, (chunk.len() * grants.len()) as u64))
    })
}

/// Ties people to the topic who were never tied to it.
pub(super) async fn subscribe(session: &mut Session, terms: &Terms, who: &[i64]) -> Result<()> {
    let kind = session.kind();
    all(run(session, subscribe_steps(kind, terms, who)).await?)
}

/// Appends to the people's chains.
pub(super) async fn record(session: &mut Session, grants: &[Grant<'_>]) -> Result<()> {
    let kind = session.kind();
    let steps = chunks(grants).map(|chunk| {
        let sql = format!(
            "INSERT INTO consents
             (recipient_id, seq, at, purpose, topic, granted, payload, salt, commitment, chain) VALUES {}",
            rows(kind, 1, chunk.len(), 10)
        );
        let values = chunk.iter().flat_map(|Grant { recipient, terms, proof, chain }| {
            args![
                *recipient,
                terms.seq,
                terms.at,
                terms.purpose.as_str(),
                terms.topic,
                terms.granted,
                proof.payload.clone(),
                proof.salt.as_slice(),
                proof.commitment.as_slice(),
                chain.as_slice(),
            ]
        });
        Ok((Bound::new(kind, sql, values.collect())?, chunk.len() as u64))
    });
    all(run(session, steps).await?)
}

/// Runs statements one after the other, and puts the next together while one runs. `false` when one
/// changes fewer rows than it must; those after it are not run.
async fn run(session: &mut Session, mut steps: impl Iterator<Item = Step>) -> Result<bool> {
    let mut next = steps.next().transpose()?;
    while let Some((bound, expected)) = next {
        let (changed, following) = tokio::join!(session.execute_bound(bound), async { steps.next().transpose() });
        if changed? != expected {
            return Ok(false);
        }
        next = following?;
    }
    Ok(true)
}

/// Rows that nothing can keep from being written.
fn all(written: bool) -> Result<()> {
    if written { Ok(()) } else { Err(Error::Corrupt("rows of an import were not all written".to_owned())) }
}

/// The last number and link of people's chains.
pub(super) async fn last_links(session: &mut Session, who: &[i64]) -> Result<HashMap<i64, (i64, Digest)>> {
    let mut links = HashMap::with_capacity(who.len());
    for chunk in chunks(who) {
        let sql = format!(
            "SELECT c.recipient_id, c.seq, c.chain FROM consents c WHERE c.recipient_id IN {}
             AND c.seq = (SELECT MAX(l.seq) FROM consents l WHERE l.recipient_id = c.recipient_id)",
            list(session.kind(), 1, chunk.len())
        );
        let found: Vec<(i64, i64, Vec<u8>)> = session.all(sql, chunk.iter().map(|&id| id.into()).collect()).await?;
        for (id, seq, chain) in found {
            links.insert(id, (seq, to_digest(&chain)?));
        }
    }
    Ok(links)
}

/// Writes people's attributes; those that mail went out with are kept apart. The people are locked.
pub(super) async fn set_attributes(session: &mut Session, people: Vec<(i64, Attributes)>, now: Micros) -> Result<()> {
    let kind = session.kind();
    for chunk in chunks(&people) {
        let keep = past::keeping(&placeholder(kind, 1), &list(kind, 2, chunk.len()));
        let values = args![now].into_iter().chain(chunk.iter().map(|(id, _)| (*id).into()));
        session.execute(keep, values.collect()).await?;
        let sql = format!(
            "WITH v(id, attributes) AS (VALUES {})
             UPDATE recipients SET attributes = v.attributes, revision = recipients.revision + 1
             FROM v WHERE recipients.id = v.id",
            rows(kind, 1, chunk.len(), 2)
        );
        let values = chunk.iter().flat_map(|(id, attributes)| args![*id, attributes.clone()]);
        session.change(chunk.len() as u64, sql, values.collect()).await?;
    }
    Ok(())
}

/// Marks that hits may be kept with these people.
pub(super) async fn track(session: &mut Session, who: &[i64]) -> Result<()> {
    for chunk in chunks(who) {
        let sql = format!("UPDATE recipients SET tracking = TRUE WHERE id IN {}", list(session.kind(), 1, chunk.len()));
        session.change(chunk.len() as u64, sql, chunk.iter().map(|&id| id.into()).collect()).await?;
    }
    Ok(())
}

/// Whether anybody is suppressed.
pub(super) async fn any_suppression(session: &mut Session) -> Result<bool> {
    Ok(session.first::<(i64,)>(ANY_SUPPRESSION, vec![]).await?.is_some())
}

/// Which of the rows' addresses are suppressed.
pub(super) async fn suppressed(session: &mut Session, people: &[ImportRow]) -> Result<Hashes> {
    let mut found = Hashes::new();
    if !any_suppression(session).await? {
        return Ok(found);
    }
    for chunk in chunks(people) {
        let sql = format!("SELECT hash FROM suppressions WHERE hash IN {}", list(session.kind(), 1, chunk.len()));
        let values: Vec<Value> = chunk.iter().map(|row| row.hash.as_slice().into()).collect();
        let hashes: Vec<(Vec<u8>,)> = session.all(sql, values).await?;
        found.extend(hashes.into_iter().filter_map(|(hash,)| AddressHash::try_from(hash).ok()));
    }
    Ok(found)
}
