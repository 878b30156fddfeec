//! People who leave, complain or are erased while a run is under way.

use std::collections::HashMap;
use std::time::Duration;

use colloquy::args;
use colloquy::domain::consent::Salts;
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::message::MessageState;
use colloquy::metrics::Metrics;
use colloquy::send::Ended;
use colloquy::store::subscriptions::{self, Origin};
use colloquy::store::{erasure, recipients, suppressions};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio_util::sync::CancellationToken;

use super::account;
use super::form::{Row, form, seeds};
use super::sink::{Journal, sink};
use crate::mailing::messages;
use crate::project::{Project, Settings};
use crate::support::on_both_engines;

on_both_engines! {
    async fn nobody_is_claimed_who_left_complained_or_was_erased_before(db) {
        let mut row = Row::begin("unsubscribe, complaint, erase during a run", db.store.kind());
        let people = form(3_000, 100_000);
        let (catcher, journal) = sink(db.dir.path(), "leaving");
        let settings = Settings { relay: "connections = 8", ..Settings::default() };
        let project = Project::before(db, settings, catcher).await;
        project.import(people).await;
        for seed in seeds(1, 1) {
            println!("seed {seed}");
            let app = project.app();
            let run = app.begin(&project.db.store, app.campaign("hello").unwrap(), true).await.unwrap();
            let sender = app.sender(&project.db.store, Metrics::new(), CancellationToken::new()).await.unwrap();
            let prepared = sender.prepare(&run).await.unwrap();
            let over = CancellationToken::new();
            let sending = async {
                let ended = sender.send(run.clone(), &prepared, true).await.unwrap();
                over.cancel();
                ended
            };
            let deciding = decide(&project, &journal, run.id, (seed, people), &over);
            let (ended, decided) = tokio::join!(sending, deciding);
            sender.finish().await;
            assert_eq!(ended, Ended::Done);

            let account = account::settled(&project, &journal, run.id).await;
            let after = messages(&project.db.store).await;
            let mut before_their_turn = 0;
            for (who, state) in &decided {
                if matches!(state, None | Some(MessageState::Waiting | MessageState::Deferred)) {
                    before_their_turn += 1;
                    let now = after.get(&(run.id, *who)).map(|message| message.state);
                    assert!(matches!(now, None | Some(MessageState::Skipped)), "{who} was {state:?} and is {now:?}");
                    assert!(!account.taken.contains(who), "{who} was {state:?} and was mailed");
                }
            }
            println!("{} decided, {before_their_turn} of them before a claim", decided.len());
            assert!(before_their_turn > 0, "nobody decided in time");
            assert_eq!((account.unknown, account.open), (0, 0), "{account:?}");
            row.times += decided.len();
            row.messages += account.messages;
        }
    }
}

/// Lets people decide until the run is over; with each the state of its message at that instant.
async fn decide(
    project: &Project,
    journal: &Journal,
    run: RunId,
    (seed, people): (u64, usize),
    over: &CancellationToken,
) -> HashMap<RecipientId, Option<MessageState>> {
    let mut random = StdRng::seed_from_u64(seed);
    let app = project.app();
    let (clock, key) = (&app.clock, app.secrets().unwrap().suppression_key());
    let mut decided = HashMap::new();
    while !over.is_cancelled() {
        // Mostly somebody whose turn comes soon.
        let soon = (journal.taken() + random.random_range(0..people / 3 + 1)).min(people - 1) as i64 + 1;
        let who = RecipientId(if random.random_bool(0.8) { soon } else { random.random_range(1..=people as i64) });
        if decided.contains_key(&who) {
            tokio::task::yield_now().await;
            continue;
        }
        let now = clock.now();
        let origin = Origin {
            channel: "page",
            run: Some(run),
            at: now,
            salts: Salts::new(&colloquy::clock::secret()),
            shown: None,
        };
        let mut tx = project.db.store.write().await.unwrap();
        if let Some(person) = recipients::lock(&mut tx, who).await.unwrap() {
            let sql = "SELECT state FROM messages WHERE run_id = $1 AND recipient_id = $2";
            let state: Option<(String,)> = tx.first(sql, args![run, who]).await.unwrap();
            match random.random_range(0..3) {
                0 => drop(subscriptions::leave(&mut tx, who, "news", &origin).await.unwrap()),
                1 => suppressions::add_recipient(&mut tx, who, now, "complaint").await.unwrap(),
                _ => {
                    let hash = person.address.unwrap().hash(&key);
                    assert!(erasure::erase(&mut tx, who, &hash, now).await.unwrap());
                }
            }
            tx.commit().await.unwrap();
            decided.insert(who, state.map(|(state,)| MessageState::parse(&state).unwrap()));
        } else {
            tx.rollback().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..4))).await;
    }
    decided
}
