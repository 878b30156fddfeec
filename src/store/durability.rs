//! Whether the database keeps what it has said that it keeps.

use super::{EngineKind, Result, Session};
use crate::domain::time::Micros;

/// What becomes of a commit that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It survives.
    Kept(String),
    /// It survives this server, not its loss.
    Alone(String),
    /// It may be gone after a power cut.
    Risky {
        /// How it is set.
        found: String,
        /// What to set instead.
        mend: String,
    },
}

/// How the engine is set.
///
/// # Errors
/// When the database refuses.
pub async fn durability(session: &mut Session) -> Result<Durability> {
    match session.kind() {
        EngineKind::Sqlite => {
            let (journal,): (String,) = session.one("PRAGMA journal_mode", vec![]).await?;
            let (synchronous,): (i64,) = session.one("PRAGMA synchronous", vec![]).await?;
            let found = format!("journal_mode={journal}, synchronous={synchronous}");
            Ok(match journal == "wal" && synchronous >= 2 {
                true => Durability::Kept(found),
                false => Durability::Risky {
                    found,
                    mend: "put the database on a local disk: a file system without shared memory allows no WAL".into(),
                },
            })
        }
        EngineKind::Postgres => {
            let (commit,): (String,) = session.one("SHOW synchronous_commit", vec![]).await?;
            let (fsync,): (String,) = session.one("SHOW fsync", vec![]).await?;
            let (standbys,): (String,) = session.one("SHOW synchronous_standby_names", vec![]).await?;
            let found = format!("fsync={fsync}, synchronous_commit={commit}, synchronous_standby_names='{standbys}'");
            Ok(match (fsync == "on" && commit != "off", standbys.is_empty() || commit == "local") {
                (true, false) => Durability::Kept(found),
                (true, true) => Durability::Alone(found),
                (false, _) => Durability::Risky { found, mend: "set fsync = on and synchronous_commit = on".into() },
            })
        }
    }
}

/// What the clock of the database shows, where it has one of its own.
///
/// # Errors
/// When the database refuses.
pub async fn now(session: &mut Session) -> Result<Option<Micros>> {
    if session.kind() == EngineKind::Sqlite {
        return Ok(None);
    }
    let sql = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";
    let (micros,): (i64,) = session.one(sql, vec![]).await?;
    Ok(Some(Micros(micros)))
}
