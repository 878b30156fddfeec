//! How the engines find what statements ask for: a table that grows is never walked to find a few of its rows.

use colloquy::store::{EngineKind, Session, statements};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};

use crate::support::database;

/// What segments ask for is put together: the indexes that serve it, and a piece of it each.
const BUILT: [(&str, &str); 3] = [
    ("profiles_f", "SELECT recipient_id FROM profiles WHERE f >= $1"),
    ("profiles_cools", "SELECT recipient_id FROM profiles WHERE cools_at <= $1"),
    ("profiles_cluster", "SELECT recipient_id FROM profiles WHERE cluster = $1 AND cluster_until > $2"),
];

async fn steps(session: &mut Session, sql: &str) -> Vec<String> {
    let plan: Vec<(i64, i64, i64, String)> =
        session.all(format!("EXPLAIN QUERY PLAN {sql}"), vec![]).await.unwrap_or_else(|e| panic!("{e}\n{sql}"));
    plan.into_iter().map(|(.., step)| step).collect()
}

#[tokio::test]
async fn every_index_serves_a_statement_on_sqlite() {
    let db = database(EngineKind::Sqlite).await;
    let mut session = db.store.read().await.unwrap();
    let names = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE 'CREATE INDEX%'";
    let mut unused: Vec<_> =
        session.all::<(String,)>(names, vec![]).await.unwrap().into_iter().map(|(name,)| name).collect();
    assert!(unused.len() > 20, "{unused:?}");
    for sql in statements().into_iter().chain(BUILT.map(|(_, sql)| sql)) {
        for step in steps(&mut session, sql).await {
            unused.retain(|index| step.split(' ').all(|word| word != index));
        }
    }
    assert!(unused.is_empty(), "no statement uses {unused:?}");
}

#[tokio::test]
async fn every_index_serves_a_statement_on_postgres() {
    let db = database(EngineKind::Postgres).await;
    let mut server = PgConnection::connect(&db.url).await.unwrap();
    server.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan").await.unwrap();
    // An index of a partition counts as that of the whole.
    let names = "SELECT CAST(c.relname AS TEXT), CAST(COALESCE(w.relname, c.relname) AS TEXT), i.indisunique
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        LEFT JOIN pg_inherits h ON h.inhrelid = i.indexrelid LEFT JOIN pg_class w ON w.oid = h.inhparent
        WHERE c.relnamespace = to_regnamespace('public')";
    let indexes: Vec<(String, String, bool)> =
        server.fetch_all(names).await.unwrap().iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let mut unused: Vec<_> =
        indexes.iter().filter(|(name, whole, _)| name == whole).map(|(_, whole, _)| whole.clone()).collect();
    let unique: Vec<_> = indexes.iter().filter(|(.., unique)| *unique).map(|(_, whole, _)| whole.clone()).collect();
    unused.retain(|index| !unique.contains(index));
    assert!(unused.len() > 20, "{unused:?}");
    for statement in statements().into_iter().chain(BUILT.map(|(_, statement)| statement)) {
        let places = (1..20).rev().find(|n| statement.contains(&format!("${n}"))).unwrap_or(0);
        let nulls = vec!["NULL"; places].join(", ");
        let arguments = if places == 0 { String::new() } else { format!("({nulls})") };
        server.execute(sqlx::AssertSqlSafe(format!("PREPARE it AS {statement}"))).await.unwrap();
        let explain = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("EXPLAIN EXECUTE it{arguments}")));
        for line in server.fetch_all(explain).await.unwrap() {
            let line: String = line.get(0);
            for (name, whole, _) in &indexes {
                if line.split([' ', ')']).any(|word| word == name) {
                    unused.retain(|index| index != whole);
                }
            }
        }
        server.execute("DEALLOCATE it").await.unwrap();
    }
    assert!(unused.is_empty(), "no statement uses {unused:?}");
}

const LARGE: [&str; 8] = ["hits", "messages", "actions", "recipients", "consents", "notices", "inbound", "joins"];

/// Statements that walk a whole table all the same: how they begin, and why they may.
const WALKS: [(&str, &str); 9] = [
    ("SELECT id, way, arrived_at, size, state", "a person lists mails"),
    ("SELECT state, COALESCE(kind, '') AS kind", "a person asks for their numbers"),
    ("UPDATE inbound SET state = 'waiting', tries = 0", "a person has all that failed tried again"),
    ("SELECT kind, state, COUNT(*) FROM notices", "a person asks for their numbers"),
    ("UPDATE notices SET state = 'unknown', due_at = NULL", "a restore"),
    ("UPDATE notices SET data = ''", "once an hour, and notices are kept for a short time"),
    ("DELETE FROM notices", "once an hour, and notices are kept for a short time"),
    (
        "SELECT id FROM actions WHERE scored AND counts LIMIT 1",
        "it ends at the first, and is asked where there is no profile",
    ),
    ("SELECT address, address_hash FROM recipients", "it ends at the first, and is asked where no key is known"),
];

/// SQLite has one writer: while it looks through a whole table, nobody else writes.
#[tokio::test]
async fn few_statements_walk_a_large_table_and_none_that_is_called_often() {
    let db = database(EngineKind::Sqlite).await;
    let mut session = db.store.read().await.unwrap();
    let names = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'";
    let partial: Vec<(String,)> = session.all(names, vec![]).await.unwrap();
    let mut walking = Vec::new();
    for sql in statements() {
        let is_large =
            |name: &str| LARGE.iter().any(|table| name == *table || sql.contains(&format!(" {table} {name}")));
        for step in steps(&mut session, sql).await {
            let mut words = step.split(' ');
            // An index of some rows holds few.
            if words.next() == Some("SCAN")
                && words.next().is_some_and(is_large)
                && words.all(|word| partial.iter().all(|(index,)| word != index))
            {
                walking.push(sql);
            }
        }
    }
    let (known, new): (Vec<_>, Vec<_>) =
        walking.into_iter().partition(|sql| WALKS.iter().any(|(start, _)| sql.starts_with(start)));
    assert!(new.is_empty(), "{new:#?}");
    for (start, _) in WALKS {
        assert!(known.iter().any(|sql| sql.starts_with(start)), "does not walk: {start}");
    }
}
