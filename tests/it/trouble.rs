//! Runs that cannot go on: the database away or broken, files that are not right.

use std::sync::Arc;
use std::time::Duration;

use colloquy::app::App;
use colloquy::clock::Clock;
use colloquy::demo::catcher::{Act, Step};
use colloquy::domain::message::MessageState;
use colloquy::domain::run::RunState;
use colloquy::domain::time::Micros;
use colloquy::metrics::Metrics;
use colloquy::send::{Ended, Error, Sender};
use colloquy::store::EngineKind;
use colloquy::store::runs::{self, Run};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::project::{Project, Settings};
use crate::support::logs::Logs;
use crate::support::{Database, database, on_both_engines, program};

const ASKS_FOR_ACTIONS: &str = "topic = \"news\"\nsubject = \"Hello\"\ntemplate = \"hello.hbs\"\n\
                                [audience]\nwhere = 'not did(\"conversion\")'\n";

/// A project with a second campaign, `broken`, whose audience the database cannot tell.
async fn half_broken(db: Database) -> Project {
    let project = Project::new(db, Settings::default(), |_, _| None).await;
    std::fs::write(project.db.dir.path().join("config/campaigns/broken.toml"), ASKS_FOR_ACTIONS).unwrap();
    project.import(3).await;
    change(&project, "ALTER TABLE actions RENAME TO actions_lost").await;
    project
}

async fn change(project: &Project, sql: &'static str) {
    let mut session = project.db.store.write().await.unwrap();
    session.execute(sql, vec![]).await.unwrap();
    session.commit().await.unwrap();
}

async fn begin(project: &Project, app: &App, campaign: &str) -> Run {
    app.begin(&project.db.store, app.campaign(campaign).unwrap(), true).await.unwrap()
}

fn refuse(step: Step, _: &str) -> Option<Act> {
    (step == Step::Greeting).then(|| Act::SayAndClose("554 5.7.1 go away".into()))
}

fn serve(sender: &Arc<Sender>) -> JoinHandle<()> {
    let sender = Arc::clone(sender);
    tokio::spawn(async move { sender.serve().await })
}

/// Waits until a run has left `running`.
async fn left(project: &Project, run: &Run) -> Run {
    loop {
        let found = runs::by_id(&mut project.db.store.read().await.unwrap(), run.id).await.unwrap().unwrap();
        if found.state != RunState::Running {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

on_both_engines! {
    async fn a_run_that_the_database_refuses_fails_with_its_error(db) {
        let project = half_broken(db).await;
        let app = project.app();
        let run = begin(&project, &app, "broken").await;
        let sender = app.sender(&project.db.store, Metrics::new(), CancellationToken::new()).await.unwrap();
        let prepared = sender.prepare(&run).await.unwrap();
        let error = sender.send(run, &prepared, false).await.unwrap_err();
        sender.finish().await;
        assert!(matches!(&error, Error::Store(_)) && !error.may_pass(), "{error}");
        assert!(error.to_string().contains("actions"), "{error}");
    }

    async fn a_run_ends_with_the_words_of_a_relay_that_refuses_for_good(db) {
        let project = Project::new(db, Settings::default(), refuse).await;
        project.import(3).await;
        let app = project.app();
        let run = begin(&project, &app, "hello").await;
        let sender = app.sender(&project.db.store, Metrics::new(), CancellationToken::new()).await.unwrap();
        let prepared = sender.prepare(&run).await.unwrap();
        let error = sender.send(run.clone(), &prepared, false).await.unwrap_err();
        sender.finish().await;
        assert!(matches!(&error, Error::Relay { relay, .. } if relay == "catcher"), "{error}");
        assert!(error.to_string().contains("go away"), "{error}");
        assert_eq!(project.count(&run, MessageState::Waiting).await, 3);
    }

    async fn what_a_relay_says_is_told_and_stored_but_not_logged(db) {
        let project = Project::new(db, Settings::default(), refuse).await;
        project.import(3).await;
        let (code, words) = program::colloquy(&["-C", project.db.dir.path().to_str().unwrap(), "send", "hello"]).await;
        assert_eq!(code, 1, "{words}");
        let (logged, told): (Vec<_>, Vec<_>) = words.lines().partition(|line| line.contains(" WARN "));
        assert!(logged.iter().any(|line| line.contains("(greeting): 554")), "{words}");
        assert!(!logged.iter().any(|line| line.contains("go away")), "{words}");
        assert!(told.iter().any(|line| line.contains("go away")), "{words}");
    }

    async fn another_relay_takes_what_the_first_refuses_for_good(db) {
        let relay = "connections = 4\norder = 1\n[[relay]]\nname = \"files\"\nurl = \"file:outbox\"\norder = 2";
        let project = Project::new(db, Settings { relay, ..Settings::default() }, refuse).await;
        project.import(3).await;
        let (run, ended) = project.send().await;
        assert_eq!(ended, Ended::Done);
        assert_eq!(project.count(&run, MessageState::Accepted).await, 3);
    }

    async fn the_service_pauses_a_run_whose_relay_refuses_for_good(db) {
        let project = Project::new(db, Settings::default(), refuse).await;
        project.import(3).await;
        let app = project.app();
        let run = begin(&project, &app, "hello").await;
        let soft = CancellationToken::new();
        let sender = Arc::new(app.sender(&project.db.store, Metrics::new(), soft.clone()).await.unwrap());
        let serving = serve(&sender);
        let run = left(&project, &run).await;
        assert_eq!(run.state, RunState::Paused);
        assert!(run.reason.unwrap().contains("go away"));
        soft.cancel();
        serving.await.unwrap();
        Arc::into_inner(sender).unwrap().finish().await;
    }

    /// With this clock whoever sleeps by it sleeps for good.
    async fn the_service_pauses_a_run_that_cannot_be_sent_and_goes_on_with_the_others(db) {
        let project = half_broken(db).await;
        let clock = Clock::fast(Micros(2_000_000_000_000_000), 1e-9);
        let app = App::open(project.db.dir.path(), clock).unwrap();
        let (broken, hello) = (begin(&project, &app, "broken").await, begin(&project, &app, "hello").await);
        let soft = CancellationToken::new();
        let sender = Arc::new(app.sender(&project.db.store, Metrics::new(), soft.clone()).await.unwrap());
        let serving = serve(&sender);
        let broken = left(&project, &broken).await;
        assert_eq!(broken.state, RunState::Paused);
        assert!(broken.reason.unwrap().contains("actions"));
        assert_eq!(left(&project, &hello).await.state, RunState::Done);
        assert_eq!(project.count(&hello, MessageState::Accepted).await, 3);
        soft.cancel();
        serving.await.unwrap();
        Arc::into_inner(sender).unwrap().finish().await;
    }
}

#[tokio::test]
async fn a_run_that_could_not_be_paused_is_not_said_to_be() {
    let logs = Logs::begin();
    let project = half_broken(database(EngineKind::Sqlite).await).await;
    let refuses = "CREATE TRIGGER refuses BEFORE UPDATE ON runs WHEN NEW.state = 'paused'
        BEGIN SELECT RAISE(ABORT, 'no'); END";
    change(&project, refuses).await;
    let app = project.app();
    let run = begin(&project, &app, "broken").await;
    let soft = CancellationToken::new();
    let sender = Arc::new(app.sender(&project.db.store, Metrics::new(), soft.clone()).await.unwrap());
    let serving = serve(&sender);
    let logged = async |words: &str| {
        while logs.count(words) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    logged("could not be paused").await;
    assert_eq!(logs.count("is paused"), 0);
    change(&project, "DROP TRIGGER refuses").await;
    logged("the run cannot be sent and is paused").await;
    assert_eq!(left(&project, &run).await.state, RunState::Paused);
    soft.cancel();
    serving.await.unwrap();
    Arc::into_inner(sender).unwrap().finish().await;
}
