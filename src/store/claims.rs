//! Claiming: the transaction in which permission is checked.
//!
//! On PostgreSQL the recipients' rows are locked first, and the eligibility rule runs as a second
//! statement, which sees everything that was committed before the locks; every write of consent,
//! subscription, suppression or pause takes the same lock. On SQLite the transaction is the only
//! writer.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::eligibility::{self, Own, Permission};
use super::runs::{self, Run};
use super::sql::{by_holder, number};
use super::{EngineKind, Result, Session, keys, waves};
use crate::args;
use crate::domain::id::{NodeId, RecipientId, RunId};
use crate::domain::message::{Exclusion, MessageState};
use crate::domain::rate::Rate;
use crate::domain::retry::GIVE_UP_AFTER;
use crate::domain::run::RunState;
use crate::domain::time::Micros;

const ADVANCE: &str = "UPDATE runs SET cursor = $1, claimed_all = $2 WHERE id = $3";
pub(super) const EXCLUDED: &str = "INSERT INTO run_exclusions (run_id, reason, people) VALUES ($1, $2, $3)
    ON CONFLICT (run_id, reason) DO UPDATE SET people = run_exclusions.people + excluded.people";
const DUE: &str = "SELECT recipient_id, attempt, first_at FROM messages
    WHERE run_id = $1 AND wave = $4 AND state IN ('waiting', 'deferred') AND due_at <= $2 ORDER BY due_at LIMIT $3";
/// One statement, which sees one instant: between two of them another node could take what waits, or
/// give back what it holds, and neither would see it. Each comes by its own index, which is small: a range of waves and
/// the plus keep SQLite from walking the run.
const REST: &str = "SELECT w.next_due, w.open, w.waiting, h.held, h.own
    FROM (SELECT MIN(due_at) AS next_due, COUNT(*) AS open,
            CAST(COALESCE(SUM(CASE WHEN state = 'waiting' THEN 1 ELSE 0 END), 0) AS BIGINT) AS waiting
        FROM messages WHERE run_id = $1 AND wave >= 0 AND due_at > 0 AND state IN ('waiting', 'deferred')) w
    CROSS JOIN (SELECT COUNT(*) AS held,
            CAST(COALESCE(SUM(CASE WHEN node_id = $2 THEN 1 ELSE 0 END), 0) AS BIGINT) AS own
        FROM messages WHERE +run_id = $1 AND node_id > 0 AND state IN ('claimed', 'sending')) h";
const ANY_DUE: &str = "SELECT COUNT(*) FROM (SELECT 1 AS one FROM messages
    WHERE run_id = $1 AND wave = $3 AND state IN ('waiting', 'deferred') AND due_at <= $2 LIMIT 1) due";
const SKIP: &str = "UPDATE messages SET state = 'skipped', due_at = NULL, node_id = NULL, at = $1, reply = $3
    WHERE run_id = $2 AND wave = $4 AND due_at > 0 AND state IN ('waiting', 'deferred')";

pub(super) const STATEMENTS: &[&str] = &[ADVANCE, EXCLUDED, DUE, REST, ANY_DUE, SKIP];

/// A message that was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// For whom.
    pub recipient: RecipientId,
    /// Attempts so far.
    pub attempts: i64,
    /// When the first was made.
    pub first_at: Option<Micros>,
}

/// What a claim found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// These are now held by the node.
    Taken(Vec<Claimed>),
    /// Another node has moved the cursor; look at the audience again from here, unless that is its end.
    Moved(RecipientId, bool),
    /// The run is paused or over.
    Stopped(RunState),
    /// What has not left by now is not to leave any more.
    TooLate,
}

/// The part of the audience that a claim looks at.
#[derive(Clone, Copy, Debug)]
pub struct Next<'a> {
    /// Everybody up to here has been dealt with.
    pub cursor: RecipientId,
    /// Who stands next, in order.
    pub people: &'a [RecipientId],
    /// Whether nobody follows them.
    pub last: bool,
    /// How many messages to claim at most.
    pub room: usize,
}

/// Who claims from which run, and when.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    /// The run.
    pub run: RunId,
    /// The node.
    pub node: NodeId,
    /// The topic that the campaign is on.
    pub topic: &'a str,
    /// The frequency cap.
    pub cap: Option<Rate>,
    /// The instant of permission.
    pub now: Micros,
    /// The wave that is claimed from; 0 for a run that has none.
    pub wave: i64,
    /// From this instant on it is too late.
    pub until: Option<Micros>,
}

impl Claimant<'_> {
    fn is_late(&self) -> bool {
        self.until.is_some_and(|until| until <= self.now)
    }
}

/// Takes the next part of the audience, as far as there is room, and moves the cursor. Whoever may
/// be mailed gets a claimed message; whoever is locked by another transaction gets a waiting one,
/// never passed over; the rest is counted by reason. Answers with the new cursor, too.
///
/// # Errors
/// When the database refuses; then nothing was claimed.
pub async fn take_next(tx: &mut Session, claimant: Claimant<'_>, next: Next<'_>) -> Result<(Claim, RecipientId)> {
    let run = runs::lock(tx, claimant.run).await?;
    if run.state != RunState::Running {
        return Ok((Claim::Stopped(run.state), next.cursor));
    }
    if claimant.is_late() {
        return Ok((Claim::TooLate, next.cursor));
    }
    let (cursor, all) = progress(tx, &run, claimant.wave).await?;
    if cursor != next.cursor || all {
        return Ok((Claim::Moved(cursor, all), cursor));
    }
    let free = lock(tx, next.people).await?;
    let (mut allowed, mut excluded) = judge(tx, claimant, Own::Excludes, &free).await?;
    let mut people = next.people;
    if allowed.len() > next.room {
        allowed.truncate(next.room);
        let end = allowed.last().copied().unwrap_or(next.cursor);
        people = &people[..people.partition_point(|id| *id <= end)];
        excluded.retain(|id, _| *id <= end);
    }
    insert(tx, claimant, "claimed", &allowed).await?;
    if free.len() < next.people.len() {
        let free: HashSet<_> = free.into_iter().collect();
        let locked: Vec<_> = people.iter().copied().filter(|id| !free.contains(id)).collect();
        insert(tx, claimant, "waiting", &locked).await?;
    }
    let mut counts: BTreeMap<Exclusion, i64> = BTreeMap::new();
    // Whoever moved from one zone to another has a message of another wave.
    for reason in excluded.into_values().filter(|reason| *reason != Exclusion::AlreadyMessaged) {
        *counts.entry(reason).or_default() += 1;
    }
    for (reason, people) in counts {
        tx.change(1, EXCLUDED, args![claimant.run, reason.as_str(), people]).await?;
    }
    let cursor = people.last().copied().unwrap_or(next.cursor);
    let all = next.last && people.len() == next.people.len();
    advance(tx, claimant, cursor, all).await?;
    let claimed = allowed.into_iter().map(|recipient| Claimed { recipient, attempts: 0, first_at: None });
    Ok((Claim::Taken(claimed.collect()), cursor))
}

/// Takes messages that wait or were deferred and are due. Permission is checked again; who may not
/// be mailed any more is skipped, and what was tried for five days is rejected.
///
/// # Errors
/// When the database refuses; then nothing was claimed.
pub async fn take_due(tx: &mut Session, claimant: Claimant<'_>, limit: usize) -> Result<Claim> {
    let run = runs::lock(tx, claimant.run).await?;
    if run.state != RunState::Running {
        return Ok(Claim::Stopped(run.state));
    }
    if claimant.is_late() {
        return Ok(Claim::TooLate);
    }
    let due: Vec<(i64, i64, Option<i64>)> =
        tx.all(DUE, args![claimant.run, claimant.now, i64::try_from(limit).unwrap_or(i64::MAX), claimant.wave]).await?;
    if due.is_empty() {
        return Ok(Claim::Taken(Vec::new()));
    }
    let people: Vec<_> = due.iter().map(|(id, ..)| RecipientId(*id)).collect();
    let free = lock(tx, &people).await?;
    let (allowed, excluded) = judge(tx, claimant, Own::InQuestion, &free).await?;
    let allowed: HashSet<_> = allowed.into_iter().collect();
    let due = due.into_iter().map(|(id, attempts, first_at)| Claimed {
        recipient: RecipientId(id),
        attempts,
        first_at: first_at.map(Micros),
    });
    let (old, fresh): (Vec<Claimed>, Vec<Claimed>) = due
        .filter(|m| allowed.contains(&m.recipient))
        .partition(|m| m.first_at.is_some_and(|first| first.plus(GIVE_UP_AFTER) < claimant.now));
    let recipients = |messages: &[Claimed]| messages.iter().map(|m| m.recipient).collect::<Vec<_>>();
    update(tx, claimant, MessageState::Claimed, "messages.reply", &recipients(&fresh)).await?;
    let expired = "'expired: ' || COALESCE(messages.reply, 'not accepted within five days')";
    update(tx, claimant, MessageState::Rejected, expired, &recipients(&old)).await?;
    for reason in Exclusion::ALL {
        let skipped: Vec<_> = excluded.iter().filter(|(_, r)| **r == reason).map(|(id, _)| *id).collect();
        update(tx, claimant, MessageState::Skipped, &format!("'{}'", reason.as_str()), &skipped).await?;
    }
    Ok(Claim::Taken(fresh))
}

/// Why nothing more is claimed from a run or a wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// What has not left by now is not to leave any more.
    TooLate,
    /// Its time passed before anything was claimed.
    Expired,
}

impl Over {
    /// The word in the database and in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLate => "too_late",
            Self::Expired => "expired",
        }
    }
}

/// Closes a run, or a wave of one: what waits or was deferred is skipped, and the `rest` of the audience after `cursor`
/// is counted. `false` when it is not as it was read any more: at the cursor `from`, and claimed to its end or not; then
/// nothing was done.
///
/// # Errors
/// When the database refuses.
pub async fn close(
    tx: &mut Session,
    claimant: Claimant<'_>,
    from: RecipientId,
    all: bool,
    rest: i64,
    over: Over,
) -> Result<bool> {
    let Claimant { run, wave, now, .. } = claimant;
    let stored = runs::lock(tx, run).await?;
    if stored.state != RunState::Running || progress(tx, &stored, wave).await? != (from, all) {
        return Ok(false);
    }
    tx.execute(SKIP, args![now, run, over.as_str(), wave]).await?;
    if rest > 0 {
        tx.change(1, EXCLUDED, args![run, over.as_str(), rest]).await?;
    }
    if over == Over::Expired {
        waves::expire(tx, run, wave, rest, now).await?;
    }
    advance(tx, claimant, from, true).await?;
    Ok(true)
}

/// Up to whom was claimed, and whether that is everybody.
async fn progress(tx: &mut Session, run: &Run, wave: i64) -> Result<(RecipientId, bool)> {
    if wave == 0 { Ok((run.cursor, run.claimed_all)) } else { waves::progress(tx, run.id, wave).await }
}

async fn advance(tx: &mut Session, claimant: Claimant<'_>, cursor: RecipientId, all: bool) -> Result<()> {
    match claimant.wave {
        0 => tx.change(1, ADVANCE, args![cursor, all, claimant.run]).await,
        wave => waves::advance(tx, claimant.run, wave, cursor, all).await,
    }
}

/// What [`take_due`] would find, without a write transaction: none due, or a run that does not run;
/// else nothing is told.
///
/// # Errors
/// When the database refuses.
pub async fn nothing_due(session: &mut Session, run: RunId, wave: i64, now: Micros) -> Result<Option<Claim>> {
    let state = runs::by_id(session, run).await?.map_or(RunState::Cancelled, |run| run.state);
    if state != RunState::Running {
        return Ok(Some(Claim::Stopped(state)));
    }
    let (due,) = session.one::<(i64,)>(ANY_DUE, args![run, now, wave]).await?;
    Ok((due == 0).then(|| Claim::Taken(Vec::new())))
}

/// Locks the rows of those whom nobody else has locked; they are given back in order.
async fn lock(tx: &mut Session, people: &[RecipientId]) -> Result<Vec<RecipientId>> {
    if tx.kind() == EngineKind::Sqlite || people.is_empty() {
        return Ok(people.to_vec());
    }
    let (places, args) = keys(1, people);
    let sql = format!("SELECT id FROM recipients WHERE id IN ({places}) ORDER BY id FOR UPDATE SKIP LOCKED");
    Ok(tx.all::<(i64,)>(sql, args).await?.into_iter().map(|(id,)| RecipientId(id)).collect())
}

type Judged = (Vec<RecipientId>, HashMap<RecipientId, Exclusion>);

/// Who may be mailed, in order, and why the others may not. One text says so of all: SQLite's thread hands rows over one by
/// one, and nobody else may write until the last is taken.
async fn judge(tx: &mut Session, claimant: Claimant<'_>, own: Own, people: &[RecipientId]) -> Result<Judged> {
    if people.is_empty() {
        return Ok(Judged::default());
    }
    let (places, mut args) = keys(1, people);
    let reason = eligibility::reason_sql(own, args.len() + 1);
    let Claimant { run, topic, cap, now, .. } = claimant;
    args.extend(Permission { topic, at: now, run: Some(run), cap }.args_of(tx, people).await?);
    let sql = format!(
        "SELECT string_agg(CAST(r.id AS TEXT) || COALESCE(' ' || {reason}, ''), ',') FROM recipients r
         WHERE r.id IN ({places})"
    );
    let (judged,) = tx.one::<(Option<String>,)>(sql, args).await?;
    let (mut allowed, mut excluded) = Judged::default();
    for person in judged.iter().flat_map(|people| people.split(',')) {
        match person.split_once(' ') {
            None => allowed.push(RecipientId(number(person)?)),
            Some((id, word)) => {
                excluded.insert(RecipientId(number(id)?), Exclusion::parse(word).unwrap_or(Exclusion::NoConsent));
            }
        }
    }
    allowed.sort_unstable();
    Ok((allowed, excluded))
}

async fn insert(tx: &mut Session, claimant: Claimant<'_>, state: &'static str, people: &[RecipientId]) -> Result<()> {
    if people.is_empty() {
        return Ok(());
    }
    let node = (state == "claimed").then_some(claimant.node);
    let due = (state == "waiting").then_some(claimant.now);
    let mut args = args![claimant.run, state, node, claimant.now, due, claimant.wave];
    let (places, bound) = keys(args.len() + 1, people);
    args.extend(bound);
    // Who is locked was not judged, and may have come from a zone whose wave has a message for them.
    let unless =
        if node.is_none() && claimant.wave != 0 { " ON CONFLICT (run_id, recipient_id) DO NOTHING" } else { "" };
    let sql = format!(
        "INSERT INTO messages (run_id, recipient_id, state, node_id, at, due_at, wave)
         SELECT $1, r.id, $2, $3, $4, $5, $6 FROM recipients r WHERE r.id IN ({places}) ORDER BY r.id{unless}"
    );
    if unless.is_empty() {
        return tx.change(people.len() as u64, sql, args).await;
    }
    tx.execute(sql, args).await.map(drop)
}

/// What becomes of messages that were due; `reply` is an expression. Written as [`marks::take`](super::marks) is, so that
/// each is found by its key.
async fn update(
    tx: &mut Session,
    claimant: Claimant<'_>,
    state: MessageState,
    reply: &str,
    people: &[RecipientId],
) -> Result<()> {
    if people.is_empty() {
        return Ok(());
    }
    let node = (state == MessageState::Claimed).then_some(claimant.node);
    let mut args = args![claimant.run, state, node, claimant.now];
    let (places, bound) = keys(args.len() + 1, people);
    args.extend(bound);
    let sql = format!(
        "INSERT INTO messages (run_id, recipient_id, state, node_id, at)
         SELECT $1, r.id, $2, $3, $4 FROM recipients r WHERE r.id IN ({places})
         ON CONFLICT (run_id, recipient_id) DO UPDATE SET state = excluded.state, due_at = NULL, reply = {reply},
             node_id = excluded.node_id, at = excluded.at
         WHERE messages.state IN ('waiting', 'deferred')"
    );
    tx.change(people.len() as u64, sql, args).await
}

/// What is left of a run besides the audience that has not been reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Messages that wait.
    pub waiting: i64,
    /// Messages that were deferred.
    pub deferred: i64,
    /// When the first of these is due.
    pub next_due: Option<Micros>,
    /// Messages in the hands of nodes.
    pub held: i64,
    /// Those of them in the hands of the node that asks.
    pub own: i64,
}

impl Rest {
    /// How long until the first is due; `None` when nothing waits.
    #[must_use]
    pub fn pause(&self, now: Micros) -> Option<Duration> {
        self.next_due.map(|due| due.since(now))
    }
}

/// What is left of a run, as `node` sees it.
///
/// # Errors
/// When the database refuses.
pub async fn rest(session: &mut Session, run: RunId, node: NodeId) -> Result<Rest> {
    type Row = (Option<i64>, i64, i64, i64, i64);
    let sql = by_holder(session.kind(), REST);
    let (next_due, open, waiting, held, own) = session.one::<Row>(sql, args![run, node]).await?;
    Ok(Rest { waiting, deferred: open - waiting, next_due: next_due.map(Micros), held, own })
}
