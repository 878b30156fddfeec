//! How many at once to a domain, and how many by day: over real SMTP, on both engines.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use colloquy::app::App;
use colloquy::args;
use colloquy::clock::Clock;
use colloquy::demo::catcher::Step;
use colloquy::domain::message::MessageState;
use colloquy::domain::run::RunState;
use colloquy::domain::time::Micros;
use colloquy::metrics::Metrics;
use colloquy::send::Ended;
use colloquy::store::runs;
use jiff::tz::TimeZone;
use jiff::{ToSpan as _, Zoned};
use tokio_util::sync::CancellationToken;

use crate::project::{Project, Settings, shared};
use crate::support::on_both_engines;

fn addresses(n: usize) -> Vec<String> {
    let mut all: Vec<_> = (0..n).map(|n| format!("a{n}@example.org")).collect();
    all.sort();
    all
}

/// Eleven o'clock in the night of tomorrow, UTC.
fn tomorrow() -> Zoned {
    let now = Zoned::new(Clock::system().now().into(), TimeZone::UTC);
    now.date().saturating_add(1.day()).at(23, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap()
}

/// Accepted messages by day and relay.
async fn accepted(project: &Project) -> BTreeMap<(String, String), i64> {
    let sql = "SELECT relay, at FROM messages WHERE state = 'accepted'";
    let rows: Vec<(String, i64)> = project.db.store.read().await.unwrap().all(sql, args![]).await.unwrap();
    let mut days = BTreeMap::new();
    for (relay, at) in rows {
        let day = Zoned::new(Micros(at).into(), TimeZone::UTC).date().to_string();
        *days.entry((day, relay)).or_default() += 1;
    }
    days
}

/// Waits until so many messages are accepted.
async fn wait_for(project: &Project, messages: i64) {
    while accepted(project).await.values().sum::<i64>() < messages {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Sends by two nodes, from eleven in the night of tomorrow on. The day that follows comes once 30 messages are
/// accepted, the day after that once 80 are.
async fn send_by_two(project: &Project) {
    let clock = Clock::fast(tomorrow().timestamp().into(), 1.0);
    let app = App::open(project.db.dir.path(), clock.clone()).unwrap();
    let store = &project.db.store;
    let run = app.begin(store, app.campaign("hello").unwrap(), true).await.unwrap();
    let node = async || {
        let sender = app.sender(store, Metrics::new(), CancellationToken::new()).await.unwrap();
        let prepared = sender.prepare(&run).await.unwrap();
        let ended = sender.send(run.clone(), &prepared, true).await.unwrap();
        assert!(matches!(ended, Ended::Done | Ended::Halted(RunState::Done)), "{ended:?}");
        sender.finish().await;
    };
    let days = async {
        wait_for(project, 30).await;
        // An hour and a half in as many seconds: on a slow machine it does not become a day.
        clock.set_factor(3_600.0);
        clock.sleep(Duration::from_secs(5_400)).await;
        clock.set_factor(1.0);
        wait_for(project, 80).await;
        clock.set_factor(40_000.0);
    };
    tokio::join!(node(), node(), days);
}

on_both_engines! {
    async fn never_more_than_the_limit_of_a_domain_is_handed_over_at_once(db) {
        let (most, in_script) = shared(AtomicUsize::new(0));
        let now = AtomicUsize::new(0);
        let script = move |step, _: &str| {
            if step == Step::Rcpt {
                in_script.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            } else if step == Step::Dot {
                now.fetch_sub(1, Ordering::SeqCst);
            }
            None
        };
        let relay = "connections = 8\n[relay.connections_per_domain]\ndefault = 20\n\"example.org\" = 2";
        let mut project = Project::new(db, Settings { relay, ..Settings::default() }, script).await;
        project.import(600).await;
        let (_, ended) = project.send().await;
        assert_eq!((ended, most.load(Ordering::SeqCst)), (Ended::Done, 2));
        assert_eq!(project.drain(), addresses(600));
    }

    async fn a_relay_that_warms_up_hands_over_so_many_a_day_whoever_sends(db) {
        let [first, second] = [0, 1].map(|days| tomorrow().date().saturating_add(days.days()).to_string());
        let relay = format!("connections = 2\n[relay.warm_up]\nstart = {first}\ntable = [30, 50]");
        let mut project = Project::new(db, Settings { relay: &relay, ..Settings::default() }, |_, _| None).await;
        project.import(100).await;
        send_by_two(&project).await;
        assert_eq!(project.drain(), addresses(100), "nothing is lost, nothing comes twice");
        let by_day: Vec<(String, i64)> = accepted(&project).await.into_iter().map(|((day, _), of)| (day, of)).collect();
        assert_eq!(by_day[..2], [(first.clone(), 30), (second.clone(), 50)], "{by_day:?}");
        let drawn = "SELECT day, drawn FROM warm_ups ORDER BY day";
        let drawn: Vec<(String, i64)> = project.db.store.read().await.unwrap().all(drawn, args![]).await.unwrap();
        assert_eq!(drawn, [(first, 30), (second, 50)], "what was not used was given back");
    }

    async fn a_run_that_waits_for_the_next_day_can_be_cancelled(db) {
        let noon = tomorrow().saturating_sub(11.hours());
        let relay = format!("connections = 2\n[relay.warm_up]\nstart = {}\ntable = [10, 10, 10]", noon.date());
        let mut project = Project::new(db, Settings { relay: &relay, ..Settings::default() }, |_, _| None).await;
        project.import(100).await;
        let clock = Clock::fast(noon.timestamp().into(), 1.0);
        let app = App::open(project.db.dir.path(), clock.clone()).unwrap();
        let store = project.db.store.clone();
        let run = app.begin(&store, app.campaign("hello").unwrap(), true).await.unwrap();
        let sender = app.sender(&store, Metrics::new(), CancellationToken::new()).await.unwrap();
        let prepared = sender.prepare(&run).await.unwrap();
        let cancelling = async {
            wait_for(&project, 10).await;
            let mut tx = store.write().await.unwrap();
            let (from, to) = (RunState::Running, RunState::Cancelled);
            assert!(runs::change(&mut tx, run.id, from, to, None, clock.now()).await.unwrap());
            tx.commit().await.unwrap();
        };
        let (ended, ()) = tokio::join!(sender.send(run.clone(), &prepared, true), cancelling);
        assert_eq!(ended.unwrap(), Ended::Halted(RunState::Cancelled));
        sender.finish().await;
        assert_eq!(project.drain().len(), 10);
    }

    async fn what_a_relay_may_not_take_today_goes_to_the_next_one(db) {
        let today = Zoned::new(Clock::system().now().into(), TimeZone::UTC).date();
        let relay = format!(
            "connections = 2\n[relay.warm_up]\nstart = {today}\n[relay.warm_up.per_domain]\n\"example.org\" = [40, 40]\n\
             [[relay]]\nname = \"spare\"\nurl = \"file:spare\"\norder = 2"
        );
        let mut project = Project::new(db, Settings { relay: &relay, ..Settings::default() }, |_, _| None).await;
        let both = (0..200).map(|n| format!("a{n}@example.{}", if n % 2 == 0 { "org" } else { "net" }));
        project.import_addresses(both).await;
        // A stop in between and another process change nothing about the day.
        let soft = CancellationToken::new();
        soft.cancel();
        project.send_until(soft).await;
        let (run, ended) = project.send().await;
        assert_eq!(ended, Ended::Done);
        let caught = project.drain();
        assert_eq!(caught.iter().filter(|address| address.ends_with(".org")).count(), 40);
        assert_eq!(caught.len(), 140);
        let spare = std::fs::read_dir(project.db.dir.path().join("spare")).unwrap().count();
        assert_eq!(spare, 60);
        assert_eq!(project.count(&run, MessageState::Accepted).await, 200);
    }
}
