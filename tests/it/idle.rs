//! A sender that has nothing to do takes nothing from others.

use std::sync::Arc;
use std::time::Duration;

use colloquy::app::App;
use colloquy::args;
use colloquy::clock::Clock;
use colloquy::demo::catcher::{Act, Step};
use colloquy::domain::message::MessageState;
use colloquy::domain::run::RunState;
use colloquy::metrics::Metrics;
use colloquy::send::Ended;
use colloquy::store::{runs, versions};
use tokio_util::sync::CancellationToken;

use crate::project::{Project, Settings};
use crate::support::on_both_engines;

fn scheduled(at: &str) -> String {
    format!(
        "topic = \"news\"\nsubject = \"Hello\"\ntemplate = \"hello.hbs\"\n[schedule]\nat = {at}\ntimezone = \"UTC\"\n"
    )
}

on_both_engines! {
    /// While somebody holds SQLite's writer, or the run's row on PostgreSQL.
    async fn a_run_with_nothing_but_deferred_mail_does_not_want_the_writer(db) {
        let script = |step, _: &str| (step == Step::Rcpt).then(|| Act::Say("451 4.7.1 greylisted".into()));
        let project = Project::new(db, Settings::default(), script).await;
        project.import(1).await;
        let app = project.app();
        let (run, ended) = project.send().await;
        assert_eq!(ended, Ended::OnlyDeferred(1));
        let store = &project.db.store;
        let sender = app.sender(store, Metrics::new(), CancellationToken::new()).await.unwrap();
        let prepared = sender.prepare(&run).await.unwrap();
        let mut writer = store.write().await.unwrap();
        let run = runs::lock(&mut writer, run.id).await.unwrap();
        assert!(run.claimed_all);
        assert_eq!(sender.send(run, &prepared, false).await.unwrap(), Ended::OnlyDeferred(1));
        writer.rollback().await.unwrap();
        sender.finish().await;
    }

    /// Each try to make a run takes a number on PostgreSQL.
    async fn an_occasion_that_has_its_run_is_not_made_again(db) {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        let campaigns = project.db.dir.path().join("config/campaigns");
        std::fs::write(campaigns.join("first.toml"), scheduled("2030-01-01T09:00:00")).unwrap();
        std::fs::write(campaigns.join("second.toml"), scheduled("2030-01-01T10:00:00")).unwrap();
        project.import(1).await;
        let start: jiff::Timestamp = "2030-01-01T08:59:00Z".parse().unwrap();
        let app = App::open(project.db.dir.path(), Clock::fast(start.into(), 7_200.0)).unwrap();
        let store = &project.db.store;
        let version = app.freeze(store).await.unwrap();
        let mut session = store.write().await.unwrap();
        versions::apply(&mut session, version, app.clock.now()).await.unwrap();
        session.commit().await.unwrap();
        let soft = CancellationToken::new();
        let sender = Arc::new(app.sender(store, Metrics::new(), soft.clone()).await.unwrap());
        let serving = tokio::spawn({
            let sender = Arc::clone(&sender);
            async move { sender.serve().await }
        });
        let runs = loop {
            let runs = runs::recent(&mut store.read().await.unwrap(), None).await.unwrap();
            if runs.len() == 2 && runs.iter().all(|run| run.state == RunState::Done) {
                break runs;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        soft.cancel();
        serving.await.unwrap();
        Arc::into_inner(sender).unwrap().finish().await;
        let names: Vec<_> = runs.iter().map(|run| (run.id.0, run.campaign.as_str())).collect();
        assert_eq!(names, [(2, "second"), (1, "first")]);
        for run in &runs {
            assert_eq!(project.count(run, MessageState::Accepted).await, 1);
        }
        let messages = "SELECT COUNT(*) FROM messages";
        assert_eq!(store.read().await.unwrap().one::<(i64,)>(messages, args![]).await.unwrap().0, 2);
    }
}
