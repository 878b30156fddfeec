//! Waves of runs: how far each was claimed.

use super::claims::EXCLUDED;
use super::{Result, Session};
use crate::args;
use crate::domain::id::{RecipientId, RunId};
use crate::domain::time::Micros;
use crate::domain::waves::Wave;

/// A wave as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredWave {
    /// From 1, in order of instants.
    pub number: i64,
    /// Who is in it, and when.
    pub wave: Wave,
    /// The audience up to this recipient has its messages.
    pub cursor: RecipientId,
    /// Whether the cursor has reached the end of the audience.
    pub claimed_all: bool,
    /// When it was found that its time had passed before anything was claimed.
    pub expired: Option<Micros>,
}

const INSERT: &str = "INSERT INTO waves (run_id, number, due_at, zones, others) VALUES ($1, $2, $3, $4, $5)";
const OF_RUN: &str = "SELECT number, due_at, zones, others, cursor, claimed_all, expired_at FROM waves
    WHERE run_id = $1 ORDER BY number";
const PROGRESS: &str = "SELECT cursor, claimed_all FROM waves WHERE run_id = $1 AND number = $2";
const ADVANCE: &str = "UPDATE waves SET cursor = $1, claimed_all = $2 WHERE run_id = $3 AND number = $4";
const EXPIRE: &str = "UPDATE waves SET expired_at = $3, expired_people = $4 WHERE run_id = $1 AND number = $2";

pub(super) const STATEMENTS: &[&str] = &[INSERT, OF_RUN, PROGRESS, ADVANCE, EXPIRE];

/// Notes the waves of a run that was just made, in their order.
///
/// # Errors
/// When the database refuses.
pub async fn create(tx: &mut Session, run: RunId, waves: &[Wave]) -> Result<()> {
    for (number, Wave { due, zones, others }) in (1_i64..).zip(waves) {
        tx.change(1, INSERT, args![run, number, *due, zones.join(" "), *others]).await?;
    }
    Ok(())
}

/// The waves of a run, in order; none for a run that is sent as a whole.
///
/// # Errors
/// When the database refuses.
pub async fn of(session: &mut Session, run: RunId) -> Result<Vec<StoredWave>> {
    type Row = (i64, i64, String, bool, i64, bool, Option<i64>);
    let rows: Vec<Row> = session.all(OF_RUN, args![run]).await?;
    let read = |(number, due, zones, others, cursor, claimed_all, expired): Row| {
        let zones = zones.split(' ').map(str::to_owned).collect();
        let wave = Wave { due: Micros(due), zones, others };
        StoredWave { number, wave, cursor: RecipientId(cursor), claimed_all, expired: expired.map(Micros) }
    };
    Ok(rows.into_iter().map(read).collect())
}

/// Up to whom a wave was claimed, and whether that is everybody. Whoever moves the cursor has locked the run.
pub(super) async fn progress(tx: &mut Session, run: RunId, number: i64) -> Result<(RecipientId, bool)> {
    let (cursor, all): (i64, bool) = tx.one(PROGRESS, args![run, number]).await?;
    Ok((RecipientId(cursor), all))
}

/// Moves the cursor of a wave.
pub(super) async fn advance(tx: &mut Session, run: RunId, number: i64, cursor: RecipientId, all: bool) -> Result<()> {
    tx.change(1, ADVANCE, args![cursor, all, run, number]).await
}

/// Counts people whom no wave found: they moved to a zone whose wave had been claimed, or came to fit the audience when
/// theirs had been.
///
/// # Errors
/// When the database refuses.
pub async fn count_missed(tx: &mut Session, run: RunId, people: i64) -> Result<()> {
    tx.change(1, EXCLUDED, args![run, "missed", people]).await
}

/// Notes that a wave expired, for so many people.
pub(super) async fn expire(tx: &mut Session, run: RunId, number: i64, people: i64, now: Micros) -> Result<()> {
    tx.change(1, EXPIRE, args![run, number, now, people]).await
}
