//! What expired while a clock was ahead is sent once it has been set right, and nothing else is.

use std::time::Duration;

use colloquy::backup::hold;
use colloquy::clock::Clock;
use colloquy::domain::run::RunState;
use colloquy::store::Store;
use colloquy::store::runs::{self, Run};

use crate::hours::{HEAD, Service, apply, at, by_hand, open, run, until};
use crate::project::{Project, Settings};
use crate::support::{Database, on_both_engines};

const NINE: &str = "[schedule]\nat = 2026-12-01T09:00:00\nlatest_start = \"2h\"\n";

/// A project whose campaign has these lines, and three people.
async fn project(db: Database, lines: &str) -> Project {
    let campaign = format!("{HEAD}{lines}");
    let project = Project::new(db, Settings { campaign: &campaign, ..Settings::default() }, |_, _| None).await;
    let app = open(&project, &Clock::stepped(at("2026-11-01T00:00:00Z")));
    project.import_by(&app, (0..3).map(|n| format!("a{n}@example.org"))).await;
    project
}

/// A service whose project is applied, and whose clock shows this.
async fn start(project: &Project, now: &str) -> (Clock, Service) {
    let store = &project.db.store;
    let clock = Clock::stepped(at(now));
    let app = open(project, &clock);
    apply(&app, store, at("2026-11-20T00:00:00Z")).await;
    let service = Service::start(&app, store).await;
    (clock, service)
}

/// A service whose clock is a day ahead of half past eight, by which the run at nine has expired.
async fn expired(project: &Project) -> (Clock, Service) {
    let (clock, service) = start(project, "2026-12-02T08:30:00Z").await;
    until(&project.db.store, &clock, 1, |run| run.state == RunState::Expired).await;
    (clock, service)
}

/// Keeps back what a copy of the database must not send.
async fn restore(store: &Store, clock: &Clock) {
    let mut tx = store.write().await.unwrap();
    hold(&mut tx, "restored", clock.now()).await.unwrap();
    tx.commit().await.unwrap();
}

/// The first run after some seconds in which it could have changed.
async fn later(store: &Store, clock: &Clock) -> Run {
    for _ in 0..25 {
        clock.set(clock.now().plus(Duration::from_millis(200)));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    run(store, 1).await.unwrap()
}

on_both_engines! {
    async fn a_run_that_expired_by_a_clock_a_day_ahead_is_sent_at_its_time_once_the_clock_is_right(db) {
        let mut project = project(db, NINE).await;
        let store = project.db.store.clone();
        let (clock, service) = expired(&project).await;
        clock.set(at("2026-12-01T08:30:00Z"));
        assert_eq!(later(&store, &clock).await.state, RunState::Expired, "its time has not come");
        clock.set(at("2026-12-01T10:00:00Z"));
        let done = until(&store, &clock, 1, |run| run.state == RunState::Done).await;
        assert_eq!((project.drain().len(), done.reason.as_deref()), (3, None));
        let present = at("2026-12-01T10:00:00Z")..=clock.now();
        assert!(present.contains(&done.at) && present.contains(&done.started_at.unwrap()), "{done:?}");
        assert!(run(&store, 2).await.is_none());
        service.stop().await;
    }

    async fn a_run_whose_latest_start_has_passed_by_the_right_clock_too_stays_expired(db) {
        let mut project = project(db, NINE).await;
        let store = project.db.store.clone();
        let (clock, service) = expired(&project).await;
        clock.set(at("2026-12-01T11:00:01Z"));
        let expired = later(&store, &clock).await;
        assert_eq!((expired.state, project.drain().len()), (RunState::Expired, 0));
        assert!(expired.ended_at.unwrap() <= clock.now(), "{expired:?}");
        service.stop().await;
    }

    async fn a_run_that_expired_on_a_day_without_mail_stays_so_when_the_clock_goes_back(db) {
        let mut project = project(db, &format!("{NINE}blackout = [\"2026-12-01\"]\n")).await;
        let store = project.db.store.clone();
        let (clock, service) = start(&project, "2026-12-01T10:00:00Z").await;
        let reason = until(&store, &clock, 1, |run| run.state == RunState::Expired).await.reason.unwrap();
        clock.set(at("2026-12-01T09:30:00Z"));
        let expired = later(&store, &clock).await;
        assert_eq!((expired.state, expired.reason), (RunState::Expired, Some(reason)));
        assert_eq!(project.drain().len(), 0);
        service.stop().await;
    }

    async fn a_run_that_somebody_has_sent_by_hand_meanwhile_is_not_sent_again(db) {
        let mut project = project(db, NINE).await;
        let store = project.db.store.clone();
        let (clock, service) = expired(&project).await;
        by_hand(&open(&project, &clock), &store).await;
        until(&store, &clock, 2, |run| run.state == RunState::Done).await;
        clock.set(at("2026-12-01T10:00:00Z"));
        assert_eq!(later(&store, &clock).await.state, RunState::Expired);
        assert_eq!(project.drain().len(), 3);
        service.stop().await;
    }

    async fn a_run_whose_time_was_changed_meanwhile_is_sent_once_at_the_new_one(db) {
        let mut project = project(db, NINE).await;
        let store = project.db.store.clone();
        let (clock, service) = expired(&project).await;
        clock.set(at("2026-12-01T08:30:00Z"));
        let moved = format!("{HEAD}{}", NINE.replace("T09", "T11"));
        std::fs::write(project.db.dir.path().join("config/campaigns/hello.toml"), moved).unwrap();
        apply(&open(&project, &clock), &store, at("2026-12-01T08:30:00Z")).await;
        later(&store, &clock).await;
        clock.set(at("2026-12-01T10:00:00Z"));
        assert_eq!((later(&store, &clock).await.state, project.drain().len()), (RunState::Expired, 0));
        clock.set(at("2026-12-01T11:00:00Z"));
        until(&store, &clock, 2, |run| run.state == RunState::Done).await;
        assert_eq!((run(&store, 1).await.unwrap().state, project.drain().len()), (RunState::Expired, 3));
        service.stop().await;
    }

    async fn a_run_that_had_expired_before_it_was_copied_stays_so_after_a_restore(db) {
        let mut project = project(db, NINE).await;
        let store = project.db.store.clone();
        let (clock, service) = expired(&project).await;
        service.stop().await;
        clock.set(at("2026-12-01T08:30:00Z"));
        restore(&store, &clock).await;
        let service = Service::start(&open(&project, &clock), &store).await;
        clock.set(at("2026-12-01T10:00:00Z"));
        assert_eq!((later(&store, &clock).await.state, project.drain().len()), (RunState::Expired, 0));
        service.stop().await;
    }

    async fn a_run_that_somebody_has_cancelled_stays_so_when_the_clock_goes_back(db) {
        let mut project = project(db, &format!("{NINE}window = [\"10:00\", \"20:00\"]\n")).await;
        let store = project.db.store.clone();
        let (clock, service) = start(&project, "2026-12-01T09:30:00Z").await;
        let waiting = until(&store, &clock, 1, |run| run.wait.is_some()).await;
        let mut tx = store.write().await.unwrap();
        let (from, to) = (RunState::Running, RunState::Cancelled);
        assert!(runs::change(&mut tx, waiting.id, from, to, Some("wrong"), clock.now()).await.unwrap());
        tx.commit().await.unwrap();
        clock.set(at("2026-12-01T09:00:00Z"));
        later(&store, &clock).await;
        clock.set(at("2026-12-01T10:00:00Z"));
        assert_eq!(later(&store, &clock).await.state, RunState::Cancelled);
        assert_eq!(project.drain().len(), 0);
        service.stop().await;
    }

    /// The machine that it was copied from may have sent it.
    async fn a_run_that_a_restore_found_too_late_stays_expired_whatever_the_clock_shows_later(db) {
        let mut project = project(db, NINE).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-12-02T08:30:00Z"));
        let app = open(&project, &clock);
        apply(&app, &store, at("2026-11-20T00:00:00Z")).await;
        restore(&store, &clock).await;
        let service = Service::start(&app, &store).await;
        clock.set(at("2026-12-01T10:00:00Z"));
        assert_eq!(later(&store, &clock).await.state, RunState::Expired);
        assert_eq!(project.drain().len(), 0);
        service.stop().await;
    }

    async fn what_had_its_time_by_a_clock_ahead_has_it_again(db) {
        let lines = "valid_for = \"5h\"\n[schedule]\nwindow = [\"08:00\", \"20:00\"]\ntimezone = \"Europe/Berlin\"\n";
        let mut project = project(db, lines).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-12-01T04:00:00Z"));
        let app = open(&project, &clock);
        by_hand(&app, &store).await;
        let service = Service::start(&app, &store).await;
        until(&store, &clock, 1, |run| run.wait.is_some()).await;
        clock.set(at("2026-12-02T04:30:00Z"));
        let expired = until(&store, &clock, 1, |run| run.state == RunState::Expired).await;
        assert!(expired.reason.unwrap().starts_with("nothing had left by 2026-12-01T09:00:00"));
        clock.set(at("2026-12-01T04:30:00Z"));
        until(&store, &clock, 1, |run| run.wait.is_some()).await;
        clock.set(at("2026-12-01T07:00:00Z"));
        until(&store, &clock, 1, |run| run.state == RunState::Done).await;
        assert_eq!(project.drain().len(), 3);
        service.stop().await;
    }

    async fn waves_that_expired_by_a_clock_ahead_leave_at_their_time_and_are_counted_no_more(db) {
        let lines = NINE.to_owned() + "timezone = \"recipient\"\nfallback_timezone = \"Europe/Berlin\"\n";
        let mut project = project(db, &lines).await;
        let store = project.db.store.clone();
        let (clock, service) = start(&project, "2026-12-01T06:00:00Z").await;
        let begun = until(&store, &clock, 1, |run| run.wait.is_some()).await;
        clock.set(at("2026-12-02T06:00:00Z"));
        until(&store, &clock, 1, |run| run.state == RunState::Done).await;
        let counted = || async { runs::exclusions(&mut store.read().await.unwrap(), begun.id).await.unwrap() };
        assert_eq!(counted().await, [("expired".to_owned(), 3)]);
        clock.set(at("2026-12-01T06:30:00Z"));
        until(&store, &clock, 1, |run| run.wait.is_some()).await;
        assert_eq!((counted().await, project.drain().len()), (vec![], 0));
        clock.set(at("2026-12-01T08:00:00Z"));
        while project.caught.len() < 3 {
            later(&store, &clock).await;
        }
        clock.set(at("2026-12-01T21:00:00Z"));
        let done = until(&store, &clock, 1, |run| run.state == RunState::Done).await;
        assert_eq!((done.id, counted().await, project.drain().len()), (begun.id, vec![], 3));
        service.stop().await;
    }
}
