//! Plans over a small population, and the eligibility rule that they share with the claim.

mod people;

use std::collections::BTreeMap;
use std::time::Duration;

use colloquy::args;
use colloquy::config::{self, Loaded, ProjectFiles, Secrets};
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::message::{Exclusion, MessageState};
use colloquy::domain::rate::Rate;
use colloquy::domain::run::RunState;
use colloquy::domain::time::Micros;
use colloquy::domain::token::Keyring;
use colloquy::plan::{Plan, Planner};
use colloquy::render::Mailing;
use colloquy::store::eligibility::{Own, Permission, reason_sql};
use colloquy::store::{Session, Store};
use serde_json::{Value, json};

use crate::support::{Database, on_both_engines};
use people::{DAY, NOW, message, people, person, run};

/// The sample project in the test's directory, with a campaign's file in place of its own.
struct Project {
    loaded: Loaded,
    files: BTreeMap<String, String>,
    keyring: Keyring,
}

impl Project {
    fn new(db: &Database, audience: &str) -> Self {
        config::init(db.dir.path(), &aws_lc_rs::rand::SystemRandom::new()).unwrap();
        let campaign = format!(
            "topic = \"news\"\nsubject = \"Hello {{{{first_name}}}}\"\ntemplate = \"offers.mjml\"\n{audience}\n
             [throttle]\nrate = \"2/s\"\n
             [[offers.item]]\ncategory = \"trail\"\ntitle = \"Shoes\"\nurl = \"https://shop.example/1\"\nprice = \"9 €\"\n"
        );
        std::fs::write(db.dir.path().join("config/campaigns/gear.toml"), campaign).unwrap();
        let source = ProjectFiles::Disk(db.dir.path().to_owned());
        let loaded = config::load(&source).unwrap_or_else(|problems| panic!("{problems}"));
        let keyring = Secrets::load(&db.dir.path().join("config/secrets.toml")).unwrap().keyring();
        Self { loaded, files: source.freeze().unwrap(), keyring }
    }

    fn mailing(&self) -> Mailing {
        Mailing::compile(&self.loaded.campaigns["gear"], &self.loaded.project, &self.files)
            .unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn planner<'a>(&'a self, store: &'a Store, mailing: &'a Mailing, at: Option<i64>) -> Planner<'a> {
        Planner {
            store,
            project: &self.loaded.project,
            campaign: &self.loaded.campaigns["gear"],
            mailing,
            relays: &self.loaded.settings.relays,
            keyring: &self.keyring,
            now: Micros(NOW),
            at: at.map(Micros),
            resend: None,
        }
    }

    async fn plan(&self, store: &Store, at: Option<i64>) -> Plan {
        self.planner(store, &self.mailing(), at).plan().await.unwrap()
    }
}

fn excluded(plan: &Plan) -> Vec<i64> {
    plan.excluded.values().map(|people| people.as_i64().unwrap()).collect()
}

async fn rows(session: &mut Session) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in ["recipients", "runs", "messages", "versions", "actions", "facts", "run_exclusions", "nodes"] {
        let (count,): (i64,) = session.one(format!("SELECT COUNT(*) FROM {table}"), args![]).await.unwrap();
        counts.push(count);
    }
    counts
}

async fn reason(session: &mut Session, own: Own, permission: Permission<'_>) -> Option<Exclusion> {
    let sql = format!("SELECT {} FROM recipients r WHERE r.id = 1", reason_sql(own, 1));
    let (word,): (Option<String>,) = session.one(sql, permission.args()).await.unwrap();
    word.map(|word| Exclusion::parse(&word).unwrap())
}

on_both_engines! {
    async fn each_person_counts_under_the_first_reason_and_nothing_is_written(db) {
        let project = Project::new(&db, "");
        people(&db.store).await;
        let before = rows(&mut db.store.read().await.unwrap()).await;
        let plan = project.plan(&db.store, None).await;
        assert_eq!((plan.audience, plan.messages), (20, 12));
        assert_eq!(excluded(&plan), [2, 3, 1, 0, 2, 0]);
        assert_eq!(plan.excluded.keys().collect::<Vec<_>>(), Exclusion::ALL.map(Exclusion::as_str).to_vec());
        let domains: Vec<_> = plan.by_domain.iter().map(|(domain, n)| (domain.as_str(), n.as_i64().unwrap())).collect();
        assert_eq!(domains, [("gmail.com", 8), ("example.org", 4)]);
        assert_eq!(Value::from(plan.by_relay.clone()), json!({"outbox": 12}));
        assert_eq!((plan.eta_seconds, plan.ends_at), (6, Micros(NOW + 6_000_000)));
        assert_eq!(plan.limited_by.as_deref(), Some("the campaign's rate"));
        assert!(plan.changed.is_none());
        assert_eq!(plan.samples.len(), 3);
        assert!(plan.samples.iter().all(|s| s.subject.starts_with("Hello P") && s.size > 500));
        assert!(plan.samples.iter().all(|s| s.links.iter().any(|l| l["url"] == "https://shop.example/1")));
        let shown = serde_json::to_value(&plan).unwrap();
        assert_eq!(shown["at"], json!(Micros(NOW).to_string()));
        assert!(plan.to_string().contains("no_consent"));
        assert_eq!(rows(&mut db.store.read().await.unwrap()).await, before);
    }

    /// NOW is nine o'clock in Tokyo; two messages a second go to twelve people.
    async fn hours_without_mail_count_in_how_long_it_lasts(db) {
        let hours = "[schedule]\nwindow = [\"10:00\", \"10:01\"]\ntimezone = \"Asia/Tokyo\"";
        let project = Project::new(&db, hours);
        people(&db.store).await;
        let plan = project.plan(&db.store, None).await;
        let opens = project.loaded.campaigns["gear"].timing.hours("Asia/Tokyo").opens(Micros(NOW)).unwrap();
        assert_eq!((plan.starts_at, plan.ends_at), (opens, opens.plus(Duration::from_secs(6))));
        assert_eq!(plan.eta_seconds, opens.since(Micros(NOW)).as_secs() + 6);
        let nothing = format!("nothing leaves before {opens}: it is outside the window");
        assert!(plan.warnings.contains(&nothing), "{:?}", plan.warnings);
    }

    async fn a_plan_says_when_the_limits_take_longer_than_its_messages_are_valid(db) {
        let mut project = Project::new(&db, "valid_for = \"5s\"");
        people(&db.store).await;
        for (seconds, warned) in [(5, true), (7, false)] {
            let campaign = project.loaded.campaigns.get_mut("gear").unwrap();
            campaign.timing.valid_for = Some(Duration::from_secs(seconds));
            let plan = project.plan(&db.store, None).await;
            assert_eq!(plan.warnings.iter().any(|w| w.contains("is skipped as too_late")), warned, "{:?}", plan.warnings);
        }
    }

    async fn another_moment_has_other_pauses_caps_and_people(db) {
        let project = Project::new(&db, "[audience]\nwhere = 'not received(within = \"20d\")'");
        people(&db.store).await;
        let plan = project.plan(&db.store, None).await;
        assert_eq!((plan.audience, plan.messages), (18, 12), "two received something two days ago");
        let later = project.plan(&db.store, Some(NOW + 30 * DAY)).await;
        assert_eq!((later.audience, excluded(&later)), (20, vec![2, 3, 0, 0, 0, 0]));
        let earlier = project.plan(&db.store, Some(NOW - 5 * DAY)).await;
        assert_eq!((earlier.audience, excluded(&earlier)), (20, vec![2, 3, 1, 0, 2, 0]));
    }

    async fn an_unfinished_run_goes_on_and_a_finished_one_is_compared_with(db) {
        let project = Project::new(&db, "");
        people(&db.store).await;
        let mut tx = db.store.write().await.unwrap();
        let over = run(&mut tx, "gear", "1", RunState::Done, NOW - 40 * DAY).await;
        for (n, state) in [(1, "accepted"), (2, "rejected"), (8, "accepted"), (10, "skipped")] {
            message(&mut tx, over, n, state, NOW - 40 * DAY).await;
        }
        tx.execute("INSERT INTO run_exclusions (run_id, reason, people) VALUES ($1, 'no_consent', 3)", args![over])
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let plan = project.plan(&db.store, None).await;
        let changed = serde_json::to_value(plan.changed.as_ref().unwrap()).unwrap();
        assert_eq!(changed["audience"], json!({"then": 7, "now": 20}));
        assert_eq!(changed["messages"], json!({"then": 3, "now": 12}));
        assert_eq!((&changed["new"], &changed["gone"]), (&json!(10), &json!(1)));
        assert_eq!((plan.occasion.as_str(), plan.run), ("2", None));

        let mut tx = db.store.write().await.unwrap();
        let begun = NOW - DAY / 48;
        let open = run(&mut tx, "gear", "2", RunState::Running, begun).await;
        for (n, state) in [(1, "accepted"), (2, "waiting")] {
            message(&mut tx, open, n, state, begun).await;
        }
        tx.commit().await.unwrap();
        let plan = project.plan(&db.store, None).await;
        assert_eq!((plan.occasion.as_str(), plan.run, plan.at), ("2", Some(open.0), Micros(begun)));
        assert_eq!((plan.messages, excluded(&plan)), (10, vec![2, 3, 1, 2, 2, 0]));
        assert!(plan.warnings.iter().any(|w| w.contains("is not over")), "{:?}", plan.warnings);
    }

    async fn every_message_that_would_go_out_is_one_line(db) {
        let project = Project::new(&db, "[audience]\nwhere = 'attr.first_name != \"P1\"'");
        people(&db.store).await;
        let mailing = project.mailing();
        let mut file = Vec::new();
        let written = project.planner(&db.store, &mailing, None).write_messages(&mut file).await.unwrap();
        let lines: Vec<Value> =
            String::from_utf8(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((written.messages, written.failed, lines.len()), (11, 0, 11));
        for line in &lines {
            assert_eq!(line["offers"], json!([{"category": "trail", "title": "Shoes", "url": "https://shop.example/1"}]));
            assert!(line["links"].as_array().unwrap().contains(&json!({"url": "https://shop.example/1", "category": "trail"})));
            assert!(line["size"].as_i64().unwrap() > 500 && line["address"] != "p1@gmail.com");
        }
    }

    async fn a_person_whose_message_cannot_be_rendered_is_told_apart(db) {
        let project = Project::new(&db, "");
        people(&db.store).await;
        let mut tx = db.store.write().await.unwrap();
        tx.change(1, "UPDATE recipients SET attributes = $1 WHERE id = 1", args![json!({})]).await.unwrap();
        tx.commit().await.unwrap();
        let mailing = project.mailing();
        let written = project.planner(&db.store, &mailing, None).write_messages(&mut Vec::new()).await.unwrap();
        assert_eq!((written.messages, written.failed), (11, 1));
        assert!(written.first_failure.unwrap().contains("first_name"));
        let plan = project.plan(&db.store, None).await;
        assert!(plan.warnings.iter().any(|w| w.contains("cannot be rendered")), "{:?}", plan.warnings);
    }

    async fn nobody_left_is_explained(db) {
        let project = Project::new(&db, "[audience]\nwhere = 'attr.first_name = \"P3\"'");
        people(&db.store).await;
        let plan = project.plan(&db.store, None).await;
        assert_eq!((plan.audience, plan.messages, plan.samples.len()), (1, 0, 0));
        assert!(plan.warnings[0].contains("suppressed"), "{:?}", plan.warnings);
    }

    async fn the_rule_names_the_first_reason_that_holds(db) {
        let mut tx = db.store.write().await.unwrap();
        person(&mut tx, 1, "example.org").await;
        let ours = run(&mut tx, "gear", "1", RunState::Running, NOW).await;
        let other = run(&mut tx, "welcome", "1", RunState::Done, NOW).await;
        let cap = Some(Rate::parse_cap("1 per 7d").unwrap());
        let permission = Permission { topic: "news", at: Micros(NOW), run: Some(ours), cap };
        assert_eq!(reason(&mut tx, Own::Excludes, permission).await, None);

        message(&mut tx, other, 1, "accepted", NOW - DAY).await;
        assert_eq!(reason(&mut tx, Own::Excludes, permission).await, Some(Exclusion::FrequencyCap));
        let other_topic = Permission { topic: "offers", ..permission };
        assert_eq!(reason(&mut tx, Own::Excludes, other_topic).await, Some(Exclusion::NoConsent));
        message(&mut tx, ours, 1, "deferred", NOW).await;
        assert_eq!(reason(&mut tx, Own::Excludes, permission).await, Some(Exclusion::AlreadyMessaged));
        assert_eq!(reason(&mut tx, Own::InQuestion, permission).await, Some(Exclusion::FrequencyCap));
        tx.change(1, "UPDATE recipients SET paused_until = $1 WHERE id = 1", args![NOW + 1]).await.unwrap();
        assert_eq!(reason(&mut tx, Own::Excludes, permission).await, Some(Exclusion::Paused));
        assert_eq!(reason(&mut tx, Own::InQuestion, Permission { cap: None, ..permission }).await, Some(Exclusion::Paused));
        tx.change(1, "UPDATE subscriptions SET subscribed = FALSE WHERE recipient_id = 1", args![]).await.unwrap();
        assert_eq!(reason(&mut tx, Own::InQuestion, permission).await, Some(Exclusion::NoConsent));
        people::suppress(&mut tx, 1).await;
        assert_eq!(reason(&mut tx, Own::InQuestion, permission).await, Some(Exclusion::Suppressed));
    }

    async fn the_cap_counts_what_was_or_may_have_been_sent_in_its_window(db) {
        let mut tx = db.store.write().await.unwrap();
        person(&mut tx, 1, "example.org").await;
        let ours = run(&mut tx, "gear", "1", RunState::Running, NOW).await;
        let other = run(&mut tx, "welcome", "1", RunState::Done, NOW).await;
        let cap = Some(Rate::parse_cap("1 per 7d").unwrap());
        let permission = Permission { topic: "news", at: Micros(NOW), run: Some(ours), cap };
        message(&mut tx, ours, 1, "claimed", NOW).await;
        assert_eq!(reason(&mut tx, Own::InQuestion, permission).await, None, "its own message does not count");
        message(&mut tx, other, 1, "accepted", NOW - 7 * DAY).await;
        assert_eq!(reason(&mut tx, Own::InQuestion, permission).await, None, "that was before the window");
        for state in MessageState::ALL {
            let sql = "UPDATE messages SET state = $1, at = $2 WHERE run_id = $3";
            tx.change(1, sql, args![state.as_str(), NOW - 7 * DAY + 1, other]).await.unwrap();
            let uncounted = matches!(state, MessageState::Waiting | MessageState::Rejected | MessageState::Skipped);
            let expected = (!uncounted).then_some(Exclusion::FrequencyCap);
            assert_eq!(reason(&mut tx, Own::InQuestion, permission).await, expected, "{state:?}");
        }
    }

    async fn who_is_erased_is_never_permitted(db) {
        let mut tx = db.store.write().await.unwrap();
        let RecipientId(id) = person(&mut tx, 1, "example.org").await;
        let permission = Permission { topic: "news", at: Micros(NOW), run: Some(RunId(1)), cap: None };
        assert_eq!(reason(&mut tx, Own::InQuestion, permission).await, None);
        tx.change(1, "UPDATE recipients SET address = NULL, erased_at = 1 WHERE id = $1", args![id]).await.unwrap();
        assert_eq!(reason(&mut tx, Own::InQuestion, permission).await, Some(Exclusion::NoConsent));
    }
}
