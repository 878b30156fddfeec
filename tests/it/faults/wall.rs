//! The wall clock of a machine is set while the finished program runs there: processes whose wall clock is faked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use colloquy::clock::Clock;
use colloquy::demo::catcher::Catcher;
use colloquy::domain::run::RunState;
use colloquy::domain::time::Micros;
use colloquy::store::runs::{self, Run};
use colloquy::store::{EngineKind, Store, versions};
use tokio::process::Command;

use super::account;
use super::sink::sink;
use crate::hours::HEAD;
use crate::project::{Project, Settings};
use crate::service::get;
use crate::support::ports::free_address;
use crate::support::process::Process;
use crate::support::{Database, database};

const PEOPLE: usize = 3;
const DAY: f64 = 86_400.0;

/// What is due, and until when it may begin, against the present.
const DUE: [(&str, i64); 3] = [("past", -600), ("soon", 6), ("later", 2 * 3_600)];

/// A machine on which the wall clock shows another time; what it counts is right.
struct Machine {
    project: Project,
    console: SocketAddr,
    wall: PathBuf,
}

impl Machine {
    /// One that is off, with campaigns of which one was due ten minutes ago, one soon is, and one in two hours. Each may
    /// begin up to an hour late.
    async fn set_up(db: Database, catcher: Catcher, off: &str) -> Self {
        let project = Project::before(db, Settings::default(), catcher).await;
        project.import(PEOPLE).await;
        let now = Clock::system().now();
        for (name, seconds) in DUE {
            let at = Micros(now.0 + seconds * 1_000_000);
            let lines = format!("{HEAD}[schedule]\nat = {at}\nlatest_start = \"1h\"\n");
            std::fs::write(project.db.dir.path().join(format!("config/campaigns/{name}.toml")), lines).unwrap();
        }
        let console = free_address();
        project.listen(free_address(), console);
        let wall = project.db.dir.path().join("wall");
        let machine = Self { project, console, wall };
        machine.show(off);
        assert!(machine.command(&["apply"]).status().await.unwrap().success());
        machine
    }

    /// Sets the wall clock, also of what runs there.
    fn show(&self, off: &str) {
        let next = self.wall.with_extension("next");
        std::fs::write(&next, off).unwrap();
        std::fs::rename(next, &self.wall).unwrap();
    }

    /// `colloquy WORDS` on this machine.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_colloquy"));
        command.arg("-C").arg(self.project.db.dir.path()).args(words).env("RUST_LOG", "warn");
        command.env("LD_PRELOAD", library()).env("FAKETIME_TIMESTAMP_FILE", &self.wall);
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command
    }

    fn store(&self) -> &Store {
        &self.project.db.store
    }

    /// Waits until the service has seen that the database's clock is about so far ahead of the machine's.
    async fn is_ahead(&self, seconds: f64) {
        loop {
            let metrics = get(self.console, "/metrics").await;
            let line = metrics.lines().find_map(|line| line.strip_prefix("colloquy_database_clock_ahead_seconds "));
            if line.is_some_and(|ahead| (ahead.parse::<f64>().unwrap() - seconds).abs() < 60.0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the campaign's run is as it should be.
    async fn until(&self, campaign: &str, is: RunState) {
        while self.run(campaign).await.is_none_or(|run| run.state != is) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn run(&self, campaign: &str) -> Option<Run> {
        let mut all = runs::recent(&mut self.store().read().await.unwrap(), Some(campaign)).await.unwrap();
        assert!(all.len() < 2, "twice: {all:?}");
        all.pop()
    }
}

/// The library that shows processes another time.
fn library() -> String {
    let places = ["x86_64-linux-gnu", "aarch64-linux-gnu"];
    let mut files = places.iter().map(|place| format!("/usr/lib/{place}/faketime/libfaketime.so.1"));
    files.find(|file| Path::new(file).exists()).expect("libfaketime is there; run the tests with `make test`")
}

#[tokio::test]
async fn nodes_on_machines_a_day_off_do_everything_at_its_time_by_the_databases_clock() {
    for (first, then, ahead) in [("+1d", "-1d", -DAY), ("-1d", "+1d", DAY)] {
        let db = database(EngineKind::Postgres).await;
        let (catcher, journal) = sink(db.dir.path(), "wall");
        let machine = Machine::set_up(db, catcher, first).await;
        let (_, applied) = versions::applied(&mut machine.store().read().await.unwrap()).await.unwrap().unwrap();
        let off = applied.seconds_since(Clock::system().now());
        assert!(off.abs() < 600.0, "commands go by the database's clock, too: {off}");
        let service = Process::of(&mut machine.command(&["run", "--role", "sender,console"]));
        machine.until("past", RunState::Done).await;
        machine.is_ahead(ahead).await;
        machine.until("soon", RunState::Done).await;
        machine.show(then);
        machine.is_ahead(-ahead).await;
        // A round of the scheduler, and what would follow from it.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(machine.run("later").await.is_none(), "it is due in two hours");
        assert_eq!(journal.taken(), 2 * PEOPLE);
        account::standing(&machine.project, &journal).await;
        assert!(service.stop().await);
    }
}

#[tokio::test]
async fn an_embedded_node_sends_what_expired_by_a_clock_a_day_ahead_once_that_is_right() {
    let db = database(EngineKind::Sqlite).await;
    let (catcher, journal) = sink(db.dir.path(), "wall");
    let machine = Machine::set_up(db, catcher, "+1d").await;
    let service = Process::of(&mut machine.command(&["run", "--role", "sender"]));
    for (campaign, _) in DUE {
        machine.until(campaign, RunState::Expired).await;
    }
    machine.show("+0");
    for campaign in ["past", "soon"] {
        machine.until(campaign, RunState::Done).await;
    }
    assert_eq!(machine.run("later").await.unwrap().state, RunState::Expired, "its time has not come");
    assert_eq!(journal.taken(), 2 * PEOPLE);
    account::standing(&machine.project, &journal).await;
    assert!(service.stop().await);
}
