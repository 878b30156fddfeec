//! Windows, days without mail, latest starts and ends of time, on a clock that the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use colloquy::app::App;
use colloquy::clock::Clock;
use colloquy::demo::catcher::{Act, Step};
use colloquy::domain::hours::Closed;
use colloquy::domain::message::MessageState;
use colloquy::domain::run::RunState;
use colloquy::domain::time::Micros;
use colloquy::metrics::Metrics;
use colloquy::send::{Ended, Sender};
use colloquy::store::runs::{self, Run};
use colloquy::store::{Store, versions};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::project::{Project, Settings};
use crate::support::{Database, on_both_engines};

pub const HEAD: &str = "topic = \"news\"\nsubject = \"Hello\"\ntemplate = \"hello.hbs\"\n";
const OFFICE: &str = "window = [\"08:00\", \"20:00\"]\ntimezone = \"Europe/Berlin\"\n";

pub fn at(text: &str) -> Micros {
    Micros::parse_rfc3339(text).unwrap()
}

/// A project whose campaign has these lines after its template, and so many people.
async fn project(db: Database, lines: &str, relay: &str, people: usize) -> Project {
    let campaign = format!("{HEAD}{lines}");
    let settings = Settings { campaign: &campaign, relay, ..Settings::default() };
    let project = Project::new(db, settings, |_, _| None).await;
    project.import(people).await;
    project
}

pub fn open(project: &Project, clock: &Clock) -> App {
    App::open(project.db.dir.path(), clock.clone()).unwrap()
}

pub async fn run(store: &Store, number: usize) -> Option<Run> {
    let mut runs = runs::recent(&mut store.read().await.unwrap(), None).await.unwrap();
    runs.reverse();
    runs.into_iter().nth(number - 1)
}

/// Lets the clock go on in small steps until the run is as it should be.
pub async fn until(store: &Store, clock: &Clock, number: usize, is: impl Fn(&Run) -> bool) -> Run {
    loop {
        if let Some(run) = run(store, number).await.filter(&is) {
            return run;
        }
        clock.set(clock.now().plus(Duration::from_millis(200)));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A node that sends, until it is stopped.
pub struct Service {
    sender: Arc<Sender>,
    soft: CancellationToken,
    serving: JoinHandle<()>,
}

impl Service {
    pub async fn start(app: &App, store: &Store) -> Self {
        let soft = CancellationToken::new();
        let sender = Arc::new(app.sender(store, Metrics::new(), soft.clone()).await.unwrap());
        let serving = tokio::spawn({
            let sender = Arc::clone(&sender);
            async move { sender.serve().await }
        });
        Self { sender, soft, serving }
    }

    pub async fn stop(self) {
        self.soft.cancel();
        self.serving.await.unwrap();
        Arc::into_inner(self.sender).unwrap().finish().await;
    }
}

pub async fn apply(app: &App, store: &Store, since: Micros) {
    let version = app.freeze(store).await.unwrap();
    let mut tx = store.write().await.unwrap();
    versions::apply(&mut tx, version, since).await.unwrap();
    tx.commit().await.unwrap();
}

pub async fn by_hand(app: &App, store: &Store) -> Run {
    app.begin(store, app.campaign("hello").unwrap(), false).await.unwrap()
}

on_both_engines! {
    async fn a_run_outside_its_window_sends_nothing_until_it_opens_and_says_so(db) {
        let mut project = project(db, &format!("[schedule]\n{OFFICE}"), "", 5).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-12-01T04:00:00Z"));
        let app = open(&project, &clock);
        by_hand(&app, &store).await;
        let service = Service::start(&app, &store).await;
        let waiting = until(&store, &clock, 1, |run| run.wait.is_some()).await;
        let wait = waiting.wait.unwrap();
        assert_eq!((wait.reason, wait.until), (Closed::Window, at("2026-12-01T07:00:00Z")));
        clock.set(at("2026-12-01T06:59:59Z"));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(project.drain(), Vec::<String>::new());
        clock.set(at("2026-12-01T07:00:00Z"));
        let done = until(&store, &clock, 1, |run| run.state == RunState::Done).await;
        assert_eq!((project.drain().len(), done.wait), (5, None));
        service.stop().await;
    }

    async fn a_run_that_reaches_the_end_of_its_window_waits_for_the_next(db) {
        const PEOPLE: usize = 300;
        let lines = format!("[schedule]\n{OFFICE}[throttle]\nrate = \"100/s\"\n");
        let mut project = project(db, &lines, "connections = 2", PEOPLE).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-12-01T18:59:00Z"));
        let app = open(&project, &clock);
        by_hand(&app, &store).await;
        let service = Service::start(&app, &store).await;
        let mut first = Vec::new();
        for _ in 0..50 {
            first.extend(project.caught.recv().await.unwrap().recipients);
        }
        clock.set(at("2026-12-01T19:00:00Z"));
        let waiting = until(&store, &clock, 1, |run| run.wait.is_some()).await;
        assert_eq!(waiting.wait.as_ref().unwrap().until, at("2026-12-02T07:00:00Z"));
        let held = || async {
            let states = runs::states(&mut store.read().await.unwrap(), waiting.id).await.unwrap();
            [MessageState::Claimed, MessageState::Sending].iter().filter_map(|s| states.get(s)).sum::<i64>()
        };
        while held().await > 0 {
            clock.set(clock.now().plus(Duration::from_millis(200)));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        first.extend(project.drain());
        assert!(first.len() < PEOPLE, "the window closed before everybody had it");
        clock.set(at("2026-12-02T06:59:00Z"));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(project.count(&waiting, MessageState::Accepted).await, first.len() as i64, "nothing left at night");
        clock.set(at("2026-12-02T07:00:00Z"));
        until(&store, &clock, 1, |run| run.state == RunState::Done).await;
        first.extend(project.drain());
        first.sort();
        first.dedup();
        assert_eq!(first.len(), PEOPLE);
        service.stop().await;
    }

    async fn a_run_that_is_let_go_leaves_at_any_hour(db) {
        let mut project = project(db, &format!("[schedule]\n{OFFICE}"), "", 3).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-12-01T22:00:00Z"));
        let app = open(&project, &clock);
        let run = by_hand(&app, &store).await;
        let service = Service::start(&app, &store).await;
        until(&store, &clock, 1, |run| run.wait.is_some()).await;
        let mut tx = store.write().await.unwrap();
        runs::ignore_hours(&mut tx, run.id).await.unwrap();
        tx.commit().await.unwrap();
        until(&store, &clock, 1, |run| run.state == RunState::Done).await;
        assert_eq!(project.drain().len(), 3);
        assert!(clock.now() < at("2026-12-02T07:00:00Z"));
        service.stop().await;
    }

    async fn a_run_that_waits_for_its_window_can_be_paused_and_cancelled(db) {
        let mut project = project(db, &format!("[schedule]\n{OFFICE}"), "", 3).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-12-01T22:00:00Z"));
        let app = open(&project, &clock);
        let run = by_hand(&app, &store).await;
        let sender = app.sender(&store, Metrics::new(), CancellationToken::new()).await.unwrap();
        let prepared = sender.prepare(&run).await.unwrap();
        let stopping = async {
            until(&store, &clock, 1, |run| run.wait.is_some()).await;
            let mut tx = store.write().await.unwrap();
            let now = clock.now();
            runs::change(&mut tx, run.id, RunState::Running, RunState::Paused, Some("wrong"), now).await.unwrap();
            tx.commit().await.unwrap();
            until(&store, &clock, 1, |run| run.state == RunState::Paused && run.wait.is_none()).await;
            for _ in 0..20 {
                clock.set(clock.now().plus(Duration::from_millis(200)));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let (ended, ()) = tokio::join!(sender.send(run.clone(), &prepared, true), stopping);
        assert_eq!(ended.unwrap(), Ended::Halted(RunState::Paused));
        sender.finish().await;
        assert_eq!(project.drain().len(), 0);
    }

    async fn an_occasion_on_a_day_without_mail_expires_where_the_latest_start_does_not_reach_the_next(db) {
        let lines = "[schedule]\nevery = \"daily 09:00\"\nblackout = [\"2026-12-24\"]\nlatest_start = ";
        let mut project = project(db, &format!("{lines}\"6h\"\n"), "", 2).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-12-24T08:59:00Z"));
        apply(&open(&project, &clock), &store, at("2026-12-23T12:00:00Z")).await;
        let service = Service::start(&open(&project, &clock), &store).await;
        clock.set(at("2026-12-24T09:00:00Z"));
        let expired = until(&store, &clock, 1, |run| run.state == RunState::Expired).await;
        assert_eq!(expired.occasion, "2026-12-24T09:00:00Z");
        let reason = "it is a day without mail until 2026-12-25T00:00:00Z, after its latest start 2026-12-24T15:00:00Z";
        assert_eq!(expired.reason.as_deref(), Some(reason));
        clock.set(at("2026-12-25T09:00:00Z"));
        until(&store, &clock, 2, |run| run.state == RunState::Done).await;
        assert_eq!(project.drain().len(), 2, "the next day's occasion is sent");
        service.stop().await;
    }

    async fn an_occasion_on_a_day_without_mail_waits_where_the_latest_start_allows(db) {
        let lines = "[schedule]\nat = 2026-12-24T09:00:00\nblackout = [\"2026-12-24\"]\nlatest_start = \"24h\"\n";
        let mut project = project(db, lines, "", 2).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-12-24T09:00:00Z"));
        apply(&open(&project, &clock), &store, at("2026-12-23T12:00:00Z")).await;
        let service = Service::start(&open(&project, &clock), &store).await;
        let waiting = until(&store, &clock, 1, |run| run.wait.is_some()).await;
        assert_eq!(waiting.wait.unwrap().reason, Closed::Blackout);
        assert_eq!(project.drain().len(), 0);
        clock.set(at("2026-12-25T00:00:00Z"));
        until(&store, &clock, 1, |run| run.state == RunState::Done).await;
        assert_eq!(project.drain().len(), 2);
        service.stop().await;
    }

    /// The node that made the run died before it claimed anything.
    async fn a_run_that_had_not_begun_by_its_latest_start_expires_after_a_restart(db) {
        let lines = "[schedule]\nat = 2026-12-01T09:00:00\nlatest_start = \"2h\"\n";
        let mut project = project(db, lines, "", 2).await;
        let store = project.db.store.clone();
        for (start, state) in [("2026-12-01T11:00:01Z", RunState::Expired), ("2026-12-01T10:59:00Z", RunState::Done)] {
            let clock = Clock::stepped(at(start));
            let app = open(&project, &clock);
            apply(&app, &store, at("2026-12-01T08:00:00Z")).await;
            let version = app.freeze(&store).await.unwrap();
            let mut tx = store.write().await.unwrap();
            let (campaign, occasion, at) = ("hello", "2026-12-01T09:00:00Z", at("2026-12-01T09:00:00Z"));
            let state_now = RunState::Running;
            let new = runs::NewRun { campaign, topic: "news", occasion, version, state: state_now, at };
            tx.execute("DELETE FROM runs", vec![]).await.unwrap();
            assert!(runs::create(&mut tx, new).await.unwrap());
            tx.commit().await.unwrap();
            let service = Service::start(&app, &store).await;
            until(&store, &clock, 1, |run| run.state == state).await;
            assert_eq!(project.drain().len(), if state == RunState::Done { 2 } else { 0 }, "{state:?}");
            assert!(run(&store, 2).await.is_none(), "the occasion has its run");
            service.stop().await;
        }
    }

    async fn a_stale_occasion_expires_instead_of_firing_late(db) {
        let mut project = project(db, "[schedule]\nevery = \"daily 09:00\"\nlatest_start = \"2h\"\n", "", 2).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-12-03T11:00:01Z"));
        let app = open(&project, &clock);
        apply(&app, &store, at("2026-12-01T12:00:00Z")).await;
        let service = Service::start(&app, &store).await;
        let expired = until(&store, &clock, 1, |run| run.state == RunState::Expired).await;
        assert_eq!(expired.occasion, "2026-12-03T09:00:00Z", "nobody makes up for the days before");
        clock.set(at("2026-12-04T09:00:00Z"));
        until(&store, &clock, 2, |run| run.state == RunState::Done).await;
        assert_eq!(project.drain().len(), 2);
        service.stop().await;
    }

    async fn two_services_make_one_run_of_every_occasion_and_send_each_message_once(db) {
        const PEOPLE: usize = 40;
        let mut project = project(db, "[schedule]\nevery = \"*/30 * * * *\"\n", "", PEOPLE).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-12-01T08:59:50Z"));
        let app = open(&project, &clock);
        apply(&app, &store, at("2026-12-01T08:50:00Z")).await;
        let mut services = vec![Service::start(&app, &store).await, Service::start(&app, &store).await];
        for (number, due) in [(1, "09:00"), (2, "09:30"), (3, "10:00"), (4, "10:30")] {
            clock.set(at(&format!("2026-12-01T{due}:00Z")));
            let done = until(&store, &clock, number, |run| run.state == RunState::Done).await;
            assert_eq!(done.occasion, format!("2026-12-01T{due}:00Z"));
            assert_eq!(project.drain().len(), PEOPLE, "once each at {due}");
            if number == 2 {
                // A restart changes nothing.
                services.remove(0).stop().await;
                services.push(Service::start(&app, &store).await);
            }
        }
        assert!(run(&store, 5).await.is_none());
        for service in services {
            service.stop().await;
        }
        assert_eq!(project.drain().len(), 0);
    }

    async fn what_has_not_left_in_its_time_is_skipped_whether_it_waits_was_deferred_or_was_not_looked_at(db) {
        let campaign = format!("{HEAD}valid_for = \"2h\"\n[schedule]\n{OFFICE}");
        let calls = AtomicUsize::new(0);
        let script = move |step, _: &str| {
            let deferred = step == Step::Rcpt && calls.fetch_add(1, Ordering::SeqCst) < 4;
            deferred.then(|| Act::Say("451 4.7.1 greylisted".into()))
        };
        let mut project = Project::new(db, Settings { campaign: &campaign, ..Settings::default() }, script).await;
        project.import(10).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-12-01T18:59:59Z"));
        let app = open(&project, &clock);
        let run = by_hand(&app, &store).await;
        let service = Service::start(&app, &store).await;
        while project.count(&run, MessageState::Accepted).await < 6 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(project.count(&run, MessageState::Deferred).await, 4);
        clock.set(at("2026-12-01T19:00:00Z"));
        until(&store, &clock, 1, |run| run.wait.is_some()).await;
        clock.set(at("2026-12-01T20:59:58Z"));
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(project.count(&run, MessageState::Deferred).await, 4, "their time is not over");
        until(&store, &clock, 1, |run| run.state == RunState::Done).await;
        assert_eq!(project.count(&run, MessageState::Skipped).await, 4);
        assert!(clock.now() >= at("2026-12-01T20:59:59Z"));
        assert_eq!(project.drain().len(), 6);
        service.stop().await;
    }

    async fn a_run_whose_time_passed_before_the_window_opened_expires(db) {
        let campaign = format!("valid_for = \"2h\"\n[schedule]\n{OFFICE}");
        let mut project = project(db, &campaign, "", 7).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-12-01T02:00:00Z"));
        let app = open(&project, &clock);
        let run = by_hand(&app, &store).await;
        let service = Service::start(&app, &store).await;
        until(&store, &clock, 1, |run| run.wait.is_some()).await;
        clock.set(at("2026-12-01T04:00:00Z"));
        let expired = until(&store, &clock, 1, |run| run.state == RunState::Expired).await;
        let reason = "nothing had left by 2026-12-01T04:00:00Z, when its time was over";
        assert_eq!((expired.id, expired.reason.as_deref()), (run.id, Some(reason)));
        assert_eq!(project.drain().len(), 0);
        service.stop().await;
    }
}
