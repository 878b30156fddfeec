//! `kill -9` in the middle of a send: what the sink took, compared with what the database says.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use colloquy::args;
use colloquy::domain::message::MessageState;
use colloquy::store::EngineKind;
use colloquy::store::runs::{self, Run};
use tokio::process::Command;

use crate::project::{Project, Settings};
use crate::support::{Database, on_both_engines};

const PEOPLE: usize = 1_500;
const CONNECTIONS: usize = 4;
/// Mails taken in all at which the sender is killed.
const KILLS: [usize; 3] = [150, 600, 900];
const RELAY: &str = "connections = 4\nrate = \"400/s\"";

/// Of one wave each, the last with the zone of the sender.
const ZONES: [&str; 5] = ["Europe/Berlin", "Asia/Kolkata", "Asia/Tokyo", "America/New_York", "Nowhere"];
/// Hours that are always open, and by the clocks of each recipient: so every zone is a wave, and all may leave at once.
const WAVES: &str = "topic = \"news\"\nsubject = \"Hello\"\ntemplate = \"hello.hbs\"\n\
    [schedule]\ntimezone = \"recipient\"\nblackout = [\"2020-02-29\"]\n";

on_both_engines! {
    async fn a_killed_sender_repeats_nothing_and_loses_nothing(db) {
        killed(db, Settings { relay: RELAY, ..Settings::default() }).await;
    }

    async fn a_sender_that_is_killed_between_waves_repeats_nothing_and_loses_nothing(db) {
        let (project, run) = killed(db, Settings { relay: RELAY, campaign: WAVES, ..Settings::default() }).await;
        let sql = "SELECT COUNT(DISTINCT wave), COUNT(*) FROM messages WHERE run_id = $1 AND wave > 0";
        let (waves, messages): (i64, i64) = project.db.store.read().await.unwrap().one(sql, args![run.id]).await.unwrap();
        assert_eq!((waves, messages), (ZONES.len() as i64, PEOPLE as i64));
        assert_eq!(runs::exclusions(&mut project.db.store.read().await.unwrap(), run.id).await.unwrap(), []);
    }
}

/// Sends to everybody, and kills the sender again and again meanwhile.
async fn killed(db: Database, settings: Settings<'_>) -> (Project, Run) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let script = move |step, _: &str| {
        if step == colloquy::demo::catcher::Step::Dot {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        None
    };
    let mut project = Project::new(db, settings, script).await;
    project.import(PEOPLE).await;
    spread(&project).await;
    for kill_at in KILLS {
        let mut child = send(&project);
        while taken.load(Ordering::SeqCst) < kill_at {
            assert!(child.try_wait().unwrap().is_none(), "the sender ended before it was killed");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        child.kill().await.unwrap();
    }
    assert!(send(&project).wait().await.unwrap().success());

    let run = runs::recent(&mut project.db.store.read().await.unwrap(), Some("hello")).await.unwrap().remove(0);
    let unknown = project.count(&run, MessageState::Unknown).await as usize;
    let accepted = project.count(&run, MessageState::Accepted).await as usize;
    assert_eq!(accepted + unknown, PEOPLE);
    assert!(unknown <= KILLS.len() * CONNECTIONS, "{unknown} unknown");
    let mut times: HashMap<String, usize> = HashMap::new();
    for recipient in project.drain() {
        *times.entry(recipient).or_default() += 1;
    }
    let repeated: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(repeated.is_empty(), "{repeated:?}");
    let missing = PEOPLE - times.len();
    assert!(missing <= unknown, "{missing} missing, {unknown} unknown");
    (project, run)
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

fn send(project: &Project) -> tokio::process::Child {
    Command::new(env!("CARGO_BIN_EXE_colloquy"))
        .args(["-C", project.db.dir.path().to_str().unwrap(), "send", "hello"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}
