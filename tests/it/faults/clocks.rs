//! Clocks that are set: an hour and a day forward and back, on one of two nodes, while the year's two changes of time pass.

use std::collections::BTreeSet;
use std::time::Duration;

use colloquy::clock::Clock;
use colloquy::domain::run::RunState;
use colloquy::domain::time::Micros;
use colloquy::store::Store;
use colloquy::store::runs::{self, Run};
use jiff::ToSpan as _;
use jiff::civil::Date;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::account;
use super::form::{Row, seeds};
use super::sink::sink;
use crate::hours::{HEAD, Service, apply, at, open};
use crate::project::{Project, Settings};
use crate::support::{Database, database, on_both_engines};

const PEOPLE: usize = 3;
const HOUR: i64 = 3_600_000_000;
const ZONE: &str = "Europe/Berlin";

/// The night in which half past two does not exist, and the one in which it comes twice.
const NIGHTS: [&str; 2] = ["2026-03-29", "2026-10-25"];

/// How a node's clock may be set: to what is off by so many hours.
const OFF: [i64; 4] = [-24, -1, 1, 24];

on_both_engines! {
    async fn a_clock_that_is_set_makes_no_run_twice_and_skips_none(db) {
        let mut row = Row::begin("clock set by 1 h and 1 day, daylight saving", db.store.kind());
        for seed in seeds(1, 25) {
            for night in NIGHTS {
                play(database(db.store.kind()).await, night, seed, &mut row).await;
            }
        }
    }
}

/// Three days around a night, in which one of two clocks is set now and then.
async fn play(db: Database, night: &str, seed: u64, row: &mut Row) {
    println!("seed {seed}, {night}");
    let mut random = StdRng::seed_from_u64(seed);
    let (catcher, journal) = sink(db.dir.path(), "clocks");
    let daily = |time| format!("{HEAD}[schedule]\nevery = \"daily {time}\"\ntimezone = \"{ZONE}\"\n");
    let campaign = daily("02:30");
    let project = Project::before(db, Settings { campaign: &campaign, ..Settings::default() }, catcher).await;
    std::fs::write(project.db.dir.path().join("config/campaigns/morning.toml"), daily("09:00")).unwrap();
    let store = &project.db.store;
    let start = at(&format!("{night}T00:00:00Z")).minus(Duration::from_secs(36 * 3_600));
    let (right, set) = (Clock::stepped(start), Clock::stepped(start));
    let (first, second) = (open(&project, &right), open(&project, &set));
    project.import_by(&first, (0..PEOPLE).map(|n| format!("a{n}@example.org"))).await;
    apply(&first, store, start).await;
    let nodes = [Service::start(&first, store).await, Service::start(&second, store).await];
    let keys = first.secrets().unwrap().keyring();
    let (mut now, mut off, mut ahead) = (start, 0, 0);
    for _ in 0..72 * 2 {
        now = Micros(now.0 + HOUR / 2);
        if random.random_bool(0.15) {
            off = if off == 0 { OFF[random.random_range(0..OFF.len())] } else { 0 };
            ahead = ahead.max(off);
            row.times += 1;
        }
        right.set(now);
        set.set(Micros(now.0 + off * HOUR));
        until_sent(store, &expected(night, start, now), [&right, &set]).await;
    }
    for node in nodes {
        node.stop().await;
    }
    let runs = all(store).await;
    let made: BTreeSet<_> = runs.iter().map(occasion).collect();
    assert_eq!(made.len(), runs.len(), "twice: {runs:?}");
    // A clock that is ahead may have brought forward what comes next.
    let ahead = Micros(now.0 + ahead * HOUR);
    let (due, soon) = (expected(night, start, now), expected(night, start, ahead));
    assert!(made.is_superset(&due) && made.is_subset(&soon), "{made:?}, due {due:?}");
    // What was brought forward may be under way.
    for run in runs.iter().filter(|run| due.contains(&occasion(run))) {
        assert_eq!(run.state, RunState::Done, "{run:?}");
        let taken = journal.read(&keys).iter().filter(|(of, _)| *of == run.id).count();
        assert_eq!(taken, PEOPLE, "{run:?}");
        row.messages += taken;
    }
    account::standing(&project, &journal).await;
}

async fn all(store: &Store) -> Vec<Run> {
    runs::recent(&mut store.read().await.unwrap(), None).await.unwrap()
}

fn occasion(run: &Run) -> (String, String) {
    (run.campaign.clone(), run.occasion.clone())
}

/// What comes after one instant and up to another: a time that clocks skip comes as much later, one that they show twice
/// comes the first time.
fn expected(night: &str, after: Micros, until: Micros) -> BTreeSet<(String, String)> {
    let night: Date = night.parse().unwrap();
    let days = (-3..5).map(|day| night.checked_add(day.days()).unwrap());
    let times = days.flat_map(|day| [("hello", day.at(2, 30, 0, 0)), ("morning", day.at(9, 0, 0, 0))]);
    let occasions = times.map(|(name, local)| (name, Micros::from(local.in_tz(ZONE).unwrap().timestamp())));
    let due = occasions.filter(|(_, at)| *at > after && *at <= until);
    due.map(|(name, at)| (name.to_owned(), at.to_string())).collect()
}

/// Waits until everything that is due has been sent, and all runs are over: what expires by the clock that is ahead is sent
/// all the same by the node whose clock is right. The clocks go on meanwhile, a little.
async fn until_sent(store: &Store, due: &BTreeSet<(String, String)>, clocks: [&Clock; 2]) {
    loop {
        let runs = all(store).await;
        let sent: BTreeSet<_> = runs.iter().filter(|run| run.state == RunState::Done).map(occasion).collect();
        if sent.is_superset(due) && runs.iter().all(|run| run.state.is_final()) {
            return;
        }
        for clock in clocks {
            clock.set(clock.now().plus(Duration::from_millis(200)));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
