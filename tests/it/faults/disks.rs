//! Disks that are full or fail: under the database, its write-ahead log, the spool, the logs.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::token::{Keyring, Purpose, Token};
use colloquy::store::spool::Spool;
use colloquy::store::{EngineKind, Store};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::account;
use super::form::Row;
use super::kills::until_done;
use super::sink::{Journal, sink};
use crate::hours::apply;
use crate::http::get_from;
use crate::project::{Project, Settings};
use crate::score::support::rows;
use crate::support::ports::free_address;
use crate::support::process::Process;
use crate::support::{Database, database};

const PEOPLE: usize = 2_500;
const CONNECTIONS: usize = 4;
const ROLES: &str = "sender,tracker,console";

/// A project whose database and spool are on `disk`, with a run that is under way.
struct Stage {
    project: Project,
    journal: Journal,
    run: RunId,
    web: SocketAddr,
    console: SocketAddr,
    keys: Keyring,
    row: Row,
}

impl Stage {
    async fn set(db: Database, fault: &str) -> Self {
        let row = Row::begin(fault, EngineKind::Sqlite);
        let (catcher, journal) = sink(db.dir.path(), "disks");
        let settings = Settings { relay: "connections = 4\nrate = \"500/s\"", ..Settings::default() };
        let project = Project::before(db, settings, catcher).await;
        let (web, console) = (free_address(), free_address());
        project.listen(web, console);
        project.import(PEOPLE).await;
        let app = project.app();
        apply(&app, &project.db.store, app.clock.now()).await;
        let run = app.begin(&project.db.store, app.campaign("hello").unwrap(), true).await.unwrap().id;
        let keys = app.secrets().unwrap().keyring();
        // So that the write-ahead log is empty.
        project.db.store.scrub().await.unwrap();
        Self { project, journal, run, web, console, keys, row }
    }

    fn directory(&self) -> &Path {
        self.project.db.dir.path()
    }

    /// Clicks until nothing is answered as kept any more, while nothing more is sent; the numbers of the links that were.
    async fn until_nothing_goes(&self) -> HashSet<usize> {
        let (mut answered, mut refused, mut before, mut still) = (HashSet::new(), 0, 0, 0);
        let mut number = 0;
        while TcpStream::connect(self.web).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Either file may be the first that fails.
        while refused < 20 || still < 100 || !self.database_fails().await {
            number += 1;
            let url = target(number);
            let purpose = Purpose::Click { link: 1, item: 0, category: "running".into(), url };
            let token = Token { run: self.run, recipient: RecipientId(1), purpose };
            let answer = get_from(&format!("http://{}/c/{}", self.web, self.keys.sign(&token)), &[]).await;
            if answer.status == 302 {
                answered.insert(number);
            } else {
                assert_eq!(answer.status, 503, "it cannot be kept, and is not answered as if it were: {answer:?}");
                refused += 1;
            }
            let taken = self.journal.taken();
            still = if taken == before { still + 1 } else { 0 };
            before = taken;
            assert!(taken < PEOPLE, "all was sent before the disk was full");
            assert!(number < 20_000, "the database never failed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        answered
    }

    async fn database_fails(&self) -> bool {
        let ready = get_from(&format!("http://{}/readyz", self.console), &[]).await;
        let checks: serde_json::Value = serde_json::from_slice(&ready.body).unwrap();
        ready.status == 503 && checks["checks"]["database"] != "ok"
    }

    /// What must hold once there is room again, and the run is over.
    async fn recovers(mut self, service: Process, answered: &HashSet<usize>, unknown_at_most: usize) {
        until_done(&self.project.db.store, self.run).await;
        assert!(service.stop().await, "it ended badly");
        let account = account::settled(&self.project, &self.journal, self.run).await;
        assert_eq!((account.messages, account.open), (PEOPLE, 0), "{account:?}");
        assert!(account.unknown <= unknown_at_most, "{} unknown", account.unknown);
        let spool = Spool::open(&self.directory().join("spool.db")).await.unwrap();
        let spooled = spool.batch(1_000_000).await.unwrap().into_iter().map(|spooled| spooled.hit.url);
        let stored: Vec<(String,)> = rows(&self.project.db.store, "SELECT url FROM hits").await;
        let kept: HashSet<String> = spooled.chain(stored.into_iter().map(|(url,)| url)).collect();
        let lost: Vec<_> = answered.iter().filter(|number| !kept.contains(&target(**number))).collect();
        assert!(lost.is_empty(), "answered and lost: {lost:?}");
        (self.row.times, self.row.messages, self.row.unknown) = (1, account.messages, account.unknown);
    }
}

fn target(number: usize) -> String {
    format!("https://shop.example/{number}")
}

/// Runs the service so that no file may grow much beyond what the database has now: write-ahead log and spool fail one
/// after the other.
fn start_limited(directory: &Path) -> Process {
    let most = std::fs::metadata(directory.join("colloquy.db")).unwrap().len() + 500_000;
    let program = env!("CARGO_BIN_EXE_colloquy");
    // A write beyond the limit fails, and does not end the process.
    let limited = format!("trap '' XFSZ; exec prlimit --fsize={most}:unlimited \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &limited, "sh", program, "-C"]).arg(directory).args(["run", "--role", ROLES]);
    Process::of(&mut command)
}

async fn lift(process: &Process) {
    let id = process.id();
    let lifted = Command::new("prlimit").args(["--pid", &id, "--fsize=unlimited"]).status().await.unwrap();
    assert!(lifted.success());
}

#[tokio::test]
async fn a_service_whose_writes_fail_sends_nothing_unmarked_and_recovers_by_itself() {
    let stage = Stage::set(database(EngineKind::Sqlite).await, "writes to database and spool fail").await;
    let service = start_limited(stage.directory());
    let answered = stage.until_nothing_goes().await;
    account::standing(&stage.project, &stage.journal).await;
    lift(&service).await;
    stage.recovers(service, &answered, 0).await;
}

#[tokio::test]
async fn a_service_that_is_killed_while_its_writes_fail_loses_nothing() {
    let stage = Stage::set(database(EngineKind::Sqlite).await, "killed while writes fail").await;
    let service = start_limited(stage.directory());
    let answered = stage.until_nothing_goes().await;
    service.kill().await;
    account::standing(&stage.project, &stage.journal).await;
    let service = Process::start(stage.directory(), &["run", "--role", ROLES]);
    stage.recovers(service, &answered, CONNECTIONS).await;
}

#[tokio::test]
async fn a_service_whose_logs_cannot_be_written_goes_on() {
    let stage = Stage::set(database(EngineKind::Sqlite).await, "logs cannot be written").await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_colloquy"));
    let full = || File::options().write(true).open("/dev/full").unwrap();
    command.arg("-C").arg(stage.directory()).args(["run", "--role", ROLES]).env("RUST_LOG", "debug");
    let service = Process::with(command.stdout(full()).stderr(full()));
    let click = Purpose::Click { link: 1, item: 0, category: "running".into(), url: target(1) };
    let click = stage.keys.sign(&Token { run: stage.run, recipient: RecipientId(1), purpose: click });
    until_done(&stage.project.db.store, stage.run).await;
    assert_eq!(get_from(&format!("http://{}/c/{click}", stage.web), &[]).await.status, 302);
    stage.recovers(service, &HashSet::from([1]), 0).await;
}

/// A small file system of its own, gone with its value.
struct Disk(PathBuf);

impl Disk {
    async fn mount(at: &Path, size: &str) -> Self {
        std::fs::create_dir(at).unwrap();
        let size = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status().await.unwrap();
        assert!(mounted.success(), "only root may mount a disk that gets full");
        Self(at.to_owned())
    }

    /// Leaves no room for anything.
    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        while file.write_all(&[0; 4_096]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
#[ignore = "only root may mount a disk that gets full; scripts/faults runs it"]
async fn a_service_on_a_full_disk_sends_nothing_unmarked_and_recovers_by_itself() {
    let mut db = database(EngineKind::Sqlite).await;
    let directory = db.dir.path().to_owned();
    // The write-ahead log alone may grow to 64 MB before it is written back: it would take what room is made.
    let disk = Disk::mount(&directory.join("disk"), "96m").await;
    db.url = "sqlite:disk/colloquy.db".to_owned();
    db.store = Store::open(&db.url, &directory).await.unwrap();
    std::os::unix::fs::symlink(directory.join("disk/spool.db"), directory.join("spool.db")).unwrap();
    let stage = Stage::set(db, "disk full under database and spool").await;
    let service = Process::start(stage.directory(), &["run", "--role", ROLES]);
    while stage.journal.taken() < PEOPLE / 5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    disk.fill();
    let answered = stage.until_nothing_goes().await;
    account::standing(&stage.project, &stage.journal).await;
    disk.make_room();
    stage.recovers(service, &answered, 0).await;
}
