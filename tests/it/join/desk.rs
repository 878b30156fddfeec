//! A project that can be joined, its listener, and somebody who fills the form in.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use colloquy::app::App;
use colloquy::args;
use colloquy::clock::Clock;
use colloquy::config::secrets::{self, Secrets};
use colloquy::domain::consent::{self, Entry};
use colloquy::domain::id::RecipientId;
use colloquy::domain::time::Micros;
use colloquy::domain::token::Keyring;
use colloquy::pages::Options;
use colloquy::pages::join::{Desk, Joining};
use colloquy::store::consents::{self, StoredConsent};
use colloquy::store::{Store, recipients, subscriptions};
use colloquy::web::{Limits, Proxies};
use regex::Regex;
use secrecy::ExposeSecret as _;

use crate::http::{Reply, Server};
use crate::project::{Settings, write_project};
use crate::support::Database;

pub const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
pub const ENGLISH: (&str, &str) = ("Accept-Language", "en");
const JOIN: &str = "\n[topics.events]\ntitle = \"Events <&>\"\n[join]\ntopics = [\"news\", \"events\"]\n\
    attributes = [\"first_name\"]\nask_tracking = true\nper_network = \"60/h\"\nchallenge_above = \"300/m\"\n";

pub struct Site {
    pub server: Server,
    pub clock: Clock,
    pub store: Store,
    pub keys: Arc<Keyring>,
    pub app: App,
    pub api_key: String,
    db: Database,
}

impl Site {
    pub async fn open(db: Database) -> Self {
        Self::with(db, JOIN).await
    }

    /// A project with these lines at the end of its file.
    pub async fn with(db: Database, join: &str) -> Self {
        write_project(db.dir.path(), &db.url, "file:outbox", &Settings::default());
        let file = db.dir.path().join("config/colloquy.toml");
        std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + join).unwrap();
        let (key, line) = secrets::new_api_key("shop", &SystemRandom::new()).unwrap();
        let file = db.dir.path().join("config/secrets.toml");
        let text = std::fs::read_to_string(&file).unwrap() + &line;
        std::fs::write(&file, text).unwrap();
        let clock = Clock::stepped(Micros(1_800_000_000_000_000));
        let app = App::open(db.dir.path(), clock.clone()).unwrap();
        let keys = Arc::new(app.secrets().unwrap().keyring());
        let server = serve(&app, &db, &clock).await;
        let api_key = key.expose_secret().to_owned();
        Self { server, clock, store: db.store.clone(), keys, app, api_key, db }
    }

    /// Lets a changed project govern.
    pub async fn change(&mut self, from: &str, to: &str) {
        let file = self.db.dir.path().join("config/colloquy.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&file, text.replace(from, to)).unwrap();
        self.app = App::open(self.db.dir.path(), self.clock.clone()).unwrap();
        self.server = serve(&self.app, &self.db, &self.clock).await;
    }

    pub fn pass(&self, time: Duration) {
        self.clock.set(self.clock.now().plus(time));
    }

    /// The form, after the time that a person takes to fill it in.
    pub async fn stamp(&self) -> String {
        let page = self.server.request("GET", "/join", &[ENGLISH], b"").await;
        assert_eq!(page.status, 200);
        self.pass(Duration::from_secs(5));
        stamp_in(&page.text())
    }

    /// Fills the form in as a person does.
    pub async fn join(&self, fields: &[(&str, &str)]) -> Reply {
        let stamp = self.stamp().await;
        let mut all = vec![("stamp", stamp.as_str())];
        all.extend(fields);
        self.post("/join", &all).await
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.post_from("203.0.113.7", path, fields).await
    }

    pub async fn post_from(&self, client: &str, path: &str, fields: &[(&str, &str)]) -> Reply {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers = [FORM, ENGLISH, ("X-Forwarded-For", client), ("User-Agent", "Firefox/1")];
        self.server.request("POST", path, &headers, body.as_bytes()).await
    }

    /// The page that the newest mail to an address leads to, and what the mail is about.
    pub async fn mailed(&self, address: &str) -> Option<(String, String)> {
        let sql = "SELECT kind, data FROM notices WHERE LOWER(address) = LOWER($1) ORDER BY id DESC LIMIT 1";
        let found: Option<(String, String)> =
            self.store.read().await.unwrap().first(sql, args![address]).await.unwrap();
        let (kind, data) = found?;
        let data: serde_json::Value = serde_json::from_str(&data).unwrap();
        let url = data["url"].as_str().unwrap();
        Some((kind, url[url.find("/j/").or(url.find("/p/")).unwrap()..].to_owned()))
    }

    pub async fn count(&self, table: &'static str) -> i64 {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        self.store.read().await.unwrap().one::<(i64,)>(sql, vec![]).await.unwrap().0
    }

    pub async fn recipient(&self, address: &str) -> Option<recipients::Recipient> {
        let address = colloquy::domain::address::Address::parse(address).unwrap();
        recipients::find(&mut self.store.read().await.unwrap(), &address).await.unwrap()
    }

    pub async fn topics(&self, of: RecipientId) -> Vec<String> {
        let all = subscriptions::of(&mut self.store.read().await.unwrap(), of).await.unwrap();
        all.into_iter().filter(|s| s.subscribed).map(|s| s.topic).collect()
    }

    /// A person's consents, whose chain must hold.
    pub async fn consents(&self, of: RecipientId) -> Vec<StoredConsent> {
        let mut session = self.store.read().await.unwrap();
        let all = consents::history(&mut session, of, Micros(i64::MAX)).await.unwrap();
        let entries: Vec<Entry<'_>> = all.iter().map(|stored| stored.entry().unwrap()).collect();
        assert_eq!(consent::verify(entries), Ok(()));
        all
    }
}

async fn serve(app: &App, db: &Database, clock: &Clock) -> Server {
    let secrets: Secrets = app.secrets().unwrap();
    let desk = Desk::new(secrets.suppression_key(), secrets.api_keys(), Proxies::new(Vec::new()));
    let options = (Options::from(&app.loaded), Some(&app.loaded));
    let nothing: Option<colloquy::pages::Pages> = None;
    let keys = Arc::new(secrets.keyring());
    let joining = Joining::new(keys, db.store.clone(), clock.clone(), Arc::new(desk), options, nothing);
    Server::start(joining, Limits::default()).await
}

pub fn stamp_in(page: &str) -> String {
    let stamp = Regex::new(r#"name="stamp" value="([^"]+)""#).unwrap();
    stamp.captures(page).unwrap_or_else(|| panic!("there is no form in {page}"))[1].to_owned()
}
