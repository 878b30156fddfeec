//! Runs: one execution of a campaign each.

use std::collections::HashMap;

use sqlx::FromRow;

use super::{EngineKind, Error, Result, Session};
use crate::args;
use crate::domain::hours::Closed;
use crate::domain::id::{RecipientId, RunId, VersionId};
use crate::domain::message::MessageState;
use crate::domain::resend::{Resend, ResendTo};
use crate::domain::run::RunState;
use crate::domain::time::Micros;

/// A run as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its identity.
    pub id: RunId,
    /// The campaign's name.
    pub campaign: String,
    /// The topic that its recipients are subscribed to.
    pub topic: String,
    /// What tells it from the campaign's other runs.
    pub occasion: String,
    /// The files that it sends.
    pub version: VersionId,
    /// Where it stands.
    pub state: RunState,
    /// Why it was paused, cancelled or expired.
    pub reason: Option<String>,
    /// The instant at which its audience is judged.
    pub at: Micros,
    /// The audience up to this recipient has its messages.
    pub cursor: RecipientId,
    /// Whether the cursor has reached the end of the audience.
    pub claimed_all: bool,
    /// How many messages were expected at the start.
    pub planned: Option<i64>,
    /// When the first node began.
    pub started_at: Option<Micros>,
    /// When a person resumed it last.
    pub resumed_at: Option<Micros>,
    /// Whether window and days without mail do not count for it.
    pub any_hour: bool,
    /// What it waits for, before more can leave.
    pub wait: Option<Wait>,
    /// When it ended.
    pub ended_at: Option<Micros>,
    /// What it sends again, if it does.
    pub resend: Option<Resend>,
}

/// Why a run that is under way sends nothing at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Why.
    pub reason: Closed,
    /// When it goes on.
    pub until: Micros,
}

#[derive(FromRow)]
struct Raw {
    id: i64,
    campaign: String,
    topic: String,
    occasion: String,
    version_id: i64,
    state: String,
    reason: Option<String>,
    at: i64,
    cursor: i64,
    claimed_all: bool,
    planned: Option<i64>,
    started_at: Option<i64>,
    resumed_at: Option<i64>,
    any_hour: bool,
    waits_for: Option<String>,
    waits_until: Option<i64>,
    ended_at: Option<i64>,
    resends: Option<i64>,
    resend_to: Option<String>,
    subject: Option<String>,
}

impl TryFrom<Raw> for Run {
    type Error = Error;

    fn try_from(raw: Raw) -> Result<Self> {
        let state = RunState::parse(&raw.state).ok_or_else(|| Error::Corrupt(format!("run state '{}'", raw.state)))?;
        let resend = match (raw.resends, raw.resend_to) {
            (Some(run), Some(to)) => {
                let to = ResendTo::parse(&to).map_err(Error::Corrupt)?;
                Some(Resend { run: RunId(run), to, subject: raw.subject })
            }
            _ => None,
        };
        Ok(Self {
            id: RunId(raw.id),
            campaign: raw.campaign,
            topic: raw.topic,
            occasion: raw.occasion,
            version: VersionId(raw.version_id),
            state,
            reason: raw.reason,
            at: Micros(raw.at),
            cursor: RecipientId(raw.cursor),
            claimed_all: raw.claimed_all,
            planned: raw.planned,
            started_at: raw.started_at.map(Micros),
            resumed_at: raw.resumed_at.map(Micros),
            any_hour: raw.any_hour,
            wait: wait(raw.waits_for.as_deref(), raw.waits_until),
            ended_at: raw.ended_at.map(Micros),
            resend,
        })
    }
}

fn wait(word: Option<&str>, until: Option<i64>) -> Option<Wait> {
    Some(Wait { reason: Closed::parse(word?)?, until: Micros(until?) })
}

const INSERT: &str =
    "INSERT INTO runs (campaign, topic, occasion, version_id, state, at) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (campaign, occasion) DO NOTHING";
const BY_ID: &str = "SELECT * FROM runs WHERE id = $1";
const BY_OCCASION: &str = "SELECT * FROM runs WHERE campaign = $1 AND occasion = $2";
const OF_CAMPAIGN: &str = "SELECT * FROM runs WHERE campaign = $1 ORDER BY id DESC LIMIT 1000";
const RECENT: &str = "SELECT * FROM runs ORDER BY id DESC LIMIT 1000";
const OPEN: &str = "SELECT * FROM runs WHERE state IN ('scheduled', 'running', 'paused') ORDER BY id";
const CHANGE: &str = "UPDATE runs SET state = $1, reason = $2, started_at = COALESCE(started_at, $3), ended_at = $4,
        waits_for = NULL, waits_until = NULL,
        resumed_at = CASE WHEN state = 'paused' THEN COALESCE($3, resumed_at) ELSE resumed_at END
    WHERE id = $5 AND state = $6";
const WAIT: &str = "UPDATE runs SET waits_for = $1, waits_until = $2 WHERE id = $3 AND state = 'running'";
const ANY_HOUR: &str = "UPDATE runs SET any_hour = TRUE WHERE id = $1";
const PLANNED: &str = "UPDATE runs SET planned = $1 WHERE id = $2";
const SKIP_OPEN: &str =
    "UPDATE messages SET state = 'skipped', due_at = NULL, node_id = NULL, at = $1, reply = 'cancelled'
    WHERE run_id = $2 AND wave >= 0 AND due_at > 0 AND state IN ('waiting', 'deferred')";
const STATES: &str = "SELECT state, COUNT(*) FROM messages WHERE run_id = $1 GROUP BY state";
const ANSWERED: &str =
    "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN m.state = 'rejected' THEN 1 ELSE 0 END), 0) AS BIGINT)
    FROM runs r JOIN messages m ON m.run_id = r.id
    WHERE r.id = $1 AND m.state IN ('accepted', 'rejected', 'unknown') AND m.at > COALESCE(r.resumed_at, 0)";
const REJECTED: &str = "SELECT m.code, SUBSTR(m.reply, 1, 40), p.domain
    FROM runs r JOIN messages m ON m.run_id = r.id JOIN recipients p ON p.id = m.recipient_id
    WHERE r.id = $1 AND m.state = 'rejected' AND m.at > COALESCE(r.resumed_at, 0) LIMIT 1000";
const EXCLUSIONS: &str = "SELECT reason, people FROM run_exclusions WHERE run_id = $1 ORDER BY reason";
const EARLIER: &str =
    "SELECT COUNT(*) FROM (SELECT 1 AS one FROM runs WHERE campaign = $1 AND at < $2 LIMIT 1) earlier";
const MANUAL: &str = "SELECT COUNT(*) FROM runs WHERE campaign = $1";

pub(super) const STATEMENTS: &[&str] = &[
    INSERT,
    BY_ID,
    BY_OCCASION,
    OF_CAMPAIGN,
    RECENT,
    OPEN,
    CHANGE,
    WAIT,
    ANY_HOUR,
    PLANNED,
    SKIP_OPEN,
    STATES,
    ANSWERED,
    REJECTED,
    EXCLUSIONS,
    EARLIER,
    MANUAL,
];

/// What a new run is made of.
#[derive(Clone, Copy, Debug)]
pub struct NewRun<'a> {
    /// The campaign's name.
    pub campaign: &'a str,
    /// The campaign's topic.
    pub topic: &'a str,
    /// Unique within the campaign.
    pub occasion: &'a str,
    /// The files that it sends.
    pub version: VersionId,
    /// Where it begins: `scheduled`, `running` or `expired`.
    pub state: RunState,
    /// The instant at which its audience is judged.
    pub at: Micros,
}

/// Makes a run, unless its occasion has one: two nodes that try at once make one run. Tells
/// whether this call made it.
///
/// # Errors
/// When the database refuses.
pub async fn create(tx: &mut Session, run: NewRun<'_>) -> Result<bool> {
    let args = args![run.campaign, run.topic, run.occasion, run.version, run.state.as_str(), run.at];
    Ok(tx.execute(INSERT, args).await? == 1)
}

/// How many runs a campaign has had; the number of the next manual one follows from it.
///
/// # Errors
/// When the database refuses.
pub async fn count(session: &mut Session, campaign: &str) -> Result<i64> {
    Ok(session.one::<(i64,)>(MANUAL, args![campaign]).await?.0)
}

/// Whether a campaign had a run before this instant.
///
/// # Errors
/// When the database refuses.
pub async fn any_before(session: &mut Session, campaign: &str, at: Micros) -> Result<bool> {
    Ok(session.one::<(i64,)>(EARLIER, args![campaign, at]).await?.0 > 0)
}

/// The run, if there is one.
///
/// # Errors
/// When the database refuses.
pub async fn by_id(session: &mut Session, run: RunId) -> Result<Option<Run>> {
    session.first::<Raw>(BY_ID, args![run]).await?.map(Run::try_from).transpose()
}

/// The run of an occasion, if there is one.
///
/// # Errors
/// When the database refuses.
pub async fn by_occasion(session: &mut Session, campaign: &str, occasion: &str) -> Result<Option<Run>> {
    session.first::<Raw>(BY_OCCASION, args![campaign, occasion]).await?.map(Run::try_from).transpose()
}

/// The runs of a campaign or of all, newest first, at most a thousand.
///
/// # Errors
/// When the database refuses.
pub async fn recent(session: &mut Session, campaign: Option<&str>) -> Result<Vec<Run>> {
    let raws: Vec<Raw> = match campaign {
        Some(name) => session.all(OF_CAMPAIGN, args![name]).await?,
        None => session.all(RECENT, vec![]).await?,
    };
    raws.into_iter().map(Run::try_from).collect()
}

/// The runs that are not over, oldest first.
///
/// # Errors
/// When the database refuses.
pub async fn open(session: &mut Session) -> Result<Vec<Run>> {
    session.all::<Raw>(OPEN, vec![]).await?.into_iter().map(Run::try_from).collect()
}

/// Moves a run from one state to another; `false` when it stood elsewhere.
///
/// # Errors
/// When the database refuses.
pub async fn change(
    tx: &mut Session,
    run: RunId,
    from: RunState,
    to: RunState,
    reason: Option<&str>,
    now: Micros,
) -> Result<bool> {
    let started = (to == RunState::Running).then_some(now);
    let ended = to.is_final().then_some(now);
    Ok(tx.execute(CHANGE, args![to.as_str(), reason, started, ended, run, from.as_str()]).await? == 1)
}

/// Notes what a run waits for, or that it does not wait any more. One that does not run is left as it is.
///
/// # Errors
/// When the database refuses.
pub async fn set_wait(tx: &mut Session, run: RunId, wait: Option<Wait>) -> Result<()> {
    let (reason, until) = wait.map(|wait| (wait.reason.as_str(), wait.until)).unzip();
    tx.execute(WAIT, args![reason, until, run]).await.map(drop)
}

/// Lets a run leave at any hour and on any day from now on.
///
/// # Errors
/// When there is no such run.
pub async fn ignore_hours(tx: &mut Session, run: RunId) -> Result<()> {
    tx.change(1, ANY_HOUR, args![run]).await
}

/// Expires a run from which nothing was claimed, and which nobody has resumed since it was read; `false` when it stands
/// otherwise.
///
/// # Errors
/// When the database refuses.
pub async fn expire(tx: &mut Session, run: &Run, reason: &str, now: Micros) -> Result<bool> {
    let stored = lock(tx, run.id).await?;
    if stored.cursor != RecipientId(0) || stored.claimed_all || stored.resumed_at != run.resumed_at {
        return Ok(false);
    }
    change(tx, run.id, RunState::Running, RunState::Expired, Some(reason), now).await
}

/// Notes how many messages are expected.
///
/// # Errors
/// When there is no such run.
pub async fn set_planned(tx: &mut Session, run: RunId, planned: i64) -> Result<()> {
    tx.change(1, PLANNED, args![planned, run]).await
}

/// Skips what waits or was deferred, because the run is cancelled. Claimed messages end by
/// themselves within seconds: their nodes find the run over.
///
/// # Errors
/// When the database refuses.
pub async fn skip_open_messages(tx: &mut Session, run: RunId, now: Micros) -> Result<u64> {
    tx.execute(SKIP_OPEN, args![now, run]).await
}

/// How many messages of a run are in each state; states without messages are left out.
///
/// # Errors
/// When the database refuses.
pub async fn states(session: &mut Session, run: RunId) -> Result<HashMap<MessageState, i64>> {
    let rows: Vec<(String, i64)> = session.all(STATES, args![run]).await?;
    rows.into_iter()
        .map(|(word, count)| {
            let state = MessageState::parse(&word).ok_or_else(|| Error::Corrupt(format!("message state '{word}'")))?;
            Ok((state, count))
        })
        .collect()
}

/// Messages of a run whose fate is known, since it was last resumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// Accepted, rejected, or unknown for good.
    pub all: u64,
    /// Rejected.
    pub rejected: u64,
}

/// How the messages of a run were answered since a person last let it go on.
///
/// # Errors
/// When the database refuses.
pub async fn answered(session: &mut Session, run: RunId) -> Result<Answered> {
    let (all, rejected) = session.one::<(i64, i64)>(ANSWERED, args![run]).await?;
    Ok(Answered { all: all.unsigned_abs(), rejected: rejected.unsigned_abs() })
}

/// A message that was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The reply's code.
    pub code: Option<i64>,
    /// How its stage and words begin. They may repeat an address.
    pub words: String,
    /// The recipient's domain.
    pub domain: String,
}

/// Messages of a run that were rejected since a person last let it go on, a thousand at most.
///
/// # Errors
/// When the database refuses.
pub async fn rejected(session: &mut Session, run: RunId) -> Result<Vec<Rejected>> {
    let rows: Vec<(Option<i64>, Option<String>, String)> = session.all(REJECTED, args![run]).await?;
    let read =
        |(code, words, domain): (_, Option<String>, _)| Rejected { code, words: words.unwrap_or_default(), domain };
    Ok(rows.into_iter().map(read).collect())
}

/// How many people of the audience got no message, by reason.
///
/// # Errors
/// When the database refuses.
pub async fn exclusions(session: &mut Session, run: RunId) -> Result<Vec<(String, i64)>> {
    session.all(EXCLUSIONS, args![run]).await
}

/// Locks a run's row for the rest of the transaction and reads it.
///
/// # Errors
/// When there is no such run.
pub async fn lock(tx: &mut Session, run: RunId) -> Result<Run> {
    let sql = match tx.kind() {
        EngineKind::Sqlite => BY_ID,
        EngineKind::Postgres => "SELECT * FROM runs WHERE id = $1 FOR UPDATE",
    };
    tx.one::<Raw>(sql, args![run]).await?.try_into()
}
