//! Brings the schema up to date.

use sqlx::migrate::{MigrateError, Migrator};

use super::{Engine, Result};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

pub(super) async fn migrate(engine: &Engine) -> Result<()> {
    match engine {
        Engine::Sqlite { writer, .. } => {
            // Two processes may meet at the first start; the second finds the work done.
            match SQLITE.run(writer).await {
                Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)) => Ok(SQLITE.run(writer).await?),
                other => Ok(other?),
            }
        }
        Engine::Postgres(pool) => Ok(POSTGRES.run(pool).await?),
    }
}
