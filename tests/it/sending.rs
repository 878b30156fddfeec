//! Runs from claim to answer, over real SMTP, on both engines.

use std::sync::atomic::{AtomicUsize, Ordering};

use colloquy::args;
use colloquy::clock;
use colloquy::demo::catcher::{Act, Step};
use colloquy::domain::consent::Salts;
use colloquy::domain::id::RecipientId;
use colloquy::domain::message::MessageState;
use colloquy::domain::run::RunState;
use colloquy::send::Ended;
use colloquy::store::runs::NewRun;
use colloquy::store::subscriptions::Origin;
use colloquy::store::{runs, subscriptions};
use tokio_util::sync::CancellationToken;

use crate::project::{Project, Settings, shared};
use crate::support::logs::Logs;
use crate::support::on_both_engines;

fn addresses(n: usize) -> Vec<String> {
    let mut all: Vec<_> = (0..n).map(|n| format!("a{n}@example.org")).collect();
    all.sort();
    all
}

on_both_engines! {
    async fn everybody_gets_one_message_and_the_run_is_done(db) {
        let mut project = Project::new(db, Settings::default(), |_, _| None).await;
        project.import(1_234).await;
        let (run, ended) = project.send().await;
        assert_eq!(ended, Ended::Done);
        assert_eq!(project.drain(), addresses(1_234));
        assert_eq!(project.count(&run, MessageState::Accepted).await, 1_234);
        let stored = runs::by_id(&mut project.db.store.read().await.unwrap(), run.id).await.unwrap().unwrap();
        assert_eq!(stored.state, RunState::Done);
    }

    async fn a_soft_stop_leaves_a_run_that_goes_on_without_gap_or_repeat(db) {
        let soft = CancellationToken::new();
        let (seen, in_script) = shared(AtomicUsize::new(0));
        let stop = soft.clone();
        let mut project = Project::new(db, Settings::default(), move |step, _| {
            if step == Step::Dot && in_script.fetch_add(1, Ordering::SeqCst) == 100 {
                stop.cancel();
            }
            None
        })
        .await;
        project.import(1_000).await;
        let (first, ended) = project.send_until(soft).await;
        assert_eq!(ended, Ended::Stopped);
        let sent = seen.load(Ordering::SeqCst);
        assert!((101..1_000).contains(&sent), "{sent}");
        for state in [MessageState::Claimed, MessageState::Sending, MessageState::Unknown] {
            assert_eq!(project.count(&first, state).await, 0, "{state:?}");
        }
        let (second, ended) = project.send().await;
        assert_eq!((second.id, ended), (first.id, Ended::Done));
        assert_eq!(project.drain(), addresses(1_000));
    }

    async fn refusals_end_where_the_server_says(db) {
        let script = |step, line: &str| match step {
            Step::Rcpt if line.contains("a1@") => Some(Act::Say("550 5.1.1 no such user".into())),
            Step::Rcpt if line.contains("a2@") => Some(Act::Say("451 4.7.1 greylisted".into())),
            _ => None,
        };
        let mut project = Project::new(db, Settings::default(), script).await;
        project.import(5).await;
        let (run, ended) = project.send().await;
        assert_eq!(ended, Ended::OnlyDeferred(1));
        assert_eq!(project.drain(), ["a0@example.org", "a3@example.org", "a4@example.org"]);
        assert_eq!(project.count(&run, MessageState::Rejected).await, 1);
        let sql = "SELECT outcome, code, reply FROM attempts ORDER BY outcome";
        let mut session = project.db.store.read().await.unwrap();
        let attempts: Vec<(String, Option<i64>, String)> = session.all(sql, args![]).await.unwrap();
        assert_eq!(attempts[0], ("deferred".into(), Some(451), "rcpt: 4.7.1 greylisted".into()));
        assert_eq!(attempts[1], ("rejected".into(), Some(550), "rcpt: 5.1.1 no such user".into()));
    }

    async fn a_relay_that_knows_nobody_is_doubted_in_one_line(db) {
        let logs = Logs::begin();
        let script = |step, _: &str| (step == Step::Rcpt).then(|| Act::Say("550 5.1.1 no such user".into()));
        let project = Project::new(db, Settings::default(), script).await;
        project.import(30).await;
        let (run, _) = project.send().await;
        assert_eq!(project.count(&run, MessageState::Rejected).await, 30);
        assert_eq!(logs.count("nobody is given up for it"), 1);
        assert_eq!(logs.count("recipient="), 0, "nothing is logged per message");
    }

    async fn a_swallowed_answer_is_unknown_and_never_sent_again(db) {
        let script = |step, _: &str| (step == Step::Dot).then_some(Act::Close);
        let settings = Settings { relay: "connections = 1", ..Settings::default() };
        let project = Project::new(db, settings, script).await;
        project.import(3).await;
        let (run, ended) = project.send().await;
        assert_eq!(ended, Ended::Done);
        assert_eq!(project.count(&run, MessageState::Unknown).await, 3);
    }

    async fn unsubscribe_during_a_run_stops_unclaimed_messages(db) {
        let soft = CancellationToken::new();
        let stop = soft.clone();
        let settings = Settings { relay: "connections = 1\nrate = \"200/s\"", ..Settings::default() };
        let mut project = Project::new(db, settings, move |step, _| {
            if step == Step::Dot { stop.cancel(); }
            None
        })
        .await;
        project.import(300).await;
        let (run, _) = project.send_until(soft).await;
        let before = project.drain();
        let app = project.app();
        let mut tx = project.db.store.write().await.unwrap();
        let newest = "SELECT id, address FROM recipients ORDER BY id DESC LIMIT 1";
        let (last, address): (i64, String) = tx.one(newest, args![]).await.unwrap();
        let salts = Salts::new(&clock::secret());
        let origin = Origin { channel: "page", run: Some(run.id), at: app.clock.now(), salts, shown: None };
        assert!(subscriptions::leave(&mut tx, RecipientId(last), "news", &origin).await.unwrap());
        tx.commit().await.unwrap();
        let (_, ended) = project.send().await;
        assert_eq!(ended, Ended::Done);
        let after = project.drain();
        assert_eq!(before.len() + after.len(), 299);
        assert!(!before.contains(&address) && !after.contains(&address));
        let excluded = runs::exclusions(&mut project.db.store.read().await.unwrap(), run.id).await.unwrap();
        assert_eq!(excluded, [("no_consent".to_owned(), 1)]);
    }

    async fn the_frequency_cap_holds_over_runs(db) {
        let settings = Settings { limits: "frequency_cap = \"2 per 7d\"", ..Settings::default() };
        let mut project = Project::new(db, settings, |_, _| None).await;
        project.import(20).await;
        for _ in 0..3 {
            project.send().await;
        }
        assert_eq!(project.drain().len(), 40);
        let newest = runs::recent(&mut project.db.store.read().await.unwrap(), Some("hello")).await.unwrap().remove(0);
        let excluded = runs::exclusions(&mut project.db.store.read().await.unwrap(), newest.id).await.unwrap();
        assert_eq!(excluded, [("frequency_cap".to_owned(), 20)]);
    }

    async fn a_recipient_for_whom_nothing_can_be_rendered_is_skipped_with_the_reason(db) {
        let campaign = "topic = \"news\"\nsubject = \"{{nickname}}\"\ntemplate = \"hello.hbs\"\n";
        let mut project = Project::new(db, Settings { campaign, ..Settings::default() }, |_, _| None).await;
        project.import(2).await;
        let (run, ended) = project.send().await;
        assert_eq!(ended, Ended::Done);
        assert_eq!(project.drain().len(), 0);
        assert_eq!(project.count(&run, MessageState::Skipped).await, 2);
        let mut session = project.db.store.read().await.unwrap();
        let (reason,): (String,) = session.one("SELECT MIN(reply) FROM messages", args![]).await.unwrap();
        assert!(reason.starts_with("render: ") && reason.contains("nickname"), "{reason}");
    }

    async fn rejections_before_a_restart_count_until_somebody_resumes_the_run(db) {
        let soft = CancellationToken::new();
        let (stop, dots) = (soft.clone(), AtomicUsize::new(0));
        let script = move |step, line: &str| match step {
            Step::Dot if dots.fetch_add(1, Ordering::SeqCst) == 119 => { stop.cancel(); None }
            Step::Rcpt if line.contains("0@") || line.contains("5@") => Some(Act::Say("550 5.1.1 no such user".into())),
            _ => None,
        };
        let settings = Settings { limits: "pause_at_rejections = \"10%\"", relay: "connections = 2\nrate = \"300/s\"", ..Settings::default() };
        let project = Project::new(db, settings, script).await;
        project.import(300).await;
        let (run, ended) = project.send_until(soft).await;
        assert_eq!(ended, Ended::Stopped);
        assert!(project.count(&run, MessageState::Accepted).await < 160, "too few for the limit");
        let (_, ended) = project.send().await;
        assert_eq!(ended, Ended::Halted(RunState::Paused));
        assert!(project.count(&run, MessageState::Accepted).await < 240, "some are left");

        let mut tx = project.db.store.write().await.unwrap();
        let now = project.app().clock.now();
        assert!(runs::change(&mut tx, run.id, RunState::Paused, RunState::Running, None, now).await.unwrap());
        tx.commit().await.unwrap();
        let (_, ended) = project.send().await;
        assert_eq!(ended, Ended::Done, "who resumes a run has seen the rejections before");
        assert_eq!(project.count(&run, MessageState::Rejected).await, 60);
    }

    async fn a_campaign_pauses_at_a_limit_of_its_own_and_says_why(db) {
        let script = |step, line: &str| match step {
            Step::Rcpt if line.contains("@dead.example") => Some(Act::Say(format!("550 5.1.1 {line} is unknown"))),
            _ => None,
        };
        let campaign = "topic = \"news\"\nsubject = \"Hello\"\ntemplate = \"hello.hbs\"\n\
            [limits]\npause_at_rejections = \"20%\"\n";
        let settings = Settings { limits: "pause_at_rejections = \"90%\"", campaign, ..Settings::default() };
        let project = Project::new(db, settings, script).await;
        let domain = |n| if n % 3 == 0 { "dead" } else { "live" };
        project.import_addresses((1_000..1_600).map(|n| format!("a{n}@{}.example", domain(n)))).await;
        let (run, ended) = project.send().await;
        assert_eq!(ended, Ended::Halted(RunState::Paused));
        let paused = runs::by_id(&mut project.db.store.read().await.unwrap(), run.id).await.unwrap().unwrap();
        let reason = paused.reason.unwrap();
        assert!(reason.contains("more than the 20% of pause_at_rejections: most often 550 5.1.1 at rcpt"), "{reason}");
        assert!(reason.contains("most at dead.example") && !reason.contains('@'), "{reason}");
    }

    async fn an_occasion_that_expired_does_not_count_as_sent(db) {
        let mut project = Project::new(db, Settings::default(), |_, _| None).await;
        project.import(2).await;
        let (app, store) = (project.app(), project.db.store.clone());
        let (version, at) = (app.freeze(&store).await.unwrap(), app.clock.now());
        let (occasion, state) = ("2026-01-06T09:00:00Z", RunState::Expired);
        let expired = NewRun { campaign: "hello", topic: "news", occasion, version, state, at };
        let mut tx = store.write().await.unwrap();
        assert!(runs::create(&mut tx, expired).await.unwrap());
        tx.commit().await.unwrap();

        let begin = async || app.begin(&store, app.campaign("hello").unwrap(), false).await;
        assert_eq!(begin().await.unwrap().occasion, "2");
        let (_, ended) = project.send().await;
        assert_eq!((ended, project.drain().len()), (Ended::Done, 2));
        let refused = begin().await.unwrap_err().to_string();
        assert!(refused.contains("'hello' was sent before: run 2 (2) is done"), "{refused}");
    }

    async fn rejections_at_rare_domains_count_by_their_share_from_the_start(db) {
        let script = |step, line: &str| match step {
            Step::Rcpt if line.contains("@rare") => Some(Act::Say("550 5.1.2 no such host".into())),
            _ => None,
        };
        let settings = Settings { limits: "pause_at_rejections = \"13%\"", ..Settings::default() };
        let project = Project::new(db, settings, script).await;
        let domain = |n| if n % 10 == 5 { format!("rare{n}.example") } else { "example.org".to_owned() };
        project.import_addresses((1_000..1_600).map(|n| format!("a{n}@{}", domain(n)))).await;
        let (run, ended) = project.send().await;
        assert_eq!(ended, Ended::Done);
        assert_eq!(project.count(&run, MessageState::Rejected).await, 60);
    }

    async fn two_senders_at_once_share_one_run(db) {
        let mut project = Project::new(db, Settings::default(), |_, _| None).await;
        project.import(2_000).await;
        let ((a, _), (b, _)) = tokio::join!(project.send(), project.send());
        assert_eq!(a.id, b.id);
        assert_eq!(project.drain(), addresses(2_000));
    }
}
