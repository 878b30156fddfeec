//! What all sums share: their scale, the rules that made them, the population.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::args;
use crate::domain::score::Scale;
use crate::domain::time::Micros;
use crate::store::{EngineKind, Error, Result, Session};

/// What all sums share.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// How sums are to be read.
    pub scale: Scale,
    /// The rules that made them; see [`crate::domain::ledger::Rules::fingerprint`].
    pub rules_hash: String,
    /// The population's share by category as of the last rebuild, uniform before it.
    pub population: BTreeMap<String, f64>,
    /// The rebuild that is under way, or was interrupted.
    pub rebuild: Option<Rebuild>,
}

/// A rebuild that is under way. Nothing else writes scores meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebuild {
    /// Whose it is: the last to begin goes on.
    pub token: String,
    /// Whether it changes half-lives or landmark: then the sums are of two kinds meanwhile, and
    /// nobody may read them.
    pub rescales: bool,
}

/// How the facts are held until the transaction ends. On SQLite a write transaction is alone anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Not at all.
    None,
    /// Nobody changes them.
    Shared,
    /// Nobody scores.
    Exclusive,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    landmark: Micros,
    half_life_us: u64,
    affinity_half_life_us: u64,
    rules_hash: String,
    population: BTreeMap<String, f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rebuild: Option<Rebuild>,
}

const READ: &str = "SELECT value FROM facts WHERE name = 'score'";
const READ_SHARED: &str = "SELECT value FROM facts WHERE name = 'score' FOR SHARE";
const READ_EXCLUSIVE: &str = "SELECT value FROM facts WHERE name = 'score' FOR UPDATE";
const SAVE: &str = "INSERT INTO facts (name, value) VALUES ('score', $1)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";
/// Something to lock while there are no facts yet.
const ENSURE: &str = "INSERT INTO facts (name, value) VALUES ('score', '') ON CONFLICT (name) DO NOTHING";
const ANY_PROFILE: &str = "SELECT recipient_id FROM profiles LIMIT 1";
const ANY_SCORED: &str = "SELECT id FROM actions WHERE scored AND counts LIMIT 1";
const REBASE: [&str; 3] = [
    "UPDATE score_entries SET f = f * $1, f7 = f7 * $2, fa = fa * $3",
    "UPDATE profiles SET f = f * $1, f7 = f7 * $2, fa = fa * $3",
    "UPDATE affinities SET fa = fa * $1",
];

pub(in crate::store) const STATEMENTS: &[&str] =
    &[READ, SAVE, ENSURE, ANY_PROFILE, ANY_SCORED, REBASE[0], REBASE[1], REBASE[2]];

/// The facts; none before the first action was scored.
///
/// # Errors
/// When the database refuses, or holds what these cannot be.
pub async fn facts(session: &mut Session, lock: Lock) -> Result<Option<Facts>> {
    let sql = match (session.kind(), lock) {
        (EngineKind::Sqlite, _) | (_, Lock::None) => READ,
        (EngineKind::Postgres, Lock::Shared) => READ_SHARED,
        (EngineKind::Postgres, Lock::Exclusive) => READ_EXCLUSIVE,
    };
    if session.kind() == EngineKind::Postgres && matches!(lock, Lock::Exclusive) {
        session.execute(ENSURE, args![]).await?;
    }
    let stored = session.first::<(String,)>(sql, args![]).await?;
    let Some((text,)) = stored.filter(|(text,)| !text.is_empty()) else { return Ok(None) };
    let stored: Stored =
        serde_json::from_str(&text).map_err(|error| Error::Corrupt(format!("fact 'score': {error}")))?;
    Ok(Some(Facts {
        scale: Scale {
            landmark: stored.landmark,
            half_life: Duration::from_micros(stored.half_life_us),
            affinity_half_life: Duration::from_micros(stored.affinity_half_life_us),
        },
        rules_hash: stored.rules_hash,
        population: stored.population,
        rebuild: stored.rebuild,
    }))
}

/// Stores the facts.
///
/// # Errors
/// When the database refuses.
pub async fn save_facts(session: &mut Session, facts: &Facts) -> Result<()> {
    let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
    let stored = Stored {
        landmark: facts.scale.landmark,
        half_life_us: micros(facts.scale.half_life),
        affinity_half_life_us: micros(facts.scale.affinity_half_life),
        rules_hash: facts.rules_hash.clone(),
        population: facts.population.clone(),
        rebuild: facts.rebuild.clone(),
    };
    let text = serde_json::to_string(&stored).map_err(|error| Error::Corrupt(format!("fact 'score': {error}")))?;
    session.change(1, SAVE, args![text]).await
}

/// How stored sums are to be read; none before the first action was scored: then nobody has a
/// score, and any scale will do ([`Scale::of`]). Read it in the session whose queries use it, again
/// for each page: the landmark moves on every few years.
///
/// # Errors
/// [`Error::Rebuilding`] while sums are moved to another half-life; when the database refuses.
pub async fn scale(session: &mut Session) -> Result<Option<Scale>> {
    match facts(session, Lock::None).await? {
        Some(Facts { rebuild: Some(Rebuild { rescales: true, .. }), .. }) => Err(Error::Rebuilding),
        facts => Ok(facts.map(|facts| facts.scale)),
    }
}

/// Whether nothing was scored yet, so that no rules bind.
///
/// # Errors
/// When the database refuses.
pub async fn is_empty(session: &mut Session) -> Result<bool> {
    Ok(session.first::<(i64,)>(ANY_PROFILE, args![]).await?.is_none()
        && session.first::<(i64,)>(ANY_SCORED, args![]).await?.is_none())
}

/// Moves all sums to the landmark `to`; no score changes. The caller holds `facts` exclusively.
///
/// # Errors
/// When the database refuses.
pub async fn rebase(session: &mut Session, facts: Facts, to: Micros) -> Result<()> {
    let (scale, [f, f7, fa]) = facts.scale.rebase(to);
    session.execute(REBASE[0], args![f, f7, fa]).await?;
    session.execute(REBASE[1], args![f, f7, fa]).await?;
    session.execute(REBASE[2], args![fa]).await?;
    save_facts(session, &Facts { scale, ..facts }).await
}
