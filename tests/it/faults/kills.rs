//! `kill -9` of the processes at random instants: two senders, tracker with pages, scorer.

use std::time::Duration;

use colloquy::args;
use colloquy::domain::id::RunId;
use colloquy::domain::run::RunState;
use colloquy::store::runs::{self, Run};
use colloquy::store::{EngineKind, Store};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio_util::sync::CancellationToken;

use super::account;
use super::form::{Row, seeds};
use super::service::{CONNECTIONS, PEOPLE, ROLES, Service};
use crate::project::Project;
use crate::support::on_both_engines;

const KILLS: usize = 10;

/// Of one wave each, the last with the zone of the sender.
const ZONES: [&str; 5] = ["Europe/Berlin", "Asia/Kolkata", "Asia/Tokyo", "America/New_York", "Nowhere"];
/// Hours that are always open, and by the clocks of each recipient: so every zone is a wave, and all may leave at once.
const WAVES: &str = "topic = \"news\"\nsubject = \"Hello\"\ntemplate = \"hello.hbs\"\n\
    [schedule]\ntimezone = \"recipient\"\nblackout = [\"2020-02-29\"]\n";

on_both_engines! {
    async fn killed_processes_repeat_nothing_and_lose_nothing(db) {
        let service = Service::of(db, &[("waves", WAVES)]).await;
        spread(&service.project).await;
        let kind = service.project.db.store.kind();
        let mut row = Row::begin("kill -9 of sender, tracker with pages, scorer", kind);
        for seed in seeds(1, 10) {
            // By each engine the other campaign first.
            let waves = (seed % 2 == 1) == (kind == EngineKind::Sqlite);
            println!("seed {seed}");
            play(&service, seed, if waves { "waves" } else { "hello" }, &mut row).await;
        }
    }
}

/// One run, in which processes are killed.
async fn play(service: &Service, seed: u64, campaign: &str, row: &mut Row) {
    let mut random = StdRng::seed_from_u64(seed);
    let store = &service.project.db.store;
    let run = service.begin(campaign).await;
    let mut processes: Vec<_> = ROLES.iter().map(|role| service.start(role)).collect();
    let over = CancellationToken::new();
    let reading = tokio::spawn(service.readers(run, seed).ask(over.clone()));
    let mut unknown_at_most = 0;
    for _ in 0..KILLS {
        service.act(&mut random).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(20..900))).await;
        // Mostly a sender.
        let victim = [0, 1, 0, 1, 2, 3][random.random_range(0..6)];
        std::mem::replace(&mut processes[victim], service.start(ROLES[victim])).kill().await;
        row.times += 1;
        if ROLES[victim] == "sender" {
            unknown_at_most += CONNECTIONS;
        }
        account::standing(&service.project, &service.journal).await;
    }
    over.cancel();
    let answered = reading.await.unwrap();
    let account = service.settles(run, processes, (&answered, seed), row).await;
    assert!(account.unknown <= unknown_at_most, "{} unknown, of {unknown_at_most} at most", account.unknown);
    if campaign == "waves" {
        every_wave_was_sent(store, run, account.messages).await;
    }
}

async fn every_wave_was_sent(store: &Store, run: RunId, messages: usize) {
    let sql = "SELECT COUNT(DISTINCT wave), COUNT(*) FROM messages WHERE run_id = $1 AND wave > 0";
    let found: (i64, i64) = store.read().await.unwrap().one(sql, args![run]).await.unwrap();
    assert_eq!(found, (ZONES.len() as i64, messages as i64));
}

/// Gives everybody a zone.
async fn spread(project: &Project) {
    let mut tx = project.db.store.write().await.unwrap();
    let text = match tx.kind() {
        EngineKind::Sqlite => "$1",
        EngineKind::Postgres => "CAST($1 AS JSONB)",
    };
    for (n, zone) in ZONES.iter().enumerate() {
        let attributes = format!("{{\"first_name\":\"Anna\",\"timezone\":\"{zone}\"}}");
        let sql = format!("UPDATE recipients SET attributes = {text} WHERE id % {} = {n}", ZONES.len());
        tx.change((PEOPLE / ZONES.len()) as u64, sql, args![attributes]).await.unwrap();
    }
    tx.commit().await.unwrap();
}

pub async fn until_done(store: &Store, run: RunId) -> Run {
    loop {
        let found = runs::by_id(&mut store.read().await.unwrap(), run).await.unwrap().unwrap();
        if found.state == RunState::Done {
            return found;
        }
        assert_eq!(found.state, RunState::Running, "{:?}", found.reason);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
