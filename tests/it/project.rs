//! A small project on disk whose relay is a catcher on loopback.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use colloquy::app::App;
use colloquy::clock::Clock;
use colloquy::demo::catcher::{Act, Catcher, Caught, Step};
use colloquy::domain::message::MessageState;
use colloquy::metrics::Metrics;
use colloquy::people::import;
use colloquy::send::Ended;
use colloquy::store::runs::{self, Run};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::support::Database;

/// A project over a fresh database.
pub struct Project {
    /// The database and the project's directory.
    pub db: Database,
    /// What was caught, in order.
    pub caught: mpsc::Receiver<Caught>,
    _stop: tokio_util::sync::DropGuard,
}

/// Lines of `colloquy.toml` that tests change.
pub struct Settings<'a> {
    /// Further lines of the relay.
    pub relay: &'a str,
    /// Lines of `[limits]`.
    pub limits: &'a str,
    /// The campaign's file.
    pub campaign: &'a str,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self { relay: "connections = 4", limits: "", campaign: CAMPAIGN }
    }
}

const CAMPAIGN: &str = "topic = \"news\"\nsubject = \"Hello {{first_name}}\"\ntemplate = \"hello.hbs\"\n";

const TEMPLATE: &str = "<html><body><p>Hello {{first_name}}</p>\
    <a href=\"https://shop.example/run\" data-category=\"running\">Run</a>\
    <a href=\"{{unsubscribe_url}}\">Leave</a> {{sender.postal_address}}</body></html>";

impl Project {
    /// A project with a campaign `hello`; `script` stages what the relay does.
    pub async fn new(
        db: Database,
        settings: Settings<'_>,
        script: impl Fn(Step, &str) -> Option<Act> + Send + Sync + 'static,
    ) -> Self {
        Self::with_room(db, settings, 100_000, script).await
    }

    /// The same, whose relay has room for so many mails: before it answers the next, one must be
    /// taken from `caught`.
    pub async fn with_room(
        db: Database,
        settings: Settings<'_>,
        room: usize,
        script: impl Fn(Step, &str) -> Option<Act> + Send + Sync + 'static,
    ) -> Self {
        let (mails, caught) = mpsc::channel(room);
        Self { caught, ..Self::before(db, settings, Catcher::new(mails).with_script(script)).await }
    }

    /// The same before this catcher; `caught` stays empty.
    pub async fn before(db: Database, settings: Settings<'_>, catcher: Catcher) -> Self {
        Self::before_at(TcpListener::bind("127.0.0.1:0").await.unwrap(), db, settings, catcher).await
    }

    /// The same where the catcher is met there.
    pub async fn before_at(listener: TcpListener, db: Database, settings: Settings<'_>, catcher: Catcher) -> Self {
        let relay = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(catcher.run(listener, stop.clone()));
        write_project(db.dir.path(), &db.url, &format!("smtp://{relay}"), &settings);
        Self { db, caught: mpsc::channel(1).1, _stop: stop.drop_guard() }
    }

    /// The project as a command opens it.
    pub fn app(&self) -> App {
        App::open(self.db.dir.path(), Clock::system()).unwrap()
    }

    /// Lets processes answer recipients here, however often they ask, and operators there.
    pub fn listen(&self, web: SocketAddr, console: SocketAddr) {
        let file = self.db.dir.path().join("config/colloquy.toml");
        let config = std::fs::read_to_string(&file).unwrap();
        let listen = format!("listen = \"{web}\"\nper_network = \"100000/s\"");
        let config = config.replacen("listen = \"127.0.0.1:0\"", &listen, 1);
        std::fs::write(&file, config.replacen("127.0.0.1:0\"", &format!("{console}\""), 1)).unwrap();
    }

    /// Imports `a0@example.org` to `a{n-1}@example.org` as subscribers who may be tracked.
    pub async fn import(&self, people: usize) {
        self.import_addresses((0..people).map(|n| format!("a{n}@example.org"))).await;
    }

    /// Imports these as subscribers who may be tracked. Whoever sorts first gets the first number.
    pub async fn import_addresses(&self, addresses: impl Iterator<Item = String>) {
        self.import_by(&self.app(), addresses).await;
    }

    /// The same by the clock of this.
    pub async fn import_by(&self, app: &App, addresses: impl Iterator<Item = String>) {
        let mut csv = String::from("address,first_name\n");
        for (n, address) in addresses.enumerate() {
            let _ = writeln!(csv, "{address},Anna {n}");
        }
        let file = self.db.dir.path().join("people.csv");
        std::fs::write(&file, csv).unwrap();
        let (topic, source) = ("news".to_owned(), "test".to_owned());
        let options = import::Options { file, topic, source, tracking: true, dry_run: false };
        let key = app.secrets().unwrap().suppression_key();
        import::run(&self.db.store, &app.loaded.project, &key, &app.clock, &options, |_| {}).await.unwrap();
    }

    /// Begins or continues a run and sends it as `colloquy send` does.
    pub async fn send(&self) -> (Run, Ended) {
        self.send_until(CancellationToken::new()).await
    }

    /// The same, with the soft stop in hand.
    pub async fn send_until(&self, soft: CancellationToken) -> (Run, Ended) {
        let app = self.app();
        let run = app.begin(&self.db.store, app.campaign("hello").unwrap(), true).await.unwrap();
        let sender = app.sender(&self.db.store, Metrics::new(), soft).await.unwrap();
        let prepared = sender.prepare(&run).await.unwrap();
        let ended = sender.send(run.clone(), &prepared, false).await.unwrap();
        sender.finish().await;
        (run, ended)
    }

    /// How many messages of a run are in a state.
    pub async fn count(&self, run: &Run, state: MessageState) -> i64 {
        let states = runs::states(&mut self.db.store.read().await.unwrap(), run.id).await.unwrap();
        states.get(&state).copied().unwrap_or(0)
    }

    /// The recipients of what was caught so far.
    pub fn drain(&mut self) -> Vec<String> {
        let mut recipients = Vec::new();
        while let Ok(mail) = self.caught.try_recv() {
            recipients.extend(mail.recipients);
        }
        recipients.sort();
        recipients
    }
}

/// Writes a project's files.
pub fn write_project(dir: &Path, database: &str, relay: &str, settings: &Settings<'_>) {
    let written = colloquy::config::init(dir, &SystemRandom::new()).unwrap();
    for path in written.iter().filter(|p| p.starts_with("config/campaigns") || p.starts_with("templates")) {
        std::fs::remove_file(dir.join(path)).unwrap();
    }
    let Settings { relay: more, limits, campaign } = settings;
    let toml = format!(
        "[sender]\nfrom = \"Shop <news@shop.example>\"\npostal_address = \"Shop, Street 1\"\n\
         [database]\nurl = \"{database}\"\n\
         [web]\nbase_url = \"http://127.0.0.1:1\"\nlisten = \"127.0.0.1:0\"\n\
         [console]\nlisten = \"127.0.0.1:0\"\n\
         [[relay]]\nname = \"catcher\"\nurl = \"{relay}\"\n{more}\n\
         [topics.news]\ntitle = \"News\"\n[categories]\nrunning = \"Running\"\n[limits]\n{limits}\n"
    );
    std::fs::write(dir.join("config/colloquy.toml"), toml).unwrap();
    std::fs::write(dir.join("config/campaigns/hello.toml"), campaign).unwrap();
    std::fs::write(dir.join("templates/hello.hbs"), TEMPLATE).unwrap();
}

/// Shares a value with a script.
pub fn shared<T>(value: T) -> (Arc<T>, Arc<T>) {
    let shared = Arc::new(value);
    (Arc::clone(&shared), shared)
}
