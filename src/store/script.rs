//! Transactions that are known as a whole before they begin.

use std::borrow::Cow;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Either, Executor as _};

use super::{Engine, Error, Result, Sql, Store, Value, value};

/// Statements of one transaction. On SQLite they go to the database's thread together, so that the
/// transaction costs one change of thread there and back instead of one for each statement.
#[derive(Debug, Default)]
pub struct Script(Vec<(Sql, Vec<Value>)>);

impl Script {
    /// Adds a statement that gives no rows. Its placeholders stand in order, once each.
    pub fn push(&mut self, sql: impl Into<Sql>, args: Vec<Value>) {
        self.0.push((sql.into(), args));
    }

    /// How many statements it has.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Store {
    /// Runs a script in one transaction; how many rows each statement changed.
    ///
    /// # Errors
    /// When the database refuses: nothing was written, or, when it was lost at the commit, it cannot
    /// be told.
    pub async fn commit(&self, script: Script) -> Result<Vec<u64>> {
        if let Engine::Sqlite { writer, .. } = &self.engine {
            let mut loan = writer.acquire().await?;
            let single = script.len() == 1;
            let count = script.len() + if single { 0 } else { 2 };
            let (text, args) = together(script)?;
            return match changes(&mut loan, text, args, count).await {
                // BEGIN and COMMIT stand around them.
                Ok(changes) if !single => Ok(changes[1..count - 1].to_vec()),
                Ok(changes) => Ok(changes),
                Err(error) => {
                    loan.discard();
                    Err(error.into())
                }
            };
        }
        let mut session = self.write().await?;
        let mut changes = Vec::with_capacity(script.0.len());
        for (sql, args) in script.0 {
            changes.push(session.execute(sql, args).await?);
        }
        session.commit().await?;
        Ok(changes)
    }
}

/// The statements as one text with all arguments. One alone is a transaction by itself.
fn together(script: Script) -> Result<(Cow<'static, str>, SqliteArguments)> {
    let single = script.len() == 1;
    let mut arguments = SqliteArguments::default();
    arguments.reserve(script.0.iter().map(|(_, args)| args.len()).sum(), 0);
    let mut texts = Vec::with_capacity(script.len() + 2);
    for (sql, args) in script.0 {
        let unordered = |sql: Sql| Error::Corrupt(format!("placeholders out of order: {}", sql.0));
        texts.push(sql.unnumbered(args.len()).map_err(unordered)?.0);
        value::add_to_sqlite(args, &mut arguments)?;
    }
    if single {
        return Ok((texts.swap_remove(0), arguments));
    }
    texts.insert(0, "BEGIN IMMEDIATE".into());
    texts.push("COMMIT".into());
    Ok((texts.join(";\n").into(), arguments))
}

/// What each of `count` statements changed. Nothing is asked for after the last, since each answer
/// may cost a change of thread.
async fn changes(
    connection: &mut sqlx::SqliteConnection,
    text: Cow<'static, str>,
    args: SqliteArguments,
    count: usize,
) -> sqlx::Result<Vec<u64>> {
    let mut results = connection.fetch_many(sqlx::query_with(AssertSqlSafe(text), args));
    let mut changes = Vec::with_capacity(count);
    while changes.len() < count
        && let Some(result) = results.try_next().await?
    {
        if let Either::Left(done) = result {
            changes.push(done.rows_affected());
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;

    #[tokio::test]
    async fn a_script_is_done_as_a_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open("sqlite:t.db", dir.path()).await.unwrap();
        let add = "INSERT INTO facts (name, value) VALUES ($1, $2), ($3, $4)";
        let mut script = Script::default();
        script.push(add, args!["a", "1", "b", "2"]);
        script.push("UPDATE facts SET value = $1 WHERE name = $2", args!["3", "b"]);
        script.push("UPDATE facts SET value = $1 WHERE name = $2", args!["3", "z"]);
        assert_eq!(store.commit(script).await.unwrap(), [2, 1, 0]);

        let mut script = Script::default();
        script.push("DELETE FROM facts WHERE name = $1", args!["a"]);
        script.push(add, args!["c", "1", "b", "2"]);
        assert!(store.commit(script).await.is_err(), "b is there already");
        let sql = "SELECT name, value FROM facts ORDER BY name";
        let rows: Vec<(String, String)> = store.read().await.unwrap().all(sql, vec![]).await.unwrap();
        assert_eq!(rows, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "3".to_owned())]);
        assert_eq!(store.commit(Script::default()).await.unwrap(), [0; 0], "the writer is free again");
    }
}
