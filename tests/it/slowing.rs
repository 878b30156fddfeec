//! Relays that ask for less mail, over real SMTP: the sender slows down by itself and recovers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use colloquy::app::App;
use colloquy::clock::Clock;
use colloquy::demo::catcher::{Act, Step};
use colloquy::domain::message::MessageState;
use colloquy::metrics::Metrics;
use colloquy::send::Ended;
use colloquy::store::Store;
use colloquy::store::runs::Run;
use colloquy::store::slowdowns::{self, Slowdown};
use tokio_util::sync::CancellationToken;

use crate::project::{Project, Settings};
use crate::support::on_both_engines;

/// Everything that was ever slow, as it was noted.
async fn watch(store: Store, over: CancellationToken) -> Vec<Slowdown> {
    let mut seen: Vec<Slowdown> = Vec::new();
    while !over.is_cancelled() {
        for slow in slowdowns::all(&mut store.read().await.unwrap()).await.unwrap() {
            if seen.last() != Some(&slow) {
                seen.push(slow);
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    seen
}

/// Sends on a clock on which a minute passes in a second, until all is done and nothing is slow any
/// more. Answers with what was slow meanwhile, and the metrics at the end.
async fn send(project: &Project) -> (Run, Vec<Slowdown>, String) {
    let app = App::open(project.db.dir.path(), Clock::fast(Clock::system().now(), 60.0)).unwrap();
    let store = &project.db.store;
    let run = app.begin(store, app.campaign("hello").unwrap(), true).await.unwrap();
    let metrics = Metrics::new();
    let sender = app.sender(store, metrics.clone(), CancellationToken::new()).await.unwrap();
    let prepared = sender.prepare(&run).await.unwrap();
    let over = CancellationToken::new();
    let watching = tokio::spawn(watch(store.clone(), over.clone()));
    assert_eq!(sender.send(run.clone(), &prepared, true).await.unwrap(), Ended::Done);
    while metrics.encode().contains("colloquy_slowed_per_second{") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    over.cancel();
    let seen = watching.await.unwrap();
    let text = metrics.encode();
    sender.finish().await;
    assert_eq!(slowdowns::all(&mut store.read().await.unwrap()).await.unwrap(), []);
    (run, seen, text)
}

fn fell_and_rose(seen: &[Slowdown]) {
    assert!(seen.iter().all(|slow| slow.per_second < slow.full), "{seen:?}");
    let lowest = seen.iter().map(|slow| slow.per_second).fold(f64::INFINITY, f64::min);
    let last = seen.last().unwrap();
    assert!(last.per_second > lowest, "it rises step by step: {seen:?}");
}

on_both_engines! {
    async fn a_domain_that_answers_4_7_x_for_a_while_gets_less_and_then_all_of_its_mail_once(db) {
        let asked = Arc::new(AtomicUsize::new(0));
        let script = move |step, line: &str| {
            let here = step == Step::Rcpt && line.contains("@busy.example");
            let number = if here { asked.fetch_add(1, Ordering::SeqCst) } else { 0 };
            (here && (100..130).contains(&number)).then(|| Act::Say("451 4.7.1 come more slowly, please".into()))
        };
        let settings = Settings { relay: "connections = 4\n[relay.slow_down]\nquiet = \"1s\"", ..Settings::default() };
        let mut project = Project::new(db, settings, script).await;
        let addresses = (0..600).map(|n| format!("a{n}@{}.example", if n % 3 == 0 { "free" } else { "busy" }));
        let mut addresses: Vec<String> = addresses.collect();
        project.import_addresses(addresses.iter().cloned()).await;
        let (run, seen, metrics) = send(&project).await;
        addresses.sort();
        assert_eq!(project.drain(), addresses, "nothing is lost, nothing comes twice");
        assert_eq!(project.count(&run, MessageState::Accepted).await, 600);
        assert!(seen.iter().all(|slow| slow.domain.as_deref() == Some("busy.example")), "{seen:?}");
        assert_eq!(seen[0].reason, "451 4.7.1 at rcpt");
        fell_and_rose(&seen);
        assert!(metrics.contains("colloquy_slow_downs_total{relay=\"catcher\",domain=\"busy.example\"}"), "{metrics}");
    }

    async fn a_relay_that_answers_421_for_a_while_gets_less_and_then_all_of_its_mail_once(db) {
        let (mails, greetings) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let script = move |step, _: &str| match step {
            // One connection is open then, so that the relay is busy and not away.
            Step::Greeting if greetings.fetch_add(1, Ordering::SeqCst) == 1 => {
                Some(Act::SayAndClose("421 too busy".into()))
            }
            Step::Mail if (100..120).contains(&mails.fetch_add(1, Ordering::SeqCst)) => {
                Some(Act::SayAndClose("421 4.3.2 closing down".into()))
            }
            _ => None,
        };
        let settings = Settings { relay: "connections = 3\n[relay.slow_down]\nquiet = \"1s\"", ..Settings::default() };
        let mut project = Project::new(db, settings, script).await;
        project.import(500).await;
        let (run, seen, metrics) = send(&project).await;
        let mut addresses: Vec<String> = (0..500).map(|n| format!("a{n}@example.org")).collect();
        addresses.sort();
        assert_eq!(project.drain(), addresses, "nothing is lost, nothing comes twice");
        assert_eq!(project.count(&run, MessageState::Accepted).await, 500);
        assert!(seen.iter().all(|slow| slow.domain.is_none()), "{seen:?}");
        fell_and_rose(&seen);
        assert!(metrics.contains("colloquy_slow_downs_total{relay=\"catcher\",domain=\"\"}"), "{metrics}");
    }

    async fn what_may_go_more_seldom_than_claims_are_held_goes_all_the_same(db) {
        let settings = Settings { relay: "connections = 1\nrate = \"7/m\"", ..Settings::default() };
        let mut project = Project::new(db, settings, |_, _| None).await;
        project.import(3).await;
        let (run, seen, _) = send(&project).await;
        assert_eq!((project.drain().len(), seen.len()), (3, 0));
        assert_eq!(project.count(&run, MessageState::Accepted).await, 3);
    }
}
