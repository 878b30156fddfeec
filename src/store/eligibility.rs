//! The eligibility rule: who of an audience gets no message, and why.
//!
//! One text serves the plan and the claim. On PostgreSQL a claim locks the recipients' rows in one
//! statement and asks in the next one of the same transaction.

use std::time::Duration;

use super::{EngineKind, Result, Session, Value, any, keys};
use crate::domain::id::{RecipientId, RunId};
use crate::domain::message::{Exclusion, MessageState};
use crate::domain::pace::{MOST_DAYS, OwnLimit};
use crate::domain::rate::Rate;
use crate::domain::time::Micros;

/// How many placeholders the rule takes; [`Permission::args`] fills them.
pub const PLACEHOLDERS: usize = 6;

/// The cap of who has none.
const NO_CAP: i64 = i64::MAX;

/// Under which circumstances permission is asked.
#[derive(Clone, Copy, Debug)]
pub struct Permission<'a> {
    /// The topic that the mailing is on.
    pub topic: &'a str,
    /// The instant for which pauses and the cap are looked at.
    pub at: Micros,
    /// The run that wants to send; `None` while there is none, as for a plan.
    pub run: Option<RunId>,
    /// At most so many messages in the window before `at`; the run's own message does not count.
    pub cap: Option<Rate>,
}

/// What the rule says about the run's own message to the recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// Who has one is excluded: for messages that do not exist yet.
    Excludes,
    /// It is the one in question: for a message that waits or was deferred.
    InQuestion,
}

/// The rule as an SQL expression over `recipients r`: the first [`Exclusion`] that holds, in its
/// order, as its word; NULL for who may be mailed. It takes [`PLACEHOLDERS`] arguments from
/// `$first` on.
#[must_use]
pub fn reason_sql(own: Own, first: usize) -> String {
    let [topic, at, run, cap, since, oldest] = std::array::from_fn(|n| format!("${}", first + n));
    let own = match own {
        Own::Excludes => format!(
            "\n  WHEN {} THEN '{}'",
            any(&format!("SELECT 1 FROM messages m WHERE m.run_id = {run} AND m.recipient_id = r.id")),
            Exclusion::AlreadyMessaged.as_str()
        ),
        Own::InQuestion => String::new(),
    };
    let counted = [
        MessageState::Claimed,
        MessageState::Sending,
        MessageState::Deferred,
        MessageState::Accepted,
        MessageState::Unknown,
    ]
    .map(|state| format!("'{}'", state.as_str()))
    .join(", ");
    format!(
        "CASE
  WHEN {is_suppressed} THEN '{suppressed}'
  WHEN r.erased_at IS NOT NULL OR r.address IS NULL OR NOT EXISTS (
    SELECT 1 FROM subscriptions u WHERE u.recipient_id = r.id AND u.topic = {topic} AND u.subscribed) THEN '{no_consent}'
  WHEN r.paused_until > {at} THEN '{paused}'{own}
  WHEN {cap} < {NO_CAP} AND (SELECT COUNT(*) FROM messages m WHERE m.recipient_id = r.id
    AND m.run_id >= (SELECT MIN(o.id) FROM runs o WHERE o.ended_at IS NULL OR o.ended_at > {since})
    AND m.run_id >= {oldest} AND m.at > {since} AND m.run_id <> {run} AND m.state IN ({counted})) >= {cap} THEN '{capped}'
  WHEN r.limit_count IS NOT NULL AND (SELECT COUNT(*) FROM messages m WHERE m.recipient_id = r.id
    AND m.run_id >= (SELECT MIN(o.id) FROM runs o WHERE o.ended_at IS NULL OR o.ended_at > {at} - {longest})
    AND m.run_id >= {oldest} AND m.at > {at} - r.limit_days * {day} AND m.run_id <> {run} AND m.state IN ({counted})) >= r.limit_count
    THEN '{limited}'
END",
        is_suppressed = any("SELECT 1 FROM suppressions s WHERE s.hash = r.address_hash"),
        suppressed = Exclusion::Suppressed.as_str(),
        no_consent = Exclusion::NoConsent.as_str(),
        paused = Exclusion::Paused.as_str(),
        capped = Exclusion::FrequencyCap.as_str(),
        longest = i64::from(MOST_DAYS) * OwnLimit::DAY,
        day = OwnLimit::DAY,
        limited = Exclusion::OwnLimit.as_str(),
    )
}

impl Permission<'_> {
    /// The rule's arguments, in the order of its placeholders.
    #[must_use]
    pub fn args(&self) -> Vec<Value> {
        self.args_from(RunId(0))
    }

    /// The same, where no message of a run before `oldest` can count.
    fn args_from(&self, oldest: RunId) -> Vec<Value> {
        let (cap, window) = self.cap.map_or((NO_CAP, Duration::ZERO), |cap| (i64::from(cap.count), cap.per));
        // No run has the number 0.
        let run = self.run.unwrap_or(RunId(0));
        crate::args![self.topic, self.at, run, cap, self.at.minus(window), oldest]
    }

    /// The rule's arguments for these people. On PostgreSQL a run is found first, before which nothing counts: a plan is
    /// made for the partitions of that run and the later ones, and no other is opened.
    ///
    /// # Errors
    /// When the database refuses.
    pub(super) async fn args_of(&self, session: &mut Session, people: &[RecipientId]) -> Result<Vec<Value>> {
        if session.kind() == EngineKind::Sqlite || people.is_empty() {
            return Ok(self.args());
        }
        let (places, mut args) = keys(1, people);
        let (since, at) = (args.len() + 1, args.len() + 2);
        let window = self.cap.map_or(Duration::ZERO, |cap| cap.per);
        args.extend(crate::args![self.at.minus(window), self.at]);
        let sql = format!(
            "SELECT COALESCE(MIN(o.id), 0) FROM runs o WHERE o.ended_at IS NULL OR o.ended_at > (
                SELECT LEAST(${since}, ${at} - COALESCE(MAX(r.limit_days), 0) * {day})
                FROM recipients r WHERE r.id IN ({places}))",
            day = OwnLimit::DAY,
        );
        let (oldest,): (i64,) = session.one(sql, args).await?;
        Ok(self.args_from(RunId(oldest)))
    }
}
