//! `kill -9` of the processes at random instants: two senders, tracker with pages, scorer.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use colloquy::app::App;
use colloquy::args;
use colloquy::clock::Clock;
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::run::RunState;
use colloquy::domain::time::Micros;
use colloquy::domain::token::{Keyring, Purpose, Token};
use colloquy::score::{self, Mode, Scorer};
use colloquy::store::actions::{self, NewAction};
use colloquy::store::runs::{self, Run};
use colloquy::store::spool::Spool;
use colloquy::store::{EngineKind, Store, subscriptions};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::account;
use super::form::{Row, seeds};
use super::sink::{Journal, sink};
use crate::hours::apply;
use crate::project::{Project, Settings};
use crate::support::process::Process;
use crate::support::{Database, on_both_engines};

const PEOPLE: usize = 2_000;
const CONNECTIONS: usize = 4;
const RELAY: &str = "connections = 4\nrate = \"200/s\"";
const KILLS: usize = 10;

/// Of one wave each, the last with the zone of the sender.
const ZONES: [&str; 5] = ["Europe/Berlin", "Asia/Kolkata", "Asia/Tokyo", "America/New_York", "Nowhere"];
/// Hours that are always open, and by the clocks of each recipient: so every zone is a wave, and all may leave at once.
const WAVES: &str = "topic = \"news\"\nsubject = \"Hello\"\ntemplate = \"hello.hbs\"\n\
    [schedule]\ntimezone = \"recipient\"\nblackout = [\"2020-02-29\"]\n";

/// The processes, in the order of `Stage::processes`.
const ROLES: [&str; 4] = ["sender", "sender", "tracker,pages", "scorer"];

on_both_engines! {
    async fn killed_processes_repeat_nothing_and_lose_nothing(db) {
        let stage = Stage::set(db).await;
        let mut row = Row::begin("kill -9 of sender, tracker with pages, scorer", stage.project.db.store.kind());
        for seed in seeds(1, 10) {
            // By each engine the other campaign first.
            let waves = (seed % 2 == 1) == (stage.project.db.store.kind() == EngineKind::Sqlite);
            println!("seed {seed}");
            stage.play(seed, if waves { "waves" } else { "hello" }, &mut row).await;
        }
    }
}

struct Stage {
    project: Project,
    journal: Journal,
    keys: Arc<Keyring>,
    web: SocketAddr,
}

/// What the tracker and the pages have answered.
#[derive(Default)]
struct Answered {
    /// The numbers of the links.
    clicks: HashSet<usize>,
    left: HashSet<RecipientId>,
}

impl Stage {
    async fn set(db: Database) -> Self {
        let (catcher, journal) = sink(db.dir.path(), "kills");
        let project = Project::before(db, Settings { relay: RELAY, ..Settings::default() }, catcher).await;
        let directory = project.db.dir.path();
        std::fs::write(directory.join("config/campaigns/waves.toml"), WAVES).unwrap();
        let web = free_port().await;
        project.listen(web, web);
        project.import(PEOPLE).await;
        spread(&project).await;
        let app = project.app();
        apply(&app, &project.db.store, app.clock.now()).await;
        let keys = Arc::new(app.secrets().unwrap().keyring());
        Self { project, journal, keys, web }
    }

    fn directory(&self) -> &Path {
        self.project.db.dir.path()
    }

    /// One run, in which processes are killed.
    async fn play(&self, seed: u64, campaign: &str, row: &mut Row) {
        let mut random = StdRng::seed_from_u64(seed);
        let store = &self.project.db.store;
        let app = self.project.app();
        let run = app.begin(store, app.campaign(campaign).unwrap(), true).await.unwrap();
        let mut processes: Vec<_> = ROLES.iter().map(|role| self.start(role)).collect();
        let over = CancellationToken::new();
        let answered = Arc::new(Mutex::new(Answered::default()));
        let reading = tokio::spawn(read(self.reader(run.id, seed), Arc::clone(&answered), over.clone()));
        let mut unknown_at_most = 0;
        for _ in 0..KILLS {
            act(store, &mut random).await;
            tokio::time::sleep(Duration::from_millis(random.random_range(20..900))).await;
            // Mostly a sender.
            let victim = [0, 1, 0, 1, 2, 3][random.random_range(0..6)];
            std::mem::replace(&mut processes[victim], self.start(ROLES[victim])).kill().await;
            row.times += 1;
            if ROLES[victim] == "sender" {
                unknown_at_most += CONNECTIONS;
            }
            account::standing(&self.project, &self.journal).await;
        }
        over.cancel();
        reading.await.unwrap();
        until_done(store, run.id).await;
        for process in processes {
            assert!(process.stop().await, "it ended badly");
        }
        let account = account::settled(&self.project, &self.journal, run.id).await;
        assert_eq!(account.open, 0, "{account:?}");
        assert!(account.unknown <= unknown_at_most, "{} unknown, of {unknown_at_most} at most", account.unknown);
        row.messages += account.messages;
        row.unknown += account.unknown;
        if campaign == "waves" {
            self.every_wave_was_sent(run.id, account.messages).await;
        }
        let answered = Arc::into_inner(answered).unwrap().into_inner().unwrap();
        self.hits_are_there(&answered, seed).await;
        self.decisions_are_there(&answered).await;
        scores_are_right(store, &app).await;
    }
}

impl Stage {
    fn start(&self, role: &str) -> Process {
        Process::start(self.directory(), &["run", "--role", role])
    }

    fn reader(&self, run: RunId, seed: u64) -> Reader {
        Reader { web: self.web, keys: Arc::clone(&self.keys), run, seed }
    }

    async fn every_wave_was_sent(&self, run: RunId, messages: usize) {
        let sql = "SELECT COUNT(DISTINCT wave), COUNT(*) FROM messages WHERE run_id = $1 AND wave > 0";
        let found: (i64, i64) = self.project.db.store.read().await.unwrap().one(sql, args![run]).await.unwrap();
        assert_eq!(found, (ZONES.len() as i64, messages as i64));
    }

    /// Every hit that was answered is in the spool or in the database, and none is in the database twice.
    async fn hits_are_there(&self, answered: &Answered, seed: u64) {
        let spool = Spool::open(&self.directory().join("spool.db")).await.unwrap();
        let mut urls: Vec<String> =
            spool.batch(1_000_000).await.unwrap().into_iter().map(|spooled| spooled.hit.url).collect();
        spool.close().await;
        let mut session = self.project.db.store.read().await.unwrap();
        let stored: Vec<(String, i64)> =
            session.all("SELECT url, COUNT(*) FROM hits GROUP BY url", args![]).await.unwrap();
        let twice: Vec<_> = stored.iter().filter(|(_, times)| *times > 1).collect();
        assert!(twice.is_empty(), "forwarded twice: {twice:?}");
        urls.extend(stored.into_iter().map(|(url, _)| url));
        let kept: HashSet<_> = urls.into_iter().collect();
        let lost: Vec<_> = answered.clicks.iter().filter(|number| !kept.contains(&target(seed, **number))).collect();
        assert!(lost.is_empty(), "answered, and neither in the spool nor in the database: {lost:?}");
        assert!(!answered.clicks.is_empty(), "no hit was answered");
    }

    async fn decisions_are_there(&self, answered: &Answered) {
        let mut session = self.project.db.store.read().await.unwrap();
        for who in &answered.left {
            let topics = subscriptions::of(&mut session, *who).await.unwrap();
            assert!(topics.iter().all(|topic| !topic.subscribed), "{who} left, was told so, and is still subscribed");
        }
    }
}

/// Somebody who clicks, and leaves now and then.
struct Reader {
    web: SocketAddr,
    keys: Arc<Keyring>,
    run: RunId,
    seed: u64,
}

fn target(seed: u64, number: usize) -> String {
    format!("https://shop.example/{seed}/{number}")
}

async fn read(reader: Reader, answered: Arc<Mutex<Answered>>, over: CancellationToken) {
    let mut random = StdRng::seed_from_u64(reader.seed);
    for number in 0.. {
        if over.is_cancelled() {
            return;
        }
        let recipient = RecipientId(random.random_range(1..=PEOPLE as i64));
        let sign = |purpose| reader.keys.sign(&Token { run: reader.run, recipient, purpose });
        if number % 50 == 0 {
            let leave = format!("POST /u/{}", sign(Purpose::Unsubscribe));
            if reader.ask(&leave).await.is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                answered.lock().unwrap().left.insert(recipient);
            }
        }
        let url = target(reader.seed, number);
        let click = Purpose::Click { link: 1, item: 0, category: "running".into(), url };
        if reader.ask(&format!("GET /c/{}", sign(click))).await.is_some_and(|answer| answer.starts_with("HTTP/1.1 302"))
        {
            answered.lock().unwrap().clicks.insert(number);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Reader {
    /// What is answered, if anything is.
    async fn ask(&self, line: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.web).await.ok()?;
        let body = "List-Unsubscribe=One-Click";
        let head = format!(
            "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0)\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n"
        );
        let rest = if line.starts_with("POST") {
            format!("Content-Length: {}\r\n\r\n{body}", body.len())
        } else {
            "\r\n".to_owned()
        };
        stream.write_all(format!("{head}{rest}").as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        String::from_utf8(answer).ok()
    }
}

/// A port on loopback that is free, and not one of those that the kernel gives to whoever connects.
pub async fn free_port() -> SocketAddr {
    let mut random = colloquy::clock::random();
    loop {
        let address = SocketAddr::from(([127, 0, 0, 1], random.random_range(10_000..30_000)));
        if tokio::net::TcpListener::bind(address).await.is_ok() {
            return address;
        }
    }
}

/// Gives everybody a zone.
async fn spread(project: &Project) {
    let mut tx = project.db.store.write().await.unwrap();
    let text = match tx.kind() {
        EngineKind::Sqlite => "$1",
        EngineKind::Postgres => "CAST($1 AS JSONB)",
    };
    for (n, zone) in ZONES.iter().enumerate() {
        let attributes = format!("{{\"first_name\":\"Anna\",\"timezone\":\"{zone}\"}}");
        let sql = format!("UPDATE recipients SET attributes = {text} WHERE id % {} = {n}", ZONES.len());
        tx.change((PEOPLE / ZONES.len()) as u64, sql, args![attributes]).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// Some people do something that scores.
async fn act(store: &Store, random: &mut StdRng) {
    let actions: Vec<_> = (0..100)
        .map(|_| NewAction {
            key: format!("i:{}", random.random::<u64>()),
            recipient: RecipientId(random.random_range(1..=PEOPLE as i64)),
            kind: "conversion".to_owned(),
            category: Some("running".to_owned()),
            at: Micros(1_764_547_200_000_000 + random.random_range(0..86_400_000_000)),
            run: None,
            url: None,
            words: None,
        })
        .collect();
    let mut session = store.write().await.unwrap();
    actions::insert(&mut session, &actions).await.unwrap();
    session.commit().await.unwrap();
}

pub async fn until_done(store: &Store, run: RunId) -> Run {
    loop {
        let found = runs::by_id(&mut store.read().await.unwrap(), run).await.unwrap().unwrap();
        if found.state == RunState::Done {
            return found;
        }
        assert_eq!(found.state, RunState::Running, "{:?}", found.reason);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Every action is scored once, and the sums are what the actions say.
async fn scores_are_right(store: &Store, app: &App) {
    let scorer = Scorer::new(store.clone(), Clock::system(), score::Options::from(&app.loaded.project));
    scorer.drain().await.unwrap();
    let sql = "SELECT COUNT(*) FROM actions WHERE kind = 'conversion'";
    let (actions,): (i64,) = store.read().await.unwrap().one(sql, args![]).await.unwrap();
    let sql = "SELECT COUNT(*) FROM score_entries e JOIN actions a ON a.id = e.action_id WHERE a.kind = 'conversion'";
    let (scored,): (i64,) = store.read().await.unwrap().one(sql, args![]).await.unwrap();
    assert_eq!(scored, actions, "an action was scored twice or not at all");
    assert_eq!(scorer.rebuild(Mode::Check, |_| {}).await.unwrap().differences, []);
}
