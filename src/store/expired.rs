//! What expired by a clock that was ahead: since it was set right, the instant at which it ended lies ahead of the present.

use super::claims::Over;
use super::runs::{self, Run};
use super::{Result, Session};
use crate::args;
use crate::domain::id::{RunId, VersionId};
use crate::domain::run::RunState;
use crate::domain::time::Micros;

// What a restore expired has no end, and stays so: it may have been sent. First what is due first.
const AHEAD: &str = "SELECT id FROM runs WHERE ended_at > $1 AND (state = 'expired' OR (state = 'done'
        AND EXISTS (SELECT 1 FROM waves w WHERE w.run_id = runs.id AND w.expired_at > $1)))
    ORDER BY ended_at LIMIT 100";
const OPEN_RUN: &str = "UPDATE runs SET state = 'running', reason = NULL, ended_at = NULL,
        at = CASE WHEN at > $1 THEN $1 ELSE at END,
        started_at = CASE WHEN started_at <= $1 THEN started_at ELSE $1 END,
        resumed_at = CASE WHEN resumed_at > $1 THEN $1 ELSE resumed_at END, version_id = $3
    WHERE id = $2 AND ended_at > $1 AND state IN ('expired', 'done')";
const END_RUN: &str = "UPDATE runs SET ended_at = $1 WHERE id = $2 AND ended_at > $1";
const END_WAVES: &str = "UPDATE waves SET expired_at = $1 WHERE run_id = $2 AND expired_at > $1";
const KEEP_RUNS: &str = "UPDATE runs SET ended_at = $1 WHERE ended_at > $1 AND state IN ('expired', 'done')";
const KEEP_WAVES: &str = "UPDATE waves SET expired_at = $1 WHERE expired_at > $1";
const OPEN_WAVE: &str = "UPDATE waves SET claimed_all = FALSE, expired_at = NULL
    WHERE run_id = $2 AND number = $3 AND expired_at > $1 RETURNING COALESCE(expired_people, 0)";
const UNCOUNT: &str = "UPDATE run_exclusions SET people = people - $3 WHERE run_id = $1 AND reason = $2";
const FORGET: &str = "DELETE FROM run_exclusions WHERE run_id = $1 AND reason = $2 AND people <= 0";

pub(super) const STATEMENTS: &[&str] =
    &[AHEAD, OPEN_RUN, END_RUN, END_WAVES, KEEP_RUNS, KEEP_WAVES, OPEN_WAVE, UNCOUNT, FORGET];

/// Runs that expired, in all or in some waves, when the clock showed a later time than now: at most a hundred, the
/// first that ended first.
///
/// # Errors
/// When the database refuses.
pub async fn ahead(session: &mut Session, now: Micros) -> Result<Vec<Run>> {
    let mut found = Vec::new();
    for (id,) in session.all::<(i64,)>(AHEAD, args![now]).await? {
        found.extend(runs::by_id(session, RunId(id)).await?);
    }
    Ok(found)
}

/// Opens such a run again, with this version. What of it lies ahead, is now. `false` when it stands otherwise by now.
///
/// # Errors
/// When the database refuses.
pub async fn open_run(tx: &mut Session, run: RunId, version: VersionId, now: Micros) -> Result<bool> {
    Ok(tx.execute(OPEN_RUN, args![now, run, version]).await? == 1)
}

/// Lets such a run, and its waves, have ended now.
///
/// # Errors
/// When the database refuses.
pub async fn end_now(tx: &mut Session, run: RunId, now: Micros) -> Result<()> {
    tx.execute(END_RUN, args![now, run]).await?;
    tx.execute(END_WAVES, args![now, run]).await.map(drop)
}

/// Lets no run and no wave be opened again that has ended by now: after a restore it may have been sent.
///
/// # Errors
/// When the database refuses.
pub async fn keep(tx: &mut Session, now: Micros) -> Result<()> {
    tx.execute(KEEP_RUNS, args![now]).await?;
    tx.execute(KEEP_WAVES, args![now]).await.map(drop)
}

/// Opens such a wave of a running run again, and counts its people no more. `false` when it stands otherwise by now.
///
/// # Errors
/// When the database refuses.
pub async fn open_wave(tx: &mut Session, run: RunId, number: i64, now: Micros) -> Result<bool> {
    if runs::lock(tx, run).await?.state != RunState::Running {
        return Ok(false);
    }
    let Some((people,)) = tx.first::<(i64,)>(OPEN_WAVE, args![now, run, number]).await? else { return Ok(false) };
    let expired = Over::Expired.as_str();
    tx.execute(UNCOUNT, args![run, expired, people]).await?;
    tx.execute(FORGET, args![run, expired]).await?;
    Ok(true)
}
