//! A whole service in processes of its own: two senders, tracker with pages, scorer, and people who use it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use colloquy::args;
use colloquy::clock::Clock;
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::time::Micros;
use colloquy::domain::token::Keyring;
use colloquy::score::{self, Mode, Scorer};
use colloquy::store::actions::{self, NewAction};
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::net::TcpStream;

use super::account::{self, Account};
use super::form::Row;
use super::kills::until_done;
use super::readers::{Answered, Readers};
use super::sink::{Journal, sink};
use crate::hours::apply;
use crate::project::{Project, Settings};
use crate::support::Database;
use crate::support::ports::free_address;
use crate::support::process::Process;

pub const PEOPLE: usize = 2_000;
pub const CONNECTIONS: usize = 4;
const RELAY: &str = "connections = 4\nrate = \"200/s\"";

/// The processes by their roles.
pub const ROLES: [&str; 4] = ["sender", "sender", "tracker,pages", "scorer"];

pub struct Service {
    pub project: Project,
    pub journal: Journal,
    keys: Arc<Keyring>,
    web: SocketAddr,
}

impl Service {
    /// Of a campaign `hello`, and of others with these names and files.
    pub async fn of(db: Database, more: &[(&str, &str)]) -> Self {
        let (catcher, journal) = sink(db.dir.path(), "service");
        let project = Project::before(db, Settings { relay: RELAY, ..Settings::default() }, catcher).await;
        Self::over(project, journal, free_address(), more).await
    }

    /// The same over this project, answering readers there.
    pub async fn over(project: Project, journal: Journal, web: SocketAddr, more: &[(&str, &str)]) -> Self {
        for (name, file) in more {
            std::fs::write(project.db.dir.path().join(format!("config/campaigns/{name}.toml")), file).unwrap();
        }
        project.listen(web, web);
        project.import(PEOPLE).await;
        let app = project.app();
        apply(&app, &project.db.store, app.clock.now()).await;
        let keys = Arc::new(app.secrets().unwrap().keyring());
        Self { project, journal, keys, web }
    }

    pub fn directory(&self) -> &Path {
        self.project.db.dir.path()
    }

    pub fn start(&self, role: &str) -> Process {
        Process::start(self.directory(), &["run", "--role", role])
    }

    pub async fn begin(&self, campaign: &str) -> RunId {
        let app = self.project.app();
        app.begin(&self.project.db.store, app.campaign(campaign).unwrap(), true).await.unwrap().id
    }

    pub fn readers(&self, run: RunId, seed: u64) -> Readers {
        Readers { web: self.web, keys: Arc::clone(&self.keys), run, seed, people: PEOPLE }
    }

    /// Returns once readers are answered.
    pub async fn answers(&self) {
        while TcpStream::connect(self.web).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Some people do something that scores.
    pub async fn act(&self, random: &mut StdRng) {
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
        let mut session = self.project.db.store.write().await.unwrap();
        actions::insert(&mut session, &actions).await.unwrap();
        session.commit().await.unwrap();
    }

    /// What must hold once the run is over and the processes have stopped.
    pub async fn settles(
        &self,
        run: RunId,
        processes: Vec<Process>,
        (answered, seed): (&Answered, u64),
        row: &mut Row,
    ) -> Account {
        until_done(&self.project.db.store, run).await;
        for process in processes {
            assert!(process.stop().await, "it ended badly");
        }
        let account = account::settled(&self.project, &self.journal, run).await;
        assert_eq!(account.open, 0, "{account:?}");
        row.messages += account.messages;
        row.unknown += account.unknown;
        answered.is_kept(&self.project, seed).await;
        self.scores_are_right().await;
        account
    }

    /// Every action is scored once, and the sums are what the actions say.
    async fn scores_are_right(&self) {
        let (app, store) = (self.project.app(), &self.project.db.store);
        let scorer = Scorer::new(store.clone(), Clock::system(), score::Options::from(&app.loaded.project));
        scorer.drain().await.unwrap();
        let sql = "SELECT COUNT(*) FROM actions WHERE kind = 'conversion'";
        let (actions,): (i64,) = store.read().await.unwrap().one(sql, args![]).await.unwrap();
        let sql =
            "SELECT COUNT(*) FROM score_entries e JOIN actions a ON a.id = e.action_id WHERE a.kind = 'conversion'";
        let (scored,): (i64,) = store.read().await.unwrap().one(sql, args![]).await.unwrap();
        assert_eq!(scored, actions, "an action was scored twice or not at all");
        assert_eq!(scorer.rebuild(Mode::Check, |_| {}).await.unwrap().differences, []);
    }
}
