//! What is left of a person after erasure, of hits and replies after their time, and of tracking after its withdrawal.

use std::time::Duration;

use colloquy::args;
use colloquy::clock::Clock;
use colloquy::demo::catcher::{Act, Step};
use colloquy::domain::address::Address;
use colloquy::domain::consent::Salts;
use colloquy::domain::id::RecipientId;
use colloquy::domain::retention::Retention;
use colloquy::domain::token::{Keyring, Purpose, Token};
use colloquy::lifecycle::Stop;
use colloquy::metrics::Metrics;
use colloquy::people::retention::{Janitor, Removed};
use colloquy::send::Ended;
use colloquy::services::{Role, Services};
use colloquy::store::erasure::forget_address as erase;
use colloquy::store::reports::{Which, runs_report};
use colloquy::store::runs::Run;
use colloquy::store::spool::Spool;
use colloquy::store::subscriptions::{self, Origin};
use colloquy::store::{EngineKind, Store};
use tokio_util::sync::CancellationToken;

use crate::http::{Reply, as_shown, get_from, post_to};
use crate::project::{Project, Settings};
use crate::support::dump::dump;
use crate::support::{Database, on_both_engines};

const BROWSER: &str = "Mozilla/5.0 (X11; Zwiebelfisch) Gecko/20100101 Firefox/128.0";
const ANNA: RecipientId = RecipientId(1);

/// A project that has written to three people, and its services.
struct Dialog {
    project: Project,
    run: Run,
    keys: Keyring,
    services: Option<Services>,
    stop: Stop,
}

impl Dialog {
    async fn begin(db: Database) -> Self {
        // The server repeats whom it was told, as many do.
        let refuse = |step, line: &str| {
            (step == Step::Rcpt && line.contains("zwiebelfisch"))
                .then(|| Act::Say("550 5.1.1 <zwiebelfisch@example.org> unknown here".to_owned()))
        };
        let project = Project::new(db, Settings::default(), refuse).await;
        project
            .import_addresses(["anna", "otto", "zwiebelfisch"].map(|n| format!("{n}@example.org")).into_iter())
            .await;
        let (run, ended) = project.send().await;
        assert_eq!(ended, Ended::Done);
        let keys = project.app().secrets().unwrap().keyring();
        let mut dialog = Self { project, run, keys, services: None, stop: Stop::default() };
        dialog.start().await;
        dialog
    }

    async fn start(&mut self) {
        self.stop = Stop::default();
        let roles = [Role::Tracker, Role::Pages, Role::Scorer];
        self.services = Some(Services::start(self.project.app().site(), &roles, self.stop.clone()).await.unwrap());
    }

    async fn end(&mut self) {
        self.stop.soft.cancel();
        self.services.take().unwrap().finished().await;
    }

    fn store(&self) -> &Store {
        &self.project.db.store
    }

    async fn ask(&self, who: RecipientId, kind: &str) -> Reply {
        let url = "https://shop.example/run".to_owned();
        let purpose = match kind {
            "c" => Purpose::Click { link: 1, item: 0, category: "running".into(), url },
            _ => Purpose::Open,
        };
        let token = self.keys.sign(&Token { run: self.run.id, recipient: who, purpose });
        let at = self.services.as_ref().unwrap().web.unwrap();
        get_from(&format!("http://{at}/{kind}/{token}"), &[("User-Agent", BROWSER)]).await
    }

    /// Sends a form of a page.
    async fn tell(&self, who: RecipientId, purpose: Purpose, form: &str) {
        let letter = match purpose {
            Purpose::Unsubscribe => 'u',
            Purpose::Keep => 'k',
            _ => 'p',
        };
        let token = self.keys.sign(&Token { run: self.run.id, recipient: who, purpose });
        let at = self.services.as_ref().unwrap().web.unwrap();
        let url = format!("http://{at}/{letter}/{token}");
        let form = as_shown(form, &get_from(&url, &[]).await.text());
        let reply = post_to(&url, &form).await;
        assert!(reply.status == 200 && reply.text().contains("role=\"status\""), "{form}: {}", reply.text());
    }

    async fn count(&self, what: &str) -> i64 {
        self.store()
            .read()
            .await
            .unwrap()
            .one::<(i64,)>(format!("SELECT COUNT(*) FROM {what}"), vec![])
            .await
            .unwrap()
            .0
    }

    async fn until(&self, what: &str, rows: i64) {
        for _ in 0..600 {
            if self.count(what).await == rows {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} rows of {what} instead of {rows}", self.count(what).await);
    }

    async fn spool(&self) -> Spool {
        Spool::open(&self.project.db.dir.path().join("spool.db")).await.unwrap()
    }

    async fn silenced(&self, who: &[RecipientId]) {
        let spool = self.spool().await;
        for _ in 0..600 {
            if spool.silenced(RecipientId(0), 10).await.unwrap() == who {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{:?} are silenced instead of {who:?}", spool.silenced(RecipientId(0), 10).await.unwrap());
    }

    /// Answers as ever, and nothing of it is kept.
    async fn leaves_no_trace(&self, who: RecipientId) {
        let before = dump(self.store()).await;
        let click = self.ask(who, "c").await;
        assert_eq!((click.status, click.header("location")), (302, Some("https://shop.example/run")));
        let open = self.ask(who, "o").await;
        assert_eq!((open.status, open.header("content-type")), (200, Some("image/gif")));
        assert_eq!(self.spool().await.depth().await.unwrap(), 0, "nothing reached the spool");
        assert_eq!(dump(self.store()).await, before);
    }

    /// Opens and clicks of the report, as JSON.
    async fn report(&self) -> serde_json::Value {
        let mut session = self.store().read().await.unwrap();
        let reports = runs_report(&mut session, Which::Run(self.run.id)).await.unwrap();
        serde_json::json!([reports[0].opens, reports[0].clicks])
    }

    /// What tables and spool hold, in one text.
    async fn everything(&self) -> String {
        let mut all = String::new();
        for (table, rows) in dump(self.store()).await {
            all.extend(rows.iter().map(|row| format!("{table}: {row}\n")));
        }
        for spooled in self.spool().await.batch(1_000).await.unwrap() {
            all += &format!("spool: {spooled:?}\n");
        }
        all
    }
}

/// Whether a text holds a word, be it among octets.
fn holds(text: &str, word: &str) -> bool {
    let octets: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
    let text = text.to_lowercase();
    text.contains(&word.to_lowercase()) || text.contains(&octets)
}

async fn decide(store: &Store, who: RecipientId, tracking: bool) {
    let origin =
        Origin { channel: "page", run: None, at: Clock::system().now(), salts: Salts::new(&[9; 32]), shown: None };
    let mut session = store.write().await.unwrap();
    assert!(subscriptions::set_tracking(&mut session, who, tracking, &origin).await.unwrap());
    session.commit().await.unwrap();
}

on_both_engines! {
    async fn whoever_withdraws_tracking_leaves_no_trace_in_mail_that_was_delivered_before(db) {
        let mut dialog = Dialog::begin(db).await;
        dialog.ask(ANNA, "c").await;
        dialog.until("hits", 1).await;
        decide(dialog.store(), ANNA, false).await;
        dialog.silenced(&[ANNA]).await;
        dialog.leaves_no_trace(ANNA).await;
        dialog.end().await;
        let (url, dir) = (dialog.project.db.url.clone(), dialog.project.db.dir.path().to_owned());
        dialog.project.db.store = Store::open(&url, &dir).await.unwrap();
        dialog.start().await;
        dialog.leaves_no_trace(ANNA).await;

        decide(dialog.store(), ANNA, true).await;
        dialog.silenced(&[]).await;
        dialog.ask(ANNA, "c").await;
        dialog.until("hits", 2).await;
        dialog.end().await;
    }

    async fn a_tracker_knows_who_withdrew_while_the_main_database_is_away(db) {
        let mut dialog = Dialog::begin(db).await;
        decide(dialog.store(), ANNA, false).await;
        dialog.silenced(&[ANNA]).await;
        let away = dialog.services.as_ref().unwrap().store.clone();
        away.close().await;
        assert_eq!(dialog.ask(ANNA, "c").await.status, 302);
        assert_eq!(dialog.ask(ANNA, "o").await.status, 200);
        assert_eq!(dialog.spool().await.depth().await.unwrap(), 0);
        assert_eq!(dialog.ask(RecipientId(2), "c").await.status, 302);
        assert_eq!(dialog.spool().await.depth().await.unwrap(), 1, "the others' hits wait");
        dialog.end().await;
    }

    async fn an_erased_person_is_gone_from_every_table_and_from_the_spool_and_leaves_numbers(db) {
        let mut dialog = Dialog::begin(db).await;
        let who = RecipientId(3);
        for kind in ["o", "c", "c"] {
            dialog.ask(who, kind).await;
        }
        dialog.until("hits WHERE verdict IS NOT NULL", 3).await;
        // They choose, say why they leave, and come back.
        dialog.tell(who, Purpose::Preferences, "save=1&topic=news&tracking=1&pace=7").await;
        dialog.tell(who, Purpose::Unsubscribe, "leave=topic").await;
        dialog.tell(who, Purpose::Unsubscribe, "tell=1&why=other&words=Rhabarberkompott").await;
        dialog.tell(who, Purpose::Keep, "keep=1").await;
        let words = ["zwiebelfisch", "Anna 2", "127.0.0.0/24", "Rhabarberkompott"];
        let (before, report) = (dialog.everything().await, dialog.report().await);
        assert!(words.iter().all(|word| holds(&before, word)), "{before}");

        let app = dialog.project.app();
        let address = Address::parse("Zwiebelfisch@example.org").unwrap();
        let key = app.secrets().unwrap().suppression_key();
        assert!(erase(dialog.store(), &key, &address, Clock::system().now()).await.unwrap());
        dialog.silenced(&[who]).await;
        dialog.leaves_no_trace(who).await;
        let after = dialog.everything().await;
        for word in words {
            assert!(!holds(&after, word), "{word} is in {after}");
        }
        assert!(holds(&after, "anna@example.org"), "the others are still there");
        assert_eq!(dialog.report().await, report, "the numbers stay");
        assert_eq!(dialog.count("suppressions").await, 1);
        dialog.end().await;
    }

    async fn what_was_kept_for_its_time_is_removed_and_its_numbers_stay(db) {
        let mut dialog = Dialog::begin(db).await;
        for (who, kind) in [(1, "o"), (1, "c"), (2, "o"), (2, "o")] {
            dialog.ask(RecipientId(who), kind).await;
        }
        dialog.until("hits WHERE verdict IS NOT NULL", 4).await;
        dialog.end().await;
        let (url, dir) = (dialog.project.db.url.clone(), dialog.project.db.dir.path().to_owned());
        dialog.project.db.store = Store::open(&url, &dir).await.unwrap();
        let actions = dialog.count("actions").await;
        let report = dialog.report().await;

        let clock = Clock::stepped(Clock::system().now());
        let (metrics, going) = (Metrics::new(), CancellationToken::new());
        let janitor = Janitor::new(dialog.store().clone(), clock.clone(), metrics.clone());
        let day = Duration::from_secs(86_400);
        let periods = Retention { hits: day * 20, replies: day * 10, ..Retention::default() };
        assert_eq!(janitor.round(&periods, &going).await.unwrap(), Removed::default());
        clock.set(clock.now().plus(day * 11));
        assert_eq!(janitor.round(&periods, &going).await.unwrap(), Removed { replies: 4, ..Removed::default() });
        assert!(!holds(&dialog.everything().await, "unknown here"));
        assert_eq!((dialog.count("hits").await, dialog.count("messages WHERE code = 550").await), (4, 1));

        // One of them opens the old mail again.
        let late = clock.now();
        let mut session = dialog.store().write().await.unwrap();
        let sql = "UPDATE hits SET at = $1 WHERE id = (SELECT MAX(id) FROM hits WHERE recipient_id = 2)";
        let sql = if dialog.store().kind() == EngineKind::Sqlite { sql } else {
            "UPDATE hits SET at = $1 WHERE id = (SELECT id FROM hits WHERE recipient_id = 2 LIMIT 1)"
        };
        session.execute(sql, args![late]).await.unwrap();
        session.commit().await.unwrap();
        clock.set(clock.now().plus(day * 10));
        assert_eq!(janitor.round(&periods, &going).await.unwrap(), Removed { hits: 2, ..Removed::default() });
        assert_eq!(dialog.report().await, report);
        clock.set(clock.now().plus(day * 11));
        assert_eq!(janitor.round(&periods, &going).await.unwrap(), Removed { hits: 2, ..Removed::default() });
        assert_eq!((dialog.count("hits").await, dialog.count("actions").await), (0, actions));
        assert_eq!(dialog.report().await, report, "the numbers stay");

        // And twice more, each time after its hits were removed: two hits of one message.
        for total in 1..=2 {
            dialog.start().await;
            dialog.ask(RecipientId(1), "o").await;
            dialog.until("hits WHERE verdict = 'human'", 1).await;
            let mut again = report.clone();
            again[0]["human"] = serde_json::json!({"messages": 1, "total": total});
            assert_eq!(dialog.report().await, again, "not removed yet");
            dialog.end().await;
            dialog.project.db.store = Store::open(&url, &dir).await.unwrap();
            clock.set(clock.now().plus(day * 40));
            let janitor = Janitor::new(dialog.store().clone(), clock.clone(), metrics.clone());
            assert_eq!(janitor.round(&periods, &going).await.unwrap().hits, 1);
            assert_eq!(dialog.report().await, again, "removed");
        }
        assert!(metrics.encode().contains("colloquy_removed_total{what=\"hits\"} 6"));
    }
}
