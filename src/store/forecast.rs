//! What a plan counts: an audience by exclusion, topic and domain, judged by the engine, so that no
//! person is fetched for it.

use std::collections::BTreeMap;

use super::audience::{Audience, Selection, zone_sql};
use super::eligibility::{Own, PLACEHOLDERS, Permission, reason_sql};
use super::{Error, Result, Session, Value, list};
use crate::args;
use crate::domain::id::{RecipientId, RunId};
use crate::domain::message::Exclusion;

/// The largest domains that are told apart.
pub const DOMAINS: u32 = 200;

/// An audience, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// How many the condition finds.
    pub audience: i64,
    /// How many of them get a message.
    pub messages: i64,
    /// How many of these had one in the run that is compared with.
    pub again: i64,
    /// How many get none, by the first reason that holds.
    pub excluded: BTreeMap<Exclusion, i64>,
    /// Messages of the largest domains, and of those that were asked for.
    pub domains: BTreeMap<String, i64>,
}

const THEN: &str = "SELECT
    (SELECT COUNT(*) FROM messages WHERE run_id = $1),
    (SELECT COUNT(*) FROM messages WHERE run_id = $1 AND state <> 'skipped'),
    (SELECT CAST(COALESCE(SUM(people), 0) AS BIGINT) FROM run_exclusions WHERE run_id = $1)";
const LAST: &str = "SELECT COALESCE(MAX(id), 0) FROM recipients";

pub(super) const STATEMENTS: &[&str] = &[THEN, LAST];

type Count = (Option<String>, Option<String>, bool, i64);

/// Counts an audience under the eligibility rule, in one pass. `compared` is an earlier run;
/// `domains` are counted however small they are.
///
/// # Errors
/// When the database refuses.
pub async fn forecast(
    session: &mut Session,
    audience: &Audience<'_>,
    permission: &Permission<'_>,
    compared: Option<RunId>,
    domains: &[String],
) -> Result<Forecast> {
    let Selection { from, filter, args } = audience.select(session.kind(), PLACEHOLDERS + 3);
    let named = domains.last().map_or_else(Vec::new, |last| {
        let padded = domains.len().next_power_of_two();
        domains.iter().chain(std::iter::repeat(last)).take(padded).map(|d| Value::from(d.as_str())).collect()
    });
    // An empty string is no domain.
    let named = if named.is_empty() { args![""] } else { named };
    let (placeholders, _) = list(PLACEHOLDERS + 3 + args.len(), named.len());
    let sql = format!(
        "WITH judged AS MATERIALIZED (
            SELECT domain, reason, again, COUNT(*) AS people FROM (
                SELECT r.domain AS domain, {reason} AS reason, EXISTS (
                    SELECT 1 FROM messages l
                    WHERE l.run_id = ${compared} AND l.recipient_id = r.id AND l.state <> 'skipped') AS again
                FROM {from} WHERE {filter}) people
            GROUP BY domain, reason, again),
         receiving AS MATERIALIZED (
            SELECT domain, CAST(SUM(people) AS BIGINT) AS people FROM judged WHERE reason IS NULL GROUP BY domain)
         SELECT CAST(NULL AS TEXT) AS domain, reason, again, CAST(SUM(people) AS BIGINT) AS people FROM judged
            GROUP BY reason, again
         UNION ALL
         SELECT domain, NULL, FALSE, people FROM (
            SELECT domain, people FROM receiving ORDER BY people DESC, domain LIMIT ${limit}) largest
         UNION ALL
         SELECT domain, NULL, FALSE, people FROM receiving WHERE domain IN ({placeholders})",
        reason = reason_sql(Own::Excludes, 1),
        compared = PLACEHOLDERS + 1,
        limit = PLACEHOLDERS + 2,
    );
    let mut values = permission.args();
    values.extend(args![compared.unwrap_or(RunId(0)), DOMAINS]);
    values.extend(args);
    values.extend(named);
    tally(session.all(sql, values).await?)
}

fn tally(counts: Vec<Count>) -> Result<Forecast> {
    let mut forecast = Forecast::default();
    for (domain, reason, again, people) in counts {
        if let Some(domain) = domain {
            forecast.domains.insert(domain, people);
            continue;
        }
        forecast.audience += people;
        match reason {
            None => {
                forecast.messages += people;
                forecast.again += if again { people } else { 0 };
            }
            Some(word) => {
                let reason = Exclusion::parse(&word).ok_or_else(|| Error::Corrupt(format!("exclusion '{word}'")))?;
                *forecast.excluded.entry(reason).or_default() += people;
            }
        }
    }
    Ok(forecast)
}

/// How many of an audience may be mailed by their zone, as far as `zones` names it, in lower case; all others count under
/// an empty name.
///
/// # Errors
/// When the database refuses.
pub async fn by_zone(
    session: &mut Session,
    audience: &Audience<'_>,
    permission: &Permission<'_>,
    zones: &[String],
) -> Result<BTreeMap<String, i64>> {
    let kind = session.kind();
    let Selection { from, filter, args } = audience.select(kind, PLACEHOLDERS + 1);
    let fill = zones.last().map_or("", String::as_str);
    let (names, padded) = list(PLACEHOLDERS + 1 + args.len(), zones.len().max(1));
    let sql = format!(
        "SELECT zone, COUNT(*) FROM (
            SELECT CASE WHEN {zone} IN ({names}) THEN {zone} ELSE '' END AS zone, {reason} AS reason
            FROM {from} WHERE {filter}) people
         WHERE reason IS NULL GROUP BY zone",
        zone = zone_sql(kind),
        reason = reason_sql(Own::Excludes, 1),
    );
    let mut values = permission.args();
    values.extend(args);
    values.extend(zones.iter().map(String::as_str).chain(std::iter::repeat(fill)).take(padded).map(Value::from));
    Ok(session.all::<(String, i64)>(sql, values).await?.into_iter().collect())
}

/// The next `limit` recipients of an audience who may be mailed, by id, after `after`.
///
/// # Errors
/// When the database refuses.
pub async fn eligible(
    session: &mut Session,
    audience: &Audience<'_>,
    permission: &Permission<'_>,
    after: RecipientId,
    limit: u32,
) -> Result<Vec<RecipientId>> {
    let Selection { from, filter, args: filled } = audience.select(session.kind(), PLACEHOLDERS + 3);
    let sql = format!(
        "SELECT r.id FROM {from} WHERE r.id > ${after} AND {filter} AND ({reason}) IS NULL ORDER BY r.id LIMIT ${limit}",
        reason = reason_sql(Own::Excludes, 1),
        after = PLACEHOLDERS + 1,
        limit = PLACEHOLDERS + 2,
    );
    let mut values = permission.args();
    values.extend(args![after, limit]);
    values.extend(filled);
    let rows: Vec<(i64,)> = session.all(sql, values).await?;
    Ok(rows.into_iter().map(|(id,)| RecipientId(id)).collect())
}

/// Audience and messages of a run that has walked its audience.
///
/// # Errors
/// When the database refuses.
pub async fn then(session: &mut Session, run: RunId) -> Result<(i64, i64)> {
    let (all, messages, excluded): (i64, i64, i64) = session.one(THEN, args![run]).await?;
    Ok((all + excluded, messages))
}

/// The highest recipient's id, 0 for none.
///
/// # Errors
/// When the database refuses.
pub async fn last_recipient(session: &mut Session) -> Result<RecipientId> {
    Ok(RecipientId(session.one::<(i64,)>(LAST, vec![]).await?.0))
}
