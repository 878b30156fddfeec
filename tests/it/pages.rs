//! The recipient's pages over real sockets, on both engines.

use std::collections::BTreeMap;
use std::sync::Arc;

use colloquy::args;
use colloquy::clock::Clock;
use colloquy::config::Look;
use colloquy::domain::consent::Salts;
use colloquy::domain::id::{RecipientId, RunId, VersionId};
use colloquy::domain::pace::OwnLimit;
use colloquy::domain::project::{AttributeType, Choices};
use colloquy::domain::score::{ClusterRules, ScoreRules};
use colloquy::domain::time::Micros;
use colloquy::domain::token::{Keyring, Purpose, Token};
use colloquy::pages::{Editable, Options, Pages};
use colloquy::store::subscriptions::{self, Origin};
use colloquy::store::{EngineKind, Store, recipients};
use colloquy::web::Limits;

use crate::http::{Reply, Server, as_shown};
use crate::support::{Database, key_and_proxies, on_both_engines};

mod choices;
mod copies;
mod moving;
pub mod own;
mod proven;

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// Pages over real sockets, and somebody whom they are for.
pub struct Site {
    pub server: Server,
    keys: Arc<Keyring>,
    pub store: Store,
    pub anna: RecipientId,
    run: RunId,
}

fn editable() -> Vec<Editable> {
    let attribute = |name: &str, title: &str, kind| Editable { name: name.to_owned(), title: title.to_owned(), kind };
    vec![
        attribute("first_name", "Vorname", AttributeType::Text),
        attribute("shoes", "Schuhgröße", AttributeType::Number),
        attribute("birthday", "Geburtstag", AttributeType::Date),
        attribute("member", "Mitglied", AttributeType::Bool),
    ]
}

impl Site {
    /// Anna has subscribed to two of three topics; a run of the first has written to her.
    pub async fn open(db: &Database) -> Self {
        let mut session = db.store.write().await.unwrap();
        let sql = "INSERT INTO recipients (address, domain, created_at) VALUES ('anna@example.org', 'example.org', 1)
            RETURNING id";
        let anna = RecipientId(session.one::<(i64,)>(sql, vec![]).await.unwrap().0);
        let sql = "INSERT INTO versions (at, hash) VALUES (1, 'h') RETURNING id";
        let version = session.one::<(i64,)>(sql, vec![]).await.unwrap().0;
        let sql = "INSERT INTO runs (campaign, topic, occasion, version_id, state, at)
            VALUES ('spring', 'offers', '1', $1, 'running', 1) RETURNING id";
        let run = RunId(session.one::<(i64,)>(sql, args![version]).await.unwrap().0);
        let origin = Origin { channel: "import", run: None, at: Micros(1), salts: Salts::new(&[9; 32]), shown: None };
        for topic in ["offers", "news"] {
            subscriptions::join(&mut session, anna, topic, &origin).await.unwrap();
        }
        subscriptions::set_tracking(&mut session, anna, true, &origin).await.unwrap();
        session.commit().await.unwrap();

        let keys = Arc::new(Keyring::new([(1, [7; 32].as_slice())]));
        let choices = Choices {
            limits: vec![OwnLimit { count: 1, days: 7 }, OwnLimit { count: 3, days: 14 }],
            ..Choices::default()
        };
        let titles = [("offers", "Angebote <für> dich"), ("news", "News"), ("events", "Events")];
        let options = Options {
            sender: "Alpenlauf & Co".into(),
            locale: "de-DE".into(),
            imprint_url: Some("https://alpenlauf.example/impressum".into()),
            topics: titles.map(|(name, title)| (name.to_owned(), title.to_owned())).into(),
            choices,
            editable: editable(),
            languages: ["de-DE", "en", "fr"].map(str::to_owned).into(),
            base_url: "https://t.alpenlauf.example".into(),
            score: ScoreRules::default(),
            cluster: ClusterRules::default(),
            timezone: "Europe/Berlin".into(),
            look: Look::default(),
            version: Some(VersionId(version)),
        };
        let pages = Pages::new(Arc::clone(&keys), key_and_proxies(), db.store.clone(), Clock::system(), options);
        let server = Server::start(pages, Limits::default()).await;
        Self { server, keys, store: db.store.clone(), anna, run }
    }

    pub fn path(&self, purpose: Purpose) -> String {
        let letter = match purpose {
            Purpose::Unsubscribe => 'u',
            Purpose::Keep => 'k',
            _ => 'p',
        };
        format!("/{letter}/{}", self.keys.sign(&Token { run: self.run, recipient: self.anna, purpose }))
    }

    /// Sends a form as its page shows it now.
    async fn post(&self, purpose: Purpose, body: &str) -> Reply {
        let path = self.path(purpose);
        let page = self.server.get(&path).await.text();
        self.server.request("POST", &path, &[FORM], as_shown(body, &page).as_bytes()).await
    }

    pub async fn subscribed(&self) -> Vec<String> {
        let all = subscriptions::of(&mut self.store.read().await.unwrap(), self.anna).await.unwrap();
        all.into_iter().filter(|s| s.subscribed).map(|s| s.topic).collect()
    }

    pub async fn tracking(&self) -> bool {
        recipients::by_id(&mut self.store.read().await.unwrap(), self.anna).await.unwrap().unwrap().tracking
    }

    /// How many permissions were ever written, and how many actions.
    async fn writes(&self) -> (i64, i64) {
        let sql = "SELECT (SELECT COUNT(*) FROM consents), (SELECT COUNT(*) FROM actions)";
        self.store.read().await.unwrap().one(sql, vec![]).await.unwrap()
    }

    async fn last_channel(&self) -> String {
        let sql = "SELECT payload FROM consents ORDER BY seq DESC LIMIT 1";
        let (payload,): (String,) = self.store.read().await.unwrap().one(sql, vec![]).await.unwrap();
        serde_json::from_str::<BTreeMap<String, serde_json::Value>>(&payload).unwrap()["channel"]
            .as_str()
            .unwrap()
            .into()
    }
}

on_both_engines! {
    async fn looking_at_a_page_changes_nothing(db) {
        let site = Site::open(&db).await;
        let before = site.writes().await;
        for purpose in [Purpose::Unsubscribe, Purpose::Preferences] {
            let path = site.path(purpose);
            for path in [path.clone(), format!("{path}?leave=all&save=1&List-Unsubscribe=One-Click")] {
                let get = site.server.get(&path).await;
                assert_eq!(get.status, 200);
                let head = site.server.request("HEAD", &path, &[FORM], b"leave=all&save=1").await;
                assert_eq!((head.status, head.body.len()), (200, 0));
                assert_eq!(site.server.request("OPTIONS", &path, &[], b"").await.status, 405);
                assert_eq!(site.server.request("DELETE", &path, &[], b"").await.status, 405);
            }
        }
        assert_eq!((site.writes().await, site.subscribed().await.len(), site.tracking().await), (before, 2, true));
    }

    async fn a_page_is_safe_and_accessible(db) {
        let site = Site::open(&db).await;
        let path = site.path(Purpose::Preferences);
        let page = site.server.request("GET", &path, &[("Accept-Language", "en;q=0.5")], b"").await;
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("cache-control", "no-store"), ("referrer-policy", "no-referrer"), ("x-content-type-options", "nosniff"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            assert_eq!(page.header(name), Some(value));
        }
        assert_eq!(page.header("set-cookie"), None);
        let html = page.text();
        for part in [
            r#"<html lang="en" dir="ltr">"#, r#"name="viewport""#, "<legend>What would you like to receive?</legend>",
            r#"value="offers" checked><span>Angebote &lt;für&gt; dich</span>"#, r#"value="events"><span>Events"#,
            "Alpenlauf &amp; Co", r#"href="https://alpenlauf.example/impressum""#,
        ] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
        assert!(!html.contains("anna@") && !html.contains("<script"));
        assert!(site.server.get(&path).await.text().contains(r#"<html lang="de" dir="ltr">"#));
    }

    async fn one_click_leaves_the_topic_of_the_mail_in_both_encodings(db) {
        let site = Site::open(&db).await;
        let reply = site.post(Purpose::Unsubscribe, "List-Unsubscribe=One-Click").await;
        assert_eq!((reply.status, reply.header("location"), reply.header("set-cookie")), (200, None, None));
        assert_eq!(site.subscribed().await, ["news"]);
        assert_eq!(site.last_channel().await, "one-click");
        let writes = site.writes().await;
        assert_eq!(site.post(Purpose::Unsubscribe, "List-Unsubscribe=One-Click").await.status, 200);
        assert_eq!(site.writes().await, writes, "a second time changes nothing");

        let origin = Origin { channel: "page", run: None, at: Micros(2), salts: Salts::new(&[9; 32]), shown: None };
        let mut session = site.store.write().await.unwrap();
        subscriptions::join(&mut session, site.anna, "offers", &origin).await.unwrap();
        session.commit().await.unwrap();
        let body = "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n";
        let multipart = [("Content-Type", "multipart/form-data; boundary=b")];
        let path = site.path(Purpose::Unsubscribe);
        assert_eq!(site.server.request("POST", &path, &multipart, body.as_bytes()).await.status, 200);
        assert_eq!(site.subscribed().await, ["news"]);
    }

    async fn the_page_offers_to_leave_everything(db) {
        let site = Site::open(&db).await;
        let page = site.server.get(&site.path(Purpose::Unsubscribe)).await.text();
        assert!(page.contains("„Angebote &lt;für&gt; dich“") && page.contains(r#"value="all""#), "{page}");
        let reply = site.post(Purpose::Unsubscribe, "leave=topic").await.text();
        assert!(reply.contains(r#"role="status""#) && reply.contains(r#"value="all""#), "{reply}");
        assert_eq!(site.subscribed().await, ["news"]);
        assert!(!site.post(Purpose::Unsubscribe, "leave=all").await.text().contains(r#"name="leave""#));
        assert!(site.subscribed().await.is_empty());
        assert_eq!(site.last_channel().await, "page");
    }

    async fn preferences_are_saved_as_ticked(db) {
        let site = Site::open(&db).await;
        let reply = site.post(Purpose::Preferences, "save=1&topic=events&topic=news&topic=invented").await.text();
        assert!(reply.contains("Ihre Auswahl ist gespeichert."), "{reply}");
        assert_eq!((site.subscribed().await, site.tracking().await), (vec!["events".into(), "news".into()], false));
        site.post(Purpose::Preferences, "save=1&topic=offers&tracking=1").await;
        assert_eq!((site.subscribed().await, site.tracking().await), (vec!["offers".into()], true));
    }

    async fn a_form_that_arrived_incomplete_changes_nothing(db) {
        let site = Site::open(&db).await;
        let before = site.writes().await;
        for body in ["", "topic=news", "List-Unsubscribe=One-Click"] {
            assert!(site.post(Purpose::Preferences, body).await.text().contains("Es wurde nichts geändert"), "{body}");
        }
        let large = format!("save=1&x={}", "y".repeat(17_000));
        let refused = site.post(Purpose::Preferences, &large).await;
        assert_eq!(refused.status, 413);
        assert!(refused.text().contains("mehr, als dieses Formular sein kann"), "{}", refused.text());
        let cut = format!("POST {} HTTP/1.1\r\nHost: t\r\nContent-Length: 99\r\n\r\nsave=1", site.path(Purpose::Preferences));
        let mut stream = tokio::net::TcpStream::connect(site.server.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, cut.as_bytes()).await.unwrap();
        drop(stream);
        site.server.get("/").await;
        assert_eq!(site.writes().await, before);
    }

    async fn foreign_tokens_and_other_paths_are_not_found(db) {
        let site = Site::open(&db).await;
        let plain = site.server.get("/").await;
        assert_eq!(plain.status, 404);
        assert!(plain.text().contains("Hier ist nichts"), "{}", plain.text());
        let (u, p) = (site.path(Purpose::Unsubscribe), site.path(Purpose::Preferences));
        for path in [u.replace("/u/", "/p/"), p.replace("/p/", "/u/"), u.replace("/u/", "/v/"), u[..u.len() - 2].into()] {
            assert_eq!(site.server.get(&path).await, plain, "{path}");
        }
        assert_eq!(site.server.request("POST", &p.replace("/p/", "/u/"), &[FORM], b"leave=all").await.status, 404);
        assert_eq!(site.subscribed().await.len(), 2);
    }

    async fn whoever_was_erased_finds_nothing_to_leave(db) {
        let site = Site::open(&db).await;
        let mut session = site.store.write().await.unwrap();
        let sql = "UPDATE recipients SET address = NULL, erased_at = 2 WHERE id = $1";
        session.execute(sql, args![site.anna]).await.unwrap();
        session.commit().await.unwrap();
        let before = site.writes().await;
        for purpose in [Purpose::Unsubscribe, Purpose::Preferences] {
            assert!(site.server.get(&site.path(purpose.clone())).await.text().contains("kein Abonnement mehr"));
            assert_eq!(site.post(purpose, "save=1&leave=topic&topic=news").await.status, 200);
        }
        assert_eq!(site.writes().await, before);
    }

    async fn pages_say_so_while_the_database_is_away(db) {
        let site = Site::open(&db).await;
        site.store.close().await;
        for purpose in [Purpose::Unsubscribe, Purpose::Preferences] {
            let page = site.server.get(&site.path(purpose.clone())).await;
            assert_eq!((page.status, page.header("retry-after")), (503, Some("30")));
            assert!(page.text().contains("Einen Augenblick, bitte"));
            assert_eq!(site.post(purpose, "save=1").await.status, 503);
        }
    }
}
