//! Nodes that die, or are taken for dead: what others take over, and what they may still write down.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use colloquy::args;
use colloquy::demo::catcher::Step;
use colloquy::domain::id::NodeId;
use colloquy::domain::message::MessageState;
use colloquy::domain::run::RunState;
use colloquy::domain::time::Micros;
use colloquy::metrics::Metrics;
use colloquy::send::Ended;
use colloquy::store::claims::{self, Claim};
use colloquy::store::marks::{self, Finish, Held, Marks, MessageKey, Return, Sending};
use colloquy::store::nodes::{self, Buried};
use colloquy::store::{Store, runs};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::mailing::{Message, claim_all, claimant, messages, node, people, run};
use crate::project::{Project, Settings};
use crate::support::on_both_engines;

const BEGAN: Micros = Micros(1_800_000_000_000_000);
const DIED: Micros = Micros(BEGAN.0 + 60_000_000);
const LATER: Micros = Micros(DIED.0 + 60_000_000);

async fn bury(store: &Store, node: NodeId, now: Micros) -> Buried {
    let mut tx = store.write().await.unwrap();
    let buried = nodes::bury(&mut tx, node, now).await.unwrap();
    tx.commit().await.unwrap();
    buried
}

async fn mark(store: &Store, node: NodeId, marks: Marks<'_>) -> Held {
    marks::write(store, node, LATER, marks).await.unwrap()
}

async fn stored(store: &Store, key: MessageKey) -> Message {
    messages(store).await[&(key.run, key.recipient)]
}

fn sending(message: MessageKey, attempt: i64) -> Sending {
    Sending { message, attempt, at: BEGAN, relay: "test".into(), revision: 0 }
}

fn finish(message: MessageKey, attempt: i64, state: MessageState) -> Finish {
    let due_at = matches!(state, MessageState::Deferred | MessageState::Waiting).then_some(LATER);
    Finish { message, attempt, at: LATER, relay: "test".into(), state, code: Some(250), reply: "late".into(), due_at }
}

/// A node that was buried while it was sending the first of its messages, and held the second.
async fn died(store: &Store) -> (NodeId, MessageKey, MessageKey) {
    let (who, run, node) = (people(store, 2, BEGAN).await, run(store, "1", BEGAN).await, node(store, BEGAN).await);
    let keys = claim_all(store, claimant(run, node, BEGAN), &who).await;
    assert_eq!(mark(store, node, Marks { sending: &[sending(keys[0], 1)], ..Marks::default() }).await, Held::All);
    assert_eq!(bury(store, node, DIED).await, Buried { released: 1, unknown: 1 });
    (node, keys[0], keys[1])
}

on_both_engines! {
    /// A standby that was promoted has forgotten what was claimed last.
    async fn marks_of_messages_that_the_database_has_forgotten_bring_none_into_it_and_let_none_leave(db) {
        let store = &db.store;
        let who = people(store, 4, BEGAN).await;
        let (run, node) = (run(store, "1", BEGAN).await, node(store, BEGAN).await);
        let keys = claim_all(store, claimant(run, node, BEGAN), &who).await;
        mark(store, node, Marks { sending: &[sending(keys[0], 1)], ..Marks::default() }).await;
        let mut tx = store.write().await.unwrap();
        tx.execute("DELETE FROM messages WHERE recipient_id <> $1", args![who[3]]).await.unwrap();
        tx.commit().await.unwrap();
        let marks = Marks {
            finish: &[finish(keys[0], 1, MessageState::Accepted)],
            returns: &[Return { message: keys[1], due_at: Some(LATER), reason: None }],
            sending: &[sending(keys[2], 1), sending(keys[3], 1)],
        };
        assert_eq!(mark(store, node, marks).await, Held::Only(HashSet::from([keys[3]])));
        let left = messages(store).await;
        assert_eq!(left.into_keys().collect::<Vec<_>>(), [(run, who[3])]);
    }

    async fn what_a_dead_node_held_waits_again_and_what_it_was_sending_is_unknown(db) {
        let store = &db.store;
        let who = people(store, 6, BEGAN).await;
        let (run, node, other) = (run(store, "1", BEGAN).await, node(store, BEGAN).await, node(store, BEGAN).await);
        let keys = claim_all(store, claimant(run, node, BEGAN), &who[..5]).await;
        let marked: Vec<_> = keys[..3].iter().map(|key| sending(*key, 1)).collect();
        mark(store, node, Marks { sending: &marked, ..Marks::default() }).await;
        mark(store, node, Marks { finish: &[finish(keys[0], 1, MessageState::Accepted)], ..Marks::default() }).await;

        assert_eq!(bury(store, node, DIED).await, Buried { released: 2, unknown: 2 });
        let unknown = Message { state: MessageState::Unknown, node: Some(node), attempt: 1, due_at: None };
        let waiting = Message { state: MessageState::Waiting, node: None, attempt: 0, due_at: Some(DIED) };
        let accepted = Message { state: MessageState::Accepted, node: None, ..unknown };
        let found: Vec<_> = messages(store).await.into_values().collect();
        assert_eq!(found, [accepted, unknown, unknown, waiting, waiting]);

        let mut tx = store.write().await.unwrap();
        assert!(!nodes::beat(&mut tx, node).await.unwrap(), "its lease is gone");
        assert!(nodes::beat(&mut tx, other).await.unwrap());
        let due = claims::take_due(&mut tx, claimant(run, other, DIED), 9).await.unwrap();
        tx.commit().await.unwrap();
        let Claim::Taken(due) = due else { panic!("{due:?}") };
        let due: HashSet<_> = due.into_iter().map(|m| m.recipient).collect();
        assert_eq!(due, HashSet::from([who[3], who[4]]), "what is unknown is never sent again by itself");
    }

    async fn a_late_answer_turns_unknown_into_what_it_was(db) {
        let store = &db.store;
        let who = people(store, 4, BEGAN).await;
        let (run, node) = (run(store, "1", BEGAN).await, node(store, BEGAN).await);
        let keys = claim_all(store, claimant(run, node, BEGAN), &who).await;
        let marked: Vec<_> = keys.iter().map(|key| sending(*key, 1)).collect();
        mark(store, node, Marks { sending: &marked, ..Marks::default() }).await;
        assert_eq!(bury(store, node, DIED).await, Buried { released: 0, unknown: 4 });

        use MessageState::{Accepted, Deferred, Rejected, Waiting};
        let answers: Vec<_> =
            keys.iter().zip([Accepted, Rejected, Deferred, Waiting]).map(|(key, state)| finish(*key, 1, state)).collect();
        // The second time it is a repetition, as after a commit whose answer was lost.
        for _ in 0..2 {
            mark(store, node, Marks { finish: &answers, ..Marks::default() }).await;
            let found: Vec<_> = messages(store).await.into_values().collect();
            let expected = |state, attempt, due_at| Message { state, node: None, attempt, due_at };
            assert_eq!(found, [
                expected(Accepted, 1, None),
                expected(Rejected, 1, None),
                expected(Deferred, 1, Some(LATER)),
                expected(Waiting, 0, Some(LATER)),
            ]);
        }
    }

    async fn a_late_answer_counts_for_its_own_node_and_attempt_only(db) {
        let store = &db.store;
        let (dead, swallowed, _) = died(store).await;
        let other = node(store, DIED).await;
        let unknown = stored(store, swallowed).await;
        for (writer, attempt) in [(other, 1), (dead, 0), (dead, 2)] {
            let answer = finish(swallowed, attempt, MessageState::Accepted);
            mark(store, writer, Marks { finish: &[answer], ..Marks::default() }).await;
            assert_eq!(stored(store, swallowed).await, unknown, "attempt {attempt} of node {writer}");
        }
        let answer = finish(swallowed, 1, MessageState::Unknown);
        mark(store, dead, Marks { finish: &[answer], ..Marks::default() }).await;
        let answer = finish(swallowed, 1, MessageState::Accepted);
        mark(store, dead, Marks { finish: &[answer], ..Marks::default() }).await;
        assert_eq!(stored(store, swallowed).await.state, MessageState::Unknown, "the node said itself that it is");
    }

    async fn nothing_stays_open_in_a_run_that_was_over_when_the_late_answer_came(db) {
        let store = &db.store;
        let who = people(store, 2, BEGAN).await;
        for (over, occasion) in [(RunState::Done, "1"), (RunState::Cancelled, "2")] {
            let node = node(store, BEGAN).await;
            let keys = claim_all(store, claimant(run(store, occasion, BEGAN).await, node, BEGAN), &who).await;
            let marked: Vec<_> = keys.iter().map(|key| sending(*key, 1)).collect();
            mark(store, node, Marks { sending: &marked, ..Marks::default() }).await;
            bury(store, node, DIED).await;
            let mut tx = store.write().await.unwrap();
            assert!(runs::change(&mut tx, keys[0].run, RunState::Running, over, None, DIED).await.unwrap());
            tx.commit().await.unwrap();

            let late = [finish(keys[0], 1, MessageState::Deferred), finish(keys[1], 1, MessageState::Waiting)];
            mark(store, node, Marks { finish: &late, ..Marks::default() }).await;
            let mut tx = store.write().await.unwrap();
            assert_eq!(nodes::clear_ended(&mut tx, LATER).await.unwrap(), 2, "{over:?}");
            let sql = "SELECT DISTINCT state, reply FROM messages WHERE run_id = $1 AND due_at IS NULL";
            let left: Vec<(String, String)> = tx.all(sql, args![keys[0].run]).await.unwrap();
            assert_eq!(left, [("skipped".to_owned(), over.as_str().to_owned())]);
            tx.commit().await.unwrap();
        }
    }

    async fn a_node_without_a_lease_marks_nothing_that_it_held(db) {
        let store = &db.store;
        let (dead, _, released) = died(store).await;
        let returned = |due_at| Return { message: released, due_at, reason: Some("render".into()) };
        let (sends, returns) = ([sending(released, 1)], [returned(None), returned(Some(LATER))]);
        let answers = [finish(released, 1, MessageState::Accepted)];
        let all = Marks { finish: &answers, returns: &returns, sending: &sends };
        let before = messages(store).await;
        assert_eq!(mark(store, dead, all).await, Held::Only(HashSet::new()), "it may not be sent");
        assert_eq!(messages(store).await, before);

        let heir = node(store, DIED).await;
        let mut tx = store.write().await.unwrap();
        claims::take_due(&mut tx, claimant(released.run, heir, LATER), 9).await.unwrap();
        tx.commit().await.unwrap();
        let claimed = messages(store).await;
        assert_eq!(mark(store, dead, all).await, Held::Only(HashSet::new()));
        assert_eq!(messages(store).await, claimed);

        assert_eq!(mark(store, heir, Marks { sending: &sends, ..Marks::default() }).await, Held::All);
        let on_the_wire = messages(store).await;
        assert_eq!(mark(store, dead, all).await, Held::Only(HashSet::new()));
        assert_eq!(messages(store).await, on_the_wire, "the attempt has the same number and another node");
    }

    /// What a node claimed after it was buried and before it noticed.
    async fn claims_without_a_lease_are_found_and_taken_back(db) {
        let store = &db.store;
        let who = people(store, 2, BEGAN).await;
        let (run, dead) = (run(store, "1", BEGAN).await, node(store, BEGAN).await);
        bury(store, dead, DIED).await;
        claim_all(store, claimant(run, dead, DIED), &who).await;
        assert_eq!(nodes::orphans(&mut store.read().await.unwrap()).await.unwrap(), [dead]);
        assert_eq!(bury(store, dead, DIED).await, Buried { released: 2, unknown: 0 });
        assert_eq!(nodes::orphans(&mut store.read().await.unwrap()).await.unwrap(), []);
    }

    /// The relay has one place for mail, so that the second mail's answer comes when the test takes
    /// the first.
    async fn a_sender_that_finds_its_lease_gone_ends_what_is_on_the_wire_and_sends_nothing_more(db) {
        const PEOPLE: usize = 20;
        let (dots, second) = (AtomicUsize::new(0), Arc::new(Notify::new()));
        let on_the_wire = Arc::clone(&second);
        let script = move |step, _: &str| {
            if step == Step::Dot && dots.fetch_add(1, Ordering::SeqCst) == 1 {
                on_the_wire.notify_one();
            }
            None
        };
        let settings = Settings { relay: "connections = 1", ..Settings::default() };
        let mut project = Project::with_room(db, settings, 1, script).await;
        project.import(PEOPLE).await;
        let mut caught = std::mem::replace(&mut project.caught, mpsc::channel(1).1);
        let store = &project.db.store;
        let app = project.app();
        let run = app.begin(store, app.campaign("hello").unwrap(), true).await.unwrap();
        let sender = app.sender(store, Metrics::new(), CancellationToken::new()).await.unwrap();
        let prepared = sender.prepare(&run).await.unwrap();
        let mut taken: Vec<String> = Vec::new();
        let bystander = async {
            second.notified().await;
            let living = nodes::all(&mut store.write().await.unwrap()).await.unwrap();
            let buried = bury(store, living[0].id, app.clock.now()).await;
            assert_eq!(buried, Buried { released: PEOPLE as u64 - 2, unknown: 1 });
            sender.stopping().cancelled().await;
            for _ in 0..2 {
                taken.extend(caught.recv().await.unwrap().recipients);
            }
        };
        let (ended, ()) = tokio::join!(sender.send(run.clone(), &prepared, true), bystander);
        assert_eq!(ended.unwrap(), Ended::Stopped);
        sender.finish().await;
        assert!(caught.try_recv().is_err(), "nothing more was sent");
        let states = runs::states(&mut store.read().await.unwrap(), run.id).await.unwrap();
        assert_eq!(states.get(&MessageState::Accepted), Some(&2), "the late answer counts: {states:?}");
        assert_eq!(states.get(&MessageState::Waiting), Some(&(PEOPLE as i64 - 2)), "{states:?}");

        let rest = async {
            for _ in 2..PEOPLE {
                taken.extend(caught.recv().await.unwrap().recipients);
            }
        };
        let ((_, ended), ()) = tokio::join!(project.send(), rest);
        assert_eq!(ended, Ended::Done);
        let once: HashSet<_> = taken.iter().collect();
        assert_eq!((taken.len(), once.len()), (PEOPLE, PEOPLE));
    }

    async fn nodes_divide_all_limits_among_themselves_and_who_remains_has_them_alone(db) {
        let settings = Settings { relay: "connections = 2\nrate = \"60/s\"", ..Settings::default() };
        let mut project = Project::new(db, settings, |_, _: &str| None).await;
        project.import(240).await;
        let (app, store) = (project.app(), &project.db.store.clone());
        let [one, two] = [Metrics::new(), Metrics::new()];
        let first = app.sender(store, one.clone(), CancellationToken::new()).await.unwrap();
        shares(store, &[1.0]).await;
        let second = app.sender(store, two.clone(), CancellationToken::new()).await.unwrap();
        shares(store, &[0.5, 0.5]).await;

        let run = app.begin(store, app.campaign("hello").unwrap(), true).await.unwrap();
        let prepared = [first.prepare(&run).await.unwrap(), second.prepare(&run).await.unwrap()];
        let (by_first, by_second) =
            tokio::join!(first.send(run.clone(), &prepared[0], true), second.send(run.clone(), &prepared[1], true));
        assert_eq!([by_first.unwrap(), by_second.unwrap()], [Ended::Done, Ended::Done]);
        let taken = project.drain();
        assert_eq!((taken.len(), taken.iter().collect::<HashSet<_>>().len()), (240, 240));
        for metrics in [one, two] {
            let text = metrics.encode();
            let accepted = text.lines().find(|line| line.contains("outcome=\"accepted\"")).expect("it has sent");
            assert!(accepted.rsplit(' ').next().unwrap().parse::<u32>().unwrap() > 60, "{accepted}");
            assert!(text.contains("colloquy_limits_share 0.5"), "{text}");
        }
        first.finish().await;
        shares(store, &[1.0]).await;
        second.finish().await;
    }
}

/// Waits until nodes have these parts of all limits.
async fn shares(store: &Store, parts: &[f64]) {
    loop {
        let nodes = nodes::all(&mut store.write().await.unwrap()).await.unwrap();
        if nodes.iter().map(|node| node.share.part()).eq(parts.iter().copied()) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
