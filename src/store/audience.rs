//! Audiences: whom a condition finds at one moment, page by page or counted.

use std::fmt::Write as _;

use super::eligibility::{self, Own, Permission};
use super::segment::Writer;
use super::{EngineKind, Result, Session, Value, list, resends};
use crate::args;
use crate::domain::id::{RecipientId, RunId};
use crate::domain::resend::Resend;
use crate::domain::score::Scale;
use crate::domain::segment::Condition;
use crate::domain::time::Micros;

/// Whom a condition finds at one moment. Who is erased is found by none.
#[derive(Clone, Copy, Debug)]
pub struct Audience<'a> {
    /// The condition; none finds everyone.
    pub condition: Option<&'a Condition>,
    /// The instant at which the condition is judged; it may lie in the past or ahead.
    pub at: Micros,
    /// Who joined later than this is not in it. For a run its instant.
    pub joined_by: Micros,
    /// How the stored sums are to be read.
    pub scale: &'a Scale,
    /// A run that sends another's mail again finds people of that one, whatever the condition says.
    pub resend: Option<&'a Resend>,
    /// In which zones, by the attribute `timezone`; none: in all.
    pub zones: Option<&'a Zones>,
}

/// Recipients by their zone. Names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Zones {
    /// Whose zone is one of these.
    Among(Vec<String>),
    /// Whose zone is none of these, or who has none.
    Except(Vec<String>),
}

/// What a recipient's zone is compared as: empty for who has none.
pub(super) fn zone_sql(kind: EngineKind) -> &'static str {
    match kind {
        EngineKind::Sqlite => "COALESCE(LOWER(r.attributes ->> 'timezone'), '')",
        EngineKind::Postgres => "COALESCE(LOWER(r.attributes ->> 'timezone'), '') COLLATE \"C\"",
    }
}

/// The pieces of a statement over an audience.
pub(super) struct Selection {
    /// After FROM: `recipients r` and what the filter needs.
    pub from: &'static str,
    /// After WHERE.
    pub filter: String,
    /// The filter's arguments.
    pub args: Vec<Value>,
}

impl Audience<'_> {
    /// The audience as SQL, with placeholders from `$first` on.
    pub(super) fn select(&self, kind: EngineKind, first: usize) -> Selection {
        let mut writer = Writer::new(kind, self.scale, self.at, first);
        let joined = writer.bind(self.joined_by);
        let condition = match (self.resend, self.condition) {
            (Some(resend), _) => resends::condition(resend.to, &writer.bind(resend.run)),
            (None, Some(condition)) => writer.expr(&condition.expr),
            (None, None) => "TRUE".to_owned(),
        };
        let from = if writer.uses_profiles() {
            "recipients r LEFT JOIN profiles p ON p.recipient_id = r.id"
        } else {
            "recipients r"
        };
        let mut filter = format!("r.erased_at IS NULL AND r.created_at <= {joined} AND {condition}");
        let mut args = writer.into_args();
        if let Some(zones) = self.zones {
            let (names, not) = match zones {
                Zones::Among(names) => (names, ""),
                Zones::Except(names) => (names, "NOT "),
            };
            // An empty list is none; no zone has this name.
            let fill = names.last().map_or("-", String::as_str);
            let (places, padded) = list(first + args.len(), names.len().max(1));
            args.extend(names.iter().map(String::as_str).chain(std::iter::repeat(fill)).take(padded).map(Value::from));
            let _ = write!(filter, " AND {} {not}IN ({places})", zone_sql(kind));
        }
        Selection { from, filter, args }
    }
}

/// The next `limit` recipients of an audience by id, after `after`.
///
/// # Errors
/// When the database refuses.
pub async fn page(
    session: &mut Session,
    audience: &Audience<'_>,
    after: RecipientId,
    limit: u32,
) -> Result<Vec<RecipientId>> {
    let Selection { from, filter, args: filled } = audience.select(session.kind(), 3);
    let sql = format!("SELECT r.id AS id FROM {from} WHERE r.id > $1 AND {filter} ORDER BY r.id LIMIT $2");
    let mut values = args![after, limit];
    values.extend(filled);
    session.recipients(&sql, values).await
}

/// How many recipients an audience has after this one.
///
/// # Errors
/// When the database refuses.
pub async fn count_after(session: &mut Session, audience: &Audience<'_>, after: RecipientId) -> Result<i64> {
    let Selection { from, filter, args: filled } = audience.select(session.kind(), 2);
    let mut values = args![after];
    values.extend(filled);
    let sql = format!("SELECT COUNT(*) FROM {from} WHERE r.id > $1 AND {filter}");
    Ok(session.one::<(i64,)>(sql, values).await?.0)
}

/// How many recipients an audience has who have no message in a run.
///
/// # Errors
/// When the database refuses.
pub async fn count_without_message(session: &mut Session, audience: &Audience<'_>, run: RunId) -> Result<i64> {
    let Selection { from, filter, args: filled } = audience.select(session.kind(), 2);
    let mut values = args![run];
    values.extend(filled);
    let sql = format!(
        "SELECT COUNT(*) FROM {from} WHERE {filter}
         AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.run_id = $1 AND m.recipient_id = r.id)"
    );
    Ok(session.one::<(i64,)>(sql, values).await?.0)
}

/// How many recipients of an audience may be mailed.
///
/// # Errors
/// When the database refuses.
pub async fn count_allowed(session: &mut Session, audience: &Audience<'_>, permission: &Permission<'_>) -> Result<i64> {
    let reason = eligibility::reason_sql(Own::InQuestion, 1);
    let mut values = permission.args();
    let Selection { from, filter, args } = audience.select(session.kind(), values.len() + 1);
    values.extend(args);
    let sql = format!("SELECT COUNT(*) FROM {from} WHERE {filter} AND {reason} IS NULL");
    Ok(session.one::<(i64,)>(sql, values).await?.0)
}
