//! The two schemas say the same.

use colloquy::store::EngineKind;

use crate::support::database;

/// Table and column names of a migration, as the engine itself reports them.
async fn columns(kind: EngineKind) -> Vec<(String, String)> {
    let sql = match kind {
        EngineKind::Sqlite => {
            "SELECT m.name, p.name FROM sqlite_master m, pragma_table_info(m.name) p
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> '_sqlx_migrations' ORDER BY 1, 2"
        }
        EngineKind::Postgres => {
            "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'
             ORDER BY table_name COLLATE \"C\", column_name COLLATE \"C\""
        }
    };
    database(kind).await.store.read().await.unwrap().all(sql, vec![]).await.unwrap()
}

#[tokio::test]
async fn both_engines_have_the_same_tables_and_columns() {
    let sqlite = columns(EngineKind::Sqlite).await;
    assert!(sqlite.len() > 80, "only {} columns", sqlite.len());
    assert_eq!(sqlite, columns(EngineKind::Postgres).await);
}

#[tokio::test]
async fn every_statement_is_valid_on_both_engines() {
    for kind in [EngineKind::Sqlite, EngineKind::Postgres] {
        let db = database(kind).await;
        let mut session = db.store.read().await.unwrap();
        for statement in colloquy::store::statements() {
            session.prepare(statement).await.unwrap_or_else(|e| panic!("{kind:?}: {e}\n{statement}"));
        }
    }
}
