//! Consent that nobody uses: found before it lapses, kept by a button, and at an end after its time.

use std::time::Duration;

use colloquy::args;
use colloquy::clock::Clock;
use colloquy::domain::consent::Salts;
use colloquy::domain::id::RecipientId;
use colloquy::domain::message::MessageState;
use colloquy::domain::pace::Pace;
use colloquy::domain::retention::Retention;
use colloquy::domain::token::{Purpose, Token};
use colloquy::lifecycle::Stop;
use colloquy::metrics::Metrics;
use colloquy::people::retention::{Janitor, Removed};
use colloquy::send::Ended;
use colloquy::services::{Role, Services};
use colloquy::store::lapses;
use colloquy::store::subscriptions::{self, Origin};
use tokio_util::sync::CancellationToken;

use crate::http::{as_shown, get_from, post_to};
use crate::project::{Project, Settings};
use crate::support::{Database, on_both_engines};

const CAMPAIGN: &str = "topic = \"news\"\nsubject = \"Still interested?\"\ntemplate = \"hello.hbs\"\n\
    [audience]\nwhere = 'consent_lapses(within = \"30d\")'\n";
const DAY: Duration = Duration::from_secs(86_400);

/// Five people who subscribed so many days ago.
async fn project(db: Database, days_ago: [u64; 5]) -> Project {
    let settings =
        Settings { campaign: CAMPAIGN, limits: "[retention]\nunused_consent = \"100d\"\n", ..Settings::default() };
    let project = Project::new(db, settings, |_, _| None).await;
    let template = "<html><body><a href=\"{{keep_url}}\">Yes</a> <a href=\"{{unsubscribe_url}}\">No</a> \
        {{sender.postal_address}}</body></html>";
    std::fs::write(project.db.dir.path().join("templates/hello.hbs"), template).unwrap();
    project.import(5).await;
    let mut session = project.db.store.write().await.unwrap();
    for (n, days) in (1_i64..).zip(days_ago) {
        let since = Clock::system().now().minus(DAY * u32::try_from(days).unwrap());
        session.execute("UPDATE subscriptions SET since = $1 WHERE recipient_id = $2", args![since, n]).await.unwrap();
        session.execute("UPDATE consents SET at = $1 WHERE recipient_id = $2", args![since, n]).await.unwrap();
    }
    session.commit().await.unwrap();
    project
}

impl Project {
    async fn acts(&self, who: i64, kind: &str, days_ago: u32) {
        let mut session = self.db.store.write().await.unwrap();
        let at = Clock::system().now().minus(DAY * days_ago);
        let sql = "INSERT INTO actions (key, recipient_id, kind, at) VALUES ($1, $2, $3, $4)";
        session.execute(sql, args![format!("i:{who}{kind}"), who, kind, at]).await.unwrap();
        session.commit().await.unwrap();
    }

    async fn lapse(&self) -> Removed {
        let janitor = Janitor::new(self.db.store.clone(), Clock::system(), Metrics::new());
        let periods = Retention { unused_consent: Some(DAY * 100), ..Retention::default() };
        janitor.round(&periods, &CancellationToken::new()).await.unwrap()
    }

    async fn subscribers(&self) -> Vec<i64> {
        let sql = "SELECT recipient_id FROM subscriptions WHERE subscribed ORDER BY recipient_id";
        let rows: Vec<(i64,)> = self.db.store.read().await.unwrap().all(sql, vec![]).await.unwrap();
        rows.into_iter().map(|(id,)| id).collect()
    }

    /// The channel of a person's last entry in the ledger, and whether it granted.
    async fn last_entry(&self, who: i64) -> (String, bool) {
        let sql = "SELECT payload, granted FROM consents WHERE recipient_id = $1 ORDER BY seq DESC LIMIT 1";
        let (payload, granted): (String, bool) =
            self.db.store.read().await.unwrap().one(sql, args![who]).await.unwrap();
        let payload: serde_json::Value = serde_json::from_str(&payload).unwrap();
        (payload["channel"].as_str().unwrap().to_owned(), granted)
    }
}

on_both_engines! {
    async fn unused_consent_lapses_and_whoever_did_something_keeps_theirs(db) {
        let mut project = project(db, [101, 101, 101, 99, 101]).await;
        project.acts(2, "click", 50).await;
        project.acts(3, "unsubscribe", 50).await;
        let origin = Origin { channel: "page", run: None, at: Clock::system().now(), salts: Salts::new(&[9; 32]), shown: None };
        let mut session = project.db.store.write().await.unwrap();
        subscriptions::renew(&mut session, RecipientId(5), "news", &origin).await.unwrap();
        session.commit().await.unwrap();

        assert_eq!(project.lapse().await, Removed { consents: 2, ..Removed::default() });
        assert_eq!(project.subscribers().await, [2, 4, 5]);
        for who in [1, 3] {
            assert_eq!(project.last_entry(who).await, ("lapsed".to_owned(), false));
        }
        let unsubscribed = "SELECT COUNT(*) FROM actions WHERE kind = 'unsubscribe'";
        let (count,): (i64,) = project.db.store.read().await.unwrap().one(unsubscribed, vec![]).await.unwrap();
        assert_eq!(count, 1, "a lapse is no unsubscription");
        assert_eq!(project.lapse().await, Removed::default(), "a second round finds nothing");
        std::fs::write(project.db.dir.path().join("config/campaigns/hello.toml"),
            "topic = \"news\"\nsubject = \"Hello\"\ntemplate = \"hello.hbs\"\n").unwrap();
        project.send().await;
        assert_eq!(project.drain(), ["a1@example.org", "a3@example.org", "a4@example.org"], "nobody else is mailed");
    }

    async fn whoever_chooses_how_often_or_not_to_be_measured_uses_their_consent(db) {
        let project = project(db, [101, 101, 101, 1, 1]).await;
        let origin = || Origin { channel: "page", run: None, at: Clock::system().now(), salts: Salts::new(&[9; 32]), shown: None };
        let mut session = project.db.store.write().await.unwrap();
        let pause = Pace::PausedUntil(Clock::system().now().plus(DAY * 30));
        assert!(subscriptions::set_pace(&mut session, RecipientId(1), pause, &origin()).await.unwrap());
        assert!(subscriptions::set_tracking(&mut session, RecipientId(2), false, &origin()).await.unwrap());
        session.commit().await.unwrap();
        assert_eq!(project.lapse().await, Removed { consents: 1, ..Removed::default() });
        assert_eq!(project.subscribers().await, [1, 2, 4, 5]);
    }

    async fn whoever_renews_while_the_janitor_goes_round_keeps_their_consent(db) {
        let project = project(db, [101, 101, 101, 1, 1]).await;
        let began = Clock::system().now();
        let origin = |at, channel| Origin { channel, run: None, at, salts: Salts::new(&[9; 32]), shown: None };
        let since = began.minus(DAY * 100);
        let first = (RecipientId(i64::MIN), String::new());
        let found = lapses::unused_since(&mut project.db.store.read().await.unwrap(), since, &first).await.unwrap();
        assert_eq!(found.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [1, 2, 3]);
        let later = began.plus(Duration::from_secs(60));
        let mut session = project.db.store.write().await.unwrap();
        subscriptions::renew(&mut session, RecipientId(2), "news", &origin(later, "page")).await.unwrap();
        let click = "INSERT INTO actions (key, recipient_id, kind, at) VALUES ('i:3click', 3, 'click', $1)";
        session.execute(click, args![later]).await.unwrap();
        session.commit().await.unwrap();

        let mut session = project.db.store.write().await.unwrap();
        assert_eq!(lapses::lapse(&mut session, &found, since, &origin(began, "lapsed")).await.unwrap(), 1);
        session.commit().await.unwrap();
        assert_eq!(project.subscribers().await, [2, 3, 4, 5]);
        assert_eq!(project.last_entry(2).await, ("page".to_owned(), true));
    }

    async fn a_campaign_asks_before_and_its_button_keeps_the_consent(db) {
        let mut project = project(db, [1, 80, 80, 99, 69]).await;
        project.acts(3, "open", 20).await;
        let (run, ended) = project.send().await;
        assert_eq!((ended, project.count(&run, MessageState::Accepted).await), (Ended::Done, 2));
        let mail = project.caught.try_recv().unwrap();
        let text = mail_parser::MessageParser::default().parse(&mail.message).unwrap().body_html(0).unwrap().into_owned();
        assert!(text.contains("/k/"), "{text}");
        let app = project.app();
        let stop = Stop::default();
        let services = Services::start(app.site(), &[Role::Pages], stop.clone()).await.unwrap();
        let token = Token { run: run.id, recipient: RecipientId(2), purpose: Purpose::Keep };
        let url = format!("http://{}/k/{}", services.web.unwrap(), app.secrets().unwrap().keyring().sign(&token));

        let entries = async |who: i64| {
            let sql = "SELECT COUNT(*) FROM consents WHERE recipient_id = $1";
            project.db.store.read().await.unwrap().one::<(i64,)>(sql, args![who]).await.unwrap().0
        };
        let before = entries(2).await;
        let page = get_from(&url, &[("Accept-Language", "en")]).await;
        assert!(page.text().contains("Do you want to go on receiving “News”?"), "{}", page.text());
        assert_eq!(post_to(&url, "other=1").await.status, 200);
        assert_eq!(entries(2).await, before, "following the link and half a form change nothing");
        assert!(post_to(&url, "keep=1").await.text().contains("name=\"keep\""), "other words than were shown");
        assert_eq!(entries(2).await, before);
        let form = as_shown("keep=1", &get_from(&url, &[]).await.text());
        assert!(post_to(&url, &form).await.text().contains("role=\"status\""));
        assert_eq!(project.last_entry(2).await, ("renewal".to_owned(), true));
        stop.soft.cancel();
        services.finished().await;

        let store = colloquy::store::Store::open(&project.db.url, project.db.dir.path()).await.unwrap();
        project.db.store = store;
        let (again, _) = project.send().await;
        assert_eq!(project.count(&again, MessageState::Accepted).await, 1, "who has answered is not asked again");
        let at = Clock::stepped(Clock::system().now().plus(DAY * 40));
        let janitor = Janitor::new(project.db.store.clone(), at, Metrics::new());
        let periods = Retention { unused_consent: Some(DAY * 100), ..Retention::default() };
        let removed = janitor.round(&periods, &CancellationToken::new()).await.unwrap();
        assert_eq!((removed.consents, project.subscribers().await), (2, vec![1, 2, 3]));
    }
}
