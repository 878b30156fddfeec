//! Notices: transactional mails, over real SMTP, on both engines.

use std::collections::HashSet;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use colloquy::args;
use colloquy::demo::catcher::{Act, Caught, Step};
use colloquy::domain::address::Address;
use colloquy::domain::id::{NodeId, NoticeId, RecipientId, RunId};
use colloquy::domain::notice::NoticeKind;
use colloquy::domain::time::Micros;
use colloquy::metrics::Metrics;
use colloquy::people;
use colloquy::store::marks::{self, Marks, MessageKey, Return, Sending};
use colloquy::store::notices::{self, Data, NewNotice};
use colloquy::store::{EngineKind, Store, nodes};
use serde_json::json;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::project::{Project, Settings};
use crate::support::{database, on_both_engines, until_somebody_waits, until_waiting};

const HOUR: Duration = Duration::from_secs(3_600);

/// Queues a confirmation for an address.
async fn queue(project: &Project, address: &str) -> NoticeId {
    queue_until(project, address, HOUR).await
}

async fn queue_until(project: &Project, address: &str, valid: Duration) -> NoticeId {
    let app = project.app();
    let address = Address::parse(address).unwrap();
    let hash = address.hash(&app.secrets().unwrap().suppression_key());
    let data = json!({"url": "https://x.example/j/1", "topics": "News", "wording": "Yes", "hours": 24});
    let Some(data) = data.as_object() else { unreachable!() };
    let at = app.clock.now();
    let new = NewNotice {
        kind: NoticeKind::Confirm,
        recipient: None,
        address: &address,
        hash: Some(&hash),
        language: "de",
        data,
        at,
        expires_at: at.plus(valid),
    };
    let mut tx = project.db.store.write().await.unwrap();
    let id = notices::queue(&mut tx, &new).await.unwrap();
    tx.commit().await.unwrap();
    id
}

#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Stored {
    state: String,
    attempt: i64,
    reply: Option<String>,
    due_at: Option<i64>,
}

async fn stored(store: &Store, id: NoticeId) -> Stored {
    let sql = "SELECT state, attempt, reply, due_at FROM notices WHERE id = $1";
    store.read().await.unwrap().one(sql, args![id]).await.unwrap()
}

async fn in_state(store: &Store, state: &str) -> i64 {
    let sql = "SELECT COUNT(*) FROM notices WHERE state = $1";
    store.read().await.unwrap().one::<(i64,)>(sql, args![state]).await.unwrap().0
}

async fn becomes(store: &Store, id: NoticeId, state: &str) -> Stored {
    for _ in 0..2_000 {
        let now = stored(store, id).await;
        if now.state == state {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("notice {id} is not {state} but {:?}", stored(store, id).await);
}

/// Lets a version govern, and serves until the guard is dropped and awaited.
async fn serving(project: &Project) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let app = project.app();
    let store = project.db.store.clone();
    let version = app.freeze(&store).await.unwrap();
    let mut tx = store.write().await.unwrap();
    colloquy::store::versions::apply(&mut tx, version, app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    let soft = CancellationToken::new();
    let sender = Arc::new(app.sender(&store, Metrics::new(), soft.clone()).await.unwrap());
    let task = tokio::spawn(async move {
        sender.serve().await;
        Arc::into_inner(sender).unwrap().finish().await;
    });
    (soft, task)
}

fn key(notice: NoticeId) -> MessageKey {
    MessageKey { run: RunId::NOTICES, recipient: RecipientId(notice.0) }
}

/// A node that has claimed whatever was due.
async fn claimed(project: &Project) -> (NodeId, Micros) {
    let now = project.app().clock.now();
    let mut tx = project.db.store.write().await.unwrap();
    let node = nodes::register(&mut tx, "node", now).await.unwrap();
    notices::claim(&mut tx, node, now, 9, |_| Some(notices::Stamp::default())).await.unwrap();
    tx.commit().await.unwrap();
    (node, now)
}

async fn message_ids(project: &mut Project) -> Vec<String> {
    let mut ids = Vec::new();
    while let Ok(mail) = project.caught.try_recv() {
        let message = mail_parser::MessageParser::default().parse(&mail.message).unwrap();
        ids.push(message.message_id().unwrap().to_owned());
    }
    ids
}

on_both_engines! {
    async fn a_notice_is_a_plain_transactional_mail_whose_delivery_can_be_proved(db) {
        let mut project = Project::new(db, Settings::default(), |_, _| None).await;
        let id = queue(&project, "anna@example.org").await;
        let (soft, task) = serving(&project).await;
        let done = becomes(&project.db.store, id, "accepted").await;
        assert_eq!((done.attempt, done.due_at), (1, None));
        let Caught { recipients, message, .. } = project.caught.recv().await.unwrap();
        assert_eq!(recipients, ["anna@example.org"]);
        let text = String::from_utf8(message.clone()).unwrap();
        assert!(text.contains("\r\nAuto-Submitted: auto-generated\r\n") && !text.contains("\r\nList-"), "{text}");
        let parsed = mail_parser::MessageParser::default().parse(&message).unwrap();
        assert_eq!(parsed.subject(), Some("Bitte bestätigen Sie, dass Sie unsere Mails möchten"));
        assert!(parsed.body_html(0).unwrap().contains("https://x.example/j/1"));
        let mut session = project.db.store.read().await.unwrap();
        let delivery = notices::delivery(&mut session, id).await.unwrap().unwrap();
        assert_eq!(delivery.message_id.as_deref(), parsed.message_id());
        assert_eq!((delivery.code, delivery.relay.as_deref()), (Some(250), Some("catcher")));
        assert_eq!(delivery.template.unwrap().len(), 64);
        let (data,): (String,) = session.one("SELECT data FROM notices", vec![]).await.unwrap();
        assert_eq!(data, "", "what was in it is not kept");
        soft.cancel();
        task.await.unwrap();
    }

    async fn a_notice_goes_ahead_of_all_messages_that_wait_for_a_limit(db) {
        let settings = Settings { relay: "connections = 1\nrate = \"50/s\"", ..Settings::default() };
        let mut project = Project::new(db, settings, |_, _| None).await;
        project.import(600).await;
        let app = project.app();
        app.begin(&project.db.store, app.campaign("hello").unwrap(), true).await.unwrap();
        let (soft, task) = serving(&project).await;
        for _ in 0..20 {
            project.caught.recv().await.unwrap();
        }
        let sql = "SELECT COUNT(*) FROM messages WHERE state = 'claimed'";
        let (claimed,): (i64,) = project.db.store.read().await.unwrap().one(sql, vec![]).await.unwrap();
        assert!(claimed > 150, "{claimed} messages are in line");
        queue(&project, "anna@elsewhere.example").await;
        let mut before = 0;
        while project.caught.recv().await.unwrap().recipients != ["anna@elsewhere.example"] {
            before += 1;
        }
        assert!(before < 140, "{before} messages went first");
        soft.cancel();
        task.await.unwrap();
    }

    async fn who_was_suppressed_by_others_gets_no_notice_and_who_left_may_come_back(db) {
        let mut project = Project::new(db, Settings::default(), |_, _| None).await;
        let key = project.app().secrets().unwrap().suppression_key();
        let suppress = async |address: &str, reason: &str| {
            let order = people::suppress::Order { reason, at: project.app().clock.now(), key: &key };
            people::suppress::addresses(&project.db.store, &order, &[Address::parse(address).unwrap()]).await.unwrap();
        };
        suppress("complained@example.org", "complaint").await;
        suppress("erased@example.org", "erased").await;
        let (complained, erased) =
            (queue(&project, "Complained@example.org").await, queue(&project, "erased@example.org").await);
        let (soft, task) = serving(&project).await;
        becomes(&project.db.store, erased, "accepted").await;
        let skipped = becomes(&project.db.store, complained, "skipped").await;
        assert_eq!((skipped.reply.as_deref(), skipped.attempt), (Some("suppressed"), 0));
        soft.cancel();
        task.await.unwrap();
        assert_eq!(project.drain(), ["erased@example.org"]);
    }

    async fn a_notice_is_tried_again_as_the_same_mail_until_its_time_has_passed(db) {
        let tries = AtomicUsize::new(0);
        let script = move |step, _: &str| match step {
            Step::Rcpt if tries.fetch_add(1, Ordering::SeqCst) < 1 => Some(Act::Say("451 4.7.1 greylisted".into())),
            _ => None,
        };
        let mut project = Project::new(db, Settings::default(), script).await;
        let id = queue(&project, "anna@example.org").await;
        let store = project.db.store.clone();
        let (soft, task) = serving(&project).await;
        let deferred = becomes(&store, id, "deferred").await;
        assert!(deferred.due_at.unwrap() > project.app().clock.now().0 && deferred.reply.unwrap().contains("greylisted"));
        let (first,): (String,) =
            store.read().await.unwrap().one("SELECT message_id FROM notices", vec![]).await.unwrap();
        let due = "UPDATE notices SET due_at = 1";
        let mut tx = store.write().await.unwrap();
        tx.execute(due, vec![]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(becomes(&store, id, "accepted").await.attempt, 2);
        assert_eq!(message_ids(&mut project).await, [first]);

        let late = queue_until(&project, "late@example.org", Duration::ZERO).await;
        let given_up = becomes(&store, late, "rejected").await;
        assert_eq!(given_up.reply.as_deref(), Some("expired: not handed over in its time"));
        soft.cancel();
        task.await.unwrap();
        assert!(project.drain().is_empty());
    }

    async fn a_notice_whose_answer_was_swallowed_is_unknown_and_not_sent_again(db) {
        let dots = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&dots);
        let script = move |step, _: &str| (step == Step::Dot).then(|| {
            counter.fetch_add(1, Ordering::SeqCst);
            Act::Close
        });
        let project = Project::new(db, Settings::default(), script).await;
        let id = queue(&project, "anna@example.org").await;
        let (soft, task) = serving(&project).await;
        becomes(&project.db.store, id, "unknown").await;
        let second = queue(&project, "bert@example.org").await;
        becomes(&project.db.store, second, "unknown").await;
        soft.cancel();
        task.await.unwrap();
        assert_eq!(dots.load(Ordering::SeqCst), 2, "one each");
        // A late answer may still have it sent again, up to its time.
        let now = project.app().clock.now();
        let said = async || {
            let sql = "SELECT data FROM notices ORDER BY id";
            project.db.store.read().await.unwrap().all::<(String,)>(sql, vec![]).await.unwrap()
        };
        for (at, kept) in [(now, true), (now.plus(HOUR), false)] {
            let mut tx = project.db.store.write().await.unwrap();
            notices::forget(&mut tx, now.minus(HOUR), at).await.unwrap();
            tx.commit().await.unwrap();
            assert!(said().await.iter().all(|(data,)| data.is_empty() != kept), "{:?}", said().await);
        }
    }

    async fn what_a_dead_node_held_waits_again_and_what_it_was_sending_is_unknown(db) {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        let (held, sent) = (queue(&project, "a@example.org").await, queue(&project, "b@example.org").await);
        let store = &project.db.store;
        let now = project.app().clock.now();
        let mut tx = store.write().await.unwrap();
        let node = nodes::register(&mut tx, "dead", now).await.unwrap();
        let claim = notices::claim(&mut tx, node, now, 9, |_| Some(notices::Stamp::default())).await.unwrap();
        assert_eq!(claim.taken.iter().map(|notice| notice.id).collect::<Vec<_>>(), [held, sent]);
        tx.commit().await.unwrap();
        let message = key(sent);
        let mark = Sending { message, attempt: 1, at: now, relay: "r".into(), revision: 0 };
        let marks = Marks { sending: &[mark], ..Default::default() };
        assert!(marks::write(store, node, now, marks).await.unwrap().contains(message));
        let mut tx = store.write().await.unwrap();
        let buried = nodes::bury(&mut tx, node, now).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!((buried.released, buried.unknown), (1, 1));
        assert_eq!((stored(store, held).await.state, stored(store, sent).await.state), ("waiting".into(), "unknown".into()));
        let mark = Sending { message, attempt: 2, at: now, relay: "r".into(), revision: 0 };
        let marks = Marks { sending: &[mark], ..Default::default() };
        assert!(!marks::write(store, node, now, marks).await.unwrap().contains(message));
    }

    async fn a_notice_that_is_given_back_for_good_says_nothing_any_more(db) {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        let (later, never) = (queue(&project, "a@example.org").await, queue(&project, "b@example.org").await);
        let (node, now) = claimed(&project).await;
        let given_back = |id: NoticeId, due_at| Return { message: key(id), due_at, reason: Some("why".into()) };
        let returns = [given_back(never, None), given_back(later, Some(now))];
        let marks = Marks { returns: &returns, ..Default::default() };
        marks::write(&project.db.store, node, now, marks).await.unwrap();
        let sql = "SELECT state, data FROM notices ORDER BY id";
        let rows: Vec<(String, String)> = project.db.store.read().await.unwrap().all(sql, vec![]).await.unwrap();
        assert_eq!((rows[0].0.as_str(), rows[1].0.as_str()), ("waiting", "skipped"));
        assert_eq!((rows[0].1.is_empty(), rows[1].1.is_empty()), (false, true));
    }

    async fn a_killed_service_repeats_no_notice_and_loses_none(db) {
        const NOTICES: usize = 60;
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&taken);
        let script = move |step, _: &str| {
            if step == Step::Dot { counter.fetch_add(1, Ordering::SeqCst); }
            None
        };
        let settings = Settings { relay: "connections = 2\nrate = \"40/s\"", ..Settings::default() };
        let mut project = Project::new(db, settings, script).await;
        for n in 0..NOTICES {
            queue(&project, &format!("n{n}@example.org")).await;
        }
        let app = project.app();
        let version = app.freeze(&project.db.store).await.unwrap();
        let mut tx = project.db.store.write().await.unwrap();
        colloquy::store::versions::apply(&mut tx, version, app.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        let mut child = serve(&project);
        while taken.load(Ordering::SeqCst) < 20 {
            assert!(child.try_wait().unwrap().is_none(), "the service ended before it was killed");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        child.kill().await.unwrap();
        let mut child = serve(&project);
        let store = &project.db.store;
        while in_state(store, "accepted").await + in_state(store, "unknown").await < NOTICES as i64 {
            assert!(child.try_wait().unwrap().is_none(), "the service ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        child.kill().await.unwrap();
        let unknown = in_state(store, "unknown").await as usize;
        assert!(unknown <= 2, "{unknown} unknown");
        let all = project.drain();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "repeated: {all:?}");
        assert!(NOTICES - all.len() <= unknown, "{} arrived, {unknown} unknown", all.len());
    }

    async fn more_data_than_a_notice_may_have_is_refused(db) {
        let mut tx = db.store.write().await.unwrap();
        let address = Address::parse("anna@example.org").unwrap();
        let data = Data::from_iter([("url".to_owned(), "x".repeat(notices::MAX_DATA).into())]);
        let new = NewNotice {
            kind: NoticeKind::Confirm,
            recipient: None,
            address: &address,
            hash: None,
            language: "en",
            data: &data,
            at: colloquy::domain::time::Micros(1),
            expires_at: colloquy::domain::time::Micros(2),
        };
        assert!(notices::queue(&mut tx, &new).await.is_err());
        assert!(notices::queue(&mut tx, &NewNotice { data: &Data::new(), ..new }).await.is_ok());
    }
}

/// On PostgreSQL, where rows are locked one by one.
#[tokio::test]
async fn whoever_erases_and_whoever_marks_lock_notices_in_the_same_order() {
    let project = Project::new(database(EngineKind::Postgres).await, Settings::default(), |_, _| None).await;
    let (one, two) = (queue(&project, "a@example.org").await, queue(&project, "a@example.org").await);
    let (node, now) = claimed(&project).await;
    let store = &project.db.store;
    let address = Address::parse("a@example.org").unwrap();
    let hash = address.hash(&project.app().secrets().unwrap().suppression_key());
    let mut first = store.write().await.unwrap();
    first.execute("UPDATE notices SET language = 'en' WHERE id = $1", args![one]).await.unwrap();
    let erasing = async {
        let mut session = store.write().await.unwrap();
        notices::erase(&mut session, RecipientId(0), &hash).await.unwrap();
        session.commit().await.unwrap();
    };
    let marking = async {
        until_somebody_waits(store).await;
        let sending =
            [two, one].map(|id| Sending { message: key(id), attempt: 1, at: now, relay: "r".into(), revision: 0 });
        marks::write(store, node, now, Marks { sending: &sending, ..Default::default() }).await.unwrap();
    };
    let ending = async {
        until_waiting(store, 2).await;
        first.commit().await.unwrap();
    };
    tokio::join!(erasing, marking, ending);
    let sql = "SELECT COUNT(*) FROM notices WHERE address IS NULL AND state = 'sending'";
    assert_eq!(store.read().await.unwrap().one::<(i64,)>(sql, vec![]).await.unwrap().0, 2);
}

fn serve(project: &Project) -> tokio::process::Child {
    Command::new(env!("CARGO_BIN_EXE_colloquy"))
        .args(["-C", project.db.dir.path().to_str().unwrap(), "run"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}
