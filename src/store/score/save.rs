//! Writes what is known of a number of people.

use std::collections::BTreeSet;

use super::bulk;
use crate::domain::id::RecipientId;
use crate::domain::ledger::{Changes, Entry, PersonState};
use crate::store::{Result, Session, Value, keys};

/// What became of one person.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Who.
    pub recipient: RecipientId,
    /// The state after all entries.
    pub state: PersonState,
    /// What happened; all of it when replayed.
    pub changes: Changes,
    /// Entries that are new.
    pub added: Vec<Entry>,
    /// Actions whose entries no longer stand.
    pub removed: Vec<i64>,
    /// Whether the ledger was replayed, so that the whole history is to be replaced.
    pub replayed: bool,
}

const ENTRIES: &str = "INSERT INTO score_entries (recipient_id, at, action_id, kind, category, points, f, f7, fa)";
const PROFILES: &str = "INSERT INTO profiles (recipient_id, f, f7, fa, points, last_at, last_id, cools_at, cluster,
    cluster_since, cluster_until, rose, cooled, entered)";
const PROFILES_AGAIN: &str = "ON CONFLICT (recipient_id) DO UPDATE SET f = excluded.f, f7 = excluded.f7,
    fa = excluded.fa, points = excluded.points, last_at = excluded.last_at, last_id = excluded.last_id,
    cools_at = excluded.cools_at, cluster = excluded.cluster, cluster_since = excluded.cluster_since,
    cluster_until = excluded.cluster_until, rose = excluded.rose, cooled = excluded.cooled,
    entered = excluded.entered";
const AFFINITIES: &str = "INSERT INTO affinities (recipient_id, category, fa)";
const AFFINITIES_AGAIN: &str = "ON CONFLICT (recipient_id, category) DO UPDATE SET fa = excluded.fa";
const SPANS: &str = "INSERT INTO cluster_spans (recipient_id, ordinal, cluster, from_at, until_at)";
const SPANS_AGAIN: &str = "ON CONFLICT (recipient_id, ordinal) DO UPDATE SET until_at = excluded.until_at";
const MOMENTS: &str = "INSERT INTO moments (recipient_id, kind, ordinal, at, subject)";

/// What is learnt of a person: replaced by a replay, except the entries.
const REPLACED: [&str; 3] = ["affinities", "cluster_spans", "moments"];

/// Writes people, in a handful of statements for all of them.
///
/// # Errors
/// When the database refuses.
pub async fn save(session: &mut Session, people: &[Saved]) -> Result<()> {
    let replayed: Vec<_> = people.iter().filter(|p| p.replayed).map(|p| p.recipient).collect();
    for table in REPLACED {
        bulk::delete(session, table, &replayed).await?;
    }
    let emptied: Vec<_> = people.iter().filter(|p| p.state.last.is_none()).map(|p| p.recipient).collect();
    bulk::delete(session, "profiles", &emptied).await?;
    remove(session, people).await?;
    bulk::rows(session, ENTRIES, "", people.iter().flat_map(entry_rows).collect()).await?;
    bulk::rows(session, PROFILES, PROFILES_AGAIN, people.iter().filter_map(profile_row).collect()).await?;
    bulk::rows(session, AFFINITIES, AFFINITIES_AGAIN, people.iter().flat_map(affinity_rows).collect()).await?;
    bulk::rows(session, SPANS, SPANS_AGAIN, people.iter().flat_map(span_rows).collect()).await?;
    bulk::rows(session, MOMENTS, "", people.iter().flat_map(moment_rows).collect()).await
}

/// Removes all that was learnt of people. Their actions stay, and may be scored again.
///
/// # Errors
/// When the database refuses.
pub async fn clear(session: &mut Session, people: &[RecipientId]) -> Result<()> {
    for table in REPLACED.into_iter().chain(["score_entries", "profiles"]) {
        bulk::delete(session, table, people).await?;
    }
    Ok(())
}

/// Forgets what was learnt of a person, who was erased or has withdrawn the permission to keep hits:
/// what happened so far never scores again, whatever is permitted later. The caller has locked the
/// recipient's row.
///
/// # Errors
/// When the database refuses.
pub async fn forget(session: &mut Session, recipient: RecipientId) -> Result<()> {
    clear(session, &[recipient]).await?;
    session.execute("UPDATE actions SET counts = FALSE WHERE recipient_id = $1", vec![recipient.into()]).await?;
    Ok(())
}

/// Goes by person first, as the key does.
async fn remove(session: &mut Session, people: &[Saved]) -> Result<()> {
    let moved = people.iter().filter(|person| !person.removed.is_empty());
    let (people, actions): (Vec<_>, Vec<_>) = moved.map(|person| (person.recipient, &person.removed)).unzip();
    let actions: Vec<i64> = actions.into_iter().flatten().copied().collect();
    if actions.is_empty() {
        return Ok(());
    }
    let (recipients, mut args) = keys(1, &people);
    let (ids, more) = keys(1 + args.len(), &actions);
    args.extend(more);
    let sql = format!("DELETE FROM score_entries WHERE recipient_id IN ({recipients}) AND action_id IN ({ids})");
    session.execute(sql, args).await.map(drop)
}

fn entry_rows(person: &Saved) -> impl Iterator<Item = [Value; 9]> {
    person.added.iter().map(|entry| {
        let action = &entry.action;
        [
            person.recipient.into(),
            action.at.into(),
            action.id.into(),
            action.kind.as_str().into(),
            action.category.clone().into(),
            entry.points.into(),
            entry.f.into(),
            entry.f7.into(),
            entry.fa.into(),
        ]
    })
}

fn profile_row(person: &Saved) -> Option<[Value; 14]> {
    let state = &person.state;
    let (last_at, last_id) = state.last?;
    let membership = state.membership.as_ref();
    Some([
        person.recipient.into(),
        state.f.into(),
        state.f7.into(),
        state.affinity_total().into(),
        state.points.into(),
        last_at.into(),
        last_id.into(),
        state.cools_at.into(),
        membership.map(|m| m.cluster.clone()).into(),
        membership.map(|m| m.since).into(),
        membership.map(|m| m.until).into(),
        state.rose.into(),
        state.cooled.into(),
        state.entered.into(),
    ])
}

fn affinity_rows(person: &Saved) -> Vec<[Value; 3]> {
    let added: BTreeSet<_> = person.added.iter().filter_map(|entry| entry.action.category.as_ref()).collect();
    let touched = person.state.affinities.iter().filter(|(category, _)| person.replayed || added.contains(category));
    touched.map(|(category, sum)| [person.recipient.into(), category.as_str().into(), (*sum).into()]).collect()
}

fn span_rows(person: &Saved) -> impl Iterator<Item = [Value; 5]> {
    person.changes.spans.iter().map(|span| {
        let (from, until) = (span.from.into(), span.until.into());
        [person.recipient.into(), span.ordinal.into(), span.cluster.as_str().into(), from, until]
    })
}

fn moment_rows(person: &Saved) -> impl Iterator<Item = [Value; 5]> {
    person.changes.moments.iter().map(|moment| {
        let (kind, subject) = (moment.kind.as_str().into(), moment.subject.as_str().into());
        [person.recipient.into(), kind, moment.ordinal.into(), moment.at.into(), subject]
    })
}
