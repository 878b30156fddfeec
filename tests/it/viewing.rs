//! The message in the browser: as it was sent, its pictures, and what neither does.

mod sent;

use std::sync::Arc;

use colloquy::args;
use colloquy::clock::Clock;
use colloquy::domain::address::Address;
use colloquy::domain::consent::Salts;
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::token::{Keyring, Purpose, Token};
use colloquy::pages::{Options, Pages};
use colloquy::send::Ended;
use colloquy::store::addresses::{self, Moved};
use colloquy::store::erasure::forget_address;
use colloquy::store::recipients::{self, Attributes};
use colloquy::store::runs::Run;
use colloquy::store::subscriptions::Origin;
use colloquy::web::Limits;
use regex::Regex;
use tokio::task::JoinSet;

use crate::http::Server;
use crate::project::{Project, Settings};
use crate::support::{Database, key_and_proxies, on_both_engines, suppression_key};

const SVG: &str =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\"><rect width=\"9\" height=\"9\"/></svg>";

/// A project whose mails carry a picture that they show twice, and its pages.
struct Viewing {
    project: Project,
    server: Arc<Server>,
    keys: Arc<Keyring>,
}

impl Viewing {
    async fn start(db: Database) -> Self {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        let template = "<html><body><img src=\"logo.svg\" alt=\"Logo\"><p>Hello {{first_name}}</p>\
            <a href=\"https://shop.example/run\">Run</a><img src=\"logo.svg\" alt=\"Logo\">\
            <a href=\"{{view_url}}\">Look</a> {{sender.postal_address}}</body></html>";
        std::fs::write(project.db.dir.path().join("templates/hello.hbs"), template).unwrap();
        std::fs::write(project.db.dir.path().join("templates/logo.svg"), SVG).unwrap();
        project.import(2).await;
        let app = project.app();
        let keys = Arc::new(app.secrets().unwrap().keyring());
        let options = Options::from(&app.loaded);
        let pages =
            Pages::new(Arc::clone(&keys), key_and_proxies(), project.db.store.clone(), Clock::system(), options);
        let server = Arc::new(Server::start(pages, Limits::default()).await);
        Self { project, server, keys }
    }

    async fn send(&self) -> Run {
        let (run, ended) = self.project.send().await;
        assert_eq!(ended, Ended::Done);
        run
    }

    fn path(&self, run: RunId, recipient: i64) -> String {
        let token = Token { run, recipient: RecipientId(recipient), purpose: Purpose::View };
        format!("/v/{}", self.keys.sign(&token))
    }
}

on_both_engines! {
    async fn pictures_are_answers_of_their_own_and_cannot_act(db) {
        let viewing = Viewing::start(db).await;
        let run = viewing.send().await;
        let path = viewing.path(run.id, 1);
        let page = viewing.server.get(&path).await;
        let html = page.text();
        let shown = Regex::new("src=\"(/v/[^\"]+)\"").unwrap();
        let pictures: Vec<_> = shown.captures_iter(&html).map(|found| found[1].to_owned()).collect();
        assert!(pictures.len() == 2 && pictures[0] == pictures[1], "{html}");
        assert!(html.contains("Hello Anna 0") && !html.contains("data:") && !html.contains("cid:"), "{html}");
        assert!(html.contains("href=\"https://shop.example/run\"") && !html.contains("/o/"), "{html}");
        let picture = viewing.server.get(&pictures[0]).await;
        assert_eq!((picture.status, picture.text()), (200, SVG.to_owned()));
        assert_eq!(picture.header("content-type"), Some("image/svg+xml"));
        assert!(picture.header("content-security-policy").unwrap().ends_with("sandbox"));
        for (reply, cache) in [(&page, "no-store"), (&picture, "private, max-age=86400, immutable")] {
            assert_eq!(reply.header("cache-control"), Some(cache));
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
            assert_eq!(reply.header("set-cookie"), None);
            let policy = reply.header("content-security-policy").unwrap();
            assert!(policy.contains("default-src 'none'") && !policy.contains("script-src"), "{policy}");
        }
        let missing = viewing.server.get(&format!("{path}/nothing")).await;
        assert_eq!((missing.status, viewing.server.get(&format!("{path}/")).await.status), (404, 404));
        assert_eq!(viewing.server.request("POST", &path, &[], b"x=1").await.status, 405);
    }

    async fn many_runs_are_looked_at_at_once_each_as_it_was_sent(db) {
        let viewing = Viewing::start(db).await;
        let mut runs = Vec::new();
        for number in 0..7 {
            let template = format!("<html><body><p>Number {number} for {{{{first_name}}}}</p>{{{{sender.postal_address}}}} \
                <a href=\"{{{{unsubscribe_url}}}}\">Leave</a></body></html>");
            std::fs::write(viewing.project.db.dir.path().join("templates/hello.hbs"), template).unwrap();
            runs.push(viewing.send().await);
        }
        let mut readers = JoinSet::new();
        for round in 0..5 {
            for (number, run) in runs.iter().enumerate() {
                let (server, path) = (Arc::clone(&viewing.server), viewing.path(run.id, 1 + (round + number as i64) % 2));
                let gone = viewing.path(RunId(run.id.0 + 100), 1);
                readers.spawn(async move {
                    let html = server.get(&path).await.text();
                    assert!(html.contains(&format!("Number {number} for Anna")), "{html}");
                    assert_eq!(server.get(&gone).await.status, 404);
                });
            }
        }
        readers.join_all().await;
    }

    async fn whoever_reads_the_mailbox_that_was_given_up_learns_nothing_new(db) {
        let viewing = Viewing::start(db).await;
        let template = "<html><body><p>To {{address}}, {{default first_name \"you\"}}</p>{{sender.postal_address}} \
            <a href=\"{{unsubscribe_url}}\">Leave</a></body></html>";
        let file = viewing.project.db.dir.path().join("templates/hello.hbs");
        std::fs::write(&file, template).unwrap();
        let file = viewing.project.db.dir.path().join("config/campaigns/hello.toml");
        let campaign = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, campaign.replace("Hello {{first_name}}", "Hello")).unwrap();
        let (store, anna) = (&viewing.project.db.store, RecipientId(1));
        let old = viewing.path(viewing.send().await.id, 1);
        assert!(viewing.server.get(&old).await.text().contains("To a0@example.org, Anna 0"));
        for to in ["b@example.org", "c@example.org"] {
            let mut session = store.write().await.unwrap();
            let (address, at) = (Address::parse(to).unwrap(), Clock::system().now());
            let origin = Origin { channel: "page", run: None, at, salts: Salts::new(&[9; 32]), shown: None };
            let moving = (&address, &suppression_key());
            let moved = addresses::change(&mut session, anna, moving, |_| true, &origin).await.unwrap();
            assert!(matches!(moved, Moved::Done(_)));
            let renamed = |_: &Attributes| Attributes::from_iter([("first_name".to_owned(), "Eva".into())]);
            recipients::set_attributes(&mut session, anna, |_| true, renamed, at).await.unwrap();
            session.commit().await.unwrap();
            let page = viewing.server.get(&old).await;
            let html = page.text();
            assert_eq!(page.status, 200);
            assert!(html.contains("To a0@example.org, Anna 0<") && !html.contains(to) && !html.contains("Eva"), "{html}");
        }
        // It was tried again later, perhaps at the new address: what it said at the old one is not known any more.
        let mut session = store.write().await.unwrap();
        let again = "UPDATE messages SET attempt = 2, at = $1 WHERE recipient_id = 1";
        session.change(1, again, args![Clock::system().now()]).await.unwrap();
        session.commit().await.unwrap();
        let html = viewing.server.get(&old).await.text();
        assert!(html.contains("To a0@example.org, you<") && !html.contains("Eva"), "{html}");
        let new = viewing.server.get(&viewing.path(viewing.send().await.id, 1)).await.text();
        assert!(new.contains("To c@example.org, Eva"), "{new}");
        let other = viewing.server.get(&viewing.path(RunId(1), 2)).await.text();
        assert!(other.contains("To a1@example.org, Anna 1"), "{other}");
        forget_address(store, &suppression_key(), &Address::parse("c@example.org").unwrap(), Clock::system().now()).await.unwrap();
        assert_eq!(viewing.server.get(&old).await.status, 404);
    }
}
