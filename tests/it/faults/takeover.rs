//! How soon others have the work of a node that dies or is frozen.

use std::time::Duration;

use colloquy::args;
use colloquy::domain::id::NodeId;
use colloquy::store::Store;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;

use super::account;
use super::form::{Row, seeds};
use super::frozen::{CONNECTIONS, behind_a_slow_relay, freeze, nodes, until};
use super::kills::until_done;
use crate::support::on_both_engines;
use crate::support::process::Process;

on_both_engines! {
    /// Whoever survives has messages of the run in hand, as on machines of their own. No time is asserted: what it took is
    /// printed.
    async fn the_work_of_a_node_that_dies_or_is_frozen_is_resumed(db) {
        let mut row = Row::begin("a node dies or is frozen beside another", db.store.kind());
        let (project, journal) = behind_a_slow_relay(db).await;
        let (app, store) = (project.app(), project.db.store.clone());
        let start = || Process::start(project.db.dir.path(), &["run", "--role", "sender"]);
        for seed in seeds(1, 20) {
            let mut random = StdRng::seed_from_u64(seed);
            let run = app.begin(&store, app.campaign("hello").unwrap(), true).await.unwrap();
            let before = journal.taken();
            let victim = start();
            until(async || !nodes(&store).await.is_empty()).await;
            let node = nodes(&store).await[0];
            let heir = start();
            until(async || nodes(&store).await.len() == 2 && journal.taken() >= before + 40).await;
            tokio::time::sleep(Duration::from_millis(random.random_range(0..1_000))).await;
            until(async || held(&store, node).await > 0).await;
            let how = if seed % 2 == 0 {
                victim.kill().await;
                "killed"
            } else {
                freeze(&victim, &store).await;
                "frozen"
            };
            let ended = Instant::now();
            until(async || held(&store, node).await == 0).await;
            let taken_over = ended.elapsed();
            let taken = journal.taken();
            until(async || journal.taken() > taken).await;
            println!("seed {seed}: {how}; taken over after {taken_over:?}, resumed after {:?}", ended.elapsed());
            until_done(&store, run.id).await;
            assert!(heir.stop().await, "it ended badly");
            let account = account::settled(&project, &journal, run.id).await;
            assert!(account.unknown <= CONNECTIONS && account.open == 0, "{account:?}");
            row.times += 1;
            row.messages += account.messages;
            row.unknown += account.unknown;
        }
    }
}

/// How many messages a node has in hand.
async fn held(store: &Store, node: NodeId) -> i64 {
    let sql = "SELECT COUNT(*) FROM messages WHERE node_id = $1 AND state IN ('claimed', 'sending')";
    store.read().await.unwrap().one::<(i64,)>(sql, args![node]).await.unwrap().0
}
