//! Brings the schema up to date.

use sqlx::migrate::{MigrateError, Migrator};

use super::pool::Open as _;
use super::{Engine, EngineKind, Error, Result, Session};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version";

pub(super) const STATEMENTS: &[&str] = &[APPLIED];

/// How the database's schema compares with the one that this program was built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// It is the same.
    Current,
    /// It is that with the steps of a newer program, which leave in place what this one needs.
    Newer,
    /// It is another one.
    Other,
}

pub(super) async fn compare(session: &mut Session) -> Result<Schema> {
    let own: Vec<_> = match session.kind() {
        EngineKind::Sqlite => &SQLITE,
        EngineKind::Postgres => &POSTGRES,
    }
    .iter()
    .map(|step| (step.version, step.checksum.to_vec()))
    .collect();
    let applied: Vec<(i64, Vec<u8>)> = session.all(APPLIED, vec![]).await?;
    Ok(match applied.strip_prefix(own.as_slice()) {
        Some([]) => Schema::Current,
        Some(_) => Schema::Newer,
        None => Schema::Other,
    })
}

/// Brings the schema up to date. One that is newer than this program is refused: who starts now is to be the newer program.
pub(super) async fn migrate(engine: &Engine) -> Result<()> {
    match apply(engine).await {
        Err(Error::Schema(MigrateError::VersionMissing(step))) => Err(Error::Newer { step }),
        other => other,
    }
}

async fn apply(engine: &Engine) -> Result<()> {
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
        Engine::Postgres { direct: Some(servers), .. } => {
            let mut link = servers.open().await?;
            POSTGRES.run(&mut link.connection).await?;
            servers.close(link).await;
            Ok(())
        }
        Engine::Postgres { pool, direct: None } => {
            let mut loan = pool.acquire().await?;
            Ok(POSTGRES.run(&mut loan.connection).await?)
        }
    }
}
