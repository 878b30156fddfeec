//! PostgreSQL as one runs it: clusters that are stopped, started and replaced, and a pooler before them.

use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Command, Stdio};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

use super::ports::free_port;
use crate::peers::{Killed, wait_for};

/// A cluster of the test's own; it goes with it.
pub struct Cluster {
    dir: TempDir,
    /// Where it listens.
    address: Ipv4Addr,
    /// At which port.
    pub port: u16,
}

impl Cluster {
    /// A new one on loopback.
    pub fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST)
    }

    /// A new one that listens at this address of the machine.
    pub fn start_at(address: Ipv4Addr) -> Self {
        let cluster = Self { dir: tempfile::tempdir().unwrap(), address, port: free_port() };
        cluster.start_again();
        cluster
    }

    /// Its synchronous standby.
    pub fn standby(&self) -> Self {
        let standby = Self { dir: tempfile::tempdir().unwrap(), address: self.address, port: free_port() };
        standby.command("standby", &[&standby.port.to_string(), self.place(), &self.port.to_string()]);
        standby
    }

    /// Starts it where it was stopped.
    pub fn start_again(&self) {
        self.command("start", &[&self.port.to_string(), &self.address.to_string()]);
    }

    /// Ends it as a crash does: nobody is told, and nothing is written.
    pub fn crash(&self) {
        self.command("stop", &[]);
    }

    /// Lets none of its processes do anything any more, as where a machine has lost its power: connections stay, and
    /// nobody answers.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    fn signal(&self, signal: &str) {
        let Ok(noted) = std::fs::read_to_string(self.dir.path().join("data/postmaster.pid")) else { return };
        let postmaster = noted.lines().next().unwrap();
        let script = "kill -$0 $1 $(pgrep -P $1)";
        let _ = Command::new("sh").args(["-c", script, signal, postmaster]).stderr(Stdio::null()).status();
    }

    /// Makes a standby the primary.
    pub fn promote(&self) {
        self.command("promote", &[]);
    }

    /// A new database.
    pub async fn create(&self, name: &str) {
        let mut admin = PgConnection::connect(&self.url("postgres")).await.unwrap();
        admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    }

    /// The address of a database.
    pub fn url(&self, name: &str) -> String {
        format!("postgres://postgres@{}:{}/{name}", self.address, self.port)
    }

    fn place(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    fn command(&self, verb: &str, more: &[&str]) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres");
        let done = Command::new(script).args([verb, self.place()]).args(more).stdout(Stdio::null()).status().unwrap();
        assert!(done.success(), "scripts/postgres {verb}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.signal("CONT");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres");
        let _ = Command::new(script).args(["stop", self.place()]).stderr(Stdio::null()).status();
    }
}

/// PgBouncer in transaction mode.
pub struct Pooler {
    /// Where it listens on loopback.
    pub port: u16,
    _process: Killed,
    _dir: TempDir,
}

impl Pooler {
    /// Starts one before the server at a port; to each database it has so few connections.
    pub async fn start(server: u16, connections: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let ini = format!(
            "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {connections}\nserver_login_retry = 1\n"
        );
        let file = dir.path().join("pgbouncer.ini");
        std::fs::write(&file, ini).unwrap();
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let process = Killed(spawn(&file));
        wait_for(port).await;
        Self { port, _process: process, _dir: dir }
    }
}

fn spawn(ini: &std::path::Path) -> Child {
    let mut pooler = Command::new("/usr/sbin/pgbouncer");
    // It does not run as root.
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        pooler.args(["-u", "nobody"]);
    }
    pooler.arg("-q").arg(ini).stderr(Stdio::null()).spawn().expect("pgbouncer is installed by scripts/setup")
}
