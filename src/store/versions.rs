//! Frozen states of the project's files.

use std::collections::BTreeMap;

use super::{Result, Session, runs, values};
use crate::args;
use crate::domain::id::VersionId;
use crate::domain::media::{is_image, picture_id};
use crate::domain::occasion::Occasion;
use crate::domain::time::Micros;

const BY_HASH: &str = "SELECT id FROM versions WHERE hash = $1";
const INSERT: &str = "INSERT INTO versions (at, hash) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING RETURNING id";
const APPLY: &str =
    "UPDATE versions SET applied = (SELECT COALESCE(MAX(applied), 0) + 1 FROM versions), at = $1 WHERE id = $2";
const APPLIED: &str = "SELECT id, at FROM versions WHERE applied IS NOT NULL ORDER BY applied DESC LIMIT 1";
const FILES: &str = "SELECT path, content FROM version_files WHERE version_id = $1 ORDER BY path";

const PICTURE: &str = "SELECT path, content FROM version_files WHERE picture = $1 LIMIT 1";
const SENT: &str = "SELECT version_id FROM runs ORDER BY id DESC LIMIT 1";

pub(super) const STATEMENTS: &[&str] = &[BY_HASH, INSERT, APPLY, APPLIED, FILES, PICTURE, SENT];

/// Keeps `files` under their hash; the same content is kept once.
///
/// # Errors
/// When the database refuses.
pub async fn freeze(tx: &mut Session, files: &BTreeMap<String, String>, hash: &str, now: Micros) -> Result<VersionId> {
    // Whoever freezes the same files at the same time waits here, and finds them kept.
    let Some((id,)) = tx.first::<(i64,)>(INSERT, args![now, hash]).await? else {
        let (id,) = tx.one::<(i64,)>(BY_HASH, args![hash]).await?;
        return Ok(VersionId(id));
    };
    let rows = files.iter().collect::<Vec<_>>();
    for chunk in rows.chunks(100) {
        let sql = format!(
            "INSERT INTO version_files (version_id, path, content, picture) VALUES {}",
            values(1, chunk.len(), 4)
        );
        // Attachments are nobody's business.
        let is_shown = |path: &str| path.starts_with("templates/") && is_image(path);
        let named = |path: &str, content: &str| is_shown(path).then(|| picture_id(content));
        let row =
            |(path, content): &(&String, &String)| args![id, path.as_str(), content.as_str(), named(path, content)];
        let args = chunk.iter().flat_map(row).collect();
        tx.execute(sql, args).await?;
    }
    Ok(VersionId(id))
}

/// Makes a version the one that the service sends.
///
/// # Errors
/// When there is no such version.
pub async fn apply(tx: &mut Session, version: VersionId, now: Micros) -> Result<()> {
    tx.change(1, APPLY, args![now, version]).await
}

/// The version that was applied last, and when.
///
/// # Errors
/// When the database refuses.
pub async fn applied(session: &mut Session) -> Result<Option<(VersionId, Micros)>> {
    Ok(session.first::<(i64, i64)>(APPLIED, vec![]).await?.map(|(id, at)| (VersionId(id), Micros(at))))
}

/// Whether an occasion that has begun under the applied version lacks its run.
///
/// # Errors
/// When the database refuses.
pub async fn is_missing(
    session: &mut Session,
    campaign: &str,
    occasion: Occasion,
    recurs: bool,
    applied: Micros,
) -> Result<bool> {
    // Most looks find the run made long ago.
    if runs::by_occasion(session, campaign, &occasion.to_string()).await?.is_some() {
        return Ok(false);
    }
    // A recurrence begins with its first apply; what began before that never happened, though a later
    // occasion may have its run by now.
    let begins = occasion.begins();
    Ok(!recurs || begins > applied || runs::any_before(session, campaign, begins).await?)
}

/// The version whose limits and rules count: the one that was applied last, or, while none was, that of the run that
/// began last.
///
/// # Errors
/// When the database refuses.
pub async fn governing(session: &mut Session) -> Result<Option<VersionId>> {
    if let Some((version, _)) = applied(session).await? {
        return Ok(Some(version));
    }
    Ok(session.first::<(i64,)>(SENT, vec![]).await?.map(|(id,)| VersionId(id)))
}

/// The files of a version by path.
///
/// # Errors
/// When the database refuses.
pub async fn files(session: &mut Session, version: VersionId) -> Result<BTreeMap<String, String>> {
    Ok(session.all::<(String, String)>(FILES, args![version]).await?.into_iter().collect())
}

/// A picture of any version by what [`picture_id`] names it: its path, and its lines of base64.
///
/// # Errors
/// When the database refuses.
pub async fn picture(session: &mut Session, id: &str) -> Result<Option<(String, String)>> {
    session.first(PICTURE, args![id]).await
}
