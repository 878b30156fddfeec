//! Profiles of recipients at an instant, a page at a time: what composing a mail needs.

use std::collections::HashMap;

use sqlx::types::Json;

use super::segment::{cluster_at, sum_at};
use super::{Result, Session, Value, keys};
use crate::domain::address::Address;
use crate::domain::id::RecipientId;
use crate::domain::profile::Profile;
use crate::domain::score::Scale;
use crate::domain::time::Micros;

#[derive(sqlx::FromRow)]
struct Person {
    id: i64,
    address: String,
    attributes: Json<serde_json::Map<String, serde_json::Value>>,
    revision: i64,
    tracking: bool,
    f: f64,
    cluster: Option<String>,
    acted_later: bool,
}

/// Positive sums by category.
type Interests = HashMap<i64, Vec<(String, f64)>>;

/// The profiles of up to some hundred recipients at an instant, past or ahead, in the order of
/// `ids`. Who is erased or unknown is left out. Affinities cost a statement of their own; without
/// `affinities` they stay empty.
///
/// # Errors
/// When the database refuses.
pub async fn profiles_at(
    session: &mut Session,
    ids: &[RecipientId],
    at: Micros,
    scale: &Scale,
    affinities: bool,
) -> Result<Vec<Profile>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let mut people = people(session, &ids, at).await?;
    let mut interests = Interests::new();
    if affinities {
        let (past, present): (Vec<&Person>, Vec<&Person>) = people.values().partition(|p| p.acted_later);
        current(session, &present, &mut interests).await?;
        replayed(session, &past, at, &mut interests).await?;
    }
    let profiles = ids.iter().filter_map(|id| {
        let person = people.remove(id)?;
        Some(Profile {
            recipient: RecipientId(person.id),
            address: Address::from_normalised(person.address),
            attributes: person.attributes.0,
            revision: person.revision,
            score: scale.score(person.f, at),
            cluster: person.cluster,
            affinities: shares(interests.remove(id).unwrap_or_default()),
            tracking: person.tracking,
        })
    });
    Ok(profiles.collect())
}

async fn people(session: &mut Session, ids: &[i64], at: Micros) -> Result<HashMap<i64, Person>> {
    let (placeholders, mut args) = keys(1, ids);
    args.push(at.into());
    let at = format!("${}", args.len());
    let sql = format!(
        "SELECT r.id, r.address, r.attributes, r.revision, r.tracking, {f} AS f, {cluster} AS cluster,
            COALESCE(p.last_at > {at}, FALSE) AS acted_later
         FROM recipients r LEFT JOIN profiles p ON p.recipient_id = r.id
         WHERE r.id IN ({placeholders}) AND r.address IS NOT NULL AND r.erased_at IS NULL",
        f = sum_at("f", &at),
        cluster = cluster_at(&at),
    );
    let rows: Vec<Person> = session.all(sql, args).await?;
    Ok(rows.into_iter().map(|person| (person.id, person)).collect())
}

async fn current(session: &mut Session, people: &[&Person], interests: &mut Interests) -> Result<()> {
    let ids: Vec<i64> = people.iter().map(|p| p.id).collect();
    let (placeholders, args) = keys(1, &ids);
    let sql =
        format!("SELECT recipient_id, category, fa FROM affinities WHERE recipient_id IN ({placeholders}) AND fa > 0");
    collect(session, ids.is_empty(), sql, args, interests).await
}

async fn replayed(session: &mut Session, people: &[&Person], at: Micros, interests: &mut Interests) -> Result<()> {
    let ids: Vec<i64> = people.iter().map(|p| p.id).collect();
    let (placeholders, mut args) = keys(1, &ids);
    args.push(at.into());
    let sql = format!(
        "SELECT recipient_id, category, SUM(fa) FROM score_entries
         WHERE recipient_id IN ({placeholders}) AND at <= ${} AND category IS NOT NULL
         GROUP BY recipient_id, category HAVING SUM(fa) > 0",
        args.len()
    );
    collect(session, ids.is_empty(), sql, args, interests).await
}

async fn collect(
    session: &mut Session,
    nobody: bool,
    sql: String,
    args: Vec<Value>,
    interests: &mut Interests,
) -> Result<()> {
    if nobody {
        return Ok(());
    }
    let rows: Vec<(i64, String, f64)> = session.all(sql, args).await?;
    for (id, category, sum) in rows {
        interests.entry(id).or_default().push((category, sum));
    }
    Ok(())
}

/// Shares of the sum, the largest first.
fn shares(mut sums: Vec<(String, f64)>) -> Vec<(String, f64)> {
    let total: f64 = sums.iter().map(|(_, sum)| sum).sum();
    sums.iter_mut().for_each(|(_, sum)| *sum /= total);
    sums.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    sums
}
