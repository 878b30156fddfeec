//! The page says what the mail said, whatever became of the person since.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use colloquy::domain::address::AddressHash;
use colloquy::domain::id::NodeId;
use colloquy::domain::retention::Retention;
use colloquy::domain::shown::Request;
use colloquy::domain::time::Micros;
use colloquy::metrics::Metrics;
use colloquy::people::import;
use colloquy::people::retention::{Janitor, Removed};
use colloquy::score::{self, Mode, Scorer};
use colloquy::store::actions::{self, NewAction};
use colloquy::store::joins::{self, Asked, Confirmation, Confirmed, NewJoin};
use colloquy::store::marks::{self, Marks, MessageKey, Sending};
use colloquy::store::{past, person};
use mail_parser::MessageParser;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::floors::sources;

const DAY: Duration = Duration::from_secs(86_400);
const ANNA: RecipientId = RecipientId(1);
const BERT: RecipientId = RecipientId(2);

const CAMPAIGN: &str = "topic = \"news\"\nsubject = \"For {{first_name}}\"\ntemplate = \"hello.hbs\"\n\
    [language.de]\nsubject = \"Für {{first_name}}\"\ntemplate = \"hallo.hbs\"\n\
    [[offers.item]]\ncategory = \"running\"\ntitle = \"Shoes\"\nurl = \"https://shop.example/shoes\"\n\
    [[offers.item]]\ncategory = \"trail\"\ntitle = \"Poles\"\nurl = \"https://shop.example/poles\"\n";

const BODY: &str = "<p>{{#if (eq city \"Chur\")}}Grüezi{{else}}Servus{{/if}}, {{score}} points, {{cluster}}</p>\
    {{#each (offers limit=2)}}<a href=\"{{url}}\">{{title}}</a>{{/each}}\
    <a href=\"{{unsubscribe_url}}\">Leave</a> <a href=\"{{view_url}}\">Look</a> {{sender.postal_address}}";

fn template(greeting: &str) -> String {
    format!("<html><body><h1>{greeting} {{{{first_name}}}} in {{{{city}}}}, {{{{address}}}}</h1>{BODY}</body></html>")
}

/// Anna reads German and walks on trails, Bert runs.
async fn dialog(db: Database) -> Viewing {
    let viewing = Viewing::start(db).await;
    let dir = viewing.project.db.dir.path();
    let project = dir.join("config/colloquy.toml");
    let text = std::fs::read_to_string(&project).unwrap();
    std::fs::write(&project, text.replace("running = \"Running\"", "running = \"Running\"\ntrail = \"Trail\""))
        .unwrap();
    std::fs::write(dir.join("config/campaigns/hello.toml"), CAMPAIGN).unwrap();
    std::fs::write(dir.join("templates/hello.hbs"), template("Hello")).unwrap();
    std::fs::write(dir.join("templates/hallo.hbs"), template("Hallo")).unwrap();
    viewing.import("a0@example.org,Anna,Chur,de\na1@example.org,Bert,Bern,en\n").await;
    for (n, who, category) in [(0, ANNA, "trail"), (1, ANNA, "trail"), (2, ANNA, "running"), (3, BERT, "running")] {
        viewing.clicks(who, category, 10, 3, &format!("before{n}")).await;
    }
    viewing
}

impl Viewing {
    async fn import(&self, rows: &str) -> import::Summary {
        let file = self.project.db.dir.path().join("changed.csv");
        std::fs::write(&file, format!("address,first_name,city,language\n{rows}")).unwrap();
        let app = self.project.app();
        let (topic, source) = ("news".to_owned(), "test".to_owned());
        let options = import::Options { file, topic, source, tracking: true, dry_run: false };
        let key = app.secrets().unwrap().suppression_key();
        import::run(&self.project.db.store, &app.loaded.project, &key, &app.clock, &options, |_| {}).await.unwrap()
    }

    async fn set(&self, who: RecipientId, values: &[(&str, &str)]) {
        let mut session = self.project.db.store.write().await.unwrap();
        let change = |known: &Attributes| {
            let mut attributes = known.clone();
            attributes.extend(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
            attributes
        };
        let at = Clock::system().now();
        recipients::set_attributes(&mut session, who, |_| true, change, at).await.unwrap().unwrap();
        session.commit().await.unwrap();
    }

    fn scorer(&self) -> Scorer {
        let options = score::Options::from(&self.project.app().loaded.project);
        Scorer::new(self.project.db.store.clone(), Clock::system(), options)
    }

    /// So many clicks, so long ago, which are scored.
    async fn clicks(&self, recipient: RecipientId, category: &str, days_ago: u32, count: usize, key: &str) {
        let action = |n| NewAction {
            key: format!("i:{key}:{n}"),
            recipient,
            kind: "click".to_owned(),
            category: Some(category.to_owned()),
            at: Clock::system().now().minus(DAY * days_ago),
            run: None,
            url: None,
            words: None,
        };
        let mut session = self.project.db.store.write().await.unwrap();
        actions::insert(&mut session, &(0..count).map(action).collect::<Vec<_>>()).await.unwrap();
        session.commit().await.unwrap();
        self.scorer().drain().await.unwrap();
    }

    async fn page(&self, run: &Run, who: RecipientId) -> String {
        let reply = self.server.get(&self.path(run.id, who.0)).await;
        if reply.status == 200 { said(&reply.text()) } else { reply.status.to_string() }
    }

    /// What the mails said that came since the last look, by address.
    fn mails(&mut self) -> BTreeMap<String, String> {
        let mut mails = BTreeMap::new();
        while let Ok(mail) = self.project.caught.try_recv() {
            let message = MessageParser::default().parse(&mail.message).unwrap();
            mails.insert(mail.recipients[0].clone(), said(&message.body_html(0).unwrap()));
        }
        mails
    }

    async fn kept(&self) -> i64 {
        let mut session = self.project.db.store.read().await.unwrap();
        session.one::<(i64,)>("SELECT COUNT(*) FROM past_attributes", vec![]).await.unwrap().0
    }
}

/// The HTML without where links lead, and without the pixel.
fn said(html: &str) -> String {
    let html = Regex::new("<img[^>]*/o/[^>]*>").unwrap().replace_all(html, "");
    Regex::new("href=\"[^\"]*\"").unwrap().replace_all(&html, "href").replace("\r\n", "\n").trim_end().to_owned()
}

on_both_engines! {
    async fn the_page_says_what_the_mail_said_after_everything_about_the_person_changed(db) {
        let mut viewing = dialog(db).await;
        let first = viewing.send().await;
        let mails = viewing.mails();
        let (annas, berts) = (&mails["a0@example.org"], &mails["a1@example.org"]);
        assert!(annas.contains("Hallo Anna in Chur, a0@") && annas.contains("Grüezi, ") && annas.contains(", trail<"), "{annas}");
        assert!(annas.find("Poles").unwrap() < annas.find("Shoes").unwrap(), "{annas}");
        assert!(berts.contains("Hello Bert in Bern, a1@") && berts.find("Shoes").unwrap() < berts.find("Poles").unwrap());
        assert_eq!((&viewing.page(&first, ANNA).await, &viewing.page(&first, BERT).await), (annas, berts));

        viewing.import("a0@example.org,Eva,Linz,en\na1@example.org,Bert,Chur,de\n").await;
        viewing.set(ANNA, &[("first_name", "Ida")]).await;
        viewing.clicks(ANNA, "running", 0, 30, "after").await;
        viewing.clicks(BERT, "trail", 0, 30, "after too").await;
        viewing.scorer().rebuild(Mode::Rewrite, |_| {}).await.unwrap();
        assert_eq!((&viewing.page(&first, ANNA).await, &viewing.page(&first, BERT).await), (annas, berts));

        let second = viewing.send().await;
        let newer = viewing.mails();
        let (annas_new, berts_new) = (&newer["a0@example.org"], &newer["a1@example.org"]);
        assert!(annas_new.contains("Hello Ida in Linz") && annas_new.contains("Servus, ") && annas_new.contains(", running<"));
        assert!(berts_new.contains("Hallo Bert in Chur"), "{berts_new}");
        assert_eq!((&viewing.page(&second, ANNA).await, &viewing.page(&second, BERT).await), (annas_new, berts_new));

        let mut session = viewing.project.db.store.write().await.unwrap();
        let (address, at) = (Address::parse("eva@example.org").unwrap(), Clock::system().now());
        let origin = Origin { channel: "page", run: None, at, salts: Salts::new(&[9; 32]), shown: None };
        let moved = addresses::change(&mut session, ANNA, (&address, &suppression_key()), |_| true, &origin).await.unwrap();
        assert!(matches!(moved, Moved::Done(_)));
        session.commit().await.unwrap();
        viewing.set(ANNA, &[("city", "Graz"), ("language", "de")]).await;
        assert_eq!((&viewing.page(&first, ANNA).await, &viewing.page(&second, ANNA).await), (annas, annas_new));
    }

    async fn each_mail_keeps_the_words_of_its_time_and_what_no_mail_said_is_not_kept(db) {
        let viewing = dialog(db).await;
        viewing.set(ANNA, &[("city", "Wien")]).await;
        assert_eq!(viewing.kept().await, 0, "nothing had gone out");
        let mut runs = Vec::new();
        for number in 0..3 {
            viewing.set(ANNA, &[("first_name", &format!("Passing {number}"))]).await;
            viewing.set(ANNA, &[("first_name", &format!("Anna {number}"))]).await;
            runs.push(viewing.send().await);
        }
        viewing.set(ANNA, &[("first_name", "Last")]).await;
        viewing.set(ANNA, &[("first_name", "Last")]).await;
        for (number, run) in runs.iter().enumerate() {
            let page = viewing.page(run, ANNA).await;
            assert!(page.contains(&format!("Hallo Anna {number} in Wien")), "{page}");
        }
        assert_eq!(viewing.kept().await, 3);
    }

    async fn a_file_that_changes_nothing_keeps_nothing_and_one_that_does_keeps_what_mail_said(db) {
        let viewing = dialog(db).await;
        let newcomers: String = (0..2_000).fold(String::new(), |mut rows, n| {
            writeln!(rows, "n{n}@example.org,New {n},Chur,en").unwrap();
            rows
        });
        let run = viewing.send().await;
        viewing.import(&newcomers).await;
        viewing.import(&newcomers).await;
        viewing.import(&newcomers.replace("New", "Old")).await;
        let same = viewing.import("a0@example.org,Anna,Chur,de\na1@example.org,Bert,,\n").await;
        assert_eq!((same.tally.unchanged, viewing.kept().await), (2, 0));
        viewing.import(&format!("{newcomers}a0@example.org,Eva,Linz,en\na1@example.org,Bert,Bern,en\n")).await;
        assert_eq!(viewing.kept().await, 1);
        assert!(viewing.page(&run, ANNA).await.contains("Hallo Anna in Chur"));
        let now = viewing.page(&viewing.send().await, ANNA).await;
        assert!(now.contains("Hello Eva in Linz"), "{now}");
    }

    async fn what_is_told_when_somebody_joins_again_leaves_old_mail_as_it_was(db) {
        let viewing = dialog(db).await;
        let run = viewing.send().await;
        let (address, at) = (Address::parse("a0@example.org").unwrap(), Clock::system().now());
        let hash: AddressHash = address.hash(&suppression_key());
        let new = NewJoin {
            address: &address,
            hash: &hash,
            mailbox: &hash,
            topics: &["news".to_owned()],
            tracking: false,
            attributes: &Attributes::from_iter([("first_name".to_owned(), "Eva".into())]),
            proof: &json!({}),
            at,
            expires_at: at.plus(DAY),
        };
        let mut session = viewing.project.db.store.write().await.unwrap();
        let asked = joins::ask(&mut session, &new).await.unwrap();
        let (Asked::Confirm(join, _) | Asked::Already(join, _)) = asked else { panic!("{asked:?}") };
        let confirmation = Confirmation { join, at, request: Request::default(), salts: Salts::new(&[9; 32]) };
        let confirmed = joins::confirm(&mut session, &confirmation).await.unwrap();
        assert_eq!(confirmed, Confirmed::Now(ANNA, vec!["news".to_owned()]));
        session.commit().await.unwrap();
        assert!(viewing.page(&run, ANNA).await.contains("Hallo Anna in Chur"));
        assert!(viewing.page(&viewing.send().await, ANNA).await.contains("Hallo Eva in Chur"));
    }

    async fn attributes_that_change_while_a_message_is_in_hand_are_those_that_it_was_written_with(db) {
        let viewing = dialog(db).await;
        let run = viewing.send().await;
        let store = &viewing.project.db.store;
        let mut session = store.write().await.unwrap();
        let in_hand = "UPDATE messages SET state = 'claimed', node_id = 7, attempt = 0, revision = NULL";
        session.change(2, in_hand, vec![]).await.unwrap();
        let running = "UPDATE runs SET state = 'running'";
        session.change(1, running, vec![]).await.unwrap();
        session.commit().await.unwrap();
        let written = recipients::by_id(&mut store.read().await.unwrap(), ANNA).await.unwrap().unwrap();
        viewing.set(ANNA, &[("first_name", "Eva")]).await;
        assert_eq!(written.attributes["first_name"], "Anna");
        let mark = |recipient, revision| Sending {
            message: MessageKey { run: run.id, recipient },
            attempt: 1,
            at: Clock::system().now(),
            relay: "r".into(),
            revision,
        };
        // One sender had read her before, another one reads Bert after he changes.
        let before: (i64,) = store.read().await.unwrap().one("SELECT revision FROM past_attributes", vec![]).await.unwrap();
        viewing.set(BERT, &[("first_name", "Bertram")]).await;
        let sql = "SELECT revision FROM recipients WHERE id = 2";
        let after: (i64,) = store.read().await.unwrap().one(sql, vec![]).await.unwrap();
        let sending = &[mark(ANNA, before.0), mark(BERT, after.0)];
        let marks = Marks { sending, ..Marks::default() };
        marks::write(store, NodeId(7), Clock::system().now(), marks).await.unwrap();
        assert!(viewing.page(&run, ANNA).await.contains("Hallo Anna in Chur"));
        assert!(viewing.page(&run, BERT).await.contains("Hello Bertram in Bern"));
    }

    async fn a_message_that_was_deferred_says_what_it_said_when_it_was_taken(db) {
        let mut viewing = dialog(db).await;
        let run = viewing.send().await;
        viewing.mails();
        let store = viewing.project.db.store.clone();
        let mut session = store.write().await.unwrap();
        let deferred = "UPDATE messages SET state = 'deferred', due_at = 1 WHERE recipient_id = 1";
        session.change(1, deferred, vec![]).await.unwrap();
        session.change(1, "UPDATE runs SET state = 'running', ended_at = NULL", vec![]).await.unwrap();
        session.commit().await.unwrap();
        viewing.set(ANNA, &[("first_name", "Eva")]).await;
        assert!(viewing.page(&run, ANNA).await.contains("Hallo Anna in Chur"));
        let app = viewing.project.app();
        let sender = app.sender(&store, Metrics::new(), CancellationToken::new()).await.unwrap();
        let prepared = sender.prepare(&run).await.unwrap();
        assert_eq!(sender.send(run.clone(), &prepared, true).await.unwrap(), Ended::Done);
        sender.finish().await;
        let taken = &viewing.mails()["a0@example.org"];
        assert!(taken.contains("Hallo Eva in Chur"), "{taken}");
        viewing.set(ANNA, &[("first_name", "Ida")]).await;
        assert_eq!(viewing.page(&run, ANNA).await, *taken);
    }

    async fn scores_are_those_of_the_instant_of_the_persons_wave(db) {
        let viewing = dialog(db).await;
        let run = viewing.send().await;
        assert!(viewing.page(&run, ANNA).await.contains(", trail<"));
        let due = Clock::system().now().minus(DAY * 20);
        let mut session = viewing.project.db.store.write().await.unwrap();
        let sql = "INSERT INTO waves (run_id, number, due_at, zones, others) VALUES ($1, 1, $2, '', TRUE)";
        session.change(1, sql, args![run.id, due]).await.unwrap();
        session.change(2, "UPDATE messages SET wave = 1", vec![]).await.unwrap();
        session.commit().await.unwrap();
        let page = viewing.page(&run, ANNA).await;
        assert!(page.contains("Grüezi, 0 points, <") || page.contains("Grüezi, 0.0 points, <"), "{page}");
    }

    async fn past_attributes_are_removed_after_their_time_and_mail_that_needs_them_is_not_found(db) {
        let viewing = dialog(db).await;
        let old = viewing.send().await;
        viewing.set(ANNA, &[("first_name", "Eva")]).await;
        let newer = viewing.send().await;
        let clock = Clock::stepped(Clock::system().now());
        let janitor = Janitor::new(viewing.project.db.store.clone(), clock.clone(), Metrics::new());
        let (periods, going) = (Retention { attributes: DAY * 40, ..Retention::default() }, CancellationToken::new());
        clock.set(clock.now().plus(DAY * 39));
        assert_eq!(janitor.round(&periods, &going).await.unwrap().attributes, 0);
        assert!(viewing.page(&old, ANNA).await.contains("Hallo Anna in Chur"));
        clock.set(clock.now().plus(DAY * 2));
        let removed = janitor.round(&periods, &going).await.unwrap();
        assert_eq!(removed, Removed { attributes: 1, replies: removed.replies, ..Removed::default() });
        assert_eq!((viewing.page(&old, ANNA).await.as_str(), viewing.kept().await), ("404", 0));
        assert!(viewing.page(&newer, ANNA).await.contains("Hallo Eva in Chur"));
        assert!(viewing.page(&old, BERT).await.contains("Hello Bert in Bern"));
    }

    async fn a_copy_of_everything_holds_past_attributes_and_erasure_leaves_none(db) {
        let viewing = dialog(db).await;
        let run = viewing.send().await;
        viewing.set(ANNA, &[("first_name", "Eva")]).await;
        let (app, store) = (viewing.project.app(), &viewing.project.db.store);
        let rules = (&app.loaded.project.score, &app.loaded.project.cluster);
        let (anna, now) = (Address::parse("a0@example.org").unwrap(), Clock::system().now());
        let known = person::known(store, rules, &anna, now, Micros(i64::MAX)).await.unwrap().unwrap();
        let words: Vec<_> = known.past_attributes.iter().map(|past| past.attributes["first_name"].as_str()).collect();
        assert_eq!((words, &known.attributes["first_name"]), (vec![Some("Anna")], &json!("Eva")));
        assert!(forget_address(store, &suppression_key(), &anna, now).await.unwrap());
        assert_eq!((viewing.kept().await, viewing.page(&run, ANNA).await.as_str()), (0, "404"));
        let left = past::of(&mut store.read().await.unwrap(), ANNA, Micros(i64::MAX)).await.unwrap();
        assert_eq!(left, []);
    }
}

#[test]
fn whatever_writes_attributes_keeps_those_that_mail_went_out_with() {
    let writes = Regex::new("UPDATE recipients\\s+SET attributes").unwrap();
    let writers: Vec<_> = sources().into_iter().filter(|(_, text)| writes.is_match(text)).collect();
    let files: Vec<_> = writers.iter().map(|(file, _)| file.to_str().unwrap()).collect();
    assert_eq!(files, ["store/imports/bulk.rs", "store/recipients.rs"]);
    for (file, text) in &writers {
        assert!(text.contains("past::keeping(") && text.contains("revision + 1"), "{}", file.display());
    }
}
