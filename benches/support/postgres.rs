//! A throw-away PostgreSQL.

use std::process::Command;

use tempfile::TempDir;

use super::{Usage, free_port, program};

/// A cluster of its own; it ends with this value.
pub struct Postgres {
    dir: TempDir,
    port: u16,
}

impl Postgres {
    /// Makes and starts one.
    pub fn start() -> Self {
        let postgres = Self { dir: tempfile::tempdir().unwrap(), port: free_port() };
        Usage::of(postgres.script("start").arg(postgres.port.to_string()));
        postgres
    }

    /// The address of a new database.
    pub fn database(&self, name: &str) -> String {
        let port = self.port.to_string();
        Usage::of(program("createdb").args(["-h", "127.0.0.1", "-U", "postgres", "-p", &port, name]));
        format!("postgres://postgres@127.0.0.1:{port}/{name}")
    }

    fn script(&self, what: &str) -> Command {
        let mut command = Command::new("scripts/postgres");
        command.current_dir(env!("CARGO_MANIFEST_DIR")).arg(what).arg(self.dir.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.script("stop").status();
    }
}
