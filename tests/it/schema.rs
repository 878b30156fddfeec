//! The two schemas say the same.

use colloquy::args;
use colloquy::store::{EngineKind, Error, Schema, Store};

use crate::project::{Project, Settings};
use crate::support::{database, on_both_engines};

/// Notes a step that only a newer program knows.
pub async fn upgrade(store: &Store) {
    let mut tx = store.write().await.unwrap();
    let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9999, 'of tomorrow', TRUE, $1, 1)";
    tx.change(1, sql, args![vec![1_u8]]).await.unwrap();
    tx.commit().await.unwrap();
}

on_both_engines! {
    async fn a_program_that_is_older_than_the_schema_is_not_started(db) {
        assert_eq!(db.store.schema().await.unwrap(), Schema::Current);
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        upgrade(&project.db.store).await;
        assert_eq!(project.db.store.schema().await.unwrap(), Schema::Newer);
        let error = project.app().store().await.unwrap_err();
        let refused = error.downcast_ref::<Error>().unwrap();
        assert!(matches!(refused, Error::Newer { step: 9999 }) && !refused.may_pass(), "{error}");
        for command in ["status", "run"] {
            let mut colloquy = std::process::Command::new(env!("CARGO_BIN_EXE_colloquy"));
            let done = colloquy.arg("-C").arg(project.db.dir.path()).arg(command).output().unwrap();
            let words = String::from_utf8(done.stderr).unwrap();
            assert_eq!(done.status.code(), Some(1), "{words}");
            assert!(words.contains("a newer colloquy") && words.contains("step 9999"), "{words}");
        }
    }
}

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
                 AND NOT EXISTS (SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass(table_name))
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

/// For the words of a longer IN list in a CHECK or in an index SQLite builds a table, anew for each row that it writes.
/// Only runs are few enough for that.
#[tokio::test]
async fn no_row_costs_a_table_of_the_words_that_its_columns_may_hold() {
    let db = database(EngineKind::Sqlite).await;
    let mut session = db.store.read().await.unwrap();
    let checked = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%CHECK (%' AND name <> 'runs'";
    let tables: Vec<(String,)> = session.all(checked, vec![]).await.unwrap();
    assert!(tables.len() > 3, "only {tables:?}");
    for (table,) in tables {
        let program: Vec<(i64, String)> =
            session.all(format!("EXPLAIN INSERT INTO {table} DEFAULT VALUES"), vec![]).await.unwrap();
        let steps: Vec<_> = program.into_iter().map(|(_, step)| step).collect();
        assert!(steps.iter().any(|step| step == "MakeRecord"), "{table}: {steps:?}");
        assert!(!steps.iter().any(|step| step == "OpenEphemeral"), "{table}: {steps:?}");
    }
}
