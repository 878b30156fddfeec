//! All that a database holds, for comparing and searching.

use std::collections::BTreeMap;

use colloquy::store::{EngineKind, Session, Store};

/// The rows of every table, as text in the order of their text. Octets are in hexadecimal.
pub async fn dump(store: &Store) -> BTreeMap<String, Vec<String>> {
    let mut session = store.read().await.unwrap();
    let mut all = BTreeMap::new();
    for table in tables(&mut session).await {
        let row = match session.kind() {
            EngineKind::Postgres => "CAST(to_jsonb(t) AS TEXT)".to_owned(),
            EngineKind::Sqlite => {
                let sql = format!("SELECT name FROM pragma_table_info('{table}')");
                let columns = session.all::<(String,)>(sql, vec![]).await.unwrap();
                let columns: Vec<_> = columns.into_iter().map(|(c,)| format!("'{c}: ' || quote({c})")).collect();
                columns.join(" || ', ' || ")
            }
        };
        let rows: Vec<(String,)> = session.all(format!("SELECT {row} FROM {table} t"), vec![]).await.unwrap();
        let mut rows: Vec<_> = rows.into_iter().map(|(row,)| row).collect();
        rows.sort();
        all.insert(table, rows);
    }
    all
}

async fn tables(session: &mut Session) -> Vec<String> {
    let sql = match session.kind() {
        EngineKind::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> '_sqlx_migrations'"
        }
        EngineKind::Postgres => {
            "SELECT CAST(table_name AS TEXT) FROM information_schema.tables
             WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> '_sqlx_migrations'
                 AND NOT EXISTS (SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass(table_name))"
        }
    };
    session.all::<(String,)>(sql, vec![]).await.unwrap().into_iter().map(|(name,)| name).collect()
}
