//! Many rows or many keys in one statement.

use crate::domain::id::RecipientId;
use crate::store::{Result, Session, Value, keys, values};

/// Rows of the largest statement.
const ROWS: usize = 256;

/// Runs `{head} VALUES (…), (…) {tail}` over all rows. The rows of each statement are a power of
/// two, so that few texts arise and stay prepared.
pub(super) async fn rows<const N: usize>(
    session: &mut Session,
    head: &str,
    tail: &str,
    rows: Vec<[Value; N]>,
) -> Result<()> {
    let mut left = rows.len();
    let mut rows = rows.into_iter();
    while left > 0 {
        let size = ROWS.min(1 << left.ilog2());
        let sql = format!("{head} VALUES {} {tail}", values(1, size, N));
        session.execute(sql, rows.by_ref().take(size).flatten().collect()).await?;
        left -= size;
    }
    Ok(())
}

/// Deletes all rows of the given people from a table.
pub(super) async fn delete(session: &mut Session, table: &'static str, people: &[RecipientId]) -> Result<()> {
    if !people.is_empty() {
        let (list, args) = keys(1, people);
        session.execute(format!("DELETE FROM {table} WHERE recipient_id IN ({list})"), args).await?;
    }
    Ok(())
}
