//! Brings the schema up to date.

use sqlx::migrate::{MigrateError, Migrator};

use super::{Engine, EngineKind, Result, Session};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version";

pub(super) const STATEMENTS: &[&str] = &[APPLIED];

/// Whether the schema is the one that this program was built with, neither older nor newer.
pub(super) async fn is_current(session: &mut Session) -> Result<bool> {
    let migrator = match session.kind() {
        EngineKind::Sqlite => &SQLITE,
        EngineKind::Postgres => &POSTGRES,
    };
    let applied: Vec<(i64, Vec<u8>)> = session.all(APPLIED, vec![]).await?;
    Ok(migrator.iter().map(|m| (m.version, &*m.checksum)).eq(applied.iter().map(|(v, sum)| (*v, sum.as_slice()))))
}

pub(super) async fn migrate(engine: &Engine) -> Result<()> {
    match engine {
        Engine::Sqlite { writer, .. } => {
            // Two processes may meet at the first start; the second finds the work done.
            let mut connection = writer.acquire().await?;
            match SQLITE.run(&mut *connection).await {
                Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)) => {
                    Ok(SQLITE.run(&mut *connection).await?)
                }
                other => Ok(other?),
            }
        }
        Engine::Postgres(pool) => Ok(POSTGRES.run(pool).await?),
    }
}
